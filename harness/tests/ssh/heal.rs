//! Healing one host while another run holds others: they share this machine's control groups, loop disks and swap.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Run, assert_carried_out, reasons};
use crate::hosts::{Hosts, text, wait_until};

/// A server on one host and its load on another; `more` faults besides those of processor, disk and network.
fn experiment(hosts: &Hosts, name: &str, server: usize, fault: &str, more: &[&str]) -> PathBuf {
    let config = hosts.dir().join("ssh_config");
    let kinds = [
        "cpu.quota: {share: 5%}",
        "disk.throughput: {rate: 100KB/s}",
        // By a delay line, whose process ends with the others: nothing gets through any more but control.
        "net.delay: {delay: 20ms}",
    ];
    let kinds = kinds.iter().chain(more).enumerate();
    let faults: String = kinds
        .map(|(i, kind)| {
            format!("  - {{name: f{i}, type: {{{kind}}}, on: {{node: h{server}, allow_majority: true}}}}\n")
        })
        .collect();
    let text_of = format!(
        "name: {name}
cluster:
  ssh:
    config: {}
    disk: {{own: 64MiB}}
    nodes: [{{name: h{server}, roles: [server]}}, {{name: h{}, roles: [client]}}]
targets: [{{depfast-raft: {{}}}}]
workload: {{clients: 8, connections: 4}}
phases: {{warmup: 1s, baseline: 2s, fault: {fault}}}
faults:
{faults}",
        config.display(),
        server + 2
    );
    hosts.file(&format!("{name}.yaml"), &text_of)
}

fn events(run: &Run, kind: &str) -> usize {
    let events = run.out.join("trials/depfast-raft/1/events.csv");
    let text = std::fs::read_to_string(events).unwrap_or_default();
    text.matches(kind).count()
}

fn wait_for_faults(run: &mut Run, faults: usize) {
    wait_until("the faults are in force", || {
        let ended = run.controller.try_wait().unwrap();
        assert!(ended.is_none(), "it ended early");
        events(run, "fault-effective") == faults
    });
}

fn agents(hosts: &Hosts, host: usize) -> Vec<i32> {
    let programs = hosts.programs(host).into_iter();
    let agents =
        programs.filter(|(_, line)| line.contains("/depbench-") && line.contains(" agent "));
    agents.map(|(pid, _)| pid).collect()
}

#[test]
fn healing_one_host_leaves_the_run_on_another_alone() {
    let Some(hosts) = Hosts::up(4) else { return };
    // The swap of one is there for all.
    let swap = ["memory.limit: {bytes: 256MiB}"];
    let dead_file = experiment(&hosts, "dead", 1, "600s", &swap);
    let mut dead = Run::begin(&hosts, &dead_file);
    wait_for_faults(&mut dead, 4);
    let live_file = experiment(&hosts, "live", 2, "10s", &[]);
    let mut live = Run::begin(&hosts, &live_file);
    wait_for_faults(&mut live, 3);

    // Its controller, and everybody who could undo anything on its server's host.
    let mut all = vec![dead.controller.id() as i32];
    all.extend(hosts.programs(1).into_iter().map(|(pid, _)| pid));
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in &all {
            kill(Pid::from_raw(*pid), signal).unwrap();
        }
    }
    dead.controller.wait().unwrap();
    wait_until("they are dead", || hosts.programs(1).is_empty());
    let left = hosts.traces("dead", 1);
    for kind in ["/sys/fs/cgroup/", "/dev/loop"] {
        assert!(left.iter().any(|line| line.starts_with(kind)), "{left:#?}");
    }
    let others = || (hosts.traces("live", 2), agents(&hosts, 2));
    let before = others();

    let healed = hosts.depbench(&["heal", dead_file.to_str().unwrap()]);
    let said = text(&healed);
    assert!(healed.status.success(), "{said}");
    assert!(said.contains("h1: healed: dead-"), "{said}");
    let stdout = String::from_utf8_lossy(&healed.stdout);
    let of_its_machines = |line: &str| ["h1: ", "h3: "].iter().any(|name| line.starts_with(name));
    assert!(stdout.lines().all(of_its_machines), "{said}");
    assert_eq!(hosts.traces("dead", 1), Vec::<String>::new(), "{said}");
    let after = others();
    // Unless this machine is so busy that the run is over.
    if events(&live, "fault-cleared") == 0 {
        assert!(
            before.0.iter().any(|line| line.starts_with("db-")),
            "{before:#?}"
        );
        assert_eq!(after, before, "{said}");
    } else {
        println!("the other run was over when the first one was healed");
    }

    let out = live.out.clone();
    let (code, said) = live.end();
    assert!(matches!(code, Some(0 | 2)), "{said}");
    let reasons = reasons(&out);
    assert_eq!(reasons.len(), 1, "{said}");
    assert_carried_out(reasons[0].as_ref());
    hosts.assert_clean();
}
