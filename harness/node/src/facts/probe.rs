//! What can only be known by trying, tried where it leaves no trace.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::{Answer, Isolation};
use crate::namespace::RootMap;
use crate::tool::{Call, Program, ToolError};

const NODE: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET);

pub(super) fn isolation() -> Isolation {
    if try_namespaces(None).is_ok() {
        return Isolation::AsRoot;
    }
    match try_namespaces(Some(&RootMap::of_this_user())) {
        Ok(()) => Isolation::AsUser,
        Err(error) => Isolation::None(format!(
            "neither as root nor in a user namespace ({error}): run as root, or allow users namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
        )),
    }
}

/// Makes the namespaces, and mounts a `/proc` in them, in processes that end at once.
fn try_namespaces(user: Option<&RootMap>) -> io::Result<()> {
    in_child(|| {
        user.map_or(Ok(()), RootMap::enter)?;
        unshare(NODE)?;
        in_child(|| {
            let none: Option<&str> = None;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            Ok(mount(
                Some("proc"),
                "/proc",
                Some("proc"),
                MsFlags::empty(),
                none,
            )?)
        })
    })
}

/// Runs `work`, which may make system calls only, in a process of its own.
fn in_child(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: the child makes system calls only and leaves by `_exit`, so a lock that another thread held is never needed.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = match work() {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            // SAFETY: ends this process without running what belongs to its parent.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, code) => Err(io::Error::from_raw_os_error(code)),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        },
    }
}

pub(super) fn netem(isolation: &Isolation) -> Answer {
    let call =
        Call::new(Program::Tc).args(["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
    in_network_of_its_own(
        &call,
        isolation,
        "the kernel refuses netem (has it the module sch_netem?)",
    )
}

pub(super) fn nfqueue(isolation: &Isolation) -> Answer {
    let call = Call::new(Program::Iptables).args([
        "-t",
        "mangle",
        "-A",
        "FORWARD",
        "-j",
        "NFQUEUE",
        "--queue-num",
        "0",
    ]);
    in_network_of_its_own(
        &call,
        isolation,
        "the kernel refuses the NFQUEUE target (has it the module xt_NFQUEUE?)",
    )
}

pub(super) fn tbf(isolation: &Isolation) -> Answer {
    let words = "qdisc add dev lo root tbf rate 1mbit burst 10k latency 10ms";
    let call = Call::new(Program::Tc).args(words.split(' '));
    in_network_of_its_own(
        &call,
        isolation,
        "the kernel refuses tbf (has it the module sch_tbf?)",
    )
}

pub(super) fn packet_filter(isolation: &Isolation) -> Answer {
    let call = Call::new(Program::Iptables).args("-t mangle -A FORWARD -j DROP".split(' '));
    in_network_of_its_own(&call, isolation, "the kernel refuses packet filter rules")
}

pub(super) fn tap() -> Answer {
    may_open(Path::new("/dev/net/tun"))
}

/// Runs `call` in a network namespace that ends with it.
fn in_network_of_its_own(call: &Call, isolation: &Isolation, refused: &str) -> Answer {
    let user = match isolation {
        Isolation::AsRoot => None,
        Isolation::AsUser => Some(RootMap::of_this_user()),
        Isolation::None(reason) => return Answer::No(format!("cannot be tried: {reason}")),
    };
    let attempt = || -> Result<(), ToolError> {
        let mut command = call.command()?;
        let enter = move || {
            user.as_ref().map_or(Ok(()), RootMap::enter)?;
            Ok(unshare(CloneFlags::CLONE_NEWNET)?)
        };
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(enter);
        }
        call.finish(command).map(drop)
    };
    match attempt() {
        Ok(()) => Answer::Yes,
        Err(ToolError::Failed { said, .. }) => {
            let said = said.lines().next().unwrap_or_default();
            Answer::No(format!("{refused}: {said}"))
        }
        Err(error) => Answer::No(error.to_string()),
    }
}

pub(super) fn fuse() -> Answer {
    let device = match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(device) => device,
        Err(error) => {
            return Answer::No(format!(
                "/dev/fuse cannot be opened: {error} (has the kernel the module fuse?)"
            ));
        }
    };
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0",
        device.as_raw_fd()
    );
    let attempt = in_child(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let options = Some(options.as_str());
        Ok(mount(
            Some("depbench"),
            "/proc",
            Some("fuse"),
            MsFlags::empty(),
            options,
        )?)
    });
    match attempt {
        Ok(()) => Answer::Yes,
        Err(error) => Answer::No(format!(
            "a file system of depbench's own (FUSE) cannot be mounted here: {error}"
        )),
    }
}

pub(super) fn loop_devices() -> Answer {
    may_open(Path::new("/dev/loop-control"))
}

fn may_open(device: &Path) -> Answer {
    match OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::No(format!("{} cannot be opened: {error}", device.display())),
    }
}

pub(super) fn realtime() -> Answer {
    let take = || {
        let priority = libc::sched_param { sched_priority: 1 };
        // SAFETY: the parameter outlives the call, which concerns the child's only thread.
        match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match in_child(take) {
        Ok(()) => Answer::Yes,
        Err(error) => Answer::No(format!("refused: {error}")),
    }
}
