//! Whoever injected is killed in the middle: helpers end, and a heal restores the rest.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Server, busy, example, has_cgroups, is_root, run_name, state, wait_for};
use network::Network;
use node::journal::heal;
use serde_json::{Value, json};

/// An injecting process, and the line in which it says what it did.
struct Agent {
    process: Process,
    said: String,
}

impl Agent {
    fn start(mut command: Command, order: &Value) -> Agent {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(process.stdin.as_mut().unwrap(), "{order}").unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut said)
            .unwrap();
        Agent { process, said }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn order(journal: &Path, kind: &Value, server: Option<i32>) -> Value {
    json!({
        "journal": journal, "run": run_name(), "kind": kind, "helper": example("fault_helper"),
        "server": server, "budget": null, "link": null, "wiring": "hub",
    })
}

fn agent() -> Command {
    Command::new(example("fault_agent"))
}

fn assert_healed(journal: &Path) {
    let report = heal(journal).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let left: Vec<_> = std::fs::read_dir(journal).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.path().is_file()), "{left:?}");
}

#[test]
fn a_paused_server_goes_on_after_a_heal() {
    let journal = tempfile::tempdir().unwrap();
    let server = Server(busy().spawn().unwrap());
    let order = order(
        journal.path(),
        &json!({"process.pause": {}}),
        Some(server.id().pid),
    );
    let mut agent = Agent::start(agent(), &order);
    assert_eq!(state(server.id()), 'T', "{}", agent.said);
    agent.kill();
    assert_eq!(state(server.id()), 'T');
    assert_healed(journal.path());
    assert_eq!(state(server.id()), 'R');
}

#[test]
fn a_duty_cycle_ends_with_whoever_started_it() {
    let journal = tempfile::tempdir().unwrap();
    let server = Server(busy().spawn().unwrap());
    let kind = json!({"process.pause": {"for": "900ms", "period": "1s"}});
    let order = order(journal.path(), &kind, Some(server.id().pid));
    let mut agent = Agent::start(agent(), &order);
    wait_for("a stop", || state(server.id()) == 'T');
    agent.kill();
    // No heal is needed: the cycle sees that its starter is gone, and lets the server go on for good.
    wait_for("the end of the stop", || state(server.id()) == 'R');
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(state(server.id()), 'R');
    assert_healed(journal.path());
}

#[test]
fn cgroup_faults_are_gone_after_a_heal() {
    if !has_cgroups("cgroup faults after a kill") {
        return;
    }
    let foreign = ForeignGroup::make();
    let untouched = foreign.state();
    for kind in [
        json!({"cpu.quota": {"share": "20%"}}),
        json!({"cpu.contention": {"weight": "15x", "threads": 1}}),
        json!({"memory.limit": {"bytes": "50MB"}}),
        json!({"memory.contention": {"bytes": "16MiB"}}),
        json!({"disk.throughput": {"rate": "128KB/s"}}),
        json!({"disk.iops": {"rate": "50/s"}}),
        json!({"disk.contention": {"sync": "fsync"}}),
    ] {
        let journal = tempfile::tempdir().unwrap();
        let mut server = Server(busy().spawn().unwrap());
        let mut order = order(journal.path(), &kind, Some(server.id().pid));
        order["budget"] = json!(0.5);
        let mut agent = Agent::start(agent(), &order);
        assert!(!agent.said.is_empty(), "{order}");
        agent.kill();
        let swap = agent.said.trim().split_once("of swap on ");
        let swap = swap.map(|(_, device)| format!("{device} "));
        let swaps = || std::fs::read_to_string("/proc/swaps").unwrap();
        assert!(swap.iter().all(|device| swaps().contains(device)));
        let name = format!("depbench-{}-s1", order["run"].as_str().unwrap());
        assert!(groups().contains(&name));
        assert_healed(journal.path());
        assert!(!groups().contains(&name), "{order}");
        assert_eq!(foreign.state(), untouched, "{order}");
        assert!(!swap.iter().any(|device| swaps().contains(device)));
        // Killed with its group.
        server.0.wait().unwrap();
    }
}

/// A group that somebody else has made where ours are made, limited and with a process in it.
struct ForeignGroup {
    dirs: Vec<PathBuf>,
    resident: Server,
}

impl ForeignGroup {
    fn make() -> ForeignGroup {
        let resident = Server(common::idle().spawn().unwrap());
        let hierarchies = node::cgroup::Hierarchies::detect();
        let name = format!("foreign-{}", run_name());
        let dirs: Vec<PathBuf> = hierarchies.bases().map(|base| base.join(&name)).collect();
        for dir in &dirs {
            std::fs::create_dir(dir).unwrap();
            for (file, value) in [("cpu.shares", "77"), ("cpu.weight", "77")] {
                if dir.join(file).exists() {
                    std::fs::write(dir.join(file), value).unwrap();
                }
            }
            // A cpuset must be given its processors first; there its process stays where it is.
            let _stays = std::fs::write(dir.join("cgroup.procs"), resident.0.id().to_string());
        }
        ForeignGroup { dirs, resident }
    }

    /// Its processes, weights and limits.
    fn state(&self) -> Vec<(PathBuf, String)> {
        let files = [
            "cgroup.procs",
            "cpu.shares",
            "cpu.weight",
            "cpu.cfs_quota_us",
            "cpu.max",
            "memory.limit_in_bytes",
            "memory.max",
            "blkio.throttle.write_bps_device",
            "io.max",
        ];
        let paths = self
            .dirs
            .iter()
            .flat_map(|dir| files.map(|file| dir.join(file)));
        paths
            .filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?)))
            .collect()
    }
}

impl Drop for ForeignGroup {
    fn drop(&mut self) {
        self.resident.0.kill().unwrap();
        self.resident.0.wait().unwrap();
        for dir in &self.dirs {
            // The kernel takes its time to see that a group is empty.
            wait_for("an empty group", || std::fs::remove_dir(dir).is_ok());
        }
    }
}

/// All cgroups of nodes on this machine, by name.
fn groups() -> Vec<String> {
    let hierarchies = node::cgroup::Hierarchies::detect();
    let entries = hierarchies
        .bases()
        .filter_map(|base| std::fs::read_dir(base).ok());
    let names = entries.flat_map(Iterator::flatten);
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_delay_line_lets_packets_through_at_once_and_its_rule_is_healed() {
    if !is_root("delay line after a kill") {
        return;
    }
    let network = Network::new();
    if node::facts::Facts::gather().unwrap().netem.is_yes() {
        println!("delay line after a kill skipped: this kernel has netem");
        return;
    }
    let journal = tempfile::tempdir().unwrap();
    // Holds the namespace, as agents and servers do, so that a heal finds it.
    let mut sleeper = common::idle();
    network.hub.admit(&mut sleeper);
    let _resident = Server(sleeper.spawn().unwrap());
    let mut order = order(
        journal.path(),
        &json!({"net.delay": {"delay": "200ms"}}),
        None,
    );
    let link = network.link_at_hub(1);
    order["link"] = json!([link.device, link.peer]);
    let mut command = agent();
    network.hub.admit(&mut command);
    let mut agent = Agent::start(command, &order);
    assert!(agent.said.contains("delayed by 200ms"), "{}", agent.said);
    let filter = || {
        let call = node::tool::Call::new(node::tool::Program::Iptables)
            .args(["-w", "5", "-t", "mangle", "-S"]);
        network.hub.run(|| call.run().unwrap()).unwrap()
    };
    assert!(filter().contains("DEPBENCH"));
    agent.kill();
    let echo = || {
        let socket = network.nodes[1]
            .run(|| std::net::UdpSocket::bind("0.0.0.0:7000").unwrap())
            .unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let other = network.nodes[0]
            .run(|| std::net::UdpSocket::bind("0.0.0.0:7000").unwrap())
            .unwrap();
        other
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let start = Instant::now();
        socket
            .send_to(b"?", (network::node_address(0), 7000))
            .unwrap();
        // What is in the queue when it ends is lost.
        other.recv(&mut [0; 8]).ok().map(|_| start.elapsed())
    };
    wait_for("the end of the delay", || {
        echo().is_some_and(|took| took < Duration::from_millis(200))
    });
    assert!(filter().contains("DEPBENCH"));
    assert_healed(journal.path());
    assert!(!filter().contains("DEPBENCH"), "{}", filter());
}

#[test]
fn detours_rules_and_taps_are_gone_after_a_heal() {
    if !is_root("network faults after a kill") {
        return;
    }
    let network = Network::new();
    let node = &network.nodes[1];
    network::tc(node, "qdisc add dev eth0 root handle 7: pfifo limit 5000");
    // Holds the namespace, as agents and servers do, so that a heal finds it.
    let mut sleeper = common::idle();
    node.admit(&mut sleeper);
    let _resident = Server(sleeper.spawn().unwrap());
    let state = || {
        let rules = ["raw", "mangle"].map(|table| {
            network::filter(
                node,
                node::tool::Program::Iptables,
                &format!("-t {table} -S"),
            )
        });
        let shown =
            ["qdisc show", "filter show dev eth0 egress"].map(|words| network::tc(node, words));
        let links = || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        (rules, shown, network::within(node, links).lines().count())
    };
    // Tables appear when they are first looked at.
    state();
    let alone = state();
    let facts = node::facts::Facts::gather().unwrap();
    for (kind, wiring, means) in [
        (json!({"net.rate": {"rate": "1MB/s"}}), "hub", facts.tbf),
        (json!({"net.loss": {"share": "1%"}}), "direct", facts.tap),
        (json!({"net.partition": {}}), "direct", facts.packet_filter),
    ] {
        if let Some(reason) = means.reason() {
            println!("{kind} skipped: {reason}");
            continue;
        }
        let journal = tempfile::tempdir().unwrap();
        let mut order = order(journal.path(), &kind, None);
        let link = network.link_at_node(1);
        order["link"] = json!([link.device, link.peer]);
        order["wiring"] = json!(wiring);
        let mut command = agent();
        node.admit(&mut command);
        let mut agent = Agent::start(command, &order);
        println!("{}", agent.said.trim());
        assert_ne!(state(), alone, "{kind}");
        agent.kill();
        assert_healed(journal.path());
        // A helper that was not killed lets its link go when it sees that its starter is gone.
        wait_for("the end of a link", || state() == alone);
    }
}
