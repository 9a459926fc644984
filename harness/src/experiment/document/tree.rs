use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::Place;

/// A value and the place it stands at.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something wrong stood here and has been reported; readers act as if it were absent.
    Pruned,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Whether a scalar may be a number; what is quoted is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
}

/// What a scalar means by YAML's core schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Meaning<'a> {
    Nothing,
    Truth(bool),
    Natural(u64),
    Integer(i64),
    Number(f64),
    Text(&'a str),
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The value of `key` to change, if this is a map that has it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Map(entries) => {
                let entry = entries.iter_mut().find(|entry| entry.key.text == key);
                entry.map(|entry| &mut entry.node)
            }
            _ => None,
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.text == key)
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The child number `index`, of a map or of a list.
    pub(crate) fn child(&self, index: usize) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.get(index).map(|entry| &entry.node),
            Value::List(elements) => elements.get(index),
            Value::Scalar(_) | Value::Pruned => None,
        }
    }

    /// The node at the end of `path`, by the numbers of the children on the way.
    pub(crate) fn descendant_mut(&mut self, path: &[usize]) -> Option<&mut Node> {
        path.iter()
            .try_fold(self, |node, index| match &mut node.value {
                Value::Map(entries) => entries.get_mut(*index).map(|entry| &mut entry.node),
                Value::List(elements) => elements.get_mut(*index),
                Value::Scalar(_) | Value::Pruned => None,
            })
    }

    pub(crate) fn descendant(&self, path: &[usize]) -> Option<&Node> {
        path.iter().try_fold(self, |node, index| node.child(*index))
    }

    pub(crate) fn is_pruned(&self) -> bool {
        matches!(self.value, Value::Pruned)
    }
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if self.style == Style::Quoted {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Nothing,
            "true" | "True" | "TRUE" => return Meaning::Truth(true),
            "false" | "False" | "FALSE" => return Meaning::Truth(false),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return Meaning::Text(text);
        }
        if let Ok(natural) = text.parse() {
            Meaning::Natural(natural)
        } else if let Ok(integer) = text.parse() {
            Meaning::Integer(integer)
        } else if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            Meaning::Number(number)
        } else {
            Meaning::Text(text)
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => serializer.serialize_unit(),
                Meaning::Truth(truth) => serializer.serialize_bool(truth),
                Meaning::Natural(natural) => serializer.serialize_u64(natural),
                Meaning::Integer(integer) => serializer.serialize_i64(integer),
                Meaning::Number(number) => serializer.serialize_f64(number),
                Meaning::Text(text) => serializer.serialize_str(text),
            },
            Value::List(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements {
                    list.serialize_element(element)?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key.text, &entry.node)?;
                }
                map.end()
            }
            Value::Pruned => serializer.serialize_unit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_yaml_says() {
        let plain = |text: &str| Scalar {
            text: text.into(),
            style: Style::Plain,
        };
        assert_eq!(plain("64").meaning(), Meaning::Natural(64));
        assert_eq!(plain("-1").meaning(), Meaning::Integer(-1));
        assert_eq!(plain("0.5").meaning(), Meaning::Number(0.5));
        assert_eq!(plain("5%").meaning(), Meaning::Text("5%"));
        assert_eq!(plain("infinity").meaning(), Meaning::Text("infinity"));
        assert_eq!(plain("~").meaning(), Meaning::Nothing);
        assert_eq!(plain("yes").meaning(), Meaning::Text("yes"));
        let quoted = Scalar {
            text: "64".into(),
            style: Style::Quoted,
        };
        assert_eq!(quoted.meaning(), Meaning::Text("64"));
    }
}
