use super::*;
use crate::testing::until;
use crate::traffic::{ATTEMPT_TIMEOUT, Answer, Exporter, Protocol};
use crate::wire::{self, GRPC_PATH, HTTP_PATH, MAX_REQUEST_BYTES};
use bytes::Bytes;
use crossfade_routing::TraceId;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const START: u64 = 1_700_000_000_000_000_000;

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn span(trace: u8, id: u8, kind: SpanKind) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: format!("op-{id}"),
        kind: kind as i32,
        start_time_unix_nano: START + u64::from(trace) * 1_000_000_000 + u64::from(id),
        end_time_unix_nano: START + u64::from(trace) * 1_000_000_000 + 500,
        attributes: vec![
            attribute("rows", Any::IntValue(i64::MAX)),
            attribute("raw", Any::BytesValue(vec![1, 2])),
        ],
        ..Span::default()
    }
}

/// One request of one service.
fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = attribute("service.name", Any::StringValue(service.into()));
    let scope_spans = vec![ScopeSpans { scope: None, spans, schema_url: "scope-schema".into() }];
    let resource = Some(Resource { attributes: vec![name], ..Resource::default() });
    let schema_url = "resource-schema".into();
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url }] }
}

fn two_spans(trace: u8) -> ExportTraceServiceRequest {
    request("cart", vec![span(trace, 1, SpanKind::Server), span(trace, 2, SpanKind::Client)])
}

async fn environment() -> Environment {
    Environment::start(7).await.unwrap()
}

/// A sender for either wire.
fn exporter(environment: &Environment, protocol: Protocol) -> Exporter {
    let target = match protocol {
        Protocol::Grpc => environment.grpc_addr(),
        Protocol::HttpProtobufGzip => environment.http_addr(),
    };
    Exporter::new(protocol, target)
}

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobufGzip];

async fn send(exporter: &mut Exporter, request: &ExportTraceServiceRequest) -> Answer {
    let body = exporter.pack(&request.encode_to_vec());
    exporter.export(body).await
}

async fn http_call(to: std::net::SocketAddr, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let (response, _) = tokio::join!(
        async move {
            let response = sender.send_request(request).await.unwrap();
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        },
        connection
    );
    response
}

async fn get(environment: &Environment, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).header("host", "lab").body(Full::default()).unwrap();
    let response = http_call(environment.query_addr(), request).await;
    let body = serde_json::from_slice(response.body());
    (
        response.status(),
        body.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(response.body()).into())),
    )
}

async fn post(
    environment: &Environment,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let request = Request::post(HTTP_PATH).header("host", "lab");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    http_call(environment.http_addr(), request.body(Full::new(body.into())).unwrap()).await
}

/// `grpc-status` of a call, wherever it stands.
async fn grpc_status(environment: &Environment, path: &str, coding: &str, body: Bytes) -> String {
    let stream = TcpStream::connect(environment.grpc_addr()).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://lab{path}")).header("grpc-encoding", coding);
    let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let in_headers = response.headers().get("grpc-status").cloned();
    let body = response.into_body().collect().await.unwrap();
    let in_trailers = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    drop(sender);
    connection.await.unwrap().unwrap();
    in_headers.or(in_trailers).unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_port_is_a_loopback_port_of_its_own() {
    let (one, two) = (environment().await, environment().await);
    let ports = [&one, &two].map(|e| [e.grpc_addr(), e.http_addr(), e.query_addr()]).concat();
    assert!(ports.iter().all(|port| port.ip().is_loopback() && port.port() != 0));
    let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), ports.len());
    let (status, body) = get(&one, "/healthz").await;
    assert_eq!((status, body), (StatusCode::OK, json!("ok\n")));
}

#[tokio::test]
async fn what_is_sent_over_either_wire_is_read_back_in_otlp_json() {
    let environment = environment().await;
    for (trace, protocol) in (1..).zip(BOTH) {
        let answer = send(&mut exporter(&environment, protocol), &two_spans(trace)).await;
        assert_eq!(answer, Answer::Accepted { rejected_spans: 0 });
    }
    let gzip = wire::gzip(&two_spans(3).encode_to_vec());
    let mut compressed_frame = wire::frame(&gzip).to_vec();
    compressed_frame[0] = 1;
    assert_eq!(grpc_status(&environment, GRPC_PATH, "gzip", compressed_frame.into()).await, "0");
    let plain = two_spans(4).encode_to_vec();
    assert_eq!(post(&environment, &[("content-type", "application/x-protobuf")], plain).await.status(), 200);

    for trace in 1..=4u8 {
        let path = format!("/api/v3/traces/{}?rawTraces=true", TraceId([trace; 16]));
        let (status, body) = get(&environment, &path).await;
        assert_eq!(status, StatusCode::OK);
        let resource_spans = &body["result"]["resourceSpans"];
        assert_eq!(resource_spans.as_array().unwrap().len(), 1);
        assert_eq!(resource_spans[0]["schemaUrl"], "resource-schema");
        let service = json!([{ "key": "service.name", "value": { "stringValue": "cart" } }]);
        assert_eq!(resource_spans[0]["resource"]["attributes"], service);
        assert_eq!(resource_spans[0]["scopeSpans"][0]["schemaUrl"], "scope-schema");
        let spans = resource_spans[0]["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0]["traceId"], format!("{trace:02x}").repeat(16));
        assert_eq!(spans[0]["spanId"], "01".repeat(8));
        assert_eq!(spans[0]["kind"], 2);
        assert_eq!(spans[0]["startTimeUnixNano"], (START + u64::from(trace) * 1_000_000_000 + 1).to_string());
        let rows = json!({ "key": "rows", "value": { "intValue": i64::MAX.to_string() } });
        let raw = json!({ "key": "raw", "value": { "bytesValue": "AQI=" } });
        assert_eq!(spans[0]["attributes"], json!([rows, raw]));
    }
    assert_eq!(environment.store().span_count(), 8);
    assert_eq!(environment.store().trace_count(), 4);
}

#[tokio::test]
async fn queries_answer_as_jaegers_do() {
    let environment = environment().await;
    let mut exporter = exporter(&environment, Protocol::Grpc);
    for trace in 1..=3 {
        send(&mut exporter, &two_spans(trace)).await;
    }
    send(&mut exporter, &request("mailer", vec![span(3, 9, SpanKind::Consumer)])).await;

    let unknown = format!("/api/v3/traces/{}", TraceId([9; 16]));
    assert_eq!(get(&environment, &unknown).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&environment, "/api/v3/traces/xyz").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(&environment, "/api/v3/services").await.1, json!({ "services": ["cart", "mailer"] }));
    let (_, operations) = get(&environment, "/api/v3/operations?service=cart").await;
    let (server, client) =
        (json!({"name":"op-1","spanKind":"server"}), json!({"name":"op-2","spanKind":"client"}));
    assert_eq!(operations, json!({ "operations": [server, client] }));
    let (_, operations) = get(&environment, "/api/v3/operations?service=cart&span_kind=client").await;
    assert_eq!(operations, json!({ "operations": [client] }));

    let whole_day = "query.start_time_min=2023-11-14T00:00:00Z&query.start_time_max=2023-11-15T00:00:00Z";
    let ids = |body: &Value| {
        let groups = body["result"]["resourceSpans"].as_array().cloned().unwrap_or_default();
        let first =
            |group: Value| group["scopeSpans"][0]["spans"][0]["traceId"].as_str().unwrap()[..2].to_owned();
        groups.into_iter().map(first).collect::<Vec<_>>()
    };
    let find = async |query: &str| get(&environment, &format!("/api/v3/traces?{query}")).await;
    let (_, found) = find(&format!("query.service_name=cart&{whole_day}")).await;
    assert_eq!(ids(&found), ["03", "03", "02", "01"], "the latest first, whole traces");
    let (_, found) = find(&format!("query.service_name=mailer&{whole_day}")).await;
    assert_eq!(ids(&found), ["03", "03"], "two services of one trace");
    let (_, found) = find(&format!("query.service_name=cart&query.num_traces=1&{whole_day}")).await;
    assert_eq!(ids(&found), ["03", "03"]);
    let (status, _) = find(&format!("query.service_name=cart&query.operation_name=op-9&{whole_day}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "that operation is another service's");
    let to_the_first =
        "query.start_time_min=2023-11-14T22:13:20Z&query.start_time_max=2023-11-14T22:13:21.5Z";
    assert_eq!(ids(&find(to_the_first).await.1), ["01"]);
    assert_eq!(find("query.service_name=cart").await.0, StatusCode::BAD_REQUEST);
    // The older search: one span has all of it, its resource included; values are texts.
    let by_tags = async |service: &str, tags: &str, end: u64| {
        let tags = tags.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let path =
            format!("/api/traces?service={service}&tags={tags}&start={}&end={end}&limit=9", START / 1000);
        let (status, body) = get(&environment, &path).await;
        let data = body["data"].as_array().cloned().unwrap_or_default();
        (
            status,
            data.iter().map(|trace| trace["traceID"].as_str().unwrap()[..2].to_owned()).collect::<Vec<_>>(),
        )
    };
    let late = START / 1000 + 60_000_000;
    let most = i64::MAX;
    let both = format!(r#"{{"rows":"{most}","service.name":"cart"}}"#);
    assert_eq!(
        by_tags("cart", &both, late).await,
        (StatusCode::OK, ["03", "02", "01"].map(String::from).into())
    );
    assert_eq!(by_tags("cart", r#"{"rows":"1"}"#, late).await, (StatusCode::OK, Vec::new()));
    assert_eq!(by_tags("cart", r#"{"service.name":"mailer"}"#, late).await, (StatusCode::OK, Vec::new()));
    assert_eq!(
        by_tags("cart", "{}", START / 1000 + 1_500_000).await,
        (StatusCode::OK, vec!["01".to_owned()])
    );
    assert_eq!(by_tags("cart", "no", late).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(&environment, "/api/v3/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_span_that_comes_again_is_counted_and_stored_once() {
    let environment = environment().await;
    for protocol in BOTH {
        send(&mut exporter(&environment, protocol), &two_spans(1)).await;
    }
    let observed = environment.observed();
    assert_eq!((observed.requests, observed.spans_stored, observed.spans_duplicate), (2, 2, 2));
    let held = environment.store().held(&TraceId([1; 16]));
    assert_eq!(held.values().map(|held| held.copies).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(environment.store().duplicate_count(), 2);
}

#[tokio::test]
async fn the_last_byte_is_the_last_requests() {
    let environment = environment().await;
    assert_eq!((environment.observed().last_byte, environment.observed().bytes), (None, 0));
    let mut exporter = exporter(&environment, Protocol::Grpc);
    let before = crate::clock::now();
    send(&mut exporter, &two_spans(1)).await;
    let first = environment.observed();
    let body = wire::frame(&two_spans(1).encode_to_vec());
    assert_eq!(first.bytes, body.len() as u64);
    assert!((before..=crate::clock::now()).contains(&first.last_byte.unwrap()));
    send(&mut exporter, &two_spans(2)).await;
    assert!(environment.observed().last_byte > first.last_byte);
}

#[tokio::test]
async fn a_share_of_requests_is_refused_on_either_wire_with_what_was_asked_for() {
    let retry_after = Some(Duration::from_millis(1_500));
    for (protocol, status, wait) in
        [(Protocol::Grpc, 14, retry_after), (Protocol::HttpProtobufGzip, 503, Some(Duration::from_secs(2)))]
    {
        let environment = environment().await;
        let refuse = Some(Refusal { retry_after, ..Refusal::unavailable(Share::percent(40)) });
        environment.set_faults(Faults { refuse, ..Faults::default() });
        assert_eq!(environment.observed().first_refusal, None);
        let mut exporter = exporter(&environment, protocol);
        let mut refused = 0;
        for trace in 0..100 {
            match send(&mut exporter, &two_spans(trace)).await {
                Answer::Accepted { .. } => {
                    assert_eq!(environment.store().held(&TraceId([trace; 16])).len(), 2)
                }
                answer => {
                    assert_eq!(answer, Answer::Retryable { status, retry_after: wait });
                    assert!(environment.store().trace(&TraceId([trace; 16])).is_none());
                    refused += 1;
                }
            }
        }
        assert!((25..55).contains(&refused), "{refused} of 100");
        let observed = environment.observed();
        assert_eq!((observed.requests, observed.refused), (100, refused));
        assert!(observed.first_refusal.unwrap() <= observed.last_byte.unwrap());
        environment.set_faults(Faults::default());
        assert_eq!(send(&mut exporter, &two_spans(1)).await, Answer::Accepted { rejected_spans: 0 });
    }
}

#[tokio::test]
async fn a_permanent_refusal_is_not_retryable() {
    for (protocol, status) in [(Protocol::Grpc, 13), (Protocol::HttpProtobufGzip, 500)] {
        let environment = environment().await;
        let refuse = Some(Refusal::permanent(Share::ALL));
        environment.set_faults(Faults { refuse, ..Faults::default() });
        let answer = send(&mut exporter(&environment, protocol), &two_spans(1)).await;
        assert_eq!(answer, Answer::Rejected { status });
    }
}

#[tokio::test]
async fn a_hanging_environment_holds_requests_until_it_hangs_no_more() {
    let environment = environment().await;
    environment.set_faults(Faults { hang: true, ..Faults::default() });
    let mut senders = BOTH.map(|protocol| exporter(&environment, protocol));
    let [grpc, http] = &mut senders;
    let (one, two) = (two_spans(1), two_spans(2));
    let answers = async { tokio::join!(send(grpc, &one), send(http, &two)) };
    let release = async {
        until("two requests are held", || environment.observed().held == 2).await;
        assert_eq!(environment.store().span_count(), 0);
        environment.set_faults(Faults::default());
    };
    let (answers, ()) = tokio::join!(answers, release);
    let accepted = Answer::Accepted { rejected_spans: 0 };
    assert_eq!(answers, (accepted, accepted));
    assert_eq!((environment.observed().held, environment.store().span_count()), (0, 4));
}

#[tokio::test]
async fn a_delayed_answer_comes_later() {
    let environment = environment().await;
    let delay = Duration::from_millis(60);
    environment.set_faults(Faults { delay, ..Faults::default() });
    let before = Instant::now();
    send(&mut exporter(&environment, Protocol::Grpc), &two_spans(1)).await;
    assert!(before.elapsed() >= delay);
}

#[tokio::test]
async fn spans_of_a_dropped_kind_are_accepted_and_gone() {
    let environment = environment().await;
    environment.set_faults(Faults { drop_kind: Some(SpanKind::Client), ..Faults::default() });
    let answer = send(&mut exporter(&environment, Protocol::Grpc), &two_spans(1)).await;
    assert_eq!(answer, Answer::Accepted { rejected_spans: 0 });
    let held = environment.store().held(&TraceId([1; 16]));
    assert_eq!(held.keys().collect::<Vec<_>>(), [&SpanId([1; 8])]);
    assert_eq!((environment.observed().spans_dropped, environment.observed().first_refusal), (1, None));
}

#[tokio::test]
async fn rejected_spans_are_told_and_not_stored() {
    for protocol in BOTH {
        let environment = environment().await;
        environment.set_faults(Faults { reject: Share::percent(30), ..Faults::default() });
        let spans: Vec<_> = (1..=200).map(|id| span(1, id, SpanKind::Server)).collect();
        let answer = send(&mut exporter(&environment, protocol), &request("cart", spans)).await;
        let Answer::Accepted { rejected_spans } = answer else { panic!("{answer:?}") };
        assert!((35..85).contains(&rejected_spans), "{rejected_spans} of 200");
        let observed = environment.observed();
        assert_eq!(observed.spans_rejected, rejected_spans);
        assert_eq!(environment.store().span_count(), 200 - rejected_spans);
        assert!(observed.first_refusal.is_some());
    }
}

#[tokio::test]
async fn a_reset_leaves_the_sender_without_an_answer() {
    for protocol in BOTH {
        let environment = environment().await;
        let mut exporter = exporter(&environment, protocol);
        environment.set_faults(Faults { reset: Share::ALL, ..Faults::default() });
        let before = Instant::now();
        assert_eq!(send(&mut exporter, &two_spans(1)).await, Answer::Unanswered);
        assert!(before.elapsed() < ATTEMPT_TIMEOUT, "reset, and not timed out");
        assert_eq!((environment.observed().reset, environment.store().span_count()), (1, 0));
        environment.set_faults(Faults::default());
        assert_eq!(send(&mut exporter, &two_spans(1)).await, Answer::Accepted { rejected_spans: 0 });
    }
}

#[tokio::test]
async fn open_connections_can_be_reset_at_any_time() {
    let environment = environment().await;
    environment.set_faults(Faults { hang: true, ..Faults::default() });
    let mut exporter = exporter(&environment, Protocol::Grpc);
    let request = two_spans(1);
    let cut = async {
        until("a request is held", || environment.observed().held > 0).await;
        environment.reset_connections();
    };
    let (answer, ()) = tokio::join!(send(&mut exporter, &request), cut);
    assert_eq!(answer, Answer::Unanswered);
    environment.set_faults(Faults::default());
    assert_eq!(send(&mut exporter, &request).await, Answer::Accepted { rejected_spans: 0 });
}

#[tokio::test]
async fn an_idle_connection_is_reset_and_not_closed() {
    let environment = environment().await;
    let mut stream = TcpStream::connect(environment.http_addr()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: lab\r\n\r\n").await.unwrap();
    let mut answer = [0; 1_000];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    environment.reset_connections();
    let error = loop {
        match stream.read(&mut answer).await {
            Ok(0) => panic!("closed in order"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_cannot_be_read_gets_the_status_that_says_so() {
    let environment = environment().await;
    let protobuf = ("content-type", "application/x-protobuf");
    let gzip = ("content-encoding", "gzip");
    let good = two_spans(1).encode_to_vec();
    let bad_id = request("cart", vec![Span { trace_id: vec![1; 15], ..span(1, 1, SpanKind::Server) }]);
    let bomb = wire::gzip(&vec![0; MAX_REQUEST_BYTES + 1]);
    let status =
        async |headers: &[(&str, &str)], body: Bytes| post(&environment, headers, body).await.status();
    assert_eq!(status(&[protobuf], good[..good.len() - 1].to_vec().into()).await, 400);
    assert_eq!(status(&[protobuf], bad_id.encode_to_vec().into()).await, 400);
    assert_eq!(status(&[protobuf, gzip], good.clone().into()).await, 400);
    assert_eq!(status(&[protobuf, gzip], bomb.clone()).await, 413);
    assert_eq!(status(&[("content-type", "text/plain")], "{}".into()).await, 415);
    assert_eq!(status(&[("content-type", "application/json")], "{}".into()).await, 200);
    assert_eq!(status(&[("content-type", "application/json")], "{\"resourceSpans\":1}".into()).await, 400);

    let mut framed_bomb = wire::frame(&bomb).to_vec();
    framed_bomb[0] = 1;
    let call = async |path: &str, body: Bytes| grpc_status(&environment, path, "gzip", body).await;
    assert_eq!(call(GRPC_PATH, wire::frame(&good[..good.len() - 1])).await, "3");
    assert_eq!(call(GRPC_PATH, good.into()).await, "3");
    assert_eq!(call(GRPC_PATH, framed_bomb.into()).await, "8");
    assert_eq!(call("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Bytes::new()).await, "12");
    assert_eq!((environment.store().span_count(), environment.observed().malformed), (0, 7));
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let environment = environment().await;
    let (grpc, store) = (environment.grpc_addr(), environment.store());
    environment.set_faults(Faults { hang: true, ..Faults::default() });
    let mut exporter = exporter(&environment, Protocol::Grpc);
    let request = two_spans(1);
    let end = async {
        until("a request is held", || environment.observed().held > 0).await;
        drop(environment);
    };
    let (answer, ()) = tokio::join!(send(&mut exporter, &request), end);
    assert_eq!(answer, Answer::Unanswered, "the held request was let go");
    assert!(TcpStream::connect(grpc).await.is_err(), "the port is closed");
    assert_eq!(store.span_count(), 0, "what was stored can still be read");
}
