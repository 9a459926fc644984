use std::io;
use std::net::SocketAddr;

use vocab::time::Monotonic;

use super::Via;
use super::driver::{Group, Load};
use super::lane::Said;
use super::sessions::{LANES, Sessions};
use crate::clock;
use crate::load::Outcome;
use crate::redis::start::server_after;

impl Sessions<'_> {
    /// Reads what arrived on a connection, and sends what its clients ask next.
    pub(super) fn on_news(
        &mut self,
        groups: &mut [Group],
        mut load: Option<&mut Load>,
        name: usize,
        buffer: &mut [u8],
    ) {
        let Some(group) = groups.get_mut(name / LANES) else {
            let found = self
                .scout
                .as_mut()
                .and_then(|scout| scout.on_news(clock::now(), buffer));
            if let Some(pilots) = found {
                self.route(groups, load, pilots);
            }
            return;
        };
        let lane = name % LANES;
        loop {
            let now = clock::now();
            if let Err(error) = group.lanes[lane].settle(now, &group.desk) {
                return self.lose(group, lane, load, now, error);
            }
            let full = buffer.len();
            let received = group.lanes[lane].read(buffer);
            let now = clock::now();
            if let Some(load) = &mut load {
                load.recorder.advance(now);
            }
            let read = match received {
                Ok(bytes) => self
                    .take_in(group, lane, load.as_deref_mut(), bytes, now)
                    .map(|()| bytes.len()),
                Err(error) => Err(error),
            };
            match read {
                Ok(count) if count == full => {}
                Ok(_) => return self.go_on(group, load, now),
                Err(error) => return self.lose(group, lane, load, now, error),
            }
        }
    }

    fn take_in(
        &mut self,
        group: &mut Group,
        lane: usize,
        mut load: Option<&mut Load>,
        bytes: &[u8],
        now: Monotonic,
    ) -> io::Result<()> {
        let (mut again, mut moved, mut gone) = (Vec::new(), None, false);
        let Group { desk, lanes } = group;
        lanes[lane].receive(bytes, desk, |desk, seq, said| {
            let outcome = match said {
                Said::Done(value) => Outcome::Ok(value),
                Said::Refused(kind) => Outcome::Failed(kind),
                Said::Again => return again.push(seq),
                Said::Moved(to) => {
                    moved = Some(to);
                    return;
                }
                Said::SessionGone => {
                    gone = true;
                    return;
                }
            };
            if let Some(one) = seq.and_then(|seq| desk.finish(seq))
                && let Some(load) = &mut load
            {
                load.record(&one, now, outcome);
            }
        })?;
        if gone {
            self.begin_anew(group, load, now);
        } else if let Some(to) = moved {
            self.redirect(group, lane, load, to, now);
        } else if !again.is_empty() {
            let lane = &mut group.lanes[lane];
            if again.contains(&None) {
                // Without the binding nothing can be asked here.
                lane.leave_for(lane.server, now);
            } else {
                lane.pause(now);
                again
                    .into_iter()
                    .flatten()
                    .for_each(|seq| lane.send_again(seq));
            }
        }
        Ok(())
    }

    /// Goes to the server that was named; what is pending is sent to it again.
    fn redirect(
        &mut self,
        group: &mut Group,
        lane: usize,
        load: Option<&mut Load>,
        to: Option<SocketAddr>,
        now: Monotonic,
    ) {
        let lane = &mut group.lanes[lane];
        let next = to.unwrap_or_else(|| server_after(&self.job.servers, lane.server));
        if self.via == Via::Leader && self.leader != to {
            self.leader = to;
            if let Some(load) = load {
                let detail = format!("from {} to {next}", lane.server);
                load.recorder.redirected(now, detail);
            }
        }
        if let Some(scout) = &mut self.scout {
            scout.hurry(now);
        }
        lane.leave_for(next, now);
    }
}
