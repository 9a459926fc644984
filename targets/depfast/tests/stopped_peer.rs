//! A stopped peer costs bounded memory, however much it is sent.

#[path = "../examples/stopped_peer.rs"]
#[expect(dead_code, reason = "the example has a main function as well")]
mod stopped_peer;

use std::time::Duration;

use stopped_peer::{Limit, Mode, Report};

/// Is a peer when the other tests start it as a process.
#[test]
fn peer_process() {
    stopped_peer::be_peer_if_told();
}

fn run(mode: Mode) -> Report {
    // Four times what would fit, so that it would show if anything were kept.
    let limit = Limit {
        time: Duration::from_secs(60),
        offered: 4 * Report::BOUND,
    };
    let report = stopped_peer::run(mode, limit, &["--exact", "peer_process"]);
    assert!(report.recovered, "{report:?}");
    assert!(report.is_bounded(), "{report:?}");
    report
}

#[test]
fn a_stopped_peer_costs_bounded_memory() {
    let dropping = run(Mode::Dropping);
    assert!(dropping.errors.contains_key("NotNeeded"), "{dropping:?}");
    let keeping = run(Mode::Keeping);
    assert!(keeping.errors.contains_key("QueueFull"), "{keeping:?}");
}
