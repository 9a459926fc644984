//! Severities between two of the same type.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;
use vocab::units::{ByteRate, Bytes, Rate, Share, Span, Weight};

use super::FaultType;

/// The fault that lies this part of the way from one to the other: every quantity that differs is taken evenly between
/// the two.
///
/// # Errors
/// They are not of one type, or differ in something that is no quantity; in plain words.
pub(super) fn between(from: &FaultType, to: &FaultType, part: f64) -> Result<FaultType, String> {
    if from.name() != to.name() {
        return Err(format!(
            "{} cannot grow into {}, expected {} with other values",
            from.name(),
            to.name(),
            to.name()
        ));
    }
    if from == to {
        return Err(format!(
            "it begins and ends as {to}, expected another value"
        ));
    }
    let json = |kind: &FaultType| serde_json::to_value(kind).map_err(|error| error.to_string());
    let mixed = mix(&json(from)?, &json(to)?, part)?;
    serde_json::from_value(mixed).map_err(|error| error.to_string())
}

fn mix(from: &Value, to: &Value, part: f64) -> Result<Value, String> {
    match (from, to) {
        (same, other) if same == other => Ok(to.clone()),
        (Value::Object(from), Value::Object(to)) => {
            let missing = Value::Null;
            let field = |(name, to): (&String, &Value)| {
                let from = from.get(name).unwrap_or(&missing);
                Ok((name.clone(), mix(from, to, part)?))
            };
            to.iter().map(field).collect()
        }
        (Value::Number(from), Value::Number(to)) => {
            let (Some(from), Some(to)) = (from.as_f64(), to.as_f64()) else {
                return Err(format!("there is nothing between {from} and {to}"));
            };
            let mixed = line(from, to, part).round();
            Ok(Value::from(mixed as u64))
        }
        (Value::String(from), Value::String(to)) => quantity(from, to, part)
            .map(Value::String)
            .ok_or_else(|| format!("there is nothing between `{from}` and `{to}`")),
        (from, to) => Err(format!("there is nothing between {from} and {to}")),
    }
}

/// Between two quantities of one unit, in the spelling of files.
fn quantity(from: &str, to: &str, part: f64) -> Option<String> {
    fn both<T: FromStr>(from: &str, to: &str) -> Option<(T, T)> {
        Some((from.parse().ok()?, to.parse().ok()?))
    }
    fn spelt<T: FromStr + Display>(text: &str) -> Option<String> {
        text.parse::<T>().ok().map(|value| value.to_string())
    }
    let value = |from: f64, to: f64| line(from, to, part);
    if let Some((from, to)) = both::<Share>(from, to) {
        return Share::from_fraction(value(from.fraction(), to.fraction()))
            .map(|share| share.to_string());
    }
    if let Some((from, to)) = both::<Span>(from, to) {
        let seconds = value(from.as_secs_f64(), to.as_secs_f64());
        return spelt::<Span>(&format!("{:.0}us", seconds * 1e6));
    }
    if let Some((from, to)) = both::<Weight>(from, to) {
        return spelt::<Weight>(&format!("{:.3}x", value(from.ratio(), to.ratio())));
    }
    if let Some((from, to)) = both::<Bytes>(from, to) {
        return Some(Bytes(value(from.0 as f64, to.0 as f64) as u64).to_string());
    }
    if let Some((from, to)) = both::<ByteRate>(from, to) {
        let bytes = value(from.per_second().0 as f64, to.per_second().0 as f64);
        return spelt::<ByteRate>(&format!("{bytes:.0}B/s"));
    }
    let (from, to) = both::<Rate>(from, to)?;
    spelt::<Rate>(&format!(
        "{:.3}/s",
        value(from.per_second(), to.per_second())
    ))
}

fn line(from: f64, to: f64, part: f64) -> f64 {
    from + (to - from) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> FaultType {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn every_quantity_goes_evenly() {
        for (from, to, middle) in [
            (
                "{cpu.quota: {share: 100%}}",
                "{cpu.quota: {share: 5%}}",
                "cpu.quota 52.5%",
            ),
            (
                "{cpu.contention: {weight: 1x}}",
                "{cpu.contention: {weight: 16x}}",
                "cpu.contention 8.5x",
            ),
            (
                "{memory.limit: {bytes: 250MB}}",
                "{memory.limit: {bytes: 50MB}}",
                "memory.limit 150MB",
            ),
            (
                "{net.delay: {delay: 0s}}",
                "{net.delay: {delay: 40ms}}",
                "net.delay 20ms",
            ),
            (
                "{process.pause: {for: 100ms, period: 1s}}",
                "{process.pause: {for: 900ms, period: 1s}}",
                "process.pause 500ms every 1s",
            ),
        ] {
            let mixed = between(&kind(from), &kind(to), 0.5).unwrap();
            assert_eq!(mixed.to_string(), middle);
        }
    }

    #[test]
    fn what_has_nothing_between_is_refused() {
        for (from, to, message) in [
            (
                "{cpu.quota: {share: 50%}}",
                "{net.delay: {delay: 4ms}}",
                "cannot grow into",
            ),
            (
                "{cpu.quota: {share: 5%}}",
                "{cpu.quota: {share: 5%}}",
                "another value",
            ),
            (
                "{process.pause: {}}",
                "{process.pause: {for: 1ms, period: 1s}}",
                "nothing between",
            ),
        ] {
            let error = between(&kind(from), &kind(to), 0.5).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
