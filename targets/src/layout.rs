use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use vocab::ids::NodeName;

/// Where the members of a target run.
#[derive(Debug, Clone)]
pub struct Layout {
    /// One per member, in the order of their ids.
    pub members: Vec<MemberAddress>,
    /// The depbench program as the nodes know it.
    pub program: PathBuf,
}

/// One member's node.
#[derive(Debug, Clone)]
pub struct MemberAddress {
    /// The node that it runs on.
    pub node: NodeName,
    /// The address at which the other nodes reach it.
    pub ip: IpAddr,
    /// An empty directory on the node, on the disk that the experiment measures.
    pub data: PathBuf,
}

/// What to start on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    /// Program and arguments; never seen by a shell.
    pub argv: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
}

impl MemberPlan {
    /// A program with arguments and nothing added to its environment.
    pub(crate) fn of(argv: Vec<String>) -> MemberPlan {
        MemberPlan {
            argv,
            env: BTreeMap::new(),
        }
    }
}

impl MemberAddress {
    /// A directory of its own below the member's data, as text for an argument.
    pub(crate) fn data(&self, sub: &str) -> String {
        self.data.join(sub).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
pub(crate) fn example(members: usize) -> Layout {
    Layout {
        members: (1..=members)
            .map(|i| MemberAddress {
                node: format!("s{i}").parse().unwrap(),
                ip: IpAddr::from([10, 0, 0, i as u8]),
                data: "/data".into(),
            })
            .collect(),
        program: "/opt/depbench".into(),
    }
}
