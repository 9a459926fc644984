use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use results::ErrorKind;
use vocab::time::Monotonic;

use super::Via;
use super::driver::{Group, Load};
use super::lane::Lane;
use super::scout::{Pilots, Scout};
use crate::clock;
use crate::job::LoadJob;
use crate::load::{Due, Outcome, Pace, Requests};
use crate::redis::driver::CARE;
use crate::redis::poller::Poller;
use crate::redis::start::{START_PATIENCE, server_after};
use crate::worker::LoadError;

/// A request that neither pilot has answered is sent to both again after this.
const REPEAT: Duration = Duration::from_millis(100);

/// Lanes have names for the poller: those of a session follow each other.
pub(super) const LANES: usize = 2;

/// The connections of all sessions.
pub(super) struct Sessions<'j> {
    pub(super) job: &'j LoadJob,
    pub(super) via: Via,
    pub(super) timeout: Duration,
    pub(super) random: Xoshiro256PlusPlus,
    /// Where the servers say the leader is.
    pub(super) leader: Option<SocketAddr>,
    pub(super) scout: Option<Scout>,
    /// The last thing that went wrong with a connection.
    pub(super) failure: Option<(SocketAddr, io::Error)>,
}

impl Sessions<'_> {
    /// Opens the sessions; gives how many there are when all are open or the time is over.
    pub(super) fn connect(
        &mut self,
        groups: &mut [Group],
        poller: &mut Poller,
        buffer: &mut [u8],
    ) -> Result<u32, LoadError> {
        let give_up = clock::now() + START_PATIENCE;
        let mut names = Vec::new();
        loop {
            let now = clock::now();
            self.look_after(groups, None, now, poller);
            let ready = |group: &&Group| group.lanes.iter().any(Lane::is_ready);
            let up = groups.iter().filter(ready).count();
            if up == groups.len() || (now >= give_up && up > 0) {
                return Ok(up as u32);
            }
            if now >= give_up {
                let failure = self.failure.take();
                return Err(LoadError::Unreachable {
                    servers: self.job.servers.clone(),
                    failure: failure.map(|(server, error)| format!("{server}: {error}")),
                });
            }
            names.clear();
            poller.wait(CARE, &mut names)?;
            for name in &names {
                self.on_news(groups, None, *name, buffer);
            }
        }
    }

    pub(super) fn look_after(
        &mut self,
        groups: &mut [Group],
        mut load: Option<&mut Load>,
        now: Monotonic,
        poller: &Poller,
    ) {
        let scouts_name = LANES * groups.len();
        let mut waiting = false;
        for (index, group) in groups.iter_mut().enumerate() {
            self.give_up_overdue(group, load.as_deref_mut(), now);
            if self.via == Via::Pilots {
                let late = group.desk.take_late(now, REPEAT);
                waiting |= !late.is_empty() || !group.lanes.iter().all(Lane::is_ready);
                for (seq, lane) in late.iter().flat_map(|seq| {
                    let lanes = 0..LANES;
                    lanes.map(move |lane| (*seq, lane))
                }) {
                    group.lanes[lane].send_again(seq);
                }
            }
            for lane in 0..group.lanes.len() {
                let name = LANES * index + lane;
                let Group { desk, lanes } = group;
                let result = if lanes[lane].is_overdue(now, self.timeout) {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
                } else {
                    lanes[lane].look_after(now, self.timeout, desk, poller, name)
                };
                if let Err(error) = result {
                    self.lose(group, lane, load.as_deref_mut(), now, error);
                }
            }
            self.go_on(group, load.as_deref_mut(), now);
        }
        if let Some(scout) = &mut self.scout {
            if waiting {
                scout.hurry(now);
            }
            scout.look_after(now, poller, scouts_name);
        }
    }

    /// Sends the lanes to the pilots that the scout has found.
    pub(super) fn route(&self, groups: &mut [Group], mut load: Option<&mut Load>, pilots: Pilots) {
        let now = clock::now();
        for (index, group) in groups.iter_mut().enumerate() {
            let at = [group.lanes[0].server, group.lanes[1].server];
            if places(at, pilots) == at {
                continue;
            }
            if index == 0
                && let Some(load) = &mut load
            {
                let [first, second] = pilots;
                let detail = format!("from {} and {} to {first} and {second}", at[0], at[1]);
                load.recorder.redirected(now, detail);
            }
            for (lane, server) in group.lanes.iter_mut().zip(places(at, pilots)) {
                if lane.server != server {
                    lane.leave_for(server, now);
                }
            }
            self.go_on(group, load.as_deref_mut(), now);
        }
    }

    /// Opens another session after the servers have forgotten this one: nobody knows what became of its requests.
    pub(super) fn begin_anew(
        &mut self,
        group: &mut Group,
        mut load: Option<&mut Load>,
        now: Monotonic,
    ) {
        for lost in group.desk.begin_anew(self.random.random()) {
            if let Some(load) = &mut load {
                load.record(&lost, now, Outcome::Failed(ErrorKind::Server));
            }
        }
        for lane in &mut group.lanes {
            lane.leave_for(lane.server, now);
        }
    }

    /// Gives up requests that were not answered in time; their outcome is unknown.
    fn give_up_overdue(&self, group: &mut Group, load: Option<&mut Load>, now: Monotonic) {
        let Some(load) = load else {
            return;
        };
        for seq in group.desk.overdue(now, self.timeout) {
            if let Some(one) = group.desk.finish(seq) {
                load.record(&one, now, Outcome::Failed(ErrorKind::Timeout));
            }
        }
    }

    /// Gives up a connection; what is pending is sent again on the next one.
    pub(super) fn lose(
        &mut self,
        group: &mut Group,
        lane: usize,
        load: Option<&mut Load>,
        now: Monotonic,
        error: io::Error,
    ) {
        let server = group.lanes[lane].server;
        if let Some(load) = load {
            load.recorder
                .connection_lost(now, || format!("{server}: {error}"));
        }
        self.failure = Some((server, error));
        let next = match &mut self.scout {
            // Who else is a pilot, the scout finds out.
            Some(scout) => {
                scout.hurry(now);
                server
            }
            None => {
                self.leader.take_if(|leader| *leader == server);
                self.leader
                    .unwrap_or_else(|| server_after(&self.job.servers, server))
            }
        };
        group.lanes[lane].leave_for(next, now);
    }

    /// Closed loop: has every idle client of the session send its next request. Writes what is to be written.
    pub(super) fn go_on(&self, group: &mut Group, load: Option<&mut Load>, now: Monotonic) {
        let Some(load) = load else {
            self.flush(group, None, now);
            return;
        };
        let ready = group.lanes.iter().any(Lane::is_ready);
        if ready && matches!(load.pace, Pace::Closed) && !load.recorder.is_over() {
            for _ in 0..group.desk.idle() {
                let request = load.requests.next();
                group.desk.take(request, now, now);
            }
        }
        self.flush(group, Some(load), now);
    }

    pub(super) fn flush(&self, group: &mut Group, load: Option<&mut Load>, now: Monotonic) {
        let Group { desk, lanes } = group;
        let plain_reads = self.via == Via::Leader;
        let mut none = None;
        let requests = match load {
            Some(load) => &mut load.requests,
            None => none.get_or_insert_with(|| Requests::new(&self.job.workload, 0)),
        };
        for lane in lanes {
            // A connection that breaks here is found broken when it is read.
            let _found_when_read = lane.feed(desk, now, plain_reads, requests);
        }
    }

    /// Open loop: sends the requests that are due, over the sessions in turn. Those of one session leave together: one
    /// at a time, a generator that is behind would be so for good.
    pub(super) fn deal_out(&self, groups: &mut [Group], load: &mut Load, now: Monotonic) {
        let mut dealt = BTreeSet::new();
        while let Some(place) = next_with_room(groups, load, now) {
            load.turn = (place + 1) % groups.len();
            let request = load.requests.next();
            match load.pace.take(now) {
                Some(Due::Send { since, late }) => {
                    if late {
                        load.recorder.late(request.op);
                    }
                    groups[place].desk.take(request, since, now);
                    dealt.insert(place);
                }
                Some(Due::Drop) => load.recorder.dropped(request.op),
                None => break,
            }
        }
        for place in dealt {
            self.flush(&mut groups[place], Some(load), now);
        }
    }
}

/// Who sends the next request, if one is due.
fn next_with_room(groups: &[Group], load: &Load, now: Monotonic) -> Option<usize> {
    load.pace.next().filter(|next| *next <= now)?;
    let has_room = |group: &Group| group.desk.idle() > 0 && group.lanes.iter().any(Lane::is_ready);
    let mut places = (load.turn..groups.len()).chain(0..load.turn);
    places.find(|place| has_room(&groups[*place]))
}

/// Where two lanes go: one that is at a pilot stays there.
fn places(at: Pilots, pilots: Pilots) -> Pilots {
    let other = |taken| pilots[usize::from(taken == pilots[0])];
    if pilots.contains(&at[0]) {
        [at[0], other(at[0])]
    } else if pilots.contains(&at[1]) {
        [other(at[1]), at[1]]
    } else {
        pilots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_keep_to_a_pilot_they_have() {
        let server = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let pilots = [server(1), server(2)];
        for (at, expected) in [
            ([1, 2], [1, 2]),
            ([2, 1], [2, 1]),
            ([1, 1], [1, 2]),
            ([3, 1], [2, 1]),
            ([2, 3], [2, 1]),
            ([3, 4], [1, 2]),
        ] {
            assert_eq!(places(at.map(server), pilots), expected.map(server));
        }
    }
}
