//! `depbench bench faults`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::needs_root;
use common::runs::Lab;
use nix::sys::signal::Signal;

#[test]
fn what_was_asked_is_held_against_what_the_node_got() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("fidelity");
    let csv = lab.path().join("fidelity.csv");
    let arguments = ["bench", "faults", "--hold", "1s", "--type", "process.pause"];
    let more = ["--type", "net.partition", "--csv", csv.to_str().unwrap()];
    let ended = lab.depbench(&[&arguments[..], &more].concat()).end();
    ended.expect(0).says(&["0 not measured"]);
    let lines = fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("fault,beside,quantity,unit,asked,got,"));
    // A cut is whole however busy the machine is.
    let cut = lines.iter().find(|line| line.starts_with("net.partition"));
    assert!(cut.unwrap().contains(",100.000,"), "{lines:?}");
    assert_eq!(lines.len(), 5, "{lines:?}");
    let wrong = ["bench", "faults", "--type", "net.partitoin"];
    let ended = lab.depbench(&wrong).end();
    ended.expect(3).says(&["did you mean `net.partition`"]);
}

#[test]
fn what_was_measured_until_it_was_interrupted_is_told() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("fidelity-cut");
    let csv = lab.path().join("fidelity.csv");
    let arguments = ["bench", "faults", "--hold", "5s", "--type", "process.pause"];
    let more = ["--csv", csv.to_str().unwrap()];
    let mut bench = lab.depbench(&[&arguments[..], &more].concat());
    bench.until("process.pause", 1);
    bench.signal(Signal::SIGINT);
    let ended = bench.end();
    ended.expect(130).says(&["| fault", "interrupted, "]);
    let measured = fs::read_to_string(&csv).unwrap().lines().count() - 1;
    assert!((1..3).contains(&measured), "{measured}");
    let entries = |dir: &str| {
        let entries = fs::read_dir(lab.state().join(dir)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    assert!(entries("nodes").is_empty(), "{:?}", entries("nodes"));
    lab.depbench(&["heal"])
        .end()
        .expect(0)
        .says(&["nothing to heal"]);
}
