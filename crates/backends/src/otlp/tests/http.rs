//! Every HTTP answer, and what it amounts to.

use std::time::Duration;

use ::http::HeaderMap;
use crossfade_otlp::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};

use super::server::{Play, Server};
use super::{PATIENCE, client, message, outcome};
use crate::otlp::{Code, Message, Outcome, Protocol, Silence};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn status_body(retry_delay: Option<Duration>) -> Vec<u8> {
    let mut body = Vec::new();
    RpcStatus { code: 14, message: "sorry".to_owned(), retry_delay }.encode(&mut body);
    body
}

#[tokio::test]
async fn every_status() {
    // OTLP 1.11, "Failures": 429, 502, 503 and 504 may be retried, and nothing else.
    let body = status_body(None);
    for status in
        [300, 302, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 501, 502, 503, 504, 505, 599]
    {
        let outcome = outcome(Protocol::HttpProtobuf, Play::http(status, &[PROTOBUF], &body)).await;
        let (code, message) = (Code::Http(status), "sorry".to_owned());
        let expected = if [429, 502, 503, 504].contains(&status) {
            Outcome::Retryable { code, retry_after: None, message }
        } else {
            Outcome::Rejected { code, message }
        };
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn the_wish_to_wait_is_read_from_the_header_or_the_body() {
    let plain = status_body(None);
    let with_info = status_body(Some(Duration::from_secs(9)));
    let endless = status_body(Some(Duration::from_secs(u64::try_from(i64::MAX).unwrap())));
    let hour = Some(Duration::from_secs(3600));
    for (headers, body, expected) in [
        (&[PROTOBUF, ("retry-after", "7")][..], &plain, Some(Duration::from_secs(7))),
        (&[PROTOBUF], &with_info, Some(Duration::from_secs(9))),
        (&[PROTOBUF, ("retry-after", "7")], &with_info, Some(Duration::from_secs(7))),
        (&[PROTOBUF], &plain, None),
        (&[PROTOBUF], &endless, hour),
        (&[PROTOBUF, ("retry-after", "18446744073709551615")], &plain, hour),
    ] {
        match outcome(Protocol::HttpProtobuf, Play::http(503, headers, body)).await {
            Outcome::Retryable { retry_after, .. } => assert_eq!(retry_after, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn messages_of_every_kind_are_read() {
    let long = "ä".repeat(2000);
    for (headers, body, expected) in [
        (
            &[("content-type", "application/json; charset=utf-8")][..],
            &br#"{"code":3,"message":"no"}"#[..],
            "no",
        ),
        (&[("content-type", "text/html")], b" <h1>Bad Gateway</h1>\n", "<h1>Bad Gateway</h1>"),
        (&[PROTOBUF], b"\xff\xff", "\u{fffd}\u{fffd}"),
        (&[], b"", ""),
        (&[], long.as_bytes(), &long[..1024]),
    ] {
        match outcome(Protocol::HttpProtobuf, Play::http(400, headers, body)).await {
            Outcome::Rejected { message, .. } => assert_eq!(message, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_success_may_be_partial() {
    let mut body = Vec::new();
    let partial = PartialSuccess { rejected_spans: -1, error_message: "odd".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial.clone()) }.encode(&mut body);
    let negative = Outcome::Accepted { rejected_spans: 0, message: "odd".to_owned() };
    assert_eq!(outcome(Protocol::HttpProtobuf, Play::http(200, &[PROTOBUF], &body)).await, negative);
    body.clear();
    let partial = PartialSuccess { rejected_spans: 2, ..partial };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode(&mut body);
    let two = Outcome::Accepted { rejected_spans: 2, message: "odd".to_owned() };
    assert_eq!(outcome(Protocol::HttpProtobuf, Play::http(202, &[PROTOBUF], &body)).await, two);
    let none = Outcome::Accepted { rejected_spans: 0, message: String::new() };
    assert_eq!(outcome(Protocol::HttpProtobuf, Play::http(204, &[], b"")).await, none);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let mut server = Server::start(Protocol::HttpProtobuf, Play::http(400, &[], &vec![b'x'; 1 << 20])).await;
    let client = client(&server.address, Protocol::HttpProtobuf);
    for _ in 0..2 {
        let outcome = client.export(message(), &HeaderMap::new(), PATIENCE).await.outcome;
        assert!(matches!(outcome, Outcome::Rejected { message, .. } if message.len() == 1024));
        server.seen().await;
    }
    assert_eq!(server.connections(), 2, "a connection with an unread rest is not used again");
}

#[tokio::test]
async fn a_request_is_what_otlp_wants() {
    let mut server = Server::start(Protocol::HttpProtobuf, Play::ok(Protocol::HttpProtobuf)).await;
    let client = client(&server.address, Protocol::HttpProtobuf);
    for message in [message(), Message::gzip(b"\x0a\x00")] {
        let bytes = message.bytes.clone();
        assert!(client.export(message, &HeaderMap::new(), PATIENCE).await.outcome.is_clean());
        let seen = server.seen().await;
        assert_eq!((seen.path.as_str(), &seen.body), ("/v1/traces", &bytes));
        assert_eq!(seen.headers["content-type"], "application/x-protobuf");
        assert_eq!(seen.headers["host"], server.address);
        assert_eq!(seen.headers["content-length"], bytes.len().to_string());
    }
}

/// Scenario: where the receiver should be, a proxy shows its login page, and says 200.
/// Guarantee: no span is taken for stored.
#[tokio::test]
async fn a_web_page_is_not_an_answer() {
    for (content_type, body, says) in [
        ("text/html", "<h1>Sign in</h1>", "HTML"),
        ("Text/HTML; charset=utf-8", "<h1>Sign in</h1>", "HTML"),
        ("application/json", "<h1>Sign in</h1>", "JSON"),
        ("application/json", "[]", "JSON"),
    ] {
        let play = Play::http(200, &[("content-type", content_type)], body.as_bytes());
        match outcome(Protocol::HttpProtobuf, play).await {
            Outcome::Unanswered { silence: Silence::Broken, detail } => {
                assert!(detail.contains(says), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
}
