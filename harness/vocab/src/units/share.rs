use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{UnitError, short, split_number, string_unit};

const SHARE: &str = "a share from 0% to 100%, such as 5%";
const FACTOR: &str = "how many times as much, such as 0.95x";
const WEIGHT: &str = "a weight ratio from 0.01x to 1000x, such as 15x";

/// A number in this unit and range.
fn number(
    text: &str,
    unit: &str,
    range: RangeInclusive<f64>,
    expected: &'static str,
) -> Result<f64, UnitError> {
    split_number(text)
        .filter(|(number, found)| *found == unit && range.contains(number))
        .map(|(number, _)| number)
        .ok_or_else(|| UnitError {
            text: text.to_owned(),
            expected,
        })
}

/// A part of a whole, from 0 % to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// The whole.
    pub const ALL: Share = Share(1.0);
    /// Nothing.
    pub const NONE: Share = Share(0.0);

    /// A share from a fraction; `None` outside 0 to 1.
    pub fn from_fraction(fraction: f64) -> Option<Share> {
        (0.0..=1.0).contains(&fraction).then_some(Share(fraction))
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text, "%", 0.0..=100.0, SHARE).map(|percent| Share(percent / 100.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", short(self.0 * 100.0))
    }
}

string_unit!(
    Share,
    "a share from 0% to 100%, such as 5%",
    r"^\s*[0-9.]+\s*%\s*$",
    ["5%", "50%"]
);

/// How many times the weight of the server something gets (the papers' `15x`).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Weight(f64);

impl Weight {
    /// The ratio as a number.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl FromStr for Weight {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text, "x", 0.01..=1000.0, WEIGHT).map(Weight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", short(self.0))
    }
}

string_unit!(
    Weight,
    "a weight ratio from 0.01x to 1000x, such as 15x",
    r"^\s*[0-9.]+\s*x\s*$",
    ["15x", "1x"]
);

/// How many times as much as something else.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Factor(f64);

impl Factor {
    /// The factor as a number.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl FromStr for Factor {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text, "x", 0.0..=1e6, FACTOR).map(Factor)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", short(self.0))
    }
}

string_unit!(
    Factor,
    "how many times as much, such as 0.95x",
    r"^\s*[0-9.]+\s*x\s*$",
    ["0.95x", "2x"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_trip() {
        for text in ["0%", "5%", "12.5%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["5", "101%", "-1%", "%", "5 percent", ""] {
            let error = text.parse::<Share>().unwrap_err();
            assert!(error.to_string().contains("such as 5%"), "{error}");
        }
    }

    #[test]
    fn weights_and_factors_round_trip() {
        assert_eq!("15x".parse::<Weight>().unwrap().to_string(), "15x");
        assert_eq!("0.95x".parse::<Factor>().unwrap().to_string(), "0.95x");
        assert!("95%".parse::<Factor>().is_err());
        assert!("0x".parse::<Weight>().is_err());
        assert!("15".parse::<Weight>().is_err());
    }
}
