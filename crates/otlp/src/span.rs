//! The walk over the fields of one span.
//!
//! This is where the time goes: a usual span has some twenty fields, and where one starts is known only when the length
//! of the one before it has been read. So the loop keeps that chain short. It knows the encodings that every sender
//! uses, keys of one byte and lengths of up to two, and leaves everything else to [`rare_field`], which knows all.

use std::ops::Range;

use crate::error::WireType;
use crate::limits::NESTING;
use crate::wire::{Fault, delimited, expect, key, skip};

/// What is read of a span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) parent_span_id: &'a [u8],
    pub(crate) start_unix_nano: u64,
    pub(crate) end_unix_nano: u64,
}

/// How deep a skipped field may nest: resource, scope and span are open around it.
const NESTING_LEFT: usize = NESTING - 3;

// Keys of one byte: number and wire type.
const TRACE_ID: u8 = 1 << 3 | 2;
const SPAN_ID: u8 = 2 << 3 | 2;
const PARENT_SPAN_ID: u8 = 4 << 3 | 2;
const NAME: u8 = 5 << 3 | 2;
const KIND: u8 = 6 << 3;
const START_TIME_UNIX_NANO: u8 = 7 << 3 | 1;
const END_TIME_UNIX_NANO: u8 = 8 << 3 | 1;
const DROPPED_ATTRIBUTES_COUNT: u8 = 10 << 3;
const DROPPED_EVENTS_COUNT: u8 = 12 << 3;
const DROPPED_LINKS_COUNT: u8 = 14 << 3;
/// Number 16 is the first whose key takes two bytes.
const FLAGS: (u8, u8) = (0x85, 0x01);

/// The numbers of length-delimited fields, as bits: trace_id, span_id, trace_state, parent_span_id, name, attributes,
/// events, links, status.
const DELIMITED: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 13 | 1 << 15;

/// Reads the fields of the span that fills `span`, a part of the request.
#[inline(always)]
pub(crate) fn fields(request: &[u8], span: Range<usize>) -> Result<Fields<'_>, Fault> {
    let mut fields = Fields::default();
    let mut at = span.start;
    while at < span.end {
        // The window may reach past the span, but never past the request; whatever is read there is not used.
        let window = request.get(at..).and_then(|rest| rest.first_chunk::<10>());
        let Some(&[key, a, b, ..]) = window else {
            (at, fields) = rare_field(request, at, span.end, fields)?;
            continue;
        };
        if key & 7 == 2 && DELIMITED >> (key >> 3) & 1 != 0 && (a < 0x80 || b < 0x80) {
            let (value, next) = if a < 0x80 {
                (at + 2, at + 2 + usize::from(a))
            } else {
                (at + 3, at + 3 + (usize::from(a & 0x7f) | usize::from(b) << 7))
            };
            // Ids have the lower numbers; of those from the name on, none is read.
            if key < NAME {
                let content = request.get(value..next).unwrap_or_default();
                match key {
                    TRACE_ID => fields.trace_id = content,
                    SPAN_ID => fields.span_id = content,
                    PARENT_SPAN_ID => fields.parent_span_id = content,
                    _ => {}
                }
            }
            at = next;
            continue;
        }
        match (key, a) {
            (START_TIME_UNIX_NANO, _) => {
                fields.start_unix_nano = time(request, at + 1);
                at += 9;
            }
            (END_TIME_UNIX_NANO, _) => {
                fields.end_unix_nano = time(request, at + 1);
                at += 9;
            }
            (KIND | DROPPED_ATTRIBUTES_COUNT | DROPPED_EVENTS_COUNT | DROPPED_LINKS_COUNT, ..0x80) => at += 2,
            FLAGS => at += 6,
            _ => (at, fields) = rare_field(request, at, span.end, fields)?,
        }
    }
    if at > span.end {
        return checked_fields(request, span);
    }
    Ok(fields)
}

#[inline(always)]
fn time(request: &[u8], at: usize) -> u64 {
    request.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |le| u64::from_le_bytes(*le))
}

/// As [`fields`], but every field in the general way: to say what is wrong where the last one reaches past the span.
#[cold]
#[inline(never)]
fn checked_fields(request: &[u8], span: Range<usize>) -> Result<Fields<'_>, Fault> {
    let (mut at, mut fields) = (span.start, Fields::default());
    while at < span.end {
        (at, fields) = rare_field(request, at, span.end, fields)?;
    }
    Ok(fields)
}

/// Reads one field in the general way; returns the position after it.
#[cold]
#[inline(never)]
fn rare_field<'a>(
    request: &'a [u8],
    at: usize,
    end: usize,
    mut fields: Fields<'a>,
) -> Result<(usize, Fields<'a>), Fault> {
    let bytes = request.get(..end).unwrap_or_default();
    let (number, wire_type, value) = key(bytes, at)?;
    let next = match wire_type_of(number) {
        Some(expected) => {
            expect(at, expected, wire_type).and_then(|()| fields.read(bytes, number, wire_type, value))
        }
        None => skip(bytes, value, number, wire_type, NESTING_LEFT),
    };
    Ok((next.map_err(|fault| fault.within(number))?, fields))
}

/// The wire type of a field that OTLP defines.
fn wire_type_of(number: u32) -> Option<WireType> {
    match number {
        1..=5 | 9 | 11 | 13 | 15 => Some(WireType::LengthDelimited),
        6 | 10 | 12 | 14 => Some(WireType::Varint),
        7 | 8 => Some(WireType::Fixed64),
        16 => Some(WireType::Fixed32),
        _ => None,
    }
}

impl<'a> Fields<'a> {
    /// Takes over the value of a field that OTLP defines, if it is one of ours; returns the position after it.
    fn read(
        &mut self,
        bytes: &'a [u8],
        number: u32,
        wire_type: WireType,
        value: usize,
    ) -> Result<usize, Fault> {
        let next = skip(bytes, value, number, wire_type, NESTING_LEFT)?;
        match number {
            1 | 2 | 4 => {
                let (start, end) = delimited(bytes, value)?;
                let content = bytes.get(start..end).unwrap_or_default();
                match number {
                    1 => self.trace_id = content,
                    2 => self.span_id = content,
                    _ => self.parent_span_id = content,
                }
            }
            7 => self.start_unix_nano = time(bytes, value),
            8 => self.end_unix_nano = time(bytes, value),
            _ => {}
        }
        Ok(next)
    }
}
