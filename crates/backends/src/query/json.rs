//! Answers to spans and names: OTLP/JSON (OTLP 1.11, "JSON Protobuf Encoding") in Jaeger's and Tempo's wrappers.
//!
//! 64-bit numbers come as strings or as numbers, ids in hex (either case) or, from some versions, in base64, enums as
//! numbers or names; fields that are not known are passed over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossfade_gates::model::{
    AttributeValue, Attributes, Event, Kind, Link, Span, SpanId, StatusCode, TraceId,
};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    // Not in the library's words: they quote what they found, and that may be a span's value.
    #[error("not its JSON: {what} at line {line}, column {column}")]
    Json { what: &'static str, line: usize, column: usize },
    #[error("an error in the middle: {0}")]
    Midway(String),
    #[error("no `{0}` in it")]
    Missing(&'static str),
    #[error("`{0}` is not an id")]
    Id(String),
    #[error("values are nested too deeply")]
    Depth,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> JsonError {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "a value of another type or form",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "a syntax error",
        };
        JsonError::Json { what, line: error.line(), column: error.column() }
    }
}

/// One chunk of a streamed answer; small answers are one chunk.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    result: Option<Traces<'a>>,
    #[serde(borrow)]
    resource_spans: Option<Vec<ResourceSpans<'a>>>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Traces<'a> {
    // Tempo's name for it before 2.8.
    #[serde(borrow, default, alias = "batches")]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileTraces<'a> {
    #[serde(borrow)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    resource: Resource<'a>,
    #[serde(borrow, default)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Default, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    scope: Scope<'a>,
    #[serde(borrow, default)]
    spans: Vec<SpanJson<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scope<'a> {
    name: String,
    version: String,
    #[serde(borrow)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_span_id: Cow<'a, str>,
    #[serde(default)]
    trace_state: String,
    #[serde(default)]
    flags: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: Enum,
    #[serde(default)]
    start_time_unix_nano: Number,
    #[serde(default)]
    end_time_unix_nano: Number,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(borrow, default)]
    events: Vec<EventJson<'a>>,
    #[serde(borrow, default)]
    links: Vec<LinkJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    #[serde(default)]
    time_unix_nano: Number,
    #[serde(default)]
    name: String,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkJson<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(default)]
    trace_state: String,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Enum,
    message: String,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(default)]
    value: Option<AnyValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Signed>,
    double_value: Option<Double>,
    bytes_value: Option<String>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
}

#[derive(Deserialize)]
struct ArrayValue {
    #[serde(default)]
    values: Vec<AnyValue>,
}

#[derive(Deserialize)]
struct KeyValueList {
    #[serde(default)]
    values: Vec<OwnedKeyValue>,
}

#[derive(Deserialize)]
struct OwnedKeyValue {
    key: String,
    #[serde(default)]
    value: Option<AnyValue>,
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    services: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Operations {
    #[serde(default)]
    operations: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// The older search of Jaeger; of a trace, only its id is of use.
#[derive(Deserialize)]
struct LegacyAnswer {
    data: Option<Vec<LegacyTrace>>,
    errors: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct LegacyTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
    /// Tempo says it, Jaeger does not.
    #[serde(default, rename = "startTimeUnixNano")]
    start: Number,
}

#[derive(Deserialize)]
struct TempoAnswer<'a> {
    #[serde(borrow)]
    trace: Option<Traces<'a>>,
    /// Left out for COMPLETE, which is zero.
    status: Option<serde_json::Value>,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct TempoSearch {
    #[serde(default)]
    traces: Vec<LegacyTrace>,
    /// Always there, and in nothing else.
    #[serde(rename = "metrics")]
    _metrics: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagValues {
    #[serde(default)]
    tag_values: Vec<TagValue>,
    #[serde(rename = "metrics")]
    _metrics: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
struct TagValue {
    value: String,
}

/// Tempo's answer to a question for a trace.
pub(crate) enum TempoTrace {
    Complete(Vec<Span>),
    /// In its words, why there is more than it gives.
    Partial(String),
}

/// In JSON of protobuf, null stands for the default ("ProtoJSON", null).
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A 64-bit number, as a string or a number.
#[derive(Default)]
struct Number(u64);
struct Signed(i64);
/// A double; `NaN` and the infinities come as strings.
struct Double(f64);
/// An enum, as its number or its name.
#[derive(Default)]
struct Enum(i32);

/// The services of an answer.
pub(crate) fn services(body: &[u8]) -> Result<Vec<String>, JsonError> {
    let read: Services = serde_json::from_slice(body)?;
    Ok(read.services.unwrap_or_default())
}

/// The names of Jaeger's operations, which come once for each kind.
pub(crate) fn operations(body: &[u8]) -> Result<Vec<String>, JsonError> {
    let read: Operations = serde_json::from_slice(body)?;
    Ok(read.operations.unwrap_or_default().into_iter().map(|operation| operation.name).collect())
}

/// The ids of an answer of Jaeger's older search.
pub(crate) fn legacy_ids(body: &[u8]) -> Result<BTreeSet<TraceId>, JsonError> {
    let read: LegacyAnswer = serde_json::from_slice(body)?;
    if let Some(error) = read.errors.unwrap_or_default().first() {
        return Err(JsonError::Midway(cut(&error.to_string())));
    }
    read.data.ok_or(JsonError::Missing("data"))?.iter().map(|trace| short_id(&trace.trace_id)).collect()
}

/// A trace as Tempo gives it, with its word whether that is all.
pub(crate) fn tempo_trace(body: &[u8]) -> Result<TempoTrace, JsonError> {
    let read: TempoAnswer<'_> = serde_json::from_slice(body)?;
    let status = read.status.unwrap_or_default();
    if !(status.is_null() || status == "COMPLETE" || status == 0) {
        return Ok(TempoTrace::Partial(cut(&format!(
            "{}: {}",
            status.as_str().unwrap_or("?"),
            read.message
        ))));
    }
    let mut out = Vec::new();
    for resource_spans in read.trace.ok_or(JsonError::Missing("trace"))?.resource_spans {
        resource(resource_spans, &mut out)?;
    }
    Ok(TempoTrace::Complete(out))
}

/// What an answer of Tempo's search has: ids, and when each trace began, if that is said.
pub(crate) fn tempo_found(body: &[u8]) -> Result<BTreeMap<TraceId, Option<u64>>, JsonError> {
    let read: TempoSearch = serde_json::from_slice(body)?;
    let begun = |trace: &LegacyTrace| Some(trace.start.0).filter(|start| *start != 0);
    read.traces.iter().map(|trace| Ok((short_id(&trace.trace_id)?, begun(trace)))).collect()
}

/// The values of a tag in Tempo.
pub(crate) fn tempo_values(body: &[u8]) -> Result<Vec<String>, JsonError> {
    let read: TagValues = serde_json::from_slice(body)?;
    Ok(read.tag_values.into_iter().map(|tag| tag.value).collect())
}

/// How much of a server's words is kept.
const WORDS_MAX: usize = 300;

fn cut(text: &str) -> String {
    text.chars().take(WORDS_MAX).collect()
}

/// An id in hex, without the zeros that it begins with.
fn short_id(text: &str) -> Result<TraceId, JsonError> {
    trace_id(&format!("{text:0>32}"))
}

/// All spans of a file of OTLP/JSON. An object without spans' fields is something else.
pub(crate) fn file_spans(bytes: &[u8]) -> Result<Vec<Span>, JsonError> {
    let mut out = Vec::new();
    for traces in serde_json::Deserializer::from_slice(bytes).into_iter::<FileTraces<'_>>() {
        for resource_spans in traces?.resource_spans {
            resource(resource_spans, &mut out)?;
        }
    }
    Ok(out)
}

/// All spans of an answer, which may be several chunks behind each other.
pub(crate) fn spans(body: &[u8]) -> Result<Vec<Span>, JsonError> {
    let mut out = Vec::new();
    for chunk in serde_json::Deserializer::from_slice(body).into_iter::<Chunk<'_>>() {
        let chunk = chunk?;
        if let Some(error) = chunk.error {
            return Err(JsonError::Midway(cut(&error.to_string())));
        }
        // Some other service's JSON is no answer without spans.
        if chunk.result.is_none() && chunk.resource_spans.is_none() && !is_empty_object(body) {
            return Err(JsonError::Missing("resourceSpans"));
        }
        let wrapped = chunk.result.map(|r| r.resource_spans).unwrap_or_default();
        for resource_spans in wrapped.into_iter().chain(chunk.resource_spans.unwrap_or_default()) {
            resource(resource_spans, &mut out)?;
        }
    }
    Ok(out)
}

/// What a message without fields is in JSON.
fn is_empty_object(body: &[u8]) -> bool {
    body.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(b"{}")
}

fn resource(from: ResourceSpans<'_>, out: &mut Vec<Span>) -> Result<(), JsonError> {
    let resource = attributes(from.resource.attributes)?;
    for scope_spans in from.scope_spans {
        let scope =
            (scope_spans.scope.name, scope_spans.scope.version, attributes(scope_spans.scope.attributes)?);
        for span in scope_spans.spans {
            out.push(convert(span, &resource, &scope)?);
        }
    }
    Ok(())
}

fn convert(
    from: SpanJson<'_>,
    resource: &Attributes,
    (scope, version, of_scope): &(String, String, Attributes),
) -> Result<Span, JsonError> {
    let event = |e: EventJson<'_>| {
        Ok(Event { time: e.time_unix_nano.0, name: e.name, attributes: attributes(e.attributes)? })
    };
    let link = |l: LinkJson<'_>| {
        Ok(Link {
            trace_id: trace_id(&l.trace_id)?,
            span_id: span_id(&l.span_id)?,
            trace_state: l.trace_state,
            attributes: attributes(l.attributes)?,
        })
    };
    let parent = if is_no_id(&from.parent_span_id) { None } else { Some(span_id(&from.parent_span_id)?) };
    Ok(Span {
        trace_id: trace_id(&from.trace_id)?,
        span_id: span_id(&from.span_id)?,
        parent,
        trace_state: from.trace_state,
        flags: from.flags,
        resource: resource.clone(),
        scope: scope.clone(),
        scope_version: version.clone(),
        scope_attributes: of_scope.clone(),
        name: from.name,
        kind: Kind::from_number(from.kind.0),
        start: from.start_time_unix_nano.0,
        end: from.end_time_unix_nano.0,
        attributes: attributes(from.attributes)?,
        events: from.events.into_iter().map(event).collect::<Result<_, JsonError>>()?,
        links: from.links.into_iter().map(link).collect::<Result<_, JsonError>>()?,
        status: StatusCode::from_number(from.status.code.0),
        status_message: from.status.message,
    })
}

fn attributes(from: Vec<KeyValue<'_>>) -> Result<Attributes, JsonError> {
    from.into_iter().map(|kv| Ok((kv.key.into_owned(), value(kv.value, 0)?))).collect()
}

/// serde_json bounds nesting of the text; this bounds what is made of it.
const DEPTH_MAX: usize = 64;

fn value(from: Option<AnyValue>, depth: usize) -> Result<AttributeValue, JsonError> {
    if depth > DEPTH_MAX {
        return Err(JsonError::Depth);
    }
    let Some(from) = from else { return Ok(AttributeValue::Empty) };
    Ok(match from {
        AnyValue { string_value: Some(s), .. } => AttributeValue::String(s),
        AnyValue { bool_value: Some(b), .. } => AttributeValue::Bool(b),
        AnyValue { int_value: Some(i), .. } => AttributeValue::Int(i.0),
        AnyValue { double_value: Some(x), .. } => AttributeValue::Double(x.0),
        AnyValue { bytes_value: Some(text), .. } => match STANDARD.decode(&text) {
            Ok(bytes) => AttributeValue::Bytes(bytes),
            Err(_) => AttributeValue::String(text),
        },
        AnyValue { array_value: Some(array), .. } => {
            let items = array.values.into_iter().map(|v| value(Some(v), depth + 1));
            AttributeValue::Array(items.collect::<Result<_, _>>()?)
        }
        AnyValue { kvlist_value: Some(list), .. } => {
            let entries = list.values.into_iter().map(|kv| Ok((kv.key, value(kv.value, depth + 1)?)));
            AttributeValue::Map(entries.collect::<Result<_, JsonError>>()?)
        }
        _ => AttributeValue::Empty,
    })
}

fn is_no_id(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|b| b == b'0') || text == "AAAAAAAAAAA="
}

fn trace_id(text: &str) -> Result<TraceId, JsonError> {
    text.parse().or_else(|_| base64_id(text).map(TraceId))
}

fn span_id(text: &str) -> Result<SpanId, JsonError> {
    text.parse().or_else(|_| base64_id(text).map(SpanId))
}

fn base64_id<const N: usize>(text: &str) -> Result<[u8; N], JsonError> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| JsonError::Id(text.chars().take(64).collect()))
}

/// A visitor for values that come as a number or as text.
struct Either<T> {
    wanted: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<T, E> {
        self.visit_str(&x.to_string())
    }
}

macro_rules! either {
    ($($name:ident, $wanted:literal, $parse:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Either { wanted: $wanted, parse: $parse }).map(Self)
            }
        }
    )*};
}

either! {
    Number, "a whole number of 64 bits", |text| text.parse().ok();
    Signed, "a signed number of 64 bits", |text| text.parse().ok();
    Double, "a number", |text| match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    };
    Enum, "an enum's number or name", |text| Some(match text {
        "SPAN_KIND_INTERNAL" | "STATUS_CODE_OK" => 1,
        "SPAN_KIND_SERVER" | "STATUS_CODE_ERROR" => 2,
        "SPAN_KIND_CLIENT" => 3,
        "SPAN_KIND_PRODUCER" => 4,
        "SPAN_KIND_CONSUMER" => 5,
        _ => text.parse().unwrap_or(0),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: something answers with JSON that is not a trace's, or with a value where no such value can stand.
    // Guarantee: it is not taken for an answer without spans, and what it said is in no error.
    #[test]
    fn foreign_json_is_no_empty_answer_and_is_not_quoted() {
        for empty in ["", "{}", " {\n} ", r#"{"result":{}}"#, r#"{"resourceSpans":[]}"#] {
            assert!(spans(empty.as_bytes()).is_ok_and(|spans| spans.is_empty()), "{empty}");
        }
        for foreign in
            [r#"{"message":"4111 1111 1111 1111"}"#, r#"{"result":"4111 1111 1111 1111"}"#, r#"{"result""#]
        {
            let error = spans(foreign.as_bytes()).expect_err(foreign).to_string();
            assert!(!error.contains("4111"), "{error}");
        }
    }
}
