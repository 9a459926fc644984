use std::fmt;

use node::facts::Facts;
use vocab::units::Span;

use super::Line;
use super::line::Judgement;

const COLUMNS: [&str; 7] = [
    "fault",
    "beside",
    "quantity",
    "asked",
    "got",
    "tolerance",
    "judgement",
];

/// What every fault did, and what that was measured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Fidelity {
    /// In turn.
    pub lines: Vec<Line>,
    /// How many lines there are when it is complete.
    planned: usize,
    conditions: String,
}

impl Fidelity {
    pub(super) fn new(facts: &Facts, hold: Span, planned: usize) -> Fidelity {
        Fidelity {
            lines: Vec::new(),
            planned,
            conditions: format!(
                "{} CPUs ({}), kernel {}, {}; each held for {hold} or longer",
                facts.cpus,
                facts.processor,
                facts.kernel,
                facts.cgroups.mode()
            ),
        }
    }

    /// Whether it was broken off before its end.
    pub fn is_partial(&self) -> bool {
        self.lines.len() < self.planned
    }

    /// The lines as CSV.
    pub fn csv(&self) -> String {
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
            "reason",
            "load_average",
        ])
        .expect(in_memory);
        for line in &self.lines {
            let (got, draws) = match &line.got {
                Ok(got) => (format!("{:.3}", got.value), got.draws.to_string()),
                Err(_) => (String::new(), String::new()),
            };
            csv.write_record([
                &line.fault,
                &line.beside.to_string(),
                line.quantity.0,
                line.quantity.1,
                &format!("{:.3}", line.asked.0),
                &got,
                &draws,
                &line.asked.1.to_string(),
                &line.judgement().to_string(),
                &line.reason(),
                &line
                    .load
                    .map(|load| format!("{load:.2}"))
                    .unwrap_or_default(),
            ])
            .expect(in_memory);
        }
        String::from_utf8(csv.into_inner().expect(in_memory)).expect("text was written")
    }
}

/// As a table in Markdown, which reads well on a terminal, too.
impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 7]> = self.lines.iter().map(Line::cells).collect();
        let widths: [usize; 7] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            // The last is as long as its reason, and nothing stands behind it.
            let longest = cells.max().filter(|_| column < 6).unwrap_or_default();
            longest.max(COLUMNS[column].len())
        });
        let mut row = |cells: [&str; 7]| {
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")
        };
        row(COLUMNS)?;
        let rules = widths.map(|width| "-".repeat(width));
        row(rules.each_ref().map(String::as_str))?;
        for cells in &rows {
            row(cells.each_ref().map(String::as_str))?;
        }
        let counts = Judgement::ALL.map(|judgement| {
            let same = self
                .lines
                .iter()
                .filter(|line| line.judgement() == judgement);
            format!("{} {judgement}", same.count())
        });
        writeln!(f, "\n{}", self.conditions)?;
        f.write_str(&counts.join(", "))?;
        match self.is_partial() {
            true => write!(
                f,
                "; interrupted, {} of {} measured",
                self.lines.len(),
                self.planned
            ),
            false => Ok(()),
        }
    }
}
