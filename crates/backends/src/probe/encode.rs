//! Expected spans to an OTLP request.

use crossfade_gates::model::{AttributeValue, Attributes, Span};
use crossfade_gates::probe::Trace;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Proto, Status};
use prost::Message;

use crate::otlp::Protocol;

/// The `ExportTraceServiceRequest` that writes a trace whole, encoded.
pub fn request(trace: &Trace) -> Vec<u8> {
    message(&trace.spans.iter().collect::<Vec<_>>()).encode_to_vec()
}

/// One that writes these spans, as an endpoint of that protocol reads it.
pub(crate) fn spans(spans: &[&Span], protocol: Protocol) -> Vec<u8> {
    let message = message(spans);
    match protocol {
        Protocol::Grpc | Protocol::HttpProtobuf => message.encode_to_vec(),
        Protocol::HttpJson => {
            serde_json::to_vec(&message).expect("a message holds only texts, numbers and lists")
        }
    }
}

/// One `ResourceSpans` for each run of spans of one resource and scope.
fn message(spans: &[&Span]) -> ExportTraceServiceRequest {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    for group in spans.chunk_by(|a, b| {
        a.resource == b.resource
            && (&a.scope, &a.scope_version, &a.scope_attributes)
                == (&b.scope, &b.scope_version, &b.scope_attributes)
    }) {
        let Some(first) = group.first() else { continue };
        let scope = InstrumentationScope {
            name: first.scope.clone(),
            version: first.scope_version.clone(),
            attributes: attributes(&first.scope_attributes),
            ..Default::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: group.iter().map(|one| span(one)).collect(),
            ..Default::default()
        };
        resource_spans.push(ResourceSpans {
            resource: Some(Resource { attributes: attributes(&first.resource), ..Default::default() }),
            scope_spans: vec![scope_spans],
            ..Default::default()
        });
    }
    ExportTraceServiceRequest { resource_spans }
}

fn span(span: &Span) -> Proto {
    let event = |e: &crossfade_gates::model::Event| Event {
        time_unix_nano: e.time,
        name: e.name.clone(),
        attributes: attributes(&e.attributes),
        ..Default::default()
    };
    let link = |l: &crossfade_gates::model::Link| Link {
        trace_id: l.trace_id.0.to_vec(),
        span_id: l.span_id.0.to_vec(),
        trace_state: l.trace_state.clone(),
        attributes: attributes(&l.attributes),
        ..Default::default()
    };
    Proto {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        parent_span_id: span.parent.map(|p| p.0.to_vec()).unwrap_or_default(),
        trace_state: span.trace_state.clone(),
        flags: span.flags,
        name: span.name.clone(),
        kind: span.kind.number(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: Some(Status { message: span.status_message.clone(), code: span.status.number() }),
        ..Default::default()
    }
}

fn attributes(map: &Attributes) -> Vec<KeyValue> {
    map.iter()
        .map(|(key, v)| KeyValue { key: key.clone(), value: Some(value(v)), ..Default::default() })
        .collect()
}

fn value(from: &AttributeValue) -> AnyValue {
    let value = match from {
        AttributeValue::Empty => None,
        AttributeValue::String(s) => Some(Value::StringValue(s.clone())),
        AttributeValue::Bool(b) => Some(Value::BoolValue(*b)),
        AttributeValue::Int(i) => Some(Value::IntValue(*i)),
        AttributeValue::Double(x) => Some(Value::DoubleValue(*x)),
        AttributeValue::Bytes(bytes) => Some(Value::BytesValue(bytes.clone())),
        AttributeValue::Array(items) => {
            Some(Value::ArrayValue(ArrayValue { values: items.iter().map(self::value).collect() }))
        }
        AttributeValue::Map(map) => Some(Value::KvlistValue(KeyValueList { values: attributes(map) })),
    };
    AnyValue { value }
}
