//! What is wrong between the parts of an experiment; each part has checked itself before.

use std::collections::BTreeMap;

use faults::{FaultSpec, FaultType, Place};
use targets::Target;
use vocab::ids::{NodeName, Phase, Role};
use vocab::problem::{FieldPath, Problems, nearest};
use vocab::units::Span;
use workloads::DriverKind;

use super::{Spec, expectations};

/// Checks the experiment for one of its targets.
pub(super) fn check(spec: &Spec, target: usize, problems: &mut Problems) {
    names(spec, problems);
    clients(spec, problems);
    let Some(target) = spec.targets.get(target) else {
        return;
    };
    let members = Members {
        target: target.target(),
        count: target.target().members(spec.cluster.servers()),
        servers: spec.cluster.server_names(),
    };
    for (index, fault) in spec.faults.iter().enumerate() {
        let at = FieldPath::root().key("faults").index(index);
        during(spec, fault, &at, problems);
        place(spec, &fault.on, &members, &at.key("on"), problems);
        restart(fault, members.target, &at.key("type"), problems);
    }
    size(spec, &members, problems);
    majority(spec, &members, problems);
    sessions(spec, members.target, problems);
    expectations::check(spec, problems);
}

/// The target must be able to run on so many servers.
fn size(spec: &Spec, members: &Members, problems: &mut Problems) {
    if let Some(objection) = members.target.objection_to(members.count) {
        problems.add(spec.cluster.servers_at(), objection);
    }
}

/// A member that is started again must know what it has promised.
fn restart(fault: &FaultSpec, target: &dyn Target, at: &FieldPath, problems: &mut Problems) {
    if matches!(fault.kind, FaultType::ProcessKill(_)) && target.forgets() {
        problems.add_with_help(
            at.clone(),
            format!(
                "a member of `{}` that keeps its log in memory only is started again without it: the group may lose \
                 acknowledged writes",
                target.name()
            ),
            format!("give the target a log on disk: `{{{}: {{durability: fsync}}}}`", target.name()),
        );
    }
}

fn sessions(spec: &Spec, target: &dyn Target, problems: &mut Problems) {
    let has_them = target.has_sessions() || target.driver() == DriverKind::Pilots;
    if spec.workload.exactly_once && !has_them {
        problems.add_with_help(
            FieldPath::root().key("workload").key("exactly_once"),
            format!("`{}` has no sessions", target.name()),
            "only with the built-in systems can a request be sent again and take effect once",
        );
    }
}

/// The members of a target on the cluster: its first servers.
struct Members<'a> {
    target: &'a dyn Target,
    count: usize,
    servers: Vec<String>,
}

impl Members<'_> {
    fn names(&self) -> Vec<String> {
        self.servers[..self.count].to_vec()
    }

    fn list(&self) -> String {
        match self.names().as_slice() {
            [one] => one.clone(),
            [first, .., last] => format!("{first} to {last}"),
            [] => "nobody".to_owned(),
        }
    }
}

/// Every client node has a part of the load.
fn clients(spec: &Spec, problems: &mut Problems) {
    let nodes = spec.cluster.clients();
    let workload = &spec.workload;
    for (key, number) in [
        ("clients", workload.clients),
        ("connections", workload.connections),
    ] {
        if (number.get() as usize) < nodes {
            problems.add_with_help(
                FieldPath::root().key("workload").key(key),
                format!("{number} {key} cannot be dealt out to {nodes} client nodes"),
                format!("every client node needs at least one: raise `{key}`"),
            );
        }
    }
}

fn names(spec: &Spec, problems: &mut Problems) {
    let mut targets = BTreeMap::new();
    for (index, target) in spec.targets.iter().enumerate() {
        let name = target.target().name();
        if targets.insert(name, index).is_some() {
            problems.add_with_help(
                FieldPath::root().key("targets").index(index),
                format!("`{name}` is a target twice"),
                "to compare settings of one target, sweep them: `sweep: {targets.NAME.SETTING: […]}`",
            );
        }
    }
    let mut faults = BTreeMap::new();
    for (index, fault) in spec.faults.iter().enumerate() {
        let at = FieldPath::root().key("faults").index(index);
        if faults.insert(&fault.name, index).is_some() {
            problems.add_with_help(
                at.key("name"),
                format!("two faults are named `{}`", fault.name),
                "a fault goes by its name in sweeps, tables and figures",
            );
        }
        let same = |other: &&FaultSpec| {
            other.kind.excludes(&fault.kind)
                && other.on == fault.on
                && other.during == fault.during
                && overlap(spec, other, fault)
        };
        if let Some(other) = spec.faults[..index].iter().find(same) {
            problems.add(
                at.key("type"),
                match other.kind.name() == fault.kind.name() {
                    true => format!(
                        "`{}` and `{}` are both {} at the same place and time",
                        other.name,
                        fault.name,
                        fault.kind.name()
                    ),
                    false => format!(
                        "`{}` ({}) and `{}` ({}) set the same limits at the same place and time, expected one of them",
                        other.name,
                        other.kind.name(),
                        fault.name,
                        fault.kind.name()
                    ),
                },
            );
        }
    }
}

/// Whether two faults of the same phase may be in together.
fn overlap(spec: &Spec, one: &FaultSpec, other: &FaultSpec) -> bool {
    let Some(phase) = spec.phases.length(one.during) else {
        return true;
    };
    let whole = |fault: &FaultSpec| {
        let begin = fault.at.duration();
        let length = fault.length.unwrap_or(phase).duration();
        (begin, begin.saturating_add(length))
    };
    let ((begin, end), (other_begin, other_end)) = (whole(one), whole(other));
    begin < other_end && other_begin < end
}

fn during(spec: &Spec, fault: &FaultSpec, at: &FieldPath, problems: &mut Problems) {
    match spec.phases.length(fault.during) {
        Some(length) => within(spec, fault, length, at, problems),
        None => {
            problems.add_with_help(
                at.key("during"),
                format!(
                    "`{}` is to be in during `{}`, which is no phase of this experiment",
                    fault.name, fault.during
                ),
                format!("add `{}: 15s` to `phases`", fault.during),
            );
        }
    }
}

/// The phase must have room for the fault.
fn within(spec: &Spec, fault: &FaultSpec, phase: Span, at: &FieldPath, problems: &mut Problems) {
    if spec.phases.paired.is_some() && fault.during == Phase::Fault {
        if !fault.is_plain() {
            problems.add_with_help(
                at.clone(),
                format!("the windows of `paired` say when `{}` is in", fault.name),
                "leave out `at`, `for` and `schedule`, or `paired`",
            );
        }
    } else if let Some(reason) = fault.exceeds(phase) {
        problems.add_with_help(
            at.clone(),
            reason,
            format!("make `phases.{}` longer", fault.during),
        );
    }
}

fn place(spec: &Spec, on: &Place, members: &Members, at: &FieldPath, problems: &mut Problems) {
    if let Some(node) = &on.node {
        server(spec, node, members, &at.key("node"), problems);
    }
    if let Some(link) = &on.link {
        let at = at.key("link");
        server(spec, &link.from, members, &at.key("from"), problems);
        if !is_client(spec, &link.to) {
            server(spec, &link.to, members, &at.key("to"), problems);
        }
    }
    if let Some(role) = on.role {
        let roles = members.target.roles();
        let is_single = |held: &&Role| {
            matches!(held, Role::Leader | Role::Pilot | Role::Copilot) && **held != role
        };
        let least = roles.iter().filter(is_single).count();
        let most = match role {
            Role::Follower => members.count.saturating_sub(least),
            Role::Leader | Role::Pilot | Role::Copilot | Role::Client => 1,
        };
        let wanted = on.count.of(members.count);
        if !roles.contains(&role) {
            let known: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
            problems.add(
                at.key("role"),
                format!(
                    "{} has no {role}, only {}",
                    members.target.name(),
                    known.join(" and ")
                ),
            );
        } else if wanted > most {
            problems.add(
                at.key("count"),
                format!(
                    "{wanted} of role {role} are to be hit, but {} on {} has at most {most}",
                    members.target.name(),
                    members.list()
                ),
            );
        } else if wanted == 0 {
            problems.add(
                at.key("count"),
                format!("a minority of {} is nobody", members.list()),
            );
        }
    }
}

/// A node by name must run a member.
fn server(
    spec: &Spec,
    node: &NodeName,
    members: &Members,
    at: &FieldPath,
    problems: &mut Problems,
) {
    let names = members.names();
    if !names.iter().any(|name| name == node.as_str()) {
        let near = nearest(node.as_str(), names.iter().map(String::as_str));
        let (message, help) = match (is_client(spec, node), near) {
            (true, _) => (
                format!("`{node}` drives the load: it would measure its own fault"),
                format!("faults go on servers, {}", members.list()),
            ),
            (false, near) => (
                format!(
                    "there is no server `{node}`, {} runs on {}",
                    members.target.name(),
                    members.list()
                ),
                near.map_or_else(
                    || "the nodes of a cluster are named by their number".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ),
            ),
        };
        problems.add_with_help(at.clone(), message, help);
    }
}

fn is_client(spec: &Spec, node: &NodeName) -> bool {
    spec.cluster
        .client_names()
        .iter()
        .any(|name| name == node.as_str())
}

/// All faults together must leave a majority of members alone.
fn majority(spec: &Spec, members: &Members, problems: &mut Problems) {
    // A single server is an upper bound to measure against, not a quorum to protect.
    if members.count <= 1 {
        return;
    }
    let minority = (members.count - 1) / 2;
    let mut named: Vec<&NodeName> = Vec::new();
    let mut by_role: BTreeMap<Role, usize> = BTreeMap::new();
    for (index, fault) in spec.faults.iter().enumerate() {
        if fault.on.allow_majority {
            continue;
        }
        let link = fault.on.link.as_ref().map(|link| &link.from);
        match (fault.on.node.as_ref().or(link), fault.on.role) {
            (Some(node), _) if !named.contains(&node) => named.push(node),
            (None, Some(role)) => {
                let most = by_role.entry(role).or_default();
                *most = fault.on.count.of(members.count).max(*most);
            }
            _ => {}
        }
        let hit = named.len() + by_role.values().sum::<usize>();
        if hit > minority {
            problems.add_with_help(
                FieldPath::root().key("faults").index(index).key("on"),
                format!(
                    "up to {hit} of {} servers become slow, more than a minority ({minority})",
                    members.count
                ),
                "a quorum tolerates a minority; write `allow_majority: true` if more is meant",
            );
            return;
        }
    }
}
