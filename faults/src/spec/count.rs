use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many nodes are hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// That many.
    Number(NonZeroU32),
    /// As many as a quorum system must tolerate: one of 3, two of 5.
    Minority,
}

impl Default for Count {
    fn default() -> Self {
        Count::Number(NonZeroU32::MIN)
    }
}

impl Count {
    /// As a number, in a cluster of `servers`.
    pub fn of(self, servers: usize) -> usize {
        match self {
            Count::Number(number) => number.get() as usize,
            Count::Minority => minority(servers),
        }
    }
}

/// The largest number of `servers` that leaves a majority.
pub(super) fn minority(servers: usize) -> usize {
    servers.saturating_sub(1) / 2
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Number(number) => number.fmt(f),
            Count::Minority => f.write_str("a minority of"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Count::Number(number) => number.serialize(serializer),
            Count::Minority => serializer.serialize_str("minority"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of nodes above 0, or `minority`")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(Count::Number)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                match text {
                    "minority" => Ok(Count::Minority),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of nodes, or as many as a quorum system must tolerate.",
            "oneOf": [{"type": "integer", "minimum": 1}, {"const": "minority"}],
            "default": 1,
        })
    }
}
