//! What `disk.latency` needs below or over the servers' data from the start: a device or a layer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use node::devmapper::{DelayHandle, Delays};
use serde::{Deserialize, Serialize};
use vocab::units::Span;

use crate::available::Backend;
use crate::error::FaultError;
use crate::layer::LatencyLayer;
use crate::spec::{DelayedBy, DelayedOperations, FaultType};

/// What the faults of a run ask for, all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyWish {
    /// By which means.
    pub by: DelayedBy,
    /// The shortest delay of them.
    pub shortest: Span,
    /// The longest.
    pub longest: Span,
}

impl LatencyWish {
    /// What these faults need; `None` when there is no `disk.latency` among them. Of two means that are named, which is a
    /// [`contradiction`](LatencyWish::contradiction), the device.
    pub fn of<'a>(kinds: impl IntoIterator<Item = &'a FaultType>) -> Option<LatencyWish> {
        let wishes = kinds.into_iter().filter_map(|kind| match kind {
            FaultType::DiskLatency(latency) => Some(LatencyWish {
                by: latency.by,
                shortest: latency.delay,
                longest: latency.delay,
            }),
            _ => None,
        });
        wishes.reduce(|one, other| LatencyWish {
            by: match (one.by, other.by) {
                (DelayedBy::DmDelay, _) | (_, DelayedBy::DmDelay) => DelayedBy::DmDelay,
                (DelayedBy::Fuse, _) | (_, DelayedBy::Fuse) => DelayedBy::Fuse,
                (DelayedBy::Auto, DelayedBy::Auto) => DelayedBy::Auto,
            },
            shortest: one.shortest.min(other.shortest),
            longest: one.longest.max(other.longest),
        })
    }

    /// Why no disk can be what all these faults ask for.
    pub fn contradiction<'a>(
        kinds: impl IntoIterator<Item = &'a FaultType, IntoIter: Clone>,
    ) -> Option<String> {
        let kinds = kinds.into_iter();
        let named = |by| {
            let is_named = |kind: &FaultType| matches!(kind, FaultType::DiskLatency(latency) if latency.by == by);
            kinds.clone().any(is_named)
        };
        (named(DelayedBy::DmDelay) && named(DelayedBy::Fuse)).then(|| {
            "disk.latency by dm-delay and by fuse: a node's disk has one of them from the start of a run, expected one of \
             them here and the other in an experiment of its own"
                .to_owned()
        })
    }

    /// Whether a node whose kernel ticks so is to have the device, if it can.
    pub fn is_for_a_device(self, tick: Span) -> bool {
        match self.by {
            DelayedBy::DmDelay => true,
            DelayedBy::Fuse => false,
            DelayedBy::Auto => {
                is_kept_well(tick, self.shortest) && is_kept_well(tick, self.longest)
            }
        }
    }
}

/// Whether a delay that is kept to the tick of the kernel's timers is still what was asked for: within 1 ms or 5 %. All
/// delays between two that are kept well are too.
pub(crate) fn is_kept_well(tick: Span, delay: Span) -> bool {
    let (tick, delay) = (tick.duration(), delay.duration());
    let fine = tick <= Duration::from_millis(1) || tick * 20 <= delay;
    // The timer wheel rounds from here on to eight ticks.
    fine && delay < tick * 63
}

/// What delays the operations on a node's data. Clones stand for the same.
#[derive(Debug, Clone)]
pub enum Latency {
    /// A file system over them.
    Layer(LatencyLayer),
    /// A device below their file system.
    Device(LatencyDevice),
}

/// A disk of a node's own with a device that delays.
#[derive(Debug, Clone)]
pub struct LatencyDevice {
    /// A directory on the disk.
    pub dir: PathBuf,
    /// The device.
    pub device: DelayHandle,
}

impl Latency {
    /// Where files can be made whose operations are delayed.
    pub fn dir(&self) -> &Path {
        match self {
            Latency::Layer(layer) => layer.dir(),
            Latency::Device(device) => &device.dir,
        }
    }

    /// By which means.
    pub fn means(&self) -> DelayedBy {
        match self {
            Latency::Layer(_) => DelayedBy::Fuse,
            Latency::Device(_) => DelayedBy::DmDelay,
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        match self {
            Latency::Layer(_) => Backend::LatencyLayer,
            Latency::Device(_) => Backend::DmDelay,
        }
    }

    /// Sets the delay, zero for none; says where, and how it is kept.
    pub(crate) fn delay(&self, delay: Span, on: DelayedOperations) -> Result<String, FaultError> {
        match self {
            Latency::Layer(layer) => {
                let state = layer.delay(delay, on)?;
                let dir = layer.dir().display();
                Ok(format!("{dir}, {} priority", state.priority))
            }
            Latency::Device(LatencyDevice { device, .. }) => {
                let transfers = match on {
                    DelayedOperations::Fsync => Span::ZERO,
                    DelayedOperations::All => delay,
                };
                device.set(Delays {
                    read: transfers,
                    write: transfers,
                    flush: delay,
                })?;
                Ok(device.name().to_owned())
            }
        }
    }

    /// The operations that were counted so far.
    pub(crate) fn counted(&self, on: DelayedOperations) -> Result<u64, FaultError> {
        match self {
            Latency::Layer(layer) => Ok(layer.state()?.delayed),
            Latency::Device(LatencyDevice { device, .. }) => {
                let passed = device.passed()?;
                Ok(match on {
                    DelayedOperations::Fsync => passed.flushes,
                    DelayedOperations::All => passed.flushes + passed.transfers,
                })
            }
        }
    }

    /// The operations that were delayed since so many were counted.
    pub(crate) fn delayed_since(
        &self,
        counted: u64,
        on: DelayedOperations,
    ) -> Result<u64, FaultError> {
        match self {
            // It counts what goes through it, late or not.
            Latency::Device(LatencyDevice { device, .. })
                if device.delays()? == Delays::default() =>
            {
                Ok(0)
            }
            _ => Ok(self.counted(on)?.saturating_sub(counted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(faults: &[&str]) -> Option<LatencyWish> {
        let kinds: Vec<FaultType> = faults.iter().map(|text| text.parse().unwrap()).collect();
        LatencyWish::of(&kinds)
    }

    #[test]
    fn faults_wish_for_what_all_of_them_can_have() {
        assert_eq!(wish(&["process.pause"]), None);
        let both = wish(&["disk.latency=50ms", "disk.latency=delay=5ms,by=fuse"]).unwrap();
        assert_eq!((both.by, both.shortest), (DelayedBy::Fuse, Span::millis(5)));
    }

    #[test]
    fn two_means_in_one_run_are_a_contradiction() {
        let said = |faults: &[&str]| {
            let kinds: Vec<FaultType> = faults.iter().map(|text| text.parse().unwrap()).collect();
            LatencyWish::contradiction(&kinds)
        };
        let [device, layer] =
            ["dm-delay", "fuse"].map(|by| format!("disk.latency=delay=80ms,by={by}"));
        assert_eq!(said(&[&device, "disk.latency=80ms", "process.pause"]), None);
        assert!(said(&[&device, &layer]).unwrap().contains("one of them"));
    }

    #[test]
    fn a_coarse_tick_is_for_long_delays() {
        let tick = Span::millis(4);
        assert!(!wish(&["disk.latency=50ms"]).unwrap().is_for_a_device(tick));
        assert!(wish(&["disk.latency=80ms"]).unwrap().is_for_a_device(tick));
        let with_a_long_one = wish(&["disk.latency=80ms", "disk.latency=1s"]).unwrap();
        assert!(!with_a_long_one.is_for_a_device(tick));
        let named = wish(&["disk.latency=delay=5ms,by=dm-delay"]).unwrap();
        assert!(named.is_for_a_device(tick));
    }
}
