//! What each destination gets of a split request.

use std::ops::Range;

use crate::limits::DESTINATIONS;
use crate::split::{Container, Op, Splitter, Tally, narrow, widen};
use crate::wire::low_seven;

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
    pub(crate) fn new(
        request: &'s [u8],
        splitter: &'s Splitter,
        tally: Tally,
        spans: usize,
        counts: [u32; DESTINATIONS],
    ) -> Self {
        Split { request, splitter, tally, spans, counts }
    }

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
