use node::journal::{Journal, Undo};
use node::tool::tc::{self, Handle, Netem, Parent, Qdisc};

use super::Carrier;
use super::round_trip::RoundTrip;
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::reading::{Probe, Reading};
use crate::spec::NetDelay;
use crate::standing::Standing;

const FAULT: &str = "net.delay";
const HANDLE: Handle = Handle::ours(1);

/// The kernel's own delay on what leaves through a link of the node.
pub(super) struct NetemDelay {
    netem: Netem,
    link: FaultLink,
    round_trip: RoundTrip,
    journal: Journal,
    standing: Standing,
}

impl NetemDelay {
    pub(super) fn new(spec: &NetDelay, context: &FaultContext) -> Result<Self, FaultError> {
        let link = context.link(FAULT)?;
        Ok(NetemDelay {
            netem: Netem::delay(spec.delay.duration(), spec.jitter.duration()),
            round_trip: RoundTrip::new(link.peer, spec),
            link,
            journal: context.journal.clone(),
            standing: Standing::default(),
        })
    }

    /// Refuses a link whose root qdisc somebody has chosen.
    fn check_root(&self) -> Result<(), FaultError> {
        let foreign = foreign_root(&tc::show(&self.link.device).run()?);
        foreign.map_or(Ok(()), |kind| {
            Err(FaultError::Unavailable {
                fault: FAULT,
                reason: format!(
                    "link {} has a root qdisc of its own ({kind}), which depbench never replaces",
                    self.link.device
                ),
            })
        })
    }
}

impl Carrier for NetemDelay {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.check_root()?;
        let undo = Undo::DeleteQdisc {
            device: self.link.device.clone(),
            parent: Parent::Root,
            handle: HANDLE,
        };
        self.standing.add(self.journal.record(undo)?);
        let qdisc = Qdisc::Netem(self.netem);
        tc::add(&self.link.device, Parent::Root, HANDLE, &qdisc).run()?;
        Ok(format!(
            "packets leaving through {} delayed by {:?} ± {:?} in a queue of at most {} packets",
            self.link.device, self.netem.delay, self.netem.jitter, self.netem.limit
        ))
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = self.round_trip.probe()?;
        if self.standing.is_empty() {
            return Ok(readings);
        }
        let shown = tc::show(&self.link.device).run()?;
        if let Some((packets, drops)) = counters(&shown, &HANDLE.to_string()) {
            readings.push(Probe::DelayedPackets.reading(packets));
            readings.push(Probe::DroppedPackets.reading(drops));
        }
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.standing.undo()
    }
}

fn qdiscs(text: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The kind of a root qdisc with a handle, that is, one that is not the kernel's default.
fn foreign_root(text: &str) -> Option<String> {
    let chosen = |qdisc: &&serde_json::Value| {
        let handle = qdisc["handle"].as_str().unwrap_or("0:");
        qdisc["root"].as_bool() == Some(true) && handle != "0:"
    };
    let all = qdiscs(text);
    let kind = all.iter().find(chosen)?["kind"].as_str()?;
    Some(kind.to_owned())
}

/// Packets sent and packets dropped by the qdisc with `handle`.
fn counters(text: &str, handle: &str) -> Option<(f64, f64)> {
    let all = qdiscs(text);
    let ours = all.iter().find(|qdisc| qdisc["handle"] == handle)?;
    Some((ours["packets"].as_f64()?, ours["drops"].as_f64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = r#"[{"kind":"noqueue","handle":"0:","root":true,"refcnt":2,"options":{},"bytes":0,"packets":0,"drops":0}]"#;
    const OURS: &str = r#"[{"kind":"netem","handle":"db01:","root":true,"refcnt":2,"options":{"limit":10000},"bytes":1,"packets":12,"drops":3}]"#;

    #[test]
    fn a_chosen_root_is_told_from_the_default() {
        assert_eq!(foreign_root(DEFAULT), None);
        assert_eq!(foreign_root(OURS).as_deref(), Some("netem"));
        assert_eq!(foreign_root("[{}]"), None);
        assert_eq!(foreign_root("nonsense"), None);
    }

    #[test]
    fn counters_are_those_of_our_handle() {
        assert_eq!(HANDLE.to_string(), "db01:");
        assert_eq!(counters(OURS, "db01:"), Some((12.0, 3.0)));
        assert_eq!(counters(DEFAULT, "db01:"), None);
    }
}
