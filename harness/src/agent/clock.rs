//! The clock by which agents and controller stamp.

use nix::time::{ClockId, clock_gettime};
use vocab::time::Monotonic;

/// This machine's monotonic clock, now.
pub fn now() -> Monotonic {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux kernel has this clock");
    Monotonic::from_nanos(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
