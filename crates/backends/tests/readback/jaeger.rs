//! The Jaeger client against a server that answers well, badly, or not at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_backends::query::{
    Find, Found, Query, QueryConfig, QueryEndpoint, QueryEndpointError, QueryError, QueryKind, Wanted,
};
use crossfade_backends::spread::{SpreadConfig, measure};
use crossfade_gates::model::{AttributeValue, Kind, SpanId, StatusCode, TraceId};
use tokio::time::Instant;

use super::support::{Reply, serve};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PATIENCE: Duration = Duration::from_secs(60);

fn id() -> TraceId {
    ID.parse().unwrap()
}

fn config(address: &str) -> QueryConfig {
    QueryConfig::new(QueryKind::Jaeger, QueryEndpoint::parse(address).unwrap())
}

fn client(address: &str) -> Query {
    Query::new(config(address))
}

fn ok(body: &str) -> Reply {
    Reply::Full(200, body.as_bytes().to_vec())
}

async fn answering(reply: Reply) -> Query {
    client(&serve(move |_| reply.clone()).await)
}

/// One span of the trace, in as many ways of writing as OTLP/JSON and Jaeger's versions have.
fn span(fields: &str) -> String {
    format!(
        r#"{{"result":{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
        "scopeSpans":[{{"scope":{{"name":"s","version":"1"}},"spans":[{{"traceId":"{ID}","spanId":"00f067aa0ba902b7",{fields}}}]}}]}}]}}}}"#
    )
}

#[tokio::test]
async fn a_trace_is_read_in_every_spelling() {
    let body = span(
        r#""parentSpanId":"","name":"n","kind":3,"startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712661000000002,
        "traceState":"a=b","flags":1,"somethingNew":{"x":[1]},
        "attributes":[{"key":"s","value":{"stringValue":"é"}},{"key":"b","value":{"boolValue":false}},
          {"key":"i","value":{"intValue":"-9223372036854775808"}},{"key":"j","value":{"intValue":7}},
          {"key":"d","value":{"doubleValue":0.1}},{"key":"nan","value":{"doubleValue":"NaN"}},
          {"key":"y","value":{"bytesValue":"AAEC"}},{"key":"e","value":{}},{"key":"none"},
          {"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{"intValue":1}]}}},
          {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}}],
        "events":[{"timeUnixNano":"5","name":"ev","attributes":[]}],
        "links":[{"traceId":"4BF92F3577B34DA6A3CE929D0E0E4736","spanId":"APBnqgupArc="}],
        "status":{"code":"STATUS_CODE_ERROR","message":"m"}"#,
    );
    let spans = answering(ok(&body)).await.trace(id()).await.unwrap().unwrap();
    let span = &spans[0];
    assert_eq!((span.trace_id, span.parent, span.kind), (id(), None, Kind::Client));
    assert_eq!((span.start, span.end), (1_544_712_660_000_000_001, 1_544_712_661_000_000_002));
    assert_eq!((span.service(), span.scope.as_str(), span.scope_version.as_str()), ("shop", "s", "1"));
    assert_eq!((span.status, span.status_message.as_str()), (StatusCode::Error, "m"));
    assert_eq!((span.trace_state.as_str(), span.events[0].time), ("a=b", 5));
    assert_eq!(span.links[0].trace_id, id());
    assert_eq!(span.links[0].span_id, SpanId([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
    let attributes = &span.attributes;
    assert_eq!(attributes["i"], AttributeValue::Int(i64::MIN));
    assert_eq!(attributes["j"], AttributeValue::Int(7));
    assert_eq!(attributes["d"], AttributeValue::Double(0.1));
    assert!(matches!(attributes["nan"], AttributeValue::Double(x) if x.is_nan()));
    assert_eq!(attributes["y"], AttributeValue::Bytes(vec![0, 1, 2]));
    assert_eq!((&attributes["e"], &attributes["none"]), (&AttributeValue::Empty, &AttributeValue::Empty));
    let list = [AttributeValue::String("x".into()), AttributeValue::Int(1)];
    assert_eq!(attributes["a"], AttributeValue::Array(list.into()));
    assert_eq!(attributes["m"], AttributeValue::Map([("k".to_owned(), AttributeValue::Bool(true))].into()));
}

#[tokio::test]
async fn an_answer_in_several_chunks_is_one_trace() {
    let body = [span(r#""name":"a""#), span(r#""name":"b","kind":"SPAN_KIND_SERVER""#)].join("\n");
    let spans = answering(ok(&body)).await.trace(id()).await.unwrap().unwrap();
    assert_eq!(spans.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(spans[1].kind, Kind::Server);
    let broken =
        format!("{}\n{}", span(r#""name":"a""#), r#"{"error":{"httpCode":500,"message":"store is gone"}}"#);
    let error = answering(ok(&broken)).await.trace(id()).await.unwrap_err();
    assert!(
        matches!(&error, QueryError::Malformed { detail, .. } if detail.contains("store is gone")),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_not_stored_is_nothing() {
    let not_found = Reply::Full(404, br#"{"error":{"httpCode":404,"message":"No traces found"}}"#.to_vec());
    let find = Find::new("s", 0, 1);
    let jaeger = answering(not_found).await;
    assert_eq!(jaeger.trace(id()).await, Ok(None));
    assert_eq!(jaeger.find(&find).await, Ok(Found::default()));
    assert!(matches!(jaeger.services().await, Err(QueryError::Malformed { .. })));
    for body in [r#"{"result":{"resourceSpans":[]}}"#, r#"{"result":{}}"#, "{}", ""] {
        assert_eq!(answering(ok(body)).await.trace(id()).await, Ok(None), "{body}");
    }
    // Another trace than the one that was asked for is not it.
    let other = span(r#""name":"a""#).replace(ID, "00000000000000000000000000000001");
    assert_eq!(answering(ok(&other)).await.trace(id()).await, Ok(None));
}

/// Scenario: the server is away, silent, broken, garbled or boundless.
/// Guarantee: each is told apart, within the time and memory that were allowed.
#[tokio::test]
async fn every_way_to_fail_has_its_error() {
    let closed = client("127.0.0.1:1");
    let error = closed.trace(id()).await.unwrap_err();
    assert!(matches!(error, QueryError::Unreachable { .. }) && !error.answered() && error.may_retry());

    let address = serve(|_| Reply::Hang).await;
    let mut config = self::config(&address);
    config.timeout = Duration::from_millis(50);
    let error = Query::new(config).trace(id()).await.unwrap_err();
    assert!(matches!(error, QueryError::TimedOut { .. }) && !error.answered());

    for cut in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"garbage\r\n\r\n"] {
        let error = answering(Reply::Raw(cut.to_vec())).await.trace(id()).await.unwrap_err();
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error}");
    }

    for body in ["<html>", "[1]", r#"{"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}}"#] {
        let error = answering(ok(body)).await.trace(id()).await.unwrap_err();
        assert!(
            matches!(error, QueryError::Malformed { .. }) && error.answered() && !error.may_retry(),
            "{error}"
        );
    }
    let bad_id = span(r#""name":"a""#).replace("00f067aa0ba902b7", "xyz");
    let error = answering(ok(&bad_id)).await.trace(id()).await.unwrap_err();
    assert!(error.to_string().contains("`xyz` is not an id"), "{error}");

    let error = answering(Reply::Full(500, b"storage is down".to_vec())).await.trace(id()).await.unwrap_err();
    assert!(
        error.may_retry() && error.to_string().ends_with("refuses with status 500: storage is down"),
        "{error}"
    );

    let address = serve(|_| Reply::Full(200, vec![b' '; 2000])).await;
    let mut config = self::config(&address);
    config.response_bytes_max = 1999;
    let error = Query::new(config.clone()).trace(id()).await.unwrap_err();
    assert!(matches!(error, QueryError::TooLarge { limit: 1999, .. }), "{error}");
    config.response_bytes_max = 2000;
    assert_eq!(Query::new(config).trace(id()).await, Ok(None));
}

#[tokio::test]
async fn questions_are_put_as_jaeger_reads_them() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let address = serve(move |s| {
        record.lock().unwrap().push(s.clone());
        ok(r#"{"services":["a","b"],"result":{}}"#)
    })
    .await;
    let endpoint = QueryEndpoint::parse(&format!("http://{address}/jaeger/ui/")).unwrap();
    let mut config = QueryConfig::new(QueryKind::Jaeger, endpoint);
    config.headers.insert("x-scope-orgid", "t".parse().unwrap());
    let jaeger = Query::new(config);
    assert_eq!(jaeger.services().await, Ok(vec!["a".to_owned(), "b".to_owned()]));
    jaeger.trace(id()).await.unwrap();
    let mut find = Find::new("a b&c", 1, 1_800_000_000_000_000_000);
    find.limit = 7;
    jaeger.find(&find).await.unwrap();
    find.operation = Some("GET /x".to_owned());
    jaeger.find(&find).await.unwrap();
    jaeger.operations("é").await.unwrap();
    let seen = seen.lock().unwrap();
    let paths: Vec<&str> = seen.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/jaeger/ui/api/v3/services",
            &format!("/jaeger/ui/api/v3/traces/{ID}?rawTraces=true&raw_traces=true"),
            "/jaeger/ui/api/v3/traces?query.service_name=a%20b%26c&query.start_time_min=1970-01-01T00:00:00.000000001Z\
             &query.start_time_max=2027-01-15T08:00:00.000000000Z&query.num_traces=7&query.rawTraces=true&query.raw_traces=true",
            "/jaeger/ui/api/v3/traces?query.service_name=a%20b%26c&query.operation_name=GET%20%2Fx\
             &query.start_time_min=1970-01-01T00:00:00.000000001Z&query.start_time_max=2027-01-15T08:00:00.000000000Z\
             &query.num_traces=7&query.rawTraces=true&query.raw_traces=true",
            "/jaeger/ui/api/v3/operations?service=%C3%A9",
        ]
    );
    assert!(seen[0].head.contains("x-scope-orgid: t") && seen[0].head.contains(&format!("host: {address}")));
}

/// Version 3 of the API cannot be asked for attributes, so the older search names the traces, and version 3 gives them.
#[tokio::test]
async fn attributes_are_searched_for_in_the_older_way() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let address = serve(move |s| {
        record.lock().unwrap().push(s.path.clone());
        match s.path.as_str() {
            p if p.starts_with("/api/traces?") => ok(&format!(
                r#"{{"data":[{{"traceID":"{ID}","spans":[]}},{{"traceID":"1f"}}],"errors":null}}"#
            )),
            p if p.contains(ID) => ok(&span(r#""name":"a""#)),
            _ => Reply::Full(404, Vec::new()),
        }
    })
    .await;
    let jaeger = client(&address);
    let mut find = Find::new("shop", 1_999, 3_001);
    find.operation = Some("a".to_owned());
    find.attributes = [
        ("big", Wanted::Double(1e300)),
        ("d", Wanted::Double(2.0)),
        ("i", Wanted::Int(-5)),
        ("s", Wanted::from("\"&é")),
        ("small", Wanted::Double(-2.5e-7)),
        ("t", Wanted::Bool(true)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let found = jaeger.find(&find).await.unwrap();
    // What is gone between the search and the reading is no find.
    assert_eq!((found.traces.keys().copied().collect::<Vec<_>>(), found.partial.len()), (vec![id()], 0));
    let tags = r#"{"big":"1e+300","d":"2","i":"-5","s":"\"&é","small":"-2.5e-7","t":"true"}"#;
    let tags: String = tags
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'-' || b == b'.' {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let expected = format!("/api/traces?service=shop&operation=a&tags={tags}&start=1&end=4&limit=100");
    assert_eq!(seen.lock().unwrap()[0], expected);
    for broken in [r#"{"data":null}"#, r#"{"data":[],"errors":[{"code":500,"msg":"no"}]}"#, "<html>", "{}"] {
        let error = answering(ok(broken)).await.find(&find).await.unwrap_err();
        assert!(matches!(error, QueryError::Malformed { .. }), "{broken}: {error}");
    }
}

#[tokio::test]
async fn operations_come_once_for_each_name() {
    let body = r#"{"operations":[{"name":"b","spanKind":"server"},{"name":"a","spanKind":""},{"name":"b","spanKind":"client"}]}"#;
    assert_eq!(answering(ok(body)).await.operations("s").await, Ok(vec!["a".to_owned(), "b".to_owned()]));
}

/// Scenario: the address is that of a web server, or lacks its base path.
/// Guarantee: that is told, and no trace is taken for lost.
#[tokio::test]
async fn a_path_that_nobody_serves_is_no_trace_that_is_not_stored() {
    for page in ["404 page not found\n", "<html><h1>Not Found"] {
        let error = answering(Reply::Full(404, page.into())).await.trace(id()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, QueryError::Malformed { .. }), "{text}");
        assert!(text.contains(&format!("/api/v3/traces/{ID} answers")) && !text.contains('?'), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let body = r#"{"services":[]}"#;
    let closing = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let jaeger = answering(Reply::Raw(closing.into_bytes())).await;
    for _ in 0..20 {
        assert_eq!(jaeger.services().await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn a_trace_is_waited_for_until_there_is_enough_of_it() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let address = serve(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Full(404, Vec::new()),
        1 => Reply::Full(503, Vec::new()),
        2 => ok(&span(r#""name":"a""#)),
        _ => ok(&[span(r#""name":"a""#), span(r#""name":"b""#)].concat()),
    })
    .await;
    let jaeger = client(&address);
    let spans = jaeger.trace_when(id(), Instant::now() + PATIENCE, |s| s.len() == 2).await.unwrap();
    assert_eq!((spans.len(), asked.load(Ordering::SeqCst)), (2, 4));
    // The deadline passes: what there is, is the answer.
    let spans = jaeger.trace_when(id(), Instant::now(), |_| false).await.unwrap();
    assert_eq!(spans.len(), 2);
    let nothing = answering(Reply::Full(404, Vec::new())).await;
    assert_eq!(nothing.trace_when(id(), Instant::now(), |_| true).await, Ok(Vec::new()));
    // What will not mend is not waited for.
    let garbled = answering(ok("<html>")).await;
    let error = garbled.trace_when(id(), Instant::now() + PATIENCE, |_| true).await.unwrap_err();
    assert!(matches!(error, QueryError::Malformed { .. }));
}

#[test]
fn addresses_are_refused_with_their_reason() {
    for (text, expected) in [
        ("ftp://h:1", QueryEndpointError::UnknownScheme("ftp".into())),
        ("http://u:p@h:1", QueryEndpointError::Credentials),
        ("http://", QueryEndpointError::NotAUrl),
        ("http://h:1/?a=b", QueryEndpointError::Question),
        ("", QueryEndpointError::NotAUrl),
    ] {
        assert_eq!(QueryEndpoint::parse(text), Err(expected), "{text}");
    }
    let plain = QueryEndpoint::parse("[::1]").unwrap();
    assert_eq!((plain.host(), plain.port_or(7), plain.to_string()), ("::1", 7, "http://[::1]".to_owned()));
    assert_eq!(QueryEndpoint::parse("h:1").unwrap().port_or(7), 1);
    let secure = QueryEndpoint::parse("https://h:1/base/").unwrap();
    assert!(plain.tls().is_none() && secure.tls().is_some());
    assert_eq!(secure.to_string(), "https://h:1/base");
}

/// Scenario: services share traces, and the probe has left some of its own.
/// Guarantee: each trace counts once, and the probe's not at all.
#[tokio::test]
async fn the_spread_of_starts_is_measured() {
    let address = serve(|seen| {
        let spans = |trace: &str, starts: &[u64]| {
            let spans: Vec<String> = starts
                .iter()
                .enumerate()
                .map(|(i, start)| {
                    let parent = if i == 0 { "" } else { "0000000000000001" };
                    format!(
                        r#"{{"traceId":"{trace}","spanId":"000000000000000{}","parentSpanId":"{parent}","startTimeUnixNano":"{start}"}}"#,
                        i + 1
                    )
                })
                .collect();
            format!(r#"{{"result":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}}}"#, spans.join(","))
        };
        match seen.path.as_str() {
            "/api/v3/services" => ok(r#"{"services":["cart","crossfade-probe","crossfade-probe-peer","shop","zoo"]}"#),
            p if p.contains("service_name=shop") => ok(&spans(&"1".repeat(32), &[1000, 1500, 4000])),
            p if p.contains("service_name=cart") => {
                ok(&[spans(&"1".repeat(32), &[1000, 1500, 4000]), spans(&"2".repeat(32), &[10, 9])].concat())
            }
            _ => Reply::Full(500, Vec::new()),
        }
    })
    .await;
    let config = SpreadConfig { from: 0, until: 10_000, traces_per_service: 5, services_max: 2 };
    let spread = measure(&client(&address), &config).await.unwrap();
    assert_eq!((spread.services, spread.services_left_out, spread.traces, spread.spans), (2, 1, 2, 5));
    assert_eq!(
        (spread.widest, spread.widest_trace),
        (Duration::from_nanos(3000), "1".repeat(32).parse().ok())
    );
    let all = SpreadConfig { services_max: 9, ..config };
    assert!(
        measure(&client(&address), &all).await.is_err(),
        "a question without an answer is no measurement"
    );
}
