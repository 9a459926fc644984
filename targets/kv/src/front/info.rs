//! The answer to INFO.

use std::fmt::Write;

use depfast::NodeId;

use super::Front;
use super::commands::REDIS_VERSION;

/// The sections of INFO. `role`, `leader`, `term` and `commit` are what depbench polls; its load
/// looks for `pilot_address` and `copilot_address` where two members order changes side by side.
pub(super) fn text(front: &Front) -> String {
    let status = front.replica.status();
    let leader = status
        .leader
        .map(|leader| leader.0.to_string())
        .unwrap_or_default();
    let address = |member: Option<NodeId>| {
        let address = member.and_then(|member| front.address(member));
        address.unwrap_or_default()
    };
    let mut text = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\ndepbench_version:{version}\r\nredis_mode:cluster\r\n\
         # Replication\r\nid:{id}\r\nrole:{role}\r\nleader:{leader}\r\nleader_address:{address}\r\nterm:{term}\r\n\
         commit:{commit}\r\napplied:{applied}\r\nlast:{last}\r\n\
         # Cluster\r\ncluster_enabled:1\r\n\
         # Keyspace\r\nkeys:{keys}\r\ndb0:keys={keys},expires=0,avg_ttl=0\r\n",
        version = env!("CARGO_PKG_VERSION"),
        id = status.id.0,
        role = status.role,
        term = status.term,
        commit = status.commit,
        applied = status.applied,
        last = status.last,
        keys = status.keys,
        address = address(status.leader),
    );
    if let [Some(pilot), copilot] = front.replica.pilots() {
        let (pilot, copilot) = (address(Some(pilot)), address(copilot));
        write!(
            text,
            "pilot_address:{pilot}\r\ncopilot_address:{copilot}\r\n"
        )
        .expect("a string takes all text");
    }
    text.push_str("# Waits\r\n");
    for wait in front.env.trace().counts() {
        let label = wait.label.replace(' ', "_");
        write!(
            text,
            "{label}:on={on},count={count}\r\n",
            on = wait.on,
            count = wait.count
        )
        .expect("a string takes all text");
    }
    text
}
