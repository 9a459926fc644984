use std::fs;
use std::path::{Path, PathBuf};

use super::machine::read;
use crate::experiment::Diagnostic;
use crate::experiment::document::Place;

/// Folders beside an inventory from which Ansible takes variables too.
const FOLDERS: [&str; 2] = ["group_vars", "host_vars"];

/// Variables that become something of a node and stand in files beside the inventory: to pass over them would be to log in
/// as somebody else, or to write to another disk than the one that the playbook mounts.
pub(super) fn variables(inventory: &Path, place: Place) -> Vec<Diagnostic> {
    let folder = inventory.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    for name in FOLDERS {
        let inside = entries(&folder.join(name));
        for path in inside {
            match path.is_dir() {
                true => files.extend(entries(&path)),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let start = Place {
        start: place.start,
        end: place.start,
    };
    files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            let variable = read().find(|variable| sets(&text, variable))?;
            let problem = format!(
                "{} sets `{variable}`, which is not read from there",
                file.display()
            );
            Some(Diagnostic::new(start, problem).help(
                "expected all in one file: `ansible-inventory -i FILE --list --yaml` prints it",
            ))
        })
        .collect()
}

/// Whether a file of variables sets this one, its name in quotes or not.
fn sets(text: &str, variable: &str) -> bool {
    let names = |line: &str| {
        let line = line.trim_start_matches(['"', '\'']);
        let rest = line.strip_prefix(variable)?;
        let rest = rest.trim_start_matches(['"', '\'']).trim_start();
        Some(rest.starts_with(':'))
    };
    text.lines().any(|line| names(line) == Some(true))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let inventory = folder.path().join("inventory.yml");
        let found = variables(&inventory, Place::default());
        found.into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn what_becomes_something_of_a_node_is_refused_there() {
        for (file, text) in [
            ("group_vars/all.yml", "ansible_user: bench\n"),
            ("group_vars/servers.yml", "depbench_disk_device: /dev/vdb\n"),
            (
                "group_vars/servers/disk.yml",
                "x: 1\ndepbench_disk_mount : /data\n",
            ),
            (
                "host_vars/s1.yml",
                "'depbench_program_source': ./depbench\n",
            ),
            (
                "host_vars/s1.yml",
                "\"depbench_program_path\": /opt/depbench\n",
            ),
        ] {
            let found = found(file, text).join("\n");
            assert!(
                found.contains("which is not read from there"),
                "{file}: {found}"
            );
            assert!(found.contains(file), "{found}");
        }
    }

    #[test]
    fn what_is_the_playbooks_alone_may_stand_there() {
        let text = "depbench_targets_wanted: [redis]\n# depbench_disk_device: /dev/vdb\ndepbench_disk_devices: 2\n";
        assert_eq!(found("group_vars/servers.yml", text), Vec::<String>::new());
    }
}
