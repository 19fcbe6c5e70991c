//! The walk over the fields of one span.

use crate::error::WireType;
use crate::limits::NESTING;
use crate::wire::{Fault, delimited, expect, fixed, key, skip, varint};

/// What is read of a span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) parent_span_id: &'a [u8],
    pub(crate) start_unix_nano: u64,
    pub(crate) end_unix_nano: u64,
}

/// Reads the fields of the span that starts at `at` and ends with `bytes`.
pub(crate) fn fields(bytes: &[u8], mut at: usize) -> Result<Fields<'_>, Fault> {
    let mut fields = Fields::default();
    while at < bytes.len() {
        let (number, wire_type, value) = key(bytes, at)?;
        at = field(bytes, at, value, number, wire_type, &mut fields).map_err(|fault| fault.within(number))?;
    }
    Ok(fields)
}

fn field<'a>(
    bytes: &'a [u8],
    key: usize,
    value: usize,
    number: u32,
    wire_type: WireType,
    fields: &mut Fields<'a>,
) -> Result<usize, Fault> {
    match number {
        1 | 2 | 4 | 3 | 5 | 9 | 11 | 13 | 15 => {
            expect(key, WireType::LengthDelimited, wire_type)?;
            let (start, end) = delimited(bytes, value)?;
            let content = bytes.get(start..end).unwrap_or_default();
            match number {
                1 => fields.trace_id = content,
                2 => fields.span_id = content,
                4 => fields.parent_span_id = content,
                _ => {}
            }
            Ok(end)
        }
        7 | 8 => {
            expect(key, WireType::Fixed64, wire_type)?;
            let end = fixed(bytes, value, 8)?;
            let time = bytes
                .get(value..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |le| u64::from_le_bytes(*le));
            if number == 7 {
                fields.start_unix_nano = time;
            } else {
                fields.end_unix_nano = time;
            }
            Ok(end)
        }
        6 | 10 | 12 | 14 => {
            expect(key, WireType::Varint, wire_type)?;
            Ok(varint(bytes, value)?.1)
        }
        16 => {
            expect(key, WireType::Fixed32, wire_type)?;
            fixed(bytes, value, 4)
        }
        _ => skip(bytes, value, number, wire_type, NESTING - 3),
    }
}
