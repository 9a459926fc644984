//! Whether a fault bit: decided from its probes alone.

mod disk;
mod memory;
mod net;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reading::{Probe, Reading, value};
use crate::spec::{CpuQuota, FaultType};
use crate::tolerance::Tolerance;

/// What the probes of a fault prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The fault was there, and felt.
    Bit,
    /// The fault changed nothing; the trial is invalid.
    WithoutEffect {
        /// How that is known.
        reason: String,
    },
    /// The server died of it: fail-stop, not fail-slow; the trial is invalid.
    FailStop {
        /// How that is known.
        reason: String,
    },
    /// The fault did something else than it should; the trial is invalid.
    Impure {
        /// What it did.
        reason: String,
    },
    /// The node got something else of the fault than was asked, beyond its tolerance; the trial is invalid.
    Outside {
        /// What was asked, and what it got.
        reason: String,
    },
    /// Nothing speaks against the fault, but not all of it could be proven; the trial counts, and says so.
    Unproven {
        /// What is not known.
        reason: String,
    },
}

impl Effect {
    /// Why the trial is invalid; `None` if nothing speaks against the fault.
    pub fn objection(&self) -> Option<&str> {
        match self {
            Effect::Bit | Effect::Unproven { .. } => None,
            Effect::WithoutEffect { reason }
            | Effect::FailStop { reason }
            | Effect::Impure { reason }
            | Effect::Outside { reason } => Some(reason),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Bit => f.write_str("the fault bit"),
            Effect::WithoutEffect { reason } => write!(f, "the fault had no effect: {reason}"),
            Effect::FailStop { reason } => write!(f, "the fault stopped the server: {reason}"),
            Effect::Impure { reason } => write!(f, "the fault did something else: {reason}"),
            Effect::Outside { reason } => write!(f, "the fault was not as asked: {reason}"),
            Effect::Unproven { reason } => write!(f, "the fault is not wholly proven: {reason}"),
        }
    }
}

/// What the readings of `kind` before and during the fault prove, within its [`Tolerance`]. Only what is proven counts
/// against the fault: where a reading is missing, it is taken to have bitten.
pub fn effect(kind: &FaultType, before: &[Reading], during: &[Reading]) -> Effect {
    // A server that is to be ended may be.
    let is_kill = matches!(kind, FaultType::ProcessKill(_));
    if let Some(reason) = died(before, during).filter(|_| !is_kill) {
        return Effect::FailStop { reason };
    }
    let tolerance = Tolerance::of(kind).unwrap_or(Tolerance::Points(0.0));
    let both = Both {
        before,
        during,
        tolerance,
    };
    match kind {
        FaultType::CpuQuota(quota) => quota_effect(quota, &both),
        FaultType::CpuContention(_) => contention_effect(&both),
        FaultType::MemoryLimit(_) => memory::limit(&both),
        FaultType::MemoryContention(asked) => memory::contention(asked, &both),
        FaultType::DiskThroughput(limit) => {
            disk::throughput(limit.rate.per_second().0 as f64, &both)
        }
        FaultType::DiskIops(limit) => disk::operations(limit.rate.per_second(), &both),
        FaultType::DiskContention(_) => disk::contention(&both),
        FaultType::DiskLatency(latency) => disk::latency(latency, &both),
        FaultType::NetDelay(delay) => net::delay(delay, &both),
        FaultType::NetLoss(loss) => {
            let drawn = net::Drawn::alike(loss.share, loss.correlation);
            net::some(drawn, Probe::LostEchoes, "lost", &both)
        }
        FaultType::NetReorder(reorder) => {
            let drawn = net::Drawn::fairly(reorder.share);
            net::some(drawn, Probe::OvertakenEchoes, "held back", &both)
        }
        FaultType::NetDuplicate(duplicate) => {
            let drawn = net::Drawn::fairly(duplicate.share);
            net::some(drawn, Probe::DuplicatedEchoes, "duplicated", &both)
        }
        FaultType::NetCorrupt(corrupt) => {
            let drawn = net::Drawn::fairly(corrupt.share);
            net::some(drawn, Probe::LostEchoes, "corrupted", &both)
        }
        FaultType::NetRate(rate) => net::rate(rate, &both),
        FaultType::NetPartition(_) => net::partition(&both),
        FaultType::ProcessPause(_) => pause_effect(&both),
        FaultType::ProcessKill(_) => kill_effect(&both),
    }
}

struct Both<'a> {
    before: &'a [Reading],
    during: &'a [Reading],
    tolerance: Tolerance,
}

impl Both<'_> {
    fn before(&self, probe: Probe) -> Option<f64> {
        value(self.before, probe)
    }

    fn during(&self, probe: Probe) -> Option<f64> {
        value(self.during, probe)
    }
}

fn died(before: &[Reading], during: &[Reading]) -> Option<String> {
    if let Some(kills) = value(during, Probe::OomKills).filter(|kills| *kills > 0.0) {
        return Some(format!(
            "the kernel killed {kills} of its processes for want of memory"
        ));
    }
    let alive = value(during, Probe::ServerProcesses)?;
    let were = value(before, Probe::ServerProcesses)?;
    (alive < were).then(|| format!("{alive} of its {were} processes are left"))
}

fn without(reason: String) -> Effect {
    Effect::WithoutEffect { reason }
}

/// Why the server has more CPU than its fault lets it have.
fn above_allowed(probes: &Both<'_>) -> Option<String> {
    let (got, allowed) = (
        probes.during(Probe::CpuShare)?,
        probes.during(Probe::AllowedShare)?,
    );
    (got > allowed + probes.tolerance.width(allowed, 1.0)).then(|| {
        format!("the server got {got:.1}% of its machine, and may have no more than {allowed:.1}%")
    })
}

fn quota_effect(quota: &CpuQuota, probes: &Both<'_>) -> Effect {
    if let Some(reason) = above_allowed(probes) {
        return Effect::Outside { reason };
    }
    if probes
        .during(Probe::ThrottledPeriods)
        .is_none_or(|share| share > 0.0)
    {
        return Effect::Bit;
    }
    let got = probes.during(Probe::CpuShare).unwrap_or_default();
    without(format!(
        "the server used {got:.1}% of its machine and never wanted more than the {} it is limited to",
        quota.share
    ))
}

fn contention_effect(probes: &Both<'_>) -> Effect {
    if let Some(reason) = above_allowed(probes) {
        return Effect::Outside { reason };
    }
    if let Some(share) = probes
        .during(Probe::ContentionShare)
        .filter(|share| *share < 1.0)
    {
        return without(format!(
            "the competing program got {share:.1}% of the machine"
        ));
    }
    let readings = (
        probes.before(Probe::CpuShare),
        probes.during(Probe::CpuShare),
        probes.before(Probe::CpuWait),
        probes.during(Probe::CpuWait),
    );
    match readings {
        (Some(share), Some(now), Some(wait), Some(waits))
            if now >= 0.9 * share && waits <= 1.1 * wait + 0.1 =>
        {
            without(format!(
                "the server got {now:.1}% of its machine ({share:.1}% before) and waited for a CPU no longer than before"
            ))
        }
        _ => Effect::Bit,
    }
}

fn pause_effect(probes: &Both<'_>) -> Effect {
    let stopped = probes.during(Probe::StoppedProcesses);
    let periods = probes.during(Probe::ThrottledPeriods);
    let alive = probes.during(Probe::ServerProcesses);
    match (stopped, periods, alive) {
        (_, Some(periods), _) if periods > 0.0 => repeated_effect(probes),
        (Some(0.0), _, _) => without("no server process was stopped".to_owned()),
        (Some(stopped), None, Some(alive)) if stopped < alive => Effect::Outside {
            reason: format!("{stopped} of {alive} server processes were stopped"),
        },
        _ => Effect::Bit,
    }
}

/// Stops and continuations come late on a busy machine: then the server was stopped for another share of the time, and
/// no less slow for it.
fn repeated_effect(probes: &Both<'_>) -> Effect {
    let times = (
        probes.during(Probe::DueStop),
        probes.during(Probe::StoppedTime),
    );
    match times {
        (Some(due), Some(stopped)) if !probes.tolerance.holds(due, stopped, 1.0) => {
            Effect::Unproven {
                reason: format!(
                    "the server was stopped for {stopped:.1}% of the time, and should have been for {due:.1}%"
                ),
            }
        }
        _ => Effect::Bit,
    }
}

fn kill_effect(probes: &Both<'_>) -> Effect {
    match probes.during(Probe::KilledServers) {
        Some(0.0) => without("no server was ended".to_owned()),
        _ => Effect::Bit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(kind: &str, before: &[(Probe, f64)], during: &[(Probe, f64)]) -> Effect {
        let kind: FaultType = serde_yaml::from_str(kind).unwrap();
        let readings = |pairs: &[(Probe, f64)]| -> Vec<Reading> {
            pairs
                .iter()
                .map(|(probe, value)| probe.reading(*value))
                .collect()
        };
        effect(&kind, &readings(before), &readings(during))
    }

    fn objects(effect: &Effect, text: &str) {
        assert!(
            effect
                .objection()
                .is_some_and(|reason| reason.contains(text)),
            "{effect}"
        );
    }

    use Probe::*;

    #[test]
    fn a_quota_bites_when_the_server_wants_more() {
        let quota = "{cpu.quota: {share: 5%}}";
        let busy = [(CpuShare, 5.2), (ThrottledPeriods, 100.0)];
        assert_eq!(judge(quota, &[(CpuShare, 80.0)], &busy), Effect::Bit);
        let idle = [(CpuShare, 1.0), (ThrottledPeriods, 0.0)];
        objects(
            &judge(quota, &[(CpuShare, 1.0)], &idle),
            "never wanted more than the 5%",
        );
        let missed = |share| {
            [
                (CpuShare, share),
                (AllowedShare, 5.1),
                (ThrottledPeriods, 9.0),
            ]
        };
        let before = [(CpuShare, 80.0)];
        assert_eq!(judge(quota, &before, &missed(6.0)), Effect::Bit);
        objects(&judge(quota, &before, &missed(6.2)), "no more than 5.1%");
    }

    #[test]
    fn contention_bites_when_the_server_gets_less_or_waits_longer() {
        let kind = "{cpu.contention: {weight: 15x}}";
        let before = [(CpuShare, 40.0), (CpuWait, 1.0)];
        let during = |share, wait| [(CpuShare, share), (CpuWait, wait), (ContentionShare, 60.0)];
        assert_eq!(judge(kind, &before, &during(10.0, 90.0)), Effect::Bit);
        assert_eq!(judge(kind, &before, &during(40.0, 20.0)), Effect::Bit);
        objects(
            &judge(kind, &before, &during(40.0, 1.0)),
            "no longer than before",
        );
        let missed = [
            (CpuShare, 9.6),
            (AllowedShare, 6.4),
            (ContentionShare, 90.0),
        ];
        let effect = judge(kind, &before, &missed);
        assert!(matches!(effect, Effect::Outside { .. }));
        objects(&effect, "got 9.6% of its machine");
        objects(
            &judge(kind, &before, &[(ContentionShare, 0.0)]),
            "competing program got",
        );
    }

    #[test]
    fn a_memory_limit_bites_when_it_is_reached_and_may_kill() {
        let kind = "{memory.limit: {bytes: 50MB}}";
        let during = |hits, kills| {
            [
                (MemoryLimit, 5e7),
                (MemoryUsage, 2e7),
                (MemoryLimitHits, hits),
                (OomKills, kills),
            ]
        };
        assert_eq!(judge(kind, &[], &during(12.0, 0.0)), Effect::Bit);
        let above = [
            (MemoryLimit, 5e7),
            (MemoryUsage, 5.6e7),
            (MemoryLimitHits, 9.0),
        ];
        objects(
            &judge(kind, &[], &above),
            "used 56.0 MB, limited to 50.0 MB",
        );
        objects(
            &judge(kind, &[], &during(0.0, 0.0)),
            "never reached its limit of 50.0 MB",
        );
        assert!(matches!(
            judge(kind, &[], &during(9.0, 1.0)),
            Effect::FailStop { .. }
        ));
    }

    #[test]
    fn a_pause_bites_when_processes_are_stopped() {
        let before = [(ServerProcesses, 2.0), (StoppedProcesses, 0.0)];
        let kind = "{process.pause: {}}";
        let half = [(ServerProcesses, 2.0), (StoppedProcesses, 1.0)];
        objects(&judge(kind, &before, &half), "1 of 2 server processes");
        assert_eq!(
            judge(kind, &before, &[(StoppedProcesses, 2.0)]),
            Effect::Bit
        );
        objects(
            &judge(kind, &before, &[(StoppedProcesses, 0.0)]),
            "no server process",
        );
        let dead = judge(
            kind,
            &before,
            &[(ServerProcesses, 1.0), (StoppedProcesses, 1.0)],
        );
        assert!(matches!(dead, Effect::FailStop { .. }));
        let repeated = |stopped| {
            let share = [(DueStop, 11.0), (StoppedTime, stopped)];
            let readings = [(StoppedProcesses, 0.0), (ThrottledPeriods, 100.0)];
            judge(
                "{process.pause: {for: 1ms, period: 9ms}}",
                &before,
                &[readings, share].concat(),
            )
        };
        assert_eq!(repeated(11.9), Effect::Bit);
        let late = repeated(12.1);
        assert!(matches!(late, Effect::Unproven { .. }) && late.objection().is_none());
        assert!(late.to_string().contains("12.1% of the time"), "{late}");
    }

    #[test]
    fn missing_readings_prove_nothing() {
        for kind in [
            "{cpu.quota: {share: 5%}}",
            "{net.delay: {delay: 1ms}}",
            "{memory.limit: {bytes: 50MB}}",
        ] {
            assert_eq!(judge(kind, &[], &[]), Effect::Bit, "{kind}");
        }
    }
}
