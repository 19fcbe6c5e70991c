//! Reads traces back from a Jaeger. Written apart from Crossfade's own client, so that a test does not ask the program
//! under test what is true.

use super::record::{Attributes, Content, Event, SpanId, Status, TraceId};
use crate::rig::http;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The query API of one environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jaeger {
    pub(crate) port: u16,
}

const RAW: &str = "rawTraces=true&raw_traces=true";

/// More than any case sends of one service.
const MOST_TRACES: usize = 50_000;

/// A stored span; of a duplicate, whichever came last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) parent: SpanId,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) content: Content,
}

/// Every span of a trace that an environment holds; empty where it knows no such trace.
pub(crate) type Trace = BTreeMap<SpanId, Stored>;

impl Jaeger {
    /// Whether it answers.
    pub(crate) fn ready(self) -> bool {
        http::get(self.port, "/api/v3/services").is_ok_and(|answer| answer.status == 200)
    }

    /// One trace, as stored: Jaeger would adjust clocks, and some of its versions know the one word for that and some the other.
    pub(crate) fn trace(self, id: &TraceId) -> Result<Trace> {
        let answer = http::get(self.port, &format!("/api/v3/traces/{id}?{RAW}"))?;
        match answer.status {
            200 => {
                let found = parse(&answer.body).with_context(|| format!("the trace {id}"))?;
                Ok(found.into_values().next().unwrap_or_default())
            }
            404 => Ok(Trace::new()),
            status => bail!("Jaeger answered {status} for {id}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    /// Every trace with a span of a service.
    pub(crate) fn traces_of(self, service: &str) -> Result<BTreeMap<TraceId, Trace>> {
        let query = format!(
            "query.service_name={service}&query.start_time_min=2000-01-01T00:00:00Z\
             &query.start_time_max=2200-01-01T00:00:00Z&query.num_traces={MOST_TRACES}\
             &query.rawTraces=true&query.raw_traces=true"
        );
        let answer = http::get(self.port, &format!("/api/v3/traces?{query}"))?;
        let found = match answer.status {
            200 => parse(&answer.body).with_context(|| format!("the traces of {service}"))?,
            404 => BTreeMap::new(),
            status => bail!("Jaeger answered {status}: {}", String::from_utf8_lossy(&answer.body)),
        };
        ensure!(found.len() < MOST_TRACES, "{MOST_TRACES} traces of {service}, and perhaps more");
        Ok(found)
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

fn parse(body: &[u8]) -> Result<BTreeMap<TraceId, Trace>> {
    let answer: Answer = serde_json::from_slice(body)?;
    let mut traces: BTreeMap<TraceId, Trace> = BTreeMap::new();
    for ResourceSpans { resource, scope_spans } in answer.result.resource_spans {
        let resource = attributes(resource.attributes)?;
        for ScopeSpans { scope, spans } in scope_spans {
            for span in spans {
                let trace = traces.entry(span.trace_id.clone()).or_default();
                trace.insert(span.span_id.clone(), stored(span, &resource, &scope.name)?);
            }
        }
    }
    Ok(traces)
}

fn stored(span: SpanJson, resource: &Attributes, scope: &str) -> Result<Stored> {
    let event = |event: EventJson| {
        let attributes = attributes(event.attributes)?;
        Ok(Event { time: event.time_unix_nano, name: event.name, attributes })
    };
    let code = ["UNSET", "OK", "ERROR"].get(usize::from(span.status.code)).context("a status has a code")?;
    let content = Content {
        resource: resource.clone(),
        scope: scope.to_owned(),
        attributes: attributes(span.attributes)?,
        events: span.events.into_iter().map(event).collect::<Result<_>>()?,
        status: Status { code: (*code).to_owned(), message: span.status.message },
    };
    Ok(Stored {
        parent: span.parent_span_id,
        name: span.name,
        kind: kind(span.kind)?,
        start: span.start_time_unix_nano.parse()?,
        end: span.end_time_unix_nano.parse()?,
        content,
    })
}

/// But for Jaeger's own remarks.
fn attributes(pairs: Vec<Pair>) -> Result<Attributes> {
    let pairs = pairs.into_iter().filter(|pair| !pair.key.starts_with("@jaeger@"));
    pairs.map(|Pair { key, value }| Ok((key, plain(value)?))).collect()
}

/// A value as the clients write theirs: `{"intValue":"3"}` is 3.
fn plain(value: Map<String, Value>) -> Result<Value> {
    let (kind, value) = value.into_iter().next().context("an attribute has a value")?;
    Ok(match (&*kind, value) {
        ("stringValue" | "boolValue" | "doubleValue", value) => value,
        ("intValue", Value::String(text)) => text.parse::<i64>()?.into(),
        ("arrayValue", value) => {
            let array: Array = serde_json::from_value(value)?;
            Value::Array(array.values.into_iter().map(plain).collect::<Result<_>>()?)
        }
        (kind, value) => bail!("an attribute with the {kind} {value}"),
    })
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
    resource: Resource,
    #[serde(default)]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize, Default)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Pair>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    spans: Vec<SpanJson>,
}

#[derive(Deserialize, Default)]
struct Scope {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(default)]
    parent_span_id: SpanId,
    name: String,
    #[serde(default)]
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    #[serde(default)]
    attributes: Vec<Pair>,
    #[serde(default)]
    events: Vec<EventJson>,
    #[serde(default)]
    status: StatusJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventJson {
    time_unix_nano: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    attributes: Vec<Pair>,
}

#[derive(Deserialize, Default)]
struct StatusJson {
    #[serde(default)]
    code: u8,
    #[serde(default)]
    message: String,
}

/// A value is an object with one field, named for its type.
#[derive(Deserialize)]
struct Pair {
    key: String,
    value: Map<String, Value>,
}

#[derive(Deserialize)]
struct Array {
    #[serde(default)]
    values: Vec<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_span_by_span() {
        let body = br#"{"result":{"resourceSpans":[
            {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"e2e"},"spans":[
                {"traceId":"t","spanId":"a","name":"request","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"9",
                 "attributes":[{"key":"step","value":{"intValue":"3"}},
                    {"key":"@jaeger@warnings","value":{"arrayValue":{"values":[{"stringValue":"skew"}]}}},{"key":"ratio","value":{"doubleValue":0.5}},
                    {"key":"tags","value":{"arrayValue":{"values":[{"stringValue":"a"},{"boolValue":true}]}}}],
                 "events":[{"timeUnixNano":"5","name":"looked","attributes":[{"key":"found","value":{"intValue":"1"}}]}],
                 "status":{"code":2,"message":"refused"}}]}]},
            {"scopeSpans":[{"spans":[
                {"traceId":"t","spanId":"b","parentSpanId":"a","name":"step","kind":3,
                 "startTimeUnixNano":"2","endTimeUnixNano":"3","flags":256,"status":{}},
                {"traceId":"u","spanId":"a","name":"x","startTimeUnixNano":"2","endTimeUnixNano":"3"}]}]}]}}"#;
        let traces = parse(body).unwrap();
        let (trace, other) = (&traces["t"], &traces["u"]);
        assert_eq!((trace.len(), other.len()), (2, 1));
        let said = serde_json::from_str::<Content>(
            r#"{"resource":{"service.name":"shop"},"scope":"e2e","attributes":{"ratio":0.5,"step":3,"tags":["a",true]},
                "events":[{"time":"5","name":"looked","attributes":{"found":1}}],"status":{"code":"ERROR","message":"refused"}}"#,
        );
        assert_eq!(trace["a"].content, said.unwrap());
        assert_eq!(other["a"].content.status.code, "UNSET");
        assert_eq!((trace["a"].kind, &*trace["a"].parent), ("SERVER", ""));
        assert_eq!((trace["b"].kind, &*trace["b"].parent, trace["b"].end), ("CLIENT", "a", 3));
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(parse(br#"{"error":"x"}"#).is_err());
    }
}
