use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::GuardianError;
use crate::links::{LinkName, Links};
use crate::namespace::{Namespace, RootMap};

/// Which namespaces an agent gets of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacePlan {
    kinds: Vec<Namespace>,
}

impl NamespacePlan {
    /// None: an agent without privileges, or a process among others.
    pub fn shared() -> NamespacePlan {
        NamespacePlan { kinds: Vec::new() }
    }

    /// Network, processes (the agent is number 1: when it ends, all it started ends) and mounts, with a `/proc` that fits
    /// and the loopback up. Needs root.
    pub fn isolated() -> NamespacePlan {
        NamespacePlan {
            kinds: vec![Namespace::Pid, Namespace::Mount, Namespace::Net],
        }
    }

    /// Processes and mounts, in the network of the machine. Needs root.
    pub fn machine() -> NamespacePlan {
        NamespacePlan {
            kinds: vec![Namespace::Pid, Namespace::Mount],
        }
    }

    /// As [`NamespacePlan::isolated`], within a user namespace in which this user is root. Needs no privilege.
    pub fn isolated_as_user() -> NamespacePlan {
        let mut plan = NamespacePlan::isolated();
        plan.kinds.push(Namespace::User);
        plan
    }

    /// The kinds.
    pub fn kinds(&self) -> &[Namespace] {
        &self.kinds
    }

    fn flags(&self, of: &[Namespace]) -> CloneFlags {
        self.kinds
            .iter()
            .filter(|kind| of.contains(kind))
            .map(|kind| kind.flag())
            .collect()
    }

    /// Before the fork: what only a parent can ask for. Returns the way back.
    pub(super) fn unshare_for_child(&self) -> Result<Outside, GuardianError> {
        let outside =
            Outside::remember().map_err(GuardianError::step("look at /proc/self/ns/pid"))?;
        if self.kinds.contains(&Namespace::User) {
            let root = RootMap::of_this_user();
            root.enter().map_err(GuardianError::step(
                "make a user namespace (does this system allow them to users?)",
            ))?;
        }
        unshare(self.flags(&[Namespace::Pid])).map_err(GuardianError::step(
            "make a PID namespace (needs root or a user namespace)",
        ))?;
        Ok(outside)
    }

    /// In the child.
    pub(super) fn enter(&self) -> Result<(), GuardianError> {
        unshare(self.flags(&[Namespace::Mount, Namespace::Net]))
            .map_err(GuardianError::step("make a mount and a network namespace"))?;
        if self.kinds.contains(&Namespace::Mount) {
            keep_mounts_private().map_err(GuardianError::step("make mounts private"))?;
            mount_proc().map_err(GuardianError::step("mount /proc for the new PID namespace"))?;
        }
        if self.kinds.contains(&Namespace::Net) {
            let up = |links: Links| links.set_up(&LinkName::loopback());
            Links::open().and_then(up).map_err(|error| {
                GuardianError::step("set the loopback up")(io::Error::other(error))
            })?;
        }
        Ok(())
    }
}

/// The PID namespace that the guardian came from.
pub(super) struct Outside(OwnedFd);

impl Outside {
    fn remember() -> io::Result<Outside> {
        Ok(Outside(fs::File::open("/proc/self/ns/pid")?.into()))
    }

    /// Lets the guardian start programs again after the agent, and with it the namespace, has ended.
    ///
    /// Refused within a user namespace; there everything that needs a program to be undone ends with the agent.
    pub(super) fn come_back(&self) {
        let _ = setns(&self.0, CloneFlags::CLONE_NEWPID);
    }
}

fn keep_mounts_private() -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
}

fn mount_proc() -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
}
