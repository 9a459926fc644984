//! What is on disk, through crashes and damage: simulated disks for what chance may do, real ones for what kernels do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test damages files behind the storage's back"
)]
#![expect(
    clippy::disallowed_types,
    reason = "a test is a client as well, in a thread of its own"
)]

mod damage;
mod lives;
mod model;
mod snapshots;
mod space;
