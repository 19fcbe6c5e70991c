//! What became of one export.

use std::time::Duration;

use super::code::Code;

/// The answer to one export request, sorted by what the sender has to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken. `rejected_spans` of them were refused for good (`partial_success`); never to be sent again.
    Accepted { rejected_spans: u64, message: String },
    /// Refused as a whole, for good.
    Rejected { code: Code, message: String },
    /// Refused for now. `retry_after` is the server's own wish, from RetryInfo or Retry-After.
    Retryable { code: Code, retry_after: Option<Duration>, message: String },
    /// No answer. Whether the spans were stored is known only where not a byte was sent ([`Silence::is_unsent`]): they were not.
    Unanswered { silence: Silence, detail: String },
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No connection; not a byte of the request was sent.
    Unreachable,
    /// The connection broke, or what came back was no answer.
    Broken,
    /// The deadline passed.
    TimedOut,
    /// [`Client::sever`](super::Client::sever) ended the lease before a byte of the request was sent. A request that was on
    /// its way ends as `Broken`.
    Severed,
}

impl Silence {
    /// Whether not a byte of the request was sent.
    pub fn is_unsent(self) -> bool {
        matches!(self, Silence::Unreachable | Silence::Severed)
    }
}

impl Outcome {
    /// Whether the same request may be sent again.
    pub fn may_retry(&self) -> bool {
        matches!(self, Outcome::Retryable { .. } | Outcome::Unanswered { .. })
    }

    /// Whether the request was taken without a single rejected span.
    pub fn is_clean(&self) -> bool {
        matches!(self, Outcome::Accepted { rejected_spans: 0, .. })
    }

    /// One line for a person: the code or the silence, and the message.
    pub fn describe(&self) -> String {
        match self {
            Outcome::Accepted { rejected_spans: 0, message } if message.is_empty() => "accepted".to_owned(),
            Outcome::Accepted { rejected_spans, message } => {
                format!("accepted, {rejected_spans} spans rejected: {message}")
            }
            Outcome::Rejected { code, message } => format!("refused for good, {code}: {message}"),
            Outcome::Retryable { code, message, .. } => format!("refused for now, {code}: {message}"),
            Outcome::Unanswered { detail, .. } => format!("no answer: {detail}"),
        }
    }
}

/// One export: its outcome, and the time from the call to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub outcome: Outcome,
    pub latency: Duration,
}
