//! DepFast-Raft as users of Redis meet it: redis-cli, redis-benchmark, and two libraries that know Redis Cluster, unchanged.
//!
//! What is not installed here is skipped, with the reason printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "other tests use the rest of what is shared")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the test is the world outside of the environment"
)]

#[path = "../processes/client.rs"]
mod client;
#[path = "../processes/group.rs"]
mod group;
mod python;
mod rust;
mod sessions;
mod tools;

/// Not a test of its own: the other tests start this executable again to be a replica.
#[test]
fn replica_process() {
    group::become_replica_if_asked();
}
