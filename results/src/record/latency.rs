use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// A distribution of latencies: whole microseconds from 1 us to 60 s, right to three digits. What lies outside is
/// counted at the bound.
#[derive(Clone, PartialEq)]
pub struct Latency(Histogram<u64>);

/// A distribution that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a compressed HdrHistogram: {0}")]
pub struct LatencyError(String);

impl Latency {
    const LOWEST_US: u64 = 1;
    const HIGHEST_US: u64 = 60_000_000;
    const DIGITS: u8 = 3;

    /// Of no operation.
    pub fn new() -> Latency {
        let histogram = Histogram::new_with_bounds(Self::LOWEST_US, Self::HIGHEST_US, Self::DIGITS)
            .expect("the bounds are valid");
        Latency(histogram)
    }

    /// Counts one operation.
    pub fn record(&mut self, latency: Duration) {
        self.record_micros(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one operation that took `micros`.
    pub fn record_micros(&mut self, micros: u64) {
        self.0.saturating_record(micros.max(Self::LOWEST_US));
    }

    /// Adds all operations of `other`.
    pub fn merge(&mut self, other: &Latency) {
        self.0
            .add(&other.0)
            .expect("all distributions have the same bounds");
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many operations were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether no operation was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latency in milliseconds that the share `quantile` (0 to 1) of operations did not exceed; `None` without operations.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1000.0)
    }

    /// The longest latency in milliseconds; `None` without operations.
    pub fn max_ms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.max() as f64 / 1000.0)
    }

    /// The steps of the cumulative distribution: milliseconds, and the share of operations at or below.
    pub fn cumulative(&self) -> Vec<(f64, f64)> {
        let total = self.count().max(1) as f64;
        let mut below = 0;
        self.0
            .iter_recorded()
            .map(|step| {
                below += step.count_since_last_iteration();
                (
                    step.value_iterated_to() as f64 / 1000.0,
                    below as f64 / total,
                )
            })
            .collect()
    }

    /// The histogram itself, in microseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Takes over a histogram in microseconds whatever its bounds.
    pub fn from_histogram(histogram: &Histogram<u64>) -> Latency {
        let mut latency = Latency::new();
        for step in histogram.iter_recorded() {
            let micros = step.value_iterated_to().max(Self::LOWEST_US);
            latency.0.saturating_record_n(micros, step.count_at_value());
        }
        latency
    }

    /// As HdrHistogram's compressed V2 encoding in base64, the form it has in interval logs.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("a histogram within bounds is written to memory");
        STANDARD.encode(bytes)
    }

    /// Reads what [`Latency::encode`] or another HdrHistogram library wrote.
    ///
    /// # Errors
    /// When `text` is not base64, or not an encoded histogram.
    pub fn decode(text: &str) -> Result<Latency, LatencyError> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| LatencyError(error.to_string()))?;
        let histogram: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| LatencyError(error.to_string()))?;
        Ok(Latency::from_histogram(&histogram))
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency::new()
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("p50_ms", &self.quantile_ms(0.5))
            .field("max_ms", &self.max_ms())
            .finish()
    }
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Latency::decode(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_its_encoding() {
        let mut latency = Latency::new();
        for micros in [1, 250, 999, 12_345, 7_000_000] {
            latency.record_micros(micros);
        }
        let text = serde_json::to_string(&latency).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&text).unwrap(), latency);
        assert!(text.starts_with("\"HISTFAAAA"), "{text}");
    }

    #[test]
    fn what_lies_outside_is_counted_at_the_bound() {
        let mut latency = Latency::new();
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(3600));
        assert_eq!(latency.count(), 2);
        assert_eq!(latency.quantile_ms(0.0), Some(0.001));
        assert!(latency.max_ms().unwrap() >= 60_000.0);
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Latency::new().quantile_ms(0.5), None);
        assert_eq!(Latency::new().max_ms(), None);
        assert!(Latency::new().cumulative().is_empty());
    }

    #[test]
    fn the_cumulative_steps_end_at_one() {
        let mut latency = Latency::new();
        for micros in [1000, 1000, 2000, 3000] {
            latency.record_micros(micros);
        }
        assert_eq!(latency.cumulative().first().unwrap().1, 0.5);
        assert_eq!(latency.cumulative().last().unwrap().1, 1.0);
    }

    #[test]
    fn garbage_is_refused() {
        assert!(Latency::decode("%%%").is_err());
        assert!(Latency::decode("AAAA").is_err());
    }
}
