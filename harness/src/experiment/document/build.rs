use std::collections::HashMap;

use super::{Entry, Key, Node, Place, Scalar, Value};
use crate::experiment::diagnostic::Diagnostic;

/// Maps and lists inside each other.
pub(super) const DEEPEST: usize = 64;
/// Values of a document with all its aliases written out; more is a mistake or an attack.
const MOST_NODES: usize = 20_000;

/// The text cannot be read any further.
pub(super) type Fatal = Box<Diagnostic>;

pub(super) fn fatal<T>(place: Place, message: impl Into<String>) -> Result<T, Fatal> {
    Err(Box::new(Diagnostic::new(place, message)))
}

/// Puts a parser's events together to a tree.
#[derive(Default)]
pub(super) struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    root: Option<Node>,
    found: Vec<Diagnostic>,
}

/// A list or map that is not closed yet.
struct Open {
    anchor: usize,
    place: Place,
    nodes: usize,
    collection: Collection,
}

enum Collection {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        pending: Pending,
    },
}

/// The key whose value comes next.
enum Pending {
    None,
    Key(Key),
    /// A key given before; its value is dropped.
    Repeated,
}

struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

impl Builder {
    pub(super) fn is_done(&self) -> bool {
        self.root.is_some()
    }

    pub(super) fn into_parts(self) -> (Option<Node>, Vec<Diagnostic>) {
        (self.root, self.found)
    }

    pub(super) fn scalar(
        &mut self,
        place: Place,
        scalar: Scalar,
        anchor: usize,
    ) -> Result<(), Fatal> {
        let node = Node {
            place,
            value: Value::Scalar(scalar),
        };
        self.finish(node, anchor, 1)
    }

    pub(super) fn open_list(&mut self, place: Place, anchor: usize) -> Result<(), Fatal> {
        self.open(place, anchor, Collection::List(Vec::new()))
    }

    pub(super) fn open_map(&mut self, place: Place, anchor: usize) -> Result<(), Fatal> {
        let map = Collection::Map {
            entries: Vec::new(),
            pending: Pending::None,
        };
        self.open(place, anchor, map)
    }

    fn open(&mut self, place: Place, anchor: usize, collection: Collection) -> Result<(), Fatal> {
        if self.stack.len() >= DEEPEST {
            return fatal(
                place,
                format!("more than {DEEPEST} maps and lists inside each other"),
            );
        }
        self.stack.push(Open {
            anchor,
            place,
            nodes: 1,
            collection,
        });
        Ok(())
    }

    pub(super) fn close(&mut self, at: Place) -> Result<(), Fatal> {
        let open = self
            .stack
            .pop()
            .expect("the parser closes only what it opened");
        let (value, last) = match open.collection {
            Collection::List(elements) => {
                let last = elements.last().map(|node| node.place.end);
                (Value::List(elements), last)
            }
            Collection::Map { entries, .. } => {
                let last = entries.last().map(|entry| entry.node.place.end);
                (Value::Map(entries), last)
            }
        };
        // Brackets have a width; the events of a block have none, and it ends where its last value does.
        let bracketed = at.start < at.end;
        let end = if bracketed {
            at.end
        } else {
            last.unwrap_or(open.place.end)
        };
        let place = Place {
            start: open.place.start,
            end: end.max(open.place.start),
        };
        self.finish(Node { place, value }, open.anchor, open.nodes)
    }

    pub(super) fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Fatal> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return fatal(place, "an anchor cannot contain itself");
        };
        if self.stack.len() + anchored.height > DEEPEST {
            return fatal(
                place,
                format!("more than {DEEPEST} maps and lists inside each other"),
            );
        }
        if self.nodes + anchored.nodes > MOST_NODES {
            return too_many(place);
        }
        let (node, nodes) = (anchored.node.clone(), anchored.nodes);
        self.nodes += nodes;
        self.place(node, nodes)
    }

    fn finish(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), Fatal> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return too_many(node.place);
        }
        if anchor != 0 {
            let height = height(&node);
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    height,
                },
            );
        }
        self.place(node, nodes)
    }

    /// Puts a whole node where it belongs.
    fn place(&mut self, node: Node, nodes: usize) -> Result<(), Fatal> {
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.nodes += nodes;
        match &mut open.collection {
            Collection::List(elements) => elements.push(node),
            Collection::Map { entries, pending } => {
                match std::mem::replace(pending, Pending::None) {
                    Pending::Key(key) => entries.push(Entry { key, node }),
                    Pending::Repeated => {}
                    Pending::None => {
                        let Value::Scalar(scalar) = node.value else {
                            return fatal(node.place, "a key must be a single word");
                        };
                        let key = Key {
                            place: node.place,
                            text: scalar.text,
                        };
                        *pending = match entries.iter().any(|entry| entry.key.text == key.text) {
                            true => {
                                self.found.push(given_twice(&key));
                                Pending::Repeated
                            }
                            false => Pending::Key(key),
                        };
                    }
                }
            }
        }
        Ok(())
    }
}

fn too_many<T>(place: Place) -> Result<T, Fatal> {
    fatal(
        place,
        format!("more than {MOST_NODES} values, with aliases written out"),
    )
}

fn given_twice(key: &Key) -> Diagnostic {
    Diagnostic::new(key.place, format!("`{}` is given twice", key.text))
        .label("the second one")
        .help("keep one of them")
}

fn height(node: &Node) -> usize {
    let inner = match &node.value {
        Value::List(elements) => elements.iter().map(height).max(),
        Value::Map(entries) => entries.iter().map(|entry| height(&entry.node)).max(),
        Value::Scalar(_) | Value::Pruned => return 0,
    };
    1 + inner.unwrap_or(0)
}
