use vocab::problem::nearest;

use crate::experiment::document::{Node, Value};

/// Where a dotted path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Numbers of the children on the way, as far as the file goes.
    pub(crate) way: Vec<usize>,
    /// Keys that the file leaves to their defaults.
    pub(crate) absent: Vec<String>,
}

/// A path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nowhere {
    pub(crate) message: String,
    pub(crate) nearest: Option<String>,
}

/// Follows `path` from the root of a document. Keys may contain dots themselves; elements of lists go by their `name`
/// or by their only key.
pub(crate) fn resolve(root: &Node, path: &str) -> Result<Resolved, Nowhere> {
    let whole = Resolved {
        way: Vec::new(),
        absent: Vec::new(),
    };
    if path.is_empty() {
        return Err(Nowhere {
            message: "an empty path leads nowhere".to_owned(),
            nearest: None,
        });
    }
    follow(root, path, "", &whole)
}

impl Resolved {
    /// Whether one of the two lies inside the other.
    pub(crate) fn overlaps(&self, other: &Resolved) -> bool {
        let steps = |resolved: &Resolved| {
            let existing = resolved.way.iter().map(|index| Step::Existing(*index));
            existing
                .chain(resolved.absent.iter().cloned().map(Step::Absent))
                .collect::<Vec<_>>()
        };
        let (one, two) = (steps(self), steps(other));
        one.starts_with(&two) || two.starts_with(&one)
    }
}

#[derive(PartialEq)]
enum Step {
    Existing(usize),
    Absent(String),
}

fn follow(node: &Node, rest: &str, so_far: &str, done: &Resolved) -> Result<Resolved, Nowhere> {
    match &node.value {
        Value::Map(entries) => {
            let mut best = None;
            // The longest key first: `cpu.quota` before `cpu`.
            let mut keys: Vec<(usize, &str)> = entries
                .iter()
                .enumerate()
                .map(|(index, entry)| (index, entry.key.text.as_str()))
                .collect();
            keys.sort_by_key(|(_, key)| std::cmp::Reverse(key.len()));
            for (index, key) in keys {
                if let Some(rest) = after(rest, key) {
                    match step(
                        &entries[index].node,
                        rest,
                        &join(so_far, key),
                        &done.into(&[index]),
                    ) {
                        Ok(resolved) if resolved.absent.is_empty() => return Ok(resolved),
                        outcome => best = best.or(Some(outcome)),
                    }
                }
            }
            best.unwrap_or_else(|| Ok(done.with_absent(rest)))
        }
        Value::List(elements) => {
            let mut names = Vec::new();
            for (index, element) in elements.iter().enumerate() {
                let Some((name, inner)) = name_of(element) else {
                    continue;
                };
                if let (Some(rest), Some(target)) = (after(rest, name), element.descendant(inner)) {
                    let way: Vec<usize> =
                        [index].into_iter().chain(inner.iter().copied()).collect();
                    return step(target, rest, &join(so_far, name), &done.into(&way));
                }
                names.push(name);
            }
            Err(no_element(rest, so_far, &names))
        }
        Value::Scalar(_) | Value::Pruned => Err(Nowhere {
            message: format!("`{so_far}` is a single value without fields"),
            nearest: Some(so_far.to_owned()),
        }),
    }
}

fn step(node: &Node, rest: &str, so_far: &str, done: &Resolved) -> Result<Resolved, Nowhere> {
    match rest {
        "" => Ok(done.clone()),
        rest => follow(node, rest, so_far, done),
    }
}

impl Resolved {
    fn into(&self, way: &[usize]) -> Resolved {
        Resolved {
            way: [self.way.as_slice(), way].concat(),
            absent: Vec::new(),
        }
    }

    fn with_absent(&self, rest: &str) -> Resolved {
        Resolved {
            way: self.way.clone(),
            absent: rest.split('.').map(str::to_owned).collect(),
        }
    }
}

/// What follows `key` and its dot at the start of `rest`.
fn after<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    let after = rest.strip_prefix(key).filter(|_| !key.is_empty())?;
    match after {
        "" => Some(""),
        _ => after.strip_prefix('.').filter(|after| !after.is_empty()),
    }
}

fn join(so_far: &str, key: &str) -> String {
    match so_far {
        "" => key.to_owned(),
        _ => format!("{so_far}.{key}"),
    }
}

/// What an element of a list goes by, and the way from the element to what that name stands for.
fn name_of(element: &Node) -> Option<(&str, &'static [usize])> {
    match (element.get("name").and_then(Node::text), element.entries()) {
        (Some(name), _) => Some((name, &[])),
        (None, [only]) => Some((&only.key.text, &[0])),
        (None, _) => None,
    }
}

fn no_element(rest: &str, so_far: &str, names: &[&str]) -> Nowhere {
    let wanted = rest.split('.').next().unwrap_or(rest);
    let near = nearest(wanted, names.iter().copied());
    let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Nowhere {
        message: match known.as_slice() {
            [] => format!("`{so_far}` is empty, it has no `{wanted}`"),
            _ => format!("`{so_far}` has no `{wanted}`, only {}", known.join(", ")),
        },
        nearest: near.map(|near| format!("{so_far}.{near}{}", &rest[wanted.len()..])),
    }
}

/// Every path that leads to a field of the document.
pub(crate) fn paths(root: &Node) -> Vec<String> {
    let mut found = Vec::new();
    collect(root, "", &mut found);
    found
}

fn collect(node: &Node, so_far: &str, found: &mut Vec<String>) {
    if !so_far.is_empty() {
        found.push(so_far.to_owned());
    }
    for entry in node.entries() {
        collect(&entry.node, &join(so_far, &entry.key.text), found);
    }
    for element in node.elements() {
        if let Some((name, inner)) = name_of(element)
            && let Some(target) = element.descendant(inner)
        {
            collect(target, &join(so_far, name), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::document::{Source, parse};

    const FILE: &str = "
workload: {clients: 64, mode: {closed: {}}}
faults: [{name: slow, type: {cpu.quota: {share: 5%}}}, {name: a.b, type: {net.delay: {delay: 4ms}}}]
targets: [{depfast-raft: {}}, {etcd: {path: /x}}]
";

    fn root() -> Node {
        parse(&Source {
            name: "x".into(),
            text: FILE.into(),
        })
        .0
        .unwrap()
    }

    fn value(path: &str) -> Option<String> {
        let root = root();
        let resolved = resolve(&root, path).unwrap();
        assert!(resolved.absent.is_empty(), "{resolved:?}");
        root.descendant(&resolved.way)
            .and_then(|node| node.text())
            .map(str::to_owned)
    }

    #[test]
    fn keys_with_dots_and_named_elements_are_followed() {
        assert_eq!(value("workload.clients").unwrap(), "64");
        assert_eq!(value("faults.slow.type.cpu.quota.share").unwrap(), "5%");
        assert_eq!(value("faults.a.b.type.net.delay.delay").unwrap(), "4ms");
        assert_eq!(value("targets.etcd.path").unwrap(), "/x");
        assert_eq!(value("faults.slow.type"), None);
    }

    #[test]
    fn fields_left_to_their_default_are_absent() {
        assert_eq!(
            resolve(&root(), "workload.value").unwrap().absent,
            ["value"]
        );
        assert_eq!(
            resolve(&root(), "phases.fault").unwrap().absent,
            ["phases", "fault"]
        );
    }

    #[test]
    fn what_leads_nowhere_says_where_it_ends() {
        let nowhere = |path: &str| resolve(&root(), path).unwrap_err();
        assert_eq!(
            nowhere("faults.slwo.during").message,
            "`faults` has no `slwo`, only `slow`, `a.b`"
        );
        assert_eq!(
            nowhere("faults.slwo.during").nearest.unwrap(),
            "faults.slow.during"
        );
        assert_eq!(
            nowhere("workload.clients.x").message,
            "`workload.clients` is a single value without fields"
        );
        assert!(resolve(&root(), "").is_err());
    }

    #[test]
    fn every_listed_path_is_followed() {
        let paths = paths(&root());
        assert!(paths.contains(&"faults.a.b.type.net.delay.delay".to_owned()));
        for path in paths {
            assert!(resolve(&root(), &path).unwrap().absent.is_empty(), "{path}");
        }
    }

    #[test]
    fn overlapping_paths_are_known() {
        let path = |path: &str| resolve(&root(), path).unwrap();
        assert!(path("workload.mode").overlaps(&path("workload.mode.closed")));
        assert!(path("workload.value").overlaps(&path("workload.value")));
        assert!(!path("workload.value").overlaps(&path("workload.write")));
    }
}
