use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

/// A cgroup controller that depbench uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// Quota and weight.
    Cpu,
    /// CPU time used (in version 2 always there).
    Cpuacct,
    /// Which processors.
    Cpuset,
    /// Limits and use of memory.
    Memory,
    /// Disk limits and counters (`blkio` in version 1).
    Io,
    /// Stops and continues all processes (in version 2 always there).
    Freezer,
}

impl Controller {
    /// All of them.
    pub const ALL: [Controller; 6] = [
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Cpuset,
        Controller::Memory,
        Controller::Io,
        Controller::Freezer,
    ];

    pub(super) fn name_v1(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
            Controller::Cpuset => "cpuset",
            Controller::Memory => "memory",
            Controller::Io => "blkio",
            Controller::Freezer => "freezer",
        }
    }

    /// Its name where it has to be enabled; `None` for what version 2 always has.
    pub(super) fn name_v2(self) -> Option<&'static str> {
        match self {
            Controller::Cpu => Some("cpu"),
            Controller::Cpuset => Some("cpuset"),
            Controller::Memory => Some("memory"),
            Controller::Io => Some("io"),
            Controller::Cpuacct | Controller::Freezer => None,
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name_v1())
    }
}

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

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1(Vec<Controller>),
    V2,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct CgroupMount {
    pub(super) version: Version,
    pub(super) root: PathBuf,
    pub(super) at: PathBuf,
}

impl CgroupMount {
    /// Reads a line of `/proc/self/mountinfo`; `None` for what is no cgroup hierarchy, or has no controller we use.
    pub(super) fn parse(line: &str) -> Option<CgroupMount> {
        let (mount, source) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let root = PathBuf::from(unescape(mount.next()?));
        let at = PathBuf::from(unescape(mount.next()?));
        let mut source = source.split(' ');
        let version = match source.next()? {
            "cgroup2" => Version::V2,
            "cgroup" => {
                let options = source.nth(1)?;
                let named = |controller: &Controller| {
                    options
                        .split(',')
                        .any(|option| option == controller.name_v1())
                };
                let controllers: Vec<_> = Controller::ALL.into_iter().filter(named).collect();
                (!controllers.is_empty()).then_some(Version::V1(controllers))?
            }
            _ => return None,
        };
        Some(CgroupMount { version, root, at })
    }
}

/// Undoes the octal escapes of blanks in mountinfo.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_understood() {
        let line = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let mount = CgroupMount::parse(line).unwrap();
        assert_eq!(
            mount.version,
            Version::V1(vec![Controller::Cpu, Controller::Cpuacct])
        );
        assert_eq!(mount.at, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        let line = "41 31 0:38 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(CgroupMount::parse(line).unwrap().version, Version::V2);
        let line = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        assert_eq!(CgroupMount::parse(line), None);
        assert_eq!(
            CgroupMount::parse("22 1 8:1 / / rw - ext4 /dev/sda rw"),
            None
        );
        assert_eq!(CgroupMount::parse("nonsense"), None);
    }

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
