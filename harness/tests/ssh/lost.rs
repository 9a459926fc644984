//! Machines that are cut off, stall, lose their power, and never come back.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::RunDir;

use super::{Run, assert_carried_out, long, reasons};
use crate::hosts::{Hosts, text, wait_until};

/// The lease is 15 s: this much shorter is survived on a busy machine too.
const STALL: std::time::Duration = std::time::Duration::from_secs(5);

/// An experiment whose cluster has this field besides.
fn experiment(hosts: &Hosts, name: &str, trials: u32, fault: &str, field: &str) -> PathBuf {
    let file = hosts.experiment(name, &long(trials, fault));
    let plain = std::fs::read_to_string(&file).unwrap();
    let with = plain.replace("    config:", &format!("    {field}\n    config:"));
    assert_ne!(with, plain);
    std::fs::write(&file, with).unwrap();
    file
}

/// The node was lost in the first trial, and has a new agent for the second; gives what was said, and what the second
/// trial's events say of the node.
fn assert_lost_once(run: Run, slow: usize) -> (String, String) {
    let out = run.out.clone();
    let (code, said) = run.end();
    assert_eq!(code, Some(2), "{said}");
    let [Some(first), second] = &reasons(&out)[..] else {
        panic!("{said}");
    };
    let events = std::fs::read_to_string(out.join("trials/depfast-raft/2/events.csv")).unwrap();
    let rebuilt = events
        .lines()
        .find(|line| line.contains(&format!("node-rebuilt,h{slow},")));
    let rebuilt = rebuilt.unwrap_or_else(|| panic!("{events}")).to_owned();
    let lost = format!("node h{slow} lost its agent");
    assert!(first.contains(&lost), "{first}");
    assert_carried_out(second.as_ref());
    (said, rebuilt)
}

#[test]
fn a_link_is_cut_for_longer_than_the_lease() {
    let Some(hosts) = Hosts::up(4) else { return };
    let file = experiment(&hosts, "cut", 2, "16s", "lease: 8s");
    let mut run = Run::begin(&hosts, &file);
    let slow = run.until_faulty(1);
    hosts.link("cut", slow);
    // The node cannot be told anything: it must find out by itself.
    wait_until("the cut-off host healed itself", || {
        let state = hosts.state(slow);
        !hosts.left().iter().any(|path| path.starts_with(&state))
    });
    hosts.link("join", slow);
    let (said, noted) = assert_lost_once(run, slow);
    assert!(noted.contains("it has a new agent"), "{noted}");
    let told = format!("rebuilt node h{slow}");
    assert!(
        said.contains(&told) && !said.contains("started again"),
        "{said}"
    );
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn a_stall_shorter_than_the_lease_is_survived() {
    let Some(hosts) = Hosts::up(4) else { return };
    let mut run = Run::start(&hosts, "stall", &long(1, "25s"));
    let slow = run.until_faulty(1);
    hosts.link("cut", slow);
    std::thread::sleep(STALL);
    hosts.link("join", slow);
    let out = run.out.clone();
    let (_, said) = run.end();
    assert!(!said.contains("lost its agent"), "{said}");
    let reasons = reasons(&out);
    assert_eq!(reasons.len(), 1, "{said}");
    assert_carried_out(reasons[0].as_ref());
    hosts.assert_clean();
}

#[test]
fn it_is_interrupted_while_a_host_cannot_be_reached() {
    let Some(hosts) = Hosts::up(4) else { return };
    let mut run = Run::start(&hosts, "away", &long(1, "120s"));
    let away = run.until_faulty(1);
    hosts.link("cut", away);
    kill(Pid::from_raw(run.controller.id() as i32), Signal::SIGINT).unwrap();
    wait_until("the controller has ended", || {
        run.controller.try_wait().unwrap().is_some()
    });
    let (code, said) = run.end();
    assert_eq!(code, Some(4), "{said}");
    let told = format!("node h{away} lost its agent");
    assert!(said.contains(&told) && said.contains("by itself"), "{said}");
    assert!(
        said.contains("interrupted") && said.contains("run --resume "),
        "{said}"
    );
    // It has seen to the others itself.
    let state = hosts.state(away);
    let others = hosts
        .left()
        .into_iter()
        .find(|path| !path.starts_with(&state));
    assert_eq!(others, None, "{said}");
    // The one that cannot be reached has the lease.
    hosts.assert_clean();
    hosts.link("join", away);
    hosts.assert_no_masters();
}

#[test]
fn a_host_loses_its_power_and_starts_again() {
    let Some(hosts) = Hosts::up(4) else { return };
    let mut run = Run::start(&hosts, "power", &long(2, "25s"));
    let slow = run.until_faulty(1);
    hosts.link("crash", slow);
    assert!(
        hosts
            .left()
            .iter()
            .any(|path| path.starts_with(hosts.state(slow))),
        "nothing could undo anything there"
    );
    // Control groups are this machine's, and not gone with the host's power.
    hosts.remove_groups("power", slow);
    hosts.next_boot(slow);
    hosts.link("boot", slow);
    let (said, noted) = assert_lost_once(run, slow);
    assert!(noted.contains("its machine has started again"), "{noted}");
    let told = format!("node h{slow} is back: its machine has started again");
    assert!(said.contains(&told), "{said}");
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn a_host_is_lost_until_somebody_sees_to_it() {
    let Some(hosts) = Hosts::up(4) else { return };
    let file = experiment(&hosts, "gone", 2, "5s", "rejoin_within: 20s");
    let mut run = Run::begin(&hosts, &file);
    let slow = run.until_faulty(1);
    hosts.link("crash", slow);
    let out = run.out.clone();
    let (code, said) = run.end();
    assert_eq!(code, Some(4), "{said}");
    let (host, remedy) = (format!("h{slow}"), "--resume");
    assert!(said.contains(&host) && said.contains(remedy), "{said}");
    wait_until("the other hosts are clean", || {
        let gone = hosts.state(slow);
        hosts.left().iter().all(|path| path.starts_with(&gone))
    });
    hosts.assert_no_masters();

    let file = out.with_file_name("gone.yaml");
    let file = file.to_str().unwrap();
    let unreached = hosts.depbench(&["heal", file]);
    assert_eq!(unreached.status.code(), Some(4), "{}", text(&unreached));
    assert!(text(&unreached).contains(&format!("{host}: cannot connect")));
    hosts.link("boot", slow);
    let healed = hosts.depbench(&["heal", file]);
    assert!(healed.status.success(), "{}", text(&healed));
    assert!(
        text(&healed).contains(&format!("{host}: healed: gone-")),
        "{}",
        text(&healed)
    );
    assert_eq!(
        hosts.left(),
        Vec::<std::path::PathBuf>::new(),
        "{}",
        text(&healed)
    );

    let resumed = hosts.depbench(&["run", "--resume", out.to_str().unwrap()]);
    assert!(
        matches!(resumed.status.code(), Some(0 | 2)),
        "{}",
        text(&resumed)
    );
    assert_eq!(reasons(&out).len(), 2);
    hosts.assert_clean();
}

#[test]
fn waiting_for_a_host_that_is_lost_can_be_interrupted() {
    let Some(hosts) = Hosts::up(4) else { return };
    let mut run = Run::start(&hosts, "waited", &long(2, "5s"));
    let slow = run.until_faulty(1);
    hosts.link("crash", slow);
    wait_until("the trial is marked", || {
        assert!(
            run.controller.try_wait().unwrap().is_none(),
            "it ended early"
        );
        RunDir::open(&run.out)
            .is_ok_and(|run| run.completed_trials().is_ok_and(|all| all.len() == 1))
    });
    kill(Pid::from_raw(run.controller.id() as i32), Signal::SIGINT).unwrap();
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("run --resume "), "{said}");
    let gone = hosts.state(slow);
    let others = hosts
        .left()
        .into_iter()
        .find(|path| !path.starts_with(&gone));
    assert_eq!(others, None, "{said}");
    hosts.assert_no_masters();
    hosts.link("boot", slow);
    let file = hosts.dir().with_file_name("waited.yaml");
    let healed = hosts.depbench(&["heal", file.to_str().unwrap()]);
    assert!(healed.status.success(), "{}", text(&healed));
    hosts.assert_clean();
}
