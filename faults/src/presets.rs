//! The faults of the DepFast papers, with the parameters given there.

use crate::spec::FaultType;

/// A fault of a paper, as it stands after `type:` in an experiment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What it is called by.
    pub name: &'static str,
    /// Where it was used, and on which server.
    pub source: &'static str,
    /// The fault as the experiment file spells it.
    pub text: &'static str,
}

impl Preset {
    /// The preset of this name.
    pub fn named(name: &str) -> Option<Preset> {
        PRESETS.into_iter().find(|preset| preset.name == name)
    }

    /// The fault it stands for.
    ///
    /// # Panics
    /// Never: a test reads every one.
    pub fn fault(&self) -> FaultType {
        self.text.parse().expect("every preset is a fault")
    }
}

const fn preset(name: &'static str, source: &'static str, text: &'static str) -> Preset {
    Preset { name, source, text }
}

/// All faults of the papers.
pub const PRESETS: [Preset; 15] = [
    preset(
        "atc22-slow-cpu-follower",
        "ATC'22 table 2, follower",
        "{cpu.quota: {share: 5%}}",
    ),
    preset(
        "atc22-slow-cpu-leader",
        "ATC'22 table 2, leader",
        "{cpu.quota: {share: 50%}}",
    ),
    preset(
        "atc22-cpu-contention-follower",
        "ATC'22 table 2, follower",
        "{cpu.contention: {weight: 15x}}",
    ),
    preset(
        "atc22-cpu-contention-leader",
        "ATC'22 table 2, leader",
        "{cpu.contention: {weight: 1x}}",
    ),
    preset(
        "atc22-slow-disk-follower",
        "ATC'22 table 2, follower",
        "{disk.throughput: {rate: 128KB/s}}",
    ),
    preset(
        "atc22-disk-contention-follower",
        "ATC'22 table 2, follower (dd, whose options are not given)",
        "{disk.contention: {}}",
    ),
    preset(
        "atc22-slow-network",
        "ATC'22 table 2, follower and leader",
        "{net.delay: {delay: 40ms}}",
    ),
    preset(
        "atc22-memory-follower",
        "ATC'22 table 2, follower",
        "{memory.limit: {bytes: 50MB}}",
    ),
    preset(
        "atc22-memory-leader",
        "ATC'22 table 2, leader",
        "{memory.limit: {bytes: 250MB}}",
    ),
    preset(
        "hotos21-slow-cpu",
        "HotOS'21 table 1, follower",
        "{cpu.quota: {share: 5%}}",
    ),
    preset(
        "hotos21-cpu-contention",
        "HotOS'21 table 1, follower",
        "{cpu.contention: {weight: 16x}}",
    ),
    preset(
        "hotos21-slow-disk",
        "HotOS'21 table 1, follower (rate not given: that of ATC'22)",
        "{disk.throughput: {rate: 128KB/s}}",
    ),
    preset(
        "hotos21-disk-contention",
        "HotOS'21 table 1, follower (options not given)",
        "{disk.contention: {}}",
    ),
    preset(
        "hotos21-memory",
        "HotOS'21 table 1, follower (size not given: that of ATC'22)",
        "{memory.limit: {bytes: 50MB}}",
    ),
    preset(
        "hotos21-slow-network",
        "HotOS'21 table 1, follower",
        "{net.delay: {delay: 400ms}}",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use vocab::problem::{FieldPath, Problems, Validate};

    #[test]
    fn presets_are_valid_faults() {
        for preset in PRESETS {
            let kind: FaultType = serde_yaml::from_str(preset.text)
                .unwrap_or_else(|error| panic!("{}: {error}", preset.name));
            assert_eq!(preset.fault(), kind);
            let mut problems = Problems::default();
            kind.validate(&FieldPath::root(), &mut problems);
            assert!(problems.into_vec().is_empty(), "{}", preset.name);
        }
    }
}
