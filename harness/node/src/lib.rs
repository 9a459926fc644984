//! What touches a Linux node: cgroups, namespaces, links, procfs, the undo journal, the guardian.
//!
//! - [`facts`]: what this node is and can do, found out without side effects;
//! - [`journal`]: before any change its undo is on disk; [`journal::heal`] restores after a crash;
//! - [`guardian`]: the process that outlives an agent and heals after it;
//! - [`cgroup`]: a node's budget, its server, contention and client groups, limits and usage (v1 and v2);
//! - [`netns`], [`links`]: network namespaces by descriptor, veth pairs, addresses, routes;
//! - [`loopdisk`], [`extradisk`], [`blockdev`]: a disk of its own for a node, and which disk a directory lies on; [`swapdisk`];
//! - [`devmapper`]: a device over a disk that delays;
//! - [`procfs`]: usage counters of processes, networks and the machine;
//! - [`tool`]: typed command lines of `tc` and `iptables`;
//! - [`identity`], [`namespace`], [`tag`]: how processes, namespaces and our own things are told apart.

pub mod blockdev;
pub mod cgroup;
pub mod devmapper;
pub mod extradisk;
pub mod facts;
pub mod guardian;
pub mod identity;
pub mod journal;
pub mod links;
pub mod loopdisk;
pub mod namespace;
pub mod netns;
pub mod procfs;
pub mod swapdisk;
pub mod tag;
pub mod tool;
