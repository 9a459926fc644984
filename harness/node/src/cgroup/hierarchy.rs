use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::mount::{CgroupMount, Version};
use super::{CgroupError, Controller};

/// Which cgroup version carries this node's controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One hierarchy per controller or group of controllers.
    V1,
    /// One hierarchy for all.
    V2,
    /// None within reach.
    None,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::V1 => "cgroup v1",
            Mode::V2 => "cgroup v2",
            Mode::None => "no cgroups",
        })
    }
}

/// A version 1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HierarchyV1 {
    /// Its controllers, of those we use.
    pub(super) controllers: Vec<Controller>,
    /// The directory that our groups are made in.
    pub(super) base: PathBuf,
}

/// The cgroup hierarchies that this process may make groups in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hierarchies {
    pub(super) v1: Vec<HierarchyV1>,
    /// The version 2 directory that our groups are made in. Beside version 1 it has no controllers, but still
    /// pressure and `cgroup.kill`.
    pub(super) v2: Option<PathBuf>,
    /// The controllers that groups under `v2` can have.
    pub(super) v2_controllers: Vec<Controller>,
    /// What is mounted but not within reach, and why.
    pub(super) refused: Vec<String>,
}

impl Hierarchies {
    /// Looks at what is mounted, without changing anything.
    pub fn detect() -> Hierarchies {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = Hierarchies::default();
        for mount in mounts.lines().filter_map(CgroupMount::parse) {
            match mount.version {
                Version::V1(controllers) => found.add_v1(controllers, mount.at),
                Version::V2 => found.add_v2(&mount.at, &mount.root, &own),
            }
        }
        found
    }

    /// Which version carries the controllers: the one that has the CPU's.
    pub fn mode(&self) -> Mode {
        if self.v2_controllers.contains(&Controller::Cpu) {
            Mode::V2
        } else if !self.v1.is_empty() {
            Mode::V1
        } else {
            Mode::None
        }
    }

    /// Whether groups can have this controller.
    pub fn has(&self, controller: Controller) -> bool {
        match self.mode() {
            Mode::V1 => self.v1_base(controller).is_some(),
            Mode::V2 => controller.name_v2().is_none() || self.v2_controllers.contains(&controller),
            Mode::None => false,
        }
    }

    /// The controllers that groups can have.
    pub fn controllers(&self) -> Vec<Controller> {
        Controller::ALL
            .into_iter()
            .filter(|controller| self.has(*controller))
            .collect()
    }

    /// The directories in which our groups are made.
    pub fn bases(&self) -> impl Iterator<Item = &Path> {
        let v1 = self.hierarchies_v1().iter();
        v1.map(|hierarchy| hierarchy.base.as_path())
            .chain(self.v2.as_deref())
    }

    /// The version 1 hierarchies that groups are made in; none where version 2 carries the controllers.
    pub(super) fn hierarchies_v1(&self) -> &[HierarchyV1] {
        match self.mode() {
            Mode::V1 => &self.v1,
            Mode::V2 | Mode::None => &[],
        }
    }

    /// What is mounted but cannot be used, and why.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    pub(super) fn v1_base(&self, controller: Controller) -> Option<&Path> {
        self.v1
            .iter()
            .find(|hierarchy| hierarchy.controllers.contains(&controller))
            .map(|hierarchy| hierarchy.base.as_path())
    }

    fn add_v1(&mut self, mut controllers: Vec<Controller>, at: PathBuf) {
        // The same hierarchy may be mounted twice; the first mount serves.
        controllers.retain(|controller| self.v1_base(*controller).is_none());
        if controllers.is_empty() {
            return;
        }
        if let Err(reason) = writable(&at) {
            self.refused.push(reason);
            return;
        }
        self.v1.push(HierarchyV1 {
            controllers,
            base: at,
        });
    }

    fn add_v2(&mut self, at: &Path, root: &Path, own: &str) {
        if self.v2.is_some() {
            return;
        }
        match place_v2(at, root, own) {
            Ok((base, controllers)) => {
                self.v2 = Some(base);
                self.v2_controllers = controllers;
            }
            Err(reason) => self.refused.push(reason),
        }
    }
}

impl fmt::Display for Hierarchies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mode())?;
        let names: Vec<_> = self.controllers().iter().map(ToString::to_string).collect();
        match names.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", names.join(", ")),
        }
    }
}

/// What to say where a controller is needed that groups cannot have.
pub(super) fn missing(controller: Controller, hierarchies: &Hierarchies) -> CgroupError {
    let remedy = match hierarchies.mode() {
        Mode::None => "run as root on a machine with cgroups mounted and writable",
        Mode::V1 => "the kernel was built or mounted without it",
        Mode::V2 => {
            "run as root, or have it enabled in cgroup.subtree_control of the groups above; a kernel may also lack it"
        }
    };
    let refused = hierarchies.refused().join("; ");
    let mode = match refused.as_str() {
        "" => hierarchies.to_string(),
        refused => format!("{hierarchies}; {refused}"),
    };
    CgroupError::NoController {
        controller,
        mode,
        remedy,
    }
}

/// Where our groups go in version 2: as root at the top; else in the nearest group above our own that is delegated to
/// this user. A group that holds processes itself cannot give controllers to groups in it, so our own group never serves.
fn place_v2(at: &Path, root: &Path, own: &str) -> Result<(PathBuf, Vec<Controller>), String> {
    if nix::unistd::geteuid().is_root() && writable(at).is_ok() {
        return Ok((at.to_owned(), controllers_v2(at)));
    }
    let path = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or_else(|| format!("this process is in no group of {}", at.display()))?;
    let inside = Path::new(path).strip_prefix(root).map_err(|_| {
        format!(
            "this process's group {path} is not visible under {}",
            at.display()
        )
    })?;
    at.join(inside)
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(at))
        .find(|above| writable(above).is_ok() && enabled_v2(above).contains(&Controller::Cpu))
        .map(|above| (above.to_owned(), enabled_v2(above)))
        .ok_or_else(|| {
            format!(
                "no group with the cpu controller above {path} is delegated to this user: run as root, or under `systemd-run --user --scope -p Delegate=yes`"
            )
        })
}

fn controllers_v2(group: &Path) -> Vec<Controller> {
    listed_v2(&group.join("cgroup.controllers"))
}

fn enabled_v2(group: &Path) -> Vec<Controller> {
    listed_v2(&group.join("cgroup.subtree_control"))
}

fn listed_v2(file: &Path) -> Vec<Controller> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let names: Vec<&str> = text.split_whitespace().collect();
    Controller::ALL
        .into_iter()
        .filter(|controller| {
            controller
                .name_v2()
                .is_some_and(|name| names.contains(&name))
        })
        .collect()
}

fn writable(dir: &Path) -> Result<(), String> {
    let explain = |errno: nix::Error| {
        let error = io::Error::from(errno);
        format!("{} cannot be written: {error}", dir.display())
    };
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(explain)?;
    access(&dir.join("cgroup.procs"), AccessFlags::W_OK).map_err(explain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_has_the_cpu_controller_serves() {
        let unified = Hierarchies {
            v1: vec![HierarchyV1 {
                controllers: vec![Controller::Freezer],
                base: "/f".into(),
            }],
            v2: Some("/u".into()),
            v2_controllers: vec![Controller::Cpu, Controller::Memory],
            refused: Vec::new(),
        };
        assert_eq!(unified.mode(), Mode::V2);
        assert_eq!(unified.bases().collect::<Vec<_>>(), [Path::new("/u")]);
        assert_eq!(
            unified.to_string(),
            "cgroup v2 (cpu, cpuacct, memory, freezer)"
        );
        let found = Hierarchies {
            v1: vec![HierarchyV1 {
                controllers: vec![Controller::Cpu],
                base: "/c".into(),
            }],
            v2: Some("/u".into()),
            ..Hierarchies::default()
        };
        assert_eq!(found.mode(), Mode::V1);
        assert!(found.has(Controller::Cpu) && !found.has(Controller::Memory));
        assert_eq!(found.to_string(), "cgroup v1 (cpu)");
    }
}
