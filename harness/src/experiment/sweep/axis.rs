use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// All swept fields, in the order of the file; the last one changes fastest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sweep(pub Vec<Axis>);

/// One swept field.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// `workload.clients`, `faults.NAME.type.cpu.quota.share`, …
    pub path: String,
    /// What it is set to, in turn.
    pub values: Vec<Value>,
}

impl Sweep {
    /// Whether nothing is swept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Sweep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for axis in &self.0 {
            map.serialize_entry(&axis.path, &axis.values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Sweep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Sweep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of fields to lists of values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sweep, A::Error> {
                let mut axes = Vec::new();
                while let Some((path, values)) = map.next_entry()? {
                    axes.push(Axis { path, values });
                }
                Ok(Sweep(axes))
            }
        }
        deserializer.deserialize_map(Axes)
    }
}

impl JsonSchema for Sweep {
    fn schema_name() -> Cow<'static, str> {
        "Sweep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Fields by their dotted path, and the values that each takes in turn; every combination is \
                measured. Elements of lists are addressed by their name: `workload.clients`, \
                `faults.slow.type.cpu.quota.share`, `targets.etcd.path`.",
            "additionalProperties": { "type": "array", "minItems": 1 },
            "examples": [{ "workload.clients": [1, 16, 64] }],
        })
    }
}
