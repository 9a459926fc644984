//! What is wrong with an input: the field, what was found, what was expected, the nearest valid thing.
//!
//! Crates that own a part of the experiment file report problems by field path; only the loader knows which line
//! and column of which file that path stands at, and prints them.

use std::fmt;

/// A field by its path from the root of the document: `faults[0].type.cpu.quota.share`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldPath(Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl FieldPath {
    /// The whole document.
    pub fn root() -> FieldPath {
        FieldPath::default()
    }

    /// The field `key` of the map at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> FieldPath {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The element `index` of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> FieldPath {
        self.with(Segment::Index(index))
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn with(&self, segment: Segment) -> FieldPath {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Something wrong at a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct Problem {
    /// Where.
    pub at: FieldPath,
    /// What is wrong, lower case, with what was expected.
    pub message: String,
    /// What to do about it, if that is not plain from the message.
    pub help: Option<String>,
}

/// Collects problems, so that a person sees all of them at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn add(&mut self, at: FieldPath, message: impl Into<String>) {
        self.0.push(Problem {
            at,
            message: message.into(),
            help: None,
        });
    }

    /// Adds a problem together with its remedy.
    pub fn add_with_help(
        &mut self,
        at: FieldPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(Problem {
            at,
            message: message.into(),
            help: Some(help.into()),
        });
    }

    /// All of them, in the order they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// A part of the experiment file that can say what is wrong with itself beyond the types of its fields.
pub trait Validate {
    /// Adds what is wrong with the value at `at` to `problems`.
    fn validate(&self, at: &FieldPath, problems: &mut Problems);
}

/// The candidate most like `text`, if any is close enough to be meant.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&text.to_lowercase(), candidate),
                candidate,
            )
        })
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(text.len()) / 2).max(1))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_the_file() {
        let path = FieldPath::root()
            .key("faults")
            .index(0)
            .key("type")
            .key("cpu.quota");
        assert_eq!(path.to_string(), "faults[0].type.cpu.quota");
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(
            nearest("cpu.qouta", ["cpu.quota", "net.delay"]),
            Some("cpu.quota")
        );
        assert_eq!(
            nearest("worklaod", ["workload", "phases"]),
            Some("workload")
        );
        assert_eq!(nearest("zzzzzzzz", ["workload", "phases"]), None);
    }
}
