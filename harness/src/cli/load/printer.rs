use std::io::{self, Write};

use results::{Interval, Latency, table};
use vocab::ids::Phase;
use vocab::time::TrialTime;
use workloads::report::{LoadReport, LoadTotals};

/// Turns what a load worker says into lines for a person: one a second, and the whole at the end.
#[derive(Default)]
pub(super) struct Printer {
    line: Vec<u8>,
    whole: Tally,
}

#[derive(Default)]
struct Tally {
    seconds: f64,
    last_start: Option<TrialTime>,
    ok: u64,
    errors: u64,
    latency: Latency,
}

impl Tally {
    fn add(&mut self, interval: &Interval) {
        // Writes and reads of one second come one after the other.
        if self.last_start != Some(interval.start) {
            self.last_start = Some(interval.start);
            self.seconds += interval.length.as_secs_f64();
        }
        self.ok += interval.ok;
        self.errors += interval.error_count();
        self.latency.merge(&interval.latency);
    }
}

impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let report = serde_json::from_slice(&line).map_err(io::Error::other)?;
                    self.show(&report, &mut io::stdout().lock())?;
                }
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl Printer {
    fn show(&mut self, report: &LoadReport, out: &mut impl Write) -> io::Result<()> {
        match report {
            LoadReport::Ready { connected } => writeln!(out, "{connected} connections"),
            LoadReport::Interval(interval) => {
                if interval.phase != Phase::Warmup {
                    self.whole.add(interval);
                }
                let rate = interval.ok as f64 / interval.length.as_secs_f64();
                writeln!(
                    out,
                    "{:>6.1}s  {:<8}  {:<5}  {:>9}/s  {}{}",
                    interval.start.seconds() + interval.length.as_secs_f64(),
                    interval.phase.to_string(),
                    interval.op.to_string(),
                    table::thousands(rate),
                    quantiles(&interval.latency),
                    errors(interval.error_count()),
                )
            }
            LoadReport::Notice(notice) => writeln!(out, "{}", notice.detail),
            LoadReport::Done(totals) => self.summary(totals, out),
            // The error of the worker itself says it; operations are recorded only when asked for.
            LoadReport::Failed { .. } | LoadReport::Started { .. } | LoadReport::Operation(_) => {
                Ok(())
            }
        }
    }

    fn summary(&self, totals: &LoadTotals, out: &mut impl Write) -> io::Result<()> {
        let Tally {
            seconds,
            ok,
            errors: failed,
            latency,
            ..
        } = &self.whole;
        let rate = table::thousands(*ok as f64 / seconds.max(f64::MIN_POSITIVE));
        writeln!(
            out,
            "\n{ok} operations in {seconds:.0} s, {rate}/s  {}{}",
            quantiles(latency),
            errors(*failed)
        )?;
        for (kind, count) in &totals.errors {
            writeln!(out, "  {kind}: {count}")?;
        }
        if totals.late + totals.dropped > 0 {
            writeln!(
                out,
                "  sent late: {}, never sent: {}",
                totals.late, totals.dropped
            )?;
        }
        writeln!(
            out,
            "load generator: {:.0} % of one CPU",
            totals.cpu_share * 100.0
        )
    }
}

fn quantiles(latency: &Latency) -> String {
    let milliseconds = |quantile| {
        latency
            .quantile_ms(quantile)
            .map_or("-".to_owned(), table::significant)
    };
    format!(
        "p50 {} ms  p99 {} ms  p99.9 {} ms",
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(0.999)
    )
}

fn errors(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!("  {count} errors"),
    }
}
