//! The loop of a trial, from the start of load to its end.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use results::{EventKind, LoadStart};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, interval, sleep_until};
use vocab::ids::Phase;
use vocab::units::Span;

use super::attempt::Trial;
use super::deploy::{Deployment, POLL_WITHIN};
use super::error::TrialError;
use super::fault::{Accounts, Course, Standing};
use super::hear::Hearing;
use super::live::Live;
use super::load::Load;
use super::recorder::Recorder;
use super::roles::Roles;
use crate::agent::clock;
use crate::cluster::ClusterEvent;
use crate::experiment::Window;

/// How long after the end of the last phase the worker must have said that it is done.
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// Usage is sampled, and roles are asked for, this often.
const EVERY: Duration = Duration::from_secs(1);

/// Who takes part besides the load.
pub(super) struct Parties<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) roles: Roles,
    pub(super) events: broadcast::Receiver<ClusterEvent>,
    pub(super) recorder: &'a mut Recorder,
    pub(super) standing: &'a Standing,
    pub(super) live: &'a mut dyn FnMut(Live<'_>),
}

/// Everything between the start of load and its end.
pub(super) async fn drive(
    trial: &Trial<'_>,
    parties: &mut Parties<'_>,
    load: &mut Load,
    start: LoadStart,
) -> Result<Vec<String>, TrialError> {
    let Parties {
        deployment,
        roles,
        events,
        recorder,
        standing,
        live,
    } = parties;
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
                seed: trial.seed,
                cluster: trial.cluster,
                accounts: watched.clone(),
                news: news.clone(),
                standing: standing.clone(),
            };
            async move { (spec.name.clone(), course.run().await) }
        })
        .collect();
    drop((news, watched));

    let mut hearing = Hearing {
        recorder,
        live,
        roles,
        accounts,
        names: &names,
        objections: Vec::new(),
    };
    hearing.event(start.monotonic, EventKind::LoadStarted, |event| event)?;
    // Not waited for here: meanwhile nobody would take the output of the load.
    let nodes = trial.cluster.servers().chain(trial.cluster.clients());
    let mut sampling: FuturesUnordered<_> =
        nodes.map(|node| node.sample(Span::from(EVERY))).collect();
    let mut moments = moments(trial, zero).into_iter().peekable();
    let mut polls = FuturesUnordered::new();
    let mut poll_again = interval(EVERY);
    let mut done = false;
    let deadline = zero + trial.cell.phases.total().duration() + DONE_WITHIN;
    while !done || !courses.is_empty() {
        let next_moment = moments.peek().map_or(deadline, |(at, _)| *at);
        tokio::select! {
            report = load.next(), if !done => done = hearing.report(report?)?,
            Some((fault, outcome)) = courses.next() => {
                outcome.map_err(|reason| TrialError::Fault { fault, reason })?;
            }
            Some(news) = heard.recv() => hearing.news(news)?,
            Some(asked) = sampling.next() => asked?,
            event = events.recv() => match event {
                Ok(event) => hearing.cluster_event(event, deployment)?,
                // Samples that came too fast are lost; what matters is also known by the processes' handles.
                Err(broadcast::error::RecvError::Lagged(_)) => deployment.check_alive().await?,
                Err(broadcast::error::RecvError::Closed) => {}
            },
            Some((node, status)) = polls.next() => hearing.account(&node, status)?,
            _ = poll_again.tick(), if polls.is_empty() => {
                for member in &deployment.members {
                    let (node, address, target) = (member.node().clone(), member.address, &trial.cell.target);
                    polls.push(async move {
                        let status = node.poll(target, address, POLL_WITHIN).await;
                        (node.name().clone(), status.ok().and_then(Result::ok))
                    });
                }
            }
            () = sleep_until(next_moment) => match moments.next() {
                Some((_, Moment::Phase(phase))) => hearing.phase(phase)?,
                Some((_, Moment::Window(window))) => hearing.window(window)?,
                None => return Err(TrialError::Load(format!("the worker did not end within {DONE_WITHIN:?}"))),
            },
        }
    }
    // What the last of the courses told may still wait.
    while let Ok(news) = heard.try_recv() {
        hearing.news(news)?;
    }
    hearing.event(clock::now(), EventKind::LoadEnded, |event| event)?;
    Ok(hearing.objections)
}

/// A moment that the plan of the trial knows beforehand.
enum Moment {
    Phase(Phase),
    Window(Window),
}

/// All of them in the order of time.
fn moments(trial: &Trial<'_>, zero: Instant) -> Vec<(Instant, Moment)> {
    let phases = &trial.cell.phases;
    let mut at = zero;
    let mut moments = Vec::new();
    for (phase, length) in phases.list() {
        moments.push((at, Moment::Phase(phase)));
        if let (Phase::Fault, Some(paired)) = (phase, &phases.paired) {
            let windows = paired.layout().into_iter();
            moments.extend(windows.map(|window| (at + window.begin, Moment::Window(window))));
        }
        at += length.duration();
    }
    moments
}
