//! The tap: what was sent is known, and knowing it costs the way of a request nothing.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossfade_backends::otlp::{Message, Protocol};
use crossfade_gates::inventory::{Inventory, Passed, Sent};
use crossfade_gateway::{Handle, Token, admin_router};
use http::Method;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::net::TcpListener;

use crate::support::{
    BOTH, Bench, Chunks, Environment, Request, config, encode, export, http1, request, single, span, trace,
    until,
};

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// One span of a service, with its parent's id and its own.
fn of(service: &str, kind: i32, mut request: Request, parent: &[u8], id: &[u8]) -> Request {
    let resource_spans = &mut request.resource_spans[0];
    resource_spans.resource =
        Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() });
    let span = &mut resource_spans.scope_spans[0].spans[0];
    (span.parent_span_id, span.span_id, span.kind) = (parent.to_vec(), id.to_vec(), kind);
    span.attributes = vec![text("patient.name", "Jane Roe"), text("server.address", "api.insurer.example")];
    request
}

async fn bench(
    tune: impl FnOnce(&mut crossfade_gateway::GatewayConfig),
) -> (Environment, Environment, Bench) {
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, single());
    config.tap.settle = Duration::from_millis(1);
    // As much as it wants: what it takes of a processor is not what is tested here.
    config.tap.cpu_share_ppm = 1_000_000;
    tune(&mut config);
    let bench = Bench::start((config, state)).await;
    (blue, green, bench)
}

/// Holds the tap's thread up until it is dropped.
struct Hold(Option<mpsc::Sender<()>>, Option<JoinHandle<()>>);

fn hold(handle: &Handle) -> Hold {
    let (release, released) = mpsc::channel::<()>();
    let (held, holding) = mpsc::channel();
    let handle = handle.clone();
    let holder = std::thread::spawn(move || {
        handle.read_inventory(|_| {
            held.send(()).unwrap();
            let _ = released.recv();
        });
    });
    holding.recv().unwrap();
    Hold(Some(release), Some(holder))
}

impl Drop for Hold {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.take().unwrap().join().unwrap();
    }
}

async fn inventory_is(handle: &Handle, what: &str, is: impl Fn(&Inventory) -> bool) -> Inventory {
    until(what, || Some(handle.sent().inventory).filter(|inventory| is(inventory))).await
}

// Scenario: a trace of two services, each of which exports its own span, in its own way.
// Guarantee: both are known, and that one calls the other, and the host that is called outside; but no other value.
#[tokio::test]
async fn what_was_sent_is_known_and_what_it_says_is_not() {
    for inward in BOTH {
        let (_blue, _green, bench) = bench(|config| config.admin_token = Some(Token::new("s3cret"))).await;
        let id = trace();
        let shop = of("shop", 3, request(&[span(id)]), &[], &[1; 8]);
        let payment = of("payment", 2, request(&[span(id)]), &[1; 8], &[2; 8]);
        let holding = hold(&bench.handle);
        let client = bench.client(inward);
        assert!(export(&client, Message::gzip(&encode(&payment).bytes)).await.is_clean());
        assert!(export(&client, encode(&shop)).await.is_clean());
        drop(holding);
        let inventory = inventory_is(&bench.handle, "the trace", |inventory| inventory.traces > 0).await;
        assert_eq!((inventory.traces, inventory.spans), (1, 2));
        assert_eq!(inventory.services["payment"].callers["shop"].seen.traces, 1);
        assert_eq!((inventory.services["shop"].seen.example.unwrap().0, inventory.calls.len()), (id.0, 1));
        assert_eq!(inventory.calls[0].peer.address.as_deref(), Some("api.insurer.example"));
        assert!(inventory.services["payment"].keys.contains_key("patient.name"));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = admin_router(&bench.handle);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let path = "/v1/gateway/inventory";
        let denied = http1(address, Method::GET, path, &[], Chunks::whole("")).await;
        assert_eq!(denied.status, 401);
        let token = [("authorization", "Bearer s3cret")];
        let reply = http1(address, Method::GET, path, &token, Chunks::whole("")).await;
        let body = String::from_utf8(reply.body.to_vec()).unwrap();
        let sent: Sent = serde_json::from_str(&body).unwrap();
        assert_eq!((reply.status, sent.gateway.as_str(), sent.inventory.traces), (200, "gw", 1));
        assert_eq!((sent.tap.tapped, sent.tap.spans, sent.tap.shed, sent.tap.one_in), (2, 2, 0, 1));
        assert!(!body.contains("Jane"), "{body}");
    }
}

// Scenario: the tap's thread is held up, and its boxes are small.
// Guarantee: every request is answered meanwhile; what the tap did not get is counted, and it goes on afterwards.
#[tokio::test]
async fn a_tap_that_is_held_up_costs_the_clients_nothing() {
    const REQUESTS: u64 = 500;
    let (blue, _green, bench) = bench(|config| config.tap.box_bytes = 4_000).await;
    let holding = hold(&bench.handle);
    let client = bench.client(Protocol::Grpc);
    for _ in 0..REQUESTS {
        assert!(export(&client, encode(&request(&[span(trace())]))).await.is_clean());
    }
    assert_eq!(blue.seen().len() as u64, REQUESTS, "all of them, and the tap is still held up");
    drop(holding);
    let counts = until("the tap goes on", || {
        let counts = bench.handle.sent().tap;
        (counts.tapped + counts.shed == REQUESTS).then_some(counts)
    })
    .await;
    assert!(counts.shed > 0 && counts.tapped > 0, "{counts:?}");
    let counts = until("what was shed is counted in spans", || {
        let sent = bench.handle.sent();
        (sent.tap.unseen == counts.shed).then_some(sent.tap)
    })
    .await;
    let metrics = bench.handle.metrics();
    assert!(metrics.contains(&format!("crossfade_tap_requests_total{{fate=\"shed\"}} {}\n", counts.shed)));
    inventory_is(&bench.handle, "what it got", |inventory| u64::from(inventory.traces) == counts.tapped)
        .await;
}

// Scenario: a batch of more than the tap reads of one request, plain and compressed, among small ones; then some are shed.
// Guarantee: all are passed on; what the tap has not seen is counted in spans, for the minute in which it came.
#[tokio::test]
async fn what_the_tap_cannot_read_is_counted_in_spans() {
    const LARGE: usize = 80_000;
    let passed = |bench: &Bench| {
        let sent = bench.handle.sent();
        let mut sum = Passed::default();
        sent.passed.values().for_each(|passed| sum += *passed);
        assert_eq!(sent.tap.unseen, sum.unseen);
        (sum.spans, sum.unseen)
    };
    let (blue, _green, bench) = bench(|config| config.tap.box_bytes = 64 << 20).await;
    let client = bench.client(Protocol::Grpc);
    let large = encode(&request(&vec![span(trace()); LARGE]));
    assert!(large.bytes.len() > 4 << 20, "{}", large.bytes.len());
    let small = || encode(&request(&[span(trace())]));
    for message in [small(), large.clone(), Message::gzip(&large.bytes), small()] {
        assert!(export(&client, message).await.is_clean());
    }
    assert_eq!(blue.seen().len(), 4);
    let large = 2 * LARGE as u64;
    until("all is counted", || (passed(&bench) == (large + 2, large)).then_some(())).await;
    let metrics = bench.handle.metrics();
    assert!(metrics.contains(&format!("crossfade_tap_spans_unseen_total {large}\n")), "{metrics}");
}

#[tokio::test]
async fn without_a_share_nothing_is_looked_at() {
    let (_blue, _green, bench) = bench(|config| config.tap.cpu_share_ppm = 0).await;
    assert!(export(&bench.client(Protocol::Grpc), encode(&request(&[span(trace())]))).await.is_clean());
    let sent = bench.handle.sent();
    assert!(!sent.tap.enabled && sent.tap.tapped + sent.tap.shed == 0 && sent.inventory.traces == 0);
}
