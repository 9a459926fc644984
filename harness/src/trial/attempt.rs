//! A trial as a whole: deployed, driven, cleared, stopped, and judged.

use super::TrialError;
use super::clocks::Clocks;
use super::deploy::{self, Deployment};
use super::drive::{Parties, drive};
use super::fault::{Standing, clear_all};
use super::live::Live;
use super::load;
use super::recorder::Recorder;
use super::roles::Roles;
use super::waits;
use crate::cluster::spec::ClusterSpec;
use crate::cluster::{Cluster, Node, NodeError, Rebuilt};
use crate::experiment::Cell;
use crate::run::Afterwards;
use results::{EventKind, TrialWriter, Validity};
use vocab::ids::NodeName;

/// A trial, ready to be run.
pub struct Trial<'a> {
    /// The nodes.
    pub cluster: &'a Cluster,
    /// What to do on them.
    pub cell: &'a Cell,
    /// Of everything random in this trial.
    pub seed: u64,
    /// Nodes that lost their agents in the trial before, and what became of them.
    pub rebuilt: Vec<(NodeName, Rebuilt)>,
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
    for (node, rebuilt) in &trial.rebuilt {
        let (at, event) = Recorder::event_now(EventKind::NodeRebuilt);
        recorder.event(at, event.on(node.clone()).saying(rebuilt.to_string()))?;
    }
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
    let clients = trial.cell.cluster.clients();
    if clients > 1 && matches!(trial.cell.cluster, ClusterSpec::Ssh(_)) {
        // Clocks of different machines are known to within a round trip, an operation may take less.
        recorder.cannot_judge(
            "the client machines have clocks of their own, so nobody knows which of two operations ended before the other \
             began; use one client machine, or leave out `sample_keys`",
        );
    }
    live(Live::Doing("checking the history"));
    recorder.judge().await?;
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
    let clocks = Clocks::set(trial.cluster).await?;
    let servers: Vec<Node> = trial.cluster.servers().cloned().collect();
    let events = trial.cluster.events();
    live(Live::Doing("starting servers"));
    let deployment = Deployment::start(&trial.cell.target, &servers).await?;
    let mut roles = Roles::default();
    let driven = match deployment.until_ready(&mut roles).await {
        Ok(()) => {
            let parties = Parties {
                deployment: &deployment,
                roles,
                events,
                recorder: &mut *recorder,
                standing,
                live: &mut *live,
            };
            under_load(trial, parties).await
        }
        Err(error) => Err(error),
    };
    clear_all(standing).await;
    let clocks_kept = clocks.keep(trial.cluster, recorder.files().dir()).await;
    if driven.is_ok() && trial.cell.target.target().is_traced() {
        waits::fetch(&deployment, recorder).await?;
    }
    if trial.afterwards == Afterwards::Down {
        live(Live::Doing("stopping servers"));
        deployment.stop().await;
    }
    deployment.fetch_logs(recorder.files()).await;
    let told = driven?;
    clocks_kept?;
    Ok(told)
}

/// Starts the load, drives it to its end, and ends the workers whatever happened.
async fn under_load(
    trial: &Trial<'_>,
    mut parties: Parties<'_>,
) -> Result<Vec<String>, TrialError> {
    (parties.live)(Live::Doing("connecting clients"));
    let (mut load, start) = load::start(trial, parties.deployment).await?;
    parties.recorder.load_started(start)?;
    let driven = drive(trial, &mut parties, &mut load, start).await;
    if let Err(error) = &driven {
        let recorder = parties.recorder;
        // However it was found out.
        if let TrialError::Node(NodeError::Lost { node, reason }) = error {
            let (at, event) = Recorder::event_now(EventKind::AgentLost);
            recorder.event(at, event.on(node.clone()).saying(reason))?;
        }
        for worker in load.into_processes() {
            deploy::stop(&worker).await;
            deploy::fetch_logs(worker.node(), worker.name(), recorder.files()).await;
        }
    }
    driven
}
