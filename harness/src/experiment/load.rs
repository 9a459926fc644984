use std::io::Read;
use std::path::Path;

use vocab::problem::{FieldPath, Problem, Problems, Segment, Validate, nearest};

use super::cell::{Cell, Names};
use super::document::{Node, Place, Source, Value, parse};
use super::inventory::{self, Unusable};
use super::read::{self, read};
use super::report::MOST_ERRORS;
use super::sweep::{Point, points};
use super::{Diagnostic, Experiment, Report, Spec, check};

/// A file for people is shorter than this.
pub(super) const LARGEST_FILE: u64 = 1 << 20;

/// More trials than this are a mistake: at a minute each they take a week.
const MOST_TRIALS: u64 = 10_000;

/// The experiment file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read at all.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// As given.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It says something wrong.
    #[error("{0}")]
    Wrong(Report),
}

/// Reads and checks an experiment file.
///
/// # Errors
/// See [`LoadError`]; a wrong file is reported with everything that is wrong in it.
pub fn load(path: &Path) -> Result<Experiment, LoadError> {
    let name = path.display().to_string();
    let unreadable = |source| LoadError::Unreadable {
        path: name.clone(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    from_bytes(&name, bytes)
}

/// As [`load`], from the content of a file that is shown as `name`.
///
/// # Errors
/// [`LoadError::Wrong`], never [`LoadError::Unreadable`].
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Experiment, LoadError> {
    let source = |text: String| Source {
        name: name.to_owned(),
        text,
    };
    if bytes.len() as u64 > LARGEST_FILE {
        let problem = Diagnostic::new(
            Place::default(),
            "larger than 1 MiB, which no experiment file is",
        );
        return Err(wrong(source(String::new()), vec![problem]));
    }
    match String::from_utf8(bytes) {
        Ok(text) => from_text(name, text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let place = Place {
                start: valid,
                end: valid,
            };
            let problem = Diagnostic::new(place, "this byte is not UTF-8 text");
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Err(wrong(source(text), vec![problem]))
        }
    }
}

/// As [`load`], from text that is shown as `name`.
///
/// # Errors
/// [`LoadError::Wrong`], never [`LoadError::Unreadable`].
pub fn from_text(name: &str, text: String) -> Result<Experiment, LoadError> {
    let source = Source {
        name: name.to_owned(),
        text,
    };
    match understand(&source) {
        Ok(experiment) => Ok(experiment),
        Err(Wrong::Here(problems)) => Err(wrong(source, problems)),
        Err(Wrong::There(report)) => Err(LoadError::Wrong(report)),
    }
}

fn wrong(source: Source, problems: Vec<Diagnostic>) -> LoadError {
    LoadError::Wrong(Report::of_all(source, problems))
}

/// What is wrong, and in which file.
enum Wrong {
    /// In the experiment file.
    Here(Vec<Diagnostic>),
    /// In a file that it names.
    There(Report),
}

impl From<Vec<Diagnostic>> for Wrong {
    fn from(problems: Vec<Diagnostic>) -> Wrong {
        Wrong::Here(problems)
    }
}

fn understand(source: &Source) -> Result<Experiment, Wrong> {
    let (root, mut problems) = parse(source);
    let Some(mut root) = root else {
        if problems.is_empty() {
            let empty = Diagnostic::new(
                Place::default(),
                "the file is empty, expected an experiment",
            );
            problems.push(empty.help("`depbench init` writes a commented one to start from"));
        }
        return Err(problems.into());
    };
    let folder = Path::new(&source.name).parent().unwrap_or(Path::new(""));
    match inventory::expand(&mut root, folder) {
        Ok(()) => {}
        Err(Unusable::Here(problem)) => problems.push(problem),
        Err(Unusable::There(report)) => return Err(Wrong::There(report)),
    }
    problems.extend(missing(&root));
    let (points, more) = points(&root);
    problems.extend(more);
    let mut specs = Vec::with_capacity(points.len());
    for point in points {
        if problems.len() > MOST_ERRORS {
            break;
        }
        match judge(&point) {
            Ok(spec) => specs.push((spec, point.target, point.settings)),
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let mut names = Names::default();
    let cells: Vec<Cell> = specs
        .iter()
        .map(|(spec, target, settings)| Cell::new(spec, *target, settings.clone(), &mut names))
        .collect();
    let (spec, ..) = specs.swap_remove(0);
    if u64::from(spec.trials.get()) * cells.len() as u64 > MOST_TRIALS {
        let place = place_of(&root, &FieldPath::root().key("trials"));
        let message = format!(
            "{} trials of each of {} cells are more than {MOST_TRIALS}",
            spec.trials,
            cells.len()
        );
        return Err(vec![Diagnostic::new(place, message)].into());
    }
    Ok(Experiment { spec, cells })
}

/// All sections that every experiment needs and this one lacks: reading stops at the first.
fn missing(root: &Node) -> Vec<Diagnostic> {
    let Some(first) = root.entries().first() else {
        return Vec::new();
    };
    let schema = schemars::schema_for!(Spec);
    let required = schema
        .get("required")
        .and_then(|required| required.as_array())
        .into_iter()
        .flatten();
    let names = required.filter_map(|name| name.as_str());
    let given = |name: &str| {
        root.entries()
            .iter()
            .any(|entry| nearest(&entry.key.text, [name]).is_some())
    };
    let absent = names.filter(|name| !given(name));
    absent
        .map(|name| read::missing(first.key.place, name))
        .collect()
}

fn judge(point: &Point) -> Result<Spec, Vec<Diagnostic>> {
    let spec: Spec = read(&point.root)?;
    let mut problems = Problems::default();
    spec.validate(&FieldPath::root(), &mut problems);
    check::check(&spec, point.target, &mut problems);
    match problems.into_vec() {
        problems if problems.is_empty() => Ok(spec),
        problems => Err(problems
            .into_iter()
            .map(|problem| locate(&point.root, problem))
            .collect()),
    }
}

/// A problem at its place in the file.
pub(super) fn locate(root: &Node, problem: Problem) -> Diagnostic {
    let diagnostic = Diagnostic::new(place_of(root, &problem.at), problem.message);
    match problem.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// The place of a field, or of the nearest thing around it that the file has.
fn place_of(root: &Node, path: &FieldPath) -> Place {
    let mut node = root;
    let named = |element: &Node| element.get("name").map_or(element.place, |name| name.place);
    let mut place = root
        .entries()
        .first()
        .map_or(root.place, |entry| entry.key.place);
    for segment in path.segments() {
        match (segment, &node.value) {
            (Segment::Key(key), Value::Map(_)) => {
                let Some(entry) = node.entry(key) else {
                    return place;
                };
                (node, place) = (&entry.node, entry.key.place);
            }
            (Segment::Index(index), Value::List(elements)) => {
                let Some(element) = elements.get(*index) else {
                    return place;
                };
                (node, place) = (element, named(element));
            }
            _ => return place,
        }
    }
    match node.place {
        written if written.start < written.end => written,
        _ => place,
    }
}
