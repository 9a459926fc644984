//! Whether anything of a fault is left after it was cleared.

use vocab::units::Share;

use crate::reading::{Probe, Reading, value};
use crate::spec::{FaultType, NetCorrupt, NetLoss};

/// What the readings before and after a fault prove to be left of it; `None` if nothing is.
pub fn residue(kind: &FaultType, before: &[Reading], after: &[Reading]) -> Option<String> {
    let after_of = |probe| value(after, probe);
    match kind {
        // A share of CPU says nothing here: a server that catches up, or idles, is as it should be.
        FaultType::CpuQuota(_) => after_of(Probe::ThrottledPeriods)
            .zip(value(before, Probe::ThrottledPeriods))
            .filter(|(now, then)| *then == 0.0 && *now > 50.0)
            .map(|(now, _)| format!("the server is still throttled in {now:.0}% of all periods")),
        FaultType::CpuContention(_) => after_of(Probe::ContentionShare)
            .filter(|share| *share > 5.0)
            .map(|share| format!("a competing program still gets {share:.1}% of the machine")),
        FaultType::MemoryLimit(_) => after_of(Probe::MemoryLimit)
            .map(|limit| format!("memory is still limited to {limit} bytes")),
        FaultType::MemoryContention(_) => after_of(Probe::ContentionMemory)
            .filter(|held| *held > 0.0)
            .map(|held| format!("a competing program still holds {held} bytes")),
        // The rate says nothing: what was held back is written now, as fast as the disk can.
        FaultType::DiskThroughput(_) | FaultType::DiskIops(_) => slow_writes(before, after),
        FaultType::DiskLatency(_) => after_of(Probe::DelayedOperations)
            .filter(|delayed| *delayed > 0.0)
            .map(|delayed| format!("{delayed} operations were delayed after the fault")),
        FaultType::DiskContention(_) => after_of(Probe::ContentionWriteRate)
            .filter(|rate| *rate > 0.0)
            .map(|rate| format!("a competing program still writes {rate:.0} bytes per second")),
        FaultType::NetDelay(delay) => {
            let gained = after_of(Probe::RoundTrip)? - value(before, Probe::RoundTrip)?;
            let half = 0.5 * delay.delay.as_secs_f64() * 1e3;
            (gained > half).then(|| format!("the round trip still takes {gained:.2} ms longer"))
        }
        FaultType::NetLoss(NetLoss { share, .. }) | FaultType::NetCorrupt(NetCorrupt { share }) => {
            echoes(*share, Probe::LostEchoes, "lost", before, after)
        }
        FaultType::NetReorder(reorder) => echoes(
            reorder.share,
            Probe::OvertakenEchoes,
            "overtaken",
            before,
            after,
        ),
        FaultType::NetDuplicate(duplicate) => echoes(
            duplicate.share,
            Probe::DuplicatedEchoes,
            "duplicated",
            before,
            after,
        ),
        // No link is so busy after a fault that its rate could be told.
        FaultType::NetRate(_) => None,
        FaultType::NetPartition(_) => echoes(Share::ALL, Probe::LostEchoes, "lost", before, after),
        FaultType::ProcessKill(_) => {
            let (alive, were) = (
                after_of(Probe::ServerProcesses)?,
                value(before, Probe::ServerProcesses)?,
            );
            (alive < were).then(|| format!("{alive} of {were} servers run again"))
        }
        FaultType::ProcessPause(_) => after_of(Probe::StoppedProcesses)
            .filter(|stopped| *stopped > 0.0)
            .map(|stopped| format!("{stopped} server processes are still stopped")),
    }
}

/// Whether synced writes are still far slower than before; a busy disk alone may double their time.
fn slow_writes(before: &[Reading], after: &[Reading]) -> Option<String> {
    let now = value(after, Probe::SyncedWrite)?;
    let then = value(before, Probe::SyncedWrite)?;
    (now > 10.0 * then + 20.0)
        .then(|| format!("a synced write still takes {now:.1} ms, {then:.1} ms before"))
}

/// Whether at least half of the share of echoes, and more than a network may do of itself, still fares as in the fault.
fn echoes(
    share: Share,
    probe: Probe,
    what: &str,
    before: &[Reading],
    after: &[Reading],
) -> Option<String> {
    let more = value(after, probe)? - value(before, probe)?;
    let much = (50.0 * share.fraction()).max(5.0);
    (more >= much).then(|| format!("{more:.1}% more of the echoes are still {what} than before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named() {
        let delay: FaultType = serde_yaml::from_str("{net.delay: {delay: 40ms}}").unwrap();
        let round_trip = |ms| [Probe::RoundTrip.reading(ms)];
        assert_eq!(residue(&delay, &round_trip(0.1), &round_trip(0.3)), None);
        let left = residue(&delay, &round_trip(0.1), &round_trip(40.2));
        assert!(left.unwrap().contains("40.10 ms longer"));

        let cut: FaultType = serde_yaml::from_str("{net.partition: {}}").unwrap();
        let lost = |share| [Probe::LostEchoes.reading(share)];
        assert_eq!(residue(&cut, &lost(0.0), &lost(14.3)), None);
        assert!(residue(&cut, &lost(0.0), &lost(100.0)).is_some());

        let pause: FaultType = serde_yaml::from_str("{process.pause: {}}").unwrap();
        let stopped = |number| [Probe::StoppedProcesses.reading(number)];
        assert_eq!(residue(&pause, &stopped(0.0), &stopped(0.0)), None);
        assert!(residue(&pause, &stopped(0.0), &stopped(1.0)).is_some());
    }
}
