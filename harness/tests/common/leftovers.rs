//! What depbench could leave on a machine: to be looked for after everything that must leave nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use vocab::ids::RunName;

/// Things that are left, each as a line for a person.
pub type Leftovers = BTreeSet<String>;

/// Whose things to look for.
pub enum Scope<'a> {
    /// Everybody's: to be compared before and after.
    Machine,
    /// Those of one run with its own state directory: none must be there after it.
    Run { run: &'a RunName, state: &'a Path },
}

/// Everything of ours that is there now.
pub fn find(scope: &Scope<'_>) -> Leftovers {
    let mut left = Leftovers::new();
    processes(scope, &mut left);
    cgroups(Path::new("/sys/fs/cgroup"), scope, 0, &mut left);
    loop_devices(scope, &mut left);
    mounts(scope, &mut left);
    match scope {
        // A run makes links and namespaces for its nodes only, which end with their last process.
        Scope::Run { run, state } => {
            entries(&state.join("nodes"), "node directory", run, &mut left);
            journal(&state.join("journal"), run, &mut left);
        }
        Scope::Machine => {
            links(&mut left);
            namespaces(&mut left);
        }
    }
    left
}

/// The network, PID and mount namespaces in which a process of this machine is.
pub fn namespaces_of(pid: i32) -> Vec<String> {
    ["net", "pid", "mnt"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// The processes in any of these namespaces.
pub fn processes_in(namespaces: &[String]) -> Vec<i32> {
    pids()
        .into_iter()
        .filter(|pid| {
            !is_dead(*pid)
                && namespaces_of(*pid)
                    .iter()
                    .any(|own| namespaces.contains(own))
        })
        .collect()
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// What our processes carry: an agent the run's name in its arguments, what it starts in its environment.
fn processes(scope: &Scope<'_>, left: &mut Leftovers) {
    for pid in pids() {
        let text = |file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let (comm, cmdline, environ) = (text("comm"), text("cmdline"), text("environ"));
        let ours = match scope {
            Scope::Machine => comm.trim() == "depbench" || environ.contains("DEPBENCH_RUN="),
            Scope::Run { run, .. } => {
                cmdline.contains(&format!("\"run\":\"{run}\""))
                    || environ.contains(&format!("DEPBENCH_RUN={run} "))
            }
        };
        if ours && !is_dead(pid) && pid != std::process::id() as i32 {
            left.insert(format!("process {pid} {}: {cmdline:.100}", comm.trim()));
        }
    }
}

/// Whether a process is gone, or only waits for its parent (perhaps the machine's first process) to ask how it ended.
pub fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| rest.trim().starts_with(['Z', 'X']))
}

fn cgroups(dir: &Path, scope: &Scope<'_>, depth: usize, left: &mut Leftovers) {
    let tag = match scope {
        Scope::Machine => node::tag::PREFIX.to_owned(),
        Scope::Run { run, .. } => format!("{}{run}-", node::tag::PREFIX),
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with(&tag) {
            left.insert(format!("cgroup {}", entry.path().display()));
        } else if depth < 4 {
            cgroups(&entry.path(), scope, depth + 1, left);
        }
    }
}

fn loop_devices(scope: &Scope<'_>, left: &mut Leftovers) {
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let backing =
            fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        let ours = match scope {
            Scope::Machine => backing.contains(node::tag::PREFIX),
            Scope::Run { run, state } => {
                Path::new(backing.trim()).starts_with(state)
                    && backing.contains(&format!("{}{run}-", node::tag::PREFIX))
            }
        };
        if ours {
            left.insert(format!(
                "loop device {} on {}",
                entry.path().display(),
                backing.trim()
            ));
        }
    }
}

fn mounts(scope: &Scope<'_>, left: &mut Leftovers) {
    let tag = match scope {
        Scope::Machine => node::tag::PREFIX.to_owned(),
        Scope::Run { run, .. } => format!("{}{run}-", node::tag::PREFIX),
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&tag))
            .map(|line| format!("mount {line}")),
    );
}

fn links(left: &mut Leftovers) {
    for entry in fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(node::links::LinkName::PREFIX) {
            left.insert(format!("link {name}"));
        }
    }
}

fn namespaces(left: &mut Leftovers) {
    let all: BTreeSet<String> = pids().into_iter().flat_map(namespaces_of).collect();
    left.extend(all.into_iter().map(|name| format!("namespace {name}")));
}

fn entries(dir: &Path, kind: &str, run: &RunName, left: &mut Leftovers) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .contains(&format!("{run}-"))
        {
            left.insert(format!("{kind} {}", entry.path().display()));
        }
    }
}

/// What is still to be undone. An owner with nothing to undo is no more than an empty directory, for the next heal.
fn journal(dir: &Path, run: &RunName, left: &mut Leftovers) {
    let owners = fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = owners.filter(|owner| {
        owner
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("{run}-"))
    });
    for entry in ours.flat_map(|owner| fs::read_dir(owner.path()).into_iter().flatten().flatten()) {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            left.insert(format!("journal {}", entry.path().display()));
        }
    }
}
