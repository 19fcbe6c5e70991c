//! Expected against read, span by span.

use std::collections::BTreeMap;

use super::generate::Trace;
use super::report::{Failure, Finding};
use crate::model::{AttributeValue, Attributes, Event, Link, Span, SpanId};
use crate::words::counted;

/// Whether the writer may have written a span twice (it sent a request again after no answer came).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Each span was written once: one that comes back twice is a finding.
    Unexpected,
    /// A span may come back twice.
    Possible,
}

/// What of `expected` did not come back as it was written; nothing if the trace is whole.
///
/// Lists, maps and bytes may come back as their JSON or base64 text, which is how stores without these types keep them.
/// Attributes that were added are no findings.
pub fn compare(expected: &Trace, read: &[Span], repeats: Repeats) -> Vec<Finding> {
    if read.is_empty() {
        let detail = "the trace cannot be found".to_owned();
        return vec![Finding::new(Failure::NotFound, expected.id, detail)];
    }
    let mut by_id: BTreeMap<SpanId, Vec<&Span>> = BTreeMap::new();
    for span in read {
        by_id.entry(span.span_id).or_default().push(span);
    }
    let mut findings = Vec::new();
    missing(expected, &by_id, &mut findings);
    extra(expected, &by_id, repeats, &mut findings);
    for span in &expected.spans {
        for back in by_id.get(&span.span_id).into_iter().flatten() {
            differences(span, back, &mut findings);
        }
    }
    findings
}

fn missing(expected: &Trace, read: &BTreeMap<SpanId, Vec<&Span>>, findings: &mut Vec<Finding>) {
    let gone: Vec<&Span> = expected.spans.iter().filter(|s| !read.contains_key(&s.span_id)).collect();
    if gone.is_empty() {
        return;
    }
    let names: Vec<String> =
        gone.iter().map(|s| format!("{} `{}` of {}", s.kind.word(), s.name, s.service())).collect();
    let all = counted(expected.spans.len() as u64, "span", "spans");
    let are = if gone.len() == 1 { "is" } else { "are" };
    let detail = format!("{} of {all} {are} missing: {}", gone.len(), names.join(", "));
    let mut finding = Finding::new(Failure::MissingSpans, expected.id, detail);
    finding.span_id = gone.first().map(|s| s.span_id);
    finding.kinds = gone.iter().map(|s| s.kind).collect();
    findings.push(finding);
}

fn extra(
    expected: &Trace,
    read: &BTreeMap<SpanId, Vec<&Span>>,
    repeats: Repeats,
    findings: &mut Vec<Finding>,
) {
    for (id, spans) in read {
        let known = expected.spans.iter().any(|s| s.span_id == *id);
        let detail = match (known, spans.as_slice()) {
            (false, [span, ..]) => format!("span `{}` of {} was never written", span.name, span.service()),
            (true, [span, _, ..]) if repeats == Repeats::Unexpected => {
                format!("span `{}` came back {} times", span.name, spans.len())
            }
            _ => continue,
        };
        let mut finding = Finding::new(Failure::ExtraSpans, expected.id, detail);
        finding.span_id = Some(*id);
        findings.push(finding);
    }
}

/// A field of a span that is not as it was written.
struct Difference {
    field: String,
    wanted: String,
    found: String,
    /// Of a text whose end alone is gone.
    kept_bytes: Option<usize>,
}

impl Difference {
    fn of(field: String, wanted: String, found: String) -> Self {
        Self { field, wanted, found, kept_bytes: None }
    }
}

fn differences(expected: &Span, read: &Span, findings: &mut Vec<Finding>) {
    let mut put = |Difference { field, wanted, found, kept_bytes }: Difference| {
        let span = format!("span `{}` of {}", expected.name, expected.service());
        let (failure, detail) = match kept_bytes {
            None => (Failure::IncorrectSpan, format!("{span}: {field} differs")),
            Some(kept) => (Failure::ValueCut, format!("{span}: {field} was cut to {kept} bytes")),
        };
        let mut finding = Finding::new(failure, expected.trace_id, detail);
        finding.kept_bytes = kept_bytes;
        finding.span_id = Some(expected.span_id);
        finding.field = Some(field);
        finding.expected = Some(wanted);
        finding.found = Some(found);
        findings.push(finding);
    };
    let parent = |s: &Span| s.parent.map_or_else(|| "none".to_owned(), |p| p.to_string());
    let plain = [
        ("trace_id", expected.trace_id.to_string(), read.trace_id.to_string()),
        ("parent_span_id", parent(expected), parent(read)),
        ("trace_state", expected.trace_state.clone(), read.trace_state.clone()),
        ("scope.name", expected.scope.clone(), read.scope.clone()),
        ("scope.version", expected.scope_version.clone(), read.scope_version.clone()),
        ("name", expected.name.clone(), read.name.clone()),
        ("kind", expected.kind.word().to_owned(), read.kind.word().to_owned()),
        ("start_time", expected.start.to_string(), read.start.to_string()),
        ("end_time", expected.end.to_string(), read.end.to_string()),
        ("status.code", format!("{:?}", expected.status), format!("{:?}", read.status)),
        ("status.message", expected.status_message.clone(), read.status_message.clone()),
    ];
    for (field, wanted, found) in plain {
        if wanted != found {
            put(Difference::of(field.to_owned(), wanted, found));
        }
    }
    // The sampled flag; a store that keeps no flags has 0 there.
    if read.flags != 0 && expected.flags & 1 != read.flags & 1 {
        let flags = |span: &Span| format!("{:#x}", span.flags);
        put(Difference::of("flags".to_owned(), flags(expected), flags(read)));
    }
    attributes("resource", &expected.resource, &read.resource, &mut put);
    scope(expected, read, &mut put);
    attributes("attributes", &expected.attributes, &read.attributes, &mut put);
    events(&expected.events, &read.events, &mut put);
    links(expected, read, &mut put);
}

/// Jaeger keeps them among the span's own, where its storage has no place for them.
fn scope(expected: &Span, read: &Span, put: &mut impl FnMut(Difference)) {
    let mut kept = read.scope_attributes.clone();
    for (key, value) in &read.attributes {
        if let Some(key) =
            key.strip_prefix("otel.scope.attributes.").or_else(|| key.strip_prefix("otel.scope."))
        {
            kept.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    attributes("scope", &expected.scope_attributes, &kept, put);
}

/// In any order: OTLP gives links none. What came back as it was written is put aside first; each other link is held against the one that
/// is most like it.
fn links(expected: &Span, read: &Span, put: &mut impl FnMut(Difference)) {
    let mut left: Vec<&Link> = read.links.iter().collect();
    let mut changed: Vec<(usize, &Link)> = Vec::new();
    for (i, link) in expected.links.iter().enumerate() {
        match left.iter().position(|found| link_to(i, link, found).is_some_and(|wrong| wrong.is_empty())) {
            Some(at) => drop(left.remove(at)),
            None => changed.push((i, link)),
        }
    }
    for (i, link) in changed {
        let alike = (0..left.len())
            .filter_map(|at| Some((at, link_to(i, link, left.get(at)?)?)))
            .min_by_key(|(_, wrong)| wrong.len());
        match alike {
            Some((at, wrong)) => {
                left.remove(at);
                wrong.into_iter().for_each(&mut *put);
            }
            None => {
                let to = format!("to span {} of trace {}", link.span_id, link.trace_id);
                put(Difference::of(format!("links[{i}]"), to, "nothing".to_owned()));
            }
        }
    }
    // A store that knows references only lists the parent among them.
    left.retain(|link| link.trace_id != read.trace_id || Some(link.span_id) != read.parent);
    if !left.is_empty() {
        let count = |more: usize| counted((expected.links.len() + more) as u64, "link", "links");
        put(Difference::of("links".to_owned(), count(0), count(left.len())));
    }
}

/// What differs, if they lead to the same span.
fn link_to(i: usize, wanted: &Link, found: &Link) -> Option<Vec<Difference>> {
    if (wanted.trace_id, wanted.span_id) != (found.trace_id, found.span_id) {
        return None;
    }
    let mut wrong = Vec::new();
    if wanted.trace_state != found.trace_state {
        let (wanted, found) = (wanted.trace_state.clone(), found.trace_state.clone());
        wrong.push(Difference::of(format!("links[{i}].trace_state"), wanted, found));
    }
    let place = format!("links[{i}].attributes");
    attributes(&place, &wanted.attributes, &found.attributes, &mut |difference| wrong.push(difference));
    Some(wrong)
}

fn attributes(place: &str, expected: &Attributes, read: &Attributes, put: &mut impl FnMut(Difference)) {
    for (key, wanted) in expected {
        let found = read.get(key);
        if found.is_some_and(|found| same_value(wanted, found)) {
            continue;
        }
        let kept_bytes = found.and_then(|found| kept_of(wanted, found));
        let text = |found: &AttributeValue| match found {
            AttributeValue::String(text) if kept_bytes.is_some() => format!("{} bytes", text.len()),
            other => cut(&other.to_string()),
        };
        let found = found.map_or_else(|| "nothing".to_owned(), text);
        put(Difference { kept_bytes, ..Difference::of(format!("{place}[{key}]"), text(wanted), found) });
    }
}

/// How many bytes are left of a text, if its end alone is gone. Nothing at all is no cut.
fn kept_of(wanted: &AttributeValue, found: &AttributeValue) -> Option<usize> {
    let (AttributeValue::String(wanted), AttributeValue::String(found)) = (wanted, found) else {
        return None;
    };
    (!found.is_empty() && wanted.starts_with(found.as_str())).then_some(found.len())
}

fn events(expected: &[Event], read: &[Event], put: &mut impl FnMut(Difference)) {
    if expected.len() != read.len() {
        let count = |events: &[Event]| counted(events.len() as u64, "event", "events");
        return put(Difference::of("events".to_owned(), count(expected), count(read)));
    }
    let mut sorted: Vec<&Event> = read.iter().collect();
    sorted.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    let mut wanted: Vec<&Event> = expected.iter().collect();
    wanted.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    for (i, (e, r)) in wanted.iter().zip(sorted).enumerate() {
        if e.name != r.name {
            put(Difference::of(format!("events[{i}].name"), e.name.clone(), r.name.clone()));
        }
        if e.time != r.time {
            put(Difference::of(format!("events[{i}].time"), e.time.to_string(), r.time.to_string()));
        }
        attributes(&format!("events[{i}].attributes"), &e.attributes, &r.attributes, put);
    }
}

/// As parity sees it; but what was written as text has to come back as one.
fn same_value(expected: &AttributeValue, read: &AttributeValue) -> bool {
    let is_text = |value: &AttributeValue| matches!(value, AttributeValue::String(_));
    (is_text(read) || !is_text(expected)) && crate::difference::same_value(expected, read)
}

/// A value short enough for a report: where it was cut shows in its length.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= 200 {
        return text.to_owned();
    }
    format!("{}… ({length} characters)", text.chars().take(60).collect::<String>())
}
