//! One request for each destination: which bytes go where.
//!
//! A split walks the request once and writes down, in the order of the bytes, which of them go where: a flat list of
//! [`Op`]s. A message whose spans all go the same way is a single copy, and neighbours with the same destinations are
//! joined; only a message whose spans part ways is taken apart. Writing a part (`part`) walks that list, and copies.

use std::ops::Range;

use crate::error::{Path, ScanError, ScanErrorKind};
use crate::limits::{DESTINATIONS, SPLIT_REQUEST_BYTES};
use crate::part::Split;
use crate::scan::Span;
use crate::walk::{Level, Step, Walk};
use crate::wire::varint_len;

/// Goes wherever the enclosing message goes.
const EVERYWHERE: u8 = u8::MAX;
/// Keys of `resource_spans` in a request and of `scope_spans` in a resource: field 1 and 2, length-delimited.
const RESOURCE_SPANS: u8 = 0x0a;
const SCOPE_SPANS: u8 = 0x12;

/// Splits requests. It keeps its scratch memory, so that one in steady use allocates nothing.
#[derive(Debug, Default)]
pub struct Splitter {
    pub(crate) ops: Vec<Op>,
    /// The messages that are taken apart.
    pub(crate) containers: Vec<Container>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Bytes of the request, for these destinations.
    Copy { start: u32, end: u32, mask: u8 },
    /// A message that is taken apart; its parts follow.
    Open { container: u32 },
}

/// A message whose spans part ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    pub(crate) key: u8,
    /// Its field, tag and length included.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The op after its parts.
    pub(crate) next: u32,
    pub(crate) tally: Tally,
}

/// Where the spans of a message go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Destinations of at least one span.
    pub(crate) any: u8,
    /// Destinations of every span.
    pub(crate) all: u8,
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
    pub(crate) fn size(&self, destination: usize) -> u32 {
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
    /// Fails where [`scan`](crate::scan()) fails, and if the request is longer than [`SPLIT_REQUEST_BYTES`].
    ///
    /// ```
    /// // resource_spans { scope_spans { spans { trace_id: "\x01" } spans { trace_id: "\x02" } } }
    /// let request = b"\x0a\x0c\x12\x0a\x12\x03\x0a\x01\x01\x12\x03\x0a\x01\x02";
    /// let mut splitter = crossfade_otlp::Splitter::new();
    /// let split = splitter.split(request, |span| if span.trace_id == [1] { 0b11 } else { 0b01 })?;
    /// assert!(split.part(0).is_whole());
    /// let mut second = Vec::new();
    /// split.part(1).write_to(&mut second);
    /// assert_eq!(second, b"\x0a\x07\x12\x05\x12\x03\x0a\x01\x01");
    /// # Ok::<(), crossfade_otlp::ScanError>(())
    /// ```
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
        Ok(Split::new(request, self, tally, spans, counts))
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

/// Offsets take half the room in 32 bits.
pub(crate) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("a longer request is refused before it is split")
}

pub(crate) fn widen(offset: u32) -> usize {
    usize::try_from(offset).expect("usize has at least 32 bits")
}
