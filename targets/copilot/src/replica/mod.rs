//! One replica: its parts, and how its coroutines share them.

mod accept;
mod answer;
mod beat;
mod change;
mod compact;
mod execute;
mod head;
mod learn;
mod pilot;
mod propose;
mod proxy;
mod recover;
mod round;
mod session;
mod snapshot;
mod start;
mod state;
mod takeover;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use depfast::{Env, Rpc, ValueEvent};

use crate::config::Timing;
use crate::core::{Both, ReplicaId};
use crate::mutation::Mutation;
use crate::wal::Wal;
use answer::Promises;
use state::State;

/// What is not answered is sent again after this long, then after twice that, and so on.
const RESEND: Duration = Duration::from_millis(100);
/// At most this long.
const RESEND_LIMIT: Duration = Duration::from_secs(1);

/// A replica. It lives as long as its environment.
pub struct Copilot {
    pub(crate) env: Env,
    pub(crate) me: ReplicaId,
    pub(crate) peers: Vec<ReplicaId>,
    pub(crate) timing: Timing,
    log_entries: u64,
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
    pub(crate) rpc: Rpc,
    pub(crate) wal: Rc<Wal>,
    pub(crate) state: RefCell<State>,
    /// Is set when a pilot here may find something to do, or that it is none any more.
    pub(crate) work: Both<ValueEvent<()>>,
    /// Is set when an entry was decided or executed.
    pub(crate) moved: ValueEvent<()>,
    /// Is set when a client's command waits to be sent to the pilots.
    pub(crate) asked: ValueEvent<()>,
    /// Is set when a peer was seen to know more.
    pub(crate) behind: ValueEvent<()>,
    pub(crate) promises: Promises,
}

impl Copilot {
    /// Whether it is to make this mistake on purpose.
    pub(crate) fn mutates(&self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        {
            let _never = (self, mutation);
            false
        }
    }
}
