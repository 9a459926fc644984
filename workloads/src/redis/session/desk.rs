use std::collections::VecDeque;
use std::time::Duration;

use vocab::time::Monotonic;

use crate::load::Request;

/// How often the patience for an answer doubles.
const DOUBLINGS: u32 = 5;

/// A request that has not been answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) client: u32,
    pub(super) request: Request,
    /// When it was due.
    pub(super) since: Monotonic,
    /// When it was first sent.
    pub(super) sent: Monotonic,
    /// When it was last sent anywhere.
    pub(super) asked: Monotonic,
    /// How often it was sent again because nobody had answered.
    repeats: u32,
}

/// The requests of one session and the clients that share it.
#[derive(Debug)]
pub(super) struct Desk {
    /// The session's number.
    pub(super) session: u64,
    /// Tells it from another one of the same number, once it is open.
    pub(super) generation: Option<u64>,
    idle: Vec<u32>,
    /// The number of the first of `pending`; all before are answered, or given up.
    below: u64,
    /// Those in between that are answered are empty.
    pending: VecDeque<Option<Pending>>,
}

impl Desk {
    pub(super) fn new(session: u64, clients: Vec<u32>) -> Desk {
        Desk {
            session,
            generation: None,
            idle: clients,
            below: 1,
            pending: VecDeque::new(),
        }
    }

    /// Goes on under another number, with nothing pending; gives what was.
    pub(super) fn begin_anew(&mut self, session: u64) -> Vec<Pending> {
        let lost: Vec<_> = self.pending.drain(..).flatten().collect();
        self.idle.extend(lost.iter().map(|one| one.client));
        self.session = session;
        self.generation = None;
        self.below = 1;
        lost
    }

    /// How many clients have nothing pending.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// All requests before this one are answered.
    pub(super) fn below(&self) -> u64 {
        self.below
    }

    /// The number of the next request.
    pub(super) fn next(&self) -> u64 {
        self.below + self.pending.len() as u64
    }

    /// Takes a request of a client that has none pending.
    ///
    /// # Panics
    /// When there is no such client.
    pub(super) fn take(&mut self, request: Request, since: Monotonic, now: Monotonic) {
        let client = self.idle.pop().expect("the caller looked for room");
        self.pending.push_back(Some(Pending {
            client,
            request,
            since,
            sent: now,
            asked: now,
            repeats: 0,
        }));
    }

    pub(super) fn get(&mut self, seq: u64) -> Option<&mut Pending> {
        let place = usize::try_from(seq.checked_sub(self.below)?).ok()?;
        self.pending.get_mut(place)?.as_mut()
    }

    /// Notes that a request is answered, or given up; nothing if it was before.
    pub(super) fn finish(&mut self, seq: u64) -> Option<Pending> {
        let place = usize::try_from(seq.checked_sub(self.below)?).ok()?;
        let done = self.pending.get_mut(place)?.take()?;
        self.idle.push(done.client);
        while self.pending.pop_front_if(|one| one.is_none()).is_some() {
            self.below += 1;
        }
        Some(done)
    }

    /// The requests that were first sent longer than `timeout` ago.
    pub(super) fn overdue(&self, now: Monotonic, timeout: Duration) -> Vec<u64> {
        self.select(|one| now.since(one.sent) > timeout)
    }

    /// The requests that were last sent longer than `patience` ago, or than twice that after the first repetition, and
    /// so on; they count as sent now. Servers with a queue as long as the patience would only get more to do.
    pub(super) fn take_late(&mut self, now: Monotonic, patience: Duration) -> Vec<u64> {
        let late = self.select(|one| now.since(one.asked) > patience * (1 << one.repeats));
        for seq in &late {
            if let Some(one) = self.get(*seq) {
                one.asked = now;
                one.repeats = (one.repeats + 1).min(DOUBLINGS);
            }
        }
        late
    }

    fn select(&self, wanted: impl Fn(&Pending) -> bool) -> Vec<u64> {
        (self.below..)
            .zip(&self.pending)
            .filter_map(|(seq, one)| one.as_ref().filter(|one| wanted(one)).map(|_| seq))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Requests;
    use crate::spec::Workload;

    #[test]
    fn answers_count_once_and_in_any_order() {
        let mut requests = Requests::new(&Workload::default(), 1);
        let mut desk = Desk::new(9, vec![2, 1, 0]);
        let at = |millis: u64| Monotonic::from_nanos(millis * 1_000_000);
        for millis in 0..3 {
            desk.take(requests.next(), at(millis), at(millis));
        }
        assert_eq!((desk.idle(), desk.below(), desk.next()), (0, 1, 4));
        assert_eq!(desk.finish(2).map(|one| one.client), Some(1));
        assert!(desk.finish(2).is_none() && desk.finish(0).is_none() && desk.finish(9).is_none());
        assert_eq!((desk.idle(), desk.below()), (1, 1));
        assert!(desk.finish(1).is_some());
        assert_eq!(desk.below(), 3);
        let limit = Duration::from_millis(10);
        assert_eq!(desk.overdue(at(13), limit), [3]);
        assert_eq!(desk.take_late(at(13), limit), [3]);
        for (millis, late) in [
            (20, vec![]),
            (33, vec![]),
            (34, vec![3]),
            (74, vec![]),
            (75, vec![3]),
        ] {
            assert_eq!(desk.take_late(at(millis), limit), late, "after {millis} ms");
        }
        assert_eq!(desk.begin_anew(10).len(), 1);
        assert_eq!((desk.idle(), desk.next()), (3, 1));
    }
}
