//! The search for a linearization of the operations on one key (Wing and Gong, with Lowe's memory of configurations
//! already found hopeless).

use std::collections::BTreeSet;

/// An operation as the search sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Nanoseconds.
    pub(crate) invoked: i64,
    /// Nanoseconds; `None` when the outcome is unknown: it may happen at any time from `invoked` on, or never.
    pub(crate) returned: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Write(u64),
    Read(Option<u64>),
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Order,
    NoOrder,
    /// The steps were used up.
    GaveUp,
}

/// Which steps were put in order so far, and what they left in the register.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    /// All steps before this one are in order.
    first: usize,
    /// Those behind it that are, too, ascending.
    ahead: Vec<usize>,
    value: Option<u64>,
}

/// Whether the steps of one key, sorted by `invoked`, can be put in an order; takes what it needs from `budget`.
pub(crate) fn search(steps: &[Step], budget: &mut u64) -> Found {
    let mut hopeless = BTreeSet::new();
    let mut open = vec![Configuration {
        first: 0,
        ahead: Vec::new(),
        value: None,
    }];
    while let Some(mut configuration) = open.pop() {
        let candidates = loop {
            let candidates = configuration.candidates(steps);
            let spent = 1 + candidates.len() as u64;
            if *budget < spent {
                return Found::GaveUp;
            }
            *budget -= spent;
            if configuration.is_done(steps) {
                return Found::Order;
            }
            // A read that finds the present value changes nothing and delays nothing: it can go first.
            let value = configuration.value;
            let reads = |index: &usize| steps[*index].action == Action::Read(value);
            match candidates.iter().copied().find(reads) {
                Some(read) => configuration.append(read, steps),
                None => break candidates,
            }
        };
        if !hopeless.insert(configuration.clone()) {
            continue;
        }
        // The one that returned first is the likeliest to have been first: it is pushed last, so tried first.
        let mut writes: Vec<usize> = candidates
            .into_iter()
            .filter(|index| matches!(steps[*index].action, Action::Write(_)))
            .collect();
        writes.sort_by_key(|index| std::cmp::Reverse(steps[*index].returned.unwrap_or(i64::MAX)));
        for write in writes {
            let mut next = configuration.clone();
            next.append(write, steps);
            open.push(next);
        }
    }
    Found::NoOrder
}

impl Configuration {
    /// The steps that may come next: no other step outside the order returned before they were invoked.
    fn candidates(&self, steps: &[Step]) -> Vec<usize> {
        let mut candidates = Vec::new();
        let mut earliest_return = i64::MAX;
        let mut ahead = self.ahead.iter().peekable();
        for (index, step) in steps.iter().enumerate().skip(self.first) {
            if step.invoked > earliest_return {
                break;
            }
            if ahead.next_if(|next| **next == index).is_some() {
                continue;
            }
            candidates.push(index);
            earliest_return = earliest_return.min(step.returned.unwrap_or(i64::MAX));
        }
        candidates
    }

    fn append(&mut self, index: usize, steps: &[Step]) {
        if let Action::Write(value) = steps[index].action {
            self.value = Some(value);
        }
        let place = self.ahead.partition_point(|other| *other < index);
        self.ahead.insert(place, index);
        let run = self
            .ahead
            .iter()
            .enumerate()
            .take_while(|(offset, index)| **index == self.first + offset)
            .count();
        self.ahead.drain(..run);
        self.first += run;
    }

    /// Whether every step with an answer is in order; those without may never happen.
    fn is_done(&self, steps: &[Step]) -> bool {
        let rest = steps.iter().enumerate().skip(self.first);
        let mut ahead = self.ahead.iter().peekable();
        rest.filter(|(index, _)| ahead.next_if(|next| *next == index).is_none())
            .all(|(_, step)| step.returned.is_none())
    }
}
