use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use results::{ErrorKind, OpKind};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use vocab::time::Monotonic;

use super::alarm::Alarm;
use super::client::{Client, kind};
use super::link::{At, Link};
use crate::clock;
use crate::job::LoadJob;
use crate::load::{
    Backoff, Due, Moments, Outcome, Pace, Recorder, Reporter, Request, Requests, read_value,
};
use crate::report::LoadReport;
use crate::worker::LoadError;

/// How long the first connections may take.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// How often requests that waited for too long are given up.
const CARE: Duration = Duration::from_millis(5);

/// Makes the load of `job` until it is over.
pub(crate) fn run(job: &LoadJob, reporter: &Rc<Reporter>) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let load = LocalSet::new().block_on(&runtime, drive(job, reporter))?;
    // Outside of the runtime, as it blocks.
    load.finish(job);
    Ok(())
}

async fn drive(job: &LoadJob, reporter: &Rc<Reporter>) -> Result<Load, LoadError> {
    let workload = &job.workload;
    let links = connect(job, reporter).await?;
    let recorder = Recorder::start(job, reporter.clone());
    let timeout = workload.timeout.duration();
    let clients = workload.clients.get();
    let load = Rc::new(Load {
        timeout,
        pace: RefCell::new(Pace::new(
            &workload.mode,
            recorder.start_moment(),
            job.seed,
            timeout,
        )),
        requests: RefCell::new(Requests::new(workload, job.seed)),
        recorder: RefCell::new(recorder),
        in_flight: RefCell::new(vec![None; clients as usize]),
        due: Notify::new(),
        taken: Notify::new(),
    });
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let link = links[client as usize % links.len()].clone();
        tasks.spawn_local(load.clone().be_client(client, link));
    }
    load.keep_time().await?;
    tasks.shutdown().await;
    Ok(Rc::into_inner(load).expect("all clients have stopped"))
}

/// Makes the first connections.
async fn connect(job: &LoadJob, reporter: &Reporter) -> Result<Vec<Rc<Link>>, LoadError> {
    let mut attempts = JoinSet::new();
    for first in 0..job.workload.connections.get() {
        let servers = job.servers.clone();
        attempts.spawn_local(Link::start(servers, first as usize, START_PATIENCE));
    }
    let (mut links, mut connected, mut failure) = (Vec::new(), 0, None);
    for (link, result) in attempts.join_all().await {
        match result {
            Ok(()) => connected += 1,
            Err(error) => failure = Some(format!("{}: {error}", link.at().server)),
        }
        links.push(Rc::new(link));
    }
    if connected == 0 {
        return Err(LoadError::Unreachable {
            servers: job.servers.clone(),
            failure,
        });
    }
    reporter.send(LoadReport::Ready { connected });
    Ok(links)
}

/// What all clients share; they are tasks of one thread.
struct Load {
    timeout: Duration,
    pace: RefCell<Pace>,
    requests: RefCell<Requests>,
    recorder: RefCell<Recorder>,
    in_flight: RefCell<Vec<Option<(Request, Monotonic)>>>,
    /// Open loop: a request is due, whoever is idle.
    due: Notify,
    /// Open loop: somebody took it.
    taken: Notify,
}

impl Load {
    /// Cuts the intervals, and in the open loop wakes a client for each request that is due, until the load is over.
    async fn keep_time(&self) -> Result<(), LoadError> {
        let alarm = Alarm::new()?;
        loop {
            let now = clock::now();
            let next_cut = {
                let mut recorder = self.recorder.borrow_mut();
                recorder.advance(now);
                if recorder.is_over() {
                    return Ok(());
                }
                recorder.next_cut()
            };
            self.drop_overdue(now);
            let next = self.pace.borrow().next();
            let wake = match next {
                None => next_cut,
                Some(next) if next > now => next_cut.min(next),
                Some(_) => {
                    self.due.notify_one();
                    next_cut.min(now + CARE)
                }
            };
            tokio::select! {
                rung = alarm.sleep_until(wake) => rung?,
                () = self.taken.notified() => {}
            }
        }
    }

    fn drop_overdue(&self, now: Monotonic) {
        while self.pace.borrow().is_overdue(now) {
            self.pace.borrow_mut().take(now);
            let op = self.requests.borrow_mut().next().op;
            self.recorder.borrow_mut().dropped(op);
        }
    }

    /// Sends one request after the other.
    async fn be_client(self: Rc<Self>, client: u32, link: Rc<Link>) {
        let mut backoff = Backoff::default();
        while !self.recorder.borrow().is_over() {
            let (since, late) = self.wait_for_turn().await;
            let (request, key, value) = self.draw();
            if late {
                self.recorder.borrow_mut().late(request.op);
            }
            let at = link.at();
            let sent = clock::now();
            self.in_flight.borrow_mut()[client as usize] = Some((request, sent));
            let call = call(at.client.clone(), &request, key, value);
            let outcome = match tokio::time::timeout(self.timeout, call).await {
                Ok(outcome) => outcome,
                Err(_) => Err((ErrorKind::Timeout, "no answer in time".to_owned())),
            };
            self.in_flight.borrow_mut()[client as usize] = None;
            let now = clock::now();
            let moments = Moments { since, sent, now };
            let recorded = match &outcome {
                Ok(value) => Outcome::Ok(*value),
                Err((kind, _)) => Outcome::Failed(*kind),
            };
            {
                let mut recorder = self.recorder.borrow_mut();
                recorder.advance(now);
                recorder.record(client, &request, moments, recorded);
            }
            match outcome {
                Ok(_) => backoff.succeed(),
                Err((kind, detail)) => {
                    self.leave_if_useless(&link, &at, kind, &detail, now);
                    tokio::time::sleep(backoff.fail()).await;
                }
            }
        }
    }

    /// Waits until a request is due; gives the moment its latency counts from, and whether it is late.
    async fn wait_for_turn(&self) -> (Monotonic, bool) {
        loop {
            let due = self.pace.borrow_mut().take(clock::now());
            match due {
                Some(Due::Send { since, late }) => {
                    self.taken.notify_one();
                    return (since, late);
                }
                Some(Due::Drop) => {
                    let op = self.requests.borrow_mut().next().op;
                    self.recorder.borrow_mut().dropped(op);
                }
                None => self.due.notified().await,
            }
        }
    }

    fn draw(&self) -> (Request, Vec<u8>, Vec<u8>) {
        let mut requests = self.requests.borrow_mut();
        let request = requests.next();
        let (key, value) = requests.texts(&request);
        (request, key.to_vec(), value.to_vec())
    }

    fn leave_if_useless(
        &self,
        link: &Link,
        at: &At,
        kind: ErrorKind,
        detail: &str,
        now: Monotonic,
    ) {
        if matches!(kind, ErrorKind::Connection | ErrorKind::Timeout) {
            link.leave(at);
            self.recorder
                .borrow_mut()
                .connection_lost(now, || format!("{}: {detail}", at.server));
        }
    }

    /// Ends the reports.
    fn finish(self, job: &LoadJob) {
        let now = clock::now();
        let mut recorder = self.recorder.into_inner();
        for (client, flight) in self.in_flight.into_inner().iter().enumerate() {
            if let Some((request, sent)) = flight {
                recorder.left_behind(client as u32, request, *sent, now);
            }
        }
        recorder.finish(job);
    }
}

/// Does `request`; gives the write that a read found, or why it failed.
async fn call(
    mut client: Client,
    request: &Request,
    key: Vec<u8>,
    value: Vec<u8>,
) -> Result<Option<u64>, (ErrorKind, String)> {
    let result = match request.op {
        OpKind::Write => client.put(key, value).await.map(|()| None),
        OpKind::Read => client.get(key).await,
    };
    match result {
        Ok(found) => Ok(found.as_deref().map(read_value)),
        Err(status) => Err((kind(&status), status.message().to_owned())),
    }
}
