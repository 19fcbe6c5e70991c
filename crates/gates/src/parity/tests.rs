use crossfade_stats::Confidence;
use proptest::prelude::*;
use serde_json::json;

use super::{Limits, Names, Parity, Read, Unread};
use crate::difference::{Rules, Store};
use crate::model::{AttributeValue, Kind, Span, SpanId, TraceId};
use crate::probe::generate;
use crate::report::{Report, Verdict};

const AT: u64 = 1_800_000_000_000_000_000;

fn gate(differ_max: f64) -> Parity {
    let names = Names { active: "blue".into(), candidate: "green".into() };
    let rules = Rules::between(Store::Jaeger, Store::Jaeger);
    Parity::new(names, rules, Limits { differ_max, confidence: Confidence::P95 })
}

fn unread() -> Read {
    Read::Unread(Unread { why: "http://green has not answered within 10s".into(), answered: false })
}

/// Compares `count` traces, changed in the candidate.
fn compared(differ_max: f64, count: u32, change: impl Fn(usize, &mut Vec<Span>)) -> Report {
    let mut gate = gate(differ_max);
    for (i, trace) in generate(1, AT, count).into_iter().enumerate() {
        let mut theirs = trace.spans.clone();
        change(i, &mut theirs);
        gate.add(trace.id, &Read::Spans(trace.spans), &Read::Spans(theirs));
    }
    gate.report(json!({ "seed": "7" }))
}

fn ids(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|f| f.rule).collect()
}

#[test]
fn equal_pairs_pass_as_soon_as_there_are_enough() {
    let report = compared(0.01, 299, |_, _| {});
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Pass, 0));
    assert_eq!(report.summary, "299 pairs are equal; at most 1.00 % differ (95 %), allowed 1.00 %");
    assert_eq!(report.facts["differ_at_most_ppm"], 9_970);
    assert_eq!(report.facts["sample"]["seed"], "7");
    let report = compared(0.01, 298, |_, _| {});
    assert_eq!((report.verdict(), ids(&report)), (Verdict::NoVerdict, vec!["too_few_pairs"]));
    assert_eq!(report.findings[0].detail, "298 pairs compared; a verdict on 1.00 % needs 299 that are equal");
    assert_eq!(gate(0.01).report(json!({})).verdict(), Verdict::NoVerdict);
    assert_eq!(compared(0.0, 300, |_, _| {}).verdict(), Verdict::NoVerdict);
}

#[test]
fn a_difference_is_told_with_its_count_and_place_and_an_example() {
    let report = compared(0.01, 300, |i, spans| {
        if i % 30 == 0 {
            spans[0].attributes.remove("probe.map");
        }
    });
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Fail, vec!["attribute_missing"]));
    assert_eq!(report.summary, "10 of 300 pairs differ: 3.33 %, at most 5.59 % (95 %); allowed 1.00 %");
    let finding = &report.findings[0];
    assert_eq!(
        finding.detail,
        "10 of 300 traces lack attribute `probe.map` on `GET /probe/{item}` of crossfade-probe"
    );
    assert_eq!(finding.place.trace_id, Some(generate(1, AT, 1)[0].id.to_string()));
    assert!(finding.place.span_id.is_some() && finding.place.environment.as_deref() == Some("green"));
    assert_eq!(report.facts["differing_traces"].as_array().map(Vec::len), Some(10));
}

/// Scenario: as many differences as the limit allows, with enough pairs to show it; the same with too few.
/// Guarantee: they are told and fail nothing; with too few pairs nothing passes.
#[test]
fn what_the_limit_allows_is_told_and_fails_nothing() {
    let one = |i: usize, spans: &mut Vec<Span>| {
        if i == 0 {
            spans.pop();
        }
    };
    let report = compared(0.01, 480, one);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Pass, vec!["span_missing"]));
    let detail = &report.findings[0].detail;
    assert!(detail.ends_with("; above 1.00 % of all it is high"), "what it would weigh: {detail}");
    let report = compared(0.01, 300, one);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Fail, vec!["span_missing"]), "{}", report.summary);
    let report = compared(0.01, 150, one);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::NoVerdict, vec!["too_few_pairs", "span_missing"]));
    // Few pairs, but far too many of them differ.
    let report = compared(0.01, 20, |_, spans| spans[0].name.push('!'));
    assert_eq!((report.verdict(), report.findings[0].rule), (Verdict::Fail, "name_differs"));
    assert!(
        report.findings.iter().any(|f| f.rule == "too_few_pairs") == (report.verdict() == Verdict::NoVerdict)
    );
}

/// Scenario: the candidate stores every span twice, or a few that were sent again; or both store all twice.
/// Guarantee: the first is a finding; the others are a note.
#[test]
fn a_candidate_that_stores_everything_twice_is_found() {
    let doubled = |one_in: usize| {
        compared(0.01, 300, |i, spans| {
            if i % one_in == 0 {
                spans.extend(spans.clone());
            }
        })
    };
    let report = doubled(1);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Fail, vec!["spans_doubled"]));
    assert_eq!(report.findings[0].detail, "green keeps more copies of spans than blue in 300 of 300 traces");
    let report = doubled(20);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Pass, vec!["spans_repeated"]));
    let mut both = gate(0.01);
    for mut trace in generate(1, AT, 300) {
        trace.spans.extend(trace.spans.clone());
        let spans = Read::Spans(trace.spans);
        both.add(trace.id, &spans, &spans);
    }
    let report = both.report(json!({}));
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Pass, vec!["spans_repeated"]));
}

#[test]
fn what_could_not_be_read_never_passes() {
    let (mut silent, mut few, mut half) = (gate(0.01), gate(0.01), gate(0.01));
    let in_part = Read::Unread(Unread { why: "in part".into(), answered: true });
    for (i, trace) in generate(1, AT, 900).into_iter().enumerate() {
        let spans = Read::Spans(trace.spans);
        silent.add(trace.id, &spans, &unread());
        few.add(trace.id, &spans, &spans);
        half.add(trace.id, if i % 2 == 0 { &spans } else { &in_part }, &spans);
    }
    few.add(TraceId([1; 16]), &unread(), &unread());
    assert_eq!(few.report(json!({})).verdict(), Verdict::Pass, "one of 901 says nothing");
    let report = half.report(json!({}));
    assert_eq!((report.verdict(), ids(&report)), (Verdict::NoVerdict, vec!["pairs_unread"]));
    assert_eq!(report.findings[0].detail, "450 of 900 pairs could not be read; first: in part");
    assert_eq!(report.findings[0].place.environment.as_deref(), Some("blue"));
    let report = silent.report(json!({}));
    assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true));
    assert_eq!(report.summary, "no pair could be compared");
    let mut gate = gate(0.01);
    gate.stopped(Unread { why: "http://green cannot be reached".into(), answered: false });
    let report = gate.report(json!({}));
    assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true));
}

/// Scenario: nobody is asked any more, since one of them answered nothing.
/// Guarantee: it is said who, and why.
#[test]
fn who_did_not_answer_is_named() {
    let mut gate = gate(0.01);
    let refused = Unread { why: "http://blue wants a client certificate".into(), answered: false };
    gate.add(TraceId([1; 16]), &Read::Unread(refused), &Read::Spans(Vec::new()));
    gate.stopped(Unread { why: "24 questions in a row had no answer".into(), answered: false });
    let report = gate.report(json!({}));
    let finding = report.findings.last().unwrap();
    assert_eq!(
        finding.detail,
        "24 questions in a row had no answer; the last: http://blue wants a client certificate"
    );
    assert_eq!(finding.place.environment.as_deref(), Some("blue"));
}

/// Scenario: as many equal pairs as a verdict needs, and one more that could not be read; the same among many.
/// Guarantee: it may be the one that differs, so it passes only where there are enough pairs for one that does.
#[test]
fn what_could_not_be_read_may_be_what_differs() {
    let run = |equal: u32, is_unread: bool, large: bool| {
        let mut gate = gate(0.01);
        for trace in generate(1, AT, equal) {
            let spans = Read::Spans(trace.spans);
            gate.add(trace.id, &spans, &spans);
        }
        if is_unread {
            gate.add(TraceId([1; 16]), &unread(), &unread());
        }
        if large {
            let mut spans = generate(2, AT, 1).remove(0).spans;
            spans[0].links = vec![crate::model::Link::to(TraceId([8; 16]), SpanId([8; 8])); 1_001];
            let spans = Read::Spans(spans);
            gate.add(TraceId([2; 16]), &spans, &spans);
        }
        gate.report(json!({}))
    };
    assert_eq!(run(299, false, false).verdict(), Verdict::Pass);
    for report in [run(299, true, false), run(299, false, true), run(473, true, true)] {
        assert_eq!(
            (report.verdict(), ids(&report)),
            (Verdict::NoVerdict, vec!["pairs_unread"]),
            "{}",
            report.summary
        );
    }
    assert_eq!(run(473, true, false).verdict(), Verdict::Pass);
}

#[test]
fn traces_that_search_finds_and_nobody_has_are_no_verdict_if_they_are_many() {
    let run = |vanished: u8| {
        let mut gate = gate(0.05);
        for trace in generate(1, AT, 100) {
            let spans = Read::Spans(trace.spans);
            gate.add(trace.id, &spans, &spans);
        }
        let nothing = Read::Spans(Vec::new());
        (0..vanished).for_each(|n| gate.add(TraceId([n; 16]), &nothing, &nothing));
        gate.report(json!({}))
    };
    assert_eq!((run(2).verdict(), ids(&run(2))), (Verdict::Pass, vec!["traces_vanished"]));
    assert_eq!((run(60).verdict(), ids(&run(60))), (Verdict::NoVerdict, vec!["traces_vanished"]));
}

/// Scenario: flags are cleared on the way to green: of some traces, or of all.
/// Guarantee: of some is a difference, since green keeps flags; of all is told.
#[test]
fn cleared_flags_are_a_difference_unless_there_are_none() {
    let run = |clears: &dyn Fn(usize) -> bool| {
        let report = compared(0.01, 300, |i, spans| {
            spans.iter_mut().filter(|_| clears(i)).for_each(|span| span.flags = 0);
        });
        (report.facts["different"].clone(), ids(&report).concat())
    };
    assert_eq!(run(&|i| i % 3 == 0), (json!(100), "trace_state_differs".to_owned()));
    assert_eq!(run(&|_| true), (json!(0), "flags_not_kept".to_owned()));
}

#[test]
fn traces_on_one_side_only_are_told_by_side_and_those_on_none_are_only_counted() {
    let mut gate = gate(0.5);
    for (i, trace) in generate(1, AT, 90).into_iter().enumerate() {
        let (spans, none) = (Read::Spans(trace.spans), Read::Spans(Vec::new()));
        let (mine, theirs) = [(&spans, &none), (&none, &spans), (&none, &none)][i % 3];
        gate.add(trace.id, mine, theirs);
    }
    let report = gate.report(json!({}));
    assert_eq!(ids(&report), ["trace_missing", "trace_extra", "traces_vanished"]);
    assert_eq!(
        report.findings[0].detail,
        "30 of 60 traces are not in the candidate on `GET /probe/{item}` of crossfade-probe"
    );
    assert_eq!((report.verdict(), &report.facts["vanished"]), (Verdict::Fail, &json!(30)));
}

/// Scenario: an attribute is cut, on as many operations and keys as there can be.
/// Guarantee: the report stays small, and says what it leaves out.
#[test]
fn reports_are_bounded() {
    let report = compared(0.01, 300, |i, spans| {
        for span in spans.iter_mut() {
            span.name = format!("{}/{i}", span.name);
            for key in 0..20 {
                span.attributes.insert(format!("key.{i}.{key}"), AttributeValue::Bool(true));
            }
        }
    });
    assert_eq!(report.verdict(), Verdict::Fail);
    assert!(report.findings.len() <= 61, "{}", report.findings.len());
    assert!(ids(&report).contains(&"more_differences"));
    assert!(report.evidence().len() < 600_000, "{}", report.evidence().len());
}

/// A request: a shop's span, its call, and the ledger's span below it, or in a trace of its own.
fn request(nth: u8, is_split: bool) -> Vec<Vec<Span>> {
    let mut spans = generate(u64::from(nth), AT, 1).remove(0).spans;
    spans.truncate(3);
    let [shop, call, served] = &mut spans[..] else { panic!("three") };
    let service = |span: &mut Span, name: &str| {
        span.resource.insert("service.name".into(), AttributeValue::String(name.into()));
    };
    service(shop, "shop");
    service(call, "shop");
    service(served, "ledger");
    (call.kind, call.parent, call.start, call.end) = (Kind::Client, Some(shop.span_id), 100, 900);
    (served.kind, served.parent, served.start, served.end) = (Kind::Server, Some(call.span_id), 200, 800);
    served.name = "POST /charge".into();
    if !is_split {
        return vec![spans];
    }
    let mut served = spans.remove(2);
    (served.trace_id, served.parent) = (TraceId([nth + 1; 16]), None);
    vec![spans, vec![served]]
}

/// Scenario: two services no longer speak the same propagation format. Both environments record it alike: every pair is equal.
/// Guarantee: what the active recorded before shows that these were one trace, and the boundary is named with two halves.
#[test]
fn requests_that_became_two_traces_are_found_by_what_was_before() {
    let run = |is_split: bool, before: u8| {
        let mut gate = gate(0.5);
        for nth in 0..before {
            request(nth, false).iter().for_each(|trace| gate.baseline(trace));
        }
        for nth in 100..160 {
            for spans in request(nth, is_split && nth % 2 == 0) {
                gate.add(spans[0].trace_id, &Read::Spans(spans.clone()), &Read::Spans(spans));
            }
        }
        gate.report(json!({}))
    };
    let report = run(true, 60);
    assert_eq!((report.verdict(), ids(&report)), (Verdict::Fail, vec!["request_split"]), "{report:?}");
    let finding = &report.findings[0];
    assert!(
        finding.detail.starts_with("traces break between shop and ledger: `POST /charge` has no caller in 30 of 60 requests in green, 0 of 60 in blue; trace "),
        "{}",
        finding.detail
    );
    assert_eq!(finding.place.component.as_deref(), Some("shop -> ledger: POST /charge"));
    assert_eq!(run(false, 60).findings, []);
    assert_eq!(run(true, 0).findings, [], "nothing shows that it was ever otherwise");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever share differs, a pass means that the bound is within the limit, and differing pairs are counted exactly.
    #[test]
    fn a_pass_is_within_the_limit(differing in 0_usize..12, count in 1_u32..120, limit in 0.02..0.3_f64) {
        let report = compared(limit, count, |i, spans| {
            if i < differing {
                spans[0].span_id = SpanId([1; 8]);
            }
        });
        let different = differing.min(count as usize);
        prop_assert_eq!(&report.facts["different"], &json!(different));
        let bound = crossfade_stats::upper_share(different as u64, count.into(), Confidence::P95);
        prop_assert_eq!(report.verdict() == Verdict::Pass, bound <= limit);
        prop_assert!(report.verdict() != Verdict::Fail || different > 0);
    }
}
