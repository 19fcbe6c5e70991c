use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{self, AttributeValue, Kind, Span, SpanId, StatusCode, TraceId};

const AT: u64 = 1_800_000_000_123_456_789;

fn first() -> Trace {
    generate(42, AT, 1).remove(0)
}

/// Changes what comes back of the first trace and expects these findings, as `failure field`.
#[track_caller]
fn check(change: impl FnOnce(&mut Vec<Span>), expected: &[&str]) {
    let trace = first();
    let mut read = trace.spans.clone();
    change(&mut read);
    let found: Vec<String> = compare(&trace, &read, Repeats::Unexpected)
        .iter()
        .map(|f| format!("{} {}", f.failure.name(), f.field.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn seed_and_time_make_the_same_traces_again() {
    assert_eq!(generate(42, AT, 20), generate(42, AT, 20));
    assert_eq!(generate(42, AT, 20)[..5], generate(42, AT, 5)[..]);
    let ids = |seed, at| generate(seed, at, 50).iter().map(|t| t.id).collect::<BTreeSet<_>>();
    for other in [ids(43, AT), ids(42, AT + 1)] {
        assert_eq!(ids(42, AT).intersection(&other).count(), 0);
    }
}

/// Scenario: a service of somebody who likes the name. Guarantee: it is looked at as any other.
#[test]
fn only_what_is_made_up_is_own() {
    let own = [
        "crossfade-probe",
        "crossfade-probe-peer",
        "crossfade-probe-peer-11",
        "crossfade-load",
        "crossfade-load-peer",
    ];
    assert!(own.iter().all(|service| is_own(service)));
    for other in [
        "crossfade-gateway",
        "crossfade-probe-peers",
        "crossfade-probe-peer-",
        "crossfade-probe-peer-x",
        "crossfade-load-1",
        "crossfade-",
    ] {
        assert!(!is_own(other), "{other}");
    }
}

/// Scenario: whatever an environment may lose of a span. Guarantee: a few traces hold an example of it.
#[test]
fn traces_are_rich() {
    let traces = generate(7, AT, 50);
    let spans: Vec<&Span> = traces.iter().flat_map(|t| &t.spans).collect();
    let kinds: BTreeSet<Kind> = traces[0].spans.iter().map(|s| s.kind).collect();
    assert_eq!(kinds, Kind::SET.into(), "every single trace has every kind");
    for status in [StatusCode::Unset, StatusCode::Ok, StatusCode::Error] {
        assert!(spans.iter().any(|s| s.status == status));
    }
    let services: BTreeSet<&str> = spans.iter().map(|s| s.service()).collect();
    assert!(services.len() > 10 && services.iter().all(|service| is_own(service)), "{services:?}");
    assert!(spans.iter().any(|s| s.events.len() > 1) && spans.iter().any(|s| !s.links.is_empty()));
    let types: BTreeSet<_> =
        spans[0].attributes.values().map(std::mem::discriminant).map(|d| format!("{d:?}")).collect();
    assert_eq!(types.len(), 7);
    assert!(spans.iter().any(|s| s.attributes.contains_key("probe.long")));
    assert!(spans.iter().any(|s| s.kind == Kind::Unspecified) && spans.iter().any(|s| s.flags & 1 == 0));
    assert!(spans.iter().any(|s| s.attributes.values().any(|value| *value == AttributeValue::Empty)));
    assert!(spans.iter().all(|s| !s.scope_attributes.is_empty()) && spans.iter().any(|s| s.links.len() > 2));
    assert!(spans.iter().all(|s| s.resource.contains_key("crossfade.probe")));
}

/// Scenario: real traces are deep, wide, spread over many services, and arrive in pieces. Guarantee: so do some of these.
#[test]
fn shapes_and_deliveries_differ() {
    let traces = generate(7, AT, 8);
    let depth = |trace: &Trace| {
        let parent = |id: SpanId| trace.spans.iter().find(|s| s.span_id == id).and_then(|s| s.parent);
        let of = |span: &Span| std::iter::successors(span.parent, |id| parent(*id)).count();
        trace.spans.iter().map(of).max().unwrap()
    };
    let width = |trace: &Trace| {
        let below = |id| trace.spans.iter().filter(|s| s.parent == Some(id)).count();
        trace.spans.iter().map(|s| below(s.span_id)).max().unwrap()
    };
    let services = |trace: &Trace| trace.spans.iter().map(Span::service).collect::<BTreeSet<_>>().len();
    assert!(depth(&traces[1]) > 30 && width(&traces[2]) > 60 && services(&traces[3]) > 12);
    assert!(traces[4].spans.iter().any(|s| s.attributes.contains_key("probe.empty")));
    for trace in &traces {
        let requests = trace.requests();
        let sent: usize = requests.iter().map(Vec::len).sum();
        assert_eq!(sent, trace.spans.len());
        assert!(requests.iter().all(|request| !request.is_empty()));
    }
    assert_eq!(traces[5].requests().len(), 2, "a request for each service");
    let late = traces[6].requests();
    assert_eq!((late.len(), late[1].len(), late[1][0].parent), (2, 1, None), "the root comes last");
    assert_eq!(traces[0].requests().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Scenario: any seed and time. Guarantee: trees with valid, distinct ids; times in order, in whole microseconds, recent
    /// and past; every trace equals itself.
    #[test]
    fn traces_are_well_formed(seed: u64, at in 10_000_000_000_u64..u64::MAX / 2) {
        for trace in generate(seed, at, 3) {
            let ids: BTreeSet<SpanId> = trace.spans.iter().map(|s| s.span_id).collect();
            prop_assert_eq!(ids.len(), trace.spans.len());
            prop_assert!(!ids.contains(&SpanId([0; 8])) && trace.id != TraceId([0; 16]));
            for (i, span) in trace.spans.iter().enumerate() {
                prop_assert_eq!(span.parent.is_none(), i == 0);
                prop_assert!(span.parent.is_none_or(|p| ids.contains(&p)));
                prop_assert!(span.start < span.end && span.end <= at && at - span.start <= 2_000_000_000);
                prop_assert!(span.start % 1000 == 0 && span.end % 1000 == 0);
                prop_assert!(span.events.iter().all(|e| (span.start..=span.end).contains(&e.time)));
                prop_assert!(span.events.is_sorted_by_key(|e| e.time));
            }
            prop_assert_eq!(compare(&trace, &trace.spans, Repeats::Unexpected), []);
        }
    }

    /// Scenario: one field of one span is lost or changed. Guarantee: exactly that span is named.
    #[test]
    fn any_one_change_is_found(seed: u64, span in 0_usize..6, field in 0_usize..14) {
        let trace = generate(seed, AT, 1).remove(0);
        let mut read = trace.spans.clone();
        let changed = read[span].span_id;
        let s = &mut read[span];
        match field {
            0 => s.parent = Some(SpanId([9; 8])),
            1 => s.name.push('x'),
            2 => s.kind = Kind::Unspecified,
            3 => s.start -= 1,
            4 => s.end += 1,
            5 => s.status = if s.status == StatusCode::Ok { StatusCode::Unset } else { StatusCode::Ok },
            6 => s.trace_state.push('x'),
            7 => s.scope.clear(),
            8 => drop(s.attributes.pop_last()),
            9 => drop(s.resource.remove("service.name")),
            10 => s.events.push(model::Event { time: 1, name: String::new(), attributes: Default::default() }),
            11 => s.links.push(model::Link::to(trace.id, SpanId([7; 8]))),
            12 => s.status_message.push('x'),
            _ => drop(s.attributes.insert("probe.int".to_owned(), AttributeValue::Double(0.5))),
        }
        let findings = compare(&trace, &read, Repeats::Unexpected);
        prop_assert!(!findings.is_empty());
        prop_assert!(findings.iter().all(|f| f.failure == Failure::IncorrectSpan && f.span_id == Some(changed)));
    }
}

#[test]
fn what_is_lost_or_added_is_named() {
    check(|read| read.clear(), &["not_found -"]);
    check(|read| read.retain(|s| s.kind != Kind::Client), &["missing_spans -"]);
    check(|read| read.push(read[0].clone()), &["extra_spans -"]);
    check(
        |read| {
            read[0].span_id = SpanId([1; 8]);
        },
        &["missing_spans -", "extra_spans -"],
    );
}

#[test]
fn changed_fields_are_named() {
    check(|read| read[1].name.push('x'), &["incorrect_span name"]);
    check(|read| read[0].start += 1, &["incorrect_span start_time"]);
    check(
        |read| {
            read[0].attributes.remove("probe.int");
            read[0].resource.remove("service.namespace");
        },
        &["incorrect_span resource[service.namespace]", "incorrect_span attributes[probe.int]"],
    );
    for (key, value) in [
        ("probe.double", AttributeValue::Double(0.25)),
        ("probe.bytes", AttributeValue::Bytes(vec![0])),
        ("probe.bytes", AttributeValue::String("AA==".to_owned())),
        ("probe.array", AttributeValue::String("[\"a\"]".to_owned())),
        ("probe.map", AttributeValue::Map(Default::default())),
        ("probe.bool", AttributeValue::String("true".to_owned())),
    ] {
        let field = format!("incorrect_span attributes[{key}]");
        check(|read| drop(read[0].attributes.insert(key.to_owned(), value)), &[&field]);
    }
    check(
        |read| {
            let text = AttributeValue::String("cut".to_owned());
            read[0].attributes.insert("probe.text".to_owned(), text);
        },
        &["incorrect_span attributes[probe.text]"],
    );
}

#[test]
fn what_an_environment_may_do_is_no_finding() {
    check(|read| read.reverse(), &[]);
    check(
        |read| {
            for span in read {
                span.resource.insert("host.name".to_owned(), AttributeValue::String("h".to_owned()));
                span.attributes.insert("added".to_owned(), AttributeValue::Bool(true));
                span.events.reverse();
            }
        },
        &[],
    );
    // A store without lists, maps and bytes keeps their text.
    check(
        |read| {
            for value in read.iter_mut().flat_map(|s| s.attributes.values_mut()) {
                match value {
                    AttributeValue::Array(_) | AttributeValue::Map(_) => {
                        *value = AttributeValue::String(value.to_string());
                    }
                    AttributeValue::Bytes(bytes) => *value = AttributeValue::String(model::base64(bytes)),
                    _ => {}
                }
            }
        },
        &[],
    );
    let trace = first();
    let twice = [trace.spans.clone(), trace.spans.clone()].concat();
    assert_eq!(compare(&trace, &twice, Repeats::Possible), []);
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(model::base64(bytes.as_bytes()), text);
    }
}

#[test]
fn ids_read_back_and_refuse_what_is_none() {
    let trace = first();
    assert_eq!(trace.id.to_string().parse(), Ok(trace.id));
    assert_eq!(trace.id.to_string().to_uppercase().parse(), Ok(trace.id));
    for text in ["", "0", "+1+1+1+1+1+1+1+1", "zz00000000000000", "é000000000000000"] {
        assert!(text.parse::<SpanId>().is_err(), "{text}");
    }
}

fn results(fail: impl Fn(usize, &Trace) -> Vec<Finding>) -> Vec<TraceResult> {
    let traces = generate(42, AT, 100);
    traces
        .iter()
        .enumerate()
        .map(|(i, trace)| {
            let findings = fail(i, trace);
            let read_back = findings.is_empty().then(|| Duration::from_millis(10 * (i as u64 + 1)));
            TraceResult { trace_id: trace.id, read_back, findings }
        })
        .collect()
}

#[test]
fn a_whole_run_passes_with_its_latency() {
    let report = ProbeReport::new(42, AT, &results(|_, _| Vec::new()));
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.line(), "100/100 read back, p99 990 ms");
    let Summary { read_back_p50_ms, read_back_p99_ms, read_back_max_ms, .. } = report.summary;
    assert_eq!((read_back_p50_ms, read_back_p99_ms, read_back_max_ms), (Some(500), Some(990), Some(1000)));
}

/// Scenario: nobody answers, or nothing was tried. Guarantee: no verdict, which is no pass; one refusal is a failure.
#[test]
fn silence_is_no_verdict() {
    let silent = |_: usize, t: &Trace| vec![Finding::request_failed(t.id, "connection refused", false)];
    assert_eq!(ProbeReport::new(42, AT, &results(silent)).verdict, Verdict::NoVerdict);
    assert_eq!(ProbeReport::new(42, AT, &[]).verdict, Verdict::NoVerdict);
    assert_eq!(ProbeReport::new(42, AT, &[]).report().verdict(), Verdict::NoVerdict);
    let partly = |i: usize, t: &Trace| if i == 3 { silent(i, t) } else { Vec::new() };
    assert_eq!(ProbeReport::new(42, AT, &results(partly)).verdict, Verdict::NoVerdict);
    let refused = |i: usize, t: &Trace| vec![Finding::request_failed(t.id, "INVALID_ARGUMENT", i == 3)];
    assert_eq!(ProbeReport::new(42, AT, &results(refused)).verdict, Verdict::Fail);
}

/// The report of a candidate that drops every CLIENT span.
fn drops_clients() -> ProbeReport {
    let report = results(|i, trace| {
        let read: Vec<Span> =
            trace.spans.iter().filter(|s| s.kind != Kind::Client || i % 2 == 0).cloned().collect();
        compare(trace, &read, Repeats::Unexpected)
    });
    ProbeReport::new(42, AT, &report)
}

#[test]
fn as_json() {
    let mut report = drops_clients();
    report.findings.truncate(1);
    insta::assert_snapshot!(report.json());
}

// Scenario: nearly every trace has a long value that came back cut, more of them than a report lists, and the last one is not there.
// Guarantee: that one is a finding, with its trace, and the gate fails, whatever becomes of the cut values.
#[test]
fn what_many_traces_have_hides_nothing_that_one_has() {
    use super::report::{FINDINGS_MAX, Failure, Finding, ProbeReport, TraceResult};
    let id = |index: usize| TraceId(u128::try_from(index).unwrap().to_be_bytes());
    let cut = |index| Finding::new(Failure::ValueCut, id(index), "cut".to_owned());
    let mut results: Vec<TraceResult> = (1..=FINDINGS_MAX)
        .map(|index| TraceResult {
            trace_id: id(index),
            read_back: Some(Duration::from_millis(1)),
            findings: vec![cut(index), cut(index)],
        })
        .collect();
    let last = id(FINDINGS_MAX + 1);
    let lost = Finding::new(Failure::NotFound, last, "lost".to_owned());
    results.push(TraceResult { trace_id: last, read_back: None, findings: vec![lost] });
    let probe = ProbeReport::new(1, 2, &results);
    assert_eq!(probe.findings.len(), FINDINGS_MAX);
    let mut report = probe.report();
    report.findings.retain(|finding| finding.id != Failure::ValueCut.id());
    assert_eq!(report.verdict(), crate::report::Verdict::Fail);
    assert_eq!(report.findings[0].place.trace_id.as_deref(), Some(last.to_string().as_str()));
}

// Scenario: a few fields of all traces come back changed, and somebody lives with one of them; then many fields, of which each that is
// named is waived. Guarantee: what is not named is not accepted.
#[test]
fn a_waiver_of_one_field_accepts_no_other() {
    use crate::report::Verdict;
    use crate::waiver::{Waiver, apply};
    let changed = |fields: usize| {
        let report = results(|_, trace| {
            let one = |field: usize| {
                let mut finding = Finding::new(Failure::IncorrectSpan, trace.id, "differs".to_owned());
                finding.field = Some(format!("attributes[probe.{field}]"));
                finding
            };
            (0..fields).map(one).collect()
        });
        ProbeReport::new(42, AT, &report).report()
    };
    let waive = |place: &str| Waiver {
        finding: "CF-PROBE-004".to_owned(),
        place: Some(place.to_owned()),
        reason: "known".to_owned(),
        owner: "ops".to_owned(),
        expires: u64::MAX,
        expires_text: "never".to_owned(),
    };
    let mut two = changed(2);
    assert_eq!(two.findings.len(), 2);
    apply(&mut two, &[waive("attributes[probe.0]")], 1);
    assert_eq!(two.verdict(), Verdict::Fail);
    apply(&mut two, &[waive("attributes[probe.1]")], 1);
    assert_eq!(two.verdict(), Verdict::Pass);

    let mut many = changed(40);
    let places: Vec<String> = many.findings.iter().filter_map(|f| f.place.component.clone()).collect();
    assert!(places.len() < 20 && many.findings.len() == places.len() + 1, "{places:?}");
    apply(&mut many, &places.iter().map(|place| waive(place)).collect::<Vec<_>>(), 1);
    let left: Vec<&str> = many.findings.iter().filter(|f| f.fails()).map(|f| f.detail.as_str()).collect();
    assert_eq!(left, [format!("and {} more fields, in 100 of 100 traces; e.g. differs", 40 - places.len())]);
}

/// Scenario: what a store may do to links, and what it may not. Guarantee: each field of each link is held against its own.
#[test]
fn links_are_compared_one_by_one() {
    let at = |read: &[Span]| read.iter().position(|span| !span.links.is_empty()).unwrap();
    let links = |change: fn(&mut Vec<model::Link>), expected: &[&str]| {
        check(
            |read| {
                let at = at(read);
                change(&mut read[at].links);
            },
            expected,
        );
    };
    links(|links| links.reverse(), &[]);
    links(|links| drop(links[0].attributes.insert("added".to_owned(), AttributeValue::Bool(true))), &[]);
    links(|links| links[0].attributes.clear(), &["incorrect_span links[0].attributes[probe.link]"]);
    links(|links| links[0].trace_state.clear(), &["incorrect_span links[0].trace_state"]);
    links(|links| drop(links.remove(1)), &["incorrect_span links[1]"]);
    links(|links| links.push(links[2].clone()), &["incorrect_span links"]);
    // The parent, once more: how stores that know references only keep it.
    check(
        |read| {
            let span = read.iter_mut().find(|span| !span.links.is_empty()).unwrap();
            span.links.push(model::Link::to(span.trace_id, span.parent.unwrap()));
        },
        &[],
    );
}

/// Scenario: a store without a place for a scope's attributes. Guarantee: they may stand where Jaeger puts them, and nowhere else.
#[test]
fn attributes_of_a_scope_may_stand_where_jaeger_puts_them() {
    let moved = |read: &mut Vec<Span>, to: &str| {
        for span in read {
            for (key, value) in std::mem::take(&mut span.scope_attributes) {
                span.attributes.insert(format!("{to}{key}"), value);
            }
        }
    };
    check(|read| moved(read, "otel.scope.attributes."), &[]);
    check(|read| read[0].scope_attributes.clear(), &["incorrect_span scope[probe.scope]"]);
}
