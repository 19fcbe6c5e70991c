//! A request that is encoded once and sent for ever: only its ids and times are written anew, in place.

use bytes::{Bytes, BytesMut};
use crossfade_gates::load::{Ids, PEER_SERVICE, SERVICE, SPANS_PER_TRACE};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// The encoded request, and where its ids and times lie.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Bytes,
    spots: Vec<Spot>,
}

/// Where one span's ids and times lie.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Its number within the request.
    span: u32,
    parent: Option<u32>,
    trace_id_at: usize,
    span_id_at: usize,
    parent_id_at: Option<usize>,
    start_at: usize,
    end_at: usize,
    /// Before the time of the request, in nanoseconds.
    started: u64,
    ended: u64,
}

/// One span of a trace: `entry -> (check, call -> handle -> (read, write), publish -> take)`.
struct Part {
    service: &'static str,
    name: &'static str,
    kind: i32,
    parent: Option<u32>,
    /// Before the trace's end, in milliseconds.
    started: u64,
    ended: u64,
}

const fn part(
    service: &'static str,
    name: &'static str,
    kind: i32,
    parent: Option<u32>,
    started: u64,
    ended: u64,
) -> Part {
    Part { service, name, kind, parent, started, ended }
}

const MILLI: u64 = 1_000_000;
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

const PARTS: [Part; SPANS_PER_TRACE as usize] = [
    part(SERVICE, "POST /load/orders", SERVER, None, 90, 0),
    part(SERVICE, "load.check", INTERNAL, Some(0), 88, 80),
    part(SERVICE, "POST /load/stock", CLIENT, Some(0), 78, 20),
    part(PEER_SERVICE, "POST /load/stock", SERVER, Some(2), 76, 22),
    part(PEER_SERVICE, "SELECT load.stock", CLIENT, Some(3), 70, 50),
    part(PEER_SERVICE, "UPDATE load.stock", CLIENT, Some(3), 48, 26),
    part(SERVICE, "load.orders publish", PRODUCER, Some(0), 18, 12),
    part(PEER_SERVICE, "load.orders process", CONSUMER, Some(6), 10, 2),
];

impl Template {
    /// A request of so many spans, of about so many bytes each (a span cannot be made shorter than about 250).
    pub(crate) fn new(spans: u32, bytes_per_span: usize) -> Self {
        let numbers_of = |service: &'static str| (0..spans).filter(move |n| part_of(*n).service == service);
        let group = |service| resource_spans(service, numbers_of(service), bytes_per_span);
        let request = ExportTraceServiceRequest { resource_spans: [SERVICE, PEER_SERVICE].map(group).into() };
        let bytes = Bytes::from(request.encode_to_vec());
        let numbers = numbers_of(SERVICE).chain(numbers_of(PEER_SERVICE));
        let found = crossfade_otlp::scan(&bytes).map(|span| span.expect("it was encoded just now").range);
        let spots = numbers.zip(found).map(|(number, range)| spot(&bytes, number, range)).collect();
        Self { bytes, spots }
    }

    /// A copy, for [`write`](Template::write).
    pub(crate) fn buffer(&self) -> BytesMut {
        BytesMut::from(&*self.bytes)
    }

    /// Makes a copy of this template the request of this number, whose traces end at `at` (nanoseconds since 1970).
    pub(crate) fn write(&self, buffer: &mut BytesMut, ids: Ids, request: u64, at: u64) {
        for spot in &self.spots {
            put(buffer, spot.trace_id_at, ids.trace(request, spot.span / SPANS_PER_TRACE).0);
            put(buffer, spot.span_id_at, ids.span(request, spot.span).0);
            if let (Some(parent), Some(parent_id_at)) = (spot.parent, spot.parent_id_at) {
                put(buffer, parent_id_at, ids.span(request, parent).0);
            }
            put(buffer, spot.start_at, at.saturating_sub(spot.started).to_le_bytes());
            put(buffer, spot.end_at, at.saturating_sub(spot.ended).to_le_bytes());
        }
    }
}

fn put<const N: usize>(buffer: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = buffer.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

fn part_of(span: u32) -> &'static Part {
    &PARTS[(span % SPANS_PER_TRACE) as usize]
}

/// The parent's number within the request.
fn parent_of(span: u32) -> Option<u32> {
    part_of(span).parent.map(|parent| span - span % SPANS_PER_TRACE + parent)
}

/// Finds the fields of a span by their order, in which they were encoded just now.
fn spot(request: &[u8], number: u32, range: std::ops::Range<usize>) -> Spot {
    let mut at = range.start;
    varint(request, &mut at); // the key
    varint(request, &mut at); // the length
    let mut spot = Spot {
        span: number,
        parent: parent_of(number),
        trace_id_at: 0,
        span_id_at: 0,
        parent_id_at: None,
        start_at: 0,
        end_at: 0,
        started: part_of(number).started * MILLI,
        ended: part_of(number).ended * MILLI,
    };
    while at < range.end {
        let key = varint(request, &mut at);
        let length = match key & 7 {
            0 => {
                varint(request, &mut at);
                0
            }
            1 => 8,
            5 => 4,
            _ => varint(request, &mut at),
        };
        match key >> 3 {
            1 => spot.trace_id_at = at,
            2 => spot.span_id_at = at,
            4 => spot.parent_id_at = Some(at),
            7 => spot.start_at = at,
            8 => spot.end_at = at,
            _ => {}
        }
        at += length;
    }
    spot
}

fn varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn resource_spans(service: &str, numbers: impl Iterator<Item = u32>, bytes_per_span: usize) -> ResourceSpans {
    let resource = [
        ("service.name", service),
        ("service.namespace", "crossfade"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("crossfade.load", "true"),
    ];
    let attributes = resource.map(|(key, value)| text(key, value.to_owned())).into();
    let scope = InstrumentationScope {
        name: "crossfade.load".to_owned(),
        version: "1".to_owned(),
        ..Default::default()
    };
    let spans = numbers.map(|number| span(number, bytes_per_span)).collect();
    ResourceSpans {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }],
        ..Default::default()
    }
}

/// A span with room for ids and times.
fn span(number: u32, bytes_per_span: usize) -> Span {
    let part = part_of(number);
    let attributes = vec![
        text("http.request.method", "POST".to_owned()),
        text("http.route", "/load/orders".to_owned()),
        text("server.address", "load.invalid".to_owned()),
        text("network.peer.address", format!("192.0.2.{}", number % 254 + 1)),
        text("thread.name", format!("worker-{}", number % 64)),
        attribute("crossfade.load.span", Value::IntValue(i64::from(number))),
    ];
    let mut span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        parent_span_id: part.parent.map(|_| vec![1; 8]).unwrap_or_default(),
        name: part.name.to_owned(),
        kind: part.kind,
        start_time_unix_nano: 1,
        end_time_unix_nano: 1,
        attributes,
        status: Some(Status::default()),
        ..Default::default()
    };
    // Key and length of the span, and those of one more attribute.
    let have = span.encoded_len() + 3 + FILLER.len() + 11;
    span.attributes.push(text(FILLER, filler(number, bytes_per_span.saturating_sub(have))));
    span
}

const FILLER: &str = "db.query.text";

/// So many bytes, a little like statements: they compress as well as those do, and not as zeros.
fn filler(number: u32, length: usize) -> String {
    const WORDS: [&str; 8] =
        ["SELECT", "id, state", "FROM", "load_orders", "WHERE", "customer = ?", "AND", "amount > ?"];
    let mut out = String::with_capacity(length + 16);
    let mut dice = u64::from(number % 16) + 1;
    while out.len() < length {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push_str(WORDS[(dice >> 61) as usize]);
        out.push(' ');
    }
    out.truncate(length);
    out
}

fn text(key: &str, value: String) -> KeyValue {
    attribute(key, Value::StringValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Scenario: one buffer is written again and again.
    /// Guarantee: each time it decodes to whole traces, with the ids that are read back later, and times around `at`.
    #[test]
    fn a_request_holds_whole_traces_under_the_ids_of_its_number() {
        let (ids, template) = (Ids::new(7, 9), Template::new(20, 685));
        let mut buffer = template.buffer();
        for request in [0, 1, 77] {
            let at = 1_800_000_000_000_000_000 + request;
            template.write(&mut buffer, ids, request, at);
            let decoded = ExportTraceServiceRequest::decode(&*buffer).unwrap();
            let spans: Vec<Span> = decoded
                .resource_spans
                .into_iter()
                .flat_map(|resource| resource.scope_spans)
                .flat_map(|scope| scope.spans)
                .collect();
            assert_eq!(spans.len(), 20);
            let mut traces: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
            for span in &spans {
                traces.entry(span.trace_id.clone()).or_default().insert(span.span_id.clone());
                let started = at - span.start_time_unix_nano;
                let ended = at - span.end_time_unix_nano;
                assert!(ended < started && started <= 90 * MILLI, "{started} {ended}");
            }
            for trace in 0..3 {
                let wanted = ids.spans_of(request, trace, 20).into_iter().map(|id| id.0.to_vec()).collect();
                assert_eq!(traces[ids.trace(request, trace).0.as_slice()], wanted);
            }
            for span in &spans {
                let root = span.parent_span_id.is_empty();
                assert!(root || traces[&span.trace_id].contains(&span.parent_span_id));
                assert_eq!(root, span.name == PARTS[0].name);
            }
        }
    }

    #[test]
    fn a_span_is_as_long_as_it_should_be() {
        for wanted in [400, 685, 2_000] {
            let length = Template::new(512, wanted).bytes.len() / 512;
            assert!(length.abs_diff(wanted) <= 5, "{wanted}: {length}");
        }
        assert!(Template::new(1, 0).bytes.len() < 700);
        assert_eq!(Template::new(0, 685).spots.len(), 0);
    }
}
