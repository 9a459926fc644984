use std::fs;
use std::io;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::utsname::uname;
use nix::unistd::Pid;
use vocab::units::Bytes;

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

/// Memory and swap of the machine.
pub(super) fn memory() -> io::Result<(Bytes, Bytes)> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kibibytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let bytes = |key| Bytes(kibibytes(key).unwrap_or_default() * 1024);
    Ok((bytes("MemTotal:"), bytes("SwapTotal:")))
}

pub(super) fn cpus() -> u32 {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return 1;
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .count() as u32
}
