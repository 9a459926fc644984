use std::fmt;
use std::str::FromStr;

use super::{UnitError, short, split_number, string_unit};

const EXPECTED: &str = "a size such as 16B, 50MB or 64KiB";

const UNITS: [(&str, u64); 7] = [
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A number of bytes; `KB` is 1,000 bytes, `KiB` is 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// As the type that indexes memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads a size, in the name of `text` should it fail.
    pub(super) fn parse_quantity(text: &str) -> Option<u64> {
        let (number, unit) = split_number(text)?;
        let (_, scale) = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        let bytes = number * *scale as f64;
        (bytes < 1e18 && bytes.fract() == 0.0).then_some(bytes as u64)
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Bytes::parse_quantity(text)
            .map(Bytes)
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                expected: EXPECTED,
            })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (unit, scale) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", short(self.0 as f64 / scale as f64))
    }
}

string_unit!(
    Bytes,
    "a size such as 16B, 50MB or 64KiB",
    r"^\s*[0-9.]+\s*([KkMmGg][iI]?)?[Bb]\s*$",
    ["16B", "50MB", "1GiB"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip() {
        for (text, bytes) in [
            ("16B", 16),
            ("50MB", 50_000_000),
            ("64KiB", 65_536),
            ("1GiB", 1 << 30),
            ("0B", 0),
        ] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes));
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!("1.5KB".parse::<Bytes>().unwrap(), Bytes(1500));
        assert_eq!(Bytes(1500).to_string(), "1500B");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["16", "1.5B", "-1B", "5M", "big", "9999999999999GB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
