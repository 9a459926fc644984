//! Command lines of `tc`.

mod filter;
mod shaper;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vocab::units::Share;

pub use filter::{
    Attach, EGRESS, Filter, Match, Preference, Verdict, add_clsact, add_filter, show_filters,
};
pub use shaper::{Netem, Spread, Tbf};

use super::{Call, Program};
use crate::links::LinkName;

/// The handle of a qdisc of ours: major numbers `db00` to `dbff` are depbench's tag on qdiscs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(u8);

impl Handle {
    /// Number `number` of our 256 handles.
    pub const fn ours(number: u8) -> Handle {
        Handle(number)
    }

    /// As the kernel counts: the major number in the upper half.
    pub fn raw(self) -> u32 {
        (0xdb00 | u32::from(self.0)) << 16
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:", self.raw() >> 16)
    }
}

/// Where a qdisc is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parent {
    /// The link's own queue.
    Root,
    /// Class `minor` of a qdisc of ours.
    Class {
        /// The qdisc.
        of: Handle,
        /// The class's minor number.
        minor: u16,
    },
}

impl Parent {
    /// As the kernel counts.
    pub fn raw(self) -> u32 {
        match self {
            Parent::Root => u32::MAX,
            Parent::Class { of, minor } => of.raw() | u32::from(minor),
        }
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Parent::Root => vec!["root".to_owned()],
            Parent::Class { .. } => vec!["parent".to_owned(), self.to_string()],
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parent::Root => f.write_str("root"),
            Parent::Class { of, minor } => write!(f, "{of}{minor:x}"),
        }
    }
}

/// A queueing discipline that a fault puts on a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Qdisc {
    /// Delay, loss.
    Netem(Netem),
    /// Rate.
    Tbf(Tbf),
    /// Classes. What no filter puts into a class of it passes unhindered.
    Htb,
}

impl Qdisc {
    fn arguments(&self) -> Vec<String> {
        match self {
            Qdisc::Netem(netem) => netem.arguments(),
            Qdisc::Tbf(tbf) => tbf.arguments(),
            Qdisc::Htb => ["htb", "default", "0"].map(str::to_owned).to_vec(),
        }
    }
}

/// Adds `qdisc` to a link. Fails if something other than the default is there.
pub fn add(device: &LinkName, parent: Parent, handle: Handle, qdisc: &Qdisc) -> Call {
    with("add", device, parent, handle).args(qdisc.arguments())
}

/// Changes the parameters of a qdisc that [`add`] made.
pub fn change(device: &LinkName, parent: Parent, handle: Handle, qdisc: &Qdisc) -> Call {
    with("change", device, parent, handle).args(qdisc.arguments())
}

/// Adds class `minor` to an htb qdisc of ours; it slows nothing down itself.
pub fn add_class(device: &LinkName, of: Handle, minor: u16) -> Call {
    let class = Parent::Class { of, minor }.to_string();
    // The quantum only keeps the kernel from warning that it guesses a bad one.
    let rate = ["htb", "rate", "100gbit", "quantum", "200000"];
    Call::new(Program::Tc)
        .args(["class", "add", "dev", device.as_str(), "parent"])
        .args([of.to_string(), "classid".to_owned(), class])
        .args(rate)
}

/// Shows the qdiscs of a link with their counters, as JSON.
pub fn show(device: &LinkName) -> Call {
    Call::new(Program::Tc).args(["-s", "-j", "qdisc", "show", "dev", device.as_str()])
}

fn with(verb: &str, device: &LinkName, parent: Parent, handle: Handle) -> Call {
    Call::new(Program::Tc)
        .args(["qdisc", verb, "dev", device.as_str()])
        .args(parent.arguments())
        .args(["handle", &handle.to_string()])
}

fn micros(duration: Duration) -> String {
    format!("{}us", duration.as_micros())
}

fn percent(share: Share) -> String {
    format!("{:.6}%", share.fraction() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hang_below_a_qdisc_of_ours() {
        let link: LinkName = "eth0".parse().unwrap();
        let calls = [
            add(&link, Parent::Root, Handle::ours(16), &Qdisc::Htb),
            add_class(&link, Handle::ours(16), 1),
            show(&link),
        ];
        assert_eq!(
            calls.map(|call| call.to_string()),
            [
                "tc qdisc add dev eth0 root handle db10: htb default 0",
                "tc class add dev eth0 parent db10: classid db10:1 htb rate 100gbit quantum 200000",
                "tc -s -j qdisc show dev eth0",
            ]
        );
    }
}
