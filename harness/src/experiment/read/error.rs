use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// Why a value could not be read, and on which way from the root it stands.
#[derive(Debug)]
pub(super) struct ReadError {
    /// Numbers of the children on the way, innermost first.
    way: Vec<usize>,
    /// Whether the key or the value at the end of the way is meant.
    pub(super) part: Part,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

/// Names that serde knows to be valid.
pub(super) type Names = &'static [&'static str];

#[derive(Debug)]
pub(super) enum Kind {
    /// Said by a type's own reading.
    Message(String),
    /// Of the wrong type.
    Type {
        found: String,
        expected: String,
    },
    UnknownField {
        name: String,
        expected: Names,
    },
    UnknownVariant {
        name: String,
        expected: Names,
    },
    MissingField(&'static str),
    /// A choice that must be one of these names was written as something else.
    NoChoice {
        found: String,
        expected: Names,
    },
    /// A choice that takes settings was written as a bare word.
    BareChoice(String),
    /// A choice without settings was given some.
    ChoiceWithSettings(String),
    /// The value was taken out before, because it was wrong.
    Pruned,
}

impl ReadError {
    pub(super) fn new(kind: Kind) -> ReadError {
        ReadError {
            way: Vec::new(),
            part: Part::Value,
            kind,
        }
    }

    /// The same error, seen from the parent of the node that it was at.
    pub(super) fn inside(mut self, child: usize) -> ReadError {
        self.way.push(child);
        self
    }

    /// The same error, about the key of the entry `child`.
    pub(super) fn at_key(mut self, child: usize) -> ReadError {
        self.part = Part::Key;
        self.inside(child)
    }

    /// Numbers of the children on the way from the root.
    pub(super) fn path(&self) -> Vec<usize> {
        self.way.iter().rev().copied().collect()
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadError::new(Kind::Message(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong_type(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong_type(found, expected)
    }

    fn unknown_variant(name: &str, expected: Names) -> Self {
        ReadError::new(Kind::UnknownVariant {
            name: name.to_owned(),
            expected,
        })
    }

    fn unknown_field(name: &str, expected: Names) -> Self {
        ReadError::new(Kind::UnknownField {
            name: name.to_owned(),
            expected,
        })
    }

    fn missing_field(name: &'static str) -> Self {
        ReadError::new(Kind::MissingField(name))
    }
}

fn wrong_type(found: Unexpected<'_>, expected: &dyn Expected) -> ReadError {
    let found = match found {
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Bool(truth) => format!("`{truth}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "a map".to_owned(),
        other => other.to_string(),
    };
    ReadError::new(Kind::Type {
        found,
        expected: expected.to_string(),
    })
}
