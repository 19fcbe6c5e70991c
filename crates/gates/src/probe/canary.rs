//! Canaries: made-up sensitive values, in every field that can carry text.
//!
//! An environment that has to mask card numbers is written some, and read back: whatever comes back as it was written has leaked,
//! and the field says which processor missed it. One trace for each kind of value, one span for each field.
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
    /// An attribute of a link.
    LinkAttribute,
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
    /// An attribute of the resource.
    ResourceAttribute,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 18] = [
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
        Self::LinkAttribute,
        Self::LinkTraceState,
        Self::StatusMessage,
        Self::TraceState,
        Self::ScopeName,
        Self::ScopeVersion,
        Self::ScopeAttribute,
        Self::ResourceAttribute,
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
            Self::LinkAttribute => "link attribute",
            Self::LinkTraceState => "trace state of a link",
            Self::StatusMessage => "status message",
            Self::TraceState => "trace state",
            Self::ScopeName => "scope name",
            Self::ScopeVersion => "scope version",
            Self::ScopeAttribute => "scope attribute",
            Self::ResourceAttribute => "resource attribute",
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
        let mut put = |key: &str, value| drop(span.attributes.insert(key.to_owned(), value));
        match self {
            Self::SpanName => span.name = format!("POST /canary {}", kind.sentence()),
            Self::SpanAttribute => put("probe.note", text()),
            Self::NamedAttribute => put(telling_key(kind), AttributeValue::String(kind.value().to_owned())),
            Self::AttributeKey => put(kind.value(), AttributeValue::Bool(true)),
            Self::List => put("probe.list", AttributeValue::Array(vec![AttributeValue::Bool(true), text()])),
            Self::Map => put("probe.map", AttributeValue::Map(one("note", text()))),
            Self::Nested => {
                let inner = AttributeValue::Array(vec![AttributeValue::Map(one("note", text()))]);
                put("probe.nested", AttributeValue::Map(one("items", inner)));
            }
            Self::Bytes => put("probe.bytes", AttributeValue::Bytes(kind.sentence().into_bytes())),
            Self::EventName => span.events.push(event(span.start, kind.sentence(), Attributes::new())),
            Self::EventAttribute => {
                span.events.push(event(span.start, "probe.event".to_owned(), one("note", text())));
            }
            Self::LinkAttribute => span
                .links
                .push(Link { attributes: one("note", text()), ..Link::to(span.trace_id, span.span_id) }),
            Self::LinkTraceState => span.links.push(Link {
                trace_state: format!("probe={}", kind.value()),
                ..Link::to(span.trace_id, span.span_id)
            }),
            Self::StatusMessage => {
                span.status = crate::model::StatusCode::Error;
                span.status_message = kind.sentence();
            }
            Self::TraceState => span.trace_state = format!("probe={}", kind.value()),
            Self::ScopeName => span.scope = format!("crossfade.probe {}", kind.sentence()),
            Self::ScopeVersion => span.scope_version = kind.sentence(),
            Self::ScopeAttribute => span.scope_attributes = one("note", text()),
            Self::ResourceAttribute => drop(span.resource.insert("probe.note".to_owned(), text())),
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
    /// The trace.
    pub trace: TraceId,
    /// And span.
    pub span: SpanId,
}

/// The traces that hold every kind of value in every field that takes it, and the list of what is where.
pub fn canaries(seed: u64, at: u64, kinds: &[Sensitive]) -> (Vec<Trace>, Vec<Canary>) {
    let mut planted = Vec::new();
    let traces = (0..).zip(kinds).map(|(index, kind)| {
        let fields: Vec<Field> = Field::ALL.into_iter().filter(|field| field.takes(*kind)).collect();
        let mut trace = plain(seed, at, index, fields.len());
        for (span, field) in trace.spans.iter_mut().zip(fields) {
            field.plant(span, *kind);
            planted.push(Canary { kind: *kind, field, trace: span.trace_id, span: span.span_id });
        }
        trace
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
                found.push(Leak { kind, field, trace: span.trace_id, span: span.span_id });
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

fn event(time: u64, name: String, attributes: Attributes) -> Event {
    Event { time, name, attributes }
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
