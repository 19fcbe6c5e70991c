use proptest::prelude::*;

use super::{Difference, Rules, Store, What, compare, too_large};
use crate::model::{AttributeValue, Event, Kind, Link, Span, SpanId, StatusCode, TraceId};
use crate::probe::generate;

const AT: u64 = 1_800_000_000_000_000_000;
const STORES: [Store; 2] = [Store::Jaeger, Store::Tempo];

fn trace(seed: u64) -> Vec<Span> {
    let mut spans = generate(seed, AT, 1).remove(0).spans;
    // What a store may hold beside what the probe writes.
    spans[0].attributes.insert("odd".into(), AttributeValue::Double(f64::NAN));
    spans[2].links.push(Link::to(TraceId([8; 16]), SpanId([8; 8])));
    let time = spans[1].start;
    spans[1].events.push(Event { time, name: "exception".into(), attributes: Default::default() });
    spans
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.to_owned())
}

fn whats(differences: &[Difference]) -> Vec<What> {
    let mut out: Vec<What> = differences.iter().map(|d| d.what).collect();
    out.sort();
    out.dedup();
    out
}

type Change = fn(&mut Vec<Span>);
type ChangeAt = fn(&mut Vec<Span>, usize);

/// What a store may do to a trace without changing what it says.
const HARMLESS: [(&str, Change); 7] = [
    ("order of spans", |spans| spans.reverse()),
    ("order of events and links", |spans| {
        spans.iter_mut().for_each(|s| {
            s.events.reverse();
            s.links.reverse();
        })
    }),
    ("repeated spans", |spans| {
        let copies: Vec<Span> = spans.iter().step_by(2).cloned().collect();
        spans.extend(copies);
    }),
    ("lists, maps and bytes as text", |spans| {
        for value in spans.iter_mut().flat_map(|s| s.attributes.values_mut()) {
            *value = match value {
                AttributeValue::Bytes(bytes) => text(&crate::model::base64(bytes)),
                AttributeValue::Array(_) | AttributeValue::Map(_) => text(&value.to_string()),
                _ => value.clone(),
            };
        }
    }),
    ("the parent among the links", |spans| {
        for span in spans {
            let (trace_id, parent) = (span.trace_id, span.parent);
            span.links.extend(parent.map(|span_id| Link::to(trace_id, span_id)));
        }
    }),
    ("what Jaeger adds", |spans| {
        for span in spans {
            let kind = span.kind.word().to_lowercase();
            for (key, value) in
                [("@jaeger@format", "proto"), ("internal.span.format", "otlp"), ("span.kind", kind.as_str())]
            {
                span.attributes.insert(key.into(), text(value));
            }
            span.attributes.insert("otel.scope.name".into(), text(&span.scope.clone()));
            span.attributes
                .insert("@jaeger@warnings".into(), AttributeValue::Array(vec![text("clock skew")]));
            if span.status == StatusCode::Error {
                span.attributes.insert("error".into(), AttributeValue::Bool(true));
            }
            for event in &mut span.events {
                event.attributes.insert("event".into(), text(&event.name.clone()));
            }
        }
    }),
    ("a name for a service without one", |spans| {
        for span in spans.iter_mut().filter(|s| s.service().is_empty()) {
            span.resource.insert("service.name".into(), text("missing-service-name"));
        }
    }),
];

/// What changes what a trace says, and what that is called.
const PLANTED: [(What, ChangeAt); 20] = [
    (What::TraceMissing, |spans, _| spans.clear()),
    (What::SpanMissing, |spans, at| drop(spans.remove(at))),
    (What::SpanExtra, |spans, at| {
        let span = Span { span_id: SpanId([9; 8]), ..spans[at].clone() };
        spans.push(span);
    }),
    (What::AttributeMissing, |spans, at| drop(spans[at].attributes.remove("probe.map"))),
    (What::AttributeCut, |spans, at| cut(spans, at, 5)),
    (What::AttributeChanged, |spans, at| set(spans, at, "probe.text", text("something else"))),
    (What::AttributeChanged, |spans, at| set(spans, at, "probe.int", text("7"))),
    (What::AttributeChanged, |spans, at| set(spans, at, "probe.double", AttributeValue::Double(-1.0))),
    (What::AttributeChanged, |spans, at| set(spans, at, "probe.array", text("[]"))),
    (What::AttributeAdded, |spans, at| set(spans, at, "new", AttributeValue::Bool(true))),
    (What::EventMissing, |spans, _| drop(spans[1].events.remove(0))),
    (What::EventExtra, |spans, at| {
        spans[at].events.push(Event { time: 1, name: "more".into(), attributes: Default::default() });
    }),
    (What::LinkMissing, |spans, _| spans[2].links.clear()),
    (What::LinkExtra, |spans, at| {
        spans[at].links.push(Link::to(TraceId([7; 16]), SpanId([7; 8])));
    }),
    (What::Status, |spans, at| spans[at].status_message.push('!')),
    (What::Name, |spans, at| spans[at].name.push('!')),
    (What::Kind, |spans, at| spans[at].kind = Kind::Unspecified),
    (What::Parent, |spans, at| spans[at].parent = Some(SpanId([3; 8]))),
    (What::Times, |spans, at| spans[at].end += 1_000),
    (What::Resource, |spans, at| drop(spans[at].resource.remove("service.namespace"))),
];

fn set(spans: &mut [Span], at: usize, key: &str, value: AttributeValue) {
    spans[at].attributes.insert(key.to_owned(), value);
}

fn cut(spans: &mut [Span], at: usize, length: usize) {
    let AttributeValue::String(whole) = &spans[at].attributes["probe.text"] else { panic!("it is a text") };
    let cut: String = whole.chars().take(length).collect();
    set(spans, at, "probe.text", text(&cut));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing planted, nothing found: whatever stores may do, alone and together, on either side.
    #[test]
    fn what_is_harmless_is_no_difference(seed: u64, which in 0_u32..128, nameless: bool, swap: bool, to in 0_usize..2) {
        let mut mine = trace(seed);
        if nameless {
            mine.iter_mut().for_each(|s| drop(s.resource.remove("service.name")));
        }
        let mut theirs = mine.clone();
        let chosen: Vec<_> = HARMLESS.iter().enumerate().filter(|(i, _)| which & (1 << i) != 0).collect();
        chosen.iter().for_each(|(_, (_, change))| change(&mut theirs));
        let rules = Rules::between(Store::Jaeger, STORES[to]);
        let compared = if swap { compare(&theirs, &mine, &rules) } else { compare(&mine, &theirs, &rules) };
        let names: Vec<_> = chosen.iter().map(|(_, (name, _))| name).collect();
        prop_assert!(compared.differences.is_empty(), "{names:?}: {:?}", compared.differences);
    }

    /// A host's clock that is another in what one side answers is no difference if that is Jaeger, and the host's spans lie within their
    /// callers' there and not on the other side; and it is one in every other case.
    #[test]
    fn a_clock_is_jaegers_to_adjust_and_only_into_the_caller(
        seed: u64, by in 60_u64..3_600, into: bool, is_jaeger: bool, is_whole: bool, swap: bool,
    ) {
        let within = called_within(seed);
        let outside = moved(&within, by * SECOND);
        let (raw, mut shown) = if into { (outside, within) } else { (within, outside) };
        if !is_whole {
            let one = shown.iter_mut().find(|s| s.service().ends_with("-peer")).unwrap();
            one.end -= 1_000;
        }
        let store = if is_jaeger { Store::Jaeger } else { Store::Tempo };
        let compared = if swap {
            compare(&shown, &raw, &Rules::between(store, Store::Tempo))
        } else {
            compare(&raw, &shown, &Rules::between(Store::Tempo, store))
        };
        let is_adjusted = into && is_jaeger && is_whole;
        prop_assert_eq!(compared.clock_adjusted > 0, is_adjusted);
        prop_assert_eq!(compared.differences.is_empty(), is_adjusted, "{:?}", compared.differences);
    }

    /// One thing planted, and it is found and named, with the span that has it, whatever harmless things go with it.
    #[test]
    fn what_is_planted_is_found(seed: u64, which in 0_u32..32, planted in 0..PLANTED.len(), at: prop::sample::Index) {
        let mine = trace(seed);
        let mut theirs = mine.clone();
        let (what, plant) = PLANTED[planted];
        let at = at.index(mine.len());
        plant(&mut theirs, at);
        for (_, (_, change)) in HARMLESS.iter().enumerate().filter(|(i, _)| which & (1 << i) != 0) {
            change(&mut theirs);
        }
        let found = compare(&mine, &theirs, &Rules::between(Store::Tempo, Store::Jaeger)).differences;
        prop_assert!(whats(&found).contains(&what), "{what:?}: {found:?}");
        // A missing caller or a lost parent breaks the trace, too; nothing else comes along.
        let others: Vec<What> = whats(&found).into_iter().filter(|w| *w != what && *w != What::TraceBroken).collect();
        prop_assert!(others.is_empty(), "{what:?}: {found:?}");
        if !matches!(what, What::TraceMissing | What::SpanExtra | What::EventMissing | What::LinkMissing) {
            prop_assert_eq!(found[0].span, Some(mine[at].span_id));
        }
    }
}

#[test]
fn jaegers_additions_count_where_there_is_no_jaeger() {
    let mine = trace(1);
    let mut theirs = mine.clone();
    set(&mut theirs, 0, "internal.span.format", text("otlp"));
    let found = |rules| whats(&compare(&mine, &theirs, &rules).differences);
    assert_eq!(found(Rules::between(Store::Tempo, Store::Tempo)), [What::AttributeAdded]);
    assert_eq!(found(Rules::between(Store::Tempo, Store::Jaeger)), []);
    let declared = Rules { ignore: vec!["internal.*".into()], ..Rules::between(Store::Tempo, Store::Tempo) };
    assert_eq!(found(declared), []);
}

#[test]
fn a_store_that_keeps_microseconds_is_no_difference_and_a_moved_microsecond_is() {
    let mut mine = trace(1);
    mine.iter_mut().for_each(|s| (s.start, s.end) = (s.start + 999, s.end + 1_998));
    mine.iter_mut().for_each(|s| s.events.iter_mut().for_each(|e| e.time += 7));
    let mut theirs = mine.clone();
    for span in &mut theirs {
        let length = (span.end - span.start) / 1_000 * 1_000;
        span.start = span.start / 1_000 * 1_000;
        span.end = span.start + length;
        span.events.iter_mut().for_each(|e| e.time = e.time / 1_000 * 1_000);
    }
    let rules = Rules::between(Store::Tempo, Store::Jaeger);
    assert_eq!(compare(&mine, &theirs, &rules).differences, []);
    theirs[2].start += 1_000;
    let found = compare(&mine, &theirs, &rules).differences;
    assert_eq!((whats(&found), found[0].field.as_str()), (vec![What::Times], "start"));
}

/// Scenario: one of two Tempos cuts nanoseconds. Guarantee: only Jaeger is known for that, and only on its own side.
#[test]
fn who_keeps_nanoseconds_cuts_none() {
    let cut = trace(1);
    let mut whole = cut.clone();
    whole.iter_mut().for_each(|s| (s.start, s.end) = (s.start + 999, s.end + 999));
    let found = |a, b| whats(&compare(&whole, &cut, &Rules::between(a, b)).differences);
    for (active, candidate, is_found) in [(1, 1, true), (0, 1, true), (1, 0, false), (0, 0, false)] {
        let expected: &[What] = if is_found { &[What::Times] } else { &[] };
        assert_eq!(found(STORES[active], STORES[candidate]), expected, "{active} {candidate}");
    }
    let at = |nanos| {
        let mut spans = cut.clone();
        spans[1].events[0].time = cut[1].events[0].time + nanos;
        spans
    };
    let events = |store| whats(&compare(&at(7), &at(0), &Rules::between(store, store)).differences);
    assert_eq!(events(Store::Jaeger), []);
    assert_eq!(events(Store::Tempo), [What::EventMissing, What::EventExtra]);
}

/// Scenario: Jaeger has a scope's attribute among the span's; or one side has none, or another, with Jaeger on either side.
/// Guarantee: the first is no difference, and the others are.
#[test]
fn a_scopes_attributes_are_compared_wherever_jaeger_keeps_them() {
    let mine = trace(1);
    let moved = |prefix: &str| {
        let mut spans = mine.clone();
        for span in &mut spans {
            for (key, value) in std::mem::take(&mut span.scope_attributes) {
                span.attributes.insert(format!("{prefix}{key}"), value);
            }
        }
        spans
    };
    let (tempo, jaeger) = (Store::Tempo, Store::Jaeger);
    for prefix in ["otel.scope.attributes.", "otel.scope."] {
        let theirs = moved(prefix);
        assert_eq!(compare(&mine, &theirs, &Rules::between(tempo, jaeger)).differences, []);
        assert_eq!(compare(&theirs, &mine, &Rules::between(jaeger, tempo)).differences, []);
        assert_eq!(compare(&theirs, &mine, &Rules::between(jaeger, jaeger)).differences, []);
        assert_eq!(compare(&theirs, &theirs, &Rules::between(jaeger, tempo)).differences, []);
    }
    let (mut without, mut other) = (mine.clone(), moved("otel.scope.attributes."));
    without.iter_mut().for_each(|span| span.scope_attributes.clear());
    set(&mut other, 1, "otel.scope.attributes.probe.scope", text("no longer masked"));
    for (active, candidate) in [(tempo, jaeger), (jaeger, tempo), (jaeger, jaeger)] {
        let rules = Rules::between(active, candidate);
        assert_eq!(whats(&compare(&mine, &without, &rules).differences), [What::Scope], "lost");
        assert_eq!(whats(&compare(&without, &mine, &rules).differences), [What::Scope], "kept by one");
    }
    assert_eq!(whats(&compare(&mine, &other, &Rules::between(tempo, jaeger)).differences), [What::Scope]);
}

/// Scenario: a span links twice to one other, and one side keeps one of them. Guarantee: it lacks a link.
#[test]
fn a_link_is_the_counterpart_of_one() {
    let (mut mine, theirs) = (trace(1), trace(1));
    let again = mine[2].links.last().unwrap().clone();
    mine[2].links.push(again);
    let rules = Rules::between(Store::Jaeger, Store::Tempo);
    assert_eq!(whats(&compare(&mine, &theirs, &rules).differences), [What::LinkMissing]);
    assert_eq!(whats(&compare(&theirs, &mine, &rules).differences), [What::LinkExtra]);
    assert_eq!(compare(&mine, &mine, &rules).differences, []);
}

const SECOND: u64 = 1_000_000_000;

/// A trace in which the caller waits for all of the called host's spans.
fn called_within(seed: u64) -> Vec<Span> {
    let mut spans = trace(seed);
    let called: Vec<SpanId> =
        spans.iter().filter(|s| s.service().ends_with("-peer")).filter_map(|s| s.parent).collect();
    for span in spans.iter_mut().filter(|s| called.contains(&s.span_id) && !s.service().ends_with("-peer")) {
        (span.start, span.end) = (AT - 4 * SECOND, AT);
    }
    spans
}

/// The called host's clock, so much later.
fn moved(spans: &[Span], by: u64) -> Vec<Span> {
    let mut spans = spans.to_vec();
    for span in spans.iter_mut().filter(|s| s.service().ends_with("-peer")) {
        (span.start, span.end) = (span.start + by, span.end + by);
        span.events.iter_mut().for_each(|e| e.time += by);
    }
    spans
}

/// Scenario: the store of one side moves a host's clock, so that a call lies within its caller's span.
/// Guarantee: that is no difference, and is counted; a host that moves out of its caller's span, or one span of it alone, is one.
#[test]
fn an_adjusted_clock_is_counted_and_a_moved_span_found() {
    let mine = called_within(1);
    let skewed = moved(&mine, 60 * SECOND);
    let rules = Rules::between(Store::Tempo, Store::Jaeger);
    let compared = compare(&skewed, &mine, &rules);
    let count = mine.iter().filter(|s| s.service().ends_with("-peer")).count();
    assert_eq!((compared.differences.as_slice(), compared.clock_adjusted), (&[][..], count as u32));

    let further = moved(&skewed, 60 * SECOND);
    assert_eq!(
        whats(&compare(&skewed, &further, &rules).differences),
        [What::EventMissing, What::EventExtra, What::Times]
    );

    let mut one = mine.clone();
    one[0].start += SECOND;
    assert_eq!(whats(&compare(&mine, &one, &rules).differences), [What::Times]);
}

/// Scenario: spans have other flags on one side, or none.
/// Guarantee: other flags are a difference; none are one of which only all traces show whether it counts, and none in Tempo.
#[test]
fn flags_differ_and_where_they_are_cleared_it_depends() {
    let mine = trace(1);
    let mut theirs = mine.clone();
    theirs[1].flags = 0x100;
    theirs[2].flags = 0;
    for (store, is_aside) in [(Store::Jaeger, true), (Store::Tempo, false)] {
        let compared = compare(&mine, &theirs, &Rules::between(store, store));
        let [difference] = compared.differences.as_slice() else { panic!("{compared:?}") };
        assert_eq!((difference.what, difference.field.as_str()), (What::TraceState, "flags"));
        assert_eq!((difference.active.as_str(), difference.candidate.as_str()), ("0x101", "0x100"));
        assert_eq!(compared.has_flags, [true, true]);
        assert_eq!(compared.cleared_flags.each_ref().map(Option::is_some), [false, is_aside]);
        let swapped = compare(&theirs, &mine, &Rules::between(store, store));
        assert_eq!(swapped.cleared_flags.each_ref().map(Option::is_some), [is_aside, false]);
    }
    theirs.iter_mut().for_each(|span| span.flags = 0);
    assert_eq!(
        compare(&mine, &theirs, &Rules::between(Store::Jaeger, Store::Jaeger)).has_flags,
        [true, false]
    );
}

/// Zipkin's client and server spans share an id; Tempo gives the server another one when it answers.
#[test]
fn shared_ids_are_told_apart_by_tempo_and_that_is_no_difference() {
    let mut mine = trace(1);
    mine.truncate(3);
    let (client, server) = (SpanId([1; 8]), SpanId([2; 8]));
    let root = mine[0].span_id;
    (mine[0].kind, mine[0].parent) = (Kind::Internal, None);
    (mine[1].kind, mine[1].span_id, mine[1].parent) = (Kind::Client, client, Some(root));
    (mine[2].kind, mine[2].span_id, mine[2].parent) = (Kind::Server, client, Some(root));
    let below =
        Span { span_id: SpanId([4; 8]), parent: Some(client), kind: Kind::Internal, ..mine[2].clone() };
    mine.push(below);
    let mut theirs = mine.clone();
    (theirs[2].span_id, theirs[2].parent) = (server, Some(client));
    theirs[3].parent = Some(server);
    assert_eq!(compare(&mine, &theirs, &Rules::between(Store::Jaeger, Store::Tempo)).differences, []);
    let found = compare(&mine, &theirs, &Rules::between(Store::Jaeger, Store::Jaeger)).differences;
    assert!(!found.is_empty(), "Jaeger does no such thing");
    let mut elsewhere = theirs.clone();
    elsewhere[2].parent = Some(SpanId([9; 8]));
    let found = compare(&mine, &elsewhere, &Rules::between(Store::Jaeger, Store::Tempo)).differences;
    assert!(whats(&found).contains(&What::Parent), "{found:?}");
    assert_eq!(compare(&theirs, &mine, &Rules::between(Store::Tempo, Store::Jaeger)).differences, []);
}

/// Scenario: a pipeline gives a span another id, though no other span has it.
/// Guarantee: that is a lost span, with Tempo on either side, too.
#[test]
fn an_id_that_nobody_shares_is_no_tempos_to_change() {
    let mine = trace(1);
    let mut theirs = mine.clone();
    let leaf = mine.iter().position(|s| mine.iter().all(|o| o.parent != Some(s.span_id))).unwrap();
    theirs[leaf].span_id = SpanId([9; 8]);
    for (active, candidate) in [(0, 1), (1, 0), (1, 1), (0, 0)].map(|(a, c)| (STORES[a], STORES[c])) {
        let found = compare(&mine, &theirs, &Rules::between(active, candidate)).differences;
        assert_eq!(whats(&found), [What::SpanMissing, What::SpanExtra], "{active:?} {candidate:?}");
    }
}

/// Scenario: an answer with thousands of spans of one id, some of them alike, in another order.
/// Guarantee: each is paired with its own; copies are counted; and what is too large is not compared at all.
#[test]
fn many_spans_of_one_id_are_told_apart_by_what_they_say() {
    let first = Span { span_id: SpanId([5; 8]), ..trace(1)[1].clone() };
    let mut mine: Vec<Span> =
        (0..2_000).map(|n| Span { end: first.end + n % 1_900, ..first.clone() }).collect();
    let theirs: Vec<Span> = mine.iter().rev().cloned().collect();
    let rules = Rules::between(Store::Jaeger, Store::Jaeger);
    let compared = compare(&mine, &theirs, &rules);
    assert_eq!((compared.differences.as_slice(), compared.repeated), (&[][..], 200));
    assert_eq!(too_large(&mine), None);
    mine[7].links = vec![Link::to(TraceId([8; 16]), SpanId([8; 8])); 1_001];
    assert!(too_large(&mine).unwrap().starts_with("one of its spans has 10"));
    assert!(too_large(&vec![first; 50_001]).unwrap().starts_with("it has 50001 spans"));
}

#[test]
fn values_are_never_in_a_difference() {
    let secret = "4111-1111-1111-1111";
    let mut mine = trace(1);
    set(&mut mine, 0, "card", text(secret));
    mine[0].status_message = secret.to_owned();
    mine[0].trace_state = secret.to_owned();
    mine[0].resource.insert("owner".into(), text(secret));
    mine[0].events =
        vec![Event { time: 1, name: "e".into(), attributes: [("card".to_owned(), text(secret))].into() }];
    let mut theirs = mine.clone();
    set(&mut theirs, 0, "card", text("4111-1111-1111"));
    set(&mut theirs, 0, "other", text(secret));
    theirs[0].status_message = "4111-2".to_owned();
    theirs[0].trace_state = String::new();
    theirs[0].resource.insert("owner".into(), text("5111-1111"));
    theirs[0].events[0].attributes.clear();
    // A name may be free text, and one side may have masked what the other shows in it.
    mine[0].name = format!("GET /cards/{secret}");
    theirs[0].name = "GET /cards/{card}".to_owned();
    let event = Event { time: 2, name: format!("charged {secret}"), attributes: Default::default() };
    mine[0].events.push(event);
    let found = compare(&mine, &theirs, &Rules::between(Store::Jaeger, Store::Jaeger)).differences;
    assert_eq!(found.len(), 8);
    let mut groups = super::groups::Groups::default();
    groups.add(TraceId([1; 16]), &found);
    let shown = format!("{found:?} {:?}", groups.all());
    assert!(!shown.contains("4111") && !shown.contains("5111"), "{shown}");
    assert!(!shown.contains("/cards/") && shown.contains("text of 30 bytes"), "{shown}");
    let card = found.iter().find(|d| d.what == What::AttributeCut).unwrap();
    assert_eq!((card.active.as_str(), card.candidate.as_str()), ("text of 19 bytes", "its first 14 bytes"));
}

#[test]
fn a_trace_that_breaks_between_services_names_both() {
    let mine = trace(1);
    let mut theirs = mine.clone();
    let call = mine.iter().position(|s| s.kind == Kind::Client).unwrap();
    theirs.remove(call);
    let found = compare(&mine, &theirs, &Rules::between(Store::Jaeger, Store::Jaeger)).differences;
    assert_eq!(whats(&found), [What::TraceBroken, What::SpanMissing]);
    let broken = found.iter().find(|d| d.what == What::TraceBroken).unwrap();
    assert_eq!(broken.field, "crossfade-probe -> crossfade-probe-peer");
}
