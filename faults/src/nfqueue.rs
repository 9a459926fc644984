//! Kernel packet queues (NFQUEUE), as much of them as delaying packets needs.
//!
//! Written here over a raw netlink socket because the `nfq` crate (0.2.5) has no batch verdict: one message to the
//! kernel can release every packet up to an id, which is what keeps a delay of 100,000 packets a second cheap.

mod queue;
mod statistics;
mod wire;

pub(crate) use queue::{Packet, PacketBuffer, PacketId, Queue, Verdicts};
pub(crate) use statistics::statistics;
pub(crate) use wire::Content;
