//! Schedules, ids, samples, counts.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod judging;

fn phase(rate: u64, millis: u64) -> Phase {
    Phase { part: Part::Hold, rate, duration: Duration::from_millis(millis) }
}

proptest! {
    /// Rate times time is what is offered, to half a request; in every phase to one.
    #[test]
    fn rate_times_time_is_offered(
        phases in prop::collection::vec((0_u64..5_000, 0_u64..4_000), 0..6),
        spans in 1_u32..600,
    ) {
        let phases: Vec<Phase> = phases.into_iter().map(|(rate, millis)| phase(rate, millis)).collect();
        let schedule = Schedule::new(&phases, spans);
        let arrivals: Vec<Arrival> = schedule.arrivals().collect();
        prop_assert_eq!(arrivals.len() as u64, schedule.total());
        let due = |phases: &[Phase]| -> f64 {
            let spans_due = |p: &Phase| p.rate as f64 * p.duration.as_secs_f64();
            phases.iter().map(spans_due).sum::<f64>() / f64::from(spans)
        };
        prop_assert!((arrivals.len() as f64 - due(schedule.phases())).abs() <= 0.5 + 1e-6);
        for (index, one) in schedule.phases().iter().enumerate() {
            let of_phase = arrivals.iter().filter(|arrival| arrival.phase == index).count();
            prop_assert!((of_phase as f64 - due(&[*one])).abs() <= 1.0 + 1e-6);
        }
    }

    /// Arrivals are numbered, never go back in time, and lie in their phases, evenly.
    #[test]
    fn time_goes_on(
        phases in prop::collection::vec((1_u64..5_000, 1_u64..4_000), 1..6),
        spans in 1_u32..600,
    ) {
        let phases: Vec<Phase> = phases.into_iter().map(|(rate, millis)| phase(rate, millis)).collect();
        let schedule = Schedule::new(&phases, spans);
        let arrivals: Vec<Arrival> = schedule.arrivals().collect();
        for (index, pair) in arrivals.windows(2).enumerate() {
            prop_assert_eq!(pair[0].index, index as u64);
            prop_assert!(pair[0].at <= pair[1].at && pair[0].phase <= pair[1].phase);
            if pair[0].phase == pair[1].phase {
                let gap = f64::from(spans) / schedule.phases()[pair[0].phase].rate as f64;
                prop_assert!(((pair[1].at - pair[0].at).as_secs_f64() - gap).abs() < 1e-8);
            }
        }
        for arrival in &arrivals {
            let before: Duration = schedule.phases()[..arrival.phase].iter().map(|p| p.duration).sum();
            let phase = schedule.phases()[arrival.phase];
            prop_assert!(before < arrival.at && arrival.at <= before + phase.duration);
        }
    }

    /// Which traces are read back depends on what was accepted, not on the order in which that was heard.
    #[test]
    fn a_sample_does_not_know_the_order(requests in prop::collection::btree_set(0_u64..500, 0..60), size in 0_usize..40) {
        let ids = Ids::new(7, 1);
        let sample = |requests: &mut dyn Iterator<Item = u64>| {
            let mut sample = Sample::new(ids, size, 20);
            requests.for_each(|request| sample.take(request));
            sample.traces()
        };
        let forth = sample(&mut requests.iter().copied());
        prop_assert_eq!(&forth, &sample(&mut requests.iter().rev().copied()));
        prop_assert_eq!(forth.len(), size.min(requests.len() * 3));
        prop_assert!(forth.iter().all(|picked| requests.contains(&picked.request) && picked.trace < 3));
    }
}

#[test]
fn a_profile_goes_up_holds_and_peaks() {
    let phases = Profile::new(50_000).phases();
    let told: Vec<String> =
        phases.iter().map(|p| format!("{} {} {:?}", p.part.name(), p.rate, p.duration)).collect();
    let wanted = [
        "ramp 1/4 10000 5s",
        "ramp 2/4 20000 5s",
        "ramp 3/4 30000 5s",
        "ramp 4/4 40000 5s",
        "hold 50000 60s",
        "spike 75000 10s",
    ];
    assert_eq!(told, wanted);
    let bare = Profile { ramp: Duration::ZERO, spike: Duration::ZERO, ..Profile::new(3) };
    assert_eq!(bare.phases().iter().map(|p| p.part).collect::<Vec<_>>(), [Part::Hold]);
    let stepless = Profile { ramp_steps: 0, ..bare };
    assert_eq!(stepless.phases().len(), 1);
}

#[test]
fn slow_rates_have_small_requests() {
    assert_eq!([1, 49, 500, 25_600, 9_000_000].map(Profile::spans_per_request), [1, 1, 10, 512, 512]);
}

/// Scenario: a seed is used again, at another time.
/// Guarantee: no id comes twice, within a run or between the two: what an earlier run left is not taken for this one's.
#[test]
fn no_id_comes_twice() {
    let (mut traces, mut spans) = (BTreeSet::new(), BTreeSet::new());
    for ids in [Ids::new(7, 1), Ids::new(7, 2), Ids::new(8, 1)] {
        for request in 0..200 {
            traces.extend((0..64).map(|trace| ids.trace(request, trace)));
            spans.extend((0..512).map(|span| ids.span(request, span)));
        }
    }
    assert_eq!((traces.len(), spans.len()), (3 * 200 * 64, 3 * 200 * 512));
}

#[test]
fn the_last_trace_of_a_request_may_be_shorter() {
    let ids = Ids::new(1, 1);
    assert_eq!(traces_per_request(20), 3);
    assert_eq!([0, 2, 3].map(|trace| ids.spans_of(5, trace, 20).len()), [8, 4, 0]);
    assert_eq!(ids.spans_of(5, 2, 20), (16..20).map(|span| ids.span(5, span)).collect::<Vec<_>>());
}

/// Scenario: a sample of a hundred from a thousand requests.
/// Guarantee: it reaches over the whole run, and another seed has another sample.
#[test]
fn a_sample_reaches_over_the_whole_run() {
    let of = |seed| {
        let mut sample = Sample::new(Ids::new(seed, 1), 100, 80);
        (0..1_000).for_each(|request| sample.take(request));
        sample.traces()
    };
    let quarters: BTreeSet<u64> = of(1).iter().map(|picked| picked.request / 250).collect();
    assert_eq!(quarters.len(), 4);
    assert_ne!(of(1), of(2));
}

#[test]
fn every_span_offered_is_counted_once() {
    let answers = [
        Answer::Accepted { rejected: 0 },
        Answer::Accepted { rejected: 3 },
        Answer::Accepted { rejected: 30 },
        Answer::Rejected,
        Answer::Retryable,
        Answer::TimedOut,
        Answer::Broken,
        Answer::Unsent,
        Answer::Abandoned,
    ];
    let mut counts = Counts::new(phase(100, 1_000));
    for answer in answers {
        counts.offer(10);
        counts.count(answer, 10, Duration::from_millis(5));
    }
    assert_eq!((counts.requests, counts.offered), (9, 90));
    assert_eq!((counts.accepted, counts.rejected, counts.retryable), (17, 23, 10));
    assert_eq!((counts.unanswered, counts.unsent, counts.abandoned), (20, 10, 10));
    assert_eq!(counts.sent() + counts.unsent + counts.abandoned, counts.offered);
    assert!((counts.error_share() - 63.0 / 80.0).abs() < 1e-9);
    assert_eq!(counts.latency.count(), 6, "refusals say nothing of latency; who broke off was waited for");
}

#[test]
fn quantiles_and_buckets() {
    let mut latency = Latency::new();
    assert_eq!((latency.quantile(0.99), latency.max()), (None, None));
    (1..=1_000).for_each(|millis| latency.record(Duration::from_millis(millis)));
    latency.record(Duration::from_secs(100_000)); // longer than it can count
    let close = |share, millis: f64| {
        let got = latency.quantile(share).unwrap().as_secs_f64() * 1e3;
        assert!((got / millis - 1.0).abs() < 0.002, "{share}: {got}");
    };
    close(0.5, 501.0);
    close(0.99, 991.0);
    close(1.0, 3_600_000.0);
    let json = latency.json();
    let counted: u64 = json["buckets_us"].as_array().unwrap().iter().map(|b| b[1].as_u64().unwrap()).sum();
    assert_eq!((counted, json["count"].as_u64()), (1_001, Some(1_001)));
}

#[test]
fn answers_are_counted_and_bounded() {
    let mut words = Words::default();
    (0..40).for_each(|n| words.add(&format!("refusal {n}")));
    (0..3).for_each(|_| words.add("refusal 5"));
    words.add(&"x".repeat(10_000));
    assert_eq!((words.ranked().len(), words.ranked()[0], words.others), (16, ("refusal 5", 4), 25));
}

#[test]
fn what_is_read_back_is_whole_torn_absent_or_unknown() {
    let mut read = ReadBack::default();
    let trace = |phase, found| Incomplete { trace_id: Ids::new(1, 1).trace(0, 0), phase, expected: 8, found };
    for (phase, found) in [(0, 8), (2, 7), (2, 0)] {
        read.count(trace(phase, found));
    }
    read.miss(1, "gone", false);
    (0..50).for_each(|_| read.count(trace(0, 1)));
    assert_eq!(read.total(), Found { asked: 54, whole: 1, torn: 51, absent: 1, unknown: 1 });
    assert_eq!(read.phases[2], Found { asked: 2, torn: 1, absent: 1, ..Found::default() });
    assert_eq!((read.examples.len(), read.unknown.as_deref()), (20, Some("gone")));
}
