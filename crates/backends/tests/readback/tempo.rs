//! The Tempo client against a server that answers well, badly, or in part.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_backends::query::{Find, Query, QueryConfig, QueryEndpoint, QueryError, QueryKind, Wanted};
use crossfade_backends::spread::{SpreadConfig, measure};
use crossfade_gates::model::{AttributeValue, Kind, SpanId, StatusCode, TraceId};
use tokio::time::Instant;

use super::support::{Reply, serve};

const ID: &str = "004bf92f3577b34da6a3ce929d0e0e47";
const PATIENCE: Duration = Duration::from_secs(60);

fn id() -> TraceId {
    ID.parse().unwrap()
}

fn config(address: &str) -> QueryConfig {
    QueryConfig::new(QueryKind::Tempo, QueryEndpoint::parse(address).unwrap())
}

fn ok(body: &str) -> Reply {
    Reply::Full(200, body.as_bytes().to_vec())
}

async fn answering(reply: Reply) -> Query {
    Query::new(config(&serve(move |_| reply.clone()).await))
}

/// One span, as Tempo 2.8 writes it, and what comes behind the trace.
fn trace(rest: &str) -> String {
    format!(
        r#"{{"trace":{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
        "scopeSpans":[{{"scope":{{"name":"s"}},"spans":[{{"traceId":"AEv5LzV3s02mo86SnQ4ORw==","spanId":"AAAAAAAAAAI=",
        "traceState":"a=b","parentSpanId":"AAAAAAAAAAE=","name":"op b","kind":"SPAN_KIND_CLIENT",
        "startTimeUnixNano":"1795282663601085375","endTimeUnixNano":"1795282663602085375",
        "attributes":[{{"key":"i","value":{{"intValue":"-5"}}}},{{"key":"y","value":{{"bytesValue":"AAEC"}}}}],
        "status":{{"message":"m","code":"STATUS_CODE_ERROR"}}}}]}}]}}]}},"metrics":{{"inspectedBytes":"506"}}{rest}}}"#
    )
}

/// Scenario: Tempo has as many jobs as it takes, twice.
/// Guarantee: it is asked again a little later; nobody hears of it.
#[tokio::test]
async fn a_tempo_that_has_too_much_to_do_is_asked_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let address = serve(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Reply::Full(429, b"job queue full".to_vec()),
        _ => ok(&trace("")),
    })
    .await;
    let spans = Query::new(config(&address)).trace(id()).await.unwrap().unwrap();
    assert_eq!((spans.len(), asked.load(Ordering::SeqCst)), (1, 3));
}

#[tokio::test]
async fn a_trace_is_read_as_tempo_writes_it() {
    for rest in ["", r#","status":"COMPLETE""#, r#","status":0,"message":"""#] {
        let spans = answering(ok(&trace(rest))).await.trace(id()).await.unwrap().unwrap();
        let span = &spans[0];
        assert_eq!((span.trace_id, span.span_id), (id(), SpanId(2_u64.to_be_bytes())));
        assert_eq!(span.parent, Some(SpanId(1_u64.to_be_bytes())));
        assert_eq!((span.service(), span.kind, span.status), ("shop", Kind::Client, StatusCode::Error));
        assert_eq!((span.start, span.trace_state.as_str()), (1_795_282_663_601_085_375, "a=b"));
        assert_eq!(span.attributes["i"], AttributeValue::Int(-5));
        assert_eq!(span.attributes["y"], AttributeValue::Bytes(vec![0, 1, 2]));
    }
    // As Tempo 2.7 wrote it.
    let older = trace("").replace("resourceSpans", "batches");
    assert_eq!(answering(ok(&older)).await.trace(id()).await.unwrap().unwrap().len(), 1);
    let unknown = r#"{"trace":{},"metrics":{}}"#;
    for reply in [ok(unknown), Reply::Full(404, Vec::new()), Reply::Full(404, b"trace not found".to_vec())] {
        assert_eq!(answering(reply).await.trace(id()).await, Ok(None));
    }
}

/// Scenario: a trace is larger than the store gives, and it says so.
/// Guarantee: what it gives is never taken for the trace.
#[tokio::test]
async fn a_part_is_not_taken_for_the_whole() {
    for rest in [r#","status":"PARTIAL","message":"too large""#, r#","status":1"#, r#","status":"NEW""#] {
        let tempo = answering(ok(&trace(rest))).await;
        let error = tempo.trace(id()).await.unwrap_err();
        assert!(matches!(error, QueryError::Partial { .. }) && error.answered(), "{error}");
        assert!(error.to_string().contains(&format!("/api/v2/traces/{ID} answers with a part")), "{error}");
        let error = tempo.trace_when(id(), Instant::now(), |_| true).await.unwrap_err();
        assert!(matches!(error, QueryError::Partial { .. }), "{error}");
    }
    // It may be whole a little later.
    let asked = AtomicU32::new(0);
    let address = serve(move |_| {
        ok(&trace(if asked.fetch_add(1, Ordering::SeqCst) == 0 { r#","status":"PARTIAL""# } else { "" }))
    })
    .await;
    let tempo = Query::new(config(&address));
    assert_eq!(tempo.trace_when(id(), Instant::now() + PATIENCE, |_| true).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_way_to_fail_has_its_error() {
    let whole = trace("");
    let half = &whole[..whole.len() / 2];
    for body in ["", "<html>", "{}", "[]", half, r#"{"traces":[]}"#, r#"{"tagValues":["a"]}"#] {
        let tempo = answering(ok(body)).await;
        for error in [
            tempo.trace(id()).await.unwrap_err(),
            tempo.services().await.unwrap_err(),
            tempo.find(&Find::new("s", 0, 1)).await.unwrap_err(),
            tempo.reach().await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, QueryError::Malformed { .. }) && !error.may_retry(), "{body}: {text}");
            assert!(text.contains("not a Tempo answer") && text.contains("/api/"), "{text}");
        }
    }
    let garbled = r#"{"traces":[{"traceID":"xyz"}],"metrics":{}}"#;
    let error = answering(ok(garbled)).await.find(&Find::new("s", 0, 1)).await.unwrap_err();
    assert!(matches!(error, QueryError::Malformed { .. }), "{error}");
    let nowhere = answering(Reply::Full(404, b"404 page not found\n".to_vec())).await;
    for error in [nowhere.trace(id()).await.unwrap_err(), nowhere.services().await.unwrap_err()] {
        assert!(matches!(error, QueryError::Malformed { .. }), "{error}");
    }
    let no_tenant = answering(Reply::Full(401, b"no org id".to_vec())).await;
    let error = no_tenant.services().await.unwrap_err();
    assert!(error.to_string().ends_with("refuses with status 401: no org id"), "{error}");
    let starting = answering(Reply::Full(503, b"Ingester not ready: JOINING".to_vec())).await;
    let error = starting.reach().await.unwrap_err();
    assert!(error.may_retry() && error.to_string().contains("/ready refuses with status 503: Ingester"));
}

/// Splits a path into its question's parameters, decoded.
fn parameters(path: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let question = path.split_once('?').unwrap().1;
    let pairs = question.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

#[tokio::test]
async fn questions_are_put_as_tempo_reads_them() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let address = serve(move |s| {
        record.lock().unwrap().push(s.clone());
        match s.path.as_str() {
            "/ready" => ok("ready\n"),
            p if p.contains("/values") => ok(
                r#"{"tagValues":[{"type":"string","value":"b"},{"type":"string","value":"a"}],"metrics":{}}"#,
            ),
            p if p.starts_with("/api/search?") => ok(
                r#"{"traces":[{"traceID":"4bf92f3577b34da6a3ce929d0e0e47"},{"traceID":"1"}],"metrics":{}}"#,
            ),
            p if p.ends_with(ID) => ok(&trace("")),
            _ => ok(r#"{"trace":{},"metrics":{}}"#),
        }
    })
    .await;
    let mut config = config(&address);
    config.headers.insert("x-scope-orgid", "bank".parse().unwrap());
    let tempo = Query::new(config);
    assert_eq!(tempo.reach().await, Ok(2));
    assert_eq!(tempo.operations("a \"b\"").await, Ok(vec!["a".to_owned(), "b".to_owned()]));
    let mut find = Find::new("shop\\", 1_500_000_000, 3_000_000_001);
    find.operation = Some("GET /x\n".to_owned());
    find.limit = 7;
    find.attributes = [
        ("big", Wanted::Double(1e21)),
        ("d", Wanted::Double(2.0)),
        ("i", Wanted::Int(-5)),
        ("j", Wanted::Int(i64::MIN)),
        ("k \"x\\y", Wanted::from("é \"q\"\u{1}")),
        ("small", Wanted::Double(-2.5e-7)),
        ("t", Wanted::Bool(true)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let found = tempo.find(&find).await.unwrap();
    assert_eq!((found.traces.keys().copied().collect::<Vec<_>>(), found.partial.len()), (vec![id()], 0));
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|s| s.head.contains("x-scope-orgid: bank")));
    let search = seen.iter().find(|s| s.path.starts_with("/api/search?")).unwrap();
    let expected = concat!(
        r#"{ resource.service.name = "shop\\" && name = "GET /x\n" && ."big" = 1000000000000000000000.0 && ."d" = 2.0"#,
        r#" && ."i" = -5 && ."j" = (-9223372036854775807 - 1) && ."k \"x\\y" = "é \"q\"\u0001" && ."small" = -0.00000025 && ."t" = true }"#
    );
    let pairs = parameters(&search.path);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(pairs, [("q", expected), ("start", "1"), ("end", "4"), ("limit", "7"), ("spss", "1")]);
    let operations = seen.iter().find(|s| s.path.starts_with("/api/v2/search/tag/name/values?")).unwrap();
    let pairs = parameters(&operations.path);
    assert_eq!(pairs[0], ("q".to_owned(), r#"{ resource.service.name = "a \"b\"" }"#.to_owned()));
    // Without a time, Tempo looks only at what is not yet in its storage.
    assert_eq!((pairs[1].0.as_str(), pairs[2].0.as_str()), ("start", "end"));
}

/// Scenario: among the traces of a search there is one of which the store gives a part.
/// Guarantee: the others are read, and that one is told apart; the spread of starts counts what it could not measure.
#[tokio::test]
async fn a_search_tells_parts_apart() {
    let address = serve(|s| match s.path.as_str() {
        p if p.contains("/values") => ok(r#"{"tagValues":[{"type":"string","value":"shop"}],"metrics":{}}"#),
        p if p.starts_with("/api/search?") => {
            ok(&format!(r#"{{"traces":[{{"traceID":"{ID}"}},{{"traceID":"1"}}],"metrics":{{}}}}"#))
        }
        p if p.ends_with(ID) => ok(&trace("")),
        _ => ok(&trace(r#","status":"PARTIAL""#)),
    })
    .await;
    let tempo = Query::new(config(&address));
    let found = tempo.find(&Find::new("shop", 0, 1)).await.unwrap();
    assert_eq!(found.traces.keys().copied().collect::<Vec<_>>(), [id()]);
    assert_eq!(found.partial, [TraceId(1_u128.to_be_bytes())].into());
    let config = SpreadConfig { from: 0, until: 1, traces_per_service: 5, services_max: 2 };
    let spread = measure(&tempo, &config).await.unwrap();
    assert_eq!((spread.traces, spread.traces_partial), (1, 1));
}
