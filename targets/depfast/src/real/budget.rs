//! How often the CPU budgets of this process hold it back.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The control groups that this process is in, with those around them: any of them may have a budget, now or later.
pub(super) struct Budgets(Vec<File>);

impl Budgets {
    /// Those of this process, as far as it can see them: in a sandbox perhaps none.
    pub(super) fn of_this_process() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let groups = groups(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let files = groups
            .iter()
            .filter_map(|group| File::open(group.join("cpu.stat")).ok());
        let mut budgets = Self(files.collect());
        budgets.0.retain(|file| held_back(file).is_some());
        budgets
    }

    /// In how many periods this process, or all of its group together, used its budget up and had to wait for the next.
    pub(super) fn held_back(&self) -> u64 {
        self.0.iter().filter_map(held_back).sum()
    }
}

fn held_back(file: &File) -> Option<u64> {
    let mut text = [0; 1024];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    line?.parse().ok()
}

/// The directories of the groups that may limit the CPU, innermost first, from what the kernel tells of a process.
fn groups(own: &str, mounts: &str) -> Vec<PathBuf> {
    let paths = own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some((controllers, Path::new(path)))
    });
    let mut groups = Vec::new();
    for (controllers, path) in paths {
        let is_v1 = controllers.split(',').any(|controller| controller == "cpu");
        if !is_v1 && !controllers.is_empty() {
            continue;
        }
        let mount = mounts
            .lines()
            .filter_map(Mount::parse)
            .find(|mount| match mount.kind {
                "cgroup" => is_v1 && mount.options.split(',').any(|option| option == "cpu"),
                "cgroup2" => !is_v1,
                _ => false,
            });
        // What a container has mounted may begin at its own group.
        let inside =
            mount.and_then(|mount| Some((mount.point, path.strip_prefix(mount.root).ok()?)));
        if let Some((point, inside)) = inside {
            groups.extend(inside.ancestors().map(|group| Path::new(point).join(group)));
        }
    }
    groups
}

/// A line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, what) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut what = what.split(' ');
        Some(Self {
            root: place.next()?,
            point: place.next()?,
            kind: what.next()?,
            options: what.nth(1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(own: &str, mounts: &str) -> Vec<String> {
        let groups = groups(own, mounts);
        groups
            .iter()
            .map(|group| group.display().to_string())
            .collect()
    }

    #[test]
    fn groups_of_version_2_are_found() {
        let mounts = "25 1 0:22 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let expected = ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup/"];
        assert_eq!(found("0::/a/b\n", mounts), expected);
    }

    #[test]
    fn groups_of_version_1_are_found_and_other_controllers_left_out() {
        let own = "9:memory:/m\n4:cpu,cpuacct:/box/n1/server\n0::/\n";
        let mounts = "40 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      41 30 0:31 /box /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let point = "/sys/fs/cgroup/cpu,cpuacct";
        let expected = [
            format!("{point}/n1/server"),
            format!("{point}/n1"),
            format!("{point}/"),
        ];
        assert_eq!(found(own, mounts), expected);
    }

    #[test]
    fn what_is_not_within_reach_is_left_out() {
        assert!(found("0::/../elsewhere\n", "").is_empty());
        assert!(found("no line\n", "nor this").is_empty());
    }
}
