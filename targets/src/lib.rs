//! Systems under test: one file per system behind one trait, [`Target`].
//!
//! A target says what to start on a node, how to tell that a member is ready and what role it has, which driver
//! speaks to it, and which of its constants belong into the results.

mod built_in;
mod depfast_copilot;
mod depfast_raft;
mod etcd;
mod layout;
mod redis;
mod spec;
mod status;

pub use depfast_copilot::DepfastCopilot;
pub use depfast_raft::DepfastRaft;
pub use etcd::Etcd;
pub use layout::{Layout, MemberAddress, MemberPlan};
pub use redis::Redis;
pub use spec::{Durability, TargetSpec};
pub use status::{Status, StatusError, Waits, waits};

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use vocab::ids::Role;
use workloads::DriverKind;

/// A future that a target's poll returns.
pub type Poll<'a> = Pin<Box<dyn Future<Output = Result<Status, StatusError>> + 'a>>;

/// A system under test.
pub trait Target {
    /// As in the experiment file.
    fn name(&self) -> &'static str;

    /// One line for `depbench list`.
    fn about(&self) -> &'static str;

    /// The protocol that its clients speak.
    fn driver(&self) -> DriverKind;

    /// Whether its clients can have sessions, in which a request that is sent again takes effect once.
    fn has_sessions(&self) -> bool {
        false
    }

    /// Whether a member that is started again may have forgotten what it promised to the others.
    fn forgets(&self) -> bool {
        false
    }

    /// Whether its members can be asked for whom they have [`waits`].
    fn is_traced(&self) -> bool {
        false
    }

    /// The roles that its members can report.
    fn roles(&self) -> &'static [Role];

    /// How many members run on `servers` server nodes: an unreplicated system uses one.
    fn members(&self, servers: usize) -> usize {
        servers
    }

    /// Why it cannot run with so many members, if it cannot.
    fn objection_to(&self, _members: usize) -> Option<String> {
        None
    }

    /// Where clients reach the member at `ip`.
    fn client_address(&self, ip: IpAddr) -> SocketAddr;

    /// What to start as member `index` of `layout`.
    fn member(&self, layout: &Layout, index: usize) -> MemberPlan;

    /// Asks one member for its own account of itself. Bounded in time by the caller.
    fn status(&self, client_address: SocketAddr) -> Poll<'_>;

    /// Protocol constants and settings that a reader of the results must know.
    fn constants(&self) -> BTreeMap<String, String>;

    /// The Debian package that brings the program, if it is not depbench itself.
    fn package(&self) -> Option<&'static str> {
        None
    }

    /// A command that prints the version of the program, if it is not depbench itself.
    fn version_command(&self) -> Option<Vec<String>>;
}
