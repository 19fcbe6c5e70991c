//! Reading traces back from Jaeger: its HTTP query API, version 3.
//!
//! `GET /api/v3/traces/{id}`, `/api/v3/traces?query.…`, `/api/v3/services` answer with OTLP/JSON below `result`. Traces are asked
//! for raw: without that Jaeger adjusts the clocks of spans. What cannot be had is an error; an unknown trace is `None`.
//! Answers are bounded in size, and every call in time.
//!
//! | module | holds |
//! |---|---|
//! | `endpoint` | [`QueryEndpoint`] |
//! | `http` | one request, one bounded answer, over HTTP/1.1 |
//! | `json` | answers to spans |
//! | `time` | nanoseconds to RFC 3339 |

mod endpoint;
mod http;
mod json;
mod time;

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::HeaderMap;
use crossfade_gates::model::{Span, TraceId};
use tokio::time::{Instant, timeout_at};

pub use self::endpoint::{QueryEndpoint, QueryEndpointError};
use self::http::{Answer, Http};

/// Where to ask, and how patiently.
#[derive(Clone, Debug)]
pub struct JaegerConfig {
    /// The query service's address, base path included.
    pub endpoint: QueryEndpoint,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// For one call, from the connection to the last byte.
    pub timeout: Duration,
    /// The longest answer that is read.
    pub response_bytes_max: usize,
}

impl JaegerConfig {
    /// Without headers; 10 s for a call, 64 MiB for an answer.
    pub fn new(endpoint: QueryEndpoint) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            response_bytes_max: 64 << 20,
        }
    }
}

/// A client of one Jaeger. Cheap to clone; clones share their connections, and put at most 16 questions at once.
#[derive(Clone, Debug)]
pub struct Jaeger {
    http: Http,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No connection, or it broke.
    #[error("{endpoint} cannot be reached: {detail}")]
    Unreachable {
        /// Whom.
        endpoint: String,
        /// Why.
        detail: String,
    },
    /// The time is up.
    #[error("{endpoint} has not answered within {after:?}")]
    TimedOut {
        /// Who.
        endpoint: String,
        /// After how long.
        after: Duration,
    },
    /// An answer that says no.
    #[error("{endpoint} refuses with status {status}: {message}")]
    Refused {
        /// Who.
        endpoint: String,
        /// HTTP's status.
        status: u16,
        /// Its words, cut short.
        message: String,
    },
    /// An answer longer than allowed.
    #[error("{endpoint} answers with more than {limit} bytes; ask for less, or raise the limit")]
    TooLarge {
        /// Who.
        endpoint: String,
        /// How much is read.
        limit: usize,
    },
    /// An answer that is not Jaeger's.
    #[error(
        "{endpoint} answers with something that is not a Jaeger answer: {detail}; check the address and base path"
    )]
    Malformed {
        /// Who.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl QueryError {
    /// Whether somebody answered.
    pub fn answered(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether asking again may help.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500..=599),
            Self::TooLarge { .. } | Self::Malformed { .. } => false,
        }
    }
}

/// Which traces to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// Of which service.
    pub service: String,
    /// Begun at or after, in nanoseconds since 1970.
    pub start_min: u64,
    /// Begun before.
    pub start_max: u64,
    /// How many at most.
    pub limit: u32,
}

impl Jaeger {
    /// A client without a connection; the first call opens one.
    pub fn new(config: JaegerConfig) -> Self {
        Self { http: Http::new(config) }
    }

    /// The address.
    pub fn endpoint(&self) -> &QueryEndpoint {
        self.http.endpoint()
    }

    /// All that is stored of a trace; `None` if nothing is.
    pub async fn trace(&self, id: TraceId) -> Result<Option<Vec<Span>>, QueryError> {
        // Jaeger 2.13 reads `raw_traces`, later ones `rawTraces`; each passes over the other.
        let path = format!("/api/v3/traces/{id}?rawTraces=true&raw_traces=true");
        match self.http.get(&path).await? {
            Answer::NotFound => Ok(None),
            Answer::Body(body) => {
                let spans: Vec<Span> = self.spans(&body)?.into_iter().filter(|s| s.trace_id == id).collect();
                Ok((!spans.is_empty()).then_some(spans))
            }
        }
    }

    /// The names of all services that have spans.
    pub async fn services(&self) -> Result<Vec<String>, QueryError> {
        match self.http.get("/api/v3/services").await? {
            Answer::NotFound => Err(self.http.malformed("no /api/v3/services below this address")),
            Answer::Body(body) => json::services(&body).map_err(|e| self.http.malformed(e)),
        }
    }

    /// Traces that match, each with all of its spans.
    pub async fn find(&self, find: &Find) -> Result<BTreeMap<TraceId, Vec<Span>>, QueryError> {
        let path = format!(
            "/api/v3/traces?query.service_name={}&query.start_time_min={}&query.start_time_max={}&query.num_traces={}\
             &query.rawTraces=true&query.raw_traces=true",
            endpoint::escape(&find.service),
            time::rfc3339(find.start_min),
            time::rfc3339(find.start_max),
            find.limit
        );
        let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
        // Jaeger says 404 when no trace matches.
        if let Answer::Body(body) = self.http.get(&path).await? {
            for span in self.spans(&body)? {
                traces.entry(span.trace_id).or_default().push(span);
            }
        }
        Ok(traces)
    }

    /// Whether it answers, and is a Jaeger.
    pub async fn reach(&self) -> Result<(), QueryError> {
        self.services().await.map(drop)
    }

    /// Asks for a trace again and again until `enough` says so of what is stored, or until `deadline`; gives what was there
    /// last. The pauses grow from 20 ms to 2 s. Errors that may pass are asked over; at the deadline the last one is the
    /// answer.
    pub async fn trace_when(
        &self,
        id: TraceId,
        deadline: Instant,
        mut enough: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, QueryError> {
        let begun = Instant::now();
        // One question is always put, and has its own time; nothing waits longer than that or the deadline.
        let until = deadline.max(begun + self.http.timeout());
        let mut pause = Duration::from_millis(20);
        let mut last = None;
        loop {
            let Ok(seen) = timeout_at(until, self.trace(id)).await else {
                let silence =
                    QueryError::TimedOut { endpoint: self.endpoint().to_string(), after: begun.elapsed() };
                return last.unwrap_or(Err(silence));
            };
            let seen = seen.map(Option::unwrap_or_default);
            let done = match &seen {
                Ok(spans) => !spans.is_empty() && enough(spans),
                Err(error) => !error.may_retry(),
            };
            if done || Instant::now() + pause > deadline {
                return seen;
            }
            last = Some(seen);
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(2));
        }
    }

    fn spans(&self, body: &[u8]) -> Result<Vec<Span>, QueryError> {
        json::spans(body).map_err(|e| self.http.malformed(e))
    }
}
