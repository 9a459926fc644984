//! A tolerance as people read it.

use std::fmt;

use results::stats::Ratio;
use results::table;

use super::{Bounds, Line, Tolerances};

impl fmt::Display for Tolerances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.settings.bounds;
        writeln!(
            f,
            "each fault on one {} of {} servers, in windows with and without it; the bound: throughput at least {:.0} %, \
             p99 at most {:.0} % of fault-free, by the bootstrap's 95 % interval",
            self.settings.role,
            self.settings.servers,
            bounds.least_throughput * 100.0,
            bounds.most_p99 * 100.0
        )?;
        for system in &self.systems {
            writeln!(
                f,
                "\n{}: offered {}/s of a peak of {}/s",
                system.name,
                table::thousands(system.offered),
                table::thousands(system.peak)
            )?;
            for line in &system.faults {
                line.show(bounds, f)?;
            }
        }
        for reason in &self.left_out {
            writeln!(f, "left out: {reason}")?;
        }
        write!(f, "runs: {}", self.settings.out.display())
    }
}

impl Line {
    fn show(&self, bounds: Bounds, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |ratio: Option<Ratio>| {
            let Some(ratio) = ratio else {
                return "-".to_owned();
            };
            let interval = ratio
                .interval
                .map(|(low, high)| format!(" [{low:.3}, {high:.3}]"))
                .unwrap_or_default();
            format!("{:.3}{interval}", ratio.median)
        };
        match &self.ratios {
            Ok((rps, p99)) => writeln!(
                f,
                "  {:<44} throughput {:<22} {:<13} p99 {:<22} {}",
                self.fault,
                show(*rps),
                bounds.throughput().judge(*rps),
                show(*p99),
                bounds.p99().judge(*p99)
            ),
            Err(reason) => writeln!(f, "  {:<44} inconclusive: {reason}", self.fault),
        }?;
        for server in &self.budgets {
            let slow = if server.slow { ", slow" } else { "" };
            let name = format!("{}{slow}", server.node);
            writeln!(f, "    {name:<42} {} → {}", server.free, server.fault)?;
        }
        Ok(())
    }
}
