use node::journal::Journal;
use node::links::LinkName;

use super::Carrier;
use super::line::RunningLine;
use super::link_probe::{LinkProbe, Stand};
use super::placement::detour_name;
use super::redirect::redirect;
use crate::context::{FaultContext, FaultLink};
use crate::error::FaultError;
use crate::flow::Flow;
use crate::helpers::delay_line::Medium;
use crate::impairment::Impairment;
use crate::process::HelperProgram;
use crate::reading::Reading;
use crate::standing::Standing;

/// Packets that the node sends go through a link behind which depbench stands, and from there out as they would have.
pub(super) struct TapLine {
    impairment: Impairment,
    link: FaultLink,
    flow: Flow,
    probe: LinkProbe,
    program: HelperProgram,
    journal: Journal,
    running: Option<(RunningLine, LinkName)>,
    line: Standing,
    detour: Standing,
}

impl TapLine {
    pub(super) fn new(impairment: Impairment, context: &FaultContext) -> Result<Self, FaultError> {
        let link = context.link(impairment.name())?;
        Ok(TapLine {
            probe: LinkProbe::of_impairment(&link, &context.flow, Stand::Node, &impairment),
            impairment,
            link,
            flow: context.flow.clone(),
            program: context.helper.clone(),
            journal: context.journal.clone(),
            running: None,
            line: Standing::default(),
            detour: Standing::default(),
        })
    }
}

impl Carrier for TapLine {
    fn inject(&mut self) -> Result<String, FaultError> {
        let tap = detour_name();
        let medium = Medium::Tap {
            name: tap.clone(),
            out: self.link.device.clone(),
        };
        let (running, state) = RunningLine::start(
            &self.impairment,
            medium,
            &self.program,
            &self.journal,
            &mut self.line,
        )?;
        self.running = Some((running, tap.clone()));
        let device = &self.link.device;
        redirect(device, &self.flow, &tap, &self.journal, &mut self.detour)?;
        Ok(format!(
            "packets leaving through {device} to {} are {} behind link {tap} in a queue of at most {} packets, {} priority",
            self.flow,
            self.impairment,
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
        if let Some((running, tap)) = &mut self.running {
            let lost = dropped(tap)?;
            readings.extend(running.readings(&self.impairment, lost)?);
        }
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // First the detour: a redirection to a link that is gone would lose what the node sends. Then the line, which
        // lets waiting packets go.
        let detour = self.detour.undo();
        drop(self.running.take());
        self.line.undo().and(detour)
    }
}

/// Packets that the link had no room for.
fn dropped(tap: &LinkName) -> Result<f64, FaultError> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")
        .map_err(FaultError::system("read the counters of links"))?;
    let prefix = format!("{tap}:");
    let mut lines = text.lines().map(str::trim_start);
    let counters = lines.find_map(|line| line.strip_prefix(prefix.as_str()));
    // Columns: 8 of what was received, then bytes, packets, errors, dropped of what was sent.
    let dropped = counters.and_then(|counters| counters.split_whitespace().nth(11)?.parse().ok());
    Ok(dropped.unwrap_or_default())
}
