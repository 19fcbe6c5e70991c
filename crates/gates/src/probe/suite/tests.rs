//! The report: what was seen, and what it comes to.

use super::*;
use crate::probe::canary::{canaries, leaks};
use crate::probe::{TraceResult, generate};
use crate::report::Verdict;

const AT: u64 = 1_800_000_000_000_000_000;

fn suite() -> Suite {
    let results: Vec<TraceResult> = generate(7, AT, 4)
        .iter()
        .map(|trace| TraceResult {
            trace_id: trace.id,
            read_back: Some(Duration::from_millis(300)),
            findings: Vec::new(),
        })
        .collect();
    Suite {
        environment: "green".to_owned(),
        traces: ProbeReport::new(7, AT, &results),
        searches: Searches { traces: 4, ..Searches::default() },
        masking: None,
        separation: Vec::new(),
        must_be_separated: false,
        not_separated: None,
        beside: None,
        freshness_max: None,
    }
}

fn ids(suite: &Suite) -> Vec<&'static str> {
    suite.report().findings.iter().map(|finding| finding.id).collect()
}

#[test]
fn nothing_wrong_is_nothing_found() {
    let report = suite().report();
    assert_eq!(
        (report.verdict(), report.summary.as_str()),
        (Verdict::Pass, "4/4 read back, p99 300 ms, 4/4 found by search")
    );
}

/// Scenario: an environment that has to mask cards and mail addresses lets link attributes through, and all else not.
/// Guarantee: one finding, which names the field and both kinds.
#[test]
fn a_leak_names_the_field() {
    let (traces, planted) = canaries(7, AT, &[Sensitive::Card, Sensitive::Email], 1);
    let spans: Vec<_> = traces.into_iter().flat_map(|(_, trace)| trace.spans).collect();
    let only: Vec<_> =
        leaks(&planted, &spans).into_iter().filter(|leak| leak.field == Some(Field::LinkAttribute)).collect();
    let read = u32::try_from(planted.len()).unwrap();
    let masking = Masking { planted, read, leaks: only, ..Masking::default() };
    let suite = Suite { masking: Some(masking), ..suite() };
    let report = suite.report();
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    assert_eq!((finding.id, finding.place.component.as_deref()), ("CF-PROBE-010", Some("link attribute")));
    assert_eq!(finding.detail, "card, email came back in the clear from the link attribute");
    assert_eq!(finding.place.environment.as_deref(), Some("green"));
    assert!(report.summary.ends_with("50/52 canaries masked"), "{}", report.summary);
    assert_eq!(
        report.facts["canaries"]["leaks_by_field"]["link attribute"],
        serde_json::json!(["card", "email"])
    );
}

/// Scenario: of two receivers, what masks stands behind the first; and then a third field leaks through both.
/// Guarantee: what leaks through one names that one, and what leaks through both names both, in one finding.
#[test]
fn a_leak_names_the_receiver() {
    let (traces, planted) = canaries(7, AT, &[Sensitive::Card, Sensitive::Email], 2);
    let spans: Vec<_> = traces.into_iter().flat_map(|(_, trace)| trace.spans).collect();
    let leaks = leaks(&planted, &spans).into_iter().filter(|leak| match leak.field {
        Some(Field::SpanName) => leak.receiver == Some(1),
        field => field == Some(Field::StatusMessage),
    });
    let receivers = ["grpc http://green:4317", "http/json http://green:4318"].map(str::to_owned);
    let masking = Masking {
        receivers: receivers.to_vec(),
        read: u32::try_from(planted.len()).unwrap(),
        leaks: leaks.collect(),
        planted,
        ..Masking::default()
    };
    let report = Suite { masking: Some(masking), ..suite() }.report();
    let told: Vec<_> = report.findings.iter().map(|f| (f.detail.as_str(), f.place.url.as_deref())).collect();
    assert_eq!(
        told,
        [
            (
                "card, email came back in the clear from the span name, through http/json http://green:4318",
                Some(receivers[1].as_str())
            ),
            (
                "card, email came back in the clear from the status message, through each of 2 receivers: \
                 grpc http://green:4317, http/json http://green:4318",
                None
            ),
        ]
    );
    assert_eq!(
        report.facts["canaries"]["leaks_by_receiver"],
        serde_json::json!({
            "grpc http://green:4317": ["status message"],
            "http/json http://green:4318": ["span name", "status message"],
        })
    );
}

/// Scenario: canaries are read once and not again. Guarantee: what came later is not known, and that is no pass.
#[test]
fn canaries_that_cannot_be_read_again_are_no_pass() {
    let (_, planted) = canaries(7, AT, &[Sensitive::Token], 1);
    let read = u32::try_from(planted.len()).unwrap();
    let masking = Masking { planted, read, not_again: Some("no answer".to_owned()), ..Masking::default() };
    let suite = Suite { masking: Some(masking), ..suite() };
    assert_eq!((ids(&suite), suite.report().verdict()), (vec!["CF-PROBE-013"], Verdict::NoVerdict));
}

/// Scenario: canaries are lost, so that none of them leaks. Guarantee: that is no pass.
#[test]
fn lost_canaries_show_nothing() {
    let (_, planted) = canaries(7, AT, &[Sensitive::Token], 1);
    let masking = Masking { planted, ..Masking::default() };
    let suite = Suite { masking: Some(masking), ..suite() };
    assert_eq!((ids(&suite), suite.report().verdict()), (vec!["CF-PROBE-013"], Verdict::NoVerdict));
}

#[test]
fn a_shared_store_is_found_and_silence_is_none() {
    let with = |seen| {
        let one = Separation {
            written_to: "green".to_owned(),
            receiver: "grpc http://green:4317".to_owned(),
            searched_in: "blue".to_owned(),
            trace: TraceId([1; 16]),
            seen,
        };
        Suite { separation: vec![one], ..suite() }
    };
    assert_eq!(with(Seen::No).report().verdict(), Verdict::Pass);
    assert_eq!(ids(&with(Seen::Yes)), ["CF-PROBE-011"]);
    let unknown = with(Seen::Unknown("blue does not answer".to_owned()));
    assert_eq!((ids(&unknown), unknown.report().verdict()), (vec!["CF-PROBE-012"], Verdict::NoVerdict));
    let not_asked = Suite { not_separated: Some("blue has no query endpoint".to_owned()), ..suite() };
    assert_eq!((ids(&not_asked), not_asked.report().verdict()), (vec!["CF-PROBE-012"], Verdict::Pass));
    assert!(not_asked.report().findings[0].detail.ends_with("was not looked at: blue has no query endpoint"));
}

/// Scenario: three receivers, of which one leads to the other environment's store. Guarantee: one finding, which names it.
#[test]
fn separation_names_the_receiver() {
    let one = |receiver: &str, seen| Separation {
        written_to: "green".to_owned(),
        receiver: receiver.to_owned(),
        searched_in: "blue".to_owned(),
        trace: TraceId([1; 16]),
        seen,
    };
    let separation = vec![
        one("grpc http://a", Seen::No),
        one("grpc http://b", Seen::Yes),
        one("grpc http://c", Seen::Yes),
    ];
    let report = Suite { separation, ..suite() }.report();
    let told: Vec<_> = report.findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(
        told,
        [
            "a trace that was written to green alone, through grpc http://b, grpc http://c, can be read in blue"
        ]
    );
}

/// Scenario: green cuts long values at 2,048 bytes; of blue nothing is known, or it keeps them whole, or longer, or as short.
/// Guarantee: a finding that names the limit where something may get worse, and a note where nothing does. All is read back either way.
#[test]
fn cut_values_are_held_against_what_the_other_environment_does() {
    let cut = |trace: &crate::probe::Trace| {
        let mut spans = trace.spans.clone();
        for value in spans.iter_mut().flat_map(|span| span.attributes.values_mut()) {
            if let crate::model::AttributeValue::String(text) = value {
                text.truncate(2_048);
            }
        }
        let findings = crate::probe::compare(trace, &spans, crate::probe::Repeats::Unexpected);
        TraceResult { trace_id: trace.id, read_back: Some(Duration::from_millis(300)), findings }
    };
    let results: Vec<TraceResult> = generate(7, AT, 16).iter().map(cut).collect();
    let with = |beside: Option<Option<usize>>| {
        let beside = beside.map(|cut_to_bytes| Beside { environment: "blue".to_owned(), cut_to_bytes });
        Suite { traces: ProbeReport::new(7, AT, &results), beside, ..suite() }.report()
    };
    for (beside, verdict, says) in [
        (None, Verdict::Fail, "was cut to 2048 bytes"),
        (Some(None), Verdict::Fail, "was cut to 2048 bytes"),
        (Some(Some(4_096)), Verdict::Fail, "was cut to 2048 bytes"),
        (Some(Some(2_048)), Verdict::Pass, "blue cuts them to 2048 bytes, so nothing gets worse"),
        (Some(Some(1_024)), Verdict::Pass, "blue cuts them to 1024 bytes, so nothing gets worse"),
    ] {
        let report = with(beside);
        let fields: Vec<_> = report.findings.iter().map(|f| f.place.component.as_deref()).collect();
        assert_eq!(fields, [Some("attributes[probe.long]"), Some("attributes[probe.large]")], "{report:#?}");
        for finding in &report.findings {
            assert_eq!((finding.id, report.verdict()), ("CF-PROBE-008", verdict), "{beside:?}");
            assert!(finding.detail.contains(says), "{}", finding.detail);
            assert!(finding.remedy.contains("distributor.max_attribute_bytes"), "{}", finding.remedy);
        }
        assert!(report.summary.starts_with("16/16 read back, p99 300 ms, values cut to 2048 bytes"));
    }
    assert_eq!(with(Some(None)).findings[0].expected.as_deref(), Some("whole, as in blue"));
    assert_eq!(with(Some(Some(4_096))).findings[0].expected.as_deref(), Some("4096 bytes, as in blue"));
}

/// A value that lost more than its end, or all of it, is another value.
#[test]
fn a_changed_value_is_not_a_cut_one() {
    use crate::model::AttributeValue::String;
    let trace = &generate(7, AT, 5)[4];
    for (text, id) in [("01", "CF-PROBE-008"), ("x", "CF-PROBE-004"), ("", "CF-PROBE-004")] {
        let mut spans = trace.spans.clone();
        let large = spans.iter_mut().find_map(|span| span.attributes.get_mut("probe.large"));
        *large.expect("the fifth trace has it") = String(text.to_owned());
        let findings = crate::probe::compare(trace, &spans, crate::probe::Repeats::Unexpected);
        assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), [id], "{text:?}");
    }
}

#[test]
fn slow_reading_and_blind_searches_are_found() {
    let slow = Suite { freshness_max: Some(Duration::from_millis(299)), ..suite() };
    assert_eq!(ids(&slow), ["CF-PROBE-007"]);
    assert_eq!(ids(&Suite { freshness_max: Some(Duration::from_millis(300)), ..suite() }), [""; 0]);
    let missed = vec![TraceId([2; 16])];
    let blind = Suite { searches: Searches { traces: 4, missed, ..Searches::default() }, ..suite() };
    assert_eq!(ids(&blind), ["CF-PROBE-006"]);
    let unanswered = vec![TraceId([3; 16])];
    let searches = Searches { traces: 4, unanswered, error: Some("503".to_owned()), ..Searches::default() };
    let silent = Suite { searches, ..suite() };
    assert_eq!((ids(&silent), silent.report().verdict()), (vec!["CF-PROBE-014"], Verdict::NoVerdict));
    assert!(silent.report().summary.ends_with("3/4 found by search"), "{}", silent.report().summary);
}

/// Scenario: endpoints of nobody's site, and nobody is where traces are read. Guarantee: that address is named, and not the receiver's.
#[test]
fn the_address_that_is_silent_is_named() {
    let trace = generate(7, AT, 1).remove(0);
    let silent = crate::probe::Finding::request_failed(trace.id, "refused", false).to("http://b:16686");
    let result = TraceResult { trace_id: trace.id, read_back: None, findings: vec![silent] };
    for (environment, place) in [("green", "green http://b:16686"), ("http://a:4317", "http://b:16686")] {
        let environment = environment.to_owned();
        let traces = ProbeReport::new(7, AT, std::slice::from_ref(&result));
        let report = Suite { environment, traces, ..suite() }.report();
        assert_eq!(report.findings[0].place.to_string(), place);
    }
}
