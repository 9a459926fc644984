//! How the records look as lines of CSV. Times are seconds since load started, latencies milliseconds.

mod event;
mod interval;
mod probe;
mod sample;

pub use interval::IntervalRow;

use vocab::time::TrialTime;

/// Nanoseconds as seconds, whole, with at least three decimals.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (
        nanos.unsigned_abs() / 1_000_000_000,
        nanos.unsigned_abs() % 1_000_000_000,
    );
    let digits = format!("{part:09}");
    let kept = digits.trim_end_matches('0').len().max(3);
    format!("{sign}{whole}.{}", &digits[..kept])
}

/// The reverse of [`seconds`].
fn nanos(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a time in seconds such as 12.500");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !only_digits(whole) || !only_digits(part) {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let part: i64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(part))
        .map(|nanos| sign * nanos)
        .ok_or_else(wrong)
}

fn moment(text: &str) -> Result<TrialTime, String> {
    nanos(text).map(TrialTime::from_nanos)
}

/// Milliseconds to the microsecond.
pub(crate) fn milliseconds(value: f64) -> String {
    format!("{value:.3}")
}

/// As `show` shows it, or nothing.
pub(crate) fn optional<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map(show).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_short_and_whole() {
        for (value, text) in [
            (0, "0.000"),
            (1_500_000_000, "1.500"),
            (-250_000, "-0.00025"),
            (12_345_678_901, "12.345678901"),
        ] {
            assert_eq!(seconds(value), text);
            assert_eq!(nanos(text), Ok(value));
        }
        assert_eq!(nanos("12"), Ok(12_000_000_000));
        for text in [
            "",
            "-",
            ".5",
            "1.0000000001",
            "1e3",
            "--1",
            "99999999999999",
        ] {
            assert!(nanos(text).is_err(), "{text}");
        }
    }
}
