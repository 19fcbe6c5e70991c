//! Requests as no sender writes them, but as protobuf allows: fields in any order, twice, in parts, unknown, in groups, with
//! longer varints than needed; and some as it does not allow.

#![allow(dead_code, reason = "each test uses its part")]

use proptest::collection::vec;
use proptest::prelude::*;

/// One field, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) value: Value,
    /// Needless bytes in the key, and in the length or varint.
    pub(crate) padding: (usize, usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
    Group(Vec<Field>),
}

pub(crate) fn field(number: u32, value: Value) -> Field {
    Field { number, value, padding: (0, 0) }
}

pub(crate) fn bytes(number: u32, value: &[u8]) -> Field {
    field(number, Value::Bytes(value.to_vec()))
}

pub(crate) fn message(number: u32, fields: Vec<Field>) -> Field {
    field(number, Value::Message(fields))
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64, padding: usize) {
    let begin = out.len();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    for _ in 0..padding.min(10 - (out.len() - begin)) {
        *out.last_mut().expect("a byte") |= 0x80;
        out.push(0);
    }
}

pub(crate) fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        field.encode(&mut out);
    }
    out
}

impl Field {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (key_padding, padding) = self.padding;
        let mut key = |wire_type: u64| put_varint(out, u64::from(self.number) << 3 | wire_type, key_padding);
        match &self.value {
            Value::Varint(value) => {
                key(0);
                put_varint(out, *value, padding);
            }
            Value::Fixed64(value) => {
                key(1);
                out.extend(value.to_le_bytes());
            }
            Value::Fixed32(value) => {
                key(5);
                out.extend(value.to_le_bytes());
            }
            Value::Bytes(value) => {
                key(2);
                put_varint(out, value.len() as u64, padding);
                out.extend(value);
            }
            Value::Message(fields) => {
                key(2);
                let value = encode(fields);
                put_varint(out, value.len() as u64, padding);
                out.extend(value);
            }
            Value::Group(fields) => {
                key(3);
                let value = encode(fields);
                out.extend(value);
                put_varint(out, u64::from(self.number) << 3 | 4, padding);
            }
        }
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        encode(std::slice::from_ref(self))
    }
}

/// A request with everything that protobuf allows.
pub(crate) fn request() -> impl Strategy<Value = Vec<Field>> {
    vec(prop_oneof![6 => padded(1, resource_spans()), 1 => unknown(2)], 0..5)
}

/// As [`request`], but now and then a field has a wire type that OTLP does not give it.
pub(crate) fn request_with_faults() -> impl Strategy<Value = Vec<Field>> {
    let fault = (1..17u32, scalar()).prop_map(|(number, value)| field(number, value));
    (request(), proptest::option::weighted(0.3, (fault, any::<prop::sample::Index>()))).prop_map(
        |(mut fields, fault)| {
            if let Some((fault, index)) = fault {
                plant(&mut fields, &fault, &mut index.index(40));
            }
            fields
        },
    )
}

/// Puts a field into the message that comes up when `turns` is used up.
fn plant(fields: &mut Vec<Field>, fault: &Field, turns: &mut usize) {
    if *turns == 0 {
        fields.push(fault.clone());
    }
    *turns = turns.wrapping_sub(1);
    for field in fields {
        if let Value::Message(inner) = &mut field.value {
            plant(inner, fault, turns);
        }
    }
}

fn resource_spans() -> impl Strategy<Value = Value> {
    let known = prop_oneof![2 => padded(1, some_bytes()), 1 => padded(3, some_bytes()), 5 => padded(2, scope_spans())];
    vec(prop_oneof![6 => known, 1 => unknown(4)], 0..6).prop_map(Value::Message)
}

fn scope_spans() -> impl Strategy<Value = Value> {
    let known =
        prop_oneof![2 => padded(1, some_bytes()), 1 => padded(3, some_bytes()), 9 => padded(2, span())];
    vec(prop_oneof![6 => known, 1 => unknown(4)], 0..8).prop_map(Value::Message)
}

fn span() -> impl Strategy<Value = Value> {
    let id = || prop_oneof![some_bytes(), vec(any::<u8>(), 16).prop_map(Value::Bytes)];
    let known = prop_oneof![
        padded(1, id()),
        padded(2, id()),
        padded(4, id()),
        padded(7, any::<u64>().prop_map(Value::Fixed64)),
        padded(8, any::<u64>().prop_map(Value::Fixed64)),
        (prop_oneof![Just(3), Just(5), Just(9), Just(11), Just(13), Just(15)], some_bytes())
            .prop_flat_map(|(number, value)| padded(number, Just(value))),
        (prop_oneof![Just(6), Just(10), Just(12), Just(14)], any::<u64>())
            .prop_flat_map(|(number, value)| padded(number, Just(Value::Varint(value)))),
        padded(16, any::<u32>().prop_map(Value::Fixed32)),
    ];
    vec(prop_oneof![9 => known, 1 => unknown(17)], 0..12).prop_map(Value::Message)
}

/// Lengths on both sides of where a varint grows are as likely as short ones; and often what OTLP would have there.
fn some_bytes() -> impl Strategy<Value = Value> {
    let length = prop_oneof![8 => 0..20usize, 1 => Just(127), 1 => Just(128), 1 => 16_383..16_385usize];
    let filled = (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    // A KeyValue, or a Resource or Scope with an attribute.
    let sound = prop_oneof![
        Just(b"\x0a\x01k\x12\x03\x0a\x01v".to_vec()),
        Just(b"\x0a\x03\x0a\x01k".to_vec()),
        Just(vec![])
    ];
    prop_oneof![filled, sound].prop_map(Value::Bytes)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::Varint),
        any::<u64>().prop_map(Value::Fixed64),
        any::<u32>().prop_map(Value::Fixed32),
        vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
    ]
}

/// A field that OTLP does not define, `first` or beyond: of any wire type, groups in groups among them.
fn unknown(first: u32) -> impl Strategy<Value = Field> {
    let number = prop_oneof![first..first + 20, Just(1000), Just((1 << 29) - 1)];
    let value = scalar().prop_recursive(3, 12, 4, |inner| {
        vec((1..40u32, inner), 0..4).prop_map(|fields| {
            Value::Group(fields.into_iter().map(|(number, value)| field(number, value)).collect())
        })
    });
    (number, value, padding()).prop_map(|(number, value, padding)| Field { number, value, padding })
}

fn padded(number: u32, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Field> {
    (value, padding()).prop_map(move |(value, padding)| Field { number, value, padding })
}

fn padding() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![9 => Just((0, 0)), 1 => (0..10usize, 0..10usize)]
}
