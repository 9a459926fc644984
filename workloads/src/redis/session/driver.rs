use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use vocab::time::Monotonic;

use super::Via;
use super::desk::{Desk, Pending};
use super::lane::Lane;
use super::scout::Scout;
use super::sessions::{LANES, Sessions};
use crate::clock;
use crate::job::LoadJob;
use crate::load::{Moments, Outcome, Pace, Recorder, Reporter, Requests};
use crate::redis::driver::{CARE, READ_BYTES};
use crate::redis::poller::Poller;
use crate::report::LoadReport;
use crate::worker::LoadError;

/// Clients that share a session.
pub(super) struct Group {
    pub(super) desk: Desk,
    pub(super) lanes: Vec<Lane>,
}

/// Makes the load of `job` until it is over.
pub(crate) fn run(job: &LoadJob, via: Via, reporter: &Rc<Reporter>) -> Result<(), LoadError> {
    let mut poller = Poller::new()?;
    let now = clock::now();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(job.seed ^ now.nanos());
    let mut groups = groups(job, via, now, &mut random);
    let mut sessions = Sessions {
        job,
        via,
        timeout: job.workload.timeout.duration(),
        random,
        leader: None,
        scout: (via == Via::Pilots).then(|| Scout::new(job.servers.clone(), now)),
        failure: None,
    };
    let mut buffer = vec![0; READ_BYTES];
    let connected = sessions.connect(&mut groups, &mut poller, &mut buffer)?;
    reporter.send(LoadReport::Ready { connected });
    let recorder = Recorder::start(job, reporter.clone());
    let workload = &job.workload;
    let mut load = Load {
        pace: Pace::new(
            &workload.mode,
            recorder.start_moment(),
            job.seed,
            sessions.timeout,
        ),
        requests: Requests::new(workload, job.seed),
        recorder,
        turn: 0,
    };
    let mut names = Vec::new();
    let mut next_care = clock::now();
    loop {
        let now = clock::now();
        load.recorder.advance(now);
        if load.recorder.is_over() {
            break;
        }
        if now >= next_care {
            next_care = now + CARE;
            sessions.look_after(&mut groups, Some(&mut load), now, &poller);
            load.drop_overdue(now);
        }
        if let Some(next) = load.pace.next() {
            sessions.deal_out(&mut groups, &mut load, now);
            if next > now {
                poller.set_alarm(next)?;
            }
        }
        let wake = next_care.min(load.recorder.next_cut());
        names.clear();
        poller.wait(wake.since(clock::now()), &mut names)?;
        for name in &names {
            sessions.on_news(&mut groups, Some(&mut load), *name, &mut buffer);
        }
    }
    let now = clock::now();
    for mut group in groups {
        for left in group.desk.begin_anew(0) {
            load.recorder
                .left_behind(left.client, &left.request, left.sent, now);
        }
    }
    load.recorder.finish(job);
    Ok(())
}

fn groups(job: &LoadJob, via: Via, now: Monotonic, random: &mut Xoshiro256PlusPlus) -> Vec<Group> {
    let count = job.workload.connections.get();
    let lanes = match via {
        Via::Leader => 1,
        Via::Pilots => LANES,
    };
    (0..count)
        .map(|index| {
            let clients: Vec<_> = (index..job.workload.clients.get())
                .step_by(count as usize)
                .collect();
            let server = |lane: usize| job.servers[lane % job.servers.len()];
            let size = clients.len();
            Group {
                lanes: (0..lanes)
                    .map(|lane| Lane::new(server(lane), size, now))
                    .collect(),
                desk: Desk::new(random.random(), clients),
            }
        })
        .collect()
}

/// What is asked, and what became of it.
pub(super) struct Load {
    pub(super) pace: Pace,
    pub(super) requests: Requests,
    pub(super) recorder: Recorder,
    /// Open loop: the session whose turn it is.
    pub(super) turn: usize,
}

impl Load {
    pub(super) fn record(&mut self, one: &Pending, now: Monotonic, outcome: Outcome) {
        let moments = Moments {
            since: one.since,
            sent: one.sent,
            now,
        };
        self.recorder
            .record(one.client, &one.request, moments, outcome);
    }

    /// Open loop: gives up the requests that waited for a free client for too long.
    fn drop_overdue(&mut self, now: Monotonic) {
        while self.pace.is_overdue(now) {
            self.pace.take(now);
            let request = self.requests.next();
            self.recorder.dropped(request.op);
        }
    }
}
