use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Handle, Parent};
use crate::links::LinkName;
use crate::tool::{Call, Program};

/// The hook for what leaves a link, before its qdisc, as the kernel counts.
pub const EGRESS: u32 = 0xffff_fff3;

/// The place of a filter of ours in the order of filters: from `db00` to `dbff`, depbench's tag on filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Preference(u8);

impl Preference {
    /// Number `number` of our 256.
    pub const fn ours(number: u8) -> Preference {
        Preference(number)
    }

    /// As the kernel counts.
    pub fn raw(self) -> u16 {
        0xdb00 | u16::from(self.0)
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(f)
    }
}

/// Where a filter is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// To a qdisc of ours, for which it chooses classes.
    Qdisc(Handle),
    /// Before whatever qdisc the link has, to what leaves it; see [`add_clsact`].
    Egress,
}

/// Which packets a filter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// All of IP version 4.
    Version4,
    /// All of IP version 6.
    Version6,
    /// Those to this host.
    To(IpAddr),
    /// Those of TCP connections of this own address and port with this host, both addresses of one version.
    Service(SocketAddr, IpAddr),
}

/// What becomes of a packet that a filter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as if there were no filter.
    Pass,
    /// It goes into this class.
    Class(Parent),
    /// It leaves through another link instead.
    Redirect(LinkName),
}

/// Takes some packets out of what leaves a link. Of several filters the first that takes a packet decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its place among the filters; filters of one place must be of one IP version.
    pub preference: Preference,
    /// Which packets.
    pub matches: Match,
    /// What becomes of them.
    pub verdict: Verdict,
}

impl Match {
    fn is_version_6(self) -> bool {
        match self {
            Match::Version4 => false,
            Match::Version6 => true,
            Match::To(address) => address.is_ipv6(),
            Match::Service(local, _) => local.is_ipv6(),
        }
    }

    fn arguments(self) -> Vec<String> {
        let ip = if self.is_version_6() { "ip6" } else { "ip" };
        let part = |what: &str, value: &str| {
            let words = ["match", ip, what].map(str::to_owned);
            words
                .into_iter()
                .chain(value.split(' ').map(str::to_owned))
                .collect::<Vec<_>>()
        };
        match self {
            Match::Version4 | Match::Version6 => {
                ["match", "u32", "0", "0"].map(str::to_owned).to_vec()
            }
            Match::To(address) => part("dst", &host(address)),
            Match::Service(local, remote) => [
                part("protocol", "6 0xff"),
                part("src", &host(local.ip())),
                part("dst", &host(remote)),
                part("sport", &format!("{} 0xffff", local.port())),
            ]
            .concat(),
        }
    }
}

fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}/32"),
        IpAddr::V6(address) => format!("{address}/128"),
    }
}

/// Adds a filter to what leaves a link.
pub fn add_filter(device: &LinkName, attach: Attach, filter: &Filter) -> Call {
    let call = Call::new(Program::Tc).args(["filter", "add", "dev", device.as_str()]);
    let call = match attach {
        Attach::Qdisc(handle) => call.args(["parent", &handle.to_string()]),
        Attach::Egress => call.args(["egress"]),
    };
    let version = match filter.matches.is_version_6() {
        true => "ipv6",
        false => "ip",
    };
    let call = call
        .args(["protocol", version, "pref", &filter.preference.to_string()])
        .args(["u32"])
        .args(filter.matches.arguments());
    // A filter takes a packet only if it has a class to name; without a qdisc that knows it, the class means nothing.
    let nowhere = "1:1";
    match (&filter.verdict, attach) {
        (Verdict::Pass, Attach::Egress) => call.args(["flowid", nowhere]),
        (Verdict::Pass, Attach::Qdisc(handle)) => call.args(["flowid", &format!("{handle}0")]),
        (Verdict::Class(class), _) => call.args(["flowid", &class.to_string()]),
        (Verdict::Redirect(link), _) => call.args(["flowid", nowhere, "action"]).args([
            "mirred",
            "egress",
            "redirect",
            "dev",
            link.as_str(),
        ]),
    }
}

/// Adds the place where filters can be attached before a link's qdisc. Fails if it is there already, which is fine.
pub fn add_clsact(device: &LinkName) -> Call {
    Call::new(Program::Tc).args(["qdisc", "add", "dev", device.as_str(), "clsact"])
}

/// Shows the filters before a link's qdisc, of what leaves it and of what comes in; empty if there are none.
pub fn show_filters(device: &LinkName) -> [Call; 2] {
    ["egress", "ingress"]
        .map(|hook| Call::new(Program::Tc).args(["filter", "show", "dev", device.as_str(), hook]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(attach: Attach, matches: Match, verdict: Verdict) -> String {
        let filter = Filter {
            preference: Preference::ours(2),
            matches,
            verdict,
        };
        add_filter(&"eth0".parse().unwrap(), attach, &filter).to_string()
    }

    #[test]
    fn a_service_is_spared_for_a_host() {
        let service = Match::Service("10.0.0.2:22".parse().unwrap(), "10.0.0.9".parse().unwrap());
        assert_eq!(
            written(Attach::Qdisc(Handle::ours(16)), service, Verdict::Pass),
            "tc filter add dev eth0 parent db10: protocol ip pref 56066 u32 match ip protocol 6 0xff \
             match ip src 10.0.0.2/32 match ip dst 10.0.0.9/32 match ip sport 22 0xffff \
             flowid db10:0"
        );
    }

    #[test]
    fn a_host_of_version_6_goes_into_a_class() {
        let class = Parent::Class {
            of: Handle::ours(16),
            minor: 1,
        };
        assert_eq!(
            written(
                Attach::Qdisc(Handle::ours(16)),
                Match::To("fd00::2".parse().unwrap()),
                Verdict::Class(class)
            ),
            "tc filter add dev eth0 parent db10: protocol ipv6 pref 56066 u32 match ip6 dst fd00::2/128 flowid db10:1"
        );
    }

    #[test]
    fn before_the_qdisc_packets_are_sent_elsewhere() {
        let elsewhere = Verdict::Redirect("db-7f-0".parse().unwrap());
        assert_eq!(
            written(Attach::Egress, Match::Version4, elsewhere),
            "tc filter add dev eth0 egress protocol ip pref 56066 u32 match u32 0 0 flowid 1:1 \
             action mirred egress redirect dev db-7f-0"
        );
        let spared = Match::To("10.0.0.9".parse().unwrap());
        assert_eq!(
            written(Attach::Egress, spared, Verdict::Pass),
            "tc filter add dev eth0 egress protocol ip pref 56066 u32 match ip dst 10.0.0.9/32 flowid 1:1"
        );
    }
}
