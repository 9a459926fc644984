use serde::de::DeserializeOwned;
use vocab::problem::nearest;

use super::access::NodeReader;
use super::error::{Kind, Part, ReadError};
use super::explain::explain;
use super::remedy::remedy;
use crate::experiment::diagnostic::Diagnostic;
use crate::experiment::document::{Node, Value};

/// A file with more errors than this is shown the first ones.
const MOST_ERRORS: usize = 50;

/// Reads a whole document.
///
/// # Errors
/// Everything whose type or name is wrong, in the order of the file.
pub(crate) fn read<T: DeserializeOwned>(root: &Node) -> Result<T, Vec<Diagnostic>> {
    let first = match T::deserialize(NodeReader(root)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut found = Vec::new();
    let mut root = root.clone();
    let mut error = first;
    loop {
        found.extend(report::<T>(&root, &error));
        if found.len() >= MOST_ERRORS || !prune(&mut root, &error) {
            break;
        }
        match T::deserialize(NodeReader(&root)) {
            Ok(_) => break,
            Err(next) => error = next,
        }
    }
    found.sort_by_key(|problem| problem.place.start);
    Err(found)
}

/// What to tell about the error, unless it only follows from one told before.
fn report<T: DeserializeOwned>(root: &Node, error: &ReadError) -> Option<Diagnostic> {
    let path = error.path();
    let problem = match &error.kind {
        Kind::Pruned => return None,
        Kind::MissingField(name) if told(root.descendant(&path)?, name) => return None,
        _ => explain(root, error),
    };
    if problem.help.is_some() || error.part == Part::Key {
        return Some(problem);
    }
    let heals = |patched: &Node| match T::deserialize(NodeReader(patched)) {
        Ok(_) => true,
        Err(next) => next.path() != path,
    };
    Some(match remedy(root, &path, heals) {
        Some(help) => problem.help(help),
        None => problem,
    })
}

/// Whether the field is missing because it was taken out, under its own name or a misspelt one.
fn told(node: &Node, name: &str) -> bool {
    let mut pruned = node.entries().iter().filter(|entry| entry.node.is_pruned());
    pruned.any(|entry| nearest(&entry.key.text, [name]).is_some())
}

/// Takes out the node that the error is about; false if that is the whole document.
fn prune(root: &mut Node, error: &ReadError) -> bool {
    let path = error.path();
    if path.is_empty() {
        return false;
    }
    match root.descendant_mut(&path) {
        Some(node) if !node.is_pruned() => {
            node.value = Value::Pruned;
            true
        }
        // Without progress there is no end.
        _ => false,
    }
}
