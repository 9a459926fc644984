use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

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
