use std::fmt;

use faults::Tolerance;
use results::table::thousands;

use super::Beside;

/// What came of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// As it was asked for.
    pub fault: String,
    /// What else ran.
    pub beside: Beside,
    /// What was measured, and its unit.
    pub quantity: (&'static str, &'static str),
    /// What was asked, and how near it should be.
    pub asked: (f64, Tolerance),
    /// What the node got; or why that is not known.
    pub got: Result<Got, String>,
    /// What the mechanism misses by its nature.
    pub note: &'static str,
    /// The machine's load average at the end, as far as it is known.
    pub load: Option<f64>,
}

/// A number, and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Got {
    /// In the unit of the quantity.
    pub value: f64,
    /// How many echoes were counted; 1 for what is measured at once.
    pub draws: u32,
}

/// How near a line is to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Within the tolerance.
    Inside,
    /// Beyond it.
    Outside,
    /// Nothing can be said.
    NotMeasured,
}

impl Judgement {
    /// All of them.
    pub const ALL: [Judgement; 3] = [
        Judgement::Inside,
        Judgement::Outside,
        Judgement::NotMeasured,
    ];
}

impl Line {
    /// Whether what the node got is near enough.
    pub fn judgement(&self) -> Judgement {
        let (asked, tolerance) = self.asked;
        match &self.got {
            Ok(got) if tolerance.holds(asked, got.value, f64::from(got.draws)) => Judgement::Inside,
            Ok(_) => Judgement::Outside,
            Err(_) => Judgement::NotMeasured,
        }
    }

    /// Why it is not inside, as far as that is known; nothing if it is.
    pub fn reason(&self) -> String {
        match (&self.got, self.judgement()) {
            (_, Judgement::Inside) => String::new(),
            (Err(reason), _) => reason.clone(),
            (Ok(_), _) if !self.note.is_empty() => self.note.to_owned(),
            (Ok(_), _) => match self.load {
                Some(load) => format!("not by its nature; the load average was {load:.1}"),
                None => "not by its nature".to_owned(),
            },
        }
    }

    /// As cells of a table.
    pub(super) fn cells(&self) -> [String; 7] {
        let ((quantity, unit), (asked, tolerance)) = (self.quantity, self.asked);
        let got = match &self.got {
            Ok(got) => with_unit(got.value, unit),
            Err(_) => String::new(),
        };
        let reason = self.reason();
        let judgement = match reason.is_empty() {
            true => self.judgement().to_string(),
            false => format!("{}: {reason}", self.judgement()),
        };
        [
            format!("`{}`", self.fault),
            self.beside.to_string(),
            quantity.to_owned(),
            with_unit(asked, unit),
            got,
            tolerance.to_string(),
            judgement,
        ]
    }
}

/// With as many digits as matter beside the tolerances.
fn with_unit(value: f64, unit: &str) -> String {
    let number = match value.abs() >= 1000.0 {
        true => thousands(value),
        false => format!("{value:.2}"),
    };
    format!("{number} {unit}").trim_end().to_owned()
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Beside::Nothing => "",
            Beside::FullLoad => "full CPU load",
        })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Judgement::Inside => "inside",
            Judgement::Outside => "outside",
            Judgement::NotMeasured => "not measured",
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [fault, beside, quantity, asked, got, tolerance, judgement] = self.cells();
        write!(
            f,
            "{fault:<43} {beside:<13} {quantity:<21} {asked:>14} {got:>14}  {tolerance:<21} {judgement}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(got: Result<f64, String>, note: &'static str) -> Line {
        Line {
            fault: "disk.throughput=128KB/s".to_owned(),
            beside: Beside::Nothing,
            quantity: ("disk_write_rate", "B/s"),
            asked: (128e3, Tolerance::Share(0.10)),
            got: got.map(|value| Got { value, draws: 1 }),
            note,
            load: Some(7.25),
        }
    }

    #[test]
    fn only_what_is_not_inside_needs_a_reason() {
        let inside = line(Ok(130e3), "a note");
        assert_eq!(inside.judgement(), Judgement::Inside);
        assert_eq!(inside.reason(), "");
        assert_eq!(line(Ok(160e3), "a note").reason(), "a note");
        let unknown = line(Ok(160e3), "").reason();
        assert!(unknown.contains("load average was 7.2"), "{unknown}");
        let failed = line(Err("no disk".to_owned()), "a note");
        assert_eq!(failed.judgement(), Judgement::NotMeasured);
        assert_eq!(failed.reason(), "no disk");
    }

    #[test]
    fn numbers_are_for_people() {
        let cells = line(Ok(130_123.4), "").cells();
        assert_eq!(cells[3..5], ["128,000 B/s", "130,123 B/s"]);
        assert_eq!(with_unit(0.5, "%"), "0.50 %");
    }
}
