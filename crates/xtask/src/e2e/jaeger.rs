//! Reads traces back from a Jaeger. Written apart from Crossfade's own client, so that a test does not ask the program
//! under test what is true.

use super::record::{SpanId, TraceId};
use crate::rig::http;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The query API of one environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jaeger {
    pub(crate) port: u16,
}

/// A stored span; of a duplicate, whichever came last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) parent: SpanId,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Every span of a trace that an environment holds; empty where it knows no such trace.
pub(crate) type Trace = BTreeMap<SpanId, Stored>;

impl Jaeger {
    /// Whether it answers.
    pub(crate) fn ready(self) -> bool {
        http::get(self.port, "/api/v3/services").is_ok_and(|answer| answer.status == 200)
    }

    /// One trace, as stored: `rawTraces` keeps Jaeger from adjusting clocks.
    pub(crate) fn trace(self, id: &TraceId) -> Result<Trace> {
        let answer = http::get(self.port, &format!("/api/v3/traces/{id}?rawTraces=true"))?;
        match answer.status {
            200 => parse(&answer.body).with_context(|| format!("the trace {id}")),
            404 => Ok(Trace::new()),
            status => bail!("Jaeger answered {status} for {id}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    /// The services that it knows.
    pub(crate) fn services(self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Services {
            services: Vec<String>,
        }
        let answer = http::get(self.port, "/api/v3/services")?;
        Ok(serde_json::from_slice::<Services>(&answer.body).context("the list of services")?.services)
    }
}

fn parse(body: &[u8]) -> Result<Trace> {
    let answer: Answer = serde_json::from_slice(body)?;
    let scopes = answer.result.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let mut trace = Trace::new();
    for span in scopes.flat_map(|scope| scope.spans) {
        let stored = Stored {
            parent: span.parent_span_id,
            name: span.name,
            kind: kind(span.kind)?,
            start: span.start_time_unix_nano.parse()?,
            end: span.end_time_unix_nano.parse()?,
        };
        trace.insert(span.span_id, stored);
    }
    Ok(trace)
}

fn kind(number: u8) -> Result<&'static str> {
    let names = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    names.get(usize::from(number)).copied().with_context(|| format!("a span of kind {number}"))
}

#[derive(Deserialize)]
struct Answer {
    result: TracesData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TracesData {
    #[serde(default)]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    #[serde(default)]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<SpanJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson {
    span_id: SpanId,
    #[serde(default)]
    parent_span_id: SpanId,
    name: String,
    #[serde(default)]
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_span_by_span() {
        let body = br#"{"result":{"resourceSpans":[
            {"resource":{},"scopeSpans":[{"scope":{"name":"e2e"},"spans":[
                {"traceId":"t","spanId":"a","name":"request","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"9"}]}]},
            {"scopeSpans":[{"spans":[
                {"traceId":"t","spanId":"b","parentSpanId":"a","name":"step","kind":3,
                 "startTimeUnixNano":"2","endTimeUnixNano":"3","flags":256,"status":{}}]}]}]}}"#;
        let trace = parse(body).unwrap();
        assert_eq!(trace.len(), 2);
        assert_eq!((trace["a"].kind, &*trace["a"].parent), ("SERVER", ""));
        assert_eq!((trace["b"].kind, &*trace["b"].parent, trace["b"].end), ("CLIENT", "a", 3));
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(parse(br#"{"error":"x"}"#).is_err());
    }
}
