//! The inventory of an environment, from its query API.

use std::time::Duration;

use crossfade_backends::coverage::{CoverageConfig, count, from_json, look};
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind, Wanted};
use crossfade_gates::coverage::{Recorded, Window};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::time::Instant;

use crate::support::{Reply, Seen, serve, traces};

const WINDOW: Window = Window { from: 1_800_000_000_000_000_000, until: 1_800_003_600_000_000_000 };

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A span of a service in trace `trace`.
fn span(service: &str, trace: u8, id: u8, parent: u8) -> ResourceSpans {
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: format!("{service} op"),
        kind: 2,
        start_time_unix_nano: WINDOW.from + u64::from(trace) * 1_000_000_000,
        ..Span::default()
    };
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope = Some(InstrumentationScope::default());
    let scope_spans = vec![ScopeSpans { scope, spans: vec![span], ..ScopeSpans::default() }];
    ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }
}

fn two(trace: u8) -> Vec<ResourceSpans> {
    vec![span("shop", trace, 1, 0), span("payment", trace, 2, 1)]
}

async fn query(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Query {
    let endpoint = QueryEndpoint::parse(&serve(handler).await).unwrap();
    let mut config = QueryConfig::new(QueryKind::Jaeger, endpoint);
    config.timeout = Duration::from_secs(20);
    Query::new(config)
}

fn config() -> CoverageConfig {
    let mut config = CoverageConfig::new(WINDOW, Instant::now() + Duration::from_secs(20));
    config.slices = 2;
    config
}

fn services() -> Reply {
    Reply::Full(200, br#"{"services":["payment","shop","crossfade-probe"]}"#.to_vec())
}

#[tokio::test]
async fn each_service_is_sampled_over_the_whole_window() {
    let query = query(|seen| match seen.path.as_str() {
        "/api/v3/services" => services(),
        path if path.contains("crossfade-") => panic!("nobody asks for what was made up"),
        // The first half has trace 1, the second half traces 2 and 3.
        path if path.contains("start_time_min=2027-01-15T08:00:00") => traces(two(1)),
        _ => traces([two(2), two(3)].concat()),
    })
    .await;
    let mut config = config();
    config.traces_per_service = 4;
    let recorded = look(&query, &config).await.unwrap();
    assert!(recorded.troubles.is_empty() && recorded.services_left_out == 0);
    let (shop, payment) = (&recorded.inventory.services["shop"], &recorded.inventory.services["payment"]);
    assert_eq!((shop.seen.traces, payment.seen.traces, payment.callers["shop"].seen.traces), (3, 3, 3));
    assert!(shop.cut_short && payment.orphans.traces == 0, "two of two in the second half");
    config.services_max = 1;
    assert_eq!(look(&query, &config).await.unwrap().services_left_out, 1);
}

#[tokio::test]
async fn one_service_without_an_answer_is_a_trouble_and_the_others_are_looked_at() {
    type Answer = fn() -> Reply;
    let answers: [Answer; 4] = [
        || Reply::Full(200, b"<html>hello</html>".to_vec()),
        || Reply::Full(500, b"no".to_vec()),
        || Reply::Raw(Vec::new()),
        || Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\":{".to_vec()),
    ];
    for answer in answers {
        let query = query(move |seen| match seen.path.as_str() {
            "/api/v3/services" => services(),
            path if path.contains("service_name=shop") => answer(),
            _ => traces(two(1)),
        })
        .await;
        let recorded = look(&query, &config()).await.unwrap();
        assert_eq!(recorded.troubles.len(), 1, "{recorded:?}");
        assert!(recorded.troubles[0].what.contains("http://127.0.0.1"), "{recorded:?}");
        assert_eq!(recorded.inventory.services.keys().collect::<Vec<_>>(), ["payment"]);
    }
}

/// Searches with these numbers of traces a second, at even distances, none of which is read.
async fn counted(per_second: f64) -> Recorded {
    let query = query(move |seen| {
        let of = |name: &str| -> f64 {
            let rest = seen.path.split_once(name).unwrap_or_else(|| panic!("{} lacks {name}", seen.path)).1;
            rest.split('&').next().unwrap().parse().unwrap()
        };
        let seconds = (of("&end=") - of("&start=")) / 1e6;
        let many = (seconds * per_second).min(of("&limit=")) as u32;
        let ids: Vec<String> = (1..=many).map(|id| format!(r#"{{"traceID":"{id:032x}"}}"#)).collect();
        Reply::Full(200, format!(r#"{{"data":[{}],"errors":null}}"#, ids.join(",")).into_bytes())
    })
    .await;
    let mut recorded = Recorded::default();
    count(&query, &config(), vec!["shop".to_owned()], &mut recorded).await;
    recorded
}

#[tokio::test]
async fn what_is_too_much_for_a_search_is_counted_in_a_piece_of_every_slice() {
    for per_second in [0.01, 1.0, 10.0] {
        let volume = counted(per_second).await.volumes["shop"];
        let truth = 3_600.0 * per_second;
        let about = volume.about as f64;
        assert!((about / truth - 1.0).abs() < 0.1, "{about} of {truth}");
        assert!(volume.at_least as f64 >= truth / 5.0 && volume.at_least < volume.about, "{volume:?}");
    }
    let silent = query(|_| Reply::Full(500, b"no".to_vec())).await;
    let mut recorded = Recorded::default();
    count(&silent, &config(), vec!["shop".to_owned()], &mut recorded).await;
    assert!(recorded.volumes.is_empty(), "{recorded:?}");
}

#[tokio::test]
async fn what_hangs_ends_with_the_deadline() {
    let hanging = query(|_| Reply::Hang).await;
    let mut config = config();
    config.deadline = Instant::now() + Duration::from_millis(50);
    let trouble = look(&hanging, &config).await.unwrap_err();
    assert!(!trouble.answered && trouble.what.contains("when the time was up"), "{trouble:?}");
    let half = query(|seen| if seen.path == "/api/v3/services" { services() } else { Reply::Hang }).await;
    config.deadline = Instant::now() + Duration::from_secs(1);
    let recorded = look(&half, &config).await.unwrap();
    assert_eq!((recorded.troubles.len(), recorded.inventory.traces), (2, 0));
}

#[tokio::test]
async fn a_page_instead_of_services_is_trouble() {
    let query = query(|_| Reply::Full(200, b"<html>".to_vec())).await;
    let trouble = look(&query, &config()).await.unwrap_err();
    assert!(!trouble.answered && trouble.what.contains("not a Jaeger answer"), "{trouble:?}");
}

#[tokio::test]
async fn a_test_run_is_found_by_an_attribute() {
    let query = query(|seen| match seen.path.as_str() {
        "/api/v3/services" => services(),
        path if path.starts_with("/api/traces?") && path.contains("test.run") => Reply::Full(
            200,
            format!(r#"{{"data":[{{"traceID":"{}"}}],"errors":null}}"#, "07".repeat(16)).into_bytes(),
        ),
        path if path.starts_with("/api/v3/traces/0707") => traces(two(7)),
        path => panic!("{path}"),
    })
    .await;
    let mut config = config();
    config.attributes.insert("test.run".to_owned(), Wanted::from("42"));
    let recorded = look(&query, &config).await.unwrap();
    assert!(recorded.troubles.is_empty(), "{recorded:?}");
    assert_eq!(recorded.inventory.services["shop"].seen.traces, 1);
}

#[test]
fn a_file_holds_one_object_or_many() {
    let Reply::Full(_, wrapped) = traces(two(1)) else { unreachable!() };
    let wrapped: serde_json::Value = serde_json::from_slice(&wrapped).unwrap();
    let line = wrapped["result"].to_string();
    let more = serde_json::json!({ "resourceSpans": two(2) }).to_string();
    let recorded = from_json(format!("{line}\n{more}\n").as_bytes()).unwrap();
    assert_eq!((recorded.inventory.traces, recorded.inventory.services["payment"].callers.len()), (2, 1));
    assert_eq!(from_json(b"").unwrap().inventory.traces, 0);
    for bad in [
        &b"<html>"[..],
        b"\0\xff",
        b"[1,2]",
        b"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"x\"}]}]}]}",
    ] {
        assert!(from_json(bad).is_err(), "{bad:?}");
    }
    assert!(from_json(b"{\"hello\":1}").is_err(), "an object of something else");
}
