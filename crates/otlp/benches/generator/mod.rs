//! A request as an SDK sends it: HTTP and database spans of one service, their ids and times all different.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

pub(crate) const SPANS: usize = 512;
pub(crate) const TRACES: usize = 64;

/// The encoded request: [`SPANS`] spans in three scopes, about 685 bytes each.
pub(crate) fn request() -> Vec<u8> {
    request_of(SPANS)
}

/// The same of so many spans.
pub(crate) fn request_of(spans: usize) -> Vec<u8> {
    let mut random = SplitMix(7);
    let traces: Vec<[u8; 16]> = (0..TRACES).map(|_| random.id()).collect();
    let mut scopes =
        ["io.opentelemetry.tomcat-10.0", "io.opentelemetry.jdbc", "io.opentelemetry.http-client"].map(
            |name| ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: name.into(),
                    version: "2.11.0-alpha".into(),
                    ..Default::default()
                }),
                schema_url: "https://opentelemetry.io/schemas/1.27.0".into(),
                ..Default::default()
            },
        );
    for index in 0..spans {
        // Spans end in no order, so that traces are mixed, with short runs of the same one.
        let trace = traces[(index / 3 + random.below(8)) % TRACES];
        let scope = random.below(3);
        scopes[scope].spans.push(span(&mut random, trace, scope == 1));
    }
    let resource = Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.version", "4.17.2"),
            text("service.instance.id", "0d1f8a52-9a5c-4b1e-a1e5-3f2a7f0b8c11"),
            text("k8s.namespace.name", "shop"),
            text("k8s.pod.name", "checkout-6d9f7b8c9d-x7k2p"),
            text("telemetry.sdk.language", "java"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.version", "1.45.0"),
        ],
        ..Default::default()
    };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: scopes.into(), ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn span(random: &mut SplitMix, trace: [u8; 16], database: bool) -> Span {
    let start = 1_790_000_000_000_000_000 + random.next() % 5_000_000_000;
    let end = start + 50_000 + random.next() % 200_000_000;
    let mut attributes = vec![
        integer("thread.id", 20 + random.below(200) as i64),
        text("thread.name", "http-nio-8080-exec-17"),
    ];
    if database {
        attributes.extend([
            text("db.system.name", "postgresql"),
            text("db.namespace", "orders"),
            text("db.operation.name", "SELECT"),
            text("db.collection.name", "order_items"),
            text("server.address", "orders-db-primary.shop.svc.cluster.local"),
            integer("server.port", 5432),
            text("db.query.text", &QUERY[..QUERY.len() - random.below(130)]),
        ]);
    } else {
        let path = format!("/api/v1/carts/{:016x}/items/{}", random.next(), random.below(1_000_000));
        attributes.extend([
            text("http.request.method", ["GET", "POST", "DELETE"][random.below(3)]),
            text("http.route", "/api/v1/carts/{cart}/items/{item}"),
            text("url.scheme", "https"),
            text("url.path", &path),
            integer("http.response.status_code", 200 + random.below(30) as i64),
            text("network.protocol.version", "1.1"),
            text("server.address", "checkout.shop.svc.cluster.local"),
            integer("server.port", 8080),
            text("client.address", "10.42.17.203"),
            text("network.peer.address", "10.42.17.203"),
            text("code.function.name", "com.example.shop.cart.CartController.getItem"),
            text("user_agent.original", &AGENT[..AGENT.len() - random.below(70)]),
        ]);
    }
    if random.below(4) == 0 {
        attributes.push(text("enduser.pseudo.id", "7f9c24e8b3a1"));
    }
    let event = Event {
        time_unix_nano: start + 10,
        name: "cache.miss".into(),
        attributes: vec![text("cache.key", "cart")],
        ..Default::default()
    };
    let parent: [u8; 8] = random.id();
    Span {
        trace_id: trace.into(),
        span_id: random.id::<8>().into(),
        parent_span_id: if random.below(8) == 0 { Vec::new() } else { parent.into() },
        name: if database { "SELECT orders.order_items" } else { "GET /api/v1/carts/{cart}/items/{item}" }
            .into(),
        kind: if database { 3 } else { 2 },
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        events: if random.below(10) == 0 { vec![event] } else { Vec::new() },
        status: Some(Status { code: if random.below(50) == 0 { 2 } else { 0 }, ..Default::default() }),
        flags: 0x101,
        ..Default::default()
    }
}

const QUERY: &str = "SELECT i.id, i.sku, i.quantity, i.price_cents, i.currency, o.customer_ref, o.created_at, o.status \
    FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.tenant = $1 AND o.created_at BETWEEN $2 AND $3 AND \
    i.sku = ANY ($4) ORDER BY o.created_at DESC, i.id LIMIT $5 OFFSET $6 FOR SHARE";
const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// SplitMix64: enough, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    fn id<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[7])
    }
}
