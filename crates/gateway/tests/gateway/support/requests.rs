//! Requests, made with prost: what an SDK would send.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crossfade_backends::otlp::Message;
use crossfade_routing::{Destinations, Schedule, TraceId, UnixNanos, fraction};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::SEED;

pub(crate) type Request = ExportTraceServiceRequest;

/// The clock. In tests it is read here.
#[allow(clippy::disallowed_methods, reason = "spans have to be of now")]
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// One span to be: of a trace, of a millisecond, ended now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanSpec {
    pub(crate) trace: TraceId,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A trace that no other test uses.
pub(crate) fn trace() -> TraceId {
    let mut id = [0; 16];
    // Spread over all bytes: what is tested is not how ids are made.
    let next = NEXT.fetch_add(1, Ordering::SeqCst);
    id[..8].copy_from_slice(&next.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&next.to_be_bytes());
    TraceId(id)
}

fn owned_by(schedule: &Schedule, owner: Destinations) -> TraceId {
    let is_owned = |id: &TraceId| schedule.owner(fraction(SEED, id), UnixNanos(now())) == owner;
    std::iter::repeat_with(trace).find(is_owned).unwrap()
}

/// A trace that the candidate owns under this schedule.
pub(crate) fn candidate_trace(schedule: &Schedule) -> TraceId {
    owned_by(schedule, Destinations::TO)
}

/// A trace that the active environment owns under this schedule.
pub(crate) fn plain_trace(schedule: &Schedule) -> TraceId {
    owned_by(schedule, Destinations::FROM)
}

pub(crate) fn span(trace: TraceId) -> SpanSpec {
    let end = now();
    SpanSpec { trace, start: end - 1_000_000, end }
}

/// Each span under a resource and scope of its own.
pub(crate) fn request(spans: &[SpanSpec]) -> Request {
    let resource_spans = spans.iter().map(|spec| {
        let span_id = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes().to_vec();
        let span = Span {
            trace_id: spec.trace.0.to_vec(),
            span_id,
            name: "GET /".to_owned(),
            start_time_unix_nano: spec.start,
            end_time_unix_nano: spec.end,
            ..Span::default()
        };
        let scope_spans = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }
    });
    Request { resource_spans: resource_spans.collect() }
}

pub(crate) fn encode(request: &Request) -> Message {
    Message::identity(request.encode_to_vec())
}

/// A request with one span of a trace of its own.
pub(crate) fn one_span() -> Message {
    encode(&request(&[span(trace())]))
}

/// All spans' ids.
pub(crate) fn ids<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
    let resources = requests.into_iter().flat_map(|request| &request.resource_spans);
    let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    spans.map(|span| (span.trace_id.clone(), span.span_id.clone())).collect()
}

/// A sound request of about so many bytes.
pub(crate) fn large(bytes: usize) -> Vec<u8> {
    let mut request = request(&[span(trace())]);
    request.resource_spans[0].scope_spans[0].spans[0].name = "x".repeat(bytes);
    request.encode_to_vec()
}
