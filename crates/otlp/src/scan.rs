//! An iterator over the spans of a request.

use std::iter::FusedIterator;
use std::ops::Range;

use crate::error::ScanError;
use crate::walk::{Step, Walk};

/// Scans an encoded `ExportTraceServiceRequest`: an iterator over its spans, in the order of their bytes.
///
/// It ends after the first error. Only a scan that reached its end without one has seen the whole request: what follows
/// the last span is checked too.
///
/// ```
/// // resource_spans { scope_spans { spans { trace_id: "\x07" start_time_unix_nano: 1 } } }
/// let request = b"\x0a\x10\x12\x0e\x12\x0c\x0a\x01\x07\x39\x01\0\0\0\0\0\0\0";
/// let spans = crossfade_otlp::scan(request).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(spans[0].trace_id, [7]);
/// assert_eq!(spans[0].start_unix_nano, 1);
/// assert_eq!(spans[0].range, 4..18);
/// # Ok::<(), crossfade_otlp::ScanError>(())
/// ```
pub fn scan(request: &[u8]) -> Scan<'_> {
    Scan { walk: Walk::new(request), spans_seen: 0 }
}

/// One span of a request, as [`scan`] sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// 16 bytes if the sender is sound; any number, none included, if it is not.
    pub trace_id: &'a [u8],
    /// 8 bytes if the sender is sound.
    pub span_id: &'a [u8],
    /// Empty (or 8 zero bytes) for a root.
    pub parent_span_id: &'a [u8],
    /// Start in nanoseconds since 1970 by the clock of the span's host; 0 if not set.
    pub start_unix_nano: u64,
    /// End in nanoseconds since 1970 by the clock of the span's host; 0 if not set.
    pub end_unix_nano: u64,
    /// Where the whole field lies in the request, tag and length included.
    pub range: Range<usize>,
    /// Index of the enclosing message in the request's `resource_spans`.
    pub resource: usize,
    /// Index of the enclosing message in that resource's `scope_spans`.
    pub scope: usize,
    /// Where the enclosing `resource_spans` field lies in the request, tag and length included.
    pub resource_range: Range<usize>,
    /// Where the enclosing `scope_spans` field lies in the request, tag and length included.
    pub scope_range: Range<usize>,
}

/// The spans of a request; made by [`scan`].
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    walk: Walk<'a>,
    spans_seen: usize,
}

impl Scan<'_> {
    /// Number of spans returned up to now.
    pub fn spans_seen(&self) -> usize {
        self.spans_seen
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<Span<'a>, ScanError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.step()? {
                Ok(Step::Span(span)) => {
                    self.spans_seen += 1;
                    return Some(Ok(span));
                }
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl FusedIterator for Scan<'_> {}
