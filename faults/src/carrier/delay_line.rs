use node::journal::{Journal, Undo};
use node::tool::iptables::{Chain, Hook, Table};
use node::tool::tc::Netem;
use vocab::units::Span;

use super::Carrier;
use super::round_trip::RoundTrip;
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::helpers::delay_line::{DelayJob, DelayState};
use crate::nfqueue::statistics;
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::spec::NetDelay;
use crate::standing::Standing;

const FAULT: &str = "net.delay";
const VERB: &str = "delay-line";

/// Packets from one link of the hub wait in a queue of the kernel, from which depbench lets them go.
pub(super) struct LineDelay {
    delay: Span,
    jitter: Span,
    link: FaultLink,
    round_trip: RoundTrip,
    program: HelperProgram,
    journal: Journal,
    running: Option<(HelperProcess, u16)>,
    standing: Standing,
}

impl LineDelay {
    pub(super) fn new(spec: &NetDelay, context: &FaultContext) -> Result<Self, FaultError> {
        let link = context.link(FAULT)?;
        Ok(LineDelay {
            delay: spec.delay,
            jitter: spec.jitter,
            round_trip: RoundTrip::new(link.peer, spec),
            link,
            program: context.helper.clone(),
            journal: context.journal.clone(),
            running: None,
            standing: Standing::default(),
        })
    }
}

impl Carrier for LineDelay {
    fn inject(&mut self) -> Result<String, FaultError> {
        let mut helper = HelperProcess::start(VERB, self.program.command(VERB))?;
        let process = helper.id()?;
        self.standing
            .add(self.journal.record(Undo::Kill { process })?);
        let job = DelayJob {
            delay: self.delay.duration(),
            jitter: self.jitter.duration(),
            length: Netem::delay(self.delay.duration(), self.jitter.duration()).limit,
            seed: u64::from(process.pid.unsigned_abs()),
        };
        let state: DelayState = helper.begin(&job)?;
        self.running = Some((helper, state.queue));

        let name = format!("DEPBENCH-{}", state.queue);
        let name = name.parse().map_err(|reason| FaultError::Parameter {
            fault: FAULT,
            reason,
        })?;
        // Before routing, so that what is for the hub itself (the probe's echoes) is delayed like what it forwards.
        let chain = Chain::new(Table::Mangle, Hook::Prerouting, name);
        let undo = Undo::DeleteChain {
            chain: chain.clone(),
        };
        self.standing.add(self.journal.record(undo)?);
        chain.create().run()?;
        chain.append(rule(&self.link, state.queue)).run()?;
        chain.jump().run()?;
        Ok(format!(
            "packets from {} delayed by {} ± {} in queue {} of at most {} packets, {} priority",
            self.link.device, self.delay, self.jitter, state.queue, job.length, state.priority
        ))
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = self.round_trip.probe()?;
        let Some((helper, queue)) = &mut self.running else {
            return Ok(readings);
        };
        let state: DelayState = helper.state()?;
        readings.push(Probe::DelayedPackets.reading(state.packets as f64));
        let counted = statistics(*queue).map_err(FaultError::system("read queue statistics"))?;
        let dropped = counted.map(|counted| counted.dropped as f64);
        readings.extend(dropped.map(|dropped| Probe::DroppedPackets.reading(dropped)));
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // First the line, which lets waiting packets go (new ones pass by its queue), then the rule: so none overtakes.
        drop(self.running.take());
        self.standing.undo()
    }
}

fn rule(link: &FaultLink, queue: u16) -> Vec<String> {
    let queue = queue.to_string();
    let words = [
        "-i",
        link.device.as_str(),
        "-j",
        "NFQUEUE",
        "--queue-num",
        &queue,
        // Should the line die, packets pass undelayed rather than vanish.
        "--queue-bypass",
    ];
    words.map(str::to_owned).to_vec()
}
