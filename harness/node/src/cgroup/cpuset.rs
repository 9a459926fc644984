use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of processors, written as the kernel does: `0-1,3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuSet(BTreeSet<u32>);

/// The largest processor number that a set may name.
const MAX: u32 = 8191;

/// A text that is no set of processors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a set of processors such as 0, 0-1 or 0,2-3 (numbers up to {MAX})")]
pub struct CpuSetError {
    text: String,
}

impl CpuSet {
    /// One processor.
    pub fn one(cpu: u32) -> CpuSet {
        CpuSet(BTreeSet::from([cpu]))
    }

    /// The processors, rising.
    pub fn cpus(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    fn from_str(text: &str) -> Result<CpuSet, CpuSetError> {
        let parse = || {
            let mut cpus = BTreeSet::new();
            for part in text.trim().split(',') {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last && last <= MAX).then(|| cpus.extend(first..=last))?;
            }
            Some(CpuSet(cpus))
        };
        parse().ok_or_else(|| CpuSetError {
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuSetError;
    fn try_from(text: String) -> Result<CpuSet, CpuSetError> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> String {
        set.to_string()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for cpu in self.cpus() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => runs.push((cpu, cpu)),
            }
        }
        for (position, (first, last)) in runs.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_set_round_trips(cpus in proptest::collection::btree_set(0..=MAX, 1..50)) {
            let set = CpuSet(cpus);
            proptest::prop_assert_eq!(set.to_string().parse::<CpuSet>(), Ok(set));
        }

        #[test]
        fn no_text_panics(text in "[0-9,-]{0,30}") {
            let _ = text.parse::<CpuSet>();
        }
    }

    #[test]
    fn sets_round_trip_and_hostile_ones_are_refused() {
        for text in ["0", "0-1", "0,2-3,7"] {
            assert_eq!(text.parse::<CpuSet>().unwrap().to_string(), text);
        }
        assert_eq!("0,1,1".parse::<CpuSet>().unwrap().to_string(), "0-1");
        for text in ["", "a", "1-0", "-1", "0-99999999", "0;1", "0\n"] {
            assert_eq!(text.parse::<CpuSet>().is_err(), text != "0\n", "{text:?}");
        }
    }
}
