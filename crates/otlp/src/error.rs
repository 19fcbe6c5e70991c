//! What is wrong with a request, and where.

use std::fmt;

use crate::wire::Fault;

/// A request that cannot be scanned: the sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {path}: {kind}")]
pub struct ScanError {
    /// Offset in the request of the key, varint, length or value that is at fault.
    pub offset: usize,
    /// The field it belongs to.
    pub path: Path,
    /// What is wrong with it.
    pub kind: ScanErrorKind,
}

/// An answer (a response or a status) that cannot be read: the receiver that sent it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {kind}")]
pub struct ParseError {
    /// Offset in the answer of the key, varint, length or value that is at fault.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: ScanErrorKind,
}

impl From<Fault> for ParseError {
    fn from(fault: Fault) -> Self {
        ParseError { offset: fault.offset, kind: fault.kind }
    }
}

/// What is wrong with the bytes at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// The message ends in the middle of a key, a varint, or a value of fixed width.
    #[error("the message ends inside this field")]
    Truncated,
    /// A length reaches past the end of the enclosing message.
    #[error("its length is {length}, but only {room} bytes are left in the message")]
    LengthTooLarge {
        /// Length of the field's value, as it says itself.
        length: u64,
        /// Bytes left in the enclosing message.
        room: usize,
    },
    /// A varint of more than ten bytes, or of more than 64 bits.
    #[error("a varint does not fit 64 bits")]
    InvalidVarint,
    /// A field key of more than 32 bits.
    #[error("a field key does not fit 32 bits")]
    InvalidKey,
    /// Field number 0, which protobuf reserves.
    #[error("field number 0 is invalid")]
    FieldNumberZero,
    /// Wire type 6 or 7, which protobuf does not have.
    #[error("wire type {0} does not exist")]
    UnknownWireType(u8),
    /// A field that OTLP defines, but with another wire type.
    #[error("wire type is {found}, must be {expected}")]
    WrongWireType {
        /// The wire type that OTLP gives this field.
        expected: WireType,
        /// The one it has.
        found: WireType,
    },
    /// The end of a group that was not open.
    #[error("a group ends that has not begun")]
    UnexpectedEndGroup,
    /// Groups nested deeper than [`limits::NESTING`](crate::limits::NESTING) allows.
    #[error("groups are nested too deep")]
    NestingTooDeep,
    /// Longer than [`limits::SPLIT_REQUEST_BYTES`](crate::limits::SPLIT_REQUEST_BYTES).
    #[error("a request of {0} bytes is too long to be split")]
    RequestTooLong(usize),
}

/// The wire types of protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// 0: int32, int64, uint32, uint64, sint32, sint64, bool, enum.
    Varint,
    /// 1: fixed64, sfixed64, double.
    Fixed64,
    /// 2: string, bytes, messages, packed fields.
    LengthDelimited,
    /// 3: the start of a group.
    StartGroup,
    /// 4: the end of a group.
    EndGroup,
    /// 5: fixed32, sfixed32, float.
    Fixed32,
}

impl fmt::Display for WireType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WireType::Varint => "varint",
            WireType::Fixed64 => "64-bit",
            WireType::LengthDelimited => "length-delimited",
            WireType::StartGroup => "start group",
            WireType::EndGroup => "end group",
            WireType::Fixed32 => "32-bit",
        })
    }
}

/// Where in a request, as indexes of its repeated fields and at last a field: `resource_spans[2].scope_spans[0].spans[5].trace_id`.
///
/// A field that OTLP does not define is shown by its number: `resource_spans[2].1000`. The request itself is `request`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Index in the request's `resource_spans`.
    pub resource: Option<usize>,
    /// Index in that resource's `scope_spans`.
    pub scope: Option<usize>,
    /// Index in that scope's `spans`.
    pub span: Option<usize>,
    /// Number of a field of the innermost of these.
    pub field: Option<u32>,
}

impl Path {
    /// Name of the field, if it has a number and OTLP a name for it.
    pub fn field_name(&self) -> Option<&'static str> {
        let names: &[&str] = match self {
            Path { span: Some(_), .. } => &SPAN_FIELDS,
            Path { scope: Some(_), .. } => &["scope", "spans", "schema_url"],
            Path { resource: Some(_), .. } => &["resource", "scope_spans", "schema_url"],
            _ => &["resource_spans"],
        };
        let index = usize::try_from(self.field?.checked_sub(1)?).ok()?;
        names.get(index).copied()
    }
}

const SPAN_FIELDS: [&str; 16] = [
    "trace_id",
    "span_id",
    "trace_state",
    "parent_span_id",
    "name",
    "kind",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "attributes",
    "dropped_attributes_count",
    "events",
    "dropped_events_count",
    "links",
    "dropped_links_count",
    "status",
    "flags",
];

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indexes =
            [("resource_spans", self.resource), (".scope_spans", self.scope), (".spans", self.span)];
        for (name, index) in indexes {
            if let Some(index) = index {
                write!(f, "{name}[{index}]")?;
            }
        }
        if self.resource.is_none() {
            f.write_str("request")?;
        }
        match (self.field, self.field_name()) {
            (Some(_), Some(name)) => write!(f, ".{name}"),
            (Some(number), None) => write!(f, ".{number}"),
            (None, _) => Ok(()),
        }
    }
}
