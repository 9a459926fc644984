//! The loop of a trial, from the start of load to its end.

use std::path::Path;
use std::time::Duration;

use faults::Effect;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use results::{
    Event, EventKind, Interval, LoadStart, NodeSample, ProbeReading, TrialWriter, Validity,
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, interval, sleep_until, timeout};
use vocab::ids::{NodeName, Phase};
use vocab::time::Monotonic;
use vocab::units::Span;
use workloads::report::{LoadNotice, LoadReport, NoticeKind};
use workloads::{LoadJob, PhaseCut};

use super::TrialError;
use super::deploy::{self, Deployment, POLL_WITHIN};
use super::fault::{Accounts, Course, News, Standing, What, clear_all};
use super::live::Live;
use super::recorder::Recorder;
use super::roles::Roles;
use crate::agent::clock;
use crate::agent::wire::ExitCause;
use crate::cluster::{Cluster, ClusterEvent, Job, Node, NodeError, NodeEvent};
use crate::experiment::Cell;
use crate::run::Afterwards;

/// How long the worker may take to connect: a cluster of slow members is still a cluster.
const START_WITHIN: Duration = Duration::from_secs(30);

/// How long after the end of the last phase the worker must have said that it is done.
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// Usage is sampled, and roles are asked for, this often.
const EVERY: Duration = Duration::from_secs(1);

/// A trial, ready to be run.
pub struct Trial<'a> {
    /// The nodes.
    pub cluster: &'a Cluster,
    /// What to do on them.
    pub cell: &'a Cell,
    /// Of everything random in this trial.
    pub seed: u64,
    /// The depbench program on the nodes.
    pub program: &'a Path,
    /// Whether the servers go on running.
    pub afterwards: Afterwards,
}

/// Runs a trial and fills `files`, which come back to be finished with what its numbers are worth.
///
/// # Errors
/// Results that cannot be written. Everything else that goes wrong makes the trial invalid.
pub async fn run(
    trial: &Trial<'_>,
    files: TrialWriter,
    live: &mut dyn FnMut(Live<'_>),
) -> Result<(TrialWriter, Validity), TrialError> {
    let mut recorder = Recorder::new(files);
    let (at, event) = Recorder::event_now(EventKind::TrialStarted);
    recorder.event(at, event)?;
    let standing = Standing::default();
    let validity = match attempt(trial, &mut recorder, &standing, live).await {
        Ok(objections) if objections.is_empty() => Validity::Valid,
        Ok(objections) => Validity::Invalid {
            reason: objections.join("; "),
        },
        Err(TrialError::Results(error)) => return Err(error.into()),
        Err(error) => Validity::Invalid {
            reason: error.to_string(),
        },
    };
    clear_all(&standing).await;
    if let Validity::Invalid { reason } = &validity {
        let (at, event) = Recorder::event_now(EventKind::Warning);
        recorder.event(at, event.saying(reason))?;
    }
    let (at, event) = Recorder::event_now(EventKind::TrialEnded);
    recorder.event(at, event)?;
    Ok((recorder.into_files()?, validity))
}

/// Deploys, drives, stops. Gives what speaks against the numbers.
async fn attempt(
    trial: &Trial<'_>,
    recorder: &mut Recorder,
    standing: &Standing,
    live: &mut dyn FnMut(Live<'_>),
) -> Result<Vec<String>, TrialError> {
    let servers: Vec<Node> = trial.cluster.servers().cloned().collect();
    let events = trial.cluster.events();
    live(Live::Doing("starting servers"));
    let deployment = Deployment::start(&trial.cell.target, &servers, trial.program).await?;
    let mut roles = Roles::default();
    let driven = match deployment.until_ready(&mut roles).await {
        Ok(()) => under_load(trial, &deployment, roles, events, recorder, standing, live).await,
        Err(error) => Err(error),
    };
    clear_all(standing).await;
    if trial.afterwards == Afterwards::Down {
        live(Live::Doing("stopping servers"));
        deployment.stop().await;
    }
    deployment.fetch_logs(recorder.files()).await;
    driven
}

/// Starts the load, drives it to its end, and ends the worker whatever happened.
async fn under_load(
    trial: &Trial<'_>,
    deployment: &Deployment,
    roles: Roles,
    events: broadcast::Receiver<ClusterEvent>,
    recorder: &mut Recorder,
    standing: &Standing,
    live: &mut dyn FnMut(Live<'_>),
) -> Result<Vec<String>, TrialError> {
    live(Live::Doing("connecting clients"));
    let (mut job, start) = start_load(trial, deployment).await?;
    recorder.load_started(start)?;
    let driven = drive(
        trial,
        deployment,
        roles,
        events,
        (&mut job, start),
        recorder,
        standing,
        live,
    )
    .await;
    if let Err(error) = &driven {
        // However it was found out.
        if let TrialError::Node(NodeError::Lost { node, reason }) = error {
            let (at, event) = Recorder::event_now(EventKind::AgentLost);
            recorder.event(at, event.on(node.clone()).saying(reason))?;
        }
        let worker = job.process().clone();
        // Output that nobody takes would keep the answers of its node waiting.
        drop(job);
        deploy::stop(&worker).await;
        deploy::fetch_logs(worker.node(), worker.name(), recorder.files()).await;
    }
    driven
}

/// Everything between the start of load and its end.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another party of the loop, and none belongs to another"
)]
async fn drive(
    trial: &Trial<'_>,
    deployment: &Deployment,
    roles: Roles,
    mut events: broadcast::Receiver<ClusterEvent>,
    (job, start): (&mut Job, LoadStart),
    recorder: &mut Recorder,
    standing: &Standing,
    live: &mut dyn FnMut(Live<'_>),
) -> Result<Vec<String>, TrialError> {
    let age = clock::now().since(start.monotonic);
    let zero = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
    let (news, mut heard) = mpsc::unbounded_channel();
    let names = deployment.names();
    let (accounts, watched) = watch::channel::<Accounts>(roles.accounts(&names));
    let mut courses: FuturesUnordered<_> = trial
        .cell
        .faults
        .iter()
        .map(|spec| {
            let course = Course {
                spec,
                phases: &trial.cell.phases,
                start: zero,
                cluster: trial.cluster,
                accounts: watched.clone(),
                news: news.clone(),
                standing: standing.clone(),
            };
            async move { (spec.name.clone(), course.run().await) }
        })
        .collect();
    drop((news, watched));

    let mut state = Drive {
        recorder,
        live,
        roles,
        accounts,
        names: &names,
        objections: Vec::new(),
    };
    state.event(start.monotonic, EventKind::LoadStarted, |event| event)?;
    // Not waited for here: meanwhile nobody would take the output of the load.
    let nodes = trial.cluster.servers().chain(trial.cluster.clients());
    let mut sampling: FuturesUnordered<_> =
        nodes.map(|node| node.sample(Span::from(EVERY))).collect();
    let mut phases = phase_starts(trial, zero).into_iter().peekable();
    let mut polls = FuturesUnordered::new();
    let mut poll_again = interval(EVERY);
    let mut done = false;
    let deadline = zero + trial.cell.phases.total().duration() + DONE_WITHIN;
    while !done || !courses.is_empty() {
        let next_phase = phases.peek().map_or(deadline, |(at, _)| *at);
        tokio::select! {
            line = job.next_line(), if !done => match line {
                Some(line) => done = state.report(&line)?,
                None => return Err(load_ended(job).await),
            },
            Some((fault, outcome)) = courses.next() => {
                outcome.map_err(|reason| TrialError::Fault { fault, reason })?;
            }
            Some(news) = heard.recv() => state.news(news)?,
            Some(asked) = sampling.next() => asked?,
            event = events.recv() => match event {
                Ok(event) => state.cluster_event(event, deployment)?,
                // Samples that came too fast are lost; what matters is also known by the processes' handles.
                Err(broadcast::error::RecvError::Lagged(_)) => deployment.check_alive().await?,
                Err(broadcast::error::RecvError::Closed) => {}
            },
            Some((node, status)) = polls.next() => state.account(&node, status)?,
            _ = poll_again.tick(), if polls.is_empty() => {
                for member in &deployment.members {
                    let (node, address, target) = (member.node().clone(), member.address, &trial.cell.target);
                    polls.push(async move {
                        let status = node.poll(target, address, POLL_WITHIN).await;
                        (node.name().clone(), status.ok().and_then(Result::ok))
                    });
                }
            }
            () = sleep_until(next_phase) => match phases.next() {
                Some((_, phase)) => state.phase(phase)?,
                None => return Err(TrialError::Load(format!("the worker did not end within {DONE_WITHIN:?}"))),
            },
        }
    }
    // What the last of the courses told may still wait.
    while let Ok(news) = heard.try_recv() {
        state.news(news)?;
    }
    state.event(clock::now(), EventKind::LoadEnded, |event| event)?;
    Ok(state.objections)
}

/// Starts the load worker and waits until it has connected and begun.
async fn start_load(
    trial: &Trial<'_>,
    deployment: &Deployment,
) -> Result<(Job, LoadStart), TrialError> {
    let Some(client) = trial.cluster.clients().next() else {
        return Err(TrialError::Load("the cluster has no client node".into()));
    };
    let cuts = trial
        .cell
        .phases
        .list()
        .into_iter()
        .map(|(phase, length)| PhaseCut { phase, length });
    let order = LoadJob {
        driver: trial.cell.target.target().driver(),
        servers: deployment
            .members
            .iter()
            .map(|member| member.address)
            .collect(),
        workload: trial.cell.workload.clone(),
        seed: trial.seed,
        cuts: cuts.collect(),
    };
    let mut input =
        serde_json::to_vec(&order).map_err(|error| TrialError::Load(error.to_string()))?;
    input.push(b'\n');
    let mut job = client
        .run_job(deploy::own_job(trial.program, "load-worker"), input)
        .await?;
    let started = timeout(START_WITHIN, async {
        loop {
            let Some(line) = job.next_line().await else {
                return Err(load_ended(&job).await);
            };
            match parse(&line)? {
                LoadReport::Started { at, wall } => {
                    return Ok(LoadStart {
                        wall,
                        monotonic: at,
                    });
                }
                LoadReport::Failed { message } => return Err(TrialError::Load(message)),
                _ => {}
            }
        }
    });
    let start = match started.await {
        Ok(start) => start,
        Err(_) => Err(TrialError::Load(format!(
            "no connection within {START_WITHIN:?}"
        ))),
    };
    match start {
        Ok(start) => Ok((job, start)),
        Err(error) => {
            let worker = job.process().clone();
            drop(job);
            deploy::stop(&worker).await;
            Err(error)
        }
    }
}

fn parse(line: &str) -> Result<LoadReport, TrialError> {
    serde_json::from_str(line).map_err(|error| {
        TrialError::Load(format!(
            "the worker printed what cannot be understood: {error}"
        ))
    })
}

async fn load_ended(job: &Job) -> TrialError {
    match job.process().wait().await {
        Ok(exit) => TrialError::Load(format!("the worker ended early ({})", exit.cause)),
        Err(error) => error.into(),
    }
}

fn phase_starts(trial: &Trial<'_>, zero: Instant) -> Vec<(Instant, Phase)> {
    let mut at = zero;
    let starts = trial.cell.phases.list().into_iter().map(|(phase, length)| {
        let start = at;
        at += length.duration();
        (start, phase)
    });
    starts.collect()
}

/// What the loop knows and whom it tells.
struct Drive<'a> {
    recorder: &'a mut Recorder,
    live: &'a mut dyn FnMut(Live<'_>),
    roles: Roles,
    accounts: watch::Sender<Accounts>,
    names: &'a [NodeName],
    objections: Vec<String>,
}

impl Drive<'_> {
    /// Takes a line of the worker; true when it was the last.
    fn report(&mut self, line: &str) -> Result<bool, TrialError> {
        match parse(line)? {
            LoadReport::Interval(interval) => {
                self.interval(&interval)?;
            }
            LoadReport::Notice(notice) => self.notice(&notice)?,
            LoadReport::Operation(operation) => {
                let line = serde_json::to_string(&operation)
                    .map_err(|error| TrialError::Load(error.to_string()))?;
                self.recorder.files().history(&line)?;
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

    fn phase(&mut self, phase: Phase) -> Result<(), TrialError> {
        (self.live)(Live::Phase(phase));
        self.event(clock::now(), EventKind::PhaseStarted, |event| {
            event.saying(phase.to_string())
        })
    }

    fn account(
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

    fn news(&mut self, news: News) -> Result<(), TrialError> {
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
            What::Judged(effect) => {
                self.objections.push(format!("{fault} on {node}: {effect}"));
                Ok(())
            }
        }
    }

    fn cluster_event(
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

    fn event(
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
            EventKind::PhaseStarted | EventKind::LoadStarted | EventKind::LoadEnded
        ) {
            (self.live)(Live::Event {
                at: self.recorder.time(at),
                what: &what,
            });
        }
        Ok(self.recorder.event(at, event)?)
    }
}
