//! Borrowed views over OTLP trace requests: scan, split, merge.
//!
//! A gateway has to know of each span only whose it is and when it was, and has to pass everything else on as it
//! came. So this crate reads an encoded `ExportTraceServiceRequest` (protobuf, OTLP 1.x) in place: it walks
//! `ResourceSpans`, `ScopeSpans` and `Span`, checks every bound, and hands out slices of the request.
//!
//! It is *not* a decoder: attributes, events, links, status, resource and scope are skipped by their length and never
//! opened, and nothing is re-encoded but the tag and length of a message that was taken apart. Bytes that are passed
//! on unopened are passed on unchanged, unknown fields among them. It knows no socket, no compression and no JSON.
//!
//! # What is read
//!
//! ```text
//! ExportTraceServiceRequest   1 resource_spans*
//!   ResourceSpans             1 resource   2 scope_spans*   3 schema_url
//!     ScopeSpans              1 scope      2 spans*         3 schema_url
//!       Span                  1 trace_id   2 span_id   4 parent_span_id   7 start_time_unix_nano (fixed64)
//!                             8 end_time_unix_nano (fixed64)   3 5 6 9..=16 skipped, their wire types checked
//! ```
//!
//! The meaning of the bytes is [prost](https://docs.rs/prost)'s: whatever prost decodes is scanned, with the same
//! spans, ids and times. Fields come in any order, the last of several scalars wins, a message that comes in parts is
//! merged, varints may be longer than needed, unknown fields of every wire type are skipped, groups among them, to the
//! same nesting limit. What prost refuses in the part read here is refused here; what it would refuse only inside a
//! skipped field (such as a name that is not UTF-8) is passed on, for its receiver to judge.
//!
//! # Split and merge
//!
//! The encodings of two messages, one after the other, are an encoding of both merged, and the only field of a request
//! is repeated. So [`merge`] is a concatenation, and batching a copy. [`Splitter::split`] is its reverse: for each
//! destination a request that holds the spans meant for it, in their order, each below a copy of its own resource and
//! scope. See [`split`](Splitter::split) for what becomes of everything that is not a span.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | `scan` | [`scan`], [`Scan`], [`Span`]: an iterator over the spans of a request |
//! | `split` | [`Splitter`]: one request for each destination; which bytes go where |
//! | `part` | [`Split`], [`Part`], [`Piece`]: what each destination gets, assembled from slices |
//! | `merge` | [`merge`]: several requests as one |
//! | `response` | [`ExportTraceServiceResponse`], [`PartialSuccess`]: what a receiver answers |
//! | `status` | [`RpcStatus`]: the `google.rpc.Status` of an error, with its `RetryInfo` |
//! | `limits` | [`limits`]: every limit of this crate, and what bounds its work and memory |
//! | `error` | [`ScanError`], [`ScanErrorKind`], [`Path`]: what is wrong with a request, and where |
//! | `walk` | the walk over the nested messages that scan and split share |
//! | `span` | the walk over the fields of one span |
//! | `wire` | varints, keys, and skipping of fields |

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod error;
pub mod limits;
mod merge;
mod part;
mod response;
mod scan;
mod span;
mod split;
mod status;
mod walk;
mod wire;

pub use error::{ParseError, Path, ScanError, ScanErrorKind, WireType};
pub use merge::merge;
pub use part::{Header, Part, Piece, Pieces, Split};
pub use response::{ExportTraceServiceResponse, PartialSuccess};
pub use scan::{Scan, Span, scan};
pub use split::Splitter;
pub use status::RpcStatus;
