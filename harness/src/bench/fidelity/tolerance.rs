use std::fmt;

/// How far what the node got may be from what was asked.
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

impl Tolerance {
    /// How far that is, in the unit of what was asked; `draws` were seen.
    fn width(self, asked: f64, draws: u32) -> f64 {
        match self {
            Tolerance::Points(points) => points,
            Tolerance::Time(ms, share) => ms.max(share * asked),
            Tolerance::Share(share) => share * asked,
            Tolerance::Draws(share) => {
                let deviation = (asked * (100.0 - asked) / f64::from(draws.max(1))).sqrt();
                (share * asked).max(3.0 * deviation)
            }
        }
    }

    pub(super) fn holds(self, asked: f64, got: f64, draws: u32) -> bool {
        (got - asked).abs() <= self.width(asked, draws)
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
        assert!(points.holds(5.0, 5.9, 1) && !points.holds(5.0, 6.1, 1));
        let time = Tolerance::Time(1.0, 0.05);
        assert!(time.holds(10.0, 10.9, 1) && !time.holds(10.0, 11.1, 1));
        assert!(time.holds(400.0, 419.0, 1) && !time.holds(400.0, 421.0, 1));
        let share = Tolerance::Share(0.05);
        assert!(share.holds(100.0, 96.0, 1) && !share.holds(100.0, 94.0, 1));
        // 1600 draws of one in ten deviate by 0.75 points.
        let draws = Tolerance::Draws(0.05);
        assert!(draws.holds(10.0, 12.2, 1600) && !draws.holds(10.0, 12.3, 1600));
        assert!(draws.holds(10.0, 10.5, 1_000_000) && !draws.holds(10.0, 10.6, 1_000_000));
    }
}
