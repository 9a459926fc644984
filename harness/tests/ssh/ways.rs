//! Ways to machines: over a jump host, and between them over another network than the one that control takes.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::rights::ACCOUNT;
use super::{Run, assert_carried_out, reasons};
use crate::hosts::{Hosts, text, wait_until};

/// Cuts `host` off from all others.
fn partition(host: &str, length: &str) -> String {
    format!(
        "targets: [{{depfast-raft: {{}}}}]\nworkload: {{clients: 8, connections: 4}}\n\
         phases: {{warmup: 1s, baseline: 2s, fault: {length}, recovery: 1s}}\n\
         faults:\n  - {{name: slow, type: {{net.partition: {{}}}}, on: {{node: {host}}}}}\n"
    )
}

/// The partition of the one trial is over this interface.
fn assert_cut(out: &Path, interface: &str) {
    let events = fs::read_to_string(out.join("trials/depfast-raft/1/events.csv")).unwrap();
    let told = format!("packets over {interface} to and from everyone are dropped");
    assert!(events.contains(&told), "{events}");
}

/// The connection that a machine must not lose is then the one from the jump host.
#[test]
fn machines_behind_a_jump_host() {
    let Some(hosts) = Hosts::up(5) else { return };
    let sudo = Path::new("/usr/bin/sudo").exists();
    if sudo {
        hosts.on(2, ACCOUNT);
        hosts.on(
            2,
            "echo 'bench ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/bench",
        );
    }
    // The first host is the way to the others, and the only one.
    let config = hosts.dir().join("ssh_config");
    let jump = format!(
        "{}Host h2 h3 h4 h5\n    ProxyJump h1\n",
        fs::read_to_string(&config).unwrap()
    );
    let own = hosts.file("jump_config", &jump);
    for host in 12..=15 {
        let route = ["route", "add", "unreachable", &format!("10.78.0.{host}")];
        let added = hosts.run("ip", &route);
        assert!(added.status.success(), "{}", text(&added));
    }
    let mut all = fs::read_to_string(hosts.experiment("jump", &partition("h2", "4s"))).unwrap();
    if sudo {
        // What becomes root forgets the connection that it came by.
        all = all.replace("{name: h2, ", "{name: h2, login: {user: bench}, ");
    }
    let behind = all.replace("      - {name: h1, roles: [server]}\n", "");
    assert_ne!(behind, all);
    let direct = hosts.file("direct.yaml", &behind);
    let unreached = hosts.depbench(&["check", direct.to_str().unwrap()]);
    assert_eq!(unreached.status.code(), Some(4), "{}", text(&unreached));
    let behind = behind.replace(config.to_str().unwrap(), own.to_str().unwrap());
    let file = hosts.file("behind.yaml", &behind);

    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    let code = ended.status.code();
    assert!(matches!(code, Some(0 | 2)), "{}", text(&ended));
    let out = file.with_file_name("out");
    let reasons = reasons(&out);
    assert_eq!(reasons.len(), 1, "{}", text(&ended));
    assert_carried_out(reasons[0].as_ref());
    assert_cut(&out, "eth0");
    if sudo {
        let brought = [
            "-F",
            own.to_str().unwrap(),
            "h2",
            "ls /run/bench/.cache/depbench",
        ];
        let brought = text(&hosts.run("/usr/bin/ssh", &brought));
        assert!(brought.contains("depbench-"), "{brought}");
    }
    hosts.assert_clean();

    // A jump host that is a server itself: what hit it would hit the connections to the others.
    let among = all.replace(config.to_str().unwrap(), own.to_str().unwrap());
    for (node, code) in [("h1", 4), ("h2", 0)] {
        let file = hosts.file(
            "among.yaml",
            &among.replace("node: h2", &format!("node: {node}")),
        );
        let checked = hosts.depbench(&["check", file.to_str().unwrap()]);
        let said = text(&checked);
        assert_eq!(checked.status.code(), Some(code), "{said}");
        let told = "on h1: the connections of ssh to h2, h3, h4, h5 go through h1";
        assert_eq!(said.contains(told), node == "h1", "{said}");
    }

    // A jump host whose own key is unknown: ssh tells the one behind it nothing.
    let known = hosts.dir().join("known_hosts");
    let others = fs::read_to_string(&known).unwrap();
    let others: Vec<&str> = others
        .lines()
        .filter(|l| !l.starts_with("10.78.0.11 "))
        .collect();
    let others = hosts.file("others", &(others.join("\n") + "\n"));
    let jump = jump.replace(known.to_str().unwrap(), others.to_str().unwrap());
    fs::write(&own, jump).unwrap();
    let refused = hosts.depbench(&["check", file.to_str().unwrap()]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    for part in [
        "cannot start node h2: ",
        "jump host",
        "its key must be known",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    hosts.assert_no_masters();
}

/// Servers and load talk over the second network, and there faults go; the first host's address is one of no link to
/// others, so that its link must be named.
#[test]
fn data_take_another_network_than_control() {
    let Some(hosts) = Hosts::up(4) else { return };
    hosts.on(1, "ip addr add 10.80.0.11/32 dev lo");
    for host in 2..=4 {
        hosts.on(host, "ip route add 10.80.0.11/32 via 10.79.0.11");
    }
    let mut text_of =
        fs::read_to_string(hosts.experiment("data", &partition("h1", "120s"))).unwrap();
    for host in 1..=4 {
        let (before, address) = (format!("{{name: h{host}, "), format!("10.79.0.1{host}"));
        let fields = match host {
            1 => "data_address: 10.80.0.11, interface: eth1".to_owned(),
            _ => format!("data_address: {address}"),
        };
        text_of = text_of.replace(&before, &format!("{before}{fields}, "));
    }
    let file = hosts.file("data.yaml", &text_of);
    let counted = |host| {
        let line = hosts.on(host, "grep eth1: /proc/net/dev");
        let bytes = line.split_whitespace().nth(1).unwrap();
        bytes.parse::<u64>().unwrap()
    };
    let before = counted(2);
    let mut run = Run::begin(&hosts, &file);
    run.until_faulty(1);
    // Between the same two machines: cut off on one network, not on the other, where the controller's connection is.
    let reach = |address: &str| {
        let line = format!(
            "timeout 5 bash -c 'read -r line </dev/tcp/{address}/22 && echo $line' || true"
        );
        hosts.on(2, &line).contains("SSH-")
    };
    assert!(reach("10.78.0.11"));
    assert!(!reach("10.79.0.11"));
    let out = run.out.clone();
    kill(Pid::from_raw(run.controller.id() as i32), Signal::SIGINT).unwrap();
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert_cut(&out, "eth1");
    wait_until("the second network is joined again", || reach("10.79.0.11"));
    assert!(
        counted(2) - before > 100_000,
        "data took another way: {said}"
    );
    hosts.assert_clean();
    hosts.assert_no_masters();
}
