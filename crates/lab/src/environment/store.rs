//! What an environment stored: spans by trace, each with its resource and scope.

use super::digest::SpanDigest;
use crossfade_routing::{TraceId, UnixNanos};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The 8 bytes of a span id; unique within its trace only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// One stored span, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Of the span as stored, its resource and scope included.
    pub digest: SpanDigest,
    /// When the request that first brought it had been read to its end.
    pub received_at: UnixNanos,
    /// How many times it was received.
    pub copies: u32,
}

/// What one request added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Spans that were not there before.
    pub stored: u64,
    /// Spans that were: the first one is kept.
    pub duplicates: u64,
}

/// A span whose ids have the wrong length: the request is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {what} of {length} bytes")]
pub struct BadId {
    /// `trace_id` or `span_id`.
    pub what: &'static str,
    /// The bytes it has.
    pub length: usize,
}

/// What to look for; every part that is given must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// `service.name` of at least one span.
    pub service: Option<String>,
    /// Name of at least one span (of that service, if one is given).
    pub operation: Option<String>,
    /// Attributes of that span or its resource, as texts, whatever their type.
    pub attributes: BTreeMap<String, String>,
    /// Start of the earliest span, in nanoseconds since the Unix epoch.
    pub started: Range<u64>,
    /// At most so many traces, the latest first.
    pub limit: usize,
}

/// Spans by trace id. Shared between the receivers, the query API and whoever measures.
#[derive(Debug, Default)]
pub struct Store {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Traces that begin in here are not in the search index.
    unsearchable: Range<u64>,
    traces: BTreeMap<TraceId, Trace>,
    /// Traces in the order of their starts.
    started: BTreeSet<(u64, TraceId)>,
    operations: BTreeMap<Arc<str>, BTreeSet<(String, i32)>>,
    spans: u64,
    duplicates: u64,
}

#[derive(Debug)]
struct Trace {
    /// Of its earliest span.
    start: u64,
    spans: BTreeMap<SpanId, StoredSpan>,
}

#[derive(Debug)]
struct StoredSpan {
    context: Arc<Context>,
    /// The span in protobuf: a third of the size of the decoded one.
    encoded: Box<[u8]>,
    name: Box<str>,
    start: u64,
    held: Held,
}

/// The resource and scope that a span came under.
#[derive(Debug, PartialEq)]
struct Context {
    service: Arc<str>,
    resource: Option<Resource>,
    resource_schema: String,
    scope: Option<InstrumentationScope>,
    scope_schema: String,
}

impl Store {
    /// Stores the spans of one request. Nothing of a malformed one is stored.
    pub fn insert(
        &self,
        request: ExportTraceServiceRequest,
        received_at: UnixNanos,
    ) -> Result<Inserted, BadId> {
        let mut prepared = Vec::new();
        for resource_spans in request.resource_spans {
            let resource =
                SpanDigest::of_resource(resource_spans.resource.as_ref(), &resource_spans.schema_url);
            let service: Arc<str> = service_name(resource_spans.resource.as_ref()).into();
            for scope_spans in resource_spans.scope_spans {
                let scope = resource.of_scope(scope_spans.scope.as_ref(), &scope_spans.schema_url);
                let context = Arc::new(Context {
                    service: Arc::clone(&service),
                    resource: resource_spans.resource.clone(),
                    resource_schema: resource_spans.schema_url.clone(),
                    scope: scope_spans.scope,
                    scope_schema: scope_spans.schema_url,
                });
                for span in scope_spans.spans {
                    prepared.push(prepare(&span, &context, scope, received_at)?);
                }
            }
        }
        let mut inner = self.lock();
        let mut inserted = Inserted::default();
        for (trace, id, kind, span) in prepared {
            inner.add(trace, id, kind, span, &mut inserted);
        }
        Ok(inserted)
    }

    /// Every stored span of the trace.
    pub fn held(&self, trace: &TraceId) -> BTreeMap<SpanId, Held> {
        let inner = self.lock();
        inner
            .traces
            .get(trace)
            .map(|trace| trace.spans.iter().map(|(id, span)| (*id, span.held)).collect())
            .unwrap_or_default()
    }

    /// The trace as OTLP, spans of one resource and scope together; `None` if nothing of it is stored.
    pub fn trace(&self, trace: &TraceId) -> Option<Vec<ResourceSpans>> {
        self.lock().traces.get(trace).map(assemble)
    }

    /// From now on, traces that begin within these times (nanoseconds since 1970) are not found by search, as if the index lagged
    /// behind the store. By their ids they are still read.
    pub fn leave_out_of_index(&self, started: Range<u64>) {
        self.lock().unsearchable = started;
    }

    /// The traces that match, the latest first.
    pub fn find(&self, search: &Search) -> Vec<Vec<ResourceSpans>> {
        self.lock().matching(search).into_iter().map(|(_, trace)| assemble(trace)).collect()
    }

    /// The ids of the traces that match, the latest first.
    pub fn find_ids(&self, search: &Search) -> Vec<TraceId> {
        self.lock().matching(search).into_iter().map(|(id, _)| *id).collect()
    }

    /// Every `service.name`, sorted.
    pub fn services(&self) -> Vec<String> {
        self.lock().operations.keys().map(|service| service.to_string()).collect()
    }

    /// Every span name of the service with its kind, sorted.
    pub fn operations(&self, service: &str) -> Vec<(String, SpanKind)> {
        let inner = self.lock();
        let Some(operations) = inner.operations.get(service) else { return Vec::new() };
        let kind = |kind: i32| SpanKind::try_from(kind).unwrap_or(SpanKind::Unspecified);
        operations.iter().map(|(name, number)| (name.clone(), kind(*number))).collect()
    }

    /// Traces of which at least one span is stored.
    pub fn trace_count(&self) -> u64 {
        self.lock().traces.len() as u64
    }

    /// Spans stored, each once.
    pub fn span_count(&self) -> u64 {
        self.lock().spans
    }

    /// Spans that came again after they had been stored.
    pub fn duplicate_count(&self) -> u64 {
        self.lock().duplicates
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn matching(&self, search: &Search) -> Vec<(&TraceId, &Trace)> {
        let Range { start: from, end: until } = search.started;
        let first = |time: u64| (time, TraceId([0; 16]));
        if from >= until {
            return Vec::new();
        }
        let within = self.started.range(first(from)..first(until)).rev();
        let searchable = within.filter(|(start, _)| !self.unsearchable.contains(start));
        let traces = searchable.filter_map(|(_, id)| self.traces.get(id).map(|trace| (id, trace)));
        let matching = traces.filter(|(_, trace)| trace.spans.values().any(|span| search.names(span)));
        matching.take(search.limit).collect()
    }

    fn add(&mut self, trace: TraceId, id: SpanId, kind: i32, span: StoredSpan, inserted: &mut Inserted) {
        let Trace { start, spans } =
            self.traces.entry(trace).or_insert_with(|| Trace { start: u64::MAX, spans: BTreeMap::new() });
        match spans.entry(id) {
            Entry::Occupied(mut before) => {
                before.get_mut().held.copies += 1;
                inserted.duplicates += 1;
                self.duplicates += 1;
            }
            Entry::Vacant(free) => {
                let operations = self.operations.entry(Arc::clone(&span.context.service)).or_default();
                let operation = (span.name.to_string(), kind);
                operations.insert(operation);
                if span.start < *start {
                    self.started.remove(&(*start, trace));
                    self.started.insert((span.start, trace));
                    *start = span.start;
                }
                free.insert(span);
                inserted.stored += 1;
                self.spans += 1;
            }
        }
    }
}

impl Search {
    fn names(&self, span: &StoredSpan) -> bool {
        self.service.as_deref().is_none_or(|service| *span.context.service == *service)
            && self.operation.as_deref().is_none_or(|operation| *span.name == *operation)
            && (self.attributes.is_empty() || self.describes(span))
    }

    fn describes(&self, span: &StoredSpan) -> bool {
        let decoded = Span::decode(&*span.encoded).expect("it was encoded by this process");
        let of_resource = span.context.resource.iter().flat_map(|resource| &resource.attributes);
        let all: Vec<&KeyValue> = decoded.attributes.iter().chain(of_resource).collect();
        let has = |(key, text): (&String, &String)| {
            all.iter().any(|has| has.key == *key && text_of(has).as_ref() == Some(text))
        };
        self.attributes.iter().all(has)
    }
}

/// A value that can be searched for.
fn text_of(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::BoolValue(truth) => Some(truth.to_string()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        any_value::Value::DoubleValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn prepare(
    span: &Span,
    context: &Arc<Context>,
    scope: SpanDigest,
    received_at: UnixNanos,
) -> Result<(TraceId, SpanId, i32, StoredSpan), BadId> {
    let trace = <[u8; 16]>::try_from(span.trace_id.as_slice())
        .map_err(|_| BadId { what: "trace_id", length: span.trace_id.len() })?;
    let id = <[u8; 8]>::try_from(span.span_id.as_slice())
        .map_err(|_| BadId { what: "span_id", length: span.span_id.len() })?;
    let encoded = span.encode_to_vec().into_boxed_slice();
    let held = Held { digest: scope.of_encoded_span(&encoded), received_at, copies: 1 };
    let stored = StoredSpan {
        context: Arc::clone(context),
        encoded,
        name: span.name.as_str().into(),
        start: span.start_time_unix_nano,
        held,
    };
    Ok((TraceId(trace), SpanId(id), span.kind, stored))
}

pub(crate) fn service_name(resource: Option<&Resource>) -> &str {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let named = attributes.iter().find(|attribute| attribute.key == "service.name");
    match named.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(name)) => name,
        _ => "unknown_service",
    }
}

fn assemble(trace: &Trace) -> Vec<ResourceSpans> {
    let mut groups: Vec<(&Context, Vec<Span>)> = Vec::new();
    for stored in trace.spans.values() {
        let span = Span::decode(&*stored.encoded).expect("it was encoded by this process");
        match groups.iter_mut().find(|(context, _)| *context == &*stored.context) {
            Some((_, spans)) => spans.push(span),
            None => groups.push((&stored.context, vec![span])),
        }
    }
    let resource_spans = groups.into_iter().map(|(context, spans)| ResourceSpans {
        resource: context.resource.clone(),
        scope_spans: vec![ScopeSpans {
            scope: context.scope.clone(),
            spans,
            schema_url: context.scope_schema.clone(),
        }],
        schema_url: context.resource_schema.clone(),
    });
    resource_spans.collect()
}
