//! The answer to INFO.

use std::fmt::Write;

use super::Front;

/// The sections of INFO. `role`, `leader`, `term` and `commit` are what depbench polls.
pub(super) fn text(front: &Front) -> String {
    let status = front.replica.status();
    let leader = status
        .leader
        .map(|leader| leader.0.to_string())
        .unwrap_or_default();
    let address = status
        .leader
        .and_then(|leader| front.addresses.get(&leader))
        .map_or("", String::as_str);
    let mut text = format!(
        "# Server\r\nredis_mode:cluster\r\n\
         # Replication\r\nid:{id}\r\nrole:{role}\r\nleader:{leader}\r\nleader_address:{address}\r\nterm:{term}\r\n\
         commit:{commit}\r\napplied:{applied}\r\nlast:{last}\r\n\
         # Keyspace\r\nkeys:{keys}\r\n\
         # Waits\r\n",
        id = status.id.0,
        role = status.role,
        term = status.term,
        commit = status.commit,
        applied = status.applied,
        last = status.last,
        keys = status.keys,
    );
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
