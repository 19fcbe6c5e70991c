//! Varints, keys, and skipping of fields: protobuf's wire format, read as prost reads it.
//!
//! Every function takes the bytes from the start of the request to the end of the message being read, and a position
//! in them: so a position is an offset in the request, and no read can pass the end of its message.

use crate::error::{ScanErrorKind, WireType};
use crate::limits::NESTING;

/// A fault, before it is known which message it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) kind: ScanErrorKind,
    /// Number of the field it lies in, if its key could be read.
    pub(crate) field: Option<u32>,
}

impl Fault {
    #[cold]
    pub(crate) fn new(offset: usize, kind: ScanErrorKind) -> Self {
        Fault { offset, kind, field: None }
    }

    /// Names the field, unless that is done.
    #[cold]
    pub(crate) fn within(self, number: u32) -> Self {
        Fault { field: self.field.or(Some(number)), ..self }
    }
}

/// Reads a varint of up to ten bytes at `at`; returns it and the position after it.
#[inline]
pub(crate) fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Fault> {
    match bytes.get(at) {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), at + 1)),
        _ => long_varint(bytes, at),
    }
}

fn long_varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Fault> {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // The tenth byte holds the 64th bit alone.
            let overflows = index == 9 && byte > 1;
            return if overflows {
                Err(Fault::new(at, ScanErrorKind::InvalidVarint))
            } else {
                Ok((value, at + index + 1))
            };
        }
    }
    let kind = if rest.len() < 10 { ScanErrorKind::Truncated } else { ScanErrorKind::InvalidVarint };
    Err(Fault::new(at, kind))
}

/// Reads a field's key at `at`; returns its number, its wire type, and the position after it.
pub(crate) fn key(bytes: &[u8], at: usize) -> Result<(u32, WireType, usize), Fault> {
    let (key, next) = varint(bytes, at)?;
    let Ok(key) = u32::try_from(key) else { return Err(Fault::new(at, ScanErrorKind::InvalidKey)) };
    let wire_type = match key & 7 {
        0 => WireType::Varint,
        1 => WireType::Fixed64,
        2 => WireType::LengthDelimited,
        3 => WireType::StartGroup,
        4 => WireType::EndGroup,
        5 => WireType::Fixed32,
        6 => return Err(Fault::new(at, ScanErrorKind::UnknownWireType(6))),
        _ => return Err(Fault::new(at, ScanErrorKind::UnknownWireType(7))),
    };
    match key >> 3 {
        0 => Err(Fault::new(at, ScanErrorKind::FieldNumberZero)),
        number => Ok((number, wire_type, next)),
    }
}

/// Reads a length at `at` and checks that so many bytes follow; returns where they start and where they end.
#[inline]
pub(crate) fn delimited(bytes: &[u8], at: usize) -> Result<(usize, usize), Fault> {
    let (length, start) = varint(bytes, at)?;
    let room = bytes.len() - start;
    match usize::try_from(length) {
        Ok(length) if length <= room => Ok((start, start + length)),
        _ => Err(Fault::new(at, ScanErrorKind::LengthTooLarge { length, room })),
    }
}

/// Checks that a known field has its wire type.
pub(crate) fn expect(at: usize, expected: WireType, found: WireType) -> Result<(), Fault> {
    if expected == found {
        Ok(())
    } else {
        Err(Fault::new(at, ScanErrorKind::WrongWireType { expected, found }))
    }
}

/// Skips the value at `at` of a field with this number and wire type; returns the position after it.
///
/// `nesting` is how many messages and groups more may be open, this field among them; prost counts every field that
/// it skips as one, and so it is here.
pub(crate) fn skip(
    bytes: &[u8],
    at: usize,
    number: u32,
    wire_type: WireType,
    nesting: usize,
) -> Result<usize, Fault> {
    let Some(inner) = nesting.checked_sub(1) else {
        return Err(Fault::new(at, ScanErrorKind::NestingTooDeep));
    };
    match wire_type {
        WireType::Varint => Ok(varint(bytes, at)?.1),
        WireType::Fixed64 => fixed(bytes, at, 8),
        WireType::Fixed32 => fixed(bytes, at, 4),
        WireType::LengthDelimited => Ok(delimited(bytes, at)?.1),
        WireType::StartGroup => skip_group(bytes, at, number, inner),
        WireType::EndGroup => Err(Fault::new(at, ScanErrorKind::UnexpectedEndGroup)),
    }
}

/// Skips the fields of a group, and its end. It recurses, but never deeper than `nesting`.
fn skip_group(bytes: &[u8], mut at: usize, number: u32, nesting: usize) -> Result<usize, Fault> {
    loop {
        let (inner, wire_type, value) = key(bytes, at)?;
        if wire_type == WireType::EndGroup {
            return if inner == number {
                Ok(value)
            } else {
                Err(Fault::new(at, ScanErrorKind::UnexpectedEndGroup))
            };
        }
        at = skip(bytes, value, inner, wire_type, nesting)?;
    }
}

fn fixed(bytes: &[u8], at: usize, width: usize) -> Result<usize, Fault> {
    if bytes.len() - at < width { Err(Fault::new(at, ScanErrorKind::Truncated)) } else { Ok(at + width) }
}

/// Length of the varint that encodes `value`: 1 to 10 bytes.
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).expect("at most ten")
}

/// Appends `value` as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven(value));
}

/// The low seven bits.
pub(crate) fn low_seven(value: u64) -> u8 {
    u8::try_from(value & 0x7f).expect("seven bits")
}

/// Appends a field that holds a varint, unless it is 0, the default.
pub(crate) fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(number << 3));
        put_varint(out, value);
    }
}

/// Appends a field that holds bytes, a string or a message.
pub(crate) fn put_delimited_field(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, u64::try_from(value.len()).expect("usize has at most 64 bits"));
    out.extend_from_slice(value);
}

/// The fields of a small message, one after the other.
pub(crate) struct Message<'a> {
    /// From the start of the input to the end of this message.
    bytes: &'a [u8],
    at: usize,
    nesting: usize,
}

/// One field of a small message.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    key: usize,
    wire_type: WireType,
    value: usize,
    end: usize,
    bytes: &'a [u8],
    nesting: usize,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Message { bytes, at: 0, nesting: NESTING }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, Fault> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let (number, wire_type, value) = key(self.bytes, self.at)?;
        let end =
            skip(self.bytes, value, number, wire_type, self.nesting).map_err(|fault| fault.within(number))?;
        let key = std::mem::replace(&mut self.at, end);
        Ok(Some(Field { number, key, wire_type, value, end, bytes: self.bytes, nesting: self.nesting }))
    }
}

impl<'a> Field<'a> {
    /// The value, if it is a varint.
    pub(crate) fn varint(&self) -> Result<u64, Fault> {
        self.expect(WireType::Varint)?;
        Ok(varint(self.bytes, self.value)?.0)
    }

    /// The value, if it is bytes or a string.
    pub(crate) fn delimited(&self) -> Result<&'a [u8], Fault> {
        self.expect(WireType::LengthDelimited)?;
        let (start, end) = delimited(self.bytes, self.value)?;
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }

    /// The value, if it is a message.
    pub(crate) fn message(&self) -> Result<Message<'a>, Fault> {
        self.expect(WireType::LengthDelimited)?;
        let (at, end) = delimited(self.bytes, self.value)?;
        debug_assert_eq!(end, self.end);
        Ok(Message { bytes: self.bytes.get(..end).unwrap_or_default(), at, nesting: self.nesting - 1 })
    }

    fn expect(&self, expected: WireType) -> Result<(), Fault> {
        expect(self.key, expected, self.wire_type).map_err(|fault| fault.within(self.number))
    }
}
