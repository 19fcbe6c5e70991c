//! Every limit of this crate.
//!
//! Work is bounded by the length of the input alone: scan and split pass over a request once (a broken span is read twice), and
//! the nesting of messages is fixed by OTLP. Scan needs no memory; the scratch of a
//! [`Splitter`](crate::Splitter) is bounded by [`SCRATCH_BYTES_PER_REQUEST_BYTE`].

/// Messages and groups may nest this deep, the request itself not counted: prost's limit.
pub const NESTING: usize = 100;

/// A split serves at most this many destinations: one bit each.
pub const DESTINATIONS: usize = 8;

/// The longest request that can be split, in bytes: 4 GiB - 1. (Protobuf itself ends at 2 GiB; a receiver's own limit
/// is far lower, and comes first.)
pub const SPLIT_REQUEST_BYTES: usize = u32::MAX as usize;

/// The scratch of a splitter takes at most this many times the length of the request, whatever the request holds and
/// however it is decided: so much only for spans of no content at all that part ways one by one. A usual request takes
/// a hundredth of its length.
pub const SCRATCH_BYTES_PER_REQUEST_BYTE: usize = 48;
