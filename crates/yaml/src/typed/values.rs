//! Types that keep more of the source than plain serde types do.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::node::{Key, Map, Mark, Node, Value};

/// Names by which these types ask for what serde's data model has no word for.
pub(crate) const NODE: &str = "$crossfade_yaml::Node";
pub(crate) const SPANNED: &str = "$crossfade_yaml::Spanned";
pub(crate) const RAW: &str = "$crossfade_yaml::Raw";

/// A value of type `T` and where it stands. Read from JSON it stands nowhere; written, it is `T` alone; two are
/// equal if their values are.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub mark: Mark,
}

/// The text of a plain value exactly as written: `12.5` is "12.5" and `20%` is "20%". For decimals that must not
/// become floats, and for types with a syntax of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw(String);

impl<T> Spanned<T> {
    /// A value that was not read from text.
    pub fn nowhere(value: T) -> Self {
        Self { value, mark: Mark::nowhere() }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl Raw {
    /// From a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plain value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_bool<E>(self, b: bool) -> Result<Raw, E> {
                Ok(Raw(b.to_string()))
            }
            fn visit_i64<E>(self, i: i64) -> Result<Raw, E> {
                Ok(Raw(i.to_string()))
            }
            fn visit_u64<E>(self, u: u64) -> Result<Raw, E> {
                Ok(Raw(u.to_string()))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Raw, E> {
                Ok(Raw(x.to_string()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Raw, E> {
                Ok(Raw(text))
            }
        }
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpannedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            /// Any other format: the value alone.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                T::deserialize(deserializer).map(Spanned::nowhere)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mark = read_mark(&mut seq)?;
                Ok(Spanned { value: required(seq.next_element()?)?, mark })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

fn read_mark<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Mark, A::Error> {
    let source: String = required(seq.next_element()?)?;
    let line = required(seq.next_element()?)?;
    let column = required(seq.next_element()?)?;
    Ok(Mark::new(source, line, column))
}

fn required<T, E: serde::de::Error>(value: Option<T>) -> Result<T, E> {
    value.ok_or_else(|| E::custom("a marked value is not complete"))
}

/// With marks from a tree, without them from any other format.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NODE, NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let Bare(value) = Bare::deserialize(deserializer)?;
        Ok(Node::new(value, Mark::nowhere()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mark = read_mark(&mut seq)?;
        let Bare(value) = required(seq.next_element()?)?;
        let raw: Option<String> = seq.next_element()?;
        Ok(Node { raw: raw.map(Arc::from), ..Node::new(value, mark) })
    }
}

/// A value whose children are nodes.
struct Bare(Value);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BareVisitor;
        impl<'de> Visitor<'de> for BareVisitor {
            type Value = Bare;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Bare, E> {
                Ok(Bare(Value::Null))
            }
            fn visit_none<E>(self) -> Result<Bare, E> {
                Ok(Bare(Value::Null))
            }
            fn visit_bool<E>(self, b: bool) -> Result<Bare, E> {
                Ok(Bare(Value::Bool(b)))
            }
            fn visit_i64<E>(self, i: i64) -> Result<Bare, E> {
                Ok(Bare(Value::Int(i.into())))
            }
            fn visit_u64<E>(self, u: u64) -> Result<Bare, E> {
                Ok(Bare(Value::Int(u.into())))
            }
            fn visit_i128<E>(self, i: i128) -> Result<Bare, E> {
                Ok(Bare(Value::Int(i)))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Bare, E> {
                Ok(Bare(Value::Float(x)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Bare, E> {
                Ok(Bare(Value::String(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bare, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Node>()? {
                    items.push(item);
                }
                Ok(Bare(Value::List(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Bare, A::Error> {
                let mut map = Map::new();
                while let Some((name, node)) = access.next_entry::<String, Node>()? {
                    let mark = node.mark.clone();
                    map.insert(Key { name, mark }, node);
                }
                Ok(Bare(Value::Map(map)))
            }
        }
        deserializer.deserialize_any(BareVisitor)
    }
}

impl JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PlainValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
