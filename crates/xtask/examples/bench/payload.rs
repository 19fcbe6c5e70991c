//! The load's requests, built once: 512 spans of 685 bytes on average, of 64 traces whose spans lie mixed, as they do
//! when many requests end at once. The same seed builds the same bytes.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const SPANS: usize = 512;
pub(crate) const TRACES: usize = 64;
const BYTES_PER_SPAN: usize = 685;
const SCOPES: usize = 4;
/// Different database statements in a request.
const STATEMENTS: usize = 12;

/// `count` different requests, each as the gRPC message that carries it: flag, length, body.
pub(crate) fn build(count: usize, gzip: bool) -> Vec<Bytes> {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    (0..count).map(|_| framed(&request(&mut random).encode_to_vec(), gzip)).collect()
}

fn framed(message: &[u8], gzip: bool) -> Bytes {
    let body = if gzip { compressed(message) } else { message.to_vec() };
    let length = u32::try_from(body.len()).expect("a request of 350 KB");
    let mut framed = vec![u8::from(gzip)];
    framed.extend(length.to_be_bytes());
    framed.extend(body);
    Bytes::from(framed)
}

fn compressed(message: &[u8]) -> Vec<u8> {
    // The level that Go's and Java's exporters use unless told otherwise.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).and_then(|()| encoder.finish()).expect("memory takes every write")
}

fn request(random: &mut ChaCha8Rng) -> ExportTraceServiceRequest {
    let traces: Vec<[u8; 16]> = (0..TRACES).map(|_| random.random()).collect();
    let mut spans: Vec<Span> = (0..SPANS).map(|index| span(random, &traces[index % TRACES])).collect();
    spans.shuffle(random);
    let mut scope_spans: Vec<ScopeSpans> = (0..SCOPES).map(scope).collect();
    for (index, span) in spans.into_iter().enumerate() {
        scope_spans[index * SCOPES / SPANS].spans.push(span);
    }
    let attributes = vec![
        text("service.name", "checkout".to_owned()),
        text("service.version", "4.11.0".to_owned()),
        text("service.instance.id", "b4a6d8f0-5f8e-4f29-9a1d-2d2c3f0c7a11".to_owned()),
        text("k8s.namespace.name", "shop".to_owned()),
        text("k8s.pod.name", "checkout-7c9d6b5f4-x2x9k".to_owned()),
        text("telemetry.sdk.language", "java".to_owned()),
    ];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let mut request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }],
    };
    pad(&mut request, random);
    request
}

fn scope(index: usize) -> ScopeSpans {
    let name =
        ["io.opentelemetry.netty", "io.opentelemetry.jdbc", "io.opentelemetry.grpc", "app"][index % SCOPES];
    let scope =
        InstrumentationScope { name: name.to_owned(), version: "2.9.0".to_owned(), ..Default::default() };
    ScopeSpans { scope: Some(scope), spans: Vec::with_capacity(SPANS / SCOPES), schema_url: String::new() }
}

fn span(random: &mut ChaCha8Rng, trace: &[u8; 16]) -> Span {
    let end = now() - random.random_range(0..2_000_000_000);
    let start = end - random.random_range(1_000..900_000_000);
    let route =
        ["/api/cart", "/api/cart/items", "/api/checkout", "/api/orders/{id}"][random.random_range(0..4)];
    let attributes = vec![
        text("http.request.method", "POST".to_owned()),
        text("http.route", route.to_owned()),
        text("url.full", format!("https://shop.example{route}?customer={}", random.random::<u32>())),
        number("http.response.status_code", 200),
        text("server.address", "checkout.shop.svc.cluster.local".to_owned()),
        number("server.port", 8443),
        text(
            "user_agent.original",
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned(),
        ),
        text("network.peer.address", format!("10.{}.{}.7", random.random::<u8>(), random.random::<u8>())),
        number("network.peer.port", i64::from(random.random::<u16>())),
        text("thread.name", format!("worker-{}", random.random_range(0..64))),
    ];
    Span {
        trace_id: trace.to_vec(),
        span_id: random.random::<[u8; 8]>().to_vec(),
        parent_span_id: random.random::<[u8; 8]>().to_vec(),
        name: format!("POST {route}"),
        kind: random.random_range(1..=5),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        status: Some(Status::default()),
        ..Span::default()
    }
}

/// Makes the request as long as it should be, by one more attribute a span.
fn pad(request: &mut ExportTraceServiceRequest, random: &mut ChaCha8Rng) {
    let wanted = SPANS * BYTES_PER_SPAN;
    let key = "db.query.text";
    let spans = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    let spans = spans.flat_map(|scope| &mut scope.spans).collect::<Vec<_>>();
    // Key, value and their tags and lengths take a few bytes more than the text.
    let overhead = key.len() + 12;
    let have: usize = spans.iter().map(|span| span.encoded_len() + 3).sum();
    let each = (wanted.saturating_sub(have) / SPANS).saturating_sub(overhead);
    let statements: Vec<_> = (0..STATEMENTS).map(|_| statement(each, random)).collect();
    for span in spans {
        span.attributes.push(text(key, statements[random.random_range(0..STATEMENTS)].clone()));
    }
}

/// A statement of `length` bytes. Instrumentations send them with their literals taken out, so there are only a few.
fn statement(length: usize, random: &mut ChaCha8Rng) -> String {
    const WORDS: [&str; 12] = [
        "SELECT",
        "FROM",
        "orders",
        "WHERE",
        "customer_id",
        "= ?",
        "AND",
        "status",
        "IN (?)",
        "JOIN",
        "items",
        "ON",
    ];
    let mut text = String::new();
    while text.len() < length {
        text.push_str(WORDS[random.random_range(0..WORDS.len())]);
        text.push(' ');
    }
    text.truncate(length);
    text
}

fn text(key: &str, value: String) -> KeyValue {
    attribute(key, Value::StringValue(value))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Spans end at the time of their building, so that a gateway trusts their clock.
#[allow(clippy::disallowed_methods, reason = "the load stands for many hosts, which have clocks")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    u64::try_from(since.as_nanos()).expect("nanoseconds fit until 2554")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_request_has_the_size_and_the_traces_that_it_should() {
        let framed = &build(1, false)[0];
        let body = &framed[5..];
        let per_span = body.len() / SPANS;
        assert!((BYTES_PER_SPAN - 5..=BYTES_PER_SPAN + 5).contains(&per_span), "{per_span} bytes a span");
        let spans: Vec<_> = crossfade_otlp::scan(body).map(Result::unwrap).collect();
        assert_eq!(spans.len(), SPANS);
        assert_eq!(spans.iter().map(|span| span.trace_id).collect::<BTreeSet<_>>().len(), TRACES);
    }

    #[test]
    fn a_compressed_request_says_so_and_is_smaller() {
        let (plain, gzip) = (build(1, false), build(1, true));
        assert_eq!((plain[0][0], gzip[0][0]), (0, 1));
        let ratio = plain[0].len() / gzip[0].len();
        assert!((5..=12).contains(&ratio), "telemetry is compressed to about an eighth, not 1/{ratio}");
    }
}
