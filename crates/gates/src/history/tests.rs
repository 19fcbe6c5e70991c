use serde_json::json;

use super::{Counts, History, Kept, Old, Outcome, Parts, Promise, Search};
use crate::difference::{Rules, Store};
use crate::model::{Span, TraceId};
use crate::parity::{Names, Read, Unread};
use crate::probe::generate;
use crate::report::{Report, Verdict};

const HOUR: u64 = 3_600_000_000_000;
const DAY: u64 = 24 * HOUR;
/// 2027-01-15T08:00:00Z.
const AT: u64 = 1_800_000_000_000_000_000;

fn gate() -> History {
    let names = Names { active: "blue".into(), candidate: "green".into() };
    History::new(names, Rules::between(Store::Tempo, Store::Tempo))
}

/// Guarantee: hours are told as far as they were asked about.
#[test]
fn no_hour_reaches_beyond_what_was_asked() {
    let (from, until) = (AT + HOUR / 2, AT + 2 * HOUR + HOUR / 3);
    let mut gate = gate().within(from, until);
    gate.uncounted(from);
    gate.count(AT + HOUR, Counts { active: 20, candidate: 20, both: 20 });
    gate.count(AT + 2 * HOUR, Counts { active: 20, candidate: 3, both: 3 });
    let report = gate.report(json!({}), false);
    let place = |rule: &str| {
        let finding = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        finding.place.component.clone().unwrap()
    };
    assert_eq!(place("history_fewer_found"), "2027-01-15T10:00:00Z to 2027-01-15T10:20:00Z");
    assert_eq!(place("history_hours_uncounted"), "2027-01-15T08:30:00Z to 2027-01-15T09:00:00Z");
}

fn search(by: &str, outcome: Outcome) -> Search {
    Search { by: by.to_owned(), outcome }
}

fn searches(is_found: bool) -> Vec<Search> {
    vec![search("service", Outcome::Answered { in_active: true, in_candidate: is_found })]
}

/// One trace an hour, as `change` leaves it in the candidate; `found` says whether its searches find it.
fn looked(count: u32, change: impl Fn(usize, &mut Vec<Span>), found: impl Fn(usize) -> bool) -> Report {
    let mut gate = gate();
    for (i, trace) in generate(1, AT, count).into_iter().enumerate() {
        let mut theirs = trace.spans.clone();
        change(i, &mut theirs);
        let begun = AT + i as u64 * HOUR;
        let [active, candidate] = [trace.spans, theirs].map(Read::Spans);
        gate.add(&Old { id: trace.id, begun, active, candidate, searches: searches(found(i)) });
    }
    gate.report(json!({ "seed": "7" }), false)
}

fn rules(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|f| f.rule).collect()
}

#[test]
fn history_that_is_there_passes() {
    let report = looked(100, |_, _| {}, |_| true);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Pass, 0));
    assert_eq!(report.summary, "100 old traces are readable and equal; at most 2.95 % are not (95 %)");
    assert_eq!(report.facts["searches"]["service"], json!({ "looked_for": 100, "found": 100 }));
    assert_eq!(looked(58, |_, _| {}, |_| true).verdict(), Verdict::NoVerdict);
}

/// Scenario: three hours were not migrated, and two traces elsewhere.
/// Guarantee: the hole is told as a time range with what is there around it; the others are told apart from it.
#[test]
fn a_hole_is_a_time_range() {
    let gone = |i: usize| (40..=42).contains(&i) || i == 10 || i == 80;
    let report = looked(
        100,
        |i, spans| {
            if gone(i) {
                spans.clear()
            }
        },
        |_| true,
    );
    assert_eq!(
        (report.verdict(), rules(&report)),
        (Verdict::Fail, vec!["history_hole", "history_trace_lost"])
    );
    assert_eq!(
        report.findings[0].detail,
        "3 traces from 2027-01-17T00:00:00Z to 2027-01-17T02:00:00Z of 100 traces drawn cannot be read in green: a hole \
         between 2027-01-16T23:00:00Z and 2027-01-17T03:00:00Z"
    );
    assert!(report.findings[1].detail.starts_with("2 of 100 traces cannot be read in green, here and there"));
    assert_eq!(report.summary, "5 of 100 old traces are not as blue has them; at most 10.23 % (95 %)");
}

#[test]
fn an_index_that_lags_is_told_from_what_is_not_there() {
    let report = looked(100, |_, _| {}, |i| i < 90);
    assert_eq!((report.verdict(), rules(&report)), (Verdict::Fail, vec!["history_index_lags"]));
    assert_eq!(
        report.findings[0].detail,
        "10 traces from 2027-01-19T02:00:00Z to 2027-01-19T11:00:00Z can be read in green, and are not found by service: \
         the index has a gap from 2027-01-19T01:00:00Z to the end"
    );
    let report = looked(100, |_, _| {}, |i| i % 20 != 0);
    assert_eq!(rules(&report), ["history_not_found"]);
    // What is not there cannot be found either: that is one finding, not two.
    let report = looked(
        100,
        |i, spans| {
            if i >= 90 {
                spans.clear()
            }
        },
        |i| i < 90,
    );
    assert_eq!(rules(&report), ["history_hole"]);
}

/// Scenario: searches that have no answer, that find more than they give, or that find nothing in the active either.
/// Guarantee: a trace says nothing of the candidate's index then, and where nothing does there is no verdict.
#[test]
fn that_nothing_shows_whether_traces_are_found_is_no_verdict() {
    let run = |outcome: &dyn Fn(usize) -> Outcome, is_counted: bool| {
        let mut gate = gate();
        for (i, trace) in generate(1, AT, 100).into_iter().enumerate() {
            let [active, candidate] = [trace.spans.clone(), trace.spans].map(Read::Spans);
            let searches = vec![search(&format!("attribute `a{i}`"), outcome(i))];
            gate.add(&Old { id: trace.id, begun: AT, active, candidate, searches });
        }
        if is_counted {
            gate.count(AT, Counts { active: 20, candidate: 20, both: 20 });
        }
        gate.report(json!({}), false)
    };
    let found = Outcome::Answered { in_active: true, in_candidate: true };
    let nowhere = Outcome::Answered { in_active: false, in_candidate: false };
    let failed = Outcome::Unanswered("http://green answers 500".into());
    for (silent, is_counted) in [(failed.clone(), true), (nowhere.clone(), false), (Outcome::Full, false)] {
        let report = run(&|_| silent.clone(), is_counted);
        assert_eq!(
            (report.verdict(), rules(&report)),
            (Verdict::NoVerdict, vec!["history_unsearched"]),
            "{silent:?}"
        );
    }
    let report = run(&|_| failed.clone(), true);
    assert_eq!(
        report.findings[0].detail,
        "100 of 100 searches by attribute had no answer; first: http://green answers 500"
    );
    assert_eq!(report.facts["searches_unanswered"]["attribute"], 100);
    // Some may fail; and an hour's searches show as much.
    assert_eq!(
        run(&|i| if i % 10 == 0 { failed.clone() } else { found.clone() }, false).verdict(),
        Verdict::Pass
    );
    assert_eq!(run(&|_| nowhere.clone(), true).verdict(), Verdict::Pass);
    assert_eq!(run(&|_| Outcome::Full, true).verdict(), Verdict::Pass);
}

#[test]
fn differences_are_told_by_what_is_lost() {
    type Change = fn(usize, &mut Vec<Span>);
    let changes: [(&str, Change); 4] = [
        ("history_spans_lost", |_, spans| drop(spans.pop())),
        ("history_content_lost", |_, spans| drop(spans[0].attributes.remove("probe.map"))),
        ("history_content_changed", |_, spans| spans[0].name.push('!')),
        ("history_content_added", |_, spans| {
            let copy = spans[0].attributes["probe.map"].clone();
            spans[0].attributes.insert("migrated".into(), copy);
        }),
    ];
    for (rule, change) in changes {
        let report = looked(
            60,
            |i, spans| {
                if i == 7 {
                    change(i, spans)
                }
            },
            |_| true,
        );
        assert_eq!((report.verdict(), rules(&report)), (Verdict::Fail, vec![rule]));
        assert!(report.findings[0].place.trace_id.is_some());
    }
}

#[test]
fn hours_in_which_less_is_found_are_one_range() {
    let mut gate = gate();
    for (i, trace) in generate(1, AT, 60).into_iter().enumerate() {
        let [active, candidate] = [trace.spans.clone(), trace.spans].map(Read::Spans);
        gate.add(&Old { id: trace.id, begun: AT, active, candidate, searches: Vec::new() });
        let both = if (10..13).contains(&i) { 2 } else { 20 };
        gate.count(AT + i as u64 * HOUR, Counts { active: 20, candidate: both, both });
    }
    // Too few to say anything.
    gate.count(AT + 100 * HOUR, Counts { active: 4, candidate: 0, both: 0 });
    let report = gate.report(json!({}), false);
    assert_eq!(rules(&report), ["history_fewer_found"]);
    assert_eq!(
        report.findings[0].detail,
        "searches of 2027-01-15T18:00:00Z to 2027-01-15T21:00:00Z find 6 of the 60 traces that they find in blue"
    );
    assert_eq!(report.facts["hours_active_candidate_both"][10], json!(["2027-01-15T18", 20, 2, 2]));
}

/// Scenario: hours have few traces each, and in three of them nothing is found.
/// Guarantee: together they are enough to tell; an hour beside them with enough of its own stands for itself.
#[test]
fn hours_with_few_traces_tell_together() {
    let mut gate = gate();
    for hour in 0..24 {
        let (active, candidate) = match hour {
            6..9 => (3, 0),
            9 | 20 => (20, 20),
            19 => (3, 0),
            _ => (3, 3),
        };
        gate.count(AT + hour * HOUR, Counts { active, candidate, both: candidate });
    }
    let report = gate.report(json!({}), false);
    let said = report.findings.iter().filter(|finding| finding.rule == "history_fewer_found");
    let seen: Vec<&str> = said.filter_map(|finding| finding.place.component.as_deref()).collect();
    assert_eq!(
        seen,
        ["2027-01-15T14:00:00Z to 2027-01-15T16:00:00Z", "2027-01-16T02:00:00Z to 2027-01-16T04:00:00Z"]
    );
}

/// Scenario: of some hours searches give but a part.
/// Guarantee: they are named as times; a few are told, and more are no verdict. An hour that was counted in part is counted.
#[test]
fn hours_that_could_not_be_counted_are_named() {
    let run = |uncounted: u64| {
        let mut gate = gate();
        for (i, trace) in generate(1, AT, 100).into_iter().enumerate() {
            let [active, candidate] = [trace.spans.clone(), trace.spans].map(Read::Spans);
            gate.add(&Old { id: trace.id, begun: AT, active, candidate, searches: searches(true) });
            let begin = AT + i as u64 * HOUR;
            if i as u64 >= 50 && (i as u64) < 50 + uncounted {
                gate.uncounted(begin);
            } else {
                gate.count(begin, Counts { active: 20, candidate: 20, both: 20 });
                gate.uncounted(begin + HOUR / 2);
            }
        }
        gate.report(json!({}), false)
    };
    assert_eq!((run(0).verdict(), rules(&run(0)).len()), (Verdict::Pass, 0));
    assert_eq!((run(5).verdict(), rules(&run(5))), (Verdict::Pass, vec!["history_hours_uncounted"]));
    let report = run(6);
    assert_eq!((report.verdict(), rules(&report)), (Verdict::NoVerdict, vec!["history_hours_uncounted"]));
    let detail = "6 of 100 hours were not counted: 2027-01-17T10:00:00Z to 2027-01-17T16:00:00Z";
    assert_eq!(report.findings[0].detail, detail);
}

/// Scenario: of a day's hours every other one was searched; in three in a row, but for one with too few, nothing is found.
/// Guarantee: that is one range, and an hour in which all is found ends it.
#[test]
fn hours_that_were_not_looked_at_part_no_range() {
    let mut gate = gate();
    for hour in (0..24).step_by(2) {
        let (active, candidate) = match hour {
            8 | 10 | 14 | 20 => (20, 0),
            12 => (3, 0),
            _ => (20, 20),
        };
        gate.count(AT + hour * HOUR, Counts { active, candidate, both: candidate });
    }
    let report = gate.report(json!({}), false);
    let said = report.findings.iter().filter(|finding| finding.rule == "history_fewer_found");
    let seen: Vec<&str> = said.filter_map(|finding| finding.expected.as_deref()).collect();
    assert_eq!(seen, ["60", "20"]);
}

#[test]
fn what_could_not_be_read_never_passes() {
    let unread = |answered| Read::Unread(Unread { why: "http://green refuses".into(), answered });
    let run = |every: usize, answered: bool| {
        let mut gate = gate();
        for (i, trace) in generate(1, AT, 100).into_iter().enumerate() {
            let [active, theirs] = [trace.spans.clone(), trace.spans].map(Read::Spans);
            let candidate = if i % every == 0 { unread(answered) } else { theirs };
            gate.add(&Old { id: trace.id, begun: AT, active, candidate, searches: searches(true) });
        }
        gate.report(json!({}), false)
    };
    assert_eq!(
        run(100, true).verdict(),
        Verdict::Pass,
        "one of 100 may be anything, and that is at most one of 20"
    );
    assert_eq!(run(50, true).verdict(), Verdict::NoVerdict, "two of 100 may be more");
    assert_eq!(
        (run(10, true).verdict(), rules(&run(10, true))),
        (Verdict::NoVerdict, vec!["history_unread"])
    );
    let silent = run(1, false);
    assert_eq!((silent.verdict(), silent.unreachable), (Verdict::NoVerdict, true));
    let mut gate = gate();
    gate.stopped(Unread { why: "gone".into(), answered: false });
    assert!(gate.report(json!({}), true).unreachable);
}

/// Scenario: blue's searches find traces that blue does not give by id.
/// Guarantee: the few that retention may take are told and pass; more are no verdict, though these be all traces there are.
#[test]
fn traces_that_search_finds_and_blue_does_not_give_are_no_verdict_if_they_are_many() {
    let run = |compared: u32, vanished: u32, is_all: bool| {
        let mut gate = gate();
        for (i, trace) in generate(1, AT, compared + vanished).into_iter().enumerate() {
            let spans = Read::Spans(trace.spans);
            let active = if i < vanished as usize { Read::Spans(Vec::new()) } else { spans.clone() };
            gate.add(&Old { id: trace.id, begun: AT, active, candidate: spans, searches: searches(true) });
        }
        let report = gate.report(json!({}), is_all);
        (report.verdict(), rules(&report).concat())
    };
    assert_eq!(run(100, 2, false), (Verdict::Pass, "history_vanished".to_owned()));
    for (compared, vanished, is_all) in [(60, 440, false), (1, 99, true)] {
        let found = run(compared, vanished, is_all);
        assert_eq!(found, (Verdict::NoVerdict, "history_vanished".to_owned()), "{compared} {vanished}");
    }
}

/// Scenario: both keep flags, and on one trace's way to green they are cleared; or nothing in green has any.
/// Guarantee: that is a difference where other spans of green have theirs; a store that has none at all is told.
#[test]
fn flags_that_are_cleared_are_told() {
    let run = |store: Store, clears: &dyn Fn(usize) -> bool| {
        let mut gate = History::new(gate().names, Rules::between(Store::Jaeger, store));
        for (i, trace) in generate(1, AT, 100).into_iter().enumerate() {
            let mut theirs = trace.spans.clone();
            theirs.iter_mut().filter(|_| clears(i)).for_each(|span| span.flags = 0);
            let [active, candidate] = [trace.spans, theirs].map(Read::Spans);
            gate.add(&Old { id: trace.id, begun: AT, active, candidate, searches: searches(true) });
        }
        let report = gate.report(json!({}), false);
        (report.verdict(), rules(&report).concat(), report.facts["different"].clone())
    };
    let told = |rule: &str, verdict, different: u64| (verdict, rule.to_owned(), json!(different));
    assert_eq!(run(Store::Jaeger, &|i| i == 7), told("history_content_changed", Verdict::Fail, 1));
    assert_eq!(run(Store::Jaeger, &|i| i != 7), told("history_content_changed", Verdict::Fail, 99));
    assert_eq!(run(Store::Jaeger, &|_| true), told("history_flags_not_kept", Verdict::Pass, 0));
    // Tempo has them until it writes a block.
    assert_eq!(run(Store::Tempo, &|i| i > 7), told("", Verdict::Pass, 0));
}

/// Scenario: old traces stay in blue for thirty days.
/// Guarantee: what is found there and cannot be read is told; so is a retention that has eaten what came last.
#[test]
fn what_is_kept_must_stay_readable_for_as_long_as_promised() {
    let earlier = Parts::read(&json!({ "facts": { "parts": { "secs": 86_400, "found": {} } } })).unwrap();
    let promised = |after: u64| {
        let promise =
            Promise { from: AT - 7 * DAY, cut_over: AT, until: AT + 30 * DAY, now: AT + after * DAY };
        Kept::new("blue", promise, Some(earlier.clone()))
    };
    let run = |after: u64, recent: u64, lost: usize| {
        let mut gate = promised(after);
        gate.recent(recent);
        for (i, trace) in generate(1, AT, 60).into_iter().enumerate() {
            let spans = if i < lost { Vec::new() } else { trace.spans };
            gate.add(trace.id, AT - DAY + i as u64, &Read::Spans(spans));
        }
        gate.report(json!({}), false)
    };
    let report = run(3, 5, 0);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Pass, 0));
    assert_eq!(
        report.summary,
        "60 of 60 old traces can be read in blue, which keeps them until 2027-02-14T08:00:00Z"
    );
    assert_eq!(rules(&run(3, 5, 1)), ["history_not_kept"]);
    assert_eq!(rules(&run(3, 0, 0)), ["history_kept_too_short"]);
    assert_eq!(rules(&run(31, 0, 0)), Vec::<&str>::new(), "the promise is over");
    // What is known by the time the reading stops is told; what is not known, is not.
    for (recent, told) in
        [(Some(0), vec!["history_kept_too_short", "history_unread"]), (None, vec!["history_unread"])]
    {
        let mut gate = promised(3);
        recent.into_iter().for_each(|found| gate.recent(found));
        for trace in generate(1, AT, 60) {
            gate.add(trace.id, AT - DAY, &Read::Spans(trace.spans));
        }
        gate.stopped(Unread { why: "the time was up".into(), answered: true });
        assert_eq!(rules(&gate.report(json!({}), false)), told);
    }
    let promise = Promise { from: AT - DAY, cut_over: AT, until: AT + DAY, now: AT };
    let empty = Kept::new("blue", promise, None).report(json!({}), true);
    assert_eq!(empty.verdict(), Verdict::NoVerdict);
    let mut silent = Kept::new("blue", Promise { now: AT + 1, ..promise }, None);
    silent.add(TraceId([1; 16]), AT, &Read::Unread(Unread { why: "silent".into(), answered: false }));
    let report = silent.report(json!({}), false);
    assert!(report.unreachable && report.verdict() != Verdict::Pass);
}

/// Scenario: thirty days stay in blue for thirty more. By the tenth, its retention of fourteen days has taken what is older, or somebody a day in
/// the middle; what a search finds can all be read, and there is something from right before the cut-over.
/// Guarantee: held against an earlier look, what is gone is told; a part that is merely not in the sample is searched for; without an earlier
/// look, that this was not checked is told.
#[test]
fn what_an_earlier_look_has_read_is_still_there() {
    let look =
        |earlier: Option<&Report>, after: u64, has: &dyn Fn(u64) -> bool, finds: &dyn Fn(u64) -> bool| {
            let promise =
                Promise { from: AT - 30 * DAY, cut_over: AT, until: AT + 30 * DAY, now: AT + after * DAY };
            let earlier = earlier.map(|report| Parts::read(&json!({ "facts": report.facts })).unwrap());
            let mut gate = Kept::new("blue", promise, earlier);
            gate.recent(1);
            for (i, trace) in generate(1, AT, 180).into_iter().enumerate() {
                let day = 1 + i as u64 % 30;
                if has(day) {
                    gate.add(trace.id, AT - day * DAY + i as u64, &Read::Spans(trace.spans));
                }
            }
            for (from, _) in gate.unseen() {
                gate.searched(from, finds((AT - from) / DAY));
            }
            gate.report(json!({}), false)
        };
    let first = look(None, 0, &|_| true, &|_| false);
    assert_eq!((first.verdict(), rules(&first)), (Verdict::Pass, vec!["history_kept_not_compared"]));
    let all = look(Some(&first), 10, &|_| true, &|_| false);
    assert_eq!((all.verdict(), rules(&all)), (Verdict::Pass, vec![]));
    let aged = look(Some(&first), 10, &|day| day <= 14, &|day| day <= 14);
    assert_eq!((aged.verdict(), rules(&aged)), (Verdict::Fail, vec!["history_kept_gone"]));
    assert!(
        aged.findings[0].detail.starts_with("an earlier look read 96 traces from 20"),
        "{:?}",
        aged.findings
    );
    let hole = look(Some(&first), 10, &|day| day != 7, &|day| day != 7);
    assert_eq!((hole.verdict(), rules(&hole)), (Verdict::Fail, vec!["history_kept_gone"]));
    let not_drawn = look(Some(&first), 10, &|day| day != 7, &|_| true);
    assert_eq!((not_drawn.verdict(), rules(&not_drawn)), (Verdict::Pass, vec![]));
    // What one look did not draw, the next is held against all the same.
    let later = look(Some(&hole), 11, &|day| day != 7, &|day| day != 7);
    assert_eq!(rules(&later), ["history_kept_gone"]);
    let over = look(Some(&first), 31, &|day| day <= 20, &|_| false);
    assert_eq!((over.verdict(), rules(&over)), (Verdict::Pass, vec![]), "the promise is over");
}
