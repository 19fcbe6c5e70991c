//! One request for each destination, from slices.
//!
//! A split walks the request once and writes down, in the order of the bytes, which of them go where: a flat list of
//! [`Op`]s. A message whose spans all go the same way is a single copy, and neighbours with the same destinations are
//! joined; only a message whose spans part ways is taken apart. Writing a part walks that list, and copies.

use std::ops::Range;

use crate::error::{Path, ScanError, ScanErrorKind};
use crate::limits::{DESTINATIONS, SPLIT_REQUEST_BYTES};
use crate::scan::Span;
use crate::walk::{Level, Step, Walk};
use crate::wire::{low_seven, varint_len};

/// Goes wherever the enclosing message goes.
const EVERYWHERE: u8 = u8::MAX;
/// Keys of `resource_spans` in a request and of `scope_spans` in a resource: field 1 and 2, length-delimited.
const RESOURCE_SPANS: u8 = 0x0a;
const SCOPE_SPANS: u8 = 0x12;

/// Splits requests. It keeps its scratch memory, so that one in steady use allocates nothing.
#[derive(Debug, Default)]
pub struct Splitter {
    ops: Vec<Op>,
    /// The messages that are taken apart.
    containers: Vec<Container>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Bytes of the request, for these destinations.
    Copy { start: u32, end: u32, mask: u8 },
    /// A message that is taken apart; its parts follow.
    Open { container: u32 },
}

/// A message whose spans part ways.
#[derive(Clone, Copy, Debug)]
struct Container {
    key: u8,
    /// Its field, tag and length included.
    start: u32,
    end: u32,
    /// The op after its parts.
    next: u32,
    tally: Tally,
}

/// Where the spans of a message go.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Destinations of at least one span.
    any: u8,
    /// Destinations of every span.
    all: u8,
    /// Length of its fields that go to every destination.
    others: u32,
    /// For each destination: length of its fields that do not go to every one.
    sizes: [u32; DESTINATIONS],
}

impl Tally {
    const EMPTY: Tally = Tally { any: 0, all: EVERYWHERE, others: 0, sizes: [0; DESTINATIONS] };

    fn has_spans(&self) -> bool {
        self.all != EVERYWHERE || self.any != 0
    }

    /// The destinations, if they are the same for each span.
    fn same(&self) -> Option<u8> {
        if !self.has_spans() { Some(EVERYWHERE) } else { (self.any == self.all).then_some(self.any) }
    }

    #[inline]
    fn add(&mut self, mask: u8, len: u32) {
        self.any |= mask;
        self.all &= mask;
        add_for(&mut self.sizes, mask, len);
    }

    /// Length of the message's value for a destination that gets some of its spans.
    fn size(&self, destination: usize) -> u32 {
        self.others + self.sizes.get(destination).copied().unwrap_or(0)
    }
}

/// Adds `amount` for each destination in the mask; without a branch, since masks are as good as random.
#[inline]
fn add_for(sums: &mut [u32; DESTINATIONS], mask: u8, amount: u32) {
    for (sum, bit) in sums.iter_mut().zip([1, 2, 4, 8, 16, 32, 64, 128]) {
        *sum += if mask & bit == 0 { 0 } else { amount };
    }
}

impl Splitter {
    /// A splitter without any scratch yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits a request, as `decide` says of each span: bit `n` set means that it goes to destination `n`.
    ///
    /// Each destination gets its spans in their order, each below its own resource and scope. All that is not a span
    /// (resource, scope, schema URL, fields that OTLP does not define) stays in its place and goes where the
    /// message that holds it goes; and a message goes where at least one of its spans goes. So the fields of the request
    /// itself go to every destination that gets a span. A `scope_spans` or `resource_spans` without a single span goes
    /// where the message around it goes, so that nothing is lost. A request without any span is whole for every
    /// destination. A span without a destination is left out.
    ///
    /// Fails where [`scan`](crate::scan()) fails, and if the request is longer than
    /// [`SPLIT_REQUEST_BYTES`].
    pub fn split<'s>(
        &'s mut self,
        request: &'s [u8],
        mut decide: impl FnMut(&Span<'_>) -> u8,
    ) -> Result<Split<'s>, ScanError> {
        if request.len() > SPLIT_REQUEST_BYTES {
            return Err(too_long(request));
        }
        let mut spans = 0;
        let mut counts = [0; DESTINATIONS];
        let tally = self.plan(request, |span| {
            let mask = decide(span);
            spans += 1;
            add_for(&mut counts, mask, 1);
            mask
        })?;
        Ok(Split { request, splitter: self, tally, spans, counts })
    }

    /// Writes down where each byte goes; returns where the spans of the whole request go.
    fn plan(&mut self, request: &[u8], mut decide: impl FnMut(&Span<'_>) -> u8) -> Result<Tally, ScanError> {
        self.ops.clear();
        self.containers.clear();
        let mut planner = Planner { ops: &mut self.ops, containers: &mut self.containers, joinable: 0 };
        let mut whole = Tally::EMPTY;
        let mut resource = Frame::default();
        let mut scope = Frame::default();
        let mut walk = Walk::new(request);
        while let Some(step) = walk.step() {
            match step? {
                Step::Span(span) => {
                    let mask = decide(&span);
                    let (start, end) = (narrow(span.range.start), narrow(span.range.end));
                    planner.copy(start, end, mask);
                    scope.tally.add(mask, end - start);
                }
                Step::EnterScope(field) => scope = planner.enter(&field),
                Step::LeaveScope => planner.leave(&scope, SCOPE_SPANS, &mut resource.tally),
                Step::EnterResource(field) => resource = planner.enter(&field),
                Step::LeaveResource => planner.leave(&resource, RESOURCE_SPANS, &mut whole),
                Step::Other(level, field) => {
                    let (start, end) = (narrow(field.start), narrow(field.end));
                    planner.copy(start, end, EVERYWHERE);
                    let tally = match level {
                        Level::Request => &mut whole,
                        Level::Resource => &mut resource.tally,
                        Level::Scope => &mut scope.tally,
                    };
                    tally.others += end - start;
                }
            }
        }
        Ok(whole)
    }

    /// Memory held for the next splits, in bytes.
    pub fn scratch_bytes(&self) -> usize {
        self.ops.capacity() * size_of::<Op>() + self.containers.capacity() * size_of::<Container>()
    }

    /// Gives back memory beyond about this many bytes: to be called after an unusual request.
    pub fn shrink_to(&mut self, bytes: usize) {
        if self.scratch_bytes() > bytes {
            self.ops.clear();
            self.containers.clear();
            self.ops.shrink_to(bytes / 2 / size_of::<Op>());
            self.containers.shrink_to(bytes / 2 / size_of::<Container>());
        }
    }
}

#[cold]
fn too_long(request: &[u8]) -> ScanError {
    let kind = ScanErrorKind::RequestTooLong(request.len());
    ScanError { offset: SPLIT_REQUEST_BYTES, path: Path::default(), kind }
}

/// Writes down a split.
struct Planner<'s> {
    ops: &'s mut Vec<Op>,
    containers: &'s mut Vec<Container>,
    /// Only ops from here on belong to the message that the walk is in, and may be extended.
    joinable: usize,
}

/// A message that the walk is in.
#[derive(Default)]
struct Frame {
    /// Its field, tag and length included.
    start: u32,
    end: u32,
    /// Its own op, which stays only if the message must be taken apart.
    op: usize,
    /// What was joinable in the message around it.
    joinable: usize,
    tally: Tally,
}

impl Planner<'_> {
    fn copy(&mut self, start: u32, end: u32, mask: u8) {
        if self.ops.len() > self.joinable
            && let Some(Op::Copy { end: last_end, mask: last_mask, .. }) = self.ops.last_mut()
            && (*last_end, *last_mask) == (start, mask)
        {
            *last_end = end;
        } else if mask != 0 {
            self.ops.push(Op::Copy { start, end, mask });
        }
    }

    fn enter(&mut self, field: &Range<usize>) -> Frame {
        let (op, joinable) = (self.ops.len(), self.joinable);
        self.ops.push(Op::Open { container: 0 });
        self.joinable = self.ops.len();
        Frame { start: narrow(field.start), end: narrow(field.end), op, joinable, tally: Tally::EMPTY }
    }

    /// Settles what becomes of a message, and counts it in the message around it.
    fn leave(&mut self, frame: &Frame, key: u8, around: &mut Tally) {
        let &Frame { start, end, op, joinable, tally } = frame;
        let len = end - start;
        if let Some(mask) = tally.same() {
            self.ops.truncate(op);
            self.joinable = joinable;
            self.copy(start, end, mask);
            if tally.has_spans() {
                around.add(mask, len);
            } else {
                around.others += len;
            }
        } else {
            // Parts of an inner message may have been settled meanwhile: its own container comes after theirs.
            let container = narrow(self.containers.len());
            let next = narrow(self.ops.len());
            if let Some(open) = self.ops.get_mut(op) {
                *open = Op::Open { container };
            }
            self.containers.push(Container { key, start, end, next, tally });
            self.joinable = self.ops.len();
            around.any |= tally.any;
            around.all &= tally.all;
            for (destination, sum) in around.sizes.iter_mut().enumerate() {
                let bit = 1 << destination;
                if tally.all & bit != 0 {
                    *sum += len;
                } else if tally.any & bit != 0 {
                    let size = tally.size(destination);
                    *sum += 1 + narrow(varint_len(u64::from(size))) + size;
                }
            }
        }
    }
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("a longer request is refused before it is split")
}

/// A request that was split; holds on to its splitter until it is written.
#[derive(Debug)]
pub struct Split<'s> {
    request: &'s [u8],
    splitter: &'s Splitter,
    tally: Tally,
    spans: usize,
    counts: [u32; DESTINATIONS],
}

impl<'s> Split<'s> {
    /// Number of spans in the request.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// The destinations that get at least one span: bit `n` for destination `n`.
    pub fn destinations(&self) -> u8 {
        self.tally.any
    }

    /// What one destination gets. There are [`DESTINATIONS`]; one beyond them gets nothing.
    pub fn part(&self, destination: usize) -> Part<'s> {
        let bit = u32::try_from(destination).ok().and_then(|shift| 1u8.checked_shl(shift)).unwrap_or(0);
        let content = if self.tally.all & bit != 0 {
            Content::Whole
        } else if self.tally.any & bit != 0 {
            Content::Assembled { size: self.tally.size(destination) }
        } else {
            Content::Nothing
        };
        let spans = self.counts.get(destination).copied().unwrap_or(0);
        Part { request: self.request, splitter: self.splitter, destination, bit, spans, content }
    }
}

/// What one destination gets of a [`Split`].
#[derive(Clone, Copy, Debug)]
pub struct Part<'s> {
    request: &'s [u8],
    splitter: &'s Splitter,
    destination: usize,
    bit: u8,
    spans: u32,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    Whole,
    Assembled { size: u32 },
}

impl<'s> Part<'s> {
    /// Number of spans.
    pub fn spans(&self) -> usize {
        widen(self.spans)
    }

    /// Whether it is the request itself, byte for byte, so that the original can be passed on as it came. So it is for a
    /// destination of every span, and for every destination if the request holds no span.
    pub fn is_whole(&self) -> bool {
        self.content == Content::Whole
    }

    /// Whether there is nothing to send: spans, but none of them for this destination.
    pub fn is_nothing(&self) -> bool {
        self.content == Content::Nothing
    }

    /// Length of the encoded request in bytes: never more than that of the original.
    pub fn encoded_len(&self) -> usize {
        match self.content {
            Content::Nothing => 0,
            Content::Whole => self.request.len(),
            Content::Assembled { size } => widen(size),
        }
    }

    /// The encoded request in pieces, to be sent one after the other.
    pub fn pieces(&self) -> Pieces<'s> {
        let (ops, run) = match self.content {
            Content::Nothing => (&[][..], 0..0),
            Content::Whole => (&[][..], 0..narrow(self.request.len())),
            Content::Assembled { .. } => (&self.splitter.ops[..], 0..0),
        };
        let containers = &self.splitter.containers;
        Pieces { ops, containers, next: 0, destination: self.destination, bit: self.bit, run }
    }

    /// Appends the encoded request to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let before = out.len();
        out.reserve(self.encoded_len());
        for piece in self.pieces() {
            match piece {
                Piece::Original(range) => out.extend_from_slice(self.request.get(range).unwrap_or_default()),
                Piece::Header(header) => out.extend_from_slice(header.as_bytes()),
            }
        }
        assert_eq!(out.len() - before, self.encoded_len(), "a part is as long as planned");
    }
}

/// A piece of an assembled request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the original request.
    Original(Range<usize>),
    /// Tag and length of a message that was taken apart.
    Header(Header),
}

/// Tag and length of a message: up to 6 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; 6],
    len: u8,
}

impl Header {
    fn new(key: u8, size: u32) -> Self {
        let mut bytes = [0; 6];
        let mut len = 0;
        let mut rest = u64::from(size);
        let mut put = |byte| {
            if let Some(slot) = bytes.get_mut(usize::from(len)) {
                *slot = byte;
            }
            len += 1;
        };
        put(key);
        while rest >= 0x80 {
            put(low_seven(rest) | 0x80);
            rest >>= 7;
        }
        put(low_seven(rest));
        Header { bytes, len }
    }

    /// The encoded tag and length.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The pieces of a [`Part`]; neighbouring slices of the original come as one.
#[derive(Clone, Debug)]
pub struct Pieces<'s> {
    ops: &'s [Op],
    containers: &'s [Container],
    next: usize,
    destination: usize,
    bit: u8,
    /// Bytes to be copied that were not handed out, since the next ones may join them.
    run: Range<u32>,
}

impl Pieces<'_> {
    /// Joins a slice to the run; hands out the run if it does not join.
    fn join(&mut self, start: u32, end: u32) -> Option<Piece> {
        if self.run.end == start {
            self.run.end = end;
            return None;
        }
        let run = std::mem::replace(&mut self.run, start..end);
        original(run)
    }
}

fn original(run: Range<u32>) -> Option<Piece> {
    (!run.is_empty()).then_some(Piece::Original(widen(run.start)..widen(run.end)))
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while let Some(&op) = self.ops.get(self.next) {
            let joined = match op {
                Op::Copy { start, end, mask } => {
                    self.next += 1;
                    if mask & self.bit == 0 { None } else { self.join(start, end) }
                }
                Op::Open { container } => {
                    let Container { key, start, end, next, tally } =
                        *self.containers.get(widen(container))?;
                    if tally.all & self.bit != 0 {
                        self.next = widen(next);
                        self.join(start, end)
                    } else if tally.any & self.bit == 0 {
                        self.next = widen(next);
                        None
                    } else if self.run.is_empty() {
                        self.next += 1;
                        return Some(Piece::Header(Header::new(key, tally.size(self.destination))));
                    } else {
                        original(std::mem::take(&mut self.run))
                    }
                }
            };
            if joined.is_some() {
                return joined;
            }
        }
        original(std::mem::take(&mut self.run))
    }
}

fn widen(offset: u32) -> usize {
    usize::try_from(offset).expect("usize has at least 32 bits")
}
