//! What the thread of a data directory does.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::disk::Outcome;
use crate::disk::{Change, Missing};

pub(super) enum Op {
    Open(String, Missing),
    List,
    Change(Change),
}

pub(super) fn perform(directory: &Path, operation: Op) -> io::Result<Outcome> {
    match operation {
        Op::Open(name, missing) => open_durably(directory, &name, missing),
        Op::List => list(directory).map(Outcome::Names),
        Op::Change(change) => {
            match change {
                Change::Rename { from, to } => {
                    fs::rename(directory.join(from), directory.join(to))?;
                }
                Change::Remove { name } => match fs::remove_file(directory.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
            }
            fs::File::open(directory)?.sync_all()?;
            Ok(Outcome::Done)
        }
    }
}

/// What an earlier process left in the page cache is made durable as well: whoever reads it builds on it.
fn open_durably(directory: &Path, name: &str, missing: Missing) -> io::Result<Outcome> {
    fs::create_dir_all(directory)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(missing == Missing::Create)
        .truncate(false)
        .open(directory.join(name))?;
    file.sync_all()?;
    fs::File::open(directory)?.sync_all()?;
    if let Some(parent) = directory.canonicalize()?.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    let length = file.metadata()?.len();
    Ok(Outcome::Opened(file, length))
}

fn list(directory: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(directory)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.file_type()?.is_file()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
