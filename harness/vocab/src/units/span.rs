use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, short, split_number, string_unit};

const EXPECTED: &str = "a time such as 15s, 40ms, 250us or 2m";

const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A length of time, whole in nanoseconds, at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// From whole seconds.
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// From whole milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Span(duration)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let year = 366.0 * 24.0 * 3600.0 * 1e9;
        split_number(text)
            .and_then(|(number, unit)| {
                let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
                Some(number * *scale as f64)
            })
            .filter(|nanos| *nanos <= year)
            .map(|nanos| Span(Duration::from_nanos(nanos.round() as u64)))
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                expected: EXPECTED,
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos() as u64;
        if nanos == 0 {
            return f.write_str("0s");
        }
        // The largest unit that shows it without loss; hours and minutes only when whole.
        let (unit, scale) = UNITS
            .iter()
            .find(|(unit, scale)| {
                nanos >= *scale
                    && (nanos.is_multiple_of(*scale)
                        || (!matches!(*unit, "h" | "m")
                            && nanos.is_multiple_of((scale / 1000).max(1))))
            })
            .copied()
            .unwrap_or(("ns", 1));
        write!(f, "{}{unit}", short(nanos as f64 / scale as f64))
    }
}

string_unit!(
    Span,
    "a time such as 15s, 40ms, 250us or 2m",
    r"^\s*[0-9.]+\s*(h|m|s|ms|us|ns)\s*$",
    ["15s", "40ms"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for text in [
            "15s", "40ms", "250us", "2m", "1h", "90s", "1.5ms", "1.5s", "0s", "7ns",
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(
                span.to_string().parse::<Span>().unwrap(),
                span,
                "{text} -> {span}"
            );
        }
        assert_eq!("90s".parse::<Span>().unwrap().to_string(), "90s");
        assert_eq!("1500ms".parse::<Span>().unwrap().to_string(), "1.5s");
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["15", "-1s", "1d", "s", "", "99999h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
