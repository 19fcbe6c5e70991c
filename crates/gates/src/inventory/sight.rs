//! What is looked at of a span.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::limits::NAME_BYTES;
use super::peer::{Peer, Values, mock_mark};
use crate::model::{AttributeValue, Kind, Span, SpanId, StatusCode, TraceId};

/// Most names that are told apart at one time; kept low enough for a few megabytes.
const NAMES_MAX: usize = 20_000;
/// What stands for every further one.
const OTHER: &str = "(more names than are told apart)";
/// A service that does not say its name, as OpenTelemetry calls it.
const UNKNOWN_SERVICE: &str = "unknown_service";
/// How a key of the resource is told from one of the span.
const OF_RESOURCE: &str = "resource.";

/// Names, each held once.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: BTreeSet<Arc<str>>,
    /// How often there was no room for another.
    pub left_out: u32,
}

impl Names {
    /// The name, cut to a bounded length; or what stands for all that there is no room for.
    pub fn get(&mut self, name: &str) -> Arc<str> {
        let name = cut(name);
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        let name = if self.known.len() < NAMES_MAX {
            name
        } else {
            self.left_out = self.left_out.saturating_add(1);
            OTHER
        };
        let new: Arc<str> = name.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// Forgets names that nobody holds any more.
    pub fn tidy(&mut self) {
        if self.known.len() >= NAMES_MAX {
            self.known.retain(|name| Arc::strong_count(name) > 1);
        }
    }
}

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default()
}

/// One span, as an inventory sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub span: SpanId,
    /// Its parent's id; `None` for a root.
    pub parent: Option<SpanId>,
    /// Its `service.name`.
    pub service: Arc<str>,
    /// Its name.
    pub operation: Arc<str>,
    /// Its kind.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Whether it says that it failed.
    pub failed: bool,
    /// The keys of its attributes and of its resource's.
    pub keys: Vec<Arc<str>>,
    /// Whom it calls, if it calls.
    pub peer: Option<Peer>,
    /// An attribute key that only a simulator sets.
    pub mock_mark: Option<Arc<str>>,
}

/// What is known of a span before its attributes are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub span: SpanId,
    /// Its parent's id.
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Whether its status is an error.
    pub error: bool,
}

impl Sight {
    /// From a span as it was read back.
    pub fn of(span: &Span, names: &mut Names) -> Self {
        let outline = Outline {
            trace: span.trace_id,
            span: span.span_id,
            parent: span.parent,
            name: &span.name,
            kind: span.kind,
            start: span.start,
            end: span.end,
            error: span.status == StatusCode::Error,
        };
        let value = |key: &str| text(span.attributes.get(key)?);
        let resource = |key: &str| text(span.resource.get(key)?);
        let keys = span.attributes.keys().map(String::as_str);
        Self::new(outline, (keys, &value), (span.resource.keys().map(String::as_str), &resource), names)
    }

    /// From wherever it comes: its attributes and its resource's are given as keys and a way to look up a value, as text.
    pub fn new<'a, 'v>(
        outline: Outline<'_>,
        attributes: (impl Iterator<Item = &'a str>, Values<'_, 'v>),
        resource: (impl Iterator<Item = &'a str>, Values<'_, 'v>),
        names: &mut Names,
    ) -> Self {
        let mut mark = None;
        let mut keys = Vec::new();
        for key in attributes.0 {
            let key = names.get(key);
            if mark.is_none() && mock_mark(&key) {
                mark = Some(Arc::clone(&key));
            }
            keys.push(key);
        }
        keys.extend(resource.0.map(|key| names.get(&format!("{OF_RESOURCE}{key}"))));
        let value = attributes.1;
        let service = (resource.1)("service.name").filter(|name| !name.is_empty());
        let status = ["http.response.status_code", "http.status_code"].iter().find_map(|key| value(key));
        let refused = status.and_then(|code| code.parse::<u16>().ok()).is_some_and(|code| code >= 500);
        let calls = matches!(outline.kind, Kind::Client | Kind::Producer | Kind::Consumer);
        Self {
            trace: outline.trace,
            span: outline.span,
            parent: outline.parent,
            service: names.get(service.as_deref().unwrap_or(UNKNOWN_SERVICE)),
            operation: names.get(outline.name),
            kind: outline.kind,
            start: outline.start,
            end: outline.end,
            failed: outline.error || refused,
            keys,
            peer: calls.then(|| Peer::of(value)).flatten(),
            mock_mark: mark,
        }
    }

    /// Whether it is a call to another, as its kind says.
    pub fn is_call(&self) -> bool {
        matches!(self.kind, Kind::Client | Kind::Producer | Kind::Consumer)
    }

    /// Whether it is where a service takes work from another.
    pub fn is_entry(&self) -> bool {
        matches!(self.kind, Kind::Server | Kind::Consumer)
    }
}

fn text(value: &AttributeValue) -> Option<Cow<'_, str>> {
    match value {
        AttributeValue::String(text) => Some(Cow::Borrowed(text)),
        AttributeValue::Int(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
