//! What a group costs that has nothing to do.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::group::{Group, Options};

/// How long the CPU time is counted.
const COUNTED: Duration = Duration::from_secs(5);
/// Ten times what is aimed at: a busy machine makes every wake-up dearer.
const MOST: f64 = 0.2;

#[test]
fn idle_replicas_hardly_use_the_cpu() {
    let group = Group::start_with(
        3,
        Options {
            election_timeout: Duration::from_millis(500),
            ..Options::default()
        },
    );
    group.leader();
    thread::sleep(Duration::from_secs(1));
    let used = || -> Duration {
        group
            .ids()
            .iter()
            .map(|id| cpu_time(group.process(*id)))
            .sum()
    };
    let (start, before) = (Instant::now(), used());
    thread::sleep(COUNTED);
    let share = (used() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!(
        "three idle replicas use {:.2} % of a core, heartbeats every 50 ms",
        share * 100.0
    );
    assert!(share < MOST, "three idle replicas use {share} of a core");
}

/// The CPU time of all threads of a process.
fn cpu_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let time = |thread: fs::DirEntry| -> Option<u64> {
        // A thread may end meanwhile.
        let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        line.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(|thread| time(thread.ok()?)).sum())
}
