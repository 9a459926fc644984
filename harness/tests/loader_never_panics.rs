//! Whatever the bytes, loading ends with an experiment or with a report that can be printed.

use depbench::experiment::{Color, LoadError, from_bytes};
use proptest::prelude::*;

const SEED: &str = "name: x
cluster: {local: {servers: 3, clients: 1}}
targets: [{depfast-raft: {durability: memory}}, {etcd: {}}]
workload: {clients: 64, write: 100%, mode: {open: {rate: 5000/s}}}
phases: {warmup: 5s, baseline: 10s, fault: 15s}
faults:
  - name: slow
    type: {cpu.quota: {share: 5%}}
    on: {role: follower, count: 1}
sweep: {faults.slow.type.cpu.quota.share: [5%, 50%], workload.value: [16B]}
trials: 3
";

/// Pieces that mean something to YAML or to the loader.
const PIECES: [&str; 24] = [
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!t ",
    "\"",
    "'",
    "|\n",
    "#",
    "---\n",
    "5%",
    "99999999999999999999",
    "~",
    "ä€😀",
    "\u{feff}",
    "faults.slow.",
];

fn try_load(bytes: Vec<u8>) {
    match from_bytes("x.yaml", bytes) {
        Ok(experiment) => drop(experiment.resolved()),
        Err(LoadError::Wrong(report)) => {
            assert!(!report.problems().is_empty());
            assert!(report.render(Color::Terminal).len() >= report.render(Color::Plain).len());
        }
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_load(bytes);
    }

    #[test]
    fn of_an_experiment_with_damage(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, prop::sample::select(&PIECES[..])), 1..6)
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.chars());
        }
        try_load(text.into_iter().collect::<String>().into_bytes());
    }

    #[test]
    fn of_an_experiment_with_a_line_moved(from in 0..12usize, to in 0..12usize, indent in 0..5usize) {
        let mut lines: Vec<String> = SEED.lines().map(str::to_owned).collect();
        let line = lines.remove(from.min(lines.len() - 1));
        lines.insert(to.min(lines.len()), format!("{}{line}", " ".repeat(indent)));
        try_load(lines.join("\n").into_bytes());
    }
}
