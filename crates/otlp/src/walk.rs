//! The walk over the nested messages of a request that scan and split share.

use std::ops::Range;

use crate::error::{Path, ScanError, WireType};
use crate::limits::NESTING;
use crate::scan::Span;
use crate::span;
use crate::wire::{Fault, delimited, expect, key, skip};

/// One step of the walk, in the order of the bytes. Ranges are those of whole fields, tag and length included.
#[derive(Clone, Debug)]
pub(crate) enum Step<'a> {
    EnterResource(Range<usize>),
    LeaveResource,
    EnterScope(Range<usize>),
    LeaveScope,
    Span(Span<'a>),
    /// Any other field, of the message that the walk is in.
    Other(Level, Range<usize>),
}

/// Which message the walk is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Request,
    Resource,
    Scope,
}

impl Level {
    /// Number of the field that holds the messages one level down.
    fn child(self) -> u32 {
        match self {
            Level::Request => 1,
            Level::Resource | Level::Scope => 2,
        }
    }

    /// Whether OTLP defines this field, other than the child (all of them are length-delimited).
    fn defines(self, number: u32) -> bool {
        self != Level::Request && (number == 1 || number == 3)
    }

    /// How deep a skipped field may nest.
    fn nesting(self) -> usize {
        match self {
            Level::Request => NESTING,
            Level::Resource => NESTING - 1,
            Level::Scope => NESTING - 2,
        }
    }
}

/// A message of a repeated field.
#[derive(Clone, Debug, Default)]
struct Open {
    /// Its field, tag and length included.
    field: Range<usize>,
    /// How many of these its parent has held up to now, itself included.
    count: usize,
}

/// The state of a walk: a position and the messages around it.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    request: &'a [u8],
    at: usize,
    level: Level,
    resource: Open,
    scope: Open,
    /// How many spans the scope has held up to now.
    spans: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(request: &'a [u8]) -> Self {
        Walk {
            request,
            at: 0,
            level: Level::Request,
            resource: Open::default(),
            scope: Open::default(),
            spans: 0,
        }
    }

    /// The next step; `None` at the end of the request and after an error.
    #[inline]
    pub(crate) fn step(&mut self) -> Option<Result<Step<'a>, ScanError>> {
        if self.level == Level::Scope
            && let Some((body, end)) = self.plain_span()
        {
            return Some(self.span(body, end).map_err(|fault| self.fail(fault, true)));
        }
        self.rare_step()
    }

    /// Where the value of the next field lies, if it is a span with a key of one byte and a length of one or two.
    #[inline(always)]
    fn plain_span(&self) -> Option<(usize, usize)> {
        let &[key, a, b] = self.request.get(self.at..)?.first_chunk()?;
        let (body, length) = match (key, a, b) {
            (0x12, ..0x80, _) => (self.at + 2, usize::from(a)),
            (0x12, _, ..0x80) => (self.at + 3, usize::from(a & 0x7f) | usize::from(b) << 7),
            _ => return None,
        };
        let end = body + length;
        (end <= self.scope.field.end).then_some((body, end))
    }

    #[inline(always)]
    fn span(&mut self, body: usize, end: usize) -> Result<Step<'a>, Fault> {
        let fields = span::fields(self.request, body..end)?;
        let start = self.at;
        self.spans += 1;
        self.at = end;
        Ok(Step::Span(Span {
            trace_id: fields.trace_id,
            span_id: fields.span_id,
            parent_span_id: fields.parent_span_id,
            start_unix_nano: fields.start_unix_nano,
            end_unix_nano: fields.end_unix_nano,
            range: start..end,
            resource: self.resource.count - 1,
            scope: self.scope.count - 1,
            resource_range: self.resource.field.clone(),
            scope_range: self.scope.field.clone(),
        }))
    }

    #[inline(never)]
    fn rare_step(&mut self) -> Option<Result<Step<'a>, ScanError>> {
        let end = match self.level {
            Level::Request => self.request.len(),
            Level::Resource => self.resource.field.end,
            Level::Scope => self.scope.field.end,
        };
        if self.at < end {
            // `end` never exceeds the request: lengths are checked when a message is entered.
            let message = self.request.get(..end).unwrap_or_default();
            let step = self.field(message);
            return Some(step.map_err(|(fault, inside)| self.fail(fault, inside)));
        }
        match self.level {
            Level::Request => None,
            Level::Resource => {
                self.level = Level::Request;
                Some(Ok(Step::LeaveResource))
            }
            Level::Scope => {
                self.level = Level::Resource;
                Some(Ok(Step::LeaveScope))
            }
        }
    }

    /// Reads the field at the position. A fault comes with whether it lies inside a child of the current message.
    fn field(&mut self, message: &'a [u8]) -> Result<Step<'a>, (Fault, bool)> {
        let start = self.at;
        let (number, wire_type, value) = key(message, start).map_err(|fault| (fault, false))?;
        if number == self.level.child() {
            return self.child(message, start, wire_type, value).map_err(|fault| (fault, true));
        }
        let end = if self.level.defines(number) {
            expect(start, WireType::LengthDelimited, wire_type)
                .and_then(|()| Ok(delimited(message, value)?.1))
        } else {
            skip(message, value, number, wire_type, self.level.nesting())
        };
        self.at = end.map_err(|fault| (fault.within(number), false))?;
        Ok(Step::Other(self.level, start..self.at))
    }

    /// Enters a message one level down; reads it, if it is a span.
    fn child(
        &mut self,
        message: &'a [u8],
        start: usize,
        wire_type: WireType,
        value: usize,
    ) -> Result<Step<'a>, Fault> {
        expect(start, WireType::LengthDelimited, wire_type)?;
        let (body, end) = delimited(message, value)?;
        match self.level {
            Level::Request => {
                self.resource = Open { field: start..end, count: self.resource.count + 1 };
                self.scope.count = 0;
                self.level = Level::Resource;
                self.at = body;
                Ok(Step::EnterResource(start..end))
            }
            Level::Resource => {
                self.scope = Open { field: start..end, count: self.scope.count + 1 };
                self.spans = 0;
                self.level = Level::Scope;
                self.at = body;
                Ok(Step::EnterScope(start..end))
            }
            Level::Scope => self.span(body, end),
        }
    }

    /// Says where a fault lies, and ends the walk. `inside` a child: of the one that comes next at this level.
    #[cold]
    fn fail(&mut self, fault: Fault, inside: bool) -> ScanError {
        let mut path = Path { field: fault.field, ..Path::default() };
        match self.level {
            Level::Request => path.resource = inside.then_some(self.resource.count),
            Level::Resource => {
                path.resource = Some(self.resource.count - 1);
                path.scope = inside.then_some(self.scope.count);
            }
            Level::Scope => {
                path.resource = Some(self.resource.count - 1);
                path.scope = Some(self.scope.count - 1);
                path.span = inside.then_some(self.spans);
            }
        }
        self.level = Level::Request;
        self.at = self.request.len();
        ScanError { offset: fault.offset, path, kind: fault.kind }
    }
}
