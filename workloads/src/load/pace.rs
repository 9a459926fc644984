use std::time::Duration;

use vocab::time::Monotonic;

use super::arrivals::Schedule;
use crate::spec::Mode;

/// A request in the open loop counts as late when it was sent that long after it was due.
const LATE: Duration = Duration::from_millis(1);

/// When requests are due.
#[derive(Debug)]
pub(crate) enum Pace {
    /// Whenever a client is free.
    Closed,
    /// At given moments.
    Open {
        schedule: Schedule,
        /// How long a request may wait for a free client.
        patience: Duration,
    },
}

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send it; its latency counts from `since`.
    Send { since: Monotonic, late: bool },
    /// It waited for a free client for too long.
    Drop,
}

impl Pace {
    pub(crate) fn new(mode: &Mode, start: Monotonic, seed: u64, patience: Duration) -> Pace {
        match mode {
            Mode::Closed {} => Pace::Closed,
            Mode::Open { rate, arrivals } => Pace::Open {
                // The seed itself draws the requests; arrivals must not go along with the keys.
                schedule: Schedule::new(start, *rate, *arrivals, !seed),
                patience,
            },
        }
    }

    /// The request that is due now, if there is one; in the closed loop there always is.
    pub(crate) fn take(&mut self, now: Monotonic) -> Option<Due> {
        let (schedule, patience) = match self {
            Pace::Closed => {
                return Some(Due::Send {
                    since: now,
                    late: false,
                });
            }
            Pace::Open { schedule, patience } => (schedule, *patience),
        };
        let since = schedule.next();
        if since > now {
            return None;
        }
        schedule.advance();
        let waited = now.since(since);
        Some(if waited > patience {
            Due::Drop
        } else {
            Due::Send {
                since,
                late: waited > LATE,
            }
        })
    }

    /// Whether the next request waited for a free client for too long.
    pub(crate) fn is_overdue(&self, now: Monotonic) -> bool {
        match self {
            Pace::Closed => false,
            Pace::Open { schedule, patience } => now.since(schedule.next()) > *patience,
        }
    }

    /// When the next request is due, if a clock decides that.
    pub(crate) fn next(&self) -> Option<Monotonic> {
        match self {
            Pace::Closed => None,
            Pace::Open { schedule, .. } => Some(schedule.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Arrivals;

    #[test]
    fn the_open_loop_sends_in_time_late_or_never() {
        let mode = Mode::Open {
            rate: "100/s".parse().unwrap(),
            arrivals: Arrivals::Constant,
        };
        let at = |millis: u64| Monotonic::from_nanos(millis * 1_000_000);
        let mut pace = Pace::new(&mode, at(0), 1, Duration::from_millis(100));
        assert_eq!(pace.take(at(9)), None);
        let sent = |millis, late| {
            Some(Due::Send {
                since: at(millis),
                late,
            })
        };
        assert_eq!(pace.take(at(10)), sent(10, false));
        assert_eq!(pace.take(at(10)), None);
        assert_eq!(pace.take(at(25)), sent(20, true));
        assert_eq!(pace.take(at(131)), Some(Due::Drop));
        assert_eq!(pace.take(at(131)), sent(40, true));
    }
}
