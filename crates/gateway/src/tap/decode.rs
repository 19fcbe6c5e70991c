//! One request to what is seen of its spans. A cold path: what is read here is never passed on.

use std::borrow::Cow;

use crossfade_backends::otlp::Message;
use crossfade_gates::inventory::{Names, Outline, Sight};
use crossfade_gates::model::{Kind, SpanId, TraceId};
use crossfade_otlp::{ScanError, Splitter};
use crossfade_routing::{Seed, fraction};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;

use super::is_packed;
use crate::receive::gunzip::{Gunzip, GunzipError};

/// Of the choice of traces: the same in every gateway, so that all see the same traces, and not that of any routing.
const SEED: Seed = Seed(0x7461_7000_0000_0001);

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Gzip(#[from] GunzipError),
    #[error("it has more than {PLAIN_BYTES_MAX} bytes, or {SPANS_MAX} spans")]
    TooLarge,
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Proto(#[from] prost::DecodeError),
}

/// Reads requests; keeps its memory.
pub(crate) struct Decoder {
    gunzip: Gunzip,
    splitter: Splitter,
    chosen: Vec<u8>,
}

/// Memory of an unusual request is given back.
const KEPT_BYTES: usize = 1 << 20;
/// What is unpacked of one request, whatever a client has compressed into a few bytes: as much as gRPC servers take by default.
/// A larger one is not read, and counted as unreadable.
pub(super) const PLAIN_BYTES_MAX: usize = 4 << 20;
/// Spans of one request that are decoded: an empty one has two bytes on its way, and some hundred here.
pub(super) const SPANS_MAX: usize = 50_000;

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { gunzip: Gunzip::new(PLAIN_BYTES_MAX), splitter: Splitter::default(), chosen: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.gunzip.held_bytes() + self.chosen.capacity()
    }

    /// Hands over what is seen of each span of the chosen traces, one in 2^`halvings`. Returns how many spans that were.
    pub(crate) fn decode(
        &mut self,
        message: &Message,
        halvings: u32,
        mut see: impl FnMut(&mut dyn FnMut(&mut Names) -> Sight),
    ) -> Result<u64, Unreadable> {
        let Decoder { gunzip, splitter, chosen } = self;
        let plain = if is_packed(message) { gunzip.unpack(&message.bytes)? } else { &message.bytes[..] };
        if plain.len() > PLAIN_BYTES_MAX {
            return Err(Unreadable::TooLarge);
        }
        let is_chosen = |trace: &[u8]| {
            fraction(SEED, &crossfade_routing::TraceId::from_wire(trace)).0.leading_zeros() >= halvings
        };
        let mut taken = 0;
        let split = splitter.split(plain, |span| {
            let chosen = is_chosen(span.trace_id);
            taken += usize::from(chosen);
            u8::from(chosen)
        })?;
        if taken > SPANS_MAX {
            return Err(Unreadable::TooLarge);
        }
        let part = split.part(0);
        chosen.clear();
        let request = if part.is_whole() {
            ExportTraceServiceRequest::decode(plain)?
        } else {
            part.write_to(chosen);
            ExportTraceServiceRequest::decode(chosen.as_slice())?
        };
        let mut spans = 0;
        for resource_spans in &request.resource_spans {
            let resource = resource_spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let Some(outline) = outline(span) else { continue };
                spans += 1;
                see(&mut |names| sight(outline, &span.attributes, resource, names));
            }
        }
        gunzip.tidy();
        splitter.shrink_to(KEPT_BYTES);
        chosen.shrink_to(KEPT_BYTES);
        Ok(spans)
    }
}

/// `None` for a span whose ids are not such: no store can keep it.
fn outline(span: &Span) -> Option<Outline<'_>> {
    let trace: [u8; 16] = span.trace_id.as_slice().try_into().ok()?;
    let id: [u8; 8] = span.span_id.as_slice().try_into().ok()?;
    let parent: Option<[u8; 8]> = span.parent_span_id.as_slice().try_into().ok();
    let error = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    (trace != [0; 16]).then_some(Outline {
        trace: TraceId(trace),
        span: SpanId(id),
        parent: parent.filter(|parent| *parent != [0; 8]).map(SpanId),
        name: &span.name,
        kind: Kind::from_number(span.kind),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        error,
    })
}

fn sight(outline: Outline<'_>, attributes: &[KeyValue], resource: &[KeyValue], names: &mut Names) -> Sight {
    let keys = |list| <[KeyValue]>::iter(list).map(|attribute| attribute.key.as_str());
    Sight::new(
        outline,
        (keys(attributes), &|key| value(attributes, key)),
        (keys(resource), &|key| value(resource, key)),
        names,
    )
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<Cow<'a, str>> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(Cow::Borrowed(text)),
        Value::IntValue(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
