use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use vocab::ids::{NodeName, RunName};

use super::files::{read, write};
use super::hierarchy::{Hierarchies, Mode, missing};
use super::quota::CpuQuota;
use super::stat::{CgroupStat, Scope};
use super::{Admission, CgroupError, Controller, CpuSet, adopt};
use crate::identity::ProcessId;
use crate::journal::{Entry, Journal, Undo};
use crate::tag;

/// A group in which processes of a node live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Child {
    /// The member of the target.
    Server,
    /// What disturbs it.
    Contention,
    /// The load.
    Client,
}

impl Child {
    /// All of them.
    pub const ALL: [Child; 3] = [Child::Server, Child::Contention, Child::Client];

    pub(super) fn name(self) -> &'static str {
        match self {
            Child::Server => "server",
            Child::Contention => "contention",
            Child::Client => "client",
        }
    }
}

/// What a node's groups are made from.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// The run.
    pub run: RunName,
    /// The node.
    pub node: NodeName,
    /// The node's machine size; `None` for no limit.
    pub budget: Option<CpuQuota>,
    /// The processors it runs on; `None` for all that its surroundings have.
    pub cpus: Option<CpuSet>,
}

/// The groups of one node. Clones stand for the same groups.
#[derive(Debug, Clone)]
pub struct NodeCgroup {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) hierarchies: Hierarchies,
    pub(super) journal: Journal,
    pub(super) name: String,
    budget: Option<CpuQuota>,
    entry: Mutex<Option<Entry>>,
}

impl NodeCgroup {
    /// Makes the groups of a node, whose removal is in the journal first.
    ///
    /// # Errors
    /// When there are no cgroups within reach, a controller that the spec needs is missing, or the kernel refuses;
    /// nothing is left behind then.
    pub fn create(
        hierarchies: &Hierarchies,
        spec: &NodeSpec,
        journal: &Journal,
    ) -> Result<NodeCgroup, CgroupError> {
        Self::made(hierarchies, spec, journal, |paths, _| {
            Ok(Undo::RemoveCgroup { paths })
        })
    }

    /// Makes groups around a process that is there already, all of it as the server. That it is moved back, and killed by
    /// nothing, is in the journal first. Memory it already holds stays charged where it was.
    ///
    /// # Errors
    /// As for [`NodeCgroup::create`]; and when the process has gone, or is in a group of depbench already.
    pub fn adopt(
        hierarchies: &Hierarchies,
        spec: &NodeSpec,
        journal: &Journal,
        process: ProcessId,
    ) -> Result<NodeCgroup, CgroupError> {
        let group = Self::made(hierarchies, spec, journal, |_, name| {
            let lodgings = adopt::lodgings(hierarchies, name, process)?;
            Ok(Undo::ReleaseCgroup { lodgings })
        })?;
        let moved = match process.is_alive() {
            true => hierarchies
                .bases()
                .filter(|base| adopt::takes_in(hierarchies, base))
                .map(|base| group.dir_in(base, Scope::Child(Child::Server)))
                .try_for_each(|dir| write(&dir.join("cgroup.procs"), &process.pid.to_string())),
            false => Err(CgroupError::NotAdopted {
                process,
                reason: "it has ended".to_owned(),
            }),
        };
        match moved {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove()?;
                Err(error)
            }
        }
    }

    fn made(
        hierarchies: &Hierarchies,
        spec: &NodeSpec,
        journal: &Journal,
        undo: impl FnOnce(Vec<PathBuf>, &str) -> Result<Undo, CgroupError>,
    ) -> Result<NodeCgroup, CgroupError> {
        let needed = [
            (Controller::Cpu, spec.budget.is_some()),
            (Controller::Cpuset, spec.cpus.is_some()),
        ];
        for (controller, needed) in needed {
            if needed && !hierarchies.has(controller) {
                return Err(missing(controller, hierarchies));
            }
        }
        if hierarchies.mode() == Mode::None {
            return Err(missing(Controller::Cpu, hierarchies));
        }
        let name = format!("{}{}-{}", tag::PREFIX, spec.run, spec.node);
        let paths: Vec<PathBuf> = hierarchies.bases().map(|base| base.join(&name)).collect();
        if let Some(path) = paths.iter().find(|path| path.exists()) {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(CgroupError::file(
                "make (is a run of this name alive? else `depbench heal`)",
                path,
            )(exists));
        }
        let entry = journal.record(undo(paths, &name)?)?;
        let group = NodeCgroup {
            inner: Arc::new(Inner {
                hierarchies: hierarchies.clone(),
                journal: journal.clone(),
                name,
                budget: spec.budget,
                entry: Mutex::new(Some(entry)),
            }),
        };
        match group.build(spec) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove()?;
                Err(error)
            }
        }
    }

    /// The node's machine size.
    pub fn budget(&self) -> Option<CpuQuota> {
        self.inner.budget
    }

    /// The hierarchies that the groups are in.
    pub fn hierarchies(&self) -> &Hierarchies {
        &self.inner.hierarchies
    }

    /// A way in for processes that are about to be started.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn admission(&self, child: Child) -> Result<Admission, CgroupError> {
        let members: Result<_, _> = self
            .dirs(Scope::Child(child))
            .map(|dir| open_members(&dir))
            .collect();
        members.map(Admission::new)
    }

    /// A way in for helpers: what they do to this controller's resource is the child's, but they are none of its members,
    /// which faults stop and end. In version 2 all controllers go together: helpers live in a group within the child's.
    ///
    /// # Errors
    /// When the group is gone, or there is no such controller.
    pub fn admission_to(
        &self,
        controller: Controller,
        child: Child,
    ) -> Result<Admission, CgroupError> {
        let dir = self.dir(controller, Scope::Child(child))?;
        let dir = match self.inner.hierarchies.mode() {
            Mode::V1 | Mode::None => dir,
            Mode::V2 => helpers_of(&dir)?,
        };
        Ok(Admission::new(vec![open_members(&dir)?]))
    }

    /// Moves a process that already runs into a child. Memory it already holds stays charged where it was.
    ///
    /// # Errors
    /// When the process or the group is gone.
    pub fn attach(&self, child: Child, pid: i32) -> Result<(), CgroupError> {
        self.dirs(Scope::Child(child))
            .try_for_each(|dir| write(&dir.join("cgroup.procs"), &pid.to_string()))
    }

    /// The processes that live in a child, numbered as this process sees them.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn members(&self, child: Child) -> Result<Vec<i32>, CgroupError> {
        let Some(dir) = self.dirs(Scope::Child(child)).next() else {
            return Ok(Vec::new());
        };
        let text = read(&dir.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Whether a child still stands in every hierarchy.
    ///
    /// # Errors
    /// [`CgroupError::Removed`] when somebody else has removed it: whatever was limited there is limited no more.
    pub fn check(&self, child: Child) -> Result<(), CgroupError> {
        let gone = self.dirs(Scope::Child(child)).find(|dir| !dir.exists());
        gone.map_or(Ok(()), |path| Err(CgroupError::Removed { path }))
    }

    /// What has been used so far. Counters that cannot be read are `None`.
    pub fn stat(&self, scope: Scope) -> CgroupStat {
        let mut stat = CgroupStat::default();
        let hierarchies = &self.inner.hierarchies;
        for hierarchy in hierarchies.hierarchies_v1() {
            stat.read_v1(&self.dir_in(&hierarchy.base, scope));
        }
        if let Some(base) = &hierarchies.v2 {
            let dir = self.dir_in(base, scope);
            if hierarchies.mode() == Mode::V2 {
                stat.read_v2(&dir);
            }
            stat.read_pressure(&dir);
        }
        stat
    }

    /// Kills what is in the groups and removes them; again is fine.
    ///
    /// # Errors
    /// When a process does not die, or the kernel refuses; the removal then stays in the journal.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let entry = self
            .inner
            .entry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(entry.map_or(Ok(()), Entry::undo)?)
    }

    pub(super) fn dir_in(&self, base: &Path, scope: Scope) -> PathBuf {
        let parent = base.join(&self.inner.name);
        match scope {
            Scope::Node => parent,
            Scope::Child(child) => parent.join(child.name()),
        }
    }

    /// The directories of a group, one per hierarchy.
    fn dirs(&self, scope: Scope) -> impl Iterator<Item = PathBuf> {
        self.inner
            .hierarchies
            .bases()
            .map(move |base| self.dir_in(base, scope))
    }

    /// The directory of a group in which a controller's files are.
    pub(super) fn dir(&self, controller: Controller, scope: Scope) -> Result<PathBuf, CgroupError> {
        let hierarchies = &self.inner.hierarchies;
        let base = match hierarchies.mode() {
            Mode::V1 => hierarchies.v1_base(controller),
            Mode::V2 if hierarchies.has(controller) => hierarchies.v2.as_deref(),
            Mode::V2 | Mode::None => None,
        };
        base.map(|base| self.dir_in(base, scope))
            .ok_or_else(|| missing(controller, hierarchies))
    }
}

fn open_members(dir: &Path) -> Result<OwnedFd, CgroupError> {
    let path = dir.join("cgroup.procs");
    let file = OpenOptions::new().write(true).open(&path);
    Ok(file.map_err(CgroupError::file("open", &path))?.into())
}

/// The group for helpers within a child's; nothing is enabled in it, so that all it uses counts as the child's.
fn helpers_of(child: &Path) -> Result<PathBuf, CgroupError> {
    let dir = child.join("helpers");
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(CgroupError::file("make", &dir)(error))
        }
        _ => Ok(dir),
    }
}
