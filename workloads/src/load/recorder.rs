use std::rc::Rc;
use std::time::Duration;

use history::{Input, Operation, Output};
use results::{ErrorKind, Interval, OpKind};
use vocab::time::{Monotonic, TrialTime, Wall};

use super::reporter::Reporter;
use super::requests::Request;
use super::timeline::{Stretch, stretches};
use crate::clock;
use crate::job::LoadJob;
use crate::read_back::{ReadBack, read_back};
use crate::report::{LoadNotice, LoadReport, LoadTotals, NoticeKind};
use crate::worker::start_signal;

/// How long reading the sampled keys back may take: longer than an election.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(10);

/// What an operation was told at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done; a read of a sampled key found this.
    Ok(Option<u64>),
    /// It failed, or nobody knows.
    Failed(ErrorKind),
}

/// Counts what became of requests, and reports it interval by interval.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Monotonic,
    cpu_at_start: Duration,
    stretches: std::vec::IntoIter<Stretch>,
    /// The stretch going on; `None` when the load is over.
    current: Option<Stretch>,
    current_end: Monotonic,
    writes: Option<Interval>,
    reads: Option<Interval>,
    totals: LoadTotals,
    sample_keys: u32,
    last_loss: Option<Monotonic>,
    reporter: Rc<Reporter>,
}

impl Recorder {
    /// Starts the load's time, when the worker is told to if it is held, and reports that.
    pub(crate) fn start(job: &LoadJob, reporter: Rc<Reporter>) -> Recorder {
        if job.hold {
            // It can only fail when the set of signals is not valid.
            let _started = start_signal().wait();
        }
        let start = clock::now();
        reporter.send(LoadReport::Started {
            at: start,
            wall: Wall::now(),
        });
        let workload = &job.workload;
        let mut stretches = stretches(&job.cuts).into_iter();
        let current = stretches.next();
        let write = workload.write.fraction();
        let interval = |op, wanted: bool| {
            let stretch = current.filter(|_| wanted)?;
            Some(new_interval(&stretch, op, &reporter))
        };
        Recorder {
            start,
            cpu_at_start: clock::cpu_time(),
            current_end: start + current.map(|one| one.end()).unwrap_or_default(),
            writes: interval(OpKind::Write, write > 0.0),
            reads: interval(OpKind::Read, write < 1.0),
            stretches,
            current,
            totals: LoadTotals::default(),
            sample_keys: workload.sample_keys,
            last_loss: None,
            reporter,
        }
    }

    /// When the load started.
    pub(crate) fn start_moment(&self) -> Monotonic {
        self.start
    }

    /// When the present interval ends.
    pub(crate) fn next_cut(&self) -> Monotonic {
        self.current_end
    }

    /// Whether the load is over, or nobody wants to know of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.current.is_none() || self.reporter.reader_left()
    }

    /// Reports the intervals that ended before `now`; call it before recording what happens now.
    pub(crate) fn advance(&mut self, now: Monotonic) {
        while now >= self.current_end && self.current.is_some() {
            self.current = self.stretches.next();
            if let Some(stretch) = self.current {
                self.current_end = self.start + stretch.end();
            }
            for interval in [&mut self.writes, &mut self.reads] {
                let Some(ended) = interval.take() else {
                    continue;
                };
                *interval = self
                    .current
                    .map(|stretch| new_interval(&stretch, ended.op, &self.reporter));
                self.reporter.send(LoadReport::Interval(ended));
            }
        }
    }

    /// Counts an operation that ended now; one that ended after the load counts as unfinished.
    pub(crate) fn record(
        &mut self,
        client: u32,
        request: &Request,
        moments: Moments,
        outcome: Outcome,
    ) {
        self.keep(client, request, moments.sent, moments.now, outcome);
        if self.current.is_none() {
            self.totals.unfinished += 1;
            return;
        }
        match outcome {
            Outcome::Ok(_) => {
                self.totals.ok += 1;
                if let Some(interval) = self.interval(request.op) {
                    interval.ok += 1;
                    interval.latency.record(moments.now.since(moments.since));
                }
            }
            Outcome::Failed(kind) => {
                *self.totals.errors.entry(kind).or_default() += 1;
                if let Some(interval) = self.interval(request.op) {
                    *interval.errors.entry(kind).or_default() += 1;
                }
            }
        }
    }

    /// Notes an operation that is still in flight at the end.
    pub(crate) fn left_behind(
        &mut self,
        client: u32,
        request: &Request,
        sent: Monotonic,
        now: Monotonic,
    ) {
        self.totals.unfinished += 1;
        // Its write may have taken effect and been read.
        let outcome = Outcome::Failed(ErrorKind::Timeout);
        self.keep(client, request, sent, now, outcome);
    }

    /// Reports an operation on a sampled key by itself.
    fn keep(
        &self,
        client: u32,
        request: &Request,
        sent: Monotonic,
        now: Monotonic,
        outcome: Outcome,
    ) {
        if request.key < u64::from(self.sample_keys)
            && let Some((input, output)) = told(request, outcome)
        {
            self.reporter.send(LoadReport::Operation(Operation {
                client,
                key: request.key,
                input,
                output,
                invoked: self.trial_time(sent),
                returned: self.trial_time(now),
            }));
        }
    }

    /// Counts a request that was sent late.
    pub(crate) fn late(&mut self, op: OpKind) {
        if let Some(interval) = self.interval(op) {
            interval.late += 1;
            self.totals.late += 1;
        }
    }

    /// Counts a request that was never sent.
    pub(crate) fn dropped(&mut self, op: OpKind) {
        if let Some(interval) = self.interval(op) {
            interval.dropped += 1;
            self.totals.dropped += 1;
        }
    }

    /// Tells that a server sent clients on to another one.
    pub(crate) fn redirected(&self, now: Monotonic, detail: String) {
        self.notice(now, NoticeKind::Redirected, detail);
    }

    /// Tells that a connection broke or could not be made.
    pub(crate) fn connection_lost(&mut self, now: Monotonic, detail: impl FnOnce() -> String) {
        let second = Duration::from_secs(1);
        if self.last_loss.is_none_or(|last| now.since(last) >= second) {
            self.last_loss = Some(now);
            self.notice(now, NoticeKind::ConnectionLost, detail());
        }
    }

    /// Reads the sampled keys back, and reports the totals.
    pub(crate) fn finish(mut self, job: &LoadJob) {
        let now = clock::now();
        let elapsed = now.since(self.start).as_secs_f64();
        let cpu = clock::cpu_time().saturating_sub(self.cpu_at_start);
        self.totals.cpu_share = cpu.as_secs_f64() / elapsed.max(1e-9);
        if self.totals.cpu_share > 0.95 {
            let percent = self.totals.cpu_share * 100.0;
            let detail = format!("the load worker used {percent:.0}% of a CPU over the trial");
            self.notice(now, NoticeKind::WorkerBusy, detail);
        }
        self.read_back(job);
        self.reporter.send(LoadReport::Done(self.totals));
    }

    fn read_back(&self, job: &LoadJob) {
        let found = read_back(ReadBack {
            driver: job.driver,
            servers: &job.servers,
            sample_keys: job.workload.sample_keys,
            start: self.start,
            patience: READ_BACK_PATIENCE,
        });
        match found {
            Ok(operations) => {
                for operation in operations {
                    self.reporter.send(LoadReport::Operation(operation));
                }
            }
            Err(error) => {
                self.notice(clock::now(), NoticeKind::ReadBackFailed, error.to_string());
            }
        }
    }

    fn notice(&self, at: Monotonic, kind: NoticeKind, detail: String) {
        let notice = LoadNotice { at, kind, detail };
        self.reporter.send(LoadReport::Notice(notice));
    }

    fn interval(&mut self, op: OpKind) -> Option<&mut Interval> {
        match op {
            OpKind::Write => self.writes.as_mut(),
            OpKind::Read => self.reads.as_mut(),
        }
    }

    fn trial_time(&self, moment: Monotonic) -> TrialTime {
        TrialTime::from_nanos(moment.nanos() as i64 - self.start.nanos() as i64)
    }
}

/// The moments of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments {
    /// When it was due.
    pub(crate) since: Monotonic,
    /// When it was sent.
    pub(crate) sent: Monotonic,
    /// When it ended.
    pub(crate) now: Monotonic,
}

fn new_interval(stretch: &Stretch, op: OpKind, reporter: &Reporter) -> Interval {
    Interval {
        latency: reporter.latency(),
        ..Interval::new(stretch.phase, stretch.start, stretch.length, op)
    }
}

/// What a history says of an operation; nothing when it certainly had no effect and told nothing.
fn told(request: &Request, outcome: Outcome) -> Option<(Input, Output)> {
    match (request.op, outcome) {
        (OpKind::Write, Outcome::Ok(_)) => Some((Input::Write(request.write), Output::Ok)),
        (OpKind::Write, Outcome::Failed(ErrorKind::Redirect)) => None,
        (OpKind::Write, Outcome::Failed(_)) => Some((Input::Write(request.write), Output::Unknown)),
        (OpKind::Read, Outcome::Ok(value)) => Some((Input::Read, Output::Value(value))),
        (OpKind::Read, Outcome::Failed(_)) => None,
    }
}
