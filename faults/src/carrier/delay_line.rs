use node::journal::{Journal, Undo};
use node::tool::iptables::{Chain, ChainName, Hook, Table, Version};

use super::Carrier;
use super::line::RunningLine;
use super::link_probe::{LinkProbe, Stand};
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::flow::{Fate, Flow, Way};
use crate::helpers::delay_line::Medium;
use crate::impairment::Impairment;
use crate::nfqueue::statistics;
use crate::process::HelperProgram;
use crate::reading::Reading;
use crate::standing::Standing;

/// Packets from one link of the hub wait in a queue of the kernel, from which depbench lets them go.
pub(super) struct HubLine {
    impairment: Impairment,
    link: FaultLink,
    flow: Flow,
    probe: LinkProbe,
    program: HelperProgram,
    journal: Journal,
    running: Option<(RunningLine, u16)>,
    standing: Standing,
}

impl HubLine {
    pub(super) fn new(impairment: Impairment, context: &FaultContext) -> Result<Self, FaultError> {
        let link = context.link(impairment.name())?;
        Ok(HubLine {
            probe: LinkProbe::of_impairment(&link, &context.flow, Stand::Hub, &impairment),
            impairment,
            link,
            flow: context.flow.clone(),
            program: context.helper.clone(),
            journal: context.journal.clone(),
            running: None,
            standing: Standing::default(),
        })
    }

    /// Sends packets of one version of IP to the queue.
    fn divert(&mut self, name: &ChainName, version: Version, queue: u16) -> Result<(), FaultError> {
        let chain = self.chain(name, version)?;
        let undo = Undo::DeleteChain {
            chain: chain.clone(),
        };
        self.standing.make(&self.journal, undo, || {
            Ok(chain.create().run().map(drop)?)
        })?;
        let from = ["-i".to_owned(), self.link.device.to_string()];
        for spared in neighbours(version) {
            chain.append(spared).run()?;
        }
        for rule in self.flow.rules(version) {
            let target = match rule.fate {
                Fate::Spared => vec!["-j".to_owned(), "RETURN".to_owned()],
                Fate::Hit => to_queue(queue),
            };
            let words = [from.to_vec(), rule.arguments(Way::Out), target].concat();
            chain.append(words).run()?;
        }
        chain.jump_last().run()?;
        Ok(())
    }

    /// A chain before routing, so that what is for the hub itself (the probe's echoes) is delayed like what it forwards.
    ///
    /// A packet that a queue has let go skips what is left of its table: two lines on one link need two tables.
    fn chain(&self, name: &ChainName, version: Version) -> Result<Chain, FaultError> {
        for table in [Table::Mangle, Table::Raw] {
            let chain = Chain::new(table, Hook::Prerouting, name.clone()).of(version);
            let rules = chain.show_table().run()?;
            if !is_diverted(&rules, self.link.device.as_str()) {
                return Ok(chain);
            }
        }
        Err(FaultError::Unavailable {
            fault: self.impairment.name(),
            reason: format!(
                "two delay lines are on link {} already, and there is no room for a third",
                self.link.device
            ),
        })
    }
}

/// Whether rules of a table send packets of a link to a queue of ours.
fn is_diverted(rules: &str, device: &str) -> bool {
    let from = format!(" -i {device} ");
    let ours = |rule: &&str| rule.starts_with("-A DEPBENCH-") && rule.contains("NFQUEUE");
    rules.lines().filter(ours).any(|rule| rule.contains(&from))
}

impl Carrier for HubLine {
    fn inject(&mut self) -> Result<String, FaultError> {
        let (running, state) = RunningLine::start(
            &self.impairment,
            Medium::Queue,
            &self.program,
            &self.journal,
            &mut self.standing,
        )?;
        let queue = state.queue.unwrap_or_default();
        self.running = Some((running, queue));
        let name = chain_name(self.impairment.name(), &queue)?;
        for version in versions() {
            self.divert(&name, version, queue)?;
        }
        Ok(format!(
            "packets from {} to {} are {} in queue {} of at most {} packets, {} priority",
            self.link.device,
            self.flow,
            self.impairment,
            queue,
            self.impairment.queue_length(),
            state.priority
        ))
    }

    fn mark(&mut self) {
        if let Some((running, _)) = &mut self.running {
            running.mark();
        }
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = self.probe.probe()?;
        let Some((running, queue)) = &mut self.running else {
            return Ok(readings);
        };
        let counted = statistics(*queue).map_err(FaultError::system("read queue statistics"))?;
        let lost = counted.map_or(0.0, |counted| counted.dropped as f64);
        readings.extend(running.readings(&self.impairment, lost)?);
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // First the line, which lets waiting packets go (new ones pass by its queue), then the rule: so none overtakes.
        drop(self.running.take());
        self.standing.undo()
    }
}

/// The versions of IP that this kernel speaks.
pub(super) fn versions() -> Vec<Version> {
    let has_6 = std::path::Path::new("/proc/thread-self/net/if_inet6").exists();
    let six = has_6.then_some(Version::V6);
    [Some(Version::V4), six].into_iter().flatten().collect()
}

/// Lets the packets pass with which hosts of version 6 find one another, as those of version 4 do below IP.
pub(super) fn neighbours(version: Version) -> Vec<Vec<&'static str>> {
    let pass = |kind| vec!["-p", "icmpv6", "--icmpv6-type", kind, "-j", "RETURN"];
    match version {
        Version::V4 => Vec::new(),
        Version::V6 => ["neighbour-solicitation", "neighbour-advertisement"]
            .map(pass)
            .to_vec(),
    }
}

/// The name of a chain of ours with a number that nobody else has.
pub(super) fn chain_name(
    fault: &'static str,
    number: &impl std::fmt::Display,
) -> Result<ChainName, FaultError> {
    let name = format!("DEPBENCH-{number}");
    name.parse()
        .map_err(|reason| FaultError::Parameter { fault, reason })
}

fn to_queue(queue: u16) -> Vec<String> {
    let queue = queue.to_string();
    // Should the line die, packets pass undelayed rather than vanish.
    ["-j", "NFQUEUE", "--queue-num", &queue, "--queue-bypass"]
        .map(str::to_owned)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_has_a_line_is_told_from_others() {
        let rules = "-P PREROUTING ACCEPT\n-N DEPBENCH-29000\n-A PREROUTING -j DEPBENCH-29000\n\
             -A PREROUTING -i n3 -j NFQUEUE --queue-num 1\n\
             -A DEPBENCH-29000 -i n1 -j NFQUEUE --queue-num 29000 --queue-bypass\n";
        assert!(is_diverted(rules, "n1"));
        assert!(!is_diverted(rules, "n2") && !is_diverted(rules, "n3"));
    }
}
