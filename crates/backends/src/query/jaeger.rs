//! Jaeger's HTTP query API, version 3: OTLP/JSON below `result`.
//!
//! Traces are asked for raw: without that Jaeger adjusts the clocks of spans. Version 3 cannot be asked for attributes, so the
//! older search, which can, names the traces, and version 3 gives them.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_gates::model::{Span, TraceId};

use super::endpoint::escape;
use super::http::Http;
use super::time::rfc3339;
use super::{Find, QueryError, Wanted, json};

#[derive(Clone, Debug)]
pub(crate) struct Jaeger {
    http: Http,
}

impl Jaeger {
    pub(crate) fn new(http: Http) -> Self {
        Self { http }
    }

    pub(crate) async fn trace(&self, id: TraceId) -> Result<Vec<Span>, QueryError> {
        // Jaeger 2.13 reads `raw_traces`, later ones `rawTraces`; each passes over the other.
        let path = format!("/api/v3/traces/{id}?rawTraces=true&raw_traces=true");
        Ok(self.http.get(&path, json::spans).await?.unwrap_or_default())
    }

    pub(crate) async fn services(&self) -> Result<Vec<String>, QueryError> {
        self.http.known("/api/v3/services", json::services).await
    }

    pub(crate) async fn operations(&self, service: &str) -> Result<Vec<String>, QueryError> {
        let path = format!("/api/v3/operations?service={}", escape(service));
        self.http.known(&path, json::operations).await
    }

    /// The spans of all traces that match service, operation and time.
    pub(crate) async fn find(&self, find: &Find) -> Result<Vec<Span>, QueryError> {
        let operation = find.operation.iter().map(|name| format!("&query.operation_name={}", escape(name)));
        let path = format!(
            "/api/v3/traces?query.service_name={}{}&query.start_time_min={}&query.start_time_max={}\
             &query.num_traces={}&query.rawTraces=true&query.raw_traces=true",
            escape(&find.service),
            operation.collect::<String>(),
            rfc3339(find.start_min),
            rfc3339(find.start_max),
            find.limit
        );
        // Jaeger says 404 when no trace matches.
        Ok(self.http.get(&path, json::spans).await?.unwrap_or_default())
    }

    /// By the older search, which counts in microseconds: the time asked for is a little wider.
    pub(crate) async fn find_ids(&self, find: &Find) -> Result<BTreeSet<TraceId>, QueryError> {
        let operation = find.operation.iter().map(|name| format!("&operation={}", escape(name)));
        let path = format!(
            "/api/traces?service={}{}&tags={}&start={}&end={}&limit={}",
            escape(&find.service),
            operation.collect::<String>(),
            escape(&tags(&find.attributes)),
            find.start_min / 1000,
            find.start_max.div_ceil(1000),
            find.limit
        );
        self.http.known(&path, json::legacy_ids).await
    }
}

/// The search compares texts, whatever type a value has in the store.
fn tags(attributes: &BTreeMap<String, Wanted>) -> String {
    let text = |wanted: &Wanted| match wanted {
        Wanted::String(s) => s.clone(),
        Wanted::Bool(b) => b.to_string(),
        Wanted::Int(i) => i.to_string(),
        // As JavaScript writes numbers, and so Jaeger.
        Wanted::Double(x) if *x != 0.0 && !(1e-6..1e21).contains(&x.abs()) => {
            let text = format!("{x:e}");
            if text.contains("e-") { text } else { text.replace('e', "e+") }
        }
        Wanted::Double(x) => x.to_string(),
    };
    let map: serde_json::Map<_, _> = attributes.iter().map(|(k, v)| (k.clone(), text(v).into())).collect();
    serde_json::Value::Object(map).to_string()
}
