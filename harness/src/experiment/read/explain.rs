use vocab::problem::nearest;

use super::error::{Kind, Names, Part, ReadError};
use crate::experiment::diagnostic::Diagnostic;
use crate::experiment::document::{Node, Place};

/// Says what is wrong in the words of the file, at the place it stands.
pub(super) fn explain(root: &Node, error: &ReadError) -> Diagnostic {
    let path = error.path();
    let place = place(root, &path, error.part);
    match &error.kind {
        Kind::Message(message) => Diagnostic::new(place, message.clone()),
        Kind::Type { found, expected } => {
            let expected = in_plain_words(expected, found);
            let problem = Diagnostic::new(place, format!("found {found}, expected {expected}"))
                .label(format!("expected {expected}"));
            match (found.as_str(), expected) {
                ("nothing", MAP) => problem.help("write `{}` for the defaults"),
                _ => problem,
            }
        }
        Kind::UnknownField { name, expected } => suggest(
            Diagnostic::new(place, format!("unknown field `{name}`")),
            name,
            expected,
        ),
        Kind::UnknownVariant { name, expected } => suggest(
            Diagnostic::new(place, format!("unknown name `{name}`")),
            name,
            expected,
        ),
        Kind::MissingField(name) => missing(root, &path, name),
        Kind::NoChoice { found, expected } => Diagnostic::new(
            place,
            format!("found {found}, expected one of {}", list(expected)),
        )
        .label("expected one of these names"),
        Kind::BareChoice(name) => Diagnostic::new(
            place,
            format!("`{name}` needs its settings, expected a map"),
        )
        .label("expected a map")
        .help(format!(
            "write `{name}: {{…}}`; `{name}: {{}}` takes the defaults"
        )),
        Kind::ChoiceWithSettings(name) => {
            Diagnostic::new(place, format!("`{name}` has no settings"))
                .label("expected a single word")
                .help(format!("write `{name}` alone"))
        }
        Kind::Pruned => Diagnostic::new(place, "wrong"),
    }
}

fn place(root: &Node, path: &[usize], part: Part) -> Place {
    if let (Part::Key, Some((last, parents))) = (part, path.split_last())
        && let Some(entry) = root
            .descendant(parents)
            .and_then(|parent| parent.entries().get(*last))
    {
        return entry.key.place;
    }
    match root.descendant(path) {
        // Nothing can be underlined where nothing stands: its key is shown.
        Some(node) if node.place.start == node.place.end => match path.split_last() {
            Some((last, parents)) => match root.descendant(parents) {
                Some(parent) => parent
                    .entries()
                    .get(*last)
                    .map_or(node.place, |entry| entry.key.place),
                None => node.place,
            },
            None => node.place,
        },
        Some(node) => node.place,
        None => root.place,
    }
}

/// A field that is not there is shown at the key of the map that should have it.
fn missing(root: &Node, path: &[usize], name: &str) -> Diagnostic {
    let holder = path.split_last().and_then(|(last, parents)| {
        let parent = root.descendant(parents)?;
        parent.entries().get(*last).map(|entry| &entry.key)
    });
    let node = root.descendant(path).unwrap_or(root);
    let first = node
        .entries()
        .first()
        .map_or(node.place, |entry| entry.key.place);
    match holder {
        Some(key) => Diagnostic::new(key.place, format!("`{name}` is missing in `{}`", key.text))
            .label("expected in this map"),
        None if path.is_empty() => missing_section(first, name),
        None => {
            Diagnostic::new(first, format!("`{name}` is missing")).label("expected in this map")
        }
    }
}

/// A section that every file needs is not there.
pub(crate) fn missing_section(place: Place, name: &str) -> Diagnostic {
    Diagnostic::new(place, format!("`{name}` is missing")).label("expected in this file")
}

fn suggest(problem: Diagnostic, name: &str, expected: Names) -> Diagnostic {
    let problem = match expected {
        [] => problem.label("no name is expected here"),
        [only] => problem.label(format!("expected `{only}`")),
        several => problem.label(format!("expected one of {}", list(several))),
    };
    // `raft` means `depfast-raft`.
    let part = || {
        expected
            .iter()
            .copied()
            .find(|full| name.len() > 2 && full.contains(name))
    };
    match nearest(name, expected.iter().copied()).or_else(part) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

fn list(names: Names) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

const MAP: &str = "a map";

/// serde names Rust types; people who write YAML know other words.
fn in_plain_words<'a>(expected: &'a str, found: &str) -> &'a str {
    let too_large = found
        .trim_matches('`')
        .parse()
        .is_ok_and(|number: u64| number > u64::from(u32::MAX));
    match expected {
        "a nonzero u8" => "a whole number from 1 to 255",
        "a nonzero u32" if too_large => "a whole number from 1 to 4294967295",
        "u32" if too_large => "a whole number up to 4294967295",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number",
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number from 1"
        }
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text",
        "a sequence" => "a list",
        "map" => MAP,
        other if other.starts_with("struct") => MAP,
        other => other,
    }
}
