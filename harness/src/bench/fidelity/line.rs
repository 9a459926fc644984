use std::fmt;

use super::{Beside, Tolerance};

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
}

/// A number, and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Got {
    /// In the unit of the quantity.
    pub value: f64,
    /// How many echoes were counted; 1 for what is measured at once.
    pub draws: u32,
}

impl Line {
    /// `inside` or `outside` of the tolerance, or `not measured`.
    pub fn judgement(&self) -> &'static str {
        let (asked, tolerance) = self.asked;
        match &self.got {
            Ok(got) if tolerance.holds(asked, got.value, got.draws) => "inside",
            Ok(_) => "outside",
            Err(_) => "not measured",
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Beside::Nothing => "",
            Beside::FullLoad => "full CPU load",
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((quantity, unit), (asked, tolerance)) = (self.quantity, self.asked);
        write!(
            f,
            "{:<41} {:<13} {quantity:<21} {asked:>9} {unit:<3} ",
            self.fault, self.beside
        )?;
        match &self.got {
            Ok(Got { value, .. }) => write!(
                f,
                "{value:>12.2} {unit:<3}  {:<8} ({tolerance})",
                self.judgement()
            )?,
            Err(reason) => write!(f, "not measured: {reason}")?,
        }
        match self.note {
            "" => Ok(()),
            note => write!(f, "; {note}"),
        }
    }
}

/// The lines as CSV.
pub fn csv(lines: &[Line]) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let in_memory = "lines of equal length are written to memory";
    csv.write_record([
        "fault",
        "beside",
        "quantity",
        "unit",
        "asked",
        "got",
        "draws",
        "tolerance",
        "judgement",
        "remark",
    ])
    .expect(in_memory);
    for line in lines {
        let (got, draws, reason) = match &line.got {
            Ok(got) => (format!("{:.3}", got.value), got.draws.to_string(), ""),
            Err(reason) => (String::new(), String::new(), reason.as_str()),
        };
        let remark = [reason, line.note].join(" ");
        csv.write_record([
            &line.fault,
            &line.beside.to_string(),
            line.quantity.0,
            line.quantity.1,
            &line.asked.0.to_string(),
            &got,
            &draws,
            &line.asked.1.to_string(),
            line.judgement(),
            remark.trim(),
        ])
        .expect(in_memory);
    }
    String::from_utf8(csv.into_inner().expect(in_memory)).expect("text was written")
}
