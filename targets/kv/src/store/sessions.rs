//! Which commands of which client have taken effect, and with what answer.
//!
//! A copy of a command can come late and in any order: a client that lost its connection sends it again, and in Copilot two
//! logs order each command. So a session remembers each command by itself, not only the last, in a window that begins
//! where the client has acknowledged all answers. What is forgotten because the client acknowledges nothing, or too many
//! sessions are open, is refused from then on: never done again.
//!
//! All of it is replicated state: what is forgotten depends on the order of the commands and on nothing else. A copy
//! changes nothing at all.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::command::{SessionId, Stamp};

/// Commands that a session remembers; older ones are forgotten as if they had been acknowledged.
pub const WINDOW: u64 = 1024;
/// Bytes of answers that a session keeps besides the last one; older ones are forgotten.
const SESSION_BYTES: usize = 2 << 20;
/// A longer answer is not kept; a copy of its command is refused.
const ANSWER_BYTES: usize = 2 << 20;
/// Sessions that may be open; the one that was not used for the most commands is closed for a further one.
const SESSIONS: usize = 10_000;
/// Bytes of answers that all sessions keep together; beyond, sessions are closed, those unused for longest first.
const TOTAL_BYTES: usize = 64 << 20;

const GONE: &str =
    "NOSESSION this session is not open, or no longer: open another one under a new number";
const STALE: &str =
    "STALE this command has taken effect or never will, and its answer is no longer kept";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    pub(super) open: BTreeMap<SessionId, Rc<Session>>,
    /// Counts the commands of all sessions: the time by which sessions age.
    pub(super) clock: u64,
    /// Bytes of answers kept.
    pub(super) bytes: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// The clock when it was opened: tells two sessions of the same number apart.
    pub(super) generation: u64,
    /// The clock when it was last used.
    pub(super) used: u64,
    /// Where the window begins.
    pub(super) below: u64,
    pub(super) window: VecDeque<Slot>,
    /// Bytes of answers kept.
    pub(super) bytes: usize,
}

/// What is known of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// It has not taken effect.
    #[default]
    Open,
    /// It has, and was answered `+OK`.
    Ok,
    /// It has, and was answered this.
    Answered(Box<[u8]>),
    /// It has; the answer was too long to keep.
    Long,
}

/// Whether a command is to be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission<'a> {
    New,
    /// It was executed, and answered this.
    Copy(&'a [u8]),
    /// It is not, with an error.
    Refused(&'static str),
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Opens a session or finds it open; gives its generation.
    pub(super) fn open(
        &mut self,
        id: SessionId,
        generation: Option<u64>,
    ) -> Result<u64, &'static str> {
        match (self.open.get(&id), generation) {
            (Some(session), None) => Ok(session.generation),
            (Some(session), Some(generation)) if session.generation == generation => Ok(generation),
            (_, Some(_)) => Err(GONE),
            (None, None) => {
                while self.open.len() >= SESSIONS {
                    self.close_oldest();
                }
                self.clock += 1;
                let session = Session {
                    generation: self.clock,
                    used: self.clock,
                    ..Session::default()
                };
                self.open.insert(id, Rc::new(session));
                Ok(self.clock)
            }
        }
    }

    pub(super) fn look_up(&self, stamp: Stamp) -> Admission<'_> {
        let Some(session) = self.open.get(&stamp.session) else {
            return Admission::Refused(GONE);
        };
        let Some(ahead) = stamp.seq.checked_sub(session.below) else {
            return Admission::Refused(STALE);
        };
        match session
            .window
            .get(usize::try_from(ahead).unwrap_or(usize::MAX))
        {
            None | Some(Slot::Open) => Admission::New,
            Some(Slot::Ok) => Admission::Copy(b"+OK\r\n"),
            Some(Slot::Answered(answer)) => Admission::Copy(answer),
            Some(Slot::Long) => Admission::Refused(STALE),
        }
    }

    /// Whether the client has its answer, or was taken to have it.
    pub(super) fn is_acknowledged(&self, stamp: Stamp) -> bool {
        self.look_up(stamp) == Admission::Refused(STALE)
    }

    /// Decides about a command; a new one acknowledges earlier ones.
    pub(super) fn admit(&mut self, stamp: Stamp) -> Admission<'_> {
        if self.look_up(stamp) == Admission::New
            && let Some(session) = self.open.get_mut(&stamp.session)
        {
            self.clock += 1;
            let session = Rc::make_mut(session);
            session.used = self.clock;
            let oldest = stamp.seq.saturating_sub(WINDOW - 1);
            let below = stamp.below.min(stamp.seq).max(oldest);
            self.bytes -= session.forget_below(below);
        }
        self.look_up(stamp)
    }

    /// Notes that an admitted command was executed.
    pub(super) fn executed(&mut self, stamp: Stamp, answer: &[u8]) {
        let Some(session) = self.open.get_mut(&stamp.session) else {
            return;
        };
        let session = Rc::make_mut(session);
        let before = session.bytes;
        session.note(stamp.seq, answer);
        self.bytes = self.bytes - before + session.bytes;
        while self.bytes > TOTAL_BYTES && self.open.len() > 1 {
            self.close_oldest();
        }
    }

    /// Closes the session that was not used for the longest time.
    fn close_oldest(&mut self) {
        let oldest = self.open.iter().min_by_key(|(_, session)| session.used);
        if let Some(id) = oldest.map(|(id, _)| *id)
            && let Some(session) = self.open.remove(&id)
        {
            self.bytes -= session.bytes;
        }
    }
}

impl Session {
    /// Moves the start of the window forward; gives the bytes that became free.
    fn forget_below(&mut self, below: u64) -> usize {
        let before = self.bytes;
        while self.below < below {
            let Some(slot) = self.window.pop_front() else {
                self.below = below;
                break;
            };
            self.below += 1;
            self.bytes -= slot.bytes();
        }
        before - self.bytes
    }

    fn note(&mut self, seq: u64, answer: &[u8]) {
        let slot = match answer {
            b"+OK\r\n" => Slot::Ok,
            long if long.len() > ANSWER_BYTES => Slot::Long,
            other => Slot::Answered(other.into()),
        };
        let others = self.bytes;
        self.bytes += slot.bytes();
        let place = usize::try_from(seq - self.below).expect("admitted within the window");
        if place >= self.window.len() {
            self.window.resize(place + 1, Slot::Open);
        }
        self.window[place] = slot;
        if others > SESSION_BYTES {
            self.forget_below(seq);
        }
    }
}

impl Slot {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Open | Self::Ok | Self::Long => 0,
            Self::Answered(answer) => answer.len(),
        }
    }
}
