//! `cluster: {inventory: FILE}`: the machines of an Ansible inventory.
//!
//! They are put in as the nodes of `cluster: {ssh: …}` when the experiment file is loaded, so that all behind it, and
//! the results, know nodes only.
//!
//! - [`groups`]: which hosts there are, in which groups, with which variables;
//! - [`cluster`]: what groups and hosts mean for a cluster;
//! - [`machine`]: what the variables of a host mean for a node;
//! - [`elsewhere`]: variables in files beside the inventory, which are not read.

mod cluster;
mod elsewhere;
mod groups;
mod machine;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use vocab::problem::{FieldPath, Problems, Validate};

use super::document::{Entry, Key, Meaning, Node, Place, Source, Value, parse};
use super::load::{LARGEST_FILE, locate};
use super::read::read;
use super::{Diagnostic, Report};
use crate::cluster::spec::SshSpec;
use groups::Groups;

/// Why the machines cannot be put in.
pub(super) enum Unusable {
    /// Wrong in the experiment file.
    Here(Diagnostic),
    /// Wrong in the inventory.
    There(Report),
}

/// Puts in the machines of the inventory that `root` names, if it names one; its path starts at `folder`.
pub(super) fn expand(root: &mut Node, folder: &Path) -> Result<(), Unusable> {
    let Some(inventory) = root
        .get("cluster")
        .and_then(|cluster| cluster.entry("inventory"))
        .cloned()
    else {
        return Ok(());
    };
    let (file, settings, path, text) = match opened(&inventory, folder) {
        Ok(opened) => opened,
        Err(problem) => {
            replace(root, |entry| entry.node.value = Value::Pruned);
            return Err(Unusable::Here(problem));
        }
    };
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    let mut ssh = machines(&source, &path)
        .map_err(|problems| Unusable::There(Report::of_all(source, problems)))?;
    ssh.retain(|entry| {
        !settings
            .iter()
            .any(|other| other.key.text == entry.key.text)
    });
    let place = file.place;
    let ssh = ssh.into_iter().map(|entry| Entry {
        key: moved_key(entry.key, place),
        node: moved(entry.node, place),
    });
    let ssh = Entry {
        key: Key {
            place: inventory.key.place,
            text: "ssh".to_owned(),
        },
        node: Node {
            place,
            value: Value::Map(ssh.chain(settings).collect()),
        },
    };
    replace(root, |entry| *entry = ssh.clone());
    Ok(())
}

/// Changes what names the inventory.
fn replace(root: &mut Node, change: impl Fn(&mut Entry)) {
    if let Some(Value::Map(entries)) = root.get_mut("cluster").map(|cluster| &mut cluster.value) {
        let named = |entry: &&mut Entry| entry.key.text == "inventory";
        entries.iter_mut().filter(named).for_each(change);
    }
}

/// What is written about the inventory, its path and its text.
fn opened(
    inventory: &Entry,
    folder: &Path,
) -> Result<(Node, Vec<Entry>, PathBuf, String), Diagnostic> {
    let (file, settings) = written(inventory)?;
    let path = folder.join(file.text().unwrap_or_default());
    match text_of(&path) {
        Ok(text) => Ok((file, settings, path, text)),
        Err(reason) => {
            let problem = format!("cannot read the inventory {}: {reason}", path.display());
            Err(Diagnostic::new(file.place, problem))
        }
    }
}

/// The path, and what is set besides.
fn written(inventory: &Entry) -> Result<(Node, Vec<Entry>), Diagnostic> {
    let wrong = |place| {
        Diagnostic::new(place, "which inventory? expected the path of a file")
            .help("write `inventory: inventory.yml`, or `inventory: {file: inventory.yml, …}`")
    };
    let place = match inventory.node.place {
        nothing if nothing.start == nothing.end => inventory.key.place,
        place => place,
    };
    let file = match &inventory.node.value {
        Value::Map(_) => inventory.node.get("file").ok_or(wrong(place))?,
        _ => &inventory.node,
    };
    let named = match &file.value {
        Value::Scalar(scalar) => scalar.meaning() != Meaning::Nothing && !scalar.text.is_empty(),
        _ => false,
    };
    if !named {
        return Err(wrong(place));
    }
    let rest = inventory.node.entries().iter();
    let rest = rest.filter(|entry| entry.key.text != "file").cloned();
    Ok((file.clone(), rest.collect()))
}

fn text_of(path: &Path) -> Result<String, String> {
    // Opening a pipe would wait for whoever writes into it.
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a regular file, expected an inventory in YAML".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// The fields of an `ssh` cluster with the machines of an inventory, at their places there.
fn machines(source: &Source, path: &Path) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let (root, mut problems) = parse(source);
    let Some(root) = root else {
        let ini = "is it written the INI way? `ansible-inventory -i FILE --list --yaml` prints it as YAML";
        if problems.is_empty() {
            problems.push(Diagnostic::new(
                Place::default(),
                "the file is empty, expected the groups `servers` and `clients`",
            ));
        }
        return Err(problems
            .into_iter()
            .map(|problem| match problem.help {
                Some(_) => problem,
                None => problem.help(ini),
            })
            .collect());
    };
    let groups = Groups::of(&root, &mut problems);
    problems.extend(elsewhere::variables(path, root.place));
    let ssh = Node {
        place: root.place,
        value: Value::Map(cluster::fields(&groups, &root, &mut problems)),
    };
    if problems.is_empty() {
        match read::<SshSpec>(&ssh) {
            Err(more) => problems.extend(more),
            Ok(spec) => {
                let mut more = Problems::default();
                spec.validate(&FieldPath::root(), &mut more);
                let more = more.into_vec().into_iter();
                problems.extend(more.map(|problem| locate(&ssh, problem)));
            }
        }
    }
    match (problems.is_empty(), ssh.value) {
        (true, Value::Map(entries)) => Ok(entries),
        _ => Err(problems),
    }
}

/// The same, as if it stood at `place`.
fn moved(node: Node, place: Place) -> Node {
    let value = match node.value {
        Value::List(elements) => Value::List(
            elements
                .into_iter()
                .map(|node| moved(node, place))
                .collect(),
        ),
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|entry| Entry {
                    key: moved_key(entry.key, place),
                    node: moved(entry.node, place),
                })
                .collect(),
        ),
        value => value,
    };
    Node { place, value }
}

fn moved_key(key: Key, place: Place) -> Key {
    Key { place, ..key }
}
