//! Who is what at the moment, by the members' own accounts.

use std::collections::BTreeMap;

use targets::Status;
use vocab::ids::{NodeName, Role};

/// The latest account of each member.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    latest: BTreeMap<NodeName, Status>,
    leader: Option<NodeName>,
}

/// The cluster is led by another member than before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeaderChange {
    pub(crate) from: Option<NodeName>,
    pub(crate) to: NodeName,
    pub(crate) term: Option<u64>,
}

impl Roles {
    /// Takes a member's account; `None` if it did not answer, which leaves its role as it was last known.
    pub(crate) fn update(
        &mut self,
        node: &NodeName,
        status: Option<Status>,
    ) -> Option<LeaderChange> {
        self.latest.insert(node.clone(), status?);
        let leader = self.leading()?.clone();
        if self.leader.as_ref() == Some(&leader) {
            return None;
        }
        let term = self.latest[&leader].term;
        let from = self.leader.replace(leader.clone());
        Some(LeaderChange {
            from,
            to: leader,
            term,
        })
    }

    /// Every member of `members` has answered that it is ready, and one of them orders the writes.
    pub(crate) fn settled(&self, members: &[NodeName]) -> bool {
        members
            .iter()
            .all(|node| self.latest.get(node).is_some_and(|status| status.ready))
            && self.leading().is_some()
    }

    /// Each of `members` with the role it last said it has, as faults want to know it when they choose their place.
    pub(crate) fn accounts(&self, members: &[NodeName]) -> Vec<(NodeName, Option<Role>)> {
        let leading = self.leading();
        let account = |node: &NodeName| {
            let role = self.latest.get(node).and_then(|status| status.role);
            // A deposed leader may not know it yet: only the newest term counts.
            let deposed = role == Some(Role::Leader) && leading != Some(node);
            (node.clone(), role.filter(|_| !deposed))
        };
        members.iter().map(account).collect()
    }

    /// What each member last said, for messages.
    pub(crate) fn describe(&self, members: &[NodeName]) -> String {
        let one = |node: &NodeName| match self.latest.get(node) {
            None => format!("{node}: no answer"),
            Some(Status {
                role: Some(role), ..
            }) => format!("{node}: {role}"),
            Some(_) => format!("{node}: no role"),
        };
        members.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn leading(&self) -> Option<&NodeName> {
        self.latest
            .iter()
            .filter(|(_, status)| matches!(status.role, Some(Role::Leader | Role::Pilot)))
            .max_by_key(|(_, status)| status.term)
            .map(|(node, _)| node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn status(role: Role, term: u64) -> Option<Status> {
        Some(Status {
            role: Some(role),
            term: Some(term),
            ready: true,
        })
    }

    #[test]
    fn a_deposed_leader_does_not_count() {
        let mut roles = Roles::default();
        let change = roles.update(&node("s1"), status(Role::Leader, 1)).unwrap();
        assert_eq!((change.from, change.to), (None, node("s1")));
        roles.update(&node("s2"), status(Role::Follower, 1));
        let change = roles.update(&node("s2"), status(Role::Leader, 2)).unwrap();
        assert_eq!(
            (change.from, change.to, change.term),
            (Some(node("s1")), node("s2"), Some(2))
        );
        let accounts = roles.accounts(&[node("s1"), node("s2")]);
        assert_eq!(
            accounts,
            [(node("s1"), None), (node("s2"), Some(Role::Leader))]
        );
    }

    #[test]
    fn a_silent_member_keeps_its_role_but_is_not_settled() {
        let mut roles = Roles::default();
        let members = [node("s1"), node("s2")];
        roles.update(&members[0], status(Role::Leader, 1));
        assert!(!roles.settled(&members));
        roles.update(&members[1], status(Role::Follower, 1));
        assert!(roles.settled(&members));
        assert_eq!(roles.update(&members[1], None), None);
        assert_eq!(roles.accounts(&members)[1].1, Some(Role::Follower));
    }
}
