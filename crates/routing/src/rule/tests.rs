//! The rule line by line. Window: overlap 100, skew 30, gamma 2; so a trusted span has 0 <= a - e <= 28, and its trace
//! started between s - 130 and s + 30.

use super::*;
use crate::fixtures::{candidate, environment, with_cuts};
use crate::{Fraction, Seed};

const FAR: UnixNanos = UnixNanos(1_000_000);

/// An id whose fraction lies in this percent.
fn id(percent: u64) -> TraceId {
    let ids = (1_u128..).map(|i| TraceId(i.to_be_bytes()));
    let hundredth = |id: &TraceId| (u128::from(fraction(Seed(42), id).0) * 100) >> 64;
    ids.into_iter().find(|id| hundredth(id) == u128::from(percent)).unwrap()
}

fn times(start: u64, end: u64, arrival: u64) -> Times {
    Times { start: UnixNanos(start), end: UnixNanos(end), arrival: UnixNanos(arrival) }
}

fn check(schedule: &Schedule, edge: UnixNanos, trace: TraceId, times: Times, expect: (Destinations, Reason)) {
    assert_eq!(demand(schedule, edge, &trace, times), expect, "{times:?}");
}

const FROM: (Destinations, Reason) = (Destinations::FROM, Reason::Owner);
const TO: (Destinations, Reason) = (Destinations::TO, Reason::Owner);
const STRADDLES: (Destinations, Reason) = (Destinations::BOTH, Reason::Straddles);
const UNTRUSTED: (Destinations, Reason) = (Destinations::BOTH, Reason::UntrustedClock);
const EDGE: (Destinations, Reason) = (Destinations::BOTH, Reason::Edge);

#[test]
fn an_age_outside_zero_to_skew_less_gamma_is_not_trusted() {
    let schedule = with_cuts(&[(10_000, "50")]);
    for (arrival, expect) in [(4_999, UNTRUSTED), (5_000, FROM), (5_028, FROM), (5_029, UNTRUSTED)] {
        check(&schedule, FAR, id(10), times(5_000, 5_000, arrival), expect);
    }
    for extreme in [0, u64::MAX] {
        check(&schedule, FAR, id(10), times(5_000, 5_000, extreme), UNTRUSTED);
    }
}

#[test]
fn zero_and_inverted_times_are_not_trusted() {
    let schedule = with_cuts(&[(10_000, "50")]);
    check(&schedule, FAR, id(10), times(0, 5_000, 5_000), UNTRUSTED);
    check(&schedule, FAR, id(10), times(1, 5_000, 5_000), FROM);
    check(&schedule, FAR, id(10), times(0, 0, 0), UNTRUSTED);
    check(&schedule, FAR, id(10), times(5_000, 0, 10), UNTRUSTED);
    check(&schedule, FAR, id(10), times(5_001, 5_000, 5_000), UNTRUSTED);
    check(&schedule, FAR, id(10), times(u64::MAX, 5_000, 5_000), UNTRUSTED);
}

#[test]
fn from_skew_before_the_edge_on_everything_goes_to_both() {
    let schedule = with_cuts(&[(1_000, "50")]);
    let edge = UnixNanos(5_000);
    check(&schedule, edge, id(10), times(4_969, 4_969, 4_969), TO);
    check(&schedule, edge, id(10), times(4_970, 4_970, 4_970), EDGE);
    check(&schedule, UnixNanos(0), id(10), times(4_970, 4_970, 4_970), EDGE);
    check(&schedule, UnixNanos::MAX, id(10), times(u64::MAX - 31, u64::MAX, u64::MAX), TO);
    check(&schedule, UnixNanos::MAX, id(10), times(u64::MAX - 30, u64::MAX, u64::MAX), EDGE);
    check(&schedule, UnixNanos::MAX, id(10), times(u64::MAX, u64::MAX, u64::MAX), EDGE);
}

#[test]
fn a_span_goes_everywhere_its_trace_could_have_started() {
    let schedule = with_cuts(&[(10_000, "50")]);
    let at = |start| times(start, start, start);
    check(&schedule, FAR, id(10), at(9_969), FROM);
    check(&schedule, FAR, id(10), at(9_970), STRADDLES);
    check(&schedule, FAR, id(10), at(10_129), STRADDLES);
    check(&schedule, FAR, id(10), at(10_130), TO);
    for start in [1, 9_969, 9_970, 10_129, 10_130, 900_000] {
        check(&schedule, FAR, id(90), at(start), FROM);
    }
}

#[test]
fn several_cuts_in_one_window() {
    let schedule = with_cuts(&[(10_000, "20"), (10_050, "40"), (10_100, "60")]);
    let at = |start| times(start, start, start);
    check(&schedule, FAR, id(10), at(10_131), TO);
    check(&schedule, FAR, id(30), at(10_131), STRADDLES);
    check(&schedule, FAR, id(30), at(10_180), TO);
    check(&schedule, FAR, id(50), at(10_180), STRADDLES);
    check(&schedule, FAR, id(70), at(10_131), FROM);
}

#[test]
fn early_windows_begin_at_time_zero() {
    let schedule = with_cuts(&[(10, "50")]);
    check(&schedule, FAR, id(10), times(1, 1, 1), STRADDLES);
    check(&schedule, FAR, id(10), times(140, 140, 140), TO);
}

#[test]
fn without_a_trace_without_a_candidate_and_after_a_fence() {
    let single = Schedule::genesis(environment("blue"));
    let none = (Destinations::FROM, Reason::NoCandidate);
    check(&single, UnixNanos(0), id(10), times(0, 0, 0), none);
    check(&single, UnixNanos(0), TraceId::INVALID, times(0, 0, 0), none);
    let invalid = |side| (side, Reason::InvalidTraceId);
    let promoted = with_cuts(&[(10, "100")]).promoted(true).unwrap();
    check(&candidate(), FAR, TraceId::INVALID, times(0, 0, 0), invalid(Destinations::FROM));
    check(&promoted, FAR, TraceId::INVALID, times(0, 0, 0), invalid(Destinations::TO));
    let fenced = promoted.fenced().unwrap();
    check(&fenced, FAR, TraceId::INVALID, times(0, 0, 0), invalid(Destinations::FROM));
    check(&fenced, UnixNanos(0), id(10), times(0, 0, 0), FROM);
}

/// Monotone. Scenario: a schedule gets a heavier last cut. Guarantee: no span that went to the candidate alone goes
/// to `from` again.
#[test]
fn a_heavier_cut_never_moves_a_trace_back() {
    let (light, heavy) = (with_cuts(&[(10_000, "20")]), with_cuts(&[(10_000, "20"), (10_200, "70")]));
    for hundredth in [10, 30, 90] {
        for start in 9_900..10_500 {
            let at = times(start, start, start);
            let before = demand(&light, FAR, &id(hundredth), at).0;
            let after = demand(&heavy, FAR, &id(hundredth), at).0;
            assert!(before != Destinations::TO || after == Destinations::TO, "{hundredth} % at {start}");
        }
        let owners = (0..20_000).map(|t| heavy.colour(Fraction(hundredth << 57), UnixNanos(t)));
        let moves = owners.collect::<Vec<_>>().windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(moves <= 1, "{hundredth} % changes its colour {moves} times");
    }
}
