use std::collections::{BTreeMap, BTreeSet};

use vocab::problem::nearest;

use crate::experiment::Diagnostic;
use crate::experiment::document::{Entry, Key, Meaning, Node, Value};

/// What a group may say.
const SECTIONS: [&str; 3] = ["hosts", "children", "vars"];

/// The group that every host and every group is in.
const ALL: &str = "all";

/// More hosts in one range are a mistake.
const MOST_HOSTS: u32 = 1000;

/// All groups and hosts of an inventory.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<String, Group>,
    /// By name, with the name as it stands and the variables of their own.
    hosts: BTreeMap<String, (Key, Vec<Entry>)>,
}

/// A group, from all places that speak of it.
#[derive(Default)]
struct Group {
    children: BTreeSet<String>,
    hosts: BTreeSet<String>,
    variables: Vec<Entry>,
}

impl Groups {
    /// Reads the tree of an inventory.
    pub(super) fn of(root: &Node, problems: &mut Vec<Diagnostic>) -> Groups {
        let mut groups = Groups::default();
        if !matches!(root.value, Value::Map(_)) {
            problems.push(Diagnostic::new(root.place, "expected a map of groups"));
        }
        for entry in root.entries() {
            groups.add(entry, problems);
        }
        groups
    }

    /// The names of all groups.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Whether there is such a group.
    pub(super) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The hosts of a group and of its children.
    pub(super) fn hosts(&self, group: &str) -> BTreeSet<&str> {
        let within = self.within(group);
        let groups = within.iter().filter_map(|name| self.groups.get(*name));
        groups
            .flat_map(|group| group.hosts.iter().map(String::as_str))
            .collect()
    }

    /// The name of a host where it stands first.
    pub(super) fn key(&self, host: &str) -> &Key {
        &self.hosts[host].0
    }

    /// The variables of a host: its own go before those of its groups, those of an inner group before an outer one's.
    pub(super) fn variables(&self, host: &str) -> BTreeMap<&str, &Entry> {
        let mut holders: Vec<(usize, &str)> = self
            .names()
            .filter(|group| *group == ALL || self.hosts(group).contains(host))
            .map(|group| (self.depth(group), group))
            .collect();
        holders.sort_unstable();
        let of_groups = holders
            .iter()
            .flat_map(|(_, group)| &self.groups[*group].variables);
        let own = &self.hosts[host].1;
        of_groups
            .chain(own)
            .map(|entry| (entry.key.text.as_str(), entry))
            .collect()
    }

    fn add(&mut self, entry: &Entry, problems: &mut Vec<Diagnostic>) {
        let name = &entry.key.text;
        self.groups.entry(name.clone()).or_default();
        if !is_map_or_nothing(&entry.node) {
            let problem = format!(
                "the group `{name}` is no map, expected one of {}",
                sections()
            );
            problems.push(Diagnostic::new(entry.node.place, problem));
        }
        for section in entry.node.entries() {
            let inner = &section.node;
            match section.key.text.as_str() {
                _ if !is_map_or_nothing(inner) => {
                    let problem = format!("`{}` is a map in YAML inventories", section.key.text);
                    let problem = Diagnostic::new(section.key.place, problem);
                    problems.push(problem.help("write `NAME: {}` for each, not `- NAME`"));
                }
                "hosts" => self.add_hosts(name, inner, problems),
                "children" => {
                    for child in inner.entries() {
                        self.group(name).children.insert(child.key.text.clone());
                        self.add(child, problems);
                    }
                }
                "vars" => {
                    let variables = inner.entries().to_vec();
                    self.group(name).variables.extend(variables);
                }
                other => {
                    let problem =
                        format!("unknown section `{other}`, expected one of {}", sections());
                    let problem = Diagnostic::new(section.key.place, problem);
                    problems.push(match nearest(other, SECTIONS) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem,
                    });
                }
            }
        }
    }

    fn add_hosts(&mut self, group: &str, hosts: &Node, problems: &mut Vec<Diagnostic>) {
        for host in hosts.entries() {
            let names = match range(&host.key.text) {
                Ok(names) => names,
                Err(reason) => {
                    problems.push(Diagnostic::new(host.key.place, reason));
                    continue;
                }
            };
            if !is_map_or_nothing(&host.node) {
                let problem = format!("the host `{}` has no map of variables", host.key.text);
                problems.push(Diagnostic::new(host.key.place, problem));
            }
            for name in names {
                self.group(group).hosts.insert(name.clone());
                let key = Key {
                    place: host.key.place,
                    text: name.clone(),
                };
                let (_, variables) = self.hosts.entry(name).or_insert((key, Vec::new()));
                variables.extend(host.node.entries().iter().cloned());
            }
        }
    }

    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// The group and all groups inside it.
    fn within<'a>(&'a self, group: &'a str) -> BTreeSet<&'a str> {
        let mut within = BTreeSet::new();
        let mut next = vec![group];
        while let Some(name) = next.pop() {
            if within.insert(name)
                && let Some(group) = self.groups.get(name)
            {
                next.extend(group.children.iter().map(String::as_str));
            }
        }
        within
    }

    /// How many groups it is inside of; the more, the more its variables count.
    fn depth(&self, group: &str) -> usize {
        let holds = |outer: &&str| *outer != group && self.within(outer).contains(group);
        match group {
            ALL => 0,
            _ => {
                1 + self
                    .names()
                    .filter(|outer| *outer != ALL)
                    .filter(holds)
                    .count()
            }
        }
    }
}

fn is_map_or_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Map(_) | Value::Pruned => true,
        Value::Scalar(scalar) => scalar.meaning() == Meaning::Nothing,
        Value::List(_) => false,
    }
}

fn sections() -> String {
    SECTIONS.map(|name| format!("`{name}`")).join(", ")
}

/// The names that `s[1:3]` stands for; any other name stands for itself.
fn range(text: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = text.split_once('[') else {
        return Ok(vec![text.to_owned()]);
    };
    let wrong = || format!("`{text}` is no range of hosts, expected one like `s[1:3]`");
    let (numbers, after) = rest.split_once(']').ok_or_else(wrong)?;
    let (first, last) = numbers.split_once(':').ok_or_else(wrong)?;
    let width = if first.starts_with('0') {
        first.len()
    } else {
        0
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let (first, last) = (number(first)?, number(last)?);
    if last < first || last - first >= MOST_HOSTS || after.contains('[') {
        return Err(wrong());
    }
    Ok((first..=last)
        .map(|number| format!("{before}{number:0width$}{after}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stand_for_their_hosts() {
        assert_eq!(range("s1").unwrap(), ["s1"]);
        assert_eq!(range("s[9:11]x").unwrap(), ["s9x", "s10x", "s11x"]);
        assert_eq!(range("s[08:10]").unwrap(), ["s08", "s09", "s10"]);
        for wrong in [
            "s[",
            "s[1]",
            "s[3:1]",
            "s[a:c]",
            "s[1:9999999]",
            "s[1:2][1:2]",
        ] {
            assert!(
                range(wrong).unwrap_err().contains("like `s[1:3]`"),
                "{wrong}"
            );
        }
    }
}
