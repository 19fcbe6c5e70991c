//! What each measurement comes to.

use super::*;
use crate::model::TraceId;
use crate::render::text;
use crate::report::{Report, Verdict};

/// A phase at this rate in which every request of ten spans took so many milliseconds.
fn took(part: Part, rate: u64, millis: u64) -> Counts {
    let mut counts = Counts::new(Phase { part, rate, duration: Duration::from_secs(10) });
    for _ in 0..rate {
        counts.offer(10);
        counts.count(Answer::Accepted { rejected: 0 }, 10, Duration::from_millis(millis));
        counts.lag.record(Duration::from_micros(200));
    }
    counts
}

fn ramp(step: u32) -> Part {
    Part::Ramp { step, of: 2 }
}

/// 1,000 requests at 300, 600 and 900 spans a second, and a spike: with these latencies.
fn measured(millis: [u64; 4]) -> Measured {
    let phases = [(ramp(1), 300), (ramp(2), 600), (Part::Hold, 900), (Part::Spike, 1_350)];
    let phases = phases.into_iter().zip(millis).map(|((part, rate), millis)| took(part, rate, millis));
    let mut read_back = ReadBack { asked: true, ..ReadBack::default() };
    (0..20).for_each(|n| read_back.count(trace(n % 4, 8)));
    Measured {
        seed: 7,
        at: 9,
        spans_per_request: 10,
        phases: phases.collect(),
        read_back,
        ..Measured::default()
    }
}

fn trace(phase: usize, found: usize) -> Incomplete {
    Incomplete { trace_id: TraceId([7; 16]), phase, expected: 8, found }
}

fn lane(protocol: &'static str, measured: Result<Measured, Unmeasured>) -> Lane {
    Lane { protocol, coding: "identity", measured }
}

fn side(environment: &str, measured: Result<Measured, Unmeasured>) -> Side {
    Side { environment: environment.to_owned(), lanes: vec![lane("grpc", measured)] }
}

fn alone(measured: Measured) -> Run {
    Run {
        candidate: side("green", Ok(measured)),
        active: None,
        limits: Limits::new(Duration::from_millis(250)),
        read_back: true,
    }
}

/// The verdict, and the rules of the findings.
fn check(run: &Run, verdict: Verdict, rules: &[&str]) -> Report {
    let report = judge(run);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!((report.verdict(), found.as_slice()), (verdict, rules), "{}", text(&report));
    report
}

#[test]
fn what_keeps_up_passes() {
    let report = check(&alone(measured([10, 20, 30, 40])), Verdict::Pass, &[]);
    let line =
        "900 spans/s in hold: p99 30 ms, errors 0.00 %, 20/20 read back; good for 1,350 spans/s or more";
    assert_eq!(report.summary, line);
    assert!(!report.unreachable);
    let green = &report.facts["environments"]["green"]["receivers"][0];
    assert_eq!((green["seed"].as_str(), green["highest_rate_met"].as_u64()), (Some("7"), Some(1_350)));
    assert_eq!(green["phases"][2]["sent"], 9_000);
}

/// Scenario: the objective is missed from the second step of the ramp on.
/// Guarantee: it fails for the rate that is held, says where it begins, and which rate was the highest that did.
#[test]
fn slowness_fails_and_says_from_where_on() {
    let run = alone(measured([10, 400, 800, 900]));
    let report = check(&run, Verdict::Fail, &["objective_missed", "slow_in_spike"]);
    let finding = &report.findings[0];
    assert_eq!(
        finding.detail,
        "p99 was 800 ms at 900 spans/s. It is too slow from 600 spans/s on (ramp 2/2)."
    );
    assert_eq!(finding.expected.as_deref(), Some("p99 at most 250 ms"));
    assert!(report.summary.ends_with("good for 300 spans/s"), "{}", report.summary);
}

#[test]
fn a_higher_rate_does_not_make_up_for_a_lower_one() {
    let run = alone(measured([400, 10, 10, 10]));
    let report = check(&run, Verdict::Fail, &["objective_missed"]);
    assert!(report.summary.ends_with("good for no rate that was tried"), "{}", report.summary);
    assert_eq!(
        report.facts["environments"]["green"]["receivers"][0]["highest_rate_met"],
        serde_json::Value::Null
    );
}

#[test]
fn slowness_in_the_spike_alone_is_a_note() {
    let report = check(&alone(measured([10, 20, 30, 900])), Verdict::Pass, &["slow_in_spike"]);
    assert!(report.summary.ends_with("good for 900 spans/s"), "{}", report.summary);
}

#[test]
fn every_objective_counts() {
    let mut run = alone(measured([10, 20, 30, 40]));
    run.limits.objectives.push("max=25ms".parse().unwrap());
    let report = check(&run, Verdict::Fail, &["objective_missed", "slow_in_spike"]);
    assert!(report.findings[0].detail.starts_with("max was 30 ms"), "{}", report.findings[0].detail);
}

/// Scenario: each way in which spans are not taken, in the spike alone.
/// Guarantee: it fails, whichever way it was.
#[test]
fn spans_that_are_not_taken_fail_even_in_the_spike() {
    let answers = [
        (Answer::Rejected, "10 refused for good"),
        (Answer::Retryable, "10 refused for now"),
        (Answer::TimedOut, "10 not answered"),
        (Answer::Broken, "10 not answered"),
        (Answer::Unsent, "10 not sent"),
        (Answer::Accepted { rejected: 4 }, "4 refused for good"),
    ];
    for (answer, words) in answers {
        let mut measured = measured([10, 20, 30, 40]);
        measured.phases[3].offer(10);
        measured.phases[3].count(answer, 10, Duration::from_millis(1));
        measured.words.add("no room");
        let mut run = alone(measured);
        let report = check(&run, Verdict::Fail, &["refused_under_load"]);
        let finding = &report.findings[0];
        assert!(finding.detail.contains("offered in spike") && finding.detail.contains(words), "{finding:?}");
        assert!(finding.seen.as_ref().is_some_and(|seen| seen.contains("no room")));
        run.limits.errors_max = 0.01;
        check(&run, Verdict::Pass, &[]);
    }
}

#[test]
fn accepted_and_not_readable_is_the_worst() {
    for found in [0, 7] {
        let mut run = measured([10, 20, 30, 40]);
        run.read_back.count(trace(2, found));
        let report = check(&alone(run), Verdict::Fail, &["incomplete_under_load"]);
        let finding = &report.findings[0];
        assert_eq!(finding.place.component.as_deref(), Some("hold"));
        assert_eq!(finding.seen, Some(format!("{found} spans")));
    }
}

/// Scenario: everything is quick, and nothing is known of what became of it.
/// Guarantee: no verdict, unless nobody wanted to know.
#[test]
fn what_was_not_read_back_does_not_pass() {
    let mut missed = measured([10, 20, 30, 40]);
    missed.read_back.miss(1, "timed out", true);
    assert!(check(&alone(missed), Verdict::NoVerdict, &["read_back_unknown"]).unreachable);
    let nowhere = Measured { read_back: ReadBack::default(), ..measured([10, 20, 30, 40]) };
    check(&alone(nowhere.clone()), Verdict::NoVerdict, &["read_back_unknown"]);
    let nothing = ReadBack { asked: true, ..ReadBack::default() };
    let nothing = Measured { read_back: nothing, ..measured([10, 20, 30, 40]) };
    check(&alone(nothing), Verdict::NoVerdict, &["read_back_unknown"]);
    let unwanted = Run { read_back: false, ..alone(nowhere) };
    check(&unwanted, Verdict::Pass, &["not_read_back"]);
}

/// Scenario: one trace cannot be asked for, as nobody answers; and besides the generator was late, the load was stopped, or
/// another trace had an answer that was none.
/// Guarantee: nothing is known, and out of reach is not said to be why: an answer would not have made a verdict.
#[test]
fn out_of_reach_is_said_where_it_is_the_reason() {
    let silent = || {
        let mut measured = measured([10, 20, 30, 40]);
        measured.read_back.miss(1, "timed out", true);
        measured
    };
    let both = ["read_back_unknown", "generator_too_slow"];
    let mut late = silent();
    (0..100).for_each(|_| late.phases[2].lag.record(Duration::from_millis(200)));
    assert!(!check(&alone(late), Verdict::NoVerdict, &both).unreachable);
    let mut stopped = silent();
    stopped.interrupted = true;
    let report = check(&alone(stopped), Verdict::NoVerdict, &["read_back_unknown", "load_interrupted"]);
    assert!(!report.unreachable);
    let mut odd = silent();
    odd.read_back.miss(1, "no such tenant", false);
    assert!(!check(&alone(odd), Verdict::NoVerdict, &["read_back_unknown"]).unreachable);
    let nobody = || Err(Unmeasured::Unreachable("gone".into()));
    let mut gone = alone(silent());
    gone.active = Some(side("blue", nobody()));
    assert!(check(&gone, Verdict::NoVerdict, &["read_back_unknown", "active_not_measured"]).unreachable);
}

/// Scenario: the objective is missed, and the generator was late, or had no time left.
/// Guarantee: it is not held against the environment, and not for it either.
#[test]
fn a_slow_generator_is_no_verdict() {
    let mut late = measured([10, 20, 800, 40]);
    (0..100).for_each(|_| late.phases[2].lag.record(Duration::from_millis(200)));
    check(&alone(late), Verdict::NoVerdict, &["generator_too_slow"]);
    let mut busy = measured([10, 20, 800, 40]);
    busy.phases[2].busy = Some(0.99);
    check(&alone(busy), Verdict::NoVerdict, &["generator_too_slow"]);
    let mut easy = measured([10, 20, 30, 40]);
    easy.phases[2].busy = Some(0.99);
    check(&alone(easy), Verdict::Pass, &[]);
    let mut idle = measured([10, 20, 800, 40]);
    idle.phases[2].busy = Some(0.3);
    check(&alone(idle), Verdict::Fail, &["objective_missed"]);
}

#[test]
fn fifty_requests_have_no_99th_percentile() {
    let mut few = measured([10, 20, 30, 40]);
    few.phases[2] = took(Part::Hold, 50, 10);
    let report = check(&alone(few), Verdict::NoVerdict, &["too_few_requests"]);
    assert_eq!(report.findings[0].expected.as_deref(), Some("100 requests or more"));
}

#[test]
fn what_was_stopped_is_no_verdict() {
    let mut stopped = measured([10, 20, 30, 40]);
    stopped.interrupted = true;
    stopped.phases.truncate(3);
    let report = check(&alone(stopped), Verdict::NoVerdict, &["load_interrupted"]);
    assert!(
        report.summary.ends_with("good for 600 spans/s or more"),
        "the last phase was cut: {}",
        report.summary
    );
    let nothing = Measured { interrupted: true, ..Measured::default() };
    let report = judge(&alone(nothing));
    assert_eq!(report.verdict(), Verdict::NoVerdict);
}

#[test]
fn what_cannot_be_reached_is_no_verdict_and_what_refuses_fails() {
    let with = |why| Run { candidate: side("green", Err(why)), ..alone(Measured::default()) };
    let gone = Unmeasured::Unreachable("connection refused".to_owned());
    assert!(check(&with(gone), Verdict::NoVerdict, &["load_unreachable"]).unreachable);
    let unable = Unmeasured::Unable("no thread".to_owned());
    assert!(!check(&with(unable), Verdict::NoVerdict, &["load_not_run"]).unreachable);
    let closed = Unmeasured::Refused("who are you?".to_owned());
    check(&with(closed), Verdict::Fail, &["refused_under_load"]);
}

fn both(green: Measured, blue: Measured) -> Run {
    let mut run = Run { active: Some(side("blue", Ok(blue))), ..alone(green) };
    run.limits.worse_max = Some(0.2);
    run
}

/// Scenario: green meets the objective, and takes half as long again as blue.
/// Guarantee: it fails, unless the difference is what timers are off by.
#[test]
fn slower_than_the_active_fails() {
    let run = both(measured([10, 20, 60, 70]), measured([10, 20, 40, 50]));
    let report = check(&run, Verdict::Fail, &["slower_than_active"]);
    let detail = &report.findings[0].detail;
    assert!(detail.starts_with("p99 is 60 ms against 40 ms: ") && detail.ends_with(" % more."), "{detail}");
    assert!(report.summary.contains("p99 60 ms (blue 40 ms)"), "{}", report.summary);
    check(&both(measured([2, 2, 6, 6]), measured([2, 2, 3, 3])), Verdict::Pass, &[]);
    check(&both(measured([10, 20, 46, 70]), measured([10, 20, 40, 50])), Verdict::Pass, &[]);
    let mut any = both(measured([10, 20, 60, 70]), measured([10, 20, 40, 50]));
    any.limits.worse_max = None;
    check(&any, Verdict::Pass, &[]);
}

#[test]
fn a_comparison_needs_both() {
    let good = || measured([10, 20, 30, 40]);
    let mut run = both(good(), good());
    run.active = Some(side("blue", Err(Unmeasured::Unreachable("gone".into()))));
    assert!(!check(&run, Verdict::NoVerdict, &["active_not_measured"]).unreachable, "green was");
    let stopped = Measured { interrupted: true, ..good() };
    check(&both(good(), stopped), Verdict::NoVerdict, &["active_not_measured"]);
    let mut late = good();
    (0..100).for_each(|_| late.phases[2].lag.record(Duration::from_secs(1)));
    check(&both(good(), late), Verdict::NoVerdict, &["active_not_measured"]);
    let slow = both(measured([10, 20, 700, 700]), measured([10, 20, 700, 700]));
    check(&slow, Verdict::Fail, &["objective_missed", "slow_in_spike", "active_misses_too"]);
}

#[test]
fn both_stand_side_by_side() {
    let table = table(&both(measured([10, 20, 60, 70]), measured([10, 20, 40, 50])));
    insta::assert_snapshot!(table, @r"
    phase     environment   spans/s     accepted   errors      p50      p90      p99    p99.9      max
    ramp 1/2  blue              300        3,000   0.00 %    10 ms    10 ms    10 ms    10 ms    10 ms
              green             300        3,000   0.00 %    10 ms    10 ms    10 ms    10 ms    10 ms
    ramp 2/2  blue              600        6,000   0.00 %    20 ms    20 ms    20 ms    20 ms    20 ms
              green             600        6,000   0.00 %    20 ms    20 ms    20 ms    20 ms    20 ms
    hold      blue              900        9,000   0.00 %    40 ms    40 ms    40 ms    40 ms    40 ms
              green             900        9,000   0.00 %    60 ms    60 ms    60 ms    60 ms    60 ms
    spike     blue            1,350       13,500   0.00 %    50 ms    50 ms    50 ms    50 ms    50 ms
              green           1,350       13,500   0.00 %    70 ms    70 ms    70 ms    70 ms    70 ms
    blue is good for 1,350 spans/s or more
    green is good for 1,350 spans/s or more
    ");
}

/// Scenario: two receivers, the second of which is slow; then slower than blue's, which has both, or the first alone, or another.
/// Guarantee: each is judged by itself, beside its like; the place says which.
#[test]
fn every_receiver_is_held_to_the_objective() {
    let two = |name: &str, lanes: [(&'static str, [u64; 4]); 2]| {
        let lanes = lanes.map(|(protocol, millis)| lane(protocol, Ok(measured(millis))));
        Side { environment: name.to_owned(), lanes: lanes.into() }
    };
    let good = [10, 20, 30, 40];
    let mut run = alone(measured(good));
    run.candidate = two("green", [("grpc", good), ("http/protobuf", [10, 20, 800, 40])]);
    let report = check(&run, Verdict::Fail, &["objective_missed"]);
    assert_eq!(report.findings[0].place.component.as_deref(), Some("hold over http/protobuf"));
    let (grpc, http) = report.summary.split_once("; http/protobuf: ").unwrap();
    assert!(grpc.starts_with("grpc: 900 spans/s in hold: p99 30 ms"), "{}", report.summary);
    assert!(http.starts_with("900 spans/s in hold: p99 800 ms"), "{}", report.summary);
    assert_eq!(report.facts["environments"]["green"]["receivers"][1]["highest_rate_met"], 600);

    run.candidate = two("green", [("grpc", good), ("http/protobuf", [10, 20, 60, 70])]);
    run.limits.worse_max = Some(0.2);
    run.active = Some(two("blue", [("http/protobuf", good), ("grpc", good)]));
    let report = check(&run, Verdict::Fail, &["slower_than_active"]);
    assert_eq!(report.findings[0].place.component.as_deref(), Some("hold over http/protobuf"));
    assert!(table(&run).contains("blue http/protobuf "), "{}", table(&run));
    run.active = Some(side("blue", Ok(measured(good))));
    check(&run, Verdict::Pass, &["nothing_beside"]);
    run.active =
        Some(Side { lanes: vec![lane("other", Ok(measured(good)))], ..side("blue", Ok(measured(good))) });
    check(&run, Verdict::NoVerdict, &["active_not_measured"]);
}

#[test]
fn those_who_take_turns_have_the_time_together() {
    let phases = [phase_of(900, 60), phase_of(1_350, 10)];
    let whole = Schedule::new(&phases, 10);
    let turn = whole.turn(2);
    assert_eq!((turn.length() * 2, turn.total() * 2), (whole.length(), whole.total()));
    assert_eq!(turn.phases()[1].rate, 1_350);
}

fn phase_of(rate: u64, seconds: u64) -> Phase {
    Phase { part: Part::Hold, rate, duration: Duration::from_secs(seconds) }
}

#[test]
fn objectives_are_read() {
    let read = |text: &str| text.parse::<Objective>().map(|objective| objective.to_string());
    for (text, shown) in
        [("p99=250ms", "p99=250ms"), ("p99.9=1s", "p99.9=1s"), ("p50=2m", "p50=120s"), ("max=2s", "max=2s")]
    {
        assert_eq!(read(text).as_deref(), Ok(shown));
    }
    for text in [
        "", "p99", "99=1s", "p0=1s", "p100=1s", "pp=1s", "p99=fast", "p99=0s", "pNaN=1s", "p-1=1s", "mean=1s",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
