//! Canaries: made-up sensitive values, in every field that can carry text.
//!
//! An environment that has to mask card numbers is written some, and read back: whatever comes back as it was written has leaked,
//! and the field says which processor missed it. One trace for each kind of value and receiver, one span for each field: what masks may
//! stand behind one receiver and not behind another.
//!
//! All values are published test values, or from ranges that are never assigned: nobody's card, mailbox or number.

use serde::{Deserialize, Serialize};

use super::generate::{Trace, plain};
use crate::model::{AttributeValue, Attributes, Event, Link, Span, SpanId, TraceId};

/// What a canary looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    /// The number of a payment card: digits that satisfy Luhn's check (ISO/IEC 7812-1, annex B).
    Card,
    /// The same as people write it, in groups of four.
    CardInGroups,
    /// A patient's number and diagnosis.
    Patient,
    /// A mail address, in a domain that is reserved (RFC 2606).
    Email,
    /// A bearer token, signed by nobody (RFC 7519).
    Token,
    /// A national number of the United States, from the range for advertisements.
    NationalId,
}

impl Sensitive {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Card, Self::CardInGroups, Self::Patient, Self::Email, Self::Token, Self::NationalId];

    /// The word in settings and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::CardInGroups => "card_in_groups",
            Self::Patient => "patient",
            Self::Email => "email",
            Self::Token => "token",
            Self::NationalId => "national_id",
        }
    }

    /// The text around the value, and the value: what must not come back.
    const fn text(self) -> (&'static str, &'static str) {
        match self {
            // The test numbers that card networks and acquirers publish.
            Self::Card => ("paid with ", "4111111111111111"),
            Self::CardInGroups => ("paid with ", "5555 5555 5555 4444"),
            Self::Patient => ("patient ", "MRN-00401877"),
            Self::Email => ("write to ", "probe.canary@example.org"),
            Self::Token => {
                ("Bearer ", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjcm9zc2ZhZGUtY2FuYXJ5In0.Y3Jvc3NmYWRlLWNhbmFyeQ")
            }
            Self::NationalId => ("number ", "987-65-4320"),
        }
    }

    /// What must not come back.
    pub const fn value(self) -> &'static str {
        self.text().1
    }

    fn sentence(self) -> String {
        let (before, value) = self.text();
        format!("{before}{value}")
    }
}

/// A field that can carry text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The span's name.
    SpanName,
    /// An attribute of the span.
    SpanAttribute,
    /// An attribute of the span whose key says what it is (`card.number`).
    NamedAttribute,
    /// The key of an attribute.
    AttributeKey,
    /// An attribute that is a list.
    List,
    /// An attribute that is a map.
    Map,
    /// A map in a list in a map.
    Nested,
    /// An attribute that is bytes.
    Bytes,
    /// An event's name.
    EventName,
    /// An attribute of an event.
    EventAttribute,
    /// The key of one.
    EventKey,
    /// One that is a map in a list in a map.
    EventNested,
    /// An attribute of a link.
    LinkAttribute,
    /// The key of one.
    LinkKey,
    /// One that is a map in a list in a map.
    LinkNested,
    /// The trace state of a link.
    LinkTraceState,
    /// The status message.
    StatusMessage,
    /// The trace state.
    TraceState,
    /// The scope's name.
    ScopeName,
    /// The scope's version.
    ScopeVersion,
    /// An attribute of the scope.
    ScopeAttribute,
    /// The key of one.
    ScopeKey,
    /// One that is a map in a list in a map.
    ScopeNested,
    /// An attribute of the resource.
    ResourceAttribute,
    /// The key of one.
    ResourceKey,
    /// One that is a map in a list in a map.
    ResourceNested,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::SpanName,
        Self::SpanAttribute,
        Self::NamedAttribute,
        Self::AttributeKey,
        Self::List,
        Self::Map,
        Self::Nested,
        Self::Bytes,
        Self::EventName,
        Self::EventAttribute,
        Self::EventKey,
        Self::EventNested,
        Self::LinkAttribute,
        Self::LinkKey,
        Self::LinkNested,
        Self::LinkTraceState,
        Self::StatusMessage,
        Self::TraceState,
        Self::ScopeName,
        Self::ScopeVersion,
        Self::ScopeAttribute,
        Self::ScopeKey,
        Self::ScopeNested,
        Self::ResourceAttribute,
        Self::ResourceKey,
        Self::ResourceNested,
    ];

    /// The words in reports.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SpanName => "span name",
            Self::SpanAttribute => "span attribute",
            Self::NamedAttribute => "span attribute with a telling key",
            Self::AttributeKey => "attribute key",
            Self::List => "span attribute, in a list",
            Self::Map => "span attribute, in a map",
            Self::Nested => "span attribute, in a map in a list in a map",
            Self::Bytes => "span attribute, as bytes",
            Self::EventName => "event name",
            Self::EventAttribute => "event attribute",
            Self::EventKey => "event attribute, its key",
            Self::EventNested => "event attribute, nested",
            Self::LinkAttribute => "link attribute",
            Self::LinkKey => "link attribute, its key",
            Self::LinkNested => "link attribute, nested",
            Self::LinkTraceState => "trace state of a link",
            Self::StatusMessage => "status message",
            Self::TraceState => "trace state",
            Self::ScopeName => "scope name",
            Self::ScopeVersion => "scope version",
            Self::ScopeAttribute => "scope attribute",
            Self::ScopeKey => "scope attribute, its key",
            Self::ScopeNested => "scope attribute, nested",
            Self::ResourceAttribute => "resource attribute",
            Self::ResourceKey => "resource attribute, its key",
            Self::ResourceNested => "resource attribute, nested",
        }
    }

    /// Whether this kind of value fits into the field at all: a trace state has few characters to write with (W3C Trace Context).
    pub fn takes(self, kind: Sensitive) -> bool {
        let is_state = matches!(self, Self::TraceState | Self::LinkTraceState);
        !is_state || !kind.value().contains([',', '='])
    }

    /// Puts a value into a span's field.
    fn plant(self, span: &mut Span, kind: Sensitive) {
        let text = || AttributeValue::String(kind.sentence());
        let one = |key: &str, value| -> Attributes { [(key.to_owned(), value)].into() };
        let note = || one("note", text());
        let keyed = || one(kind.value(), AttributeValue::Bool(true));
        let nested = || {
            let inner = AttributeValue::Array(vec![AttributeValue::Map(note())]);
            one("probe.nested", AttributeValue::Map(one("items", inner)))
        };
        let event = |name: String, attributes| Event { time: span.start, name, attributes };
        let named = |attributes| event("probe.event".to_owned(), attributes);
        let link = |attributes| Link { attributes, ..Link::to(span.trace_id, span.span_id) };
        match self {
            Self::SpanName => span.name = format!("POST /canary {}", kind.sentence()),
            Self::SpanAttribute => span.attributes = one("probe.note", text()),
            Self::NamedAttribute => {
                span.attributes = one(telling_key(kind), AttributeValue::String(kind.value().to_owned()));
            }
            Self::AttributeKey => span.attributes = keyed(),
            Self::List => {
                let list = AttributeValue::Array(vec![AttributeValue::Bool(true), text()]);
                span.attributes = one("probe.list", list);
            }
            Self::Map => span.attributes = one("probe.map", AttributeValue::Map(note())),
            Self::Nested => span.attributes = nested(),
            Self::Bytes => {
                span.attributes = one("probe.bytes", AttributeValue::Bytes(kind.sentence().into_bytes()));
            }
            Self::EventName => span.events = vec![event(kind.sentence(), Attributes::new())],
            Self::EventAttribute => span.events = vec![named(note())],
            Self::EventKey => span.events = vec![named(keyed())],
            Self::EventNested => span.events = vec![named(nested())],
            Self::LinkAttribute => span.links = vec![link(note())],
            Self::LinkKey => span.links = vec![link(keyed())],
            Self::LinkNested => span.links = vec![link(nested())],
            Self::LinkTraceState => {
                let trace_state = format!("probe={}", kind.value());
                span.links = vec![Link { trace_state, ..link(Attributes::new()) }];
            }
            Self::StatusMessage => {
                span.status = crate::model::StatusCode::Error;
                span.status_message = kind.sentence();
            }
            Self::TraceState => span.trace_state = format!("probe={}", kind.value()),
            Self::ScopeName => span.scope = format!("crossfade.probe {}", kind.sentence()),
            Self::ScopeVersion => span.scope_version = kind.sentence(),
            Self::ScopeAttribute => span.scope_attributes = note(),
            Self::ScopeKey => span.scope_attributes = keyed(),
            Self::ScopeNested => span.scope_attributes = nested(),
            Self::ResourceAttribute => span.resource.extend(one("probe.note", text())),
            Self::ResourceKey => span.resource.extend(keyed()),
            Self::ResourceNested => span.resource.extend(nested()),
        }
    }
}

/// Where a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Canary {
    /// What it looks like.
    pub kind: Sensitive,
    /// Into which field.
    pub field: Field,
    /// Through which receiver, counted from 0.
    pub receiver: usize,
    /// Of which trace.
    pub trace: TraceId,
    /// And span.
    pub span: SpanId,
}

/// A canary that came back as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// What came back.
    pub kind: Sensitive,
    /// Into which field it had been written; `None` if it came back in a span where none was.
    pub field: Option<Field>,
    /// Through which receiver the trace had been written, counted from 0; `None` for a trace that is none of these.
    pub receiver: Option<usize>,
    /// The trace.
    pub trace: TraceId,
    /// And span.
    pub span: SpanId,
}

/// The traces that hold every kind of value in every field that takes it, once for each receiver, and the list of what is where. A trace
/// is to be written through the receiver beside it alone.
pub fn canaries(
    seed: u64,
    at: u64,
    kinds: &[Sensitive],
    receivers: usize,
) -> (Vec<(usize, Trace)>, Vec<Canary>) {
    let mut planted = Vec::new();
    let each = kinds.iter().flat_map(|kind| (0..receivers).map(move |receiver| (*kind, receiver)));
    let traces = (0..).zip(each).map(|(index, (kind, receiver))| {
        let fields: Vec<Field> = Field::ALL.into_iter().filter(|field| field.takes(kind)).collect();
        let mut trace = plain(seed, at, index, fields.len());
        for (span, field) in trace.spans.iter_mut().zip(fields) {
            field.plant(span, kind);
            planted.push(Canary { kind, field, receiver, trace: span.trace_id, span: span.span_id });
        }
        (receiver, trace)
    });
    (traces.collect(), planted)
}

/// What of the planted values is in spans that were read back, wherever it stands now.
pub fn leaks(planted: &[Canary], read: &[Span]) -> Vec<Leak> {
    let mut found = Vec::new();
    for span in read {
        let texts = texts(span);
        for kind in Sensitive::ALL {
            if texts.iter().any(|text| text.contains(kind.value())) {
                let here = |canary: &&Canary| canary.kind == kind && canary.span == span.span_id;
                let field = planted.iter().find(here).map(|canary| canary.field);
                let receiver = planted.iter().find(|c| c.trace == span.trace_id).map(|c| c.receiver);
                found.push(Leak { kind, field, receiver, trace: span.trace_id, span: span.span_id });
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A key by which a processor that looks at keys would know it.
const fn telling_key(kind: Sensitive) -> &'static str {
    match kind {
        Sensitive::Card | Sensitive::CardInGroups => "card.number",
        Sensitive::Patient => "patient.id",
        Sensitive::Email => "user.email",
        Sensitive::Token => "http.request.header.authorization",
        Sensitive::NationalId => "user.ssn",
    }
}

/// Every text of a span, keys included; bytes too, if they are text.
fn texts(span: &Span) -> Vec<String> {
    let mut out = vec![
        span.name.clone(),
        span.trace_state.clone(),
        span.scope.clone(),
        span.scope_version.clone(),
        span.status_message.clone(),
    ];
    for attributes in [&span.attributes, &span.resource, &span.scope_attributes] {
        of_attributes(attributes, &mut out);
    }
    for event in &span.events {
        out.push(event.name.clone());
        of_attributes(&event.attributes, &mut out);
    }
    for link in &span.links {
        out.push(link.trace_state.clone());
        of_attributes(&link.attributes, &mut out);
    }
    out
}

fn of_attributes(attributes: &Attributes, out: &mut Vec<String>) {
    for (key, value) in attributes {
        out.push(key.clone());
        of_value(value, out);
    }
}

fn of_value(value: &AttributeValue, out: &mut Vec<String>) {
    match value {
        AttributeValue::String(text) => {
            // A store without bytes keeps them as base64.
            out.extend(crate::model::unbase64(text).and_then(|bytes| String::from_utf8(bytes).ok()));
            out.push(text.clone());
        }
        AttributeValue::Bytes(bytes) => out.push(String::from_utf8_lossy(bytes).into_owned()),
        AttributeValue::Array(items) => items.iter().for_each(|item| of_value(item, out)),
        AttributeValue::Map(map) => of_attributes(map, out),
        AttributeValue::Int(number) => out.push(number.to_string()),
        AttributeValue::Empty | AttributeValue::Bool(_) | AttributeValue::Double(_) => {}
    }
}

#[cfg(test)]
mod tests;
