//! Reading traces back, from whatever stores them: Jaeger or Tempo, by the same questions.
//!
//! What cannot be had is an error that names the URL; an unknown trace is `None`; a trace of which only a part can be read is
//! never taken for whole. Answers are bounded in size, and every call in time.
//!
//! | module | holds |
//! |---|---|
//! | `jaeger` | Jaeger's HTTP query API, version 3, and its older search |
//! | `tempo` | Tempo's HTTP API, with searches in TraceQL |
//! | `endpoint` | [`QueryEndpoint`] |
//! | `error` | [`QueryError`] |
//! | `http` | one request, one bounded answer, over HTTP/1.1 |
//! | `json` | OTLP/JSON to spans |
//! | `time` | nanoseconds to RFC 3339 |

mod endpoint;
mod error;
pub(crate) mod http;
mod jaeger;
mod json;
mod tempo;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ::http::HeaderMap;
use crossfade_gates::model::{AttributeValue, Span, TraceId};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub use self::endpoint::{QueryEndpoint, QueryEndpointError};
pub use self::error::QueryError;
use self::http::Http;
use self::jaeger::Jaeger;
use self::tempo::Tempo;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// Jaeger 2.
    Jaeger,
    /// Tempo 2.7 or later.
    Tempo,
}

impl QueryKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Jaeger, Self::Tempo];

    /// As it is written in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jaeger => "jaeger",
            Self::Tempo => "tempo",
        }
    }

    /// All of them, as a message names them: `jaeger or tempo`.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(" or ")
    }

    /// As its makers write it.
    pub const fn product(self) -> &'static str {
        match self {
            Self::Jaeger => "Jaeger",
            Self::Tempo => "Tempo",
        }
    }

    /// Where it listens unless told otherwise.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Jaeger => 16686,
            Self::Tempo => 3200,
        }
    }
}

impl fmt::Display for QueryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind `{0}`: use {names}", names = QueryKind::names())]
pub struct UnknownKind(String);

impl FromStr for QueryKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// Whom to ask, and how patiently.
#[derive(Clone, Debug)]
pub struct QueryConfig {
    /// What answers there.
    pub kind: QueryKind,
    /// The query service's address, base path included.
    pub endpoint: QueryEndpoint,
    /// Sent with every request, such as `X-Scope-OrgID`, Tempo's tenant.
    pub headers: HeaderMap,
    /// For one call, from the connection to the last byte.
    pub timeout: Duration,
    /// The longest answer that is read.
    pub response_bytes_max: usize,
    /// How far back [`Query::services`] and [`Query::operations`] look, where the store asks: Tempo does, Jaeger does not.
    pub look_back: Duration,
}

impl QueryConfig {
    /// Without headers; 10 s for a call, 64 MiB for an answer, a day back.
    pub fn new(kind: QueryKind, endpoint: QueryEndpoint) -> Self {
        Self {
            kind,
            endpoint,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            response_bytes_max: 64 << 20,
            look_back: Duration::from_secs(24 * 3600),
        }
    }
}

/// An attribute's value that can be searched for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Text.
    String(String),
    /// Truth.
    Bool(bool),
    /// A signed 64-bit number.
    Int(i64),
    /// A double.
    Double(f64),
}

impl Wanted {
    /// `None` for what no store can be asked for: lists, maps, bytes, nothing, and doubles that are no number.
    pub fn of(value: &AttributeValue) -> Option<Self> {
        match value {
            AttributeValue::String(s) => Some(Self::String(s.clone())),
            AttributeValue::Bool(b) => Some(Self::Bool(*b)),
            AttributeValue::Int(i) => Some(Self::Int(*i)),
            AttributeValue::Double(x) if x.is_finite() => Some(Self::Double(*x)),
            _ => None,
        }
    }
}

impl From<&str> for Wanted {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

/// Which traces to look for: those with one span that has all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// Of which service.
    pub service: String,
    /// The span's name; any, if `None`.
    pub operation: Option<String>,
    /// Attributes of the span or its resource, by key.
    pub attributes: BTreeMap<String, Wanted>,
    /// Begun at or after, in nanoseconds since 1970. Tempo counts in seconds, and takes the trace's whole time: what it finds
    /// may have begun a little outside.
    pub start_min: u64,
    /// Begun before.
    pub start_max: u64,
    /// How many at most. Which ones, if there are more, is the store's choice.
    pub limit: u32,
}

impl Find {
    /// Traces of a service that began within a time; 100 at most.
    pub fn new(service: &str, start_min: u64, start_max: u64) -> Self {
        Self {
            service: service.to_owned(),
            operation: None,
            attributes: BTreeMap::new(),
            start_min,
            start_max,
            limit: 100,
        }
    }
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Traces that match, each with all of its spans.
    pub traces: BTreeMap<TraceId, Vec<Span>>,
    /// Traces that match, of which the store gives only a part: nothing can be said of them.
    pub partial: BTreeSet<TraceId>,
}

/// A client of one store. Cheap to clone; clones share their connections, and put at most 16 questions at once.
#[derive(Clone, Debug)]
pub struct Query {
    http: Http,
    api: Api,
}

#[derive(Clone, Debug)]
enum Api {
    Jaeger(Jaeger),
    Tempo(Tempo),
}

impl Query {
    /// A client without a connection; the first call opens one.
    pub fn new(config: QueryConfig) -> Self {
        let (kind, look_back) = (config.kind, config.look_back);
        let http = Http::new(config);
        let api = match kind {
            QueryKind::Jaeger => Api::Jaeger(Jaeger::new(http.clone())),
            QueryKind::Tempo => Api::Tempo(Tempo::new(http.clone(), look_back)),
        };
        Self { http, api }
    }

    /// The same client, for which a call takes no longer than this.
    #[must_use]
    pub fn at_most(&self, timeout: Duration) -> Self {
        let config = self.http.config();
        Self::new(QueryConfig { timeout: timeout.min(config.timeout), ..config.clone() })
    }

    /// What answers.
    pub fn kind(&self) -> QueryKind {
        self.http.kind()
    }

    /// The address.
    pub fn endpoint(&self) -> &QueryEndpoint {
        self.http.endpoint()
    }

    /// All that is stored of a trace; `None` if nothing is.
    ///
    /// # Errors
    /// [`QueryError::Partial`] where there is more than the store gives.
    pub async fn trace(&self, id: TraceId) -> Result<Option<Vec<Span>>, QueryError> {
        let spans = match &self.api {
            Api::Jaeger(jaeger) => jaeger.trace(id).await?,
            Api::Tempo(tempo) => tempo.trace(id).await?,
        };
        let spans: Vec<Span> = spans.into_iter().filter(|s| s.trace_id == id).collect();
        Ok((!spans.is_empty()).then_some(spans))
    }

    /// The names of all services that have spans, sorted.
    pub async fn services(&self) -> Result<Vec<String>, QueryError> {
        let names = match &self.api {
            Api::Jaeger(jaeger) => jaeger.services().await?,
            Api::Tempo(tempo) => tempo.services().await?,
        };
        Ok(sorted(names))
    }

    /// The same, and of those that had spans at a time (nanoseconds since 1970), which a Tempo lists only if it is asked for that time.
    pub async fn services_of(&self, from: u64, until: u64) -> Result<Vec<String>, QueryError> {
        let mut names = self.services().await?;
        if let Api::Tempo(tempo) = &self.api {
            names.extend(tempo.services_between(from, until).await?);
        }
        Ok(sorted(names))
    }

    /// The names of a service's spans, sorted.
    pub async fn operations(&self, service: &str) -> Result<Vec<String>, QueryError> {
        let names = match &self.api {
            Api::Jaeger(jaeger) => jaeger.operations(service).await?,
            Api::Tempo(tempo) => tempo.operations(service).await?,
        };
        Ok(sorted(names))
    }

    /// Traces that match, read whole.
    pub async fn find(&self, find: &Find) -> Result<Found, QueryError> {
        match &self.api {
            Api::Jaeger(jaeger) if find.attributes.is_empty() => {
                let mut found = Found::default();
                for span in jaeger.find(find).await? {
                    found.traces.entry(span.trace_id).or_default().push(span);
                }
                Ok(found)
            }
            _ => self.read(self.find_ids(find).await?).await,
        }
    }

    /// Ids of traces that match: what the store's index says, without reading the traces.
    pub async fn find_ids(&self, find: &Find) -> Result<BTreeSet<TraceId>, QueryError> {
        match &self.api {
            Api::Jaeger(jaeger) => jaeger.find_ids(find).await,
            Api::Tempo(tempo) => tempo.find_ids(find).await,
        }
    }

    /// Ids of traces that match, each with when it began, where that can be known: by what a search says, or gives.
    pub(crate) async fn find_begun(&self, find: &Find) -> Result<BTreeMap<TraceId, Option<u64>>, QueryError> {
        match &self.api {
            // Jaeger reads whole traces to answer, whatever it is asked.
            Api::Jaeger(_) => {
                let found = self.find(find).await?.traces;
                Ok(found.into_iter().map(|(id, spans)| (id, begin(&spans))).collect())
            }
            Api::Tempo(tempo) => tempo.find_begun(find).await,
        }
    }

    /// Reads traces side by side. One that is not there any more is left out.
    async fn read(&self, ids: BTreeSet<TraceId>) -> Result<Found, QueryError> {
        let mut reading = JoinSet::new();
        for id in ids {
            let query = self.clone();
            reading.spawn(async move { (id, query.trace(id).await) });
        }
        let mut found = Found::default();
        while let Some(read) = reading.join_next().await {
            match read.expect("reading a trace does not panic, and nobody aborts it") {
                (id, Ok(Some(spans))) => drop(found.traces.insert(id, spans)),
                (_, Ok(None)) => {}
                (id, Err(QueryError::Partial { .. })) => drop(found.partial.insert(id)),
                (_, Err(error)) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Whether it answers, is ready, and is what it should be. How many services it knows.
    pub async fn reach(&self) -> Result<usize, QueryError> {
        if let Api::Tempo(tempo) = &self.api {
            tempo.ready().await?;
        }
        Ok(self.services().await?.len())
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
                    QueryError::TimedOut { url: self.endpoint().to_string(), after: begun.elapsed() };
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
}

/// All spans of OTLP/JSON, as files hold it: `{"resourceSpans":[…]}`, once or one a line.
///
/// # Errors
/// In words: it is something else.
pub fn spans_of_json(bytes: &[u8]) -> Result<Vec<Span>, String> {
    json::file_spans(bytes).map_err(|error| error.to_string())
}

/// When a trace began: its earliest start that is one.
pub(crate) fn begin(spans: &[Span]) -> Option<u64> {
    spans.iter().map(|s| s.start).filter(|start| *start != 0).min()
}

fn sorted(names: Vec<String>) -> Vec<String> {
    BTreeSet::from_iter(names).into_iter().collect()
}
