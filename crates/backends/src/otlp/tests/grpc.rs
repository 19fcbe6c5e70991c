//! Every gRPC answer, and what it amounts to.

use std::time::Duration;

use ::http::HeaderMap;
use crossfade_otlp::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};

use super::server::{Answer, Play, Server, headers};
use super::{PATIENCE, client, message, outcome, silence_of};
use crate::otlp::framing::{decode_timeout, encode_status_details};
use crate::otlp::{Code, GrpcCode, Message, Outcome, Protocol, Silence};

fn status(code: u8, delay: Option<Duration>) -> HeaderMap {
    let mut trailers =
        headers(&[("grpc-status", &code.to_string()), ("grpc-message", "over%20the%C3%A4r%25")]);
    if delay.is_some() {
        let details = RpcStatus { code: code.into(), message: "over".to_owned(), retry_delay: delay };
        trailers.insert("grpc-status-details-bin", encode_status_details(&details));
    }
    trailers
}

/// The answer with a message and trailers, and the one with trailers only.
fn plays(trailers: &HeaderMap) -> [Play; 2] {
    let head = headers(&[("content-type", "application/grpc")]);
    let mut only = trailers.clone();
    only.extend(head.clone());
    let answer =
        |headers, trailers| Play::answer(Answer { status: 200, headers, body: Vec::new(), trailers });
    [answer(head, Some(trailers.clone())), answer(only, None)]
}

#[tokio::test]
async fn every_code_with_and_without_retry_info() {
    // OTLP 1.11, "Failures": the retryable ones. RESOURCE_EXHAUSTED (8) only with RetryInfo.
    const RETRYABLE: [u8; 6] = [1, 4, 10, 11, 14, 15];
    for code in 1..=16u8 {
        for delay in [None, Some(Duration::from_millis(1500))] {
            for play in plays(&status(code, delay)) {
                let outcome = outcome(Protocol::Grpc, play).await;
                let message = "over theär%".to_owned();
                let expected_code = Code::Grpc(GrpcCode::ALL[usize::from(code)]);
                let expected = if RETRYABLE.contains(&code) || code == 8 && delay.is_some() {
                    Outcome::Retryable { code: expected_code, retry_after: delay, message }
                } else {
                    Outcome::Rejected { code: expected_code, message }
                };
                assert_eq!(outcome, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_retry_after_header_makes_nothing_retryable() {
    let head = headers(&[("content-type", "application/grpc"), ("retry-after", "2")]);
    for (code, retryable) in [(8, false), (3, false), (14, true)] {
        let trailers = status(code, None);
        let mut only = trailers.clone();
        only.extend(head.clone());
        for (headers, trailers) in [(head.clone(), Some(trailers)), (only, None)] {
            let answer = Answer { status: 200, headers, body: Vec::new(), trailers };
            match outcome(Protocol::Grpc, Play::answer(answer)).await {
                Outcome::Retryable { retry_after, .. } if retryable => {
                    assert_eq!(retry_after, Some(Duration::from_secs(2)));
                }
                Outcome::Rejected { .. } if !retryable => {}
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_wish_to_wait_for_ever_is_cut_short() {
    let endless = Duration::from_secs(u64::try_from(i64::MAX).unwrap());
    for play in plays(&status(14, Some(endless))) {
        match outcome(Protocol::Grpc, play).await {
            Outcome::Retryable { retry_after, .. } => {
                assert_eq!(retry_after, Some(Duration::from_secs(3600)))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_success_may_be_partial() {
    let mut body = vec![0; 5];
    let partial = PartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode(&mut body);
    body[4] = u8::try_from(body.len() - 5).unwrap();
    let taken =
        |rejected_spans, message: &str| Outcome::Accepted { rejected_spans, message: message.to_owned() };
    let ok = [("grpc-status", "0")];
    for (body, expected) in [
        (&[0; 5][..], taken(0, "")),
        (&body, taken(3, "too old")),
        // A success whose message is missing or garbage is still a success: the spans are stored.
        (b"", taken(0, "")),
        (b"\0\0\0\0\x02\xff\xff", taken(0, "")),
    ] {
        assert_eq!(outcome(Protocol::Grpc, Play::grpc(body, &ok)).await, expected, "{body:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_status_is_none() {
    for trailers in [&[("x-other", "1")][..], &[("grpc-status", "fine")]] {
        let outcome = outcome(Protocol::Grpc, Play::grpc(&[0; 5], trailers)).await;
        assert_eq!(silence_of(&outcome), Some(Silence::Broken), "{outcome:?}");
    }
    let bare = Answer { status: 200, headers: HeaderMap::new(), body: vec![0; 5], trailers: None };
    let outcome = outcome(Protocol::Grpc, Play::answer(bare)).await;
    assert_eq!(silence_of(&outcome), Some(Silence::Broken), "{outcome:?}");
}

#[tokio::test]
async fn an_unknown_code_is_permanent() {
    let trailers = headers(&[("grpc-status", "99")]);
    for play in plays(&trailers) {
        let outcome = outcome(Protocol::Grpc, play).await;
        assert_eq!(
            outcome,
            Outcome::Rejected { code: Code::Grpc(GrpcCode::Unknown), message: String::new() }
        );
    }
}

#[tokio::test]
async fn a_proxy_that_answers_in_http_is_understood() {
    use GrpcCode::{Internal, PermissionDenied, Unauthenticated, Unavailable, Unimplemented, Unknown};
    for (status, code) in [
        (400, Internal),
        (401, Unauthenticated),
        (403, PermissionDenied),
        (404, Unimplemented),
        (429, Unavailable),
        (500, Unknown),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ] {
        let outcome = outcome(Protocol::Grpc, Play::http(status, &[("retry-after", "2")], b"<html>")).await;
        match outcome {
            Outcome::Retryable { code: got, retry_after, .. } => {
                assert_eq!((got, retry_after), (Code::Grpc(code), Some(Duration::from_secs(2))));
                assert_eq!(code, Unavailable);
            }
            Outcome::Rejected { code: got, .. } => {
                assert_eq!(got, Code::Grpc(code));
                assert_ne!(code, Unavailable);
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_is_what_grpc_wants() {
    let mut server = Server::start(Protocol::Grpc, Play::ok(Protocol::Grpc)).await;
    let client = client(&server.address, Protocol::Grpc);
    for (message, flag) in [(message(), 0), (Message::gzip(b"\x0a\x00"), 1)] {
        let length = u8::try_from(message.bytes.len()).unwrap();
        let expected = [&[flag, 0, 0, 0, length], &message.bytes[..]].concat();
        assert!(client.export(message, &HeaderMap::new(), PATIENCE).await.outcome.is_clean());
        let seen = server.seen().await;
        assert_eq!(seen.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        assert_eq!(seen.body, expected);
        assert_eq!(seen.headers["te"], "trailers");
        assert_eq!(
            seen.headers.get("grpc-encoding").map(|v| v.as_bytes()),
            (flag == 1).then_some(&b"gzip"[..])
        );
        let timeout = decode_timeout(&seen.headers["grpc-timeout"]).unwrap();
        assert!(timeout <= PATIENCE && timeout > PATIENCE / 2, "{timeout:?}");
    }
}
