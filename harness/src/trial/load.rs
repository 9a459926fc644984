//! The load worker: started, heard, and understood.

use std::time::Duration;

use results::LoadStart;
use tokio::time::timeout;
use workloads::report::LoadReport;
use workloads::{LoadJob, PhaseCut};

use super::attempt::Trial;
use super::deploy::{self, Deployment};
use super::error::TrialError;
use crate::cluster::Job;

/// How long the worker may take to connect: a cluster of slow members is still a cluster.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Starts the load worker and waits until it has connected and begun.
pub(super) async fn start(
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
        .run_job(deploy::own_job(client, "load-worker"), input)
        .await?;
    let started = timeout(START_WITHIN, async {
        loop {
            let Some(line) = job.next_line().await else {
                return Err(ended(&job).await);
            };
            match parse(&line)? {
                LoadReport::Started { at, wall } => {
                    return Ok(LoadStart {
                        wall,
                        monotonic: client.local_time(at),
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

/// Understands a line of the worker.
pub(super) fn parse(line: &str) -> Result<LoadReport, TrialError> {
    serde_json::from_str(line).map_err(|error| {
        TrialError::Load(format!(
            "the worker printed what cannot be understood: {error}"
        ))
    })
}

/// Why the output of the worker ended.
pub(super) async fn ended(job: &Job) -> TrialError {
    match job.process().wait().await {
        Ok(exit) => TrialError::Load(format!("the worker ended early ({})", exit.cause)),
        Err(error) => error.into(),
    }
}
