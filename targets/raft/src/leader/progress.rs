//! What a leader knows of each peer: what it holds, and what it was sent.

use depfast::Instant;

use crate::message::Held;
use crate::state::State;
use crate::types::{LogIndex, ReplicaId, Term};

/// Unanswered messages with entries per peer.
const WINDOW: usize = 4;

/// One peer.
pub(super) struct Progress {
    /// It holds everything up to here.
    pub(super) matched: LogIndex,
    /// What to send next.
    pub(super) next: LogIndex,
    /// The latest round it has answered.
    pub(super) answered: u64,
    /// The latest round it was told of.
    pub(super) told: u64,
    /// Messages with entries that it has not answered.
    pub(super) unanswered: usize,
    /// Counts the times that sending began anew; answers to what was sent before do not open the window.
    pub(super) attempt: u64,
    /// Whether it is unknown what it holds; then one message at a time finds out.
    probing: bool,
    /// Whether what it is to be sent next is being read from the log file, or is a snapshot on its way.
    pub(super) fetching: bool,
    pub(super) heard: Instant,
    /// Whether its disk is full.
    pub(super) full: bool,
    /// Whether it was sent anything since the latest heartbeat began.
    pub(super) told_in_beat: bool,
}

impl State {
    /// What this replica knows of a peer, if it leads in `term`.
    pub(super) fn progress(&mut self, term: Term, peer: ReplicaId) -> Option<&mut Progress> {
        self.leading(term)?.peers.get_mut(&peer)
    }
}

impl Progress {
    pub(super) const fn new(next: LogIndex, now: Instant) -> Self {
        Self {
            matched: LogIndex::ZERO,
            next,
            answered: 0,
            told: 0,
            unanswered: 0,
            attempt: 0,
            probing: false,
            fetching: false,
            heard: now,
            full: false,
            told_in_beat: false,
        }
    }

    pub(super) const fn begin_anew(&mut self, from: LogIndex) {
        self.next = from;
        self.unanswered = 0;
        self.attempt += 1;
        self.probing = true;
    }

    pub(super) const fn may_send(&self) -> bool {
        !self.fetching && self.unanswered < if self.probing { 1 } else { WINDOW }
    }

    /// Takes note that it holds everything up to `index`, which it got otherwise.
    pub(super) fn holds(&mut self, index: LogIndex) {
        self.matched = self.matched.max(index);
        self.begin_anew(self.matched.next());
    }

    /// Takes note of an answer; returns whether sending can go on.
    pub(super) fn note(&mut self, attempt: u64, held: Held) -> bool {
        match held {
            Held::UpTo(index) => {
                self.matched = self.matched.max(index);
                self.next = self.next.max(self.matched.next());
                self.probing = false;
                if self.matched.next() == self.next {
                    // Nothing is missing, so no answer is awaited, even if some were lost.
                    self.unanswered = 0;
                    self.attempt += 1;
                } else if attempt == self.attempt {
                    self.unanswered = self.unanswered.saturating_sub(1);
                }
                true
            }
            Held::LacksFrom(index) if attempt == self.attempt => {
                // A peer without a log file has forgotten everything when it comes back.
                self.matched = self.matched.min(index.previous());
                self.begin_anew(index.min(self.next));
                true
            }
            Held::LacksFrom(_) => false,
        }
    }
}
