use std::fmt;

use crate::spec::FaultType;

/// How far what a node got of a fault may be from what was asked. What `depbench bench faults` measures and what a trial
/// proves are held against the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Percentage points.
    Points(f64),
    /// Milliseconds or this share of what was asked, whichever is more.
    Time(f64, f64),
    /// This share of what was asked.
    Share(f64),
    /// This share of what was asked, or three deviations of as many fair draws as were seen, whichever is more.
    Draws(f64),
}

/// Fair draws are further away than this many deviations once in two million times; than three, once in 370.
const NO_CHANCE: f64 = 5.0;

impl Tolerance {
    /// Of a type of fault; `None` for those without a severity that could be missed.
    pub fn of(kind: &FaultType) -> Option<Tolerance> {
        match kind {
            FaultType::CpuQuota(_) | FaultType::CpuContention(_) | FaultType::ProcessPause(_) => {
                Some(Tolerance::Points(1.0))
            }
            FaultType::NetDelay(_) | FaultType::DiskLatency(_) => Some(Tolerance::Time(1.0, 0.05)),
            FaultType::NetRate(_) | FaultType::DiskIops(_) | FaultType::MemoryContention(_) => {
                Some(Tolerance::Share(0.05))
            }
            FaultType::DiskThroughput(_) | FaultType::MemoryLimit(_) => {
                Some(Tolerance::Share(0.10))
            }
            FaultType::NetLoss(_)
            | FaultType::NetReorder(_)
            | FaultType::NetDuplicate(_)
            | FaultType::NetCorrupt(_) => Some(Tolerance::Draws(0.05)),
            FaultType::NetPartition(_) => Some(Tolerance::Points(0.0)),
            FaultType::DiskContention(_) | FaultType::ProcessKill(_) => None,
        }
    }

    /// How far that is, in the unit of what was asked; so many `draws` were seen.
    pub fn width(self, asked: f64, draws: f64) -> f64 {
        self.width_of(asked, draws, 3.0)
    }

    /// Whether what the node got is near enough.
    pub fn holds(self, asked: f64, got: f64, draws: f64) -> bool {
        (got - asked).abs() <= self.width(asked, draws)
    }

    /// Whether draws that are not near enough may be so by chance: too often to reject a trial for it.
    pub fn may_be_chance(self, asked: f64, got: f64, draws: f64) -> bool {
        (got - asked).abs() <= self.width_of(asked, draws, NO_CHANCE)
    }

    fn width_of(self, asked: f64, draws: f64, deviations: f64) -> f64 {
        match self {
            Tolerance::Points(points) => points,
            Tolerance::Time(ms, share) => ms.max(share * asked),
            Tolerance::Share(share) => share * asked,
            Tolerance::Draws(share) => {
                let deviation = (asked * (100.0 - asked) / draws.max(1.0)).sqrt();
                (share * asked).max(deviations * deviation)
            }
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: &f64| share * 100.0;
        match self {
            Tolerance::Points(points) => write!(f, "± {points} points"),
            Tolerance::Time(ms, share) => write!(f, "± {ms} ms or {:.0} %", percent(share)),
            Tolerance::Share(share) => write!(f, "± {:.0} %", percent(share)),
            Tolerance::Draws(share) => write!(f, "± {:.0} % or 3 deviations", percent(share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_those_stated() {
        let points = Tolerance::Points(1.0);
        assert!(points.holds(5.0, 5.9, 1.0) && !points.holds(5.0, 6.1, 1.0));
        let time = Tolerance::Time(1.0, 0.05);
        assert!(time.holds(10.0, 10.9, 1.0) && !time.holds(10.0, 11.1, 1.0));
        assert!(time.holds(400.0, 419.0, 1.0) && !time.holds(400.0, 421.0, 1.0));
        let share = Tolerance::Share(0.05);
        assert!(share.holds(100.0, 96.0, 1.0) && !share.holds(100.0, 94.0, 1.0));
        assert!(!share.may_be_chance(100.0, 94.0, 1.0));
        // 1600 draws of one in ten deviate by 0.75 points.
        let draws = Tolerance::Draws(0.05);
        assert!(draws.holds(10.0, 12.2, 1600.0) && !draws.holds(10.0, 12.3, 1600.0));
        assert!(draws.holds(10.0, 10.5, 1e6) && !draws.holds(10.0, 10.6, 1e6));
        assert!(draws.may_be_chance(10.0, 13.7, 1600.0));
        assert!(!draws.may_be_chance(10.0, 13.8, 1600.0));
    }
}
