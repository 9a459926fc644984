//! DepFast-Raft in a simulated world where everything goes wrong.
//!
//! 2,000 random lives by default. Any number, on all cores:
//!
//! ```text
//! DEPFAST_SEEDS=100000 cargo test --profile simulation -p depfast-raft --test simulation random -- --nocapture
//! ```
//!
//! ends with a line that says what happened, and fails, naming the first seeds that broke a promise, if any did. `DEPFAST_SEED=17` instead runs
//! that one again, step by step the same; `DEPFAST_FROM=100000` begins there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod cluster;
mod courses;
mod faults;
mod invariants;
mod life;
mod scenarios;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cluster::Setup;
use faults::Tally;
use life::{live, outcome};

/// Lives are short and allocate all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What all lives of a run have seen together.
#[derive(Default)]
struct Total {
    seeds: u64,
    operations: usize,
    acknowledged: usize,
    leader_changes: usize,
    installed: u64,
    tally: Tally,
    failed: Vec<(u64, String)>,
}

impl Total {
    fn add(&mut self, seed: u64, outcome: Result<life::Summary, String>) {
        self.seeds += 1;
        match outcome {
            Ok(summary) => {
                self.operations += summary.operations.len();
                self.acknowledged += summary.acknowledged;
                self.leader_changes += summary.leaders.saturating_sub(1);
                self.installed += summary.installed;
                self.tally.add(&summary.tally);
            }
            Err(violation) => self.failed.push((seed, violation)),
        }
    }

    fn print(&self) {
        println!(
            "seeds {} operations {} acknowledged writes {} leader changes {} installed snapshots {} {} violations {}",
            self.seeds,
            self.operations,
            self.acknowledged,
            self.leader_changes,
            self.installed,
            self.tally,
            self.failed.len()
        );
        for (seed, violation) in self.failed.iter().take(20) {
            println!("DEPFAST_SEED={seed}: {violation}");
        }
    }
}

#[test]
fn random_faults_break_no_promise() {
    let first = number("DEPFAST_SEED")
        .or(number("DEPFAST_FROM"))
        .unwrap_or(0);
    let count = match number("DEPFAST_SEED") {
        Some(_) => 1,
        None => number("DEPFAST_SEEDS").unwrap_or(2000),
    };
    let (next, total) = (AtomicU64::new(first), Mutex::new(Total::default()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = outcome(seed, &Setup::varied(seed), false);
                    total.lock().unwrap().add(seed, outcome);
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap();
    total.failed.sort();
    total.print();
    assert!(total.failed.is_empty(), "see above");
    assert_eq!(total.seeds, count);
}

#[test]
fn a_seed_is_a_run() {
    let again = |seed| live(seed, &Setup::varied(seed), false).unwrap();
    let (one, same) = (again(7), again(7));
    assert_eq!(one, same);
    assert!(one.acknowledged > 50, "the group did serve: {one:?}");
    assert_ne!(one, again(13));
}
