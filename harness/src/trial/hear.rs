//! What the loop hears from each party, and what it makes of it.

use faults::Effect;
use results::{Event, EventKind, Interval, NodeSample, ProbeReading};
use tokio::sync::watch;
use vocab::ids::{NodeName, Phase};
use vocab::time::Monotonic;
use workloads::report::{LoadNotice, LoadReport, NoticeKind};

use super::deploy::Deployment;
use super::error::TrialError;
use super::fault::{Accounts, News, What};
use super::live::Live;
use super::recorder::Recorder;
use super::roles::Roles;
use crate::agent::clock;
use crate::agent::wire::ExitCause;
use crate::cluster::{ClusterEvent, NodeError, NodeEvent};
use crate::experiment::Window;

/// What the loop knows and whom it tells.
pub(super) struct Hearing<'a> {
    pub(super) recorder: &'a mut Recorder,
    pub(super) live: &'a mut (dyn FnMut(Live<'_>) + 'a),
    pub(super) roles: &'a mut Roles,
    pub(super) accounts: watch::Sender<Accounts>,
    pub(super) names: &'a [NodeName],
    /// What speaks against the numbers of the trial.
    pub(super) objections: Vec<String>,
}

impl Hearing<'_> {
    /// Takes what the load has to say; true when it was the last.
    pub(super) fn report(&mut self, report: LoadReport) -> Result<bool, TrialError> {
        match report {
            LoadReport::Interval(interval) => {
                self.interval(&interval)?;
            }
            LoadReport::Notice(notice) => self.notice(&notice)?,
            LoadReport::Operation(operation) => {
                self.recorder.operation(operation)?;
            }
            LoadReport::Done(totals) => {
                if totals.ok == 0 {
                    self.objections.push("no operation succeeded".into());
                }
                return Ok(true);
            }
            LoadReport::Failed { message } => return Err(TrialError::Load(message)),
            LoadReport::Ready { .. } | LoadReport::Started { .. } => {}
        }
        Ok(false)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), TrialError> {
        self.recorder.files().interval(interval)?;
        (self.live)(Live::Interval(interval));
        Ok(())
    }

    fn notice(&mut self, notice: &LoadNotice) -> Result<(), TrialError> {
        let kind = match notice.kind {
            NoticeKind::WorkerBusy | NoticeKind::ReadBackFailed => EventKind::Warning,
            NoticeKind::Redirected | NoticeKind::ConnectionLost => EventKind::ClientNotice,
        };
        self.event(notice.at, kind, |event| event.saying(&notice.detail))
    }

    pub(super) fn phase(&mut self, phase: Phase) -> Result<(), TrialError> {
        (self.live)(Live::Phase(phase));
        self.event(clock::now(), EventKind::PhaseStarted, |event| {
            event.saying(phase.to_string())
        })
    }

    pub(super) fn window(&mut self, window: Window) -> Result<(), TrialError> {
        let what = if window.faulty { "fault" } else { "fault-free" };
        self.event(clock::now(), EventKind::WindowStarted, |event| {
            event.saying(format!("{what} {}", window.pair))
        })
    }

    pub(super) fn account(
        &mut self,
        node: &NodeName,
        status: Option<targets::Status>,
    ) -> Result<(), TrialError> {
        let change = self.roles.update(node, status);
        let now = self.roles.accounts(self.names);
        self.accounts.send_if_modified(|accounts| {
            let modified = *accounts != now;
            *accounts = now;
            modified
        });
        let Some(change) = change else { return Ok(()) };
        let term = change
            .term
            .map(|term| format!(" in term {term}"))
            .unwrap_or_default();
        let from = change
            .from
            .map(|node| format!("{node} led before; "))
            .unwrap_or_default();
        let detail = format!("{from}{} leads{term}", change.to);
        self.event(clock::now(), EventKind::LeaderChanged, |event| {
            event.on(change.to).saying(detail)
        })
    }

    pub(super) fn news(&mut self, news: News) -> Result<(), TrialError> {
        let News {
            fault,
            node,
            at,
            what,
        } = news;
        match what {
            What::Commanded => self.event(at, EventKind::FaultCommanded, |event| {
                event.on(node).of(fault)
            }),
            What::Effective(detail) => self.event(at, EventKind::FaultEffective, |event| {
                event.on(node).of(fault).saying(detail)
            }),
            What::Cleared => self.event(at, EventKind::FaultCleared, |event| {
                event.on(node).of(fault)
            }),
            What::Read(moment, readings) => {
                let at = self.recorder.time(at);
                for reading in readings {
                    self.recorder.files().probe(&ProbeReading {
                        at,
                        fault: fault.clone(),
                        node: node.clone(),
                        moment,
                        probe: reading.probe.name().to_owned(),
                        value: reading.value,
                        unit: reading.probe.unit().to_owned(),
                    })?;
                }
                Ok(())
            }
            What::Left(left) => {
                self.objections
                    .push(format!("{fault} on {node} left something behind: {left}"));
                Ok(())
            }
            What::Judged(Effect::Bit) => Ok(()),
            What::Judged(effect @ Effect::Unproven { .. }) => {
                self.event(clock::now(), EventKind::Warning, |event| {
                    event.on(node).of(fault).saying(effect.to_string())
                })
            }
            What::Judged(effect) => {
                self.objections.push(format!("{fault} on {node}: {effect}"));
                Ok(())
            }
        }
    }

    pub(super) fn cluster_event(
        &mut self,
        event: ClusterEvent,
        deployment: &Deployment,
    ) -> Result<(), TrialError> {
        let ClusterEvent { node, event } = event;
        match event {
            NodeEvent::Sample(sample) => {
                let zero = self
                    .recorder
                    .zero()
                    .unwrap_or_else(|| Monotonic::from_nanos(0));
                let sample: NodeSample = sample.within_trial(zero);
                Ok(self.recorder.files().sample(&sample)?)
            }
            NodeEvent::Exited { process, exit, .. } => {
                let member = deployment
                    .members
                    .iter()
                    .any(|member| member.node().name() == &node && member.process.id() == process);
                if !member {
                    // The worker's end shows in its output; other trials' processes are no concern of this one.
                    return Ok(());
                }
                let kind = match exit.cause {
                    ExitCause::OutOfMemory => EventKind::OomKill,
                    ExitCause::Code(_) | ExitCause::Signal(_) => EventKind::ProcessExited,
                };
                self.objections.push(format!(
                    "the server on {node} ended during the trial ({})",
                    exit.cause
                ));
                self.event(exit.at, kind, |event| {
                    event.on(node).saying(exit.cause.to_string())
                })
            }
            NodeEvent::FaultCleared {
                fault,
                victim,
                at,
                problem,
            } => {
                let detail = problem.unwrap_or_else(|| "its time was over on the node".into());
                self.objections
                    .push(format!("the agent on {node} cleared {fault} by itself"));
                self.event(at, EventKind::FaultCleared, |event| {
                    event.on(victim).of(fault).saying(detail)
                })
            }
            NodeEvent::Warning(text) => self.event(clock::now(), EventKind::Warning, |event| {
                event.on(node).saying(text)
            }),
            NodeEvent::AgentLost { reason } => Err(NodeError::Lost { node, reason }.into()),
        }
    }

    pub(super) fn event(
        &mut self,
        at: Monotonic,
        kind: EventKind,
        complete: impl FnOnce(Event) -> Event,
    ) -> Result<(), TrialError> {
        let (at, event) = Recorder::event_at(at, kind);
        let event = complete(event);
        let what = format!(
            "{}{}{}",
            event.kind,
            event
                .node
                .as_ref()
                .map(|node| format!(" {node}"))
                .unwrap_or_default(),
            if event.detail.is_empty() {
                String::new()
            } else {
                format!(": {}", event.detail)
            }
        );
        if !matches!(
            kind,
            EventKind::PhaseStarted
                | EventKind::WindowStarted
                | EventKind::LoadStarted
                | EventKind::LoadEnded
        ) {
            (self.live)(Live::Event {
                at: self.recorder.time(at),
                what: &what,
            });
        }
        Ok(self.recorder.event(at, event)?)
    }
}
