//! From numbers to pixels.

/// How numbers are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spacing {
    /// Equal differences.
    Linear,
    /// Equal ratios.
    Log,
    /// Shares below one: equal ratios of what is missing to one (50 %, 90 %, 99 %, 99.9 %, …).
    Nines,
}

/// An axis: numbers from `low` to `high` lie at pixels from `start` to `end`.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    spacing: Spacing,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    ticks: Vec<Tick>,
}

/// A number that an axis names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

impl Scale {
    /// Equal differences from zero to at least `highest`.
    pub(crate) fn from_zero(highest: f64, (start, end): (f64, f64), room_for: usize) -> Scale {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = step(highest / room_for.max(1) as f64);
        let count = (highest / step - 1e-9).ceil().max(1.0) as u32;
        let ticks = (0..=count)
            .map(|index| tick(f64::from(index) * step))
            .collect();
        let high = f64::from(count) * step;
        Scale::new(Spacing::Linear, (0.0, high), (start, end), ticks)
    }

    /// Equal differences from zero to exactly `high`.
    pub(crate) fn up_to(high: f64, (start, end): (f64, f64), room_for: usize) -> Scale {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = step(high / room_for.max(1) as f64);
        let last = (high / step + 1e-9).floor() as u32;
        let ticks = (0..=last)
            .map(|index| tick(f64::from(index) * step))
            .collect();
        Scale::new(Spacing::Linear, (0.0, high), (start, end), ticks)
    }

    /// Equal ratios, widened to steps of 1, 2, 5.
    pub(crate) fn log(low: f64, high: f64, (start, end): (f64, f64), room_for: usize) -> Scale {
        let low = low.max(1e-6);
        let high = high.max(low * 1.01);
        let all: Vec<f64> = (-6..=12)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
            .collect();
        let from = all
            .iter()
            .rposition(|step| *step <= low * 1.000_001)
            .unwrap_or(0);
        let to = all
            .iter()
            .position(|step| *step >= high * 0.999_999)
            .unwrap_or(all.len() - 1);
        let steps = &all[from..=to];
        let decades: Vec<f64> = steps
            .iter()
            .copied()
            .filter(|step| is_decade(*step))
            .collect();
        let shown = if steps.len() <= room_for.max(3) || decades.len() < 2 {
            steps.to_vec()
        } else {
            decades
        };
        let ticks = shown.into_iter().map(tick).collect();
        Scale::new(
            Spacing::Log,
            (steps[0], steps[steps.len() - 1]),
            (start, end),
            ticks,
        )
    }

    /// Shares from zero to a number of nines, at least one.
    pub(crate) fn nines(nines: u32, (start, end): (f64, f64)) -> Scale {
        let mut shares = vec![(0.0, "0 %".to_owned()), (0.5, "50 %".to_owned())];
        for nine in 1..=nines.max(1) {
            let label = match nine {
                1 => "90 %".to_owned(),
                2 => "99 %".to_owned(),
                more => format!("99.{} %", "9".repeat(more as usize - 2)),
            };
            shares.push((1.0 - 0.1f64.powi(nine as i32), label));
        }
        let high = shares[shares.len() - 1].0;
        let ticks = shares
            .into_iter()
            .map(|(value, label)| Tick { value, label })
            .collect();
        Scale::new(Spacing::Nines, (0.0, high), (start, end), ticks)
    }

    fn new(
        spacing: Spacing,
        (low, high): (f64, f64),
        (start, end): (f64, f64),
        ticks: Vec<Tick>,
    ) -> Scale {
        Scale {
            spacing,
            low,
            high,
            start,
            end,
            ticks,
        }
    }

    /// Where a number lies; what is off the axis lies at its end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let spread = |value: f64| match self.spacing {
            Spacing::Linear => value,
            Spacing::Log => value.log10(),
            Spacing::Nines => -(1.0 - value).log10(),
        };
        let value = value.clamp(self.low, self.high);
        let part = (spread(value) - spread(self.low)) / (spread(self.high) - spread(self.low));
        self.start + part * (self.end - self.start)
    }

    /// The numbers that the axis names.
    pub(crate) fn ticks(&self) -> &[Tick] {
        &self.ticks
    }
}

fn is_decade(value: f64) -> bool {
    (value.log10() - value.log10().round()).abs() < 1e-9
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `size`.
fn step(size: f64) -> f64 {
    let power = 10f64.powf(size.log10().floor());
    let digit = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|digit| digit * power >= size * 0.999_999);
    digit.unwrap_or(10.0) * power
}

fn tick(value: f64) -> Tick {
    let label = if value.abs() >= 1.0 || value == 0.0 {
        let rounded = (value * 100.0).round() / 100.0;
        if rounded.fract() == 0.0 {
            results::table::thousands(rounded)
        } else {
            rounded.to_string()
        }
    } else {
        let digits = (-value.abs().log10()).ceil().clamp(0.0, 9.0) as usize;
        format!("{value:.digits$}")
    };
    Tick { value, label }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale
            .ticks()
            .iter()
            .map(|tick| tick.label.as_str())
            .collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(
            labels(&Scale::from_zero(11_900.0, (0.0, 100.0), 5)),
            ["0", "5,000", "10,000", "15,000"]
        );
        assert_eq!(
            labels(&Scale::from_zero(0.0, (0.0, 100.0), 2)),
            ["0", "0.5", "1"]
        );
        assert_eq!(
            labels(&Scale::up_to(44.0, (0.0, 100.0), 5)),
            ["0", "10", "20", "30", "40"]
        );
        assert_eq!(
            labels(&Scale::log(0.3, 9.0, (0.0, 100.0), 8)),
            ["0.2", "0.5", "1", "2", "5", "10"]
        );
        assert_eq!(
            labels(&Scale::log(0.3, 9000.0, (0.0, 100.0), 6)),
            ["1", "10", "100", "1,000", "10,000"]
        );
        assert_eq!(
            labels(&Scale::nines(3, (0.0, 100.0))),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %"]
        );
    }

    #[test]
    fn equal_ratios_are_equally_far() {
        let scale = Scale::log(1.0, 100.0, (0.0, 100.0), 9);
        assert!((scale.at(10.0) - 50.0).abs() < 1e-9);
        let nines = Scale::nines(2, (100.0, 0.0));
        assert!((nines.at(0.9) - 50.0).abs() < 1e-9);
        assert_eq!(nines.at(1.0), 0.0);
    }

    #[test]
    fn what_is_off_the_axis_lies_at_its_end() {
        let scale = Scale::from_zero(10.0, (0.0, 100.0), 5);
        assert_eq!((scale.at(-5.0), scale.at(1e9)), (0.0, 100.0));
    }
}
