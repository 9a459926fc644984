//! The load workers, one on each client node: started together, heard, and understood.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select_all;
use nix::sys::signal::Signal;
use results::LoadStart;
use tokio::time::timeout;
use vocab::time::{Monotonic, Wall};
use workloads::report::LoadReport;
use workloads::{LoadJob, Mode, PhaseCut, Workload};

use super::attempt::Trial;
use super::deploy::{self, Deployment};
use super::error::TrialError;
use super::merge::Merge;
use crate::cluster::{Job, Process};

/// How long the workers may take to connect: a cluster of slow members is still a cluster.
const START_WITHIN: Duration = Duration::from_secs(30);

/// The workers of a trial.
pub(super) struct Load {
    workers: Vec<Worker>,
    merge: Merge,
}

struct Worker {
    job: Job,
    done: bool,
}

/// Starts the load workers and waits until they have connected and begun, all at the same time.
pub(super) async fn start(
    trial: &Trial<'_>,
    deployment: &Deployment,
) -> Result<(Load, LoadStart), TrialError> {
    let mut load = Load {
        workers: Vec::new(),
        merge: Merge::default(),
    };
    let started = timeout(START_WITHIN, load.begin(trial, deployment)).await;
    let start = started.unwrap_or_else(|_| {
        Err(TrialError::Load(format!(
            "no connection within {START_WITHIN:?}"
        )))
    });
    match start {
        Ok(start) => Ok((load, start)),
        Err(error) => {
            for worker in load.into_processes() {
                deploy::stop(&worker).await;
            }
            Err(error)
        }
    }
}

impl Load {
    async fn begin(
        &mut self,
        trial: &Trial<'_>,
        deployment: &Deployment,
    ) -> Result<LoadStart, TrialError> {
        let clients: Vec<_> = trial.cluster.clients().collect();
        if clients.is_empty() {
            return Err(TrialError::Load("the cluster has no client node".into()));
        }
        for (index, client) in clients.iter().enumerate() {
            let order = order(trial, deployment, index as u32, clients.len() as u32);
            let mut input =
                serde_json::to_vec(&order).map_err(|error| TrialError::Load(error.to_string()))?;
            input.push(b'\n');
            let job = client
                .run_job(deploy::own_job(client, "load-worker"), input)
                .await?;
            self.workers.push(Worker { job, done: false });
        }
        for worker in &mut self.workers {
            worker.expect(is_ready).await?;
        }
        if self.workers.len() > 1 {
            for worker in &self.workers {
                worker.job.process().signal(Signal::SIGUSR1).await?;
            }
        }
        let mut starts = Vec::new();
        for worker in &mut self.workers {
            let (at, wall) = worker.expect(when_started).await?;
            starts.push((worker.local_time(at), wall));
        }
        let (zero, wall) = starts[0];
        self.merge = Merge::new(
            starts
                .iter()
                .map(|(at, _)| at.nanos() as i64 - zero.nanos() as i64)
                .collect(),
        );
        Ok(LoadStart {
            wall,
            monotonic: zero,
        })
    }

    /// The next thing that all workers together have to say. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<LoadReport, TrialError> {
        loop {
            let open = self.workers.iter_mut().enumerate();
            let lines = open
                .filter(|(_, worker)| !worker.done)
                .map(|(index, worker)| {
                    async move { (index, worker.job.next_line().await) }.boxed_local()
                });
            let ((index, line), ..) = select_all(lines).await;
            let worker = &mut self.workers[index];
            let Some(line) = line else {
                return Err(ended(&worker.job).await);
            };
            let mut report = parse(&line)?;
            if let LoadReport::Notice(notice) = &mut report {
                notice.at = worker.local_time(notice.at);
            }
            worker.done = matches!(report, LoadReport::Done(_));
            if let Some(report) = self.merge.take(index, report) {
                return Ok(report);
            }
        }
    }

    /// The processes; their output is not taken any more: what nobody takes would keep the answers of its node waiting.
    pub(super) fn into_processes(self) -> Vec<Process> {
        let workers = self.workers.into_iter();
        workers.map(|worker| worker.job.process().clone()).collect()
    }
}

impl Worker {
    /// A moment of its node's clock, by this machine's.
    fn local_time(&self, at: Monotonic) -> Monotonic {
        self.job.process().node().local_time(at)
    }

    /// Reads on until `wanted` finds something.
    async fn expect<T>(
        &mut self,
        wanted: impl Fn(&LoadReport) -> Option<T>,
    ) -> Result<T, TrialError> {
        loop {
            let Some(line) = self.job.next_line().await else {
                return Err(ended(&self.job).await);
            };
            let report = parse(&line)?;
            if let LoadReport::Failed { message } = report {
                return Err(TrialError::Load(message));
            }
            if let Some(found) = wanted(&report) {
                return Ok(found);
            }
        }
    }
}

fn is_ready(report: &LoadReport) -> Option<()> {
    matches!(report, LoadReport::Ready { .. }).then_some(())
}

fn when_started(report: &LoadReport) -> Option<(Monotonic, Wall)> {
    match report {
        LoadReport::Started { at, wall } => Some((*at, *wall)),
        _ => None,
    }
}

/// What worker `index` of `count` is told.
fn order(trial: &Trial<'_>, deployment: &Deployment, index: u32, count: u32) -> LoadJob {
    let phases = trial.cell.phases.list().into_iter();
    LoadJob {
        driver: trial.cell.target.target().driver(),
        servers: deployment
            .members
            .iter()
            .map(|member| member.address)
            .collect(),
        workload: share(&trial.cell.workload, index, count),
        // Of these seeds the writes are numbered, so that no two workers write the same.
        seed: trial.seed.wrapping_add(index.into()),
        cuts: phases
            .map(|(phase, length)| PhaseCut { phase, length })
            .collect(),
        hold: count > 1,
    }
}

/// The part of a load that worker `index` of `count` makes.
fn share(whole: &Workload, index: u32, count: u32) -> Workload {
    let part = |number: NonZeroU32| {
        let part = number.get() / count + u32::from(index < number.get() % count);
        NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN)
    };
    let mode = match &whole.mode {
        Mode::Open { rate, arrivals } => Mode::Open {
            rate: rate.divided_by(count),
            arrivals: *arrivals,
        },
        closed @ Mode::Closed {} => closed.clone(),
    };
    Workload {
        clients: part(whole.clients),
        connections: part(whole.connections),
        mode,
        ..whole.clone()
    }
}

/// Understands a line of a worker.
fn parse(line: &str) -> Result<LoadReport, TrialError> {
    serde_json::from_str(line).map_err(|error| {
        TrialError::Load(format!(
            "the worker printed what cannot be understood: {error}"
        ))
    })
}

/// Why the output of a worker ended.
async fn ended(job: &Job) -> TrialError {
    match job.process().wait().await {
        Ok(exit) => TrialError::Load(format!("the worker ended early ({})", exit.cause)),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_up_the_whole() {
        let whole = Workload {
            clients: NonZeroU32::new(10).unwrap(),
            connections: NonZeroU32::new(4).unwrap(),
            ..Workload::default()
        };
        let parts: Vec<_> = (0..3).map(|index| share(&whole, index, 3)).collect();
        let clients: Vec<_> = parts.iter().map(|part| part.clients.get()).collect();
        let connections: Vec<_> = parts.iter().map(|part| part.connections.get()).collect();
        assert_eq!((clients, connections), (vec![4, 3, 3], vec![2, 1, 1]));
        assert_eq!(share(&whole, 0, 1), whole);
    }
}
