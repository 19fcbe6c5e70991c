//! Two spans, field by field.

use std::borrow::Cow;

use super::pairing::Pairing;
use super::{Compared, Difference, Rules, Store, What, about, operation};
use crate::model::{AttributeValue, Attributes, Event, Link, Span, SpanId, StatusCode, base64};

/// What Jaeger adds to spans, or consumes from them.
const JAEGER: [&str; 9] = [
    "@jaeger@format",
    "@jaeger@warnings",
    "internal.span.format",
    "otel.library.name",
    "otel.library.version",
    "otel.status_code",
    "otel.status_description",
    "span.kind",
    "w3c.tracestate",
];
/// Likewise: `otel.scope.name`, `otel.scope.version`, `otel.scope.attributes.…`.
const JAEGER_SCOPE: &str = "otel.scope.";
/// What Jaeger writes for a service without a name.
const JAEGER_NAMELESS: [&str; 3] = ["missing-service-name", "empty-service-name", "service-name-wrong-type"];
/// A whole microsecond.
const MICRO: u64 = 1_000;

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Span,
    Event,
    Scope,
    Resource,
}

struct Out<'a> {
    span: &'a Span,
    operation: String,
    rules: &'a Rules,
    differences: &'a mut Vec<Difference>,
}

/// What differs between the active's span and the candidate's.
pub(super) fn compare(
    mine: &Span,
    theirs: &Span,
    rules: &Rules,
    pairing: &Pairing<'_>,
    is_adjusted: bool,
    differences: &mut Vec<Difference>,
) {
    // A field that is added to spans has to be looked at here: the compiler says so.
    let Span {
        trace_id: _,
        span_id: _,
        parent,
        trace_state,
        // See `flags`.
        flags: _,
        resource,
        scope,
        scope_version,
        scope_attributes,
        name,
        kind,
        start,
        end,
        attributes,
        events,
        links,
        status,
        status_message,
    } = mine;
    let mut out = Out { span: mine, operation: operation(mine, theirs), rules, differences };
    let known = |id: &Option<SpanId>| id.map(|id| pairing.aliases.get(&id).copied().unwrap_or(id));
    // Tempo puts the span that got another id below the one that kept it.
    let (kept, own) = (Some(theirs.span_id), Some(mine.span_id));
    let is_put_below = kept != own && (*parent == kept || theirs.parent == own);
    if *parent != known(&theirs.parent) && !is_put_below {
        out.put(What::Parent, "", parent_words(*parent), parent_words(theirs.parent));
    }
    out.text(What::Name, "", name, &theirs.name);
    if *kind != theirs.kind {
        out.put(What::Kind, "", kind.word(), theirs.kind.word());
    }
    if !is_adjusted {
        out.times([*start, *end], [theirs.start, theirs.end]);
    }
    if *status != theirs.status {
        out.put(What::Status, "code", format!("{status:?}"), format!("{:?}", theirs.status));
    }
    out.text(What::Status, "message", status_message, &theirs.status_message);
    out.text(What::Scope, "name", scope, &theirs.scope);
    out.text(What::Scope, "version", scope_version, &theirs.scope_version);
    out.text(What::TraceState, "", trace_state, &theirs.trace_state);
    out.attributes(Place::Resource, "", resource, &theirs.resource, theirs);
    let of_scope = [
        folded(rules.active, mine, scope_attributes, theirs),
        folded(rules.candidate, theirs, &theirs.scope_attributes, mine),
    ];
    out.attributes(Place::Scope, "", &of_scope[0], &of_scope[1], theirs);
    out.attributes(Place::Span, "", attributes, &theirs.attributes, theirs);
    out.events(events, &theirs.events, theirs, is_adjusted);
    out.links(links, &theirs.links, theirs);
}

/// Whether the spans' flags differ. Of those that are 0 on one side, the first is kept aside: its store may have no room for them.
pub(super) fn flags(mine: &Span, theirs: &Span, rules: &Rules, compared: &mut Compared) {
    let [was, is] = [mine.flags, theirs.flags];
    if was == is {
        return;
    }
    let differs = || Difference {
        field: "flags".to_owned(),
        operation: operation(mine, theirs),
        ..about(What::TraceState, mine, &format!("{was:#x}"), &format!("{is:#x}"))
    };
    let [active, candidate] = &mut compared.cleared_flags;
    let (store, side) = match (was, is) {
        (0, _) => (rules.active, active),
        (_, 0) => (rules.candidate, candidate),
        _ => return compared.differences.push(differs()),
    };
    if store == Store::Jaeger {
        side.get_or_insert_with(differs);
    }
}

impl Out<'_> {
    fn put(&mut self, what: What, field: &str, active: impl Into<String>, candidate: impl Into<String>) {
        let field = field.to_owned();
        let (active, candidate) = (active.into(), candidate.into());
        let operation = self.operation.clone();
        let of = about(what, self.span, "", "");
        self.differences.push(Difference { field, operation, active, candidate, ..of });
    }

    fn text(&mut self, what: What, field: &str, mine: &str, theirs: &str) {
        if mine != theirs {
            let [mine, theirs] = texts(mine, theirs);
            self.put(what, field, mine, theirs);
        }
    }

    fn times(&mut self, mine: [u64; 2], theirs: [u64; 2]) {
        let may_be_cut = self.rules.may_cut(&mine, &theirs);
        for (field, slack, a, b) in [("start", 0, mine[0], theirs[0]), ("end", 1, mine[1], theirs[1])] {
            let is_same = a == b || may_be_cut && (a / MICRO).abs_diff(b / MICRO) <= slack;
            if !is_same {
                self.put(What::Times, field, "as written", distance(a, b));
            }
        }
    }

    fn attributes(&mut self, place: Place, of: &str, mine: &Attributes, theirs: &Attributes, other: &Span) {
        for (key, value) in mine {
            match theirs.get(key) {
                _ if self.is_passed_over(place, key, Some(value), theirs.get(key), other) => {}
                None => self.attribute(
                    place,
                    of,
                    key,
                    What::AttributeMissing,
                    [describe(value), "nothing".into()],
                ),
                Some(found) => self.value(place, of, key, value, found),
            }
        }
        for (key, value) in theirs.iter().filter(|(key, _)| !mine.contains_key(*key)) {
            if !self.is_passed_over(place, key, None, Some(value), other) {
                self.attribute(place, of, key, What::AttributeAdded, ["nothing".into(), describe(value)]);
            }
        }
    }

    fn value(&mut self, place: Place, of: &str, key: &str, mine: &AttributeValue, theirs: &AttributeValue) {
        if same_value(mine, theirs) {
            return;
        }
        let (what, words) = match (mine, theirs) {
            (AttributeValue::String(a), AttributeValue::String(b)) => {
                let what = if is_cut(a, b) { What::AttributeCut } else { What::AttributeChanged };
                (what, texts(a, b))
            }
            (a, b) if describe(a) == describe(b) => {
                (What::AttributeChanged, [describe(a), format!("another {}", describe(b))])
            }
            (a, b) => (What::AttributeChanged, [describe(a), describe(b)]),
        };
        self.attribute(place, of, key, what, words);
    }

    fn attribute(&mut self, place: Place, of: &str, key: &str, what: What, [mine, theirs]: [String; 2]) {
        let what = match place {
            Place::Resource => What::Resource,
            Place::Scope => What::Scope,
            Place::Span | Place::Event => what,
        };
        self.put(what, &format!("{of}{key}"), mine, theirs);
    }

    /// Whether the list of what is no difference has it.
    fn is_passed_over(
        &self,
        place: Place,
        key: &str,
        mine: Option<&AttributeValue>,
        theirs: Option<&AttributeValue>,
        other: &Span,
    ) -> bool {
        if self.rules.ignores(key) {
            return true;
        }
        if !self.rules.has_jaeger() {
            return false;
        }
        let has_both = mine.is_some() && theirs.is_some();
        match place {
            Place::Resource => key == "service.name" && is_nameless(mine) && is_nameless(theirs),
            Place::Event => !has_both && key == "event",
            Place::Scope => false,
            Place::Span if key == "error" => {
                let is_error = self.span.status == StatusCode::Error && other.status == StatusCode::Error;
                !has_both && is_error
            }
            // One that both have is compared as any other.
            Place::Span => {
                let is_own = key.starts_with('@') || key == "internal.span.format";
                (JAEGER.contains(&key) || key.starts_with(JAEGER_SCOPE)) && (is_own || !has_both)
            }
        }
    }

    fn events(&mut self, mine: &[Event], theirs: &[Event], other: &Span, is_adjusted: bool) {
        let mut left: Vec<&Event> = theirs.iter().collect();
        let mut unmatched = Vec::new();
        for event in mine {
            let at = |o: &&Event| is_adjusted || same_moment(self.rules, event.time, o.time);
            let alike = left.iter().position(|o| at(o) && *o == event);
            match alike.or_else(|| left.iter().position(|o| o.name == event.name && at(o))) {
                Some(position) => {
                    let found = left.remove(position);
                    let of = format!("event {}: ", shown(&event.name));
                    self.attributes(Place::Event, &of, &event.attributes, &found.attributes, other);
                }
                None => unmatched.push(event),
            }
        }
        for event in unmatched {
            self.put(What::EventMissing, &shown(&event.name), "an event", "none");
        }
        for event in left {
            self.put(What::EventExtra, &shown(&event.name), "none", "an event");
        }
    }

    fn links(&mut self, mine: &[Link], theirs: &[Link], other: &Span) {
        let is_parent =
            |span: &Span, link: &Link| link.trace_id == span.trace_id && Some(link.span_id) == span.parent;
        for link in unmatched(mine, theirs).filter(|l| !is_parent(self.span, l)) {
            self.put(What::LinkMissing, "", format!("a link to {}", link.trace_id), "none");
        }
        for link in unmatched(theirs, mine).filter(|l| !is_parent(other, l)) {
            self.put(What::LinkExtra, "", "none", format!("a link to {}", link.trace_id));
        }
    }
}

/// The links that the others have no counterpart of, each being that of one.
fn unmatched<'l>(links: &'l [Link], others: &[Link]) -> impl Iterator<Item = &'l Link> {
    let mut left: Vec<&Link> = others.iter().collect();
    links.iter().filter(move |link| match left.iter().position(|other| other == link) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    })
}

/// No name, or one that says so.
fn is_nameless(name: Option<&AttributeValue>) -> bool {
    match name {
        Some(AttributeValue::String(name)) => name.is_empty() || JAEGER_NAMELESS.contains(&name.as_str()),
        _ => true,
    }
}

/// A scope's attributes. Jaeger keeps them among the span's, where its storage has no place for them: `otel.scope.attributes.…`. One that the
/// other side has among the span's as well is the span's.
fn folded<'s>(store: Store, span: &'s Span, of_scope: &'s Attributes, other: &Span) -> Cow<'s, Attributes> {
    let mut folded = Cow::Borrowed(of_scope);
    for (key, value) in span.attributes.iter().filter(|_| store == Store::Jaeger) {
        let Some(rest) = key.strip_prefix(JAEGER_SCOPE) else { continue };
        let name = rest.strip_prefix("attributes.").unwrap_or(rest);
        if !["name", "version"].contains(&rest) && !other.attributes.contains_key(key) {
            folded.to_mut().entry(name.to_owned()).or_insert_with(|| value.clone());
        }
    }
    folded
}

impl Rules {
    /// Whether one side has whole microseconds only, the other has more, and the first is Jaeger.
    fn may_cut(&self, mine: &[u64], theirs: &[u64]) -> bool {
        let is_coarse = |times: &[u64]| times.iter().all(|t| t.is_multiple_of(MICRO));
        match (is_coarse(mine), is_coarse(theirs)) {
            (true, false) => self.active == Store::Jaeger,
            (false, true) => self.candidate == Store::Jaeger,
            _ => false,
        }
    }
}

/// Equal, or equal in whole microseconds where Jaeger has no more.
fn same_moment(rules: &Rules, mine: u64, theirs: u64) -> bool {
    mine == theirs || rules.may_cut(&[mine], &[theirs]) && mine / MICRO == theirs / MICRO
}

/// Whether two values say the same; either side may be a store without lists, maps and bytes.
pub(crate) fn same_value(mine: &AttributeValue, theirs: &AttributeValue) -> bool {
    use AttributeValue::{Array, Bytes, Double, Map, String};
    match (mine, theirs) {
        (Double(a), Double(b)) => a.to_bits() == b.to_bits(),
        (Bytes(bytes), String(text)) | (String(text), Bytes(bytes)) => base64(bytes) == *text,
        (typed @ (Array(_) | Map(_)), String(text)) | (String(text), typed @ (Array(_) | Map(_))) => {
            serde_json::from_str::<serde_json::Value>(text).is_ok_and(|json| json == typed.to_json())
        }
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b)),
        (Map(a), Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same_value(a, b))
        }
        _ => mine == theirs,
    }
}

/// Whether `theirs` is the beginning of `mine`, a sign that something was cut off aside.
fn is_cut(mine: &str, theirs: &str) -> bool {
    let kept = theirs.strip_suffix('…').or_else(|| theirs.strip_suffix("...")).unwrap_or(theirs);
    theirs.len() < mine.len() && !kept.is_empty() && mine.starts_with(kept)
}

fn describe(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Empty => "no value".to_owned(),
        AttributeValue::String(text) => length(text),
        AttributeValue::Bool(_) => "a truth value".to_owned(),
        AttributeValue::Int(_) => "a whole number".to_owned(),
        AttributeValue::Double(_) => "a number".to_owned(),
        AttributeValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
        AttributeValue::Array(items) => format!("a list of {}", items.len()),
        AttributeValue::Map(map) => format!("a map of {}", map.len()),
    }
}

/// An event's name, if it looks like one: free text may be anything.
fn shown(name: &str) -> Cow<'_, str> {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b"._-/:".contains(&b);
    if name.len() <= 64 && name.bytes().all(is_letter) { name.into() } else { length(name).into() }
}

pub(super) fn length(text: &str) -> String {
    if text.is_empty() { "empty text".to_owned() } else { format!("text of {} bytes", text.len()) }
}

fn texts(mine: &str, theirs: &str) -> [String; 2] {
    if is_cut(mine, theirs) {
        return [length(mine), format!("its first {} bytes", theirs.len())];
    }
    let same = mine.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    [length(mine), format!("{}, other from byte {} on", length(theirs), same + 1)]
}

fn parent_words(parent: Option<SpanId>) -> String {
    parent.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

fn distance(mine: u64, theirs: u64) -> String {
    let nanos = theirs.abs_diff(mine);
    let way = if theirs > mine { "later" } else { "earlier" };
    match nanos {
        0..1_000 => format!("{nanos} ns {way}"),
        1_000..1_000_000 => format!("{} us {way}", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms {way}", nanos / 1_000_000),
        _ => format!("{} s {way}", nanos / 1_000_000_000),
    }
}
