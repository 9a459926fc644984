use std::fmt;
use std::str::FromStr;

use super::{Bytes, UnitError, short, split_number, string_unit};

const RATE: &str = "a rate above zero per second, such as 5000/s";
const BYTE_RATE: &str = "bytes above zero per second, such as 128KB/s";

/// Operations per second; above zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Operations in a second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    /// An equal part of it.
    ///
    /// # Panics
    /// When there are to be no parts.
    #[must_use]
    pub fn divided_by(self, parts: u32) -> Rate {
        assert!(parts > 0, "a rate has at least one part");
        Rate(self.0 / f64::from(parts))
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        split_number(text)
            .filter(|(number, unit)| *unit == "/s" && *number > 0.0)
            .map(|(number, _)| Rate(number))
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                expected: RATE,
            })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", short(self.0))
    }
}

string_unit!(
    Rate,
    "a rate above zero per second, such as 5000/s",
    r"^\s*[0-9.]+\s*/s\s*$",
    ["5000/s"]
);

/// Bytes per second; above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRate(Bytes);

impl ByteRate {
    /// Bytes in a second.
    pub fn per_second(self) -> Bytes {
        self.0
    }
}

impl FromStr for ByteRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.trim()
            .strip_suffix("/s")
            .and_then(Bytes::parse_quantity)
            .filter(|bytes| *bytes > 0)
            .map(|bytes| ByteRate(Bytes(bytes)))
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                expected: BYTE_RATE,
            })
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

string_unit!(
    ByteRate,
    "bytes above zero per second, such as 128KB/s",
    r"^\s*[0-9.]+\s*([KkMmGg][iI]?)?[Bb]/s\s*$",
    ["128KB/s"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_round_trip() {
        assert_eq!("5000/s".parse::<Rate>().unwrap().to_string(), "5000/s");
        assert_eq!(
            "128KB/s".parse::<ByteRate>().unwrap().to_string(),
            "128KB/s"
        );
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["5000", "0/s", "-1/s", "5/m"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["128KB", "0B/s", "/s"] {
            assert!(text.parse::<ByteRate>().is_err(), "{text}");
        }
    }
}
