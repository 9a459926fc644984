use std::fs;
use std::path::{Path, PathBuf};

use super::machine::known;
use crate::experiment::Diagnostic;
use crate::experiment::document::Place;

/// Folders beside an inventory from which Ansible takes variables too.
const FOLDERS: [&str; 2] = ["group_vars", "host_vars"];

/// Variables about how to reach machines that stand in files beside the inventory: to pass over them would be to log in
/// as somebody else.
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
            let set = |variable: &&str| {
                text.lines().any(|line| {
                    line.strip_prefix(variable)
                        .is_some_and(|rest| rest.trim_start().starts_with(':'))
                })
            };
            let variable = known().find(set)?;
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

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
