//! Command lines of `tc`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vocab::units::{ByteRate, Share};

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
            Parent::Class { of, minor } => vec!["parent".to_owned(), format!("{of}{minor:x}")],
        }
    }
}

/// What netem does to packets that leave through a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Netem {
    /// One-way delay.
    pub delay: Duration,
    /// Deviation of the delay; zero for none.
    pub jitter: Duration,
    /// Packets dropped.
    pub loss: Share,
    /// Packets it holds at most; more are dropped, so it must exceed rate times delay.
    pub limit: u32,
}

impl Netem {
    /// A pure delay whose queue holds what 10 Gbit/s of full-size packets puts into it, and at least 10,000 packets.
    pub fn delay(delay: Duration, jitter: Duration) -> Netem {
        let packets_per_second = 10e9 / 8.0 / 1500.0;
        let held = packets_per_second * (delay + jitter).as_secs_f64() * 1.5;
        Netem {
            delay,
            jitter,
            loss: Share::NONE,
            limit: (held.ceil() as u32).max(10_000),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["netem".into(), "limit".into(), self.limit.to_string()];
        if !self.delay.is_zero() || !self.jitter.is_zero() {
            arguments.extend(["delay".into(), micros(self.delay)]);
        }
        if !self.jitter.is_zero() {
            arguments.push(micros(self.jitter));
        }
        if self.loss > Share::NONE {
            arguments.extend(["loss".into(), percent(self.loss)]);
        }
        arguments
    }
}

/// A token bucket: at most `rate` leaves a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tbf {
    /// The rate held.
    pub rate: ByteRate,
    /// Bytes that may leave at once.
    pub burst: u32,
    /// How long a packet may wait before it is dropped.
    pub latency: Duration,
}

impl Tbf {
    fn arguments(&self) -> Vec<String> {
        vec![
            "tbf".into(),
            "rate".into(),
            format!("{}bps", self.rate.per_second().0),
            "burst".into(),
            self.burst.to_string(),
            "latency".into(),
            micros(self.latency),
        ]
    }
}

/// A queueing discipline that a fault puts on a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Qdisc {
    /// Delay, loss.
    Netem(Netem),
    /// Rate.
    Tbf(Tbf),
}

/// Adds `qdisc` to a link. Fails if something other than the default is there.
pub fn add(device: &LinkName, parent: Parent, handle: Handle, qdisc: &Qdisc) -> Call {
    with("add", device, parent, handle).args(match qdisc {
        Qdisc::Netem(netem) => netem.arguments(),
        Qdisc::Tbf(tbf) => tbf.arguments(),
    })
}

/// Changes the parameters of a qdisc that [`add`] made.
pub fn change(device: &LinkName, parent: Parent, handle: Handle, qdisc: &Qdisc) -> Call {
    with("change", device, parent, handle).args(match qdisc {
        Qdisc::Netem(netem) => netem.arguments(),
        Qdisc::Tbf(tbf) => tbf.arguments(),
    })
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

    fn link() -> LinkName {
        "db-s1".parse().unwrap()
    }

    #[test]
    fn a_delay_holds_what_a_fast_link_puts_into_it() {
        let netem = Netem::delay(Duration::from_millis(40), Duration::from_micros(500));
        let call = add(&link(), Parent::Root, Handle::ours(1), &Qdisc::Netem(netem));
        assert_eq!(
            call.to_string(),
            "tc qdisc add dev db-s1 root handle db01: netem limit 50625 delay 40000us 500us"
        );
    }

    #[test]
    fn a_loss_within_a_class_is_written_as_such() {
        let netem = Netem {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: "2.5%".parse().unwrap(),
            limit: 1000,
        };
        let parent = Parent::Class {
            of: Handle::ours(0),
            minor: 18,
        };
        let call = change(&link(), parent, Handle::ours(255), &Qdisc::Netem(netem));
        assert_eq!(
            call.to_string(),
            "tc qdisc change dev db-s1 parent db00:12 handle dbff: netem limit 1000 loss 2.500000%"
        );
    }

    #[test]
    fn a_rate_is_in_bytes() {
        let tbf = Tbf {
            rate: "128KB/s".parse().unwrap(),
            burst: 16_000,
            latency: Duration::from_millis(50),
        };
        let call = add(&link(), Parent::Root, Handle::ours(7), &Qdisc::Tbf(tbf));
        assert_eq!(
            call.to_string(),
            "tc qdisc add dev db-s1 root handle db07: tbf rate 128000bps burst 16000 latency 50000us"
        );
        assert_eq!(show(&link()).to_string(), "tc -s -j qdisc show dev db-s1");
    }
}
