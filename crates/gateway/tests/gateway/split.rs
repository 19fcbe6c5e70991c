//! Protection `split`: each span only where the rule wants it; both sides are heard.

use std::time::Duration;

use crossfade_backends::otlp::{Code, GrpcCode, Message, Outcome, Protocol};
use crossfade_routing::Protection;

use crate::support::{
    BOTH, Bench, Environment, Play, Request, blue, candidate_trace, config, encode, export, green, ids,
    plain_trace, request, span, weight,
};

struct Setup {
    blue: Environment,
    green: Environment,
    bench: Bench,
    both: Request,
}

/// Three spans of which green owns two.
async fn setup() -> Setup {
    let schedule = weight("50");
    let (blue, green) = (Environment::grpc().await, Environment::grpc().await);
    let (mut config, state) = config(&blue, &green, schedule.clone());
    config.protection = Protection::Split;
    let bench = Bench::start((config, state)).await;
    let theirs = candidate_trace(&schedule);
    let both = request(&[span(theirs), span(plain_trace(&schedule)), span(theirs)]);
    Setup { blue, green, bench, both }
}

#[tokio::test]
async fn each_side_gets_only_its_own() {
    for inward in BOTH {
        for packed in [false, true] {
            let setup = setup().await;
            let plain = encode(&setup.both);
            let message = if packed { Message::gzip(&plain.bytes) } else { plain };
            assert!(export(&setup.bench.client(inward), message).await.is_clean());
            let (ours, theirs) = (setup.blue.stored(), setup.green.stored());
            assert_eq!((ids(&ours).len(), ids(&theirs).len()), (1, 2));
            let all: Vec<_> = ours.iter().chain(&theirs).cloned().collect();
            assert_eq!(ids(&all), ids([&setup.both]));
            assert_eq!(setup.bench.account(&blue()).delivered, 1);
            assert_eq!(setup.bench.account(&green()).delivered, 2);
            assert_eq!(
                setup.bench.account(&green()).queued,
                0,
                "nothing is queued: the client has heard both"
            );
        }
    }
}

#[tokio::test]
async fn the_worse_answer_wins_and_rejections_add_up() {
    let accept = || Play::Accept;
    let partial = |rejected| Play::Partial { rejected, message: "old" };
    let no = || Play::Grpc { code: GrpcCode::InvalidArgument, retry: None, message: "no" };
    let later =
        || Play::Grpc { code: GrpcCode::Unavailable, retry: Some(Duration::from_secs(1)), message: "later" };
    let accepted =
        |rejected_spans, message: &str| Outcome::Accepted { rejected_spans, message: message.to_owned() };
    let retry = Outcome::Retryable {
        code: Code::Grpc(GrpcCode::Unavailable),
        retry_after: Some(Duration::from_secs(1)),
        message: "later".to_owned(),
    };
    let refused = Outcome::Rejected { code: Code::Grpc(GrpcCode::InvalidArgument), message: "no".to_owned() };
    for (from, to, expected) in [
        (accept(), partial(1), accepted(1, "old")),
        (partial(1), partial(2), accepted(3, "old; old")),
        // A part that may be sent again makes the whole so: better twice than lost.
        (accept(), later(), retry.clone()),
        (later(), accept(), retry.clone()),
        (no(), later(), retry.clone()),
        (later(), no(), retry),
        // One side refused its part for good, the other took its own.
        (accept(), no(), accepted(2, "INVALID_ARGUMENT: no")),
        (no(), accept(), accepted(1, "INVALID_ARGUMENT: no")),
        (no(), no(), refused),
    ] {
        let setup = setup().await;
        let case = format!("{from:?} and {to:?}");
        setup.blue.play(from);
        setup.green.play(to);
        let heard = export(&setup.bench.client(Protocol::Grpc), encode(&setup.both)).await;
        assert_eq!(heard, expected, "{case}");
    }
}

#[tokio::test]
async fn a_side_without_spans_is_not_asked() {
    let schedule = weight("50");
    let setup = setup().await;
    let ours = request(&[span(plain_trace(&schedule))]);
    assert!(export(&setup.bench.client(Protocol::Grpc), encode(&ours)).await.is_clean());
    assert_eq!((setup.blue.seen().len(), setup.green.seen().len()), (1, 0));
    assert_eq!(setup.blue.seen()[0].bytes, encode(&ours).bytes, "whole, so the original bytes");
}
