//! Servers that are ended, and started again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Rig, kind, value};
use depbench_faults::{Effect, Fault, FaultContext, Keeper, KeepsServers, Probe, effect, residue};
use node::identity::ProcessId;

/// Starts one server again and again.
#[derive(Clone, Default)]
struct Starter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    expected: usize,
    child: Option<Child>,
}

impl KeepsServers for Starter {
    fn expect_end(&self, _: ProcessId) -> Result<(), String> {
        self.0.lock().unwrap().expected += 1;
        Ok(())
    }

    fn restart(&self, _: ProcessId) -> Result<Option<ProcessId>, String> {
        let mut command = Command::new("sleep");
        let child = command.arg("300").stdin(Stdio::null()).spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        self.0.lock().unwrap().child = Some(child);
        Ok(id)
    }
}

impl Starter {
    fn has_restarted(&self) -> bool {
        self.0.lock().unwrap().child.is_some()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn context(rig: &Rig, starter: &Starter) -> FaultContext {
    FaultContext {
        keeper: Some(Keeper::new(starter.clone())),
        ..rig.context()
    }
}

#[test]
fn a_killed_server_runs_again_when_the_fault_is_cleared() {
    let mut rig = Rig::bare();
    let server = rig.serve(common::idle());
    let starter = Starter::default();
    let kill = kind("{process.kill: {}}");
    let mut fault = Fault::prepare(&kill, &context(&rig, &starter)).unwrap();
    let before = fault.probe().unwrap();
    let injected = fault.inject().unwrap();
    assert_eq!(injected.detail, "1 servers ended by SIGKILL");
    assert_eq!(common::state(server), 'Z');
    assert_eq!(starter.0.lock().unwrap().expected, 1);
    let during = fault.probe().unwrap();
    assert_eq!(value(&during, Probe::ServerProcesses), 0.0);
    assert_eq!(effect(&kill, &before, &during), Effect::Bit);
    assert!(residue(&kill, &before, &during).is_some());
    assert!(!starter.has_restarted());
    fault.clear().unwrap();
    fault.clear().unwrap();
    assert!(starter.has_restarted());
    let after = fault.probe().unwrap();
    assert_eq!(residue(&kill, &before, &after), None);
}

#[test]
fn a_terminated_server_runs_again_after_its_time() {
    let mut rig = Rig::bare();
    rig.serve(common::idle());
    let starter = Starter::default();
    let kill = kind("{process.kill: {signal: term, restart: 100ms}}");
    let mut fault = Fault::prepare(&kill, &context(&rig, &starter)).unwrap();
    fault.inject().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !starter.has_restarted() {
        assert!(Instant::now() < deadline, "it is not started again");
        std::thread::sleep(Duration::from_millis(10));
    }
    fault.clear().unwrap();
}

#[test]
fn without_anybody_to_start_it_again_a_server_is_not_killed() {
    let mut rig = Rig::bare();
    let server = rig.serve(common::idle());
    let refused = Fault::prepare(&kind("{process.kill: {}}"), &rig.context());
    let Err(error) = refused else {
        panic!("nobody could start it again")
    };
    assert!(
        error.to_string().contains("start the server again"),
        "{error}"
    );
    assert_ne!(common::state(server), 'Z');
}
