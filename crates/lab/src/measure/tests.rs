use super::*;
use crate::environment::Observed;
use crate::traffic::{Answer, SentRequest, SentSpan, SentTrace, fleet};
use crossfade_routing::{Cut, Seed, Window};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use std::time::Duration;

const MS: u64 = 1_000_000;
const BEGIN: u64 = 1_700_000_000_000 * MS;

/// So many milliseconds after the hand-made story began.
fn at(millis: u64) -> UnixNanos {
    UnixNanos(BEGIN + millis * MS)
}

fn weight(percent: u32) -> Weight {
    Weight::from_ppm(percent * 10_000).unwrap()
}

/// Half of the traces from 10 s on, all of them from 30 s on; windows of overlap 3.5 s, skew 1 s.
fn facts() -> RolloutFacts {
    let cut = |millis, percent| AnnouncedCut {
        announced: at(millis - 500),
        cut: Cut { at: at(millis), weight: weight(percent) },
    };
    let millis = Duration::from_millis;
    RolloutFacts {
        seed: Seed(7),
        window: Window::new(millis(3_500), millis(1_000), millis(100)).unwrap(),
        mirror: None,
        cuts: vec![cut(10_000, 50), cut(30_000, 100)],
        verdict: None,
        cause: None,
        outcome: Some(Outcome::Promoted),
    }
}

/// Which stores get a span, and whether unharmed.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Nowhere,
    Active,
    Candidate,
    Both,
    /// In both, with another name than it was sent with.
    Changed,
}

use Kept::{Active, Both, Candidate, Changed, Nowhere};

/// A record and two stores, made by hand.
struct Hand {
    record: Record,
    active: Store,
    candidate: Store,
}

impl Hand {
    fn new() -> Hand {
        let record = Record {
            sdks: fleet::fleet(crate::traffic::Business::Shop, 0, Duration::ZERO),
            ..Record::default()
        };
        Hand { record, active: Store::default(), candidate: Store::default() }
    }

    /// A trace of one request a span: from the root's start, each span's length in ms and where it is kept.
    fn trace(&mut self, id: TraceId, root_start: u64, spans: &[(u64, Kept)]) {
        let mut trace = SentTrace { root_start: at(root_start), planned: spans.len(), spans: Vec::new() };
        for (number, (length, kept)) in spans.iter().enumerate() {
            let (start, end) = (at(root_start), at(root_start + length));
            let request = self.request(end.plus(Duration::from_millis(20)));
            let span = Span {
                trace_id: id.0.to_vec(),
                span_id: vec![number as u8 + 1; 8],
                start_time_unix_nano: start.0,
                end_time_unix_nano: end.0,
                ..Span::default()
            };
            let digest = self.record.sdks[0].digest.of_span(&span);
            let id = SpanId([number as u8 + 1; 8]);
            trace.spans.push(SentSpan { id, sdk: 0, start, end, digest, request });
            self.keep(span, *kept, end.plus(Duration::from_millis(25)));
        }
        assert!(self.record.traces.insert(id, trace).is_none(), "trace ids are used once");
    }

    fn request(&mut self, sent_at: UnixNanos) -> usize {
        let answer = Answer::Accepted { rejected_spans: 0 };
        let (attempts, spans, answered_at) = (1, 1, sent_at.plus(Duration::from_millis(9)));
        let request =
            SentRequest { sdk: 0, spans, sent_at, answered_at, attempts, first_answer: answer, answer };
        self.record.requests.push(request);
        self.record.requests.len() - 1
    }

    fn keep(&self, mut span: Span, kept: Kept, stored_at: UnixNanos) {
        if kept == Changed {
            span.name = "changed".into();
        }
        let sdk = &self.record.sdks[0];
        let scope_spans =
            ScopeSpans { scope: Some(sdk.scope.clone()), spans: vec![span], ..ScopeSpans::default() };
        let resource = Some(sdk.resource.clone());
        let resource_spans =
            ResourceSpans { resource, scope_spans: vec![scope_spans], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        if matches!(kept, Active | Both | Changed) {
            self.active.insert(request.clone(), stored_at).unwrap();
        }
        if matches!(kept, Candidate | Both | Changed) {
            self.candidate.insert(request, stored_at).unwrap();
        }
    }

    fn measure(&self, facts: &RolloutFacts) -> Measurement {
        measure(&self.record, facts, &self.active, &self.candidate)
    }
}

/// Trace ids that belong to the first half, or to the other one.
fn ids(facts: &RolloutFacts, is_first_half: bool) -> impl Iterator<Item = TraceId> + use<> {
    let seed = facts.seed;
    let all = (1u128..).map(|number| TraceId(number.to_be_bytes()));
    all.filter(move |id| weight(50).contains(fraction(seed, id)) == is_first_half)
}

fn green(nth: usize) -> TraceId {
    ids(&facts(), true).nth(nth).unwrap()
}

fn blue(nth: usize) -> TraceId {
    ids(&facts(), false).nth(nth).unwrap()
}

/// Scenario: traces that are whole in their owner, in other places too, and elsewhere missing spans.
/// Guarantee: nothing is torn or lost, whatever the environment has that does not own the trace.
#[test]
fn what_is_whole_in_its_owner_is_not_torn() {
    let mut hand = Hand::new();
    hand.trace(green(0), 5_000, &[(100, Active), (50, Active)]); // before the first cut: blue's
    hand.trace(green(1), 20_000, &[(100, Both), (50, Candidate)]);
    hand.trace(blue(0), 20_000, &[(100, Active), (50, Both)]);
    hand.trace(blue(1), 40_000, &[(100, Both), (50, Candidate)]); // after the last cut everything is green's
    let found = hand.measure(&facts());
    assert_eq!((found.torn, found.spans_lost, found.examples.len()), (0, 0, 0));
    assert_eq!((found.traces, found.spans_sent, found.green_owned), (4, 8, 2));
    assert_eq!(found.whole_in_active, 2);
}

/// Scenario: one span of a trace is missing in its owner, but not in the other environment.
/// Guarantee: the trace is torn, and nothing is lost.
#[test]
fn a_trace_with_a_span_missing_in_its_owner_is_torn() {
    for (id, root_start, spans) in [
        (green(0), 20_000, [(100, Both), (50, Active)]),
        (blue(0), 20_000, [(100, Active), (50, Candidate)]),
        (green(0), 9_999, [(100, Candidate), (50, Candidate)]), // the cut came 1 ms too late for it
        (blue(0), 30_000, [(100, Active), (50, Active)]),       // and here just in time
    ] {
        let mut hand = Hand::new();
        hand.trace(id, root_start, &spans);
        let found = hand.measure(&facts());
        assert_eq!((found.torn, found.spans_lost), (1, 0), "{id} at {root_start}");
        assert_eq!(found.examples, [id]);
    }
}

/// Scenario: a span is in no store, or in both with changed content.
/// Guarantee: it is lost, and its trace is torn.
#[test]
fn a_span_that_no_store_has_as_it_was_sent_is_lost() {
    for kept in [Nowhere, Changed] {
        let mut hand = Hand::new();
        hand.trace(green(0), 20_000, &[(100, Both), (50, kept)]);
        hand.trace(blue(0), 20_000, &[(100, Both)]);
        let found = hand.measure(&facts());
        assert_eq!((found.torn, found.spans_lost, found.spans_sent), (1, 1, 3));
    }
}

/// Scenario: the rollout was rolled back at 25 s.
/// Guarantee: blue owns every trace, those that green owned until then too; these are still counted as such.
#[test]
fn after_a_rollback_the_former_active_owns_every_trace() {
    let rolled_back = RolloutFacts { verdict: Some(at(25_000)), cuts: facts().cuts[..1].to_vec(), ..facts() };
    let mut hand = Hand::new();
    hand.trace(green(0), 20_000, &[(100, Both)]);
    hand.trace(green(1), 21_000, &[(100, Both), (50, Active)]);
    hand.trace(green(2), 26_000, &[(100, Active)]);
    let found = hand.measure(&rolled_back);
    assert_eq!((found.torn, found.green_owned, found.whole_in_active), (0, 2, 3));
    hand.trace(green(3), 22_000, &[(100, Candidate)]);
    assert_eq!(hand.measure(&rolled_back).torn, 1);
}

#[test]
fn a_trace_straddles_a_cut_between_its_root_start_and_its_last_end() {
    for (root_start, length, expected) in
        [(9_000, 999, 0), (9_000, 1_000, 1), (10_000, 5, 1), (10_001, 5, 0), (9_000, 25_000, 1)]
    {
        let mut hand = Hand::new();
        hand.trace(blue(0), root_start, &[(1, Both), (length, Both), (2, Both)]);
        assert_eq!(hand.measure(&facts()).straddling, expected, "{root_start} + {length}");
    }
}

/// Scenario: 2,000 traces of four requests each at weight 50 %, all of them whole where they belong.
/// Guarantee: the split by request tears the share that four fair coins do, 1 - 2 (1/2)^4 = 7/8; none at 0 and 100 %.
#[test]
fn a_split_by_request_tears_as_often_as_its_coins_differ() {
    let four = [(100, Both), (90, Both), (80, Both), (70, Both)];
    let mut hand = Hand::new();
    for (number, id) in ids(&facts(), true).take(2_000).enumerate() {
        hand.trace(id, 15_000 + number as u64, &four);
    }
    let found = hand.measure(&facts());
    assert!((1_680..1_820).contains(&found.torn_by_request_split), "{}", found.torn_by_request_split);
    assert!((80..170).contains(&found.whole_in_active_by_request_split));
    assert_eq!(found.torn, 0);
    assert_eq!(found, hand.measure(&facts()), "the draws are seeded");

    let mut hand = Hand::new();
    let mut all = ids(&facts(), false);
    for number in 0..300 {
        hand.trace(all.next().unwrap(), 1_000 + number, &four);
        hand.trace(all.next().unwrap(), 40_000 + number, &four);
    }
    let found = hand.measure(&facts());
    assert_eq!((found.torn_by_request_split, found.whole_in_active_by_request_split), (0, 300));
    let stopped = RolloutFacts { verdict: Some(at(40_000)), ..facts() };
    assert_eq!(
        hand.measure(&stopped).whole_in_active_by_request_split,
        600,
        "nothing goes to green after the verdict"
    );
}

/// Scenario: traces of one request each, that last over a cut.
/// Guarantee: a trace that one request carries is never torn, by any split.
#[test]
fn what_one_request_carries_no_split_tears() {
    let mut hand = Hand::new();
    for (number, id) in ids(&facts(), true).take(200).enumerate() {
        hand.trace(id, 15_000 + number as u64, &[(100, Both), (100, Both)]);
        for span in &mut hand.record.traces.get_mut(&id).unwrap().spans {
            span.request = 2 * number;
        }
    }
    assert_eq!(hand.measure(&facts()).torn_by_request_split, 0);
}

#[test]
fn a_span_is_untrusted_if_it_ends_after_it_was_sent_or_long_before_it_was_stored() {
    let untrusted = |clock_error_ms: i64, delay_ms: u64| {
        let mut hand = Hand::new();
        hand.trace(blue(0), 20_000, &[(100, Both)]);
        hand.record.sdks[0].clock_error_nanos = clock_error_ms * MS as i64;
        let span = hand.record.traces[&blue(0)].spans[0];
        hand.record.requests[0].sent_at = span.end.plus(Duration::from_millis(delay_ms));
        hand.measure(&facts()).spans_untrusted
    };
    // Stored 25 ms after its true end; skew - gamma is 900 ms.
    assert_eq!(untrusted(0, 20), 0);
    assert_eq!(untrusted(20, 20), 0);
    assert_eq!(untrusted(21, 20), 1, "shown to end after it was sent");
    assert_eq!(untrusted(-875, 20), 0);
    assert_eq!(untrusted(-876, 20), 1, "shown to end 901 ms before it was stored");
}

/// Scenario: green gets exactly its half outside the windows, and everything within them.
/// Guarantee: the share is measured outside the windows alone, by the weight of the time.
#[test]
fn the_green_share_is_measured_outside_the_windows_of_the_cuts() {
    let mut hand = Hand::new();
    let (mut first, mut second) = (ids(&facts(), true), ids(&facts(), false));
    // The first cut's window: announced at 9.5 s, but it opens at 10 - 1 s; it closes at 10 + 3.5 + 2 s.
    for (root_start, of_first, of_second) in [
        (8_999, Active, Active),
        (9_000, Both, Both),
        (15_500, Both, Both),
        (15_501, Both, Active),
        (28_999, Both, Active),
        (29_000, Both, Both),
        (35_501, Both, Both),
    ] {
        hand.trace(first.next().unwrap(), root_start, &[(10, of_first)]);
        hand.trace(second.next().unwrap(), root_start, &[(10, of_second)]);
    }
    let found = hand.measure(&facts());
    let share = |part, whole| Ratio { part, whole };
    let expected = [(Weight::ZERO, share(0, 2)), (weight(50), share(2, 4)), (Weight::FULL, share(2, 2))];
    assert_eq!(found.green_share, expected);
}

/// Scenario: a mirror of 50 % from 10 s on, rolled back at 30 s.
/// Guarantee: the mirrored share counts as the weight of its time; what may have been under way at either end does not.
#[test]
fn a_mirror_is_measured_like_a_weight_and_ends_with_the_rollback() {
    let mirrored = RolloutFacts {
        mirror: Some((at(10_000), weight(50))),
        cuts: Vec::new(),
        verdict: Some(at(30_000)),
        ..facts()
    };
    let mut hand = Hand::new();
    let mut all = ids(&mirrored, true);
    for root_start in [8_989, 8_990, 11_000, 11_001, 28_989, 28_990, 31_000, 31_001] {
        hand.trace(all.next().unwrap(), root_start, &[(10, Both)]);
    }
    hand.trace(all.next().unwrap(), 26_500, &[(2_500, Both)]); // long enough to be under way at the verdict
    let share = |part, whole| Ratio { part, whole };
    let found = hand.measure(&mirrored);
    assert_eq!(found.green_share, [(Weight::ZERO, share(2, 2)), (weight(50), share(2, 2))]);
    assert_eq!((found.green_owned, found.torn), (0, 0));
}

fn log() -> LogFacts {
    LogFacts { entries: 61, verified: true, dir: "crossfade-demo/good/audit".into() }
}

fn ended(ended: Option<Outcome>, expected: Outcome) -> Flaw {
    Flaw::Outcome { ended, expected }
}

/// A good story's measurement.
fn found() -> Measurement {
    Measurement {
        traces: 5_000,
        spans_sent: 30_000,
        green_owned: 2_000,
        straddling: 600,
        torn_by_request_split: 1_234,
        spans_untrusted: 300,
        green_share: vec![
            (Weight::ZERO, Ratio { part: 0, whole: 999 }),
            (weight(25), Ratio { part: 251, whole: 1_000 }),
            (Weight::FULL, Ratio { part: 1_000, whole: 1_000 }),
        ],
        ..Measurement::default()
    }
}

#[test]
fn the_summary_is_the_line_that_is_promised() {
    let summary = Summary::new("good", &found(), &facts(), &Observed::default(), log(), Vec::new());
    let expected = concat!(
        r#"{"event":"summary","story":"good","outcome":"promoted","traces":5000,"green_owned":2000,"#,
        r#""straddling":600,"torn":0,"torn_by_request_split":1234,"spans_sent":30000,"spans_lost":0,"#,
        r#""untrusted_share":0.01,"green_share":[{"weight":0.25,"share":0.251},{"weight":1.0,"share":1.0}],"#,
        r#""detect_ms":null,"fence_ms":null,"rollback_ms":null,"log_entries":61,"log_verified":true,"#,
        r#""log_dir":"crossfade-demo/good/audit"}"#
    );
    assert_eq!(serde_json::to_string(&summary).unwrap(), expected);
    assert_eq!(summary.flaws(&Expected::Promoted, UnixNanos(BEGIN)), []);
}

#[test]
fn a_rollback_is_timed_from_the_first_refusal_over_the_verdict_to_the_last_byte() {
    let rolled_back = RolloutFacts {
        verdict: Some(at(25_000)),
        cause: Some(Cause::Verdict),
        outcome: Some(Outcome::RolledBack),
        ..facts()
    };
    let timed = |first_refusal: Option<u64>, last_byte: u64| {
        let (first_refusal, last_byte) = (first_refusal.map(at), Some(at(last_byte)));
        let candidate = Observed { first_refusal, last_byte, ..Observed::default() };
        let summary = Summary::new("bad", &found(), &rolled_back, &candidate, log(), Vec::new());
        let flaws = summary.flaws(&Expected::RolledBack, UnixNanos(BEGIN));
        ((summary.detect_ms, summary.fence_ms, summary.rollback_ms), flaws)
    };
    assert_eq!(timed(Some(23_400), 25_006), ((Some(1_600), Some(6), Some(1_606)), vec![]));
    assert_eq!(timed(Some(23_400), 24_990), ((Some(1_600), Some(0), Some(1_600)), vec![]));
    assert_eq!(timed(None, 25_006), ((None, Some(6), None), vec![Flaw::NotTimed]));
}

/// Guarantee: a story that is told for its analysis is flawed if something else was quicker, and says what.
#[test]
fn a_rollback_by_anybody_else_is_not_the_analysis() {
    let by = |cause| {
        let facts =
            RolloutFacts { verdict: Some(at(25_000)), cause, outcome: Some(Outcome::RolledBack), ..facts() };
        let candidate = Observed { first_refusal: Some(at(23_400)), ..Observed::default() };
        let summary = Summary::new("bad", &found(), &facts, &candidate, log(), Vec::new());
        summary.flaws(&Expected::RolledBack, at(0))
    };
    assert_eq!(by(Some(Cause::Verdict)), []);
    for cause in [Some(Cause::Fence), Some(Cause::Command), None] {
        assert_eq!(by(cause), [Flaw::Cause(cause)]);
    }
    let told = by(Some(Cause::Fence))[0].to_string();
    assert_eq!(told, "rolled back by a gateway's breaker, and should have been by the analysis");
}

#[test]
fn only_flaws_of_clocks_are_of_clocks() {
    let excess = Flaw::Excess(GreenShare { weight: 0.25, share: 0.4 });
    for (flaws, are) in [
        (vec![Flaw::Untrusted(0.07)], true),
        (vec![Flaw::Untrusted(0.07), excess.clone()], true),
        (vec![excess], false),
        (vec![Flaw::Untrusted(0.07), Flaw::Torn(1)], false),
        (vec![Flaw::FewStraddling(3)], false),
        (vec![], false),
    ] {
        assert_eq!(Flaw::are_of_clocks(&flaws), are, "{flaws:?}");
    }
}

#[test]
fn everything_that_makes_a_story_fail_is_named() {
    let check = |change: &dyn Fn(&mut Measurement), expected: Vec<Flaw>| {
        let mut found = found();
        change(&mut found);
        let summary = Summary::new("good", &found, &facts(), &Observed::default(), log(), Vec::new());
        assert_eq!(summary.flaws(&Expected::Promoted, UnixNanos(BEGIN)), expected);
    };
    check(&|_| {}, vec![]);
    check(&|found| found.torn = 1, vec![Flaw::Torn(1)]);
    check(&|found| found.spans_lost = 2, vec![Flaw::Lost(2)]);
    check(&|found| found.traces = 499, vec![Flaw::FewTraces(499)]);
    check(&|found| found.straddling = 49, vec![Flaw::FewStraddling(49)]);
    check(&|found| found.spans_untrusted = 1_500, vec![]);
    check(&|found| found.spans_untrusted = 1_503, vec![Flaw::Untrusted(0.0501)]);
    check(&|found| found.green_share[1].1.part = 350, vec![]);
    let excess = GreenShare { weight: 0.25, share: 0.351 };
    check(&|found| found.green_share[1].1.part = 351, vec![Flaw::Excess(excess)]);
    check(&|found| found.green_share[0].1 = Ratio { part: 150, whole: 1_000 }, {
        vec![Flaw::Excess(GreenShare { weight: 0.0, share: 0.15 })]
    });
    check(&|found| found.green_share.retain(|(of, _)| *of != weight(25)), vec![Flaw::NoShare]);

    let unverified = LogFacts { verified: false, ..log() };
    let summary = Summary::new("good", &found(), &facts(), &Observed::default(), unverified, Vec::new());
    let flaws = summary.flaws(&Expected::RolledBack, UnixNanos(BEGIN));
    assert_eq!(
        flaws,
        [ended(Some(Outcome::Promoted), Outcome::RolledBack), Flaw::LogNotVerified, Flaw::NotTimed]
    );
    let told = flaws.iter().map(Flaw::to_string).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            "promoted, and should have been rolled back",
            "the audit log does not verify",
            "rolled back, but not after a refusal",
        ]
    );

    let unfinished = RolloutFacts { outcome: None, ..facts() };
    let summary = Summary::new("good", &found(), &unfinished, &Observed::default(), log(), Vec::new());
    assert_eq!(summary.flaws(&Expected::Promoted, UnixNanos(BEGIN)), [ended(None, Outcome::Promoted)]);
}

/// Scenario: a rollout is stopped by a gate that it is told for; by another one; not at all; or after the candidate owned traces.
/// Guarantee: no cut is asked of it; everything else that is not as it should be is named.
#[test]
fn a_stopped_story_is_told_for_its_findings() {
    const EXPECTED: Expected = Expected::Stopped(&[Must::recorded("history", "CF-HISTORY-001", &[])]);
    let stopped = RolloutFacts { cuts: Vec::new(), outcome: Some(Outcome::Stopped), ..facts() };
    let measured = Measurement { traces: 500, spans_sent: 3_000, ..Measurement::default() };
    let flaws = |measured: &Measurement, facts: &RolloutFacts, gate: &str| {
        let report = serde_json::json!({ "findings": [{ "id": "CF-HISTORY-001", "severity": "high" }] });
        let found = Found::read(gate, &report, Source::Log);
        Summary::new("migration", measured, facts, &Observed::default(), log(), found)
            .flaws(&EXPECTED, UnixNanos(BEGIN))
    };
    assert_eq!(flaws(&measured, &stopped, "history"), []);
    let [missing, unexpected] = &flaws(&measured, &stopped, "parity")[..] else { panic!("two flaws") };
    assert_eq!(missing.to_string(), "not found: CF-HISTORY-001 of history, on the record");
    assert!(unexpected.to_string().starts_with("found, and not expected: CF-HISTORY-001 of parity"));
    let owned = Measurement { green_owned: 3, ..measured.clone() };
    assert_eq!(flaws(&owned, &stopped, "history"), [Flaw::Owned(3)]);
    let promoted = RolloutFacts { outcome: Some(Outcome::Promoted), ..stopped };
    let flaws = flaws(&measured, &promoted, "history");
    assert_eq!(flaws, [ended(Some(Outcome::Promoted), Outcome::Stopped)]);
    assert_eq!(flaws[0].to_string(), "promoted, and should have been stopped before the switch");
}
