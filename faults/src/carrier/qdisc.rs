use std::time::Instant;

use node::journal::Journal;
use node::tool::tc::{self, Handle, Qdisc};

use super::Carrier;
use super::line::LARGEST_PACKET;
use super::link_probe::{LinkProbe, Stand};
use super::placement::{HANDLE, Placed, place};
use crate::available::Backend;
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::flow::Flow;
use crate::impairment::Impairment;
use crate::reading::{Probe, Reading};
use crate::standing::Standing;

/// The kernel's own emulation on what leaves through a link of the node.
pub(super) struct QdiscImpairment {
    impairment: Impairment,
    qdisc: Qdisc,
    link: FaultLink,
    flow: Flow,
    probe: LinkProbe,
    journal: Journal,
    standing: Standing,
    placed: Option<Placed>,
    start: Instant,
    /// Bytes counted until then.
    counted: f64,
}

impl QdiscImpairment {
    pub(super) fn new(
        impairment: Impairment,
        backend: Backend,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let link = context.link(impairment.name())?;
        let tbf = impairment.tbf().filter(|_| backend == Backend::Tbf);
        Ok(QdiscImpairment {
            qdisc: tbf.unwrap_or_else(|| Qdisc::Netem(impairment.netem())),
            probe: LinkProbe::of_impairment(&link, &context.flow, Stand::Node, &impairment),
            impairment,
            link,
            flow: context.flow.clone(),
            journal: context.journal.clone(),
            standing: Standing::default(),
            placed: None,
            start: Instant::now(),
            counted: 0.0,
        })
    }

    /// What the kernel has counted so far; `None` while nothing is placed.
    fn counters(&self) -> Result<Option<Counters>, FaultError> {
        let Some(placed) = &self.placed else {
            return Ok(None);
        };
        let shown = tc::show(placed.device()).run()?;
        Ok(Counters::find(&shown, HANDLE))
    }

    /// What may pass beyond the rate: a bucket that was full, and a packet that was on its way.
    fn ahead(&self) -> f64 {
        LARGEST_PACKET
            + match &self.qdisc {
                Qdisc::Tbf(tbf) => f64::from(tbf.burst),
                Qdisc::Netem(_) | Qdisc::Htb => 0.0,
            }
    }
}

impl Carrier for QdiscImpairment {
    fn inject(&mut self) -> Result<String, FaultError> {
        let (device, journal) = (&self.link.device, &self.journal);
        let placed = place(device, &self.flow, &self.qdisc, journal, &mut self.standing)?;
        let detail = format!(
            "packets leaving through {} to {} are {}{placed}{}",
            self.link.device,
            self.flow,
            self.impairment,
            match &self.qdisc {
                Qdisc::Netem(netem) => format!(" in a queue of at most {} packets", netem.limit),
                Qdisc::Tbf(tbf) => format!(" in bursts of at most {} bytes", tbf.burst),
                Qdisc::Htb => String::new(),
            }
        );
        self.placed = Some(placed);
        Ok(detail)
    }

    fn mark(&mut self) {
        self.start = Instant::now();
        // What cannot be told now says so at the next reading.
        let counters = self.counters().ok().flatten();
        self.counted = counters.map_or(0.0, |counters| counters.bytes);
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = self.probe.probe()?;
        if let Some(counters) = self.counters()? {
            let elapsed = self.start.elapsed().as_secs_f64().max(1e-3);
            let since = Counters {
                bytes: counters.bytes - self.counted,
                ..counters
            };
            readings.extend(since.readings(&self.impairment, elapsed));
            if let Impairment::Rate(rate) = &self.impairment {
                let allowed = rate.rate.per_second().0 as f64 + self.ahead() / elapsed;
                readings.push(Probe::AllowedRate.reading(allowed));
            }
        }
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.placed = None;
        self.standing.undo()
    }
}

/// What the kernel counts of a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counters {
    bytes: f64,
    packets: f64,
    drops: f64,
    overlimits: f64,
}

impl Counters {
    /// Those of the qdisc with `handle`.
    fn find(shown: &str, handle: Handle) -> Option<Counters> {
        let all: Vec<serde_json::Value> = serde_json::from_str(shown).ok()?;
        let ours = all
            .iter()
            .find(|qdisc| qdisc["handle"] == handle.to_string())?;
        Some(Counters {
            bytes: ours["bytes"].as_f64()?,
            packets: ours["packets"].as_f64()?,
            drops: ours["drops"].as_f64()?,
            overlimits: ours["overlimits"].as_f64().unwrap_or_default(),
        })
    }

    fn readings(self, impairment: &Impairment, elapsed: f64) -> Vec<Reading> {
        let through = Probe::DelayedPackets.reading(self.packets);
        match impairment {
            // netem counts what it loses on purpose as dropped.
            Impairment::Loss(_) => {
                let share = 100.0 * self.drops / (self.packets + self.drops).max(1.0);
                vec![through, Probe::HitPackets.reading(share)]
            }
            Impairment::Rate(_) => vec![
                through,
                Probe::DroppedPackets.reading(self.drops),
                Probe::PacedPackets.reading(self.overlimits),
                Probe::SentRate.reading(self.bytes / elapsed.max(1e-3)),
            ],
            Impairment::Delay(_)
            | Impairment::Reorder(_)
            | Impairment::Duplicate(_)
            | Impairment::Corrupt(_) => {
                vec![through, Probe::DroppedPackets.reading(self.drops)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = r#"[{"kind":"htb","handle":"db10:","root":true,"packets":5,"drops":0},
        {"kind":"netem","handle":"db01:","parent":"db10:1","bytes":1200,"packets":12,"drops":3,"overlimits":4}]"#;

    #[test]
    fn counters_are_those_of_our_handle() {
        let found = Counters::find(SHOWN, HANDLE).unwrap();
        let expected = Counters {
            bytes: 1200.0,
            packets: 12.0,
            drops: 3.0,
            overlimits: 4.0,
        };
        assert_eq!(found, expected);
        assert_eq!(Counters::find(SHOWN, Handle::ours(2)), None);
        assert_eq!(Counters::find("nonsense", HANDLE), None);
    }

    #[test]
    fn losses_on_purpose_are_no_accident() {
        let counters = Counters::find(SHOWN, HANDLE).unwrap();
        let of = |text: &str| counters.readings(&serde_yaml::from_str(text).unwrap(), 2.0);
        let loss = of("{loss: {share: 20%}}");
        assert_eq!(loss[1], Probe::HitPackets.reading(20.0));
        let delay = of("{delay: {delay: 1ms}}");
        assert_eq!(delay[1], Probe::DroppedPackets.reading(3.0));
        let rate = of("{rate: {rate: 1KB/s}}");
        assert_eq!(rate[3], Probe::SentRate.reading(600.0));
    }
}
