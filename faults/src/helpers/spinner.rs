//! `depbench spinner`: keeps CPUs busy and does nothing else.

use std::num::NonZeroU32;
use std::thread;

use serde::{Deserialize, Serialize};

use super::lifeline::{Lifeline, Wake};
use super::{HelperError, Priority};

/// What a spinner is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpinnerJob {
    /// How many threads spin.
    pub threads: NonZeroU32,
    /// The CPUs they keep to, one each and in turn; empty for any that it was started with.
    pub cpus: Vec<usize>,
}

/// What a spinner answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpinnerState {
    /// How soon it runs: as any process, since the cgroup's weight is to decide.
    pub priority: Priority,
}

/// Runs a spinner until its stdin ends.
///
/// # Errors
/// No job, or CPUs that this process may not use.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<SpinnerJob>()?;
    // Each stays on one CPU: left alone the kernel may move two to the same, and the server has the other for itself.
    let mut cpus = job.cpus.iter().cycle();
    for _ in 0..job.threads.get() {
        if let Some(cpu) = cpus.next() {
            pin(*cpu).map_err(HelperError::system("use a CPU of the server"))?;
        }
        thread::Builder::new()
            .name("spinner".to_owned())
            .stack_size(64 << 10)
            .spawn(spin)
            .map_err(HelperError::system("start a thread"))?;
    }
    let state = SpinnerState {
        priority: Priority::Ordinary,
    };
    lifeline.answer(&state);
    while lifeline.wait_for_end()? == Wake::Asked {
        lifeline.answer(&state);
    }
    Ok(())
}

fn spin() {
    let mut count = 0_u64;
    loop {
        // Real instructions: a pause hint would leave most of the core to its sibling.
        count = std::hint::black_box(
            count
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
}

/// For this thread, and those that it starts from now on.
fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)
}
