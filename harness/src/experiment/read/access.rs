use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{Kind, Names, ReadError};
use crate::experiment::document::{Entry, Meaning, Node, Value};

/// Reads one node as whatever type is asked for.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'de>(pub(super) &'de Node);

impl<'de> Deserializer<'de> for NodeReader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Truth(truth) => visitor.visit_bool(truth),
                Meaning::Natural(natural) => visitor.visit_u64(natural),
                Meaning::Integer(integer) => visitor.visit_i64(integer),
                Meaning::Number(number) => visitor.visit_f64(number),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
            },
            Value::List(elements) => visitor.visit_seq(Children::new(elements)),
            Value::Map(entries) => visitor.visit_map(Children::new(entries)),
            Value::Pruned => Err(ReadError::new(Kind::Pruned)),
        }
    }

    /// Any scalar is text as it stands, whatever else it could mean.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Scalar(scalar) if scalar.meaning() != Meaning::Nothing => {
                visitor.visit_borrowed_str(&scalar.text)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Scalar(scalar) if scalar.meaning() == Meaning::Nothing => visitor.visit_none(),
            Value::Pruned => Err(ReadError::new(Kind::Pruned)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    /// A list is no shorthand for a struct.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: Names,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::List(_) => Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let no_choice = |found: String| {
            Err(ReadError::new(Kind::NoChoice {
                found,
                expected: variants,
            }))
        };
        match &self.0.value {
            Value::Scalar(scalar) if scalar.meaning() == Meaning::Nothing => {
                no_choice("nothing".to_owned())
            }
            Value::Scalar(scalar) => visitor.visit_enum(Choice::Bare(&scalar.text)),
            Value::Map(entries) => match entries.as_slice() {
                // A choice that was taken out is wrong as a whole.
                [entry] if entry.node.is_pruned() => Err(ReadError::new(Kind::Pruned)),
                [entry] => visitor.visit_enum(Choice::Settings(entry)),
                [] => no_choice("an empty map".to_owned()),
                // The second one is what is too much.
                [_, second, ..] if variants.contains(&second.key.text.as_str()) => {
                    no_choice("more than one of them".to_owned()).map_err(|error| error.at_key(1))
                }
                [_, second, ..] => {
                    Err(ReadError::unknown_variant(&second.key.text, variants).at_key(1))
                }
            },
            Value::List(_) => no_choice("a list".to_owned()),
            Value::Pruned => Err(ReadError::new(Kind::Pruned)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct seq tuple tuple_struct map
    }
}

/// Goes through the children of a list or map, past those that were taken out.
struct Children<'de, T> {
    children: std::iter::Enumerate<std::slice::Iter<'de, T>>,
    current: Option<(usize, &'de T)>,
}

impl<'de, T> Children<'de, T> {
    fn new(children: &'de [T]) -> Self {
        Children {
            children: children.iter().enumerate(),
            current: None,
        }
    }
}

impl<'de> SeqAccess<'de> for Children<'de, Node> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.children.find(|(_, node)| !node.is_pruned()) else {
            return Ok(None);
        };
        seed.deserialize(NodeReader(node))
            .map(Some)
            .map_err(|error| error.inside(index))
    }
}

impl<'de> MapAccess<'de> for Children<'de, Entry> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        self.current = self.children.find(|(_, entry)| !entry.node.is_pruned());
        let Some((index, entry)) = self.current else {
            return Ok(None);
        };
        let key = BorrowedStrDeserializer::new(&entry.key.text);
        seed.deserialize(key)
            .map(Some)
            .map_err(|error: ReadError| error.at_key(index))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (index, entry) = self
            .current
            .expect("serde asks for a value only after its key");
        seed.deserialize(NodeReader(&entry.node))
            .map_err(|error| error.inside(index))
    }
}

/// One of several, as a bare word or as a map of the word to its settings.
enum Choice<'de> {
    Bare(&'de str),
    Settings(&'de Entry),
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name = match &self {
            Choice::Bare(name) => name,
            Choice::Settings(entry) => entry.key.text.as_str(),
        };
        let variant = seed.deserialize(BorrowedStrDeserializer::<ReadError>::new(name));
        match self {
            Choice::Bare(_) => variant.map(|variant| (variant, self)),
            Choice::Settings(_) => variant
                .map(|variant| (variant, self))
                .map_err(|error| error.at_key(0)),
        }
    }
}

impl<'de> Choice<'de> {
    fn settings(self) -> Result<NodeReader<'de>, ReadError> {
        match self {
            Choice::Bare(name) => Err(ReadError::new(Kind::BareChoice(name.to_owned()))),
            Choice::Settings(entry) => Ok(NodeReader(&entry.node)),
        }
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self {
            Choice::Bare(_) => Ok(()),
            Choice::Settings(entry) => Err(ReadError::new(Kind::ChoiceWithSettings(
                entry.key.text.clone(),
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.settings()?)
            .map_err(|error| error.inside(0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.settings()?
            .deserialize_any(visitor)
            .map_err(|error| error.inside(0))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.settings()?
            .deserialize_struct("", fields, visitor)
            .map_err(|error| error.inside(0))
    }
}
