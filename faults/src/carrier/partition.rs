use std::sync::atomic::{AtomicU32, Ordering};

use node::journal::{Journal, Undo};
use node::tool::iptables::{Chain, ChainName, Hook, Table, Version, taken};

use super::Carrier;
use super::delay_line::{chain_name, neighbours, versions};
use super::link_probe::{LinkProbe, Stand};
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::flow::{Fate, Flow, Way};
use crate::reading::{Probe, Reading};
use crate::site::Wiring;
use crate::spec::{Direction, NetPartition};
use crate::standing::Standing;

const FAULT: &str = "net.partition";

/// Rules that drop packets, first of all rules, so that connections that exist are cut as well.
pub(super) struct Partition {
    direction: Direction,
    link: FaultLink,
    flow: Flow,
    stand: Stand,
    probe: LinkProbe,
    journal: Journal,
    standing: Standing,
    chains: Vec<Chain>,
}

impl Partition {
    pub(super) fn new(spec: &NetPartition, context: &FaultContext) -> Result<Self, FaultError> {
        let link = context.link(FAULT)?;
        let stand = match context.wiring {
            Wiring::Hub => Stand::Hub,
            Wiring::Direct | Wiring::Shared => Stand::Node,
        };
        Ok(Partition {
            direction: spec.direction,
            probe: LinkProbe::of_partition(&link, &context.flow, stand, spec.direction),
            link,
            flow: context.flow.clone(),
            stand,
            journal: context.journal.clone(),
            standing: Standing::default(),
            chains: Vec::new(),
        })
    }

    fn ways(&self) -> Vec<Way> {
        match self.direction {
            Direction::Both => vec![Way::Out, Way::In],
            Direction::Out => vec![Way::Out],
            Direction::In => vec![Way::In],
        }
    }

    /// Drops what goes one way.
    fn cut(&mut self, name: ChainName, version: Version, way: Way) -> Result<(), FaultError> {
        let (table, hook, device) = hook(self.stand, way);
        let chain = Chain::new(table, hook, name).of(version);
        // A hub goes with its run, and other faults make chains there at the same time.
        if self.stand == Stand::Node && chain.brings_its_table() {
            let (version, table) = (chain.version(), chain.table());
            let undo = Undo::DeleteTable { version, table };
            self.standing.add(self.journal.record(undo)?);
        }
        let undo = Undo::DeleteChain {
            chain: chain.clone(),
        };
        self.standing.make(&self.journal, undo, || {
            Ok(chain.create().run().map(drop)?)
        })?;
        for spared in neighbours(version) {
            chain.append(spared).run()?;
        }
        for rule in self.flow.rules(version) {
            let target = match rule.fate {
                Fate::Spared => "RETURN",
                Fate::Hit => "DROP",
            };
            let words = [
                vec![device.to_owned(), self.link.device.to_string()],
                rule.arguments(way),
                vec!["-j".to_owned(), target.to_owned()],
            ];
            chain.append(words.concat()).run()?;
        }
        chain.jump().run()?;
        self.chains.push(chain);
        Ok(())
    }
}

/// Where packets of the node come through that go this way, before what a delay line does there, and which flag names its
/// link.
fn hook(stand: Stand, way: Way) -> (Table, Hook, &'static str) {
    match (stand, way) {
        (Stand::Hub, Way::Out) | (Stand::Node, Way::In) => (Table::Raw, Hook::Prerouting, "-i"),
        (Stand::Hub, Way::In) => (Table::Mangle, Hook::Forward, "-o"),
        (Stand::Node, Way::Out) => (Table::Raw, Hook::Output, "-o"),
    }
}

impl Carrier for Partition {
    fn inject(&mut self) -> Result<String, FaultError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for version in versions() {
            for way in self.ways() {
                let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff;
                let number = format!("cut-{:x}-{count:x}", std::process::id());
                self.cut(chain_name(FAULT, &number)?, version, way)?;
            }
        }
        let (device, flow) = (&self.link.device, &self.flow);
        Ok(format!(
            "packets over {device} to and from {flow} are dropped, {}",
            match self.direction {
                Direction::Both => "both ways",
                Direction::Out => "those that the node sends",
                Direction::In => "those that the node is sent",
            }
        ))
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = self.probe.probe()?;
        let mut cut = 0;
        for chain in &self.chains {
            cut += taken(&chain.show().run()?, "DROP");
        }
        if !self.chains.is_empty() {
            readings.push(Probe::CutPackets.reading(cut as f64));
        }
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.chains.clear();
        self.standing.undo()
    }
}
