//! Quantities that carry their unit, in code and in files.
//!
//! Every quantity is written as a string with its unit (`5%`, `128KB/s`, `40ms`), so that a file can never be
//! read with the wrong unit; a bare number is refused.

mod bytes;
mod rate;
mod share;
mod span;

pub use bytes::Bytes;
pub use rate::{ByteRate, Rate};
pub use share::{Factor, Share, Weight};
pub use span::Span;

/// A quantity could not be read; says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    /// What was written.
    pub text: String,
    /// What would have been understood, with an example.
    pub expected: &'static str,
}

/// Splits `12.5KB` into `12.5` and `KB`; `None` unless it starts with a non-negative finite number.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then_some((number, text[end..].trim()))
}

/// Prints at most three decimals, none when the number is whole.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Implements serde (as a string) and JSON Schema for a unit that has `FromStr` and `Display`.
macro_rules! string_unit {
    ($unit:ident, $expected:expr, $pattern:expr, [$($example:expr),+]) => {
        impl serde::Serialize for $unit {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $unit {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $unit;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$unit, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl schemars::JsonSchema for $unit {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($unit).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("written as ", $expected),
                    "pattern": $pattern,
                    "examples": [$($example),+],
                })
            }
        }
    };
}
use string_unit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_split_from_units() {
        assert_eq!(split_number("12.5KB"), Some((12.5, "KB")));
        assert_eq!(split_number(" 5 % "), Some((5.0, "%")));
        assert_eq!(split_number("-5%"), None);
        assert_eq!(split_number("KB"), None);
        assert_eq!(split_number("1e400s"), Some((1.0, "e400s")));
    }

    #[test]
    fn numbers_are_printed_short() {
        assert_eq!(short(5.0), "5");
        assert_eq!(short(0.125), "0.125");
        assert_eq!(short(1.0 / 3.0), "0.333");
    }
}
