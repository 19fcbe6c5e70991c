//! What prost makes of the same bytes, and the claims that are checked against it. The fuzz targets share this file.
//!
//! Two decoders bear witness. [`Request`] here is OTLP as far as the scan opens it, with opaque bytes where it does not:
//! a request must be accepted by both or refused by both. The complete OTLP of `opentelemetry-proto` opens everything,
//! and so refuses more: what it accepts must be accepted.

#![allow(dead_code, reason = "each test and fuzz target uses its part")]

use crossfade_otlp::{ScanError, Span as Scanned, Splitter, merge, scan};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResourceSpans {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) resource: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_spans: Vec<ScopeSpans>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) schema_url: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScopeSpans {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) scope: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) spans: Vec<Span>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) schema_url: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(crate) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) trace_state: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) parent_span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) name: Vec<u8>,
    #[prost(int32, tag = "6")]
    pub(crate) kind: i32,
    #[prost(fixed64, tag = "7")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub(crate) end_time_unix_nano: u64,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(crate) attributes: Vec<Vec<u8>>,
    #[prost(uint32, tag = "10")]
    pub(crate) dropped_attributes_count: u32,
    #[prost(bytes = "vec", repeated, tag = "11")]
    pub(crate) events: Vec<Vec<u8>>,
    #[prost(uint32, tag = "12")]
    pub(crate) dropped_events_count: u32,
    #[prost(bytes = "vec", repeated, tag = "13")]
    pub(crate) links: Vec<Vec<u8>>,
    #[prost(uint32, tag = "14")]
    pub(crate) dropped_links_count: u32,
    #[prost(bytes = "vec", optional, tag = "15")]
    pub(crate) status: Option<Vec<u8>>,
    #[prost(fixed32, tag = "16")]
    pub(crate) flags: u32,
}

/// A span with all that stands around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) resource: Option<Vec<u8>>,
    pub(crate) resource_schema: Vec<u8>,
    pub(crate) scope: Option<Vec<u8>>,
    pub(crate) scope_schema: Vec<u8>,
    pub(crate) span: Span,
}

/// The spans of a request that prost accepts, in order.
pub(crate) fn rows(request: &[u8]) -> Vec<Row> {
    let request = Request::decode(request).expect("a request that prost accepts");
    let mut rows = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            rows.extend(scope.spans.iter().map(|span| Row {
                resource: resource.resource.clone(),
                resource_schema: resource.schema_url.clone(),
                scope: scope.scope.clone(),
                scope_schema: scope.schema_url.clone(),
                span: span.clone(),
            }));
        }
    }
    rows
}

/// Checks that scan and prost see the same; returns what scan saw.
pub(crate) fn check_scan(bytes: &[u8]) -> Result<Vec<Scanned<'_>>, ScanError> {
    let scanned = scan(bytes).collect::<Result<Vec<_>, _>>();
    let decoded = Request::decode(bytes);
    match (&scanned, &decoded) {
        (Ok(spans), Ok(request)) => check_spans(bytes, spans, request),
        (Err(error), Err(_)) => assert!(error.offset <= bytes.len(), "{error}: of {} bytes", bytes.len()),
        (Ok(spans), Err(error)) => panic!("scan sees {} spans where prost says {error}", spans.len()),
        (Err(error), Ok(_)) => panic!("scan refuses what prost accepts: {error}"),
    }
    if let Ok(complete) = ExportTraceServiceRequest::decode(bytes) {
        let spans = scanned.as_ref().expect("scan accepts what prost accepts");
        check_complete(spans, &complete);
    }
    scanned
}

fn check_spans(bytes: &[u8], spans: &[Scanned<'_>], request: &Request) {
    let expected = request.resource_spans.iter().enumerate().flat_map(|(resource, resource_spans)| {
        resource_spans.scope_spans.iter().enumerate().flat_map(move |(scope, scope_spans)| {
            scope_spans.spans.iter().map(move |span| (resource, scope, span))
        })
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(spans.len(), expected.len(), "number of spans");
    for (seen, (resource, scope, span)) in spans.iter().zip(expected) {
        assert_eq!((seen.resource, seen.scope), (resource, scope));
        assert_eq!(seen.trace_id, span.trace_id);
        assert_eq!(seen.span_id, span.span_id);
        assert_eq!(seen.parent_span_id, span.parent_span_id);
        assert_eq!(seen.start_unix_nano, span.start_time_unix_nano);
        assert_eq!(seen.end_unix_nano, span.end_time_unix_nano);
        // Each range holds one whole field: alone it is a message with that field and no other.
        let alone = ScopeSpans::decode(&bytes[seen.range.clone()]).expect("a span's field");
        assert_eq!(alone, ScopeSpans { spans: vec![span.clone()], ..Default::default() });
        let alone = ResourceSpans::decode(&bytes[seen.scope_range.clone()]).expect("a scope's field");
        assert_eq!(alone.scope_spans, [request.resource_spans[resource].scope_spans[scope].clone()]);
        let alone = Request::decode(&bytes[seen.resource_range.clone()]).expect("a resource's field");
        assert_eq!(alone.resource_spans, [request.resource_spans[resource].clone()]);
    }
}

fn check_complete(spans: &[Scanned<'_>], complete: &ExportTraceServiceRequest) {
    let scopes = complete.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let expected: Vec<_> = scopes.flat_map(|scope| &scope.spans).collect();
    assert_eq!(spans.len(), expected.len(), "number of spans");
    for (seen, span) in spans.iter().zip(expected) {
        assert_eq!(seen.trace_id, span.trace_id);
        assert_eq!(seen.span_id, span.span_id);
        assert_eq!(seen.parent_span_id, span.parent_span_id);
        assert_eq!(seen.start_unix_nano, span.start_time_unix_nano);
        assert_eq!(seen.end_unix_nano, span.end_time_unix_nano);
    }
}

/// Splits a request by these masks, one for each span in turn; checks all that can be said of the parts without knowing
/// how the request was made; returns the parts.
pub(crate) fn check_split(bytes: &[u8], masks: &[u8]) -> Result<[Vec<u8>; 8], ScanError> {
    let mut splitter = Splitter::new();
    // One that was used before: nothing may be left of that.
    let _ = splitter.split(bytes, |span| 1 << (span.range.end & 1));
    let mut turn = masks.iter().cycle();
    let mut given = Vec::new();
    let split = splitter.split(bytes, |_| {
        given.push(*turn.next().expect("at least one mask"));
        given[given.len() - 1]
    });
    let scanned = scan(bytes).collect::<Result<Vec<_>, _>>();
    let split = match split {
        Ok(split) => split,
        Err(error) => {
            assert_eq!(Err(error), scanned, "split refuses as scan does");
            return Err(error);
        }
    };
    let all = rows(bytes);
    assert_eq!(split.spans(), all.len());
    assert_eq!(given.len(), all.len());
    assert_eq!(split.destinations(), given.iter().fold(0, |any, mask| any | mask));
    let parts = std::array::from_fn(|destination| {
        let part = split.part(destination);
        let mut out = b"kept".to_vec();
        part.write_to(&mut out);
        let out = out.split_off(4);
        let expected: Vec<_> = all
            .iter()
            .zip(&given)
            .filter(|(_, mask)| *mask >> destination & 1 == 1)
            .map(|(row, _)| row.clone())
            .collect();
        assert_eq!(rows(&out), expected, "spans of destination {destination}");
        assert_eq!(part.spans(), expected.len());
        assert_eq!(part.encoded_len(), out.len());
        assert_eq!(part.is_whole(), expected.len() == all.len());
        assert_eq!(part.is_nothing(), expected.is_empty() && !all.is_empty());
        assert!(out.len() <= bytes.len(), "a part is not longer than the whole");
        if part.is_whole() {
            assert_eq!(out, bytes);
        }
        check_scan(&out).expect("a part can be scanned");
        out
    });
    check_merge(&all, &parts, &given);
    Ok(parts)
}

/// The parts, merged, hold each span as often as it had destinations.
fn check_merge(all: &[Row], parts: &[Vec<u8>; 8], given: &[u8]) {
    let mut merged = Vec::new();
    merge(parts.iter().map(Vec::as_slice), &mut merged);
    let mut merged = rows(&merged);
    let copies = |mask: &u8| usize::try_from(mask.count_ones()).expect("at most eight");
    let mut expected: Vec<_> = all
        .iter()
        .zip(given)
        .flat_map(|(row, mask)| std::iter::repeat_n(row.clone(), copies(mask)))
        .collect();
    merged.sort();
    expected.sort();
    assert_eq!(merged, expected, "split, then merged");
}
