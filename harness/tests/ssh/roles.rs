//! What machines are there for: several that drive load, and one that does everything.

use std::collections::BTreeSet;
use std::fs;

use results::RunDir;

use super::QUIET;
use crate::hosts::{Hosts, text};

#[test]
fn load_comes_from_several_machines() {
    let Some(hosts) = Hosts::up(3) else { return };
    let load = "workload: {clients: 4, connections: 2, write: 50%, sample_keys: 20, keys: {uniform: {count: 20}}}\n";
    let file = hosts.experiment("several", &format!("{QUIET}{load}"));
    let one_client = fs::read_to_string(&file).unwrap();
    let two_clients =
        one_client.replace("{name: h2, roles: [server]}", "{name: h2, roles: [client]}");
    assert_ne!(one_client, two_clients);
    fs::write(&file, two_clients).unwrap();
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    assert!(
        matches!(ended.status.code(), Some(0 | 2)),
        "{}",
        text(&ended)
    );

    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    let clients = run
        .environment()
        .nodes
        .iter()
        .filter(|node| node.purpose == "client");
    let clients: BTreeSet<&str> = clients.map(|node| node.node.as_str()).collect();
    assert_eq!(clients, BTreeSet::from(["h2", "h3"]));
    let [trial] = &run.trials().unwrap()[..] else {
        panic!("{}", text(&ended))
    };
    assert_eq!(trial.record().validity().reason(), None, "{}", text(&ended));
    // Begun together and put together: each of the three seconds has its writes and its reads once.
    let intervals = trial.intervals().unwrap();
    assert_eq!(intervals.len(), 6, "{intervals:?}");
    let history = fs::read_to_string(trial.path().join("history.jsonl")).unwrap();
    let operations = history
        .lines()
        .map(|line| serde_json::from_str::<history::Operation>(line).unwrap());
    let clients: BTreeSet<u32> = operations.map(|operation| operation.client).collect();
    assert!(
        BTreeSet::from([0, 1, 100_000, 100_001]).is_subset(&clients),
        "{clients:?}"
    );
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn a_machine_with_both_roles_is_told() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("both", QUIET);
    let apart = fs::read_to_string(&file).unwrap();
    let both = "roles: [server, client], data_address: 10.78.0.11}";
    fs::write(&file, apart.replace("roles: [server]}", both)).unwrap();
    let checked = hosts.depbench(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));
    let note = "h1: runs a server and drives load: the load competes with what is measured";
    assert!(text(&checked).contains(note), "{}", text(&checked));
    hosts.assert_clean();
    hosts.assert_no_masters();
}
