//! Makes a process of this machine slow for some seconds, with nothing of depbench but this crate.
//!
//! `cargo run -p depbench-faults --example slow_process -- 4711 cpu.quota=5% 10`

use std::error::Error;
use std::time::Duration;

use depbench_faults::{
    Availability, Fault, FaultContext, FaultType, Flow, HelperProgram, Wiring, available, effect,
    helpers,
};
use node::cgroup::{Mode, NodeCgroup, NodeSpec};
use node::facts::Facts;
use node::identity::ProcessId;
use node::journal::{self, Journal, Purpose};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Some faults start this very program again, as a helper.
    if let [verb] = arguments.as_slice()
        && let Some(helper) = helpers::named(verb)
    {
        return Ok(helper()?);
    }
    let [pid, fault, seconds] = arguments.as_slice() else {
        return Err("expected PID FAULT SECONDS, such as 4711 cpu.quota=5% 10".into());
    };
    let (pid, seconds): (i32, u64) = (pid.parse()?, seconds.parse()?);
    let kind: FaultType = fault.parse()?;
    let process = ProcessId::of(pid)?.ok_or("there is no such process")?;

    let facts = Facts::gather()?;
    if let no @ Availability::No { .. } = available(&kind, &facts, Wiring::Shared) {
        return Err(no.to_string().into());
    }

    // Every undo is on disk before its change. What a killed program left is undone by the next one.
    let dir = journal::default_dir();
    println!("{}", journal::heal(&dir)?);
    let purpose = Purpose {
        run: "slow-process".parse()?,
        node: format!("pid-{pid}").parse()?,
    };
    let journal = Journal::open(&dir, &purpose)?;
    let groups = NodeSpec {
        run: purpose.run.clone(),
        node: purpose.node.clone(),
        budget: None,
        cpus: None,
    };
    let cgroup = match facts.cgroups.mode() {
        Mode::None => None,
        _ => Some(NodeCgroup::adopt(
            &facts.cgroups,
            &groups,
            &journal,
            process,
        )?),
    };
    let context = FaultContext {
        journal: journal.clone(),
        facts,
        cgroup,
        servers: vec![process],
        disk: Some(format!("/proc/{pid}/cwd").into()),
        device: None,
        latency: None,
        link: None,
        flow: Flow::default(),
        wiring: Wiring::Shared,
        keeper: None,
        helper: HelperProgram::myself(),
    };
    let slowed = slow(&kind, &context, Duration::from_secs(seconds));
    if let Some(group) = &context.cgroup {
        // Gives the process back to the groups it came from.
        group.remove()?;
    }
    journal.close()?;
    slowed
}

fn slow(kind: &FaultType, context: &FaultContext, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut fault = Fault::prepare(kind, context)?;
    std::thread::sleep(Duration::from_secs(1));
    let before = fault.probe()?;
    println!("{}", fault.inject()?.detail);
    std::thread::sleep(time);
    let during = fault.probe();
    fault.clear()?;
    let during = during?;
    for reading in &during {
        println!("{reading}");
    }
    println!("{}", effect(kind, &before, &during));
    Ok(())
}
