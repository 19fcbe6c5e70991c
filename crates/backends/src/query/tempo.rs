//! Tempo's HTTP API: OTLP/JSON below `trace`, with a status that says whether that is all; searches in TraceQL.
//!
//! Tempo looks only at what it has not yet written to its storage unless it is told a time, so every search tells one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use crossfade_gates::model::{Span, TraceId};

use super::endpoint::escape;
use super::http::Http;
use super::json::{self, TempoTrace};
use super::{Find, QueryError, Wanted};
use crate::clock;

const NANOS: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Tempo {
    http: Http,
    look_back: Duration,
}

impl Tempo {
    pub(crate) fn new(http: Http, look_back: Duration) -> Self {
        Self { http, look_back }
    }

    pub(crate) async fn trace(&self, id: TraceId) -> Result<Vec<Span>, QueryError> {
        let path = format!("/api/v2/traces/{id}");
        match self.http.get(&path, json::tempo_trace).await? {
            None => Ok(Vec::new()),
            Some(TempoTrace::Complete(spans)) => Ok(spans),
            Some(TempoTrace::Partial(message)) => {
                Err(QueryError::Partial { url: self.http.url(&path), message })
            }
        }
    }

    pub(crate) async fn services(&self) -> Result<Vec<String>, QueryError> {
        self.values("resource.service.name", "").await
    }

    pub(crate) async fn services_between(&self, from: u64, until: u64) -> Result<Vec<String>, QueryError> {
        self.values_between("resource.service.name", "", from / NANOS, until.div_ceil(NANOS)).await
    }

    pub(crate) async fn operations(&self, service: &str) -> Result<Vec<String>, QueryError> {
        let query = format!("{{ resource.service.name = {} }}", quoted(service));
        self.values("name", &format!("q={}&", escape(&query))).await
    }

    pub(crate) async fn find_ids(&self, find: &Find) -> Result<BTreeSet<TraceId>, QueryError> {
        Ok(self.find_begun(find).await?.into_keys().collect())
    }

    /// The same, each with when it began, if that is said.
    pub(crate) async fn find_begun(&self, find: &Find) -> Result<BTreeMap<TraceId, Option<u64>>, QueryError> {
        let path = format!(
            "/api/search?q={}&start={}&end={}&limit={}&spss=1",
            escape(&traceql(find)),
            find.start_min / NANOS,
            find.start_max.div_ceil(NANOS),
            find.limit
        );
        self.http.known(&path, json::tempo_found).await
    }

    /// Whether it says that it is ready. A gateway in front of it need not pass on this question.
    pub(crate) async fn ready(&self) -> Result<(), QueryError> {
        self.http.get("/ready", |_| Ok(())).await.map(drop)
    }

    async fn values(&self, tag: &str, filter: &str) -> Result<Vec<String>, QueryError> {
        let now = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A host whose clock is ahead has spans too.
        self.values_between(tag, filter, now.saturating_sub(self.look_back.as_secs()), now + 3600).await
    }

    /// Of a time in seconds since 1970.
    async fn values_between(
        &self,
        tag: &str,
        filter: &str,
        start: u64,
        end: u64,
    ) -> Result<Vec<String>, QueryError> {
        let path = format!("/api/v2/search/tag/{tag}/values?{filter}start={start}&end={end}");
        self.http.known(&path, json::tempo_values).await
    }
}

/// One span that has it all.
fn traceql(find: &Find) -> String {
    let mut terms = vec![format!("resource.service.name = {}", quoted(&find.service))];
    terms.extend(find.operation.iter().map(|name| format!("name = {}", quoted(name))));
    // Without a scope: of the span or its resource.
    terms.extend(
        find.attributes.iter().map(|(key, wanted)| format!(".{} = {}", key_of(key), literal(wanted))),
    );
    format!("{{ {} }}", terms.join(" && "))
}

fn literal(wanted: &Wanted) -> String {
    match wanted {
        Wanted::String(s) => quoted(s),
        Wanted::Bool(b) => b.to_string(),
        // The sign is read after the digits, which are one too many.
        Wanted::Int(i64::MIN) => format!("({} - 1)", i64::MIN + 1),
        Wanted::Int(i) => i.to_string(),
        // TraceQL knows no exponents.
        Wanted::Double(x) if x.fract() == 0.0 => format!("{x:.1}"),
        Wanted::Double(x) => format!("{x}"),
    }
}

/// Go's escapes, of which JSON's are a part.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Within the quotes of a key, only these two have to be escaped, and nothing else may be.
fn key_of(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}
