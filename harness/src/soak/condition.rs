use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use node::tag;
use vocab::ids::RunName;

use super::PATIENCE;
use super::kill::is_dead;
use super::stranger::Stranger;

/// Kernel settings of this machine that a node or a fault could touch.
const SETTINGS: [&str; 6] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/default/rp_filter",
    "vm/swappiness",
    "vm/dirty_ratio",
    "kernel/sched_rt_runtime_us",
];

/// What a round may touch, each thing as a line for a person: groups, links and their queues, packet filter rules, mounts,
/// loop devices, processes, files of the state directory, kernel settings, and a bystander.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition(BTreeSet<String>);

impl Condition {
    pub(super) fn now(run: &RunName, home: &Path, stranger: &Stranger) -> Condition {
        let mut found: BTreeSet<String> = stranger.condition().into_iter().collect();
        let group = format!("{}{run}-", tag::PREFIX);
        cgroups(Path::new("/sys/fs/cgroup"), &group, 0, &mut found);
        processes(run, &mut found);
        mounts(home, &mut found);
        loops(home, &mut found);
        links(&mut found);
        rules(&mut found);
        files(home, &mut found);
        for setting in SETTINGS {
            if let Ok(value) = fs::read_to_string(format!("/proc/sys/{setting}")) {
                found.insert(format!("{setting} = {}", value.trim()));
            }
        }
        Condition(found)
    }

    /// Waits until everything is as in this condition, or for long enough; what is different then. A controller that is
    /// to live on is no difference, nor what it shares with the dead.
    pub(super) fn until_back(
        &self,
        run: &RunName,
        home: &Path,
        stranger: &Stranger,
        spares_controller: bool,
    ) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let now = Condition::now(run, home, stranger);
            let mut different: Vec<String> = self.0.symmetric_difference(&now.0).cloned().collect();
            if spares_controller {
                different.retain(|line| !line.contains("soak-hold"));
            }
            if different.is_empty() || begun.elapsed() > PATIENCE {
                return different;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn names(dir: &Path) -> impl Iterator<Item = (String, std::path::PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, entry.path())
    })
}

fn cgroups(dir: &Path, tag: &str, depth: usize, found: &mut BTreeSet<String>) {
    for (name, path) in names(dir).filter(|(_, path)| path.is_dir() && !path.is_symlink()) {
        if name.starts_with(tag) {
            found.insert(format!("cgroup {}", path.display()));
        } else if depth < 2 {
            cgroups(&path, tag, depth + 1, found);
        }
    }
}

fn processes(run: &RunName, found: &mut BTreeSet<String>) {
    for (name, path) in names(Path::new("/proc")) {
        let Ok(pid) = name.parse::<i32>() else {
            continue;
        };
        let text = |file: &str| {
            let bytes = fs::read(path.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let cmdline = text("cmdline");
        let ours = cmdline.contains(&format!("\"run\":\"{run}\""))
            || text("environ").contains(&format!("DEPBENCH_RUN={run} "));
        if ours && !is_dead(pid) {
            found.insert(format!("process {pid}: {cmdline:.160}"));
        }
    }
}

fn mounts(home: &Path, found: &mut BTreeSet<String>) {
    let home = home.to_string_lossy();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let ours = mounts.lines().filter(|line| line.contains(home.as_ref()));
    found.extend(ours.map(|line| format!("mount {line}")));
}

fn loops(home: &Path, found: &mut BTreeSet<String>) {
    for (name, path) in names(Path::new("/sys/block")) {
        let file = fs::read_to_string(path.join("loop/backing_file")).unwrap_or_default();
        if Path::new(file.trim()).starts_with(home) {
            found.insert(format!("loop device {name} on {}", file.trim()));
        }
    }
}

/// Links of this machine's own network, and their queues as their lengths tell.
fn links(found: &mut BTreeSet<String>) {
    for (name, path) in names(Path::new("/sys/class/net")) {
        let length = fs::read_to_string(path.join("tx_queue_len")).unwrap_or_default();
        found.insert(format!("link {name}, queue of {}", length.trim()));
    }
}

/// Users of packet filter tables of this machine's own network.
fn rules(found: &mut BTreeSet<String>) {
    for file in ["ip_tables_names", "netfilter/nfnetlink_queue"] {
        let text = fs::read_to_string(format!("/proc/self/net/{file}")).unwrap_or_default();
        found.extend(text.lines().map(|line| format!("{file}: {line:.20}")));
    }
}

/// Directories of nodes, and what still stands in the journal.
fn files(home: &Path, found: &mut BTreeSet<String>) {
    found.extend(names(&home.join("nodes")).map(|(name, _)| format!("directory of node {name}")));
    for (owner, path) in names(&home.join("journal")) {
        let entries = names(&path).filter(|(name, _)| name.ends_with(".json"));
        found.extend(entries.map(|(name, _)| format!("journal {owner}/{name}")));
    }
}
