use std::collections::BTreeMap;

use super::*;
use crate::model::{AttributeValue, Attributes, Kind, Span, SpanId, StatusCode, TraceId};

const AT: u64 = 1_800_000_000_000_000_000;
const MINUTE: u64 = 60_000_000_000;

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let value = |text: &str| match text.parse() {
        Ok(number) => AttributeValue::Int(number),
        Err(_) => AttributeValue::String(text.to_owned()),
    };
    pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect()
}

/// A span of trace `trace`, number `id` in it, a second long.
fn span(trace: u8, id: u8, parent: u8, service: &str, name: &str, kind: Kind) -> Span {
    Span {
        trace_id: TraceId([trace; 16]),
        span_id: SpanId([id; 8]),
        parent: (parent != 0).then_some(SpanId([parent; 8])),
        trace_state: String::new(),
        resource: attributes(&[("service.name", service), ("host.name", "h1")]),
        scope: String::new(),
        scope_version: String::new(),
        scope_attributes: BTreeMap::new(),
        flags: 0x101,
        name: name.to_owned(),
        kind,
        start: AT + u64::from(trace) * MINUTE,
        end: AT + u64::from(trace) * MINUTE + 1_000_000_000,
        attributes: BTreeMap::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: StatusCode::Unset,
        status_message: String::new(),
    }
}

fn with(span: Span, pairs: &[(&str, &str)]) -> Span {
    Span { attributes: attributes(pairs), ..span }
}

fn enter(inventory: &mut Inventory, spans: &[Span], only: Option<&str>) {
    let mut names = Names::default();
    let sights: Vec<Sight> = spans.iter().map(|span| Sight::of(span, &mut names)).collect();
    inventory.note(&sights, only, 1);
}

/// A shop's checkout: its own span, the call, the payment service, and its call to a bank.
fn checkout(trace: u8) -> Vec<Span> {
    vec![
        span(trace, 1, 0, "shop", "POST /checkout", Kind::Server),
        with(
            span(trace, 2, 1, "shop", "charge", Kind::Client),
            &[("server.address", "payment"), ("rpc.system", "grpc")],
        ),
        with(span(trace, 3, 2, "payment", "Charge", Kind::Server), &[("payment.id", "p")]),
        with(
            span(trace, 4, 3, "payment", "POST bank", Kind::Client),
            &[
                ("url.full", "https://user:secret@api.bank.example:8443/v1/charge?card=4111"),
                ("http.request.method", "POST"),
            ],
        ),
    ]
}

#[test]
fn a_trace_is_counted_once_for_all_it_holds() {
    let mut inventory = Inventory::new();
    let mut spans = checkout(1);
    spans.push(span(1, 5, 1, "shop", "charge", Kind::Client));
    enter(&mut inventory, &spans, None);
    enter(&mut inventory, &checkout(2), None);
    let (shop, payment) = (&inventory.services["shop"], &inventory.services["payment"]);
    assert_eq!((inventory.traces, inventory.spans, shop.seen.traces), (2, 9, 2));
    assert_eq!(shop.operations["charge"].traces, 2, "two spans of one trace are one witness");
    assert_eq!((shop.roots.traces, shop.orphans.traces, payment.roots.traces), (2, 0, 0));
    assert_eq!((payment.callers["shop"].seen.traces, shop.callers.len()), (2, 0));
    let via: Vec<&str> = payment.callers["shop"].via.keys().map(String::as_str).collect();
    assert_eq!(via, ["POST /checkout", "charge"]);
    assert_eq!(payment.keys.keys().map(String::as_str).collect::<Vec<_>>().len(), 5);
    assert!(payment.keys.contains_key("payment.id") && payment.keys.contains_key("resource.host.name"));
    assert_eq!((payment.seen.first, payment.seen.last), (AT + MINUTE, AT + 2 * MINUTE));
    assert_eq!(payment.seen.example, Some(TraceId([2; 16])));
    assert_eq!(payment.minutes.values().sum::<u32>(), 2);
    assert_eq!((shop.nameless_calls, inventory.range()), (1, Some((AT + MINUTE, AT + 2 * MINUTE))));
    spans.push(span(1, 6, 5, "payment", "Charge", Kind::Server));
    let mut answered = Inventory::new();
    enter(&mut answered, &spans, None);
    assert_eq!(answered.services["shop"].nameless_calls, 0, "who answers is known");
}

#[test]
fn a_call_knows_whom_it_calls_and_keeps_nothing_else() {
    let mut inventory = Inventory::new();
    enter(&mut inventory, &checkout(1), None);
    let bank = inventory.calls.iter().find(|call| call.operation == "POST bank").unwrap();
    assert_eq!(bank.peer.address.as_deref(), Some("api.bank.example:8443"));
    assert_eq!((bank.peer.host(), bank.calls, bank.answered), (Some("api.bank.example"), 1, 0));
    let inner = inventory.calls.iter().find(|call| call.operation == "charge").unwrap();
    assert_eq!((inner.answered, inner.latency.quantile(0.5).unwrap() / 100_000_000), (1, 10));
    let json = serde_json::to_string(&inventory).unwrap();
    for secret in ["secret", "4111", "/v1/charge", "h1"] {
        assert!(!json.contains(secret), "{secret} is in {json}");
    }
    let read: Inventory = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert!(json.contains(&format!("\"first\":\"{}\"", AT + MINUTE)), "64-bit integers are strings: {json}");
}

#[test]
fn failures_are_counted_by_trace_and_times_by_what_a_service_was_asked() {
    let mut inventory = Inventory::new();
    let mut spans = checkout(1);
    let asked = spans.iter().filter(|span| matches!(span.kind, Kind::Server | Kind::Consumer)).count();
    spans.iter_mut().for_each(|span| span.status = StatusCode::Error);
    enter(&mut inventory, &spans, None);
    enter(&mut inventory, &checkout(2), None);
    let took: u64 = inventory.services.values().map(|service| service.took.count()).sum();
    assert_eq!(took, 2 * asked as u64);
    for service in inventory.services.values() {
        assert_eq!((service.failed.traces, service.seen.traces), (1, 2));
    }
}

#[test]
fn what_has_no_parent_there_is_an_orphan_or_a_root() {
    let mut inventory = Inventory::new();
    enter(&mut inventory, &checkout(1)[2..], None);
    let mut alone = checkout(2).split_off(2);
    alone[0].parent = None;
    enter(&mut inventory, &alone, None);
    let payment = &inventory.services["payment"];
    assert_eq!((payment.orphans.traces, payment.roots.traces, payment.callers.len()), (1, 1, 0));
}

#[test]
fn one_service_can_be_looked_at_alone() {
    let mut inventory = Inventory::new();
    enter(&mut inventory, &checkout(1), Some("payment"));
    assert_eq!(inventory.services.keys().collect::<Vec<_>>(), ["payment"]);
    assert_eq!(inventory.services["payment"].callers["shop"].seen.traces, 1);
    assert_eq!(inventory.calls.len(), 1);
}

#[test]
fn peers_are_told_by_conventions_old_and_new() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("server.address", "lab.example"), ("server.port", "443"), ("http.request.method", "GET")],
            "http lab.example:443",
        ),
        (
            &[("net.peer.name", "lab.example"), ("net.peer.port", "80"), ("http.method", "GET")],
            "http lab.example:80",
        ),
        (&[("http.url", "http://lab.example:8080/a?b"), ("http.method", "GET")], "http lab.example:8080"),
        (&[("url.full", "https://lab.example/a"), ("server.address", "lab.example")], "http lab.example"),
        (&[("url.full", "https://[::1]:80/a")], "http [::1]:80"),
        (&[("http.host", "lab.example:81"), ("http.method", "GET")], "http lab.example:81"),
        (&[("network.peer.address", "10.0.0.7"), ("http.request.method", "GET")], "http 10.0.0.7"),
        (&[("net.peer.ip", "fd00::7"), ("net.peer.port", "80"), ("http.method", "GET")], "http [fd00::7]:80"),
        (
            &[("rpc.system", "grpc"), ("rpc.service", "insurer.Claims"), ("net.peer.name", "ins")],
            "rpc grpc insurer.Claims at ins",
        ),
        (
            &[("rpc.system.name", "grpc"), ("server.address", "ins"), ("server.port", "50051")],
            "rpc grpc at ins:50051",
        ),
        (
            &[("db.system.name", "postgresql"), ("db.namespace", "claims"), ("server.address", "db")],
            "database postgresql claims at db",
        ),
        (
            &[
                ("db.system", "mysql"),
                ("db.name", "claims"),
                ("net.peer.name", "db"),
                ("net.peer.port", "3306"),
            ],
            "database mysql claims at db:3306",
        ),
        (
            &[("messaging.system", "kafka"), ("messaging.destination.name", "orders")],
            "messaging kafka orders",
        ),
        (
            &[("messaging.system", "rabbitmq"), ("messaging.destination", "orders")],
            "messaging rabbitmq orders",
        ),
        (&[("peer.service", "insurer")], "call insurer"),
        (
            &[("service.peer.name", "insurer"), ("http.request.method", "GET"), ("server.address", "i")],
            "http insurer at i",
        ),
    ];
    for (pairs, expected) in cases {
        let mut names = Names::default();
        let sight = Sight::of(&with(span(1, 1, 0, "s", "o", Kind::Client), pairs), &mut names);
        assert_eq!(sight.peer.map(|peer| peer.to_string()).as_deref(), Some(*expected), "{pairs:?}");
        let inner = Sight::of(&with(span(1, 1, 0, "s", "o", Kind::Server), pairs), &mut names);
        assert_eq!(inner.peer, None, "who is called does not call");
    }
    let nameless = with(span(1, 1, 0, "s", "o", Kind::Client), &[("http.request.method", "GET")]);
    assert_eq!(Sight::of(&nameless, &mut Names::default()).peer, None);
}

#[test]
fn failures_and_simulators_show() {
    for (pairs, status, failed) in [
        (&[("http.response.status_code", "503")][..], StatusCode::Unset, true),
        (&[("http.status_code", "404")], StatusCode::Unset, false),
        (&[], StatusCode::Error, true),
    ] {
        let span = Span { status, ..with(span(1, 1, 0, "s", "o", Kind::Client), pairs) };
        assert_eq!(Sight::of(&span, &mut Names::default()).failed, failed);
    }
    let pairs = [("http.response.header.matched-stub-id", "1"), ("server.address", "insurer.example")];
    let mut inventory = Inventory::new();
    enter(&mut inventory, &[with(span(1, 1, 0, "s", "o", Kind::Client), &pairs)], None);
    assert_eq!(inventory.calls[0].mock_mark.as_deref(), Some("http.response.header.matched-stub-id"));
}

#[test]
fn everything_is_bounded_and_what_is_left_out_is_counted() {
    let mut inventory = Inventory::new();
    let mut names = Names::default();
    for number in 0..30_000_u32 {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let mut one = span(1, 1, 0, "s", &format!("GET /users/{number}"), Kind::Client);
        one.trace_id = TraceId(id);
        one.attributes =
            attributes(&[(&format!("k{number}"), "v"), ("server.address", &format!("h{number}"))]);
        if number < 1_000 {
            one.resource = attributes(&[("service.name", &format!("s{number}"))]);
        }
        inventory.note(&[Sight::of(&one, &mut names)], None, 1);
    }
    assert_eq!(inventory.services.len(), limits::SERVICES);
    let largest = inventory.services.values().map(|s| s.operations.len().max(s.keys.len())).max();
    assert!(largest <= Some(limits::OPERATIONS.max(limits::KEYS)));
    assert_eq!(inventory.calls.len(), limits::CALLS);
    assert!(inventory.left_out.services >= 500 && inventory.left_out.calls > 0 && names.left_out > 0);
    assert_eq!(inventory.recent.values().map(Vec::len).collect::<Vec<_>>(), [limits::RECENT]);
    let long = "é".repeat(400);
    assert!(names.get(&long).len() <= limits::NAME_BYTES);
}

#[test]
fn latencies_are_known_to_a_fifth() {
    let mut latency = Latency::default();
    for millis in 1..=1_000 {
        latency.record(millis * 1_000_000);
    }
    for (quantile, millis) in [(0.5, 500.0), (0.95, 950.0), (1.0, 1_000.0)] {
        let found = latency.quantile(quantile).unwrap() as f64 / 1e6;
        assert!(found >= millis * 0.999 && found <= millis * 1.19, "{quantile}: {found}");
    }
    assert_eq!((Latency::default().quantile(0.5), latency.rank(1_001)), (None, None));
    latency.record(0);
    latency.record(u64::MAX);
    assert_eq!(latency.count(), 1_002);
}

/// Scenario: a tap that has seen all for longer than it keeps count. Guarantee: it answers for the time that it has counted, and not for
/// what it has forgotten.
#[test]
fn what_a_tap_has_forgotten_it_has_not_seen() {
    let minutes = limits::MINUTES as u64;
    let mut sent = Sent {
        schema_version: 1,
        gateway: "gateway".into(),
        boot: "boot".into(),
        since: AT - 600 * MINUTE,
        now: AT,
        tap: TapCounts { enabled: true, one_in: 1, tapped: 9, ..TapCounts::default() },
        passed: (0..minutes).map(|ago| (AT / MINUTE - ago, Passed { spans: 9, unseen: 0 })).collect(),
        inventory: Inventory::new(),
    };
    let first = AT - (minutes - 1) * MINUTE;
    assert_eq!([first, first - 2 * MINUTE].map(|from| sent.saw_nearly_all_since(from)), [true, false]);
    // Fewer are all that there ever were.
    sent.passed.pop_first();
    assert!(sent.saw_nearly_all_since(first - 2 * MINUTE));
}
