//! What the client hears, on either transport.
//!
//! An environment's answer is passed on as exactly as the transports allow: the same code where both sides speak the
//! same one, and always on the same side of the line between what may be sent again and what may not. What the gateway
//! itself refuses follows the table in [`Refusal::codes`].

use std::time::Duration;

use crossfade_backends::otlp::{Code, GrpcCode, Outcome, Silence};

/// What becomes of a request, from its client's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A success. Zero rejected spans with a message is a warning.
    Accepted { rejected_spans: u64, message: String },
    /// A failure. Whether it may be sent again is in the code (and, for RESOURCE_EXHAUSTED, in `retry_after`).
    Failed { code: Code, retry_after: Option<Duration>, message: String },
}

/// Why the gateway itself refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The sender is to blame, and would be again.
    Unscannable(String),
    BadCompression(String),
    BadFraming(String),
    UnsupportedCoding(String),
    UnsupportedType(String),
    UnknownService(String),
    UnknownPath(String),
    WrongMethod(String),
    TooLarge(String),
    /// The network is to blame, we are, or nobody is; it may come again.
    TooSlow(String),
    NotReady(String),
    Overloaded(String),
}

const MESSAGE_CHARS_MAX: usize = 1024;

impl Refusal {
    pub(crate) const KINDS: [&'static str; 12] = [
        "unscannable",
        "bad_compression",
        "bad_framing",
        "unsupported_coding",
        "unsupported_type",
        "unknown_service",
        "unknown_path",
        "wrong_method",
        "too_large",
        "too_slow",
        "not_ready",
        "overloaded",
    ];

    /// Its place in [`Refusal::KINDS`].
    pub(crate) fn kind(&self) -> usize {
        match self {
            Refusal::Unscannable(_) => 0,
            Refusal::BadCompression(_) => 1,
            Refusal::BadFraming(_) => 2,
            Refusal::UnsupportedCoding(_) => 3,
            Refusal::UnsupportedType(_) => 4,
            Refusal::UnknownService(_) => 5,
            Refusal::UnknownPath(_) => 6,
            Refusal::WrongMethod(_) => 7,
            Refusal::TooLarge(_) => 8,
            Refusal::TooSlow(_) => 9,
            Refusal::NotReady(_) => 10,
            Refusal::Overloaded(_) => 11,
        }
    }

    /// gRPC code, HTTP status, and for how long a client should stay away before it comes again.
    fn codes(&self) -> (GrpcCode, u16, Option<Duration>) {
        const SOON: Option<Duration> = Some(Duration::from_secs(1));
        match self {
            Refusal::Unscannable(_) | Refusal::BadCompression(_) | Refusal::BadFraming(_) => {
                (GrpcCode::InvalidArgument, 400, None)
            }
            Refusal::UnsupportedCoding(_) | Refusal::UnsupportedType(_) => {
                (GrpcCode::Unimplemented, 415, None)
            }
            Refusal::UnknownService(_) | Refusal::UnknownPath(_) => (GrpcCode::Unimplemented, 404, None),
            Refusal::WrongMethod(_) => (GrpcCode::Unimplemented, 405, None),
            Refusal::TooLarge(_) => (GrpcCode::ResourceExhausted, 413, None),
            // Not 408: to OTLP's clients that is for good (only 429, 502, 503 and 504 may be sent again).
            Refusal::TooSlow(_) => (GrpcCode::DeadlineExceeded, 503, SOON),
            Refusal::NotReady(_) | Refusal::Overloaded(_) => (GrpcCode::Unavailable, 503, SOON),
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Refusal::Unscannable(text)
            | Refusal::BadCompression(text)
            | Refusal::BadFraming(text)
            | Refusal::UnsupportedCoding(text)
            | Refusal::UnsupportedType(text)
            | Refusal::UnknownService(text)
            | Refusal::UnknownPath(text)
            | Refusal::WrongMethod(text)
            | Refusal::TooLarge(text)
            | Refusal::TooSlow(text)
            | Refusal::NotReady(text)
            | Refusal::Overloaded(text) => text,
        }
    }

    pub(crate) fn over_grpc(self) -> Answer {
        let (code, _, retry_after) = self.codes();
        Answer::Failed { code: Code::Grpc(code), retry_after, message: self.clipped() }
    }

    pub(crate) fn over_http(self) -> Answer {
        let (_, status, retry_after) = self.codes();
        Answer::Failed { code: Code::Http(status), retry_after, message: self.clipped() }
    }

    /// What a client sent is repeated to it only so far.
    fn clipped(&self) -> String {
        self.message().chars().take(MESSAGE_CHARS_MAX).collect()
    }
}

impl Answer {
    pub(crate) const ACCEPTED: Answer = Answer::Accepted { rejected_spans: 0, message: String::new() };

    /// An environment's answer, passed on.
    pub(crate) fn from_outcome(outcome: Outcome) -> Answer {
        match outcome {
            Outcome::Accepted { rejected_spans, message } => Answer::Accepted { rejected_spans, message },
            Outcome::Rejected { code, message } => Answer::Failed { code, retry_after: None, message },
            Outcome::Retryable { code, retry_after, message } => {
                Answer::Failed { code, retry_after, message }
            }
            Outcome::Unanswered { silence, detail } => {
                let code = match silence {
                    Silence::TimedOut => GrpcCode::DeadlineExceeded,
                    Silence::Unreachable | Silence::Broken | Silence::Severed => GrpcCode::Unavailable,
                };
                Answer::Failed { code: Code::Grpc(code), retry_after: None, message: detail }
            }
        }
    }

    /// Whether the client may send the request again.
    pub(crate) fn may_retry(&self) -> bool {
        match self {
            Answer::Accepted { .. } => false,
            Answer::Failed { code: Code::Grpc(code), retry_after, .. } => {
                code.is_retryable(retry_after.is_some())
            }
            Answer::Failed { code: Code::Http(status), .. } => {
                crossfade_backends::otlp::http_is_retryable(*status)
            }
        }
    }

    /// One answer for a request that went to two sides in parts, with the number of spans in each.
    ///
    /// If a part may be sent again, the whole may: a duplicate is better than a loss. If one side refused its part for
    /// good and the other took its own, that is a partial success.
    pub(crate) fn both(one: (Answer, u64), other: (Answer, u64)) -> Answer {
        match (one, other) {
            ((retry, _), _) | (_, (retry, _)) if retry.may_retry() => retry,
            ((one @ Answer::Failed { .. }, _), (Answer::Failed { .. }, _)) => one,
            ((one, spans), (other, others)) => {
                let (rejected, message) = one.rejections(spans);
                let (more, reason) = other.rejections(others);
                let message =
                    [message, reason].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
                Answer::Accepted { rejected_spans: rejected + more, message: message.join("; ") }
            }
        }
    }

    fn rejections(self, spans: u64) -> (u64, String) {
        match self {
            Answer::Accepted { rejected_spans, message } => (rejected_spans, message),
            Answer::Failed { code, message, .. } => (spans, format!("{code}: {message}")),
        }
    }
}
