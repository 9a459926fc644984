use std::collections::BTreeMap;

use vocab::problem::nearest;

use super::groups::Groups;
use super::machine::Machine;
use crate::experiment::Diagnostic;
use crate::experiment::document::{Entry, Key, Node, Value};

/// Groups, and the role that they give.
const ROLES: [(&str, &str); 2] = [("servers", "server"), ("clients", "client")];

/// The fields of an `ssh` cluster.
pub(super) fn fields(groups: &Groups, root: &Node, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut roles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (group, role) in ROLES {
        let hosts = groups.hosts(group);
        if hosts.is_empty() {
            problems.push(nobody(groups, root, group, role));
        }
        for host in hosts {
            roles.entry(host).or_default().push(role);
        }
    }
    let (mut nodes, mut configuration) = (Vec::new(), None::<Node>);
    for (host, roles) in roles {
        let machine = Machine {
            key: groups.key(host),
            variables: groups.variables(host),
        };
        nodes.push(machine.node(&roles));
        problems.extend(machine.problems());
        match (machine.configuration(), &configuration) {
            (Ok(None), _) => {}
            (Ok(Some(given)), None) => configuration = Some(given),
            (Ok(Some(given)), Some(before)) if given.text() == before.text() => {}
            (Ok(Some(given)), Some(_)) => problems.push(Diagnostic::new(
                given.place,
                "another configuration of ssh than for other hosts, expected one for all",
            )),
            (Err(problem), _) => problems.push(problem),
        }
    }
    let nodes = Node {
        place: root.place,
        value: Value::List(nodes),
    };
    let entry = |text: &str, node: Node| Entry {
        key: Key {
            place: node.place,
            text: text.to_owned(),
        },
        node,
    };
    let configuration = configuration.map(|file| entry("config", file));
    [entry("nodes", nodes)]
        .into_iter()
        .chain(configuration)
        .collect()
}

/// A group that must have hosts has none.
fn nobody(groups: &Groups, root: &Node, group: &str, role: &str) -> Diagnostic {
    let place = root
        .entries()
        .first()
        .map_or(root.place, |first| first.key.place);
    if groups.has(group) {
        return Diagnostic::new(
            place,
            format!("the group `{group}` has no host, expected the {role}s"),
        );
    }
    let problem = Diagnostic::new(
        place,
        format!("there is no group `{group}`, expected the {role}s in it"),
    );
    match nearest(
        group,
        groups
            .names()
            .filter(|name| ROLES.iter().all(|(known, _)| known != name)),
    ) {
        Some(near) => problem.help(format!("the inventory has `{near}`: is that meant?")),
        None => problem,
    }
}
