use std::path::PathBuf;

use super::Controller;

/// Which version a hierarchy is of, and what it can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1(Vec<Controller>),
    V2,
}

/// A hierarchy that is mounted.
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
    use std::path::Path;

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
}
