//! A flow as rules of the packet filter and as filters of traffic control: in order, the first that fits decides.

use std::net::IpAddr;

use node::tool::iptables::Version;
use node::tool::tc::{Filter, Match, Preference, Verdict};

use super::{Connection, Flow, Peers};

/// What becomes of packets that a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The fault does not touch them.
    Spared,
    /// The fault is about them.
    Hit,
}

/// Which packets a rule fits, by who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// All.
    Any,
    /// A host.
    Host(IpAddr),
    /// A host's connections to where one of them goes: whoever comes to heal has a new one.
    Control(Connection),
}

/// Whether packets leave the node or arrive there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the node.
    Out,
    /// To the node.
    In,
}

/// One rule of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    subject: Subject,
    pub(crate) fate: Fate,
}

impl Flow {
    /// Its rules for one version of IP.
    pub(crate) fn rules(&self, version: Version) -> Vec<Rule> {
        let of = |address: &IpAddr| address.is_ipv6() == (version == Version::V6);
        let rule = |fate| move |subject| Rule { subject, fate };
        let control = self.control.iter().filter(|c| of(&c.local.ip()));
        let spared = control
            .map(|connection| Subject::Control(*connection))
            .chain(
                self.exempt
                    .iter()
                    .filter(|a| of(a))
                    .copied()
                    .map(Subject::Host),
            );
        let hit: Vec<Subject> = match &self.peers {
            Peers::Everyone => vec![Subject::Any],
            Peers::Only(peers) => peers
                .iter()
                .filter(|a| of(a))
                .copied()
                .map(Subject::Host)
                .collect(),
        };
        spared
            .map(rule(Fate::Spared))
            .chain(hit.into_iter().map(rule(Fate::Hit)))
            .collect()
    }

    /// Its filters of traffic control, for what leaves the node: `hit` becomes of what the fault is about. Each version of
    /// IP has a place of its own.
    pub(crate) fn filters(&self, places: [Preference; 2], hit: &Verdict) -> Vec<Filter> {
        let versions = [Version::V4, Version::V6].into_iter().zip(places);
        let of_version = |(version, preference)| {
            self.rules(version).into_iter().map(move |rule| Filter {
                preference,
                matches: rule.matches(version),
                verdict: match rule.fate {
                    Fate::Spared => Verdict::Pass,
                    Fate::Hit => hit.clone(),
                },
            })
        };
        versions.flat_map(of_version).collect()
    }
}

impl Rule {
    /// As what the packet filter matches on what goes this way.
    pub(crate) fn arguments(&self, way: Way) -> Vec<String> {
        let (to, from) = match way {
            Way::Out => ("-d", "-s"),
            Way::In => ("-s", "-d"),
        };
        let from_port = match way {
            Way::Out => "--sport",
            Way::In => "--dport",
        };
        match self.subject {
            Subject::Any => Vec::new(),
            Subject::Host(address) => vec![to.to_owned(), address.to_string()],
            Subject::Control(Connection { local, remote }) => [
                ["-p", "tcp", to].map(str::to_owned).to_vec(),
                vec![remote.ip().to_string(), from.to_owned()],
                vec![local.ip().to_string(), from_port.to_owned()],
                vec![local.port().to_string()],
            ]
            .concat(),
        }
    }

    fn matches(self, version: Version) -> Match {
        match (self.subject, version) {
            (Subject::Any, Version::V4) => Match::Version4,
            (Subject::Any, Version::V6) => Match::Version6,
            (Subject::Host(address), _) => Match::To(address),
            (Subject::Control(Connection { local, remote }), _) => {
                Match::Service(local, remote.ip())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            peers: Peers::Only(vec![
                "10.0.0.3".parse().unwrap(),
                "fd00::3".parse().unwrap(),
            ]),
            exempt: vec!["10.0.0.9".parse().unwrap()],
            control: vec![Connection {
                local: "10.0.0.2:22".parse().unwrap(),
                remote: "10.0.0.3:51000".parse().unwrap(),
            }],
        }
    }

    fn words(version: Version, way: Way) -> Vec<(String, Fate)> {
        let rules = flow().rules(version);
        let words = |rule: &Rule| (rule.arguments(way).join(" "), rule.fate);
        rules.iter().map(words).collect()
    }

    #[test]
    fn what_is_spared_comes_before_what_is_hit() {
        let expected = [
            ("-p tcp -d 10.0.0.3 -s 10.0.0.2 --sport 22", Fate::Spared),
            ("-d 10.0.0.9", Fate::Spared),
            ("-d 10.0.0.3", Fate::Hit),
        ];
        let expected = expected.map(|(text, fate)| (text.to_owned(), fate));
        assert_eq!(words(Version::V4, Way::Out), expected);
        let v6 = [("-s fd00::3".to_owned(), Fate::Hit)];
        assert_eq!(words(Version::V6, Way::In), v6);
        let back = &words(Version::V4, Way::In)[0].0;
        assert_eq!(back, "-p tcp -s 10.0.0.3 -d 10.0.0.2 --dport 22");
    }

    #[test]
    fn filters_keep_the_versions_apart() {
        let both = [Preference::ours(4), Preference::ours(6)];
        let [first, second] = both;
        let filters = flow().filters(both, &Verdict::Redirect("db-x".parse().unwrap()));
        let places: Vec<Preference> = filters.iter().map(|filter| filter.preference).collect();
        assert_eq!(places, [first, first, first, second]);
        assert_eq!(filters[1].verdict, Verdict::Pass);
        let everyone = Flow::default().filters(both, &Verdict::Pass);
        let all: Vec<Match> = everyone.iter().map(|filter| filter.matches).collect();
        assert_eq!(all, [Match::Version4, Match::Version6]);
    }
}
