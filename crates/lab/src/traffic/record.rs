//! What was sent, when, and what was said to it: the truth that stores are measured against.

use super::exporter::Answer;
use super::fleet::Sdk;
use crate::environment::{SpanDigest, SpanId};
use crossfade_routing::{TraceId, UnixNanos};
use std::collections::BTreeMap;

/// Everything that one run of traffic sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The SDKs, as [`SentSpan::sdk`] and [`SentRequest::sdk`] number them.
    pub sdks: Vec<Sdk>,
    /// Every trace that began.
    pub traces: BTreeMap<TraceId, SentTrace>,
    /// Every export, as [`SentSpan::request`] numbers them.
    pub requests: Vec<SentRequest>,
}

/// A trace as it happened. Times are true ones, not what skewed hosts reported.
#[derive(Debug, Clone, PartialEq)]
pub struct SentTrace {
    /// When its root span truly started.
    pub root_start: UnixNanos,
    /// How many spans it has; fewer are in `spans` only if the run was cut short.
    pub planned: usize,
    /// Its spans that were sent, in no particular order.
    pub spans: Vec<SentSpan>,
}

/// One span that was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentSpan {
    /// Its id.
    pub id: SpanId,
    /// Who sent it.
    pub sdk: usize,
    /// Its true start.
    pub start: UnixNanos,
    /// Its true end.
    pub end: UnixNanos,
    /// Of what was sent, resource and scope included.
    pub digest: SpanDigest,
    /// The export that it was part of.
    pub request: usize,
}

/// One export: a batch of spans of one SDK, with its retries.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRequest {
    /// Who sent it.
    pub sdk: usize,
    /// Spans in it.
    pub spans: usize,
    /// When its first attempt began.
    pub sent_at: UnixNanos,
    /// When the last answer was there, or was given up.
    pub answered_at: UnixNanos,
    /// How many times it was sent.
    pub attempts: u32,
    /// What the first attempt was answered.
    pub first_answer: Answer,
    /// What the last attempt was answered.
    pub answer: Answer,
}

impl SentTrace {
    /// When its last span truly ended; its start if no span was sent.
    pub fn end(&self) -> UnixNanos {
        self.spans.iter().map(|span| span.end).max().unwrap_or(self.root_start)
    }
}

impl Record {
    /// All spans that were sent, retries not counted.
    pub fn span_count(&self) -> u64 {
        self.traces.values().map(|trace| trace.spans.len() as u64).sum()
    }

    /// Spans of exports that were not accepted in the end.
    pub fn unacknowledged(&self) -> u64 {
        let failed =
            self.requests.iter().filter(|request| !matches!(request.answer, Answer::Accepted { .. }));
        failed.map(|request| request.spans as u64).sum()
    }

    /// The start that the span's host reported.
    pub fn reported_start(&self, span: &SentSpan) -> UnixNanos {
        self.reported(span, span.start)
    }

    /// The end that the span's host reported.
    pub fn reported_end(&self, span: &SentSpan) -> UnixNanos {
        self.reported(span, span.end)
    }

    fn reported(&self, span: &SentSpan, time: UnixNanos) -> UnixNanos {
        UnixNanos(time.0.saturating_add_signed(self.sdks[span.sdk].clock_error_nanos))
    }
}
