//! Processes that were there before: moved into groups of ours, and back into their own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::controller::Controller;
use super::hierarchy::Hierarchies;
use super::mount::{CgroupMount, Version};
use super::remove::{is_gone, remove_tree};
use super::{CgroupError, Child};
use crate::identity::ProcessId;
use crate::tag;

/// Tries of 10 ms each to move what forks while it is moved.
const TRIES: u32 = 200;

/// Where the threads of a process lived in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lodging {
    /// Our group of the node, whose server child they live in meanwhile.
    pub group: PathBuf,
    /// The group of the process's first thread; what the process starts meanwhile goes there.
    pub home: PathBuf,
    /// Threads and the groups they were in; none in version 2, where all threads of a process move together.
    pub threads: Vec<(ProcessId, PathBuf)>,
}

/// Where the threads of `process` live, in each hierarchy in which the group `name` will be.
pub(super) fn lodgings(
    hierarchies: &Hierarchies,
    name: &str,
    process: ProcessId,
) -> Result<Vec<Lodging>, CgroupError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts: Vec<CgroupMount> = mounts.lines().filter_map(CgroupMount::parse).collect();
    let threads = threads(process)?;
    let refused = |reason: String| CgroupError::NotAdopted { process, reason };
    let mut lodgings = Vec::new();
    for base in hierarchies.bases() {
        let group = base.join(name);
        if !takes_in(hierarchies, base) {
            lodgings.push(Lodging {
                group,
                home: base.to_owned(),
                threads: Vec::new(),
            });
            continue;
        }
        // The mount that the base lies in, or is.
        let mount = mounts
            .iter()
            .filter(|mount| base.starts_with(&mount.at))
            .max_by_key(|mount| mount.at.as_os_str().len())
            .ok_or_else(|| refused(format!("{} is no mounted hierarchy", base.display())))?;
        let home_of = |thread: &ProcessId| -> Result<PathBuf, CgroupError> {
            let path = format!("/proc/{}/task/{}/cgroup", process.pid, thread.pid);
            let text =
                fs::read_to_string(&path).map_err(CgroupError::file("read", Path::new(&path)))?;
            let home = home(&text, mount)
                .ok_or_else(|| refused(format!("its group under {} is hidden", base.display())))?;
            match tag::is_tagged(&home) {
                true => Err(refused(format!(
                    "it is in {}: a run of depbench has it already (`depbench inject --node`)",
                    home.display()
                ))),
                false => Ok(home),
            }
        };
        let mut homes = BTreeMap::new();
        for thread in &threads {
            homes.insert(thread.pid, (*thread, home_of(thread)?));
        }
        let (_, home) = homes
            .get(&process.pid)
            .cloned()
            .ok_or_else(|| refused("its first thread has ended".to_owned()))?;
        let threads = match mount.version {
            Version::V1(_) => homes.into_values().collect(),
            Version::V2 if homes.values().all(|(_, other)| *other == home) => Vec::new(),
            Version::V2 => {
                return Err(refused(
                    "its threads are in different groups of cgroup version 2".to_owned(),
                ));
            }
        };
        lodgings.push(Lodging {
            group,
            home,
            threads,
        });
    }
    Ok(lodgings)
}

/// Whether adopted processes go into the group of this hierarchy. Version 1's cpusets would overwrite the CPUs that a
/// process has chosen for itself.
pub(super) fn takes_in(hierarchies: &Hierarchies, base: &Path) -> bool {
    !hierarchies
        .hierarchies_v1()
        .iter()
        .any(|one| one.base == base && one.controllers == [Controller::Cpuset])
}

/// The group that the lines of a `cgroup` file name for a mount; `None` if it is not below what is mounted.
fn home(text: &str, mount: &CgroupMount) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let fits = match &mount.version {
            Version::V1(ours) => controllers
                .split(',')
                .any(|name| ours.iter().any(|one| one.name_v1() == name)),
            Version::V2 => controllers.is_empty(),
        };
        fits.then(|| PathBuf::from(path))
    })?;
    let inside = path.strip_prefix(&mount.root).ok()?;
    let home = mount.at.join(inside);
    home.is_dir().then_some(home)
}

fn threads(process: ProcessId) -> Result<Vec<ProcessId>, CgroupError> {
    let path = format!("/proc/{}/task", process.pid);
    let failed = |error| CgroupError::file("read", Path::new(&path))(error);
    let mut threads = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        // A thread that has ended since needs no way back.
        threads.extend(number.and_then(|number| ProcessId::of(number).ok().flatten()));
    }
    Ok(threads)
}

/// Moves what lives in the server child of a lodging's group back to where it came from, and removes the group. Nothing
/// that was adopted, or that it started, is killed.
pub(crate) fn release(lodging: &Lodging) -> io::Result<()> {
    let server = lodging.group.join(Child::Server.name());
    let mut left = Vec::new();
    for _ in 0..TRIES {
        left = members(&server, lodging)?;
        if left.is_empty() {
            return remove_tree(&lodging.group);
        }
        for thread in &left {
            move_home(*thread, lodging)?;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other(format!(
        "{} still holds {left:?}, which would be killed",
        server.display()
    )))
}

/// Threads of version 1, processes of version 2, that live in a group.
fn members(group: &Path, lodging: &Lodging) -> io::Result<Vec<i32>> {
    match fs::read_to_string(group.join(members_file(lodging))) {
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        text => Ok(text?
            .lines()
            .filter_map(|line| line.parse().ok())
            // 0 stands for a process of another PID namespace.
            .filter(|member| *member > 0)
            .collect()),
    }
}

fn members_file(lodging: &Lodging) -> &'static str {
    match lodging.threads.is_empty() {
        true => "cgroup.procs",
        false => "tasks",
    }
}

fn move_home(member: i32, lodging: &Lodging) -> io::Result<()> {
    let known = lodging
        .threads
        .iter()
        .find(|(thread, _)| thread.pid == member && thread.is_alive());
    let mut home = known.map_or(&lodging.home, |(_, home)| home).as_path();
    loop {
        match fs::write(home.join(members_file(lodging)), member.to_string()) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            // Its old group was removed: the one above it is next.
            Err(error) if is_gone(&error) => match home.parent() {
                Some(above) if above.starts_with("/sys/fs/cgroup") => home = above,
                _ => return Err(error),
            },
            result => return result,
        }
    }
}
