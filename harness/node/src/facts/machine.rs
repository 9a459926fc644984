use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_getres};
use nix::unistd::Pid;
use vocab::units::Span;

pub(super) fn hostname() -> String {
    uname().map_or_else(
        |_| String::new(),
        |name| name.nodename().to_string_lossy().into_owned(),
    )
}

pub(super) fn kernel() -> String {
    uname().map_or_else(
        |_| String::new(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

pub(super) fn cpus() -> u32 {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return 1;
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .count() as u32
}

/// The grain of the kernel's timers.
pub fn tick() -> Span {
    let grain = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE);
    grain.map_or(Span::millis(10), |grain| Duration::from(grain).into())
}

pub(super) fn system() -> String {
    field("/etc/os-release", "PRETTY_NAME", '=')
}

pub(super) fn processor() -> String {
    // Arm's kernel tells no model.
    field("/proc/cpuinfo", "model name", ':')
}

/// The value behind a key of a text file.
fn field(path: &str, key: &str, separator: char) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(separator));
    value.map_or_else(
        || "unknown".to_owned(),
        |value| value.trim().trim_matches('"').to_owned(),
    )
}
