//! How exact the times of a trial are.

use std::fs;

use results::RunDir;

use super::QUIET;
use crate::hosts::{Hosts, text};

#[test]
fn clocks_are_compared_at_both_ends_of_a_trial() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("clocks", QUIET);
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    assert!(ended.status.success(), "{}", text(&ended));
    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    let trial = &run.trials().unwrap()[0];
    let told = fs::read_to_string(trial.path().join("clocks.json")).unwrap();
    let nodes: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    let names: Vec<&str> = nodes
        .iter()
        .map(|node| node["node"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["h1", "h2"]);
    for node in &nodes {
        // The hosts share this machine's clock: the truth is zero.
        for end in ["start", "end"] {
            let (off, error) = (&node[end]["offset_ns"], &node[end]["error_ns"]);
            let off = off.as_i64().unwrap().unsigned_abs();
            assert!(off <= error.as_u64().unwrap(), "{told}");
        }
        assert!(
            node["error_ns"].as_u64() >= node["start"]["error_ns"].as_u64(),
            "{told}"
        );
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}
