//! Every answer of an environment, and what the client hears: on the same transport, and across.

use std::time::Duration;

use crossfade_backends::otlp::{Code, GrpcCode, Outcome, Protocol, http_is_retryable};

use crate::support::{
    BOTH, Bench, Environment, Play, blue, encode, export, one_span, request, single, soon, span, trace,
};

/// What a client on `inward` hears of what an environment on `outward` says.
struct Case {
    inward: Protocol,
    environment: Environment,
    bench: Bench,
}

impl Case {
    async fn new(inward: Protocol, outward: Protocol) -> Case {
        let (environment, green) = (Environment::start(outward).await, Environment::grpc().await);
        let bench = Bench::new(&environment, &green, single()).await;
        Case { inward, environment, bench }
    }

    async fn hears(&self, play: Play) -> Outcome {
        self.environment.play(play);
        export(&self.bench.client(self.inward), one_span()).await
    }
}

const RETRY: Option<Duration> = Some(Duration::from_millis(2500));

#[tokio::test]
async fn every_grpc_code_is_passed_on_to_grpc_clients() {
    let case = Case::new(Protocol::Grpc, Protocol::Grpc).await;
    for code in &GrpcCode::ALL[1..] {
        for retry in [None, RETRY] {
            let message = "no: 100 %, ä";
            let heard = case.hears(Play::Grpc { code: *code, retry, message }).await;
            let (code, message) = (Code::Grpc(*code), message.to_owned());
            let Code::Grpc(grpc) = code else { unreachable!() };
            let expected = if grpc.is_retryable(retry.is_some()) {
                Outcome::Retryable { code, retry_after: retry, message }
            } else {
                Outcome::Rejected { code, message }
            };
            assert_eq!(heard, expected);
        }
    }
}

#[tokio::test]
async fn every_http_status_is_passed_on_to_http_clients() {
    let case = Case::new(Protocol::HttpProtobuf, Protocol::HttpProtobuf).await;
    for status in [400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 505] {
        for retry_after in [None, Some("3")] {
            let heard = case.hears(Play::Http { status, retry_after, message: "no" }).await;
            let (code, message) = (Code::Http(status), "no".to_owned());
            let expected = if http_is_retryable(status) {
                let retry_after = retry_after.map(|_| Duration::from_secs(3));
                Outcome::Retryable { code, retry_after, message }
            } else {
                Outcome::Rejected { code, message }
            };
            assert_eq!(heard, expected);
        }
    }
}

#[tokio::test]
async fn grpc_codes_reach_http_clients() {
    let case = Case::new(Protocol::HttpProtobuf, Protocol::Grpc).await;
    for (code, retry, status) in [
        (GrpcCode::Cancelled, None, 503),
        (GrpcCode::Unknown, None, 500),
        (GrpcCode::InvalidArgument, None, 400),
        (GrpcCode::DeadlineExceeded, None, 504),
        (GrpcCode::NotFound, None, 404),
        (GrpcCode::AlreadyExists, None, 409),
        (GrpcCode::PermissionDenied, None, 403),
        (GrpcCode::ResourceExhausted, None, 413),
        (GrpcCode::ResourceExhausted, RETRY, 429),
        (GrpcCode::FailedPrecondition, None, 400),
        (GrpcCode::Aborted, None, 503),
        (GrpcCode::OutOfRange, None, 503),
        (GrpcCode::Unimplemented, None, 501),
        (GrpcCode::Internal, None, 500),
        (GrpcCode::Unavailable, None, 503),
        (GrpcCode::Unavailable, RETRY, 503),
        (GrpcCode::DataLoss, None, 503),
        (GrpcCode::Unauthenticated, None, 401),
    ] {
        let heard = case.hears(Play::Grpc { code, retry, message: "no" }).await;
        let message = "no".to_owned();
        let expected = if code.is_retryable(retry.is_some()) {
            // In whole seconds, rounded up.
            let retry_after = retry.map(|_| Duration::from_secs(3));
            Outcome::Retryable { code: Code::Http(status), retry_after, message }
        } else {
            Outcome::Rejected { code: Code::Http(status), message }
        };
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn http_statuses_reach_grpc_clients() {
    let case = Case::new(Protocol::Grpc, Protocol::HttpProtobuf).await;
    for (status, code) in [
        (400, GrpcCode::InvalidArgument),
        (401, GrpcCode::Unauthenticated),
        (403, GrpcCode::PermissionDenied),
        (404, GrpcCode::Unimplemented),
        (408, GrpcCode::InvalidArgument),
        (413, GrpcCode::ResourceExhausted),
        (429, GrpcCode::Unavailable),
        (500, GrpcCode::Internal),
        (502, GrpcCode::Unavailable),
        (503, GrpcCode::Unavailable),
        (504, GrpcCode::Unavailable),
    ] {
        let heard = case.hears(Play::Http { status, retry_after: Some("4"), message: "no" }).await;
        let (code, message) = (Code::Grpc(code), "no".to_owned());
        let expected = if http_is_retryable(status) {
            Outcome::Retryable { code, retry_after: Some(Duration::from_secs(4)), message }
        } else {
            Outcome::Rejected { code, message }
        };
        assert_eq!(heard, expected, "{status}");
    }
}

#[tokio::test]
async fn a_partial_success_is_a_success_and_is_accounted() {
    for inward in BOTH {
        for outward in BOTH {
            let case = Case::new(inward, outward).await;
            case.environment.play(Play::Partial { rejected: 2, message: "too old" });
            let message = encode(&request(&[span(trace()), span(trace()), span(trace())]));
            let heard = export(&case.bench.client(inward), message).await;
            assert_eq!(heard, Outcome::Accepted { rejected_spans: 2, message: "too old".to_owned() });
            let heard = case.hears(Play::Partial { rejected: 0, message: "a warning" }).await;
            assert_eq!(heard, Outcome::Accepted { rejected_spans: 0, message: "a warning".to_owned() });
            assert_eq!(case.environment.seen().len(), 2, "never sent again");
            let row = case.bench.account(&blue());
            assert_eq!((row.received, row.delivered, row.rejected, row.queued), (4, 2, 2, 0));
        }
    }
}

#[tokio::test]
async fn every_answer_is_in_the_ledger() {
    let case = Case::new(Protocol::Grpc, Protocol::Grpc).await;
    case.hears(Play::Accept).await;
    case.hears(Play::Grpc { code: GrpcCode::Internal, retry: None, message: "" }).await;
    case.hears(Play::Grpc { code: GrpcCode::Unavailable, retry: None, message: "" }).await;
    case.hears(Play::Cut).await;
    let row = case.bench.account(&blue());
    assert_eq!(
        (row.received, row.delivered, row.rejected, row.returned, row.indeterminate, row.queued),
        (4, 1, 1, 1, 1, 0)
    );
    case.environment.kill().await;
    export(&case.bench.client(Protocol::Grpc), one_span()).await;
    let row = case.bench.account(&blue());
    assert_eq!((row.received, row.returned), (5, 2), "not a byte was sent: the client may send it again");
}

#[tokio::test]
async fn an_environment_that_is_away_is_unavailable() {
    for inward in BOTH {
        for outward in BOTH {
            let case = Case::new(inward, outward).await;
            case.environment.kill().await;
            let heard = export(&case.bench.client(inward), one_span()).await;
            let code = match inward {
                Protocol::Grpc => Code::Grpc(GrpcCode::Unavailable),
                Protocol::HttpProtobuf | Protocol::HttpJson => Code::Http(503),
            };
            assert!(matches!(&heard, Outcome::Retryable { code: got, .. } if *got == code), "{heard:?}");
            case.environment.revive();
            assert!(export(&case.bench.client(inward), one_span()).await.is_clean());
        }
    }
}

#[tokio::test]
async fn a_timeout_is_a_timeout_on_either_side() {
    for inward in BOTH {
        let (environment, green) = (Environment::grpc().await, Environment::grpc().await);
        let (mut config, state) = crate::support::config(&environment, &green, single());
        for environment in config.environments.values_mut() {
            environment.timeout = Duration::from_millis(300);
        }
        let bench = Bench::start((config, state)).await;
        let client = bench.client(inward);
        // Without a connection in time it would be unreachable.
        let connected = async { while !export(&client, one_span()).await.is_clean() {} };
        soon("a connection", connected).await;
        let doubtful = bench.account(&blue()).indeterminate;
        environment.play(Play::Hang);
        let heard = export(&client, one_span()).await;
        let code = match inward {
            Protocol::Grpc => Code::Grpc(GrpcCode::DeadlineExceeded),
            Protocol::HttpProtobuf | Protocol::HttpJson => Code::Http(504),
        };
        assert!(matches!(&heard, Outcome::Retryable { code: got, .. } if *got == code), "{heard:?}");
        let settled =
            |row: &crossfade_routing::sync::LedgerRow| row.indeterminate == doubtful + 1 && row.queued == 0;
        bench.account_is(&blue(), "one indeterminate span", settled).await;
    }
}

// Scenario: an impatient client's requests run into its own deadlines, many in a row.
// Guarantee: it hears so, and nobody else pays for it: neither the breaker nor the analysis takes it for a failure.
#[tokio::test]
async fn a_clients_own_deadline_is_kept_and_is_nobodys_failure() {
    let (blue_is, green_is) = (Environment::grpc().await, Environment::grpc().await);
    green_is.play(Play::Hang);
    let bench = Bench::new(&blue_is, &green_is, crate::support::promoted(true)).await;
    let address = bench.gateway.grpc_addr().unwrap();
    for _ in 0..30 {
        let message = one_span().bytes;
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = crate::support::Chunks::whole([&[0][..], &length, &message].concat());
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let reply = crate::support::grpc(address, path, &[("grpc-timeout", "5m")], body).await;
        // DEADLINE_EXCEEDED; or UNAVAILABLE if the time was over before there was a connection.
        assert!(["4", "14"].contains(&reply.header("grpc-status")), "{reply:?}");
    }
    assert!(!bench.status().fenced);
    assert!(bench.handle.metrics().contains("crossfade_requests_failed_total{environment=\"green\"} 0\n"));
}
