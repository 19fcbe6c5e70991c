//! The serde `Deserializer` over a tree.

use serde::Deserializer;
use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{Segment, TypedError, TypedErrorKind, owned};
use super::values::{NODE, RAW, SPANNED};
use crate::node::{Key, Mark, Node, Value};

#[derive(Clone, Copy)]
pub(crate) struct NodeDeserializer<'de> {
    node: &'de Node,
}

impl<'de> NodeDeserializer<'de> {
    pub(crate) fn new(node: &'de Node) -> Self {
        Self { node }
    }

    fn wrong_type(self, expected: &str) -> TypedError {
        let (found, expected) = (self.node.kind().to_owned(), expected.to_owned());
        TypedError::new(TypedErrorKind::WrongType { found, expected }).at(&self.node.mark)
    }

    /// The text of a value that came out of an expansion and is read as a string.
    fn expanded_text(self) -> Option<&'de str> {
        if self.node.expanded { self.node.raw.as_deref() } else { None }
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Int(i) => match (u64::try_from(*i), i64::try_from(*i)) {
                (Ok(u), _) => visitor.visit_u64(u),
                (_, Ok(i)) => visitor.visit_i64(i),
                _ => visitor.visit_i128(*i),
            },
            Value::Float(x) => visitor.visit_f64(*x),
            Value::String(s) => visitor.visit_borrowed_str(s),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            Value::Map(map) => visitor.visit_map(Entries { entries: map.iter(), pending: None }),
        }
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        self.visit(visitor).map_err(|e| e.at(&self.node.mark))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.expanded_text() {
            Some(text) => visitor.visit_borrowed_str(text).map_err(|e: TypedError| e.at(&self.node.mark)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        let out = if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) };
        out.map_err(|e| e.at(&self.node.mark))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        let node = self.node;
        let out = match name {
            NODE | SPANNED => visitor.visit_seq(Marked { node, whole: name == NODE, next: 0 }),
            RAW => match node.scalar_text() {
                Some(text) if !node.is_null() => visitor.visit_string(text),
                _ => return Err(self.wrong_type("a plain value")),
            },
            _ => visitor.visit_newtype_struct(self),
        };
        out.map_err(|e| e.at(&node.mark))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.deserialize_map(visitor)
    }

    /// A key with nothing behind it is an empty map.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.node.value {
            Value::Map(_) => self.deserialize_any(visitor),
            Value::Null => visitor.visit_map(NoEntries).map_err(|e| e.at(&self.node.mark)),
            _ => Err(self.wrong_type("a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        let mark = &self.node.mark;
        let one = match &self.node.value {
            Value::String(name) => Choice { name, mark, content: None },
            Value::Map(map) => {
                let mut entries = map.iter();
                match (entries.next(), entries.next()) {
                    (Some((key, node)), None) => {
                        Choice { name: &key.name, mark: &key.mark, content: Some(node) }
                    }
                    (_, second) => {
                        let found = format!("a map of {} keys", map.len());
                        let at = second.map_or(mark, |(key, _)| &key.mark);
                        let kind = TypedErrorKind::NotOneChoice { found, expected: owned(variants) };
                        return Err(TypedError::new(kind).at(at));
                    }
                }
            }
            _ => {
                let found = self.node.kind().to_owned();
                let kind = TypedErrorKind::NotOneChoice { found, expected: owned(variants) };
                return Err(TypedError::new(kind).at(mark));
            }
        };
        visitor.visit_enum(one).map_err(|e| e.at(mark))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct seq tuple tuple_struct identifier
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = TypedError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TypedError> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let item = seed.deserialize(NodeDeserializer { node });
        item.map(Some).map_err(|e| e.at(&node.mark).below(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de, I> {
    entries: I,
    pending: Option<(&'de Key, &'de Node)>,
}

impl<'de, I: Iterator<Item = (&'de Key, &'de Node)>> MapAccess<'de> for Entries<'de, I> {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypedError> {
        self.pending = self.entries.next();
        let Some((key, _)) = self.pending else { return Ok(None) };
        let name = BorrowedStrDeserializer::<TypedError>::new(&key.name);
        let read = seed.deserialize(name);
        read.map(Some).map_err(|e| e.at(&key.mark).below(Segment::Key(key.name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TypedError> {
        let (key, node) = self.pending.take().expect("serde asks for a value only after its key");
        let value = seed.deserialize(NodeDeserializer { node });
        value.map_err(|e| e.at(&node.mark).below(Segment::Key(key.name.clone())))
    }
}

struct NoEntries;

impl<'de> MapAccess<'de> for NoEntries {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _: K) -> Result<Option<K::Value>, TypedError> {
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TypedError> {
        seed.deserialize(().into_deserializer())
    }
}

/// One of several named variants: `name` alone, or `name: content`.
struct Choice<'de> {
    name: &'de str,
    mark: &'de Mark,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), TypedError> {
        let name = BorrowedStrDeserializer::<TypedError>::new(self.name);
        let variant = seed.deserialize(name).map_err(|e| e.at(self.mark))?;
        Ok((variant, self))
    }
}

impl<'de> Choice<'de> {
    fn within<T>(&self, out: Result<T, TypedError>) -> Result<T, TypedError> {
        let mark = self.content.map_or(self.mark, |n| &n.mark);
        out.map_err(|e| e.at(mark).below(Segment::Key(self.name.to_owned())))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<(), TypedError> {
        match self.content.map(|n| &n.value) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Map(map)) if map.is_empty() => Ok(()),
            Some(_) => {
                let message = format!("`{0}` takes nothing; write `{0}` alone, or `{0}: {{}}`", self.name);
                self.within(Err(TypedError::new(TypedErrorKind::Other(message))))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, TypedError> {
        let nothing = Node::null(self.mark.clone());
        match self.content {
            Some(node) => self.within(seed.deserialize(NodeDeserializer { node })),
            None => self.within(seed.deserialize(NothingAt { mark: &nothing.mark })),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TypedError> {
        match self.content {
            Some(node) => self.within(NodeDeserializer { node }.deserialize_seq(visitor)),
            None => self.within(visitor.visit_unit()),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        match self.content {
            Some(node) => self.within(NodeDeserializer { node }.deserialize_struct("", fields, visitor)),
            None => self.within(visitor.visit_map(NoEntries)),
        }
    }
}

/// The content of a variant that stands alone: reads as null does.
struct NothingAt<'a> {
    mark: &'a Mark,
}

impl<'de> Deserializer<'de> for NothingAt<'_> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_unit::<TypedError>().map_err(|e| e.at(self.mark))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_none()
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_map(NoEntries).map_err(|e| e.at(self.mark))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

/// A node with its mark, as a sequence: source, line, column, then the value; for a whole node also its text.
struct Marked<'de> {
    node: &'de Node,
    whole: bool,
    next: u8,
}

impl<'de> SeqAccess<'de> for Marked<'de> {
    type Error = TypedError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TypedError> {
        let mark = &self.node.mark;
        self.next += 1;
        match self.next {
            1 => seed.deserialize(BorrowedStrDeserializer::new(&mark.source)).map(Some),
            2 => seed.deserialize(U32Deserializer::new(mark.line)).map(Some),
            3 => seed.deserialize(U32Deserializer::new(mark.column)).map(Some),
            4 => seed.deserialize(NodeDeserializer { node: self.node }).map(Some),
            5 if self.whole => {
                let raw = self.node.raw.as_deref();
                raw.map(|raw| seed.deserialize(BorrowedStrDeserializer::new(raw))).transpose()
            }
            _ => Ok(None),
        }
    }
}
