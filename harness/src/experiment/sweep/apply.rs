use std::collections::BTreeSet;

use vocab::problem::nearest;

use super::axis::Sweep;
use super::resolve::{Resolved, paths, resolve};
use crate::experiment::cell::Setting;
use crate::experiment::diagnostic::Diagnostic;
use crate::experiment::document::{Entry, Key, Node, Place, Source, Value, parse};
use crate::experiment::read::read;
use crate::experiment::spec::Spec;

/// More cells than this are a mistake: at a minute each they take most of a day.
const MOST_CELLS: usize = 1000;

/// A person mends the first ones before reading on.
const MOST_ERRORS: usize = 50;

/// What is the same for the whole experiment.
const FIXED: [&str; 6] = ["name", "description", "targets", "sweep", "trials", "seed"];

/// The document of one cell.
pub(crate) struct Point {
    pub(crate) root: Node,
    /// Which of the `targets`.
    pub(crate) target: usize,
    pub(crate) settings: Vec<Setting>,
}

/// A swept field that exists.
struct Axis<'a> {
    key: &'a Key,
    values: &'a [Node],
    resolved: Resolved,
    label: String,
}

impl Axis<'_> {
    /// The only target that it matters to, if it is a setting of one.
    fn target(&self, root: &Node) -> Option<usize> {
        let targets = root
            .entries()
            .iter()
            .position(|entry| entry.key.text == "targets")?;
        match self.resolved.way.as_slice() {
            [list, index, ..] if *list == targets => Some(*index),
            _ => None,
        }
    }
}

/// The documents of all cells: every target at every point of the grid. Even with problems there is at least one, so
/// that the rest of the file can be judged.
pub(crate) fn points(root: &Node) -> (Vec<Point>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut axes: Vec<Axis> = Vec::new();
    for entry in root.get("sweep").map(Node::entries).unwrap_or_default() {
        if problems.len() >= MOST_ERRORS {
            break;
        }
        match axis(root, entry, &axes) {
            Ok(axis) => axes.extend(axis),
            Err(problem) => problems.push(*problem),
        }
    }
    label(&mut axes);
    let targets = root
        .get("targets")
        .map_or(1, |targets| targets.elements().len().max(1));
    let mut points = Vec::new();
    for target in 0..targets {
        let combinations = combinations(&axes, |axis| {
            axis.target(root).is_none_or(|only| only == target)
        });
        let Some(combinations) = combinations.filter(|new| points.len() + new.len() <= MOST_CELLS)
        else {
            let place = root
                .entry("sweep")
                .map_or(root.place, |entry| entry.key.place);
            let message = format!("the sweep has more than {MOST_CELLS} cells");
            problems.push(
                Diagnostic::new(place, message).label("multiply the values, and the targets"),
            );
            break;
        };
        points.extend(
            combinations
                .into_iter()
                .map(|chosen| point(root, target, &axes, &chosen)),
        );
    }
    if points.is_empty() {
        points.push(Point {
            root: root.clone(),
            target: 0,
            settings: Vec::new(),
        });
    }
    (points, problems)
}

/// For each combination the chosen value of each axis; `None` stands for an axis that does not matter here.
fn combinations(axes: &[Axis], matters: impl Fn(&Axis) -> bool) -> Option<Vec<Vec<Option<usize>>>> {
    let mut all: Vec<Vec<Option<usize>>> = vec![Vec::new()];
    for axis in axes {
        let choices: Vec<Option<usize>> = match matters(axis) {
            true => (0..axis.values.len()).map(Some).collect(),
            false => vec![None],
        };
        if all.len() * choices.len() > MOST_CELLS {
            return None;
        }
        let longer = |chosen: Vec<Option<usize>>| {
            choices
                .iter()
                .map(move |choice| [chosen.as_slice(), &[*choice]].concat())
                .collect::<Vec<_>>()
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    Some(all)
}

fn point(root: &Node, target: usize, axes: &[Axis], chosen: &[Option<usize>]) -> Point {
    let mut point = Point {
        root: root.clone(),
        target,
        settings: Vec::new(),
    };
    for (axis, choice) in axes.iter().zip(chosen) {
        let value = &axis.values[choice.unwrap_or(0)];
        set(&mut point.root, &axis.resolved, axis.key.place, value);
        if choice.is_some() {
            let value = short(value);
            let (path, label) = (axis.key.text.clone(), axis.label.clone());
            point.settings.push(Setting { path, label, value });
        }
    }
    point
}

/// Replaces the value at a path, adding keys that are not there.
fn set(root: &mut Node, resolved: &Resolved, place: Place, value: &Node) {
    let Some(mut node) = root.descendant_mut(&resolved.way) else {
        return;
    };
    for key in &resolved.absent {
        let Value::Map(entries) = &mut node.value else {
            return;
        };
        // Two swept fields may lie in the same map that the file leaves out.
        let index = entries
            .iter()
            .position(|entry| entry.key.text == *key)
            .unwrap_or_else(|| {
                let key = Key {
                    place,
                    text: key.clone(),
                };
                entries.push(Entry {
                    key,
                    node: Node {
                        place,
                        value: Value::Map(Vec::new()),
                    },
                });
                entries.len() - 1
            });
        node = &mut entries[index].node;
    }
    *node = value.clone();
}

fn axis<'a>(
    root: &Node,
    entry: &'a Entry,
    earlier: &[Axis],
) -> Result<Option<Axis<'a>>, Box<Diagnostic>> {
    let (key, path) = (&entry.key, entry.key.text.as_str());
    let wrong = |message: String| Box::new(Diagnostic::new(key.place, message));
    if FIXED.contains(&path) {
        return Err(Box::new(
            wrong(format!(
                "`{path}` cannot be swept: it is the same for the whole experiment"
            ))
            .help("sweep a field below `cluster`, `workload`, `phases`, `faults` or `targets`"),
        ));
    }
    let Value::List(values) = &entry.node.value else {
        // Not a list: reading the types says so.
        return Ok(None);
    };
    if values.is_empty() {
        return Err(Box::new(Diagnostic::new(
            entry.node.place,
            format!("`{path}` is swept over no value"),
        )));
    }
    repeated(values)?;
    let resolved = resolve(root, path).map_err(|nowhere| {
        let problem = Diagnostic::new(key.place, nowhere.message);
        Box::new(match nowhere.nearest {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        })
    })?;
    if let Some(other) = earlier
        .iter()
        .find(|other| other.resolved.overlaps(&resolved))
    {
        return Err(wrong(format!(
            "`{path}` and `{}` set the same field",
            other.key.text
        )));
    }
    if !resolved.absent.is_empty() {
        exists(root, key, &resolved, &values[0])?;
    }
    Ok(Some(Axis {
        key,
        values,
        resolved,
        label: path.to_owned(),
    }))
}

/// A field that the file leaves out exists if reading the file with it does not stumble over its name.
fn exists(
    root: &Node,
    key: &Key,
    resolved: &Resolved,
    value: &Node,
) -> Result<(), Box<Diagnostic>> {
    let mut with = root.clone();
    set(&mut with, resolved, key.place, value);
    let Err(found) = read::<Spec>(&with) else {
        return Ok(());
    };
    let Some(mut problem) = found.into_iter().find(|problem| problem.place == key.place) else {
        return Ok(());
    };
    problem.message = format!("`{}` cannot be swept: {}", key.text, problem.message);
    if resolved.absent.len() > 1 || problem.help.is_none() {
        let known = known_paths(root);
        let near = nearest(&key.text, known.iter().map(String::as_str));
        problem.help = near
            .map(|near| format!("did you mean `{near}`?"))
            .or(problem.help);
    }
    Err(Box::new(problem))
}

/// The paths of the file, with every default written out if it can be read.
fn known_paths(root: &Node) -> Vec<String> {
    let resolved = read::<Spec>(root).ok().and_then(|spec| {
        let sweep = Sweep::default();
        serde_yaml::to_string(&Spec { sweep, ..spec }).ok()
    });
    let written_out = resolved.and_then(|text| {
        parse(&Source {
            name: String::new(),
            text,
        })
        .0
    });
    let mut known = paths(written_out.as_ref().unwrap_or(root));
    known.retain(|path| {
        !FIXED.contains(&path.split('.').next().unwrap_or(path)) || path.starts_with("targets.")
    });
    known
}

fn repeated(values: &[Node]) -> Result<(), Box<Diagnostic>> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(as_json(value)) {
            return Err(Box::new(Diagnostic::new(
                value.place,
                format!("{} is swept twice", short(value)),
            )));
        }
    }
    Ok(())
}

fn as_json(value: &Node) -> String {
    serde_json::to_string(value).expect("a tree of text and numbers is JSON")
}

/// A value as it goes into a name: what is written, after the key of a choice: `cpu.quota-5%`.
fn short(value: &Node) -> String {
    let mut words = Vec::new();
    if let [choice] = value.entries() {
        words.push(choice.key.text.as_str());
    }
    scalars(value, &mut words);
    words.join("-")
}

fn scalars<'a>(value: &'a Node, words: &mut Vec<&'a str>) {
    words.extend(value.text());
    value
        .elements()
        .iter()
        .for_each(|element| scalars(element, words));
    value
        .entries()
        .iter()
        .for_each(|entry| scalars(&entry.node, words));
}

/// Gives each axis the shortest end of its path that tells it from the others.
fn label(axes: &mut [Axis]) {
    let paths: Vec<String> = axes.iter().map(|axis| axis.key.text.clone()).collect();
    for (index, axis) in axes.iter_mut().enumerate() {
        let path = &paths[index];
        let ends = path.rmatch_indices('.').map(|(dot, _)| &path[dot + 1..]);
        let unique = |end: &&str| {
            let others = paths
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            others
                .into_iter()
                .all(|(_, other)| other != end && !other.ends_with(&format!(".{end}")))
        };
        axis.label = ends.into_iter().find(unique).unwrap_or(path).to_owned();
    }
}
