use proptest::collection::btree_set;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{candidate, percent, with_cuts};
use crate::rule::{Times, demand};
use crate::{Cut, Weight};

/// Moments about the schedule, and at both ends of time.
fn moments() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 9_000..12_000_u64, 1 => 0..300_u64, 1 => u64::MAX - 300..=u64::MAX, 1 => any::<u64>()]
}

/// Schedules of every stage; their cuts lie about 10,000, or at the ends of time.
fn schedules() -> impl Strategy<Value = Schedule> {
    let ends = prop_oneof![5 => 9_500..11_500_u64, 1 => 1..200_u64, 1 => u64::MAX - 200..=u64::MAX];
    let weights = btree_set(prop_oneof![1..=1_000_000_u32, Just(1), Just(1_000_000)], 0..5);
    (btree_set(ends, 5), weights, 0..=1_000_000_u32, 0..5_u8).prop_map(|(ats, weights, mirror, stage)| {
        let share = |ppm| Weight::from_ppm(ppm).unwrap();
        let mirrored =
            if mirror % 3 == 0 { candidate() } else { candidate().mirrored(share(mirror)).unwrap() };
        let cuts =
            ats.into_iter().zip(weights).map(|(at, ppm)| Cut { at: UnixNanos(at), weight: share(ppm) });
        let full = Cut { at: UnixNanos::MAX, weight: Weight::FULL };
        let shifted = cuts.fold(mirrored, |schedule, cut| schedule.cut(cut).unwrap_or(schedule));
        let promotable = || shifted.cut(full).unwrap_or_else(|_| shifted.clone());
        match stage {
            0 => Schedule::genesis(crate::fixtures::environment("blue")),
            1 => shifted.fenced().unwrap(),
            2 => promotable().promoted(true).unwrap_or(shifted),
            3 => promotable().promoted(false).unwrap_or(shifted),
            _ => shifted,
        }
    })
}

fn ids() -> impl Strategy<Value = TraceId> {
    prop_oneof![9 => any::<[u8; 16]>().prop_map(TraceId), 1 => Just(TraceId::INVALID)]
}

fn spans() -> impl Strategy<Value = Times> {
    let near = (moments(), 0..200_u64, 0..60_u64).prop_map(|(start, length, age)| {
        let end = start.saturating_add(length);
        (start, end, end.saturating_add(age))
    });
    prop_oneof![near, (moments(), moments(), moments())].prop_map(|(start, end, arrival)| Times {
        start: UnixNanos(start),
        end: UnixNanos(end),
        arrival: UnixNanos(arrival),
    })
}

fn protections() -> impl Strategy<Value = Protection> {
    prop_oneof![Just(Protection::Copy), Just(Protection::Split)]
}

/// How stage, mirror and protection widen a set, in words of the design.
fn widened(schedule: &Schedule, protection: Protection, trace: &TraceId, rule: Destinations) -> Destinations {
    let mirrored = trace.is_valid() && schedule.mirror().contains(fraction(schedule.seed(), trace));
    let set = if mirrored { rule | Destinations::TO } else { rule };
    match (protection, schedule.stage()) {
        (Protection::Split, _) | (_, Stage::Single {} | Stage::Fenced {}) => set,
        (Protection::Copy, Stage::Candidate {}) => set | Destinations::FROM,
        (Protection::Copy, Stage::Promoted { mirror_back: false }) => set | Destinations::TO,
        (Protection::Copy, Stage::Promoted { mirror_back: true }) => Destinations::BOTH,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_router_is_the_rule(
        schedule in schedules(), edge in moments(), protection in protections(), trace in ids(), span in spans(),
    ) {
        let edge = UnixNanos(edge);
        let (rule, reason) = demand(&schedule, edge, &trace, span);
        let router = Router::new(&schedule, edge, protection);
        let decision = router.route(&trace, span.start, span.end, span.arrival);
        prop_assert_eq!(decision.rule, rule);
        prop_assert_eq!(decision.set, widened(&schedule, protection, &trace, rule));
        match decision.reason {
            Reason::Mirror => {
                prop_assert_eq!((rule, reason), (Destinations::FROM, Reason::Owner));
                prop_assert!(decision.set == Destinations::BOTH);
            }
            Reason::Protection => {
                prop_assert_eq!(reason, Reason::Owner);
                prop_assert!(decision.set != rule);
            }
            other => prop_assert_eq!(other, reason),
        }
    }

    /// Superset: whatever widens a set, the owner stays in it; and what may be shed first is never what answers.
    #[test]
    fn a_set_is_only_ever_widened(
        schedule in schedules(), edge in moments(), protection in protections(), trace in ids(), span in spans(),
    ) {
        let router = Router::new(&schedule, UnixNanos(edge), protection);
        let decision = router.route(&trace, span.start, span.end, span.arrival);
        prop_assert!(decision.set.contains(decision.rule));
        prop_assert!(decision.set.contains(decision.spare));
        prop_assert!(decision.rule != Destinations::NONE);
        if decision.spare != Destinations::NONE {
            prop_assert_eq!(decision.reason, Reason::UntrustedClock);
            prop_assert!(!decision.spare.contains(schedule.answering()));
            let u = fraction(schedule.seed(), &trace);
            prop_assert!(!schedule.weight().contains(u), "a known cut may have made it the owner");
        }
        if protection == Protection::Copy {
            prop_assert!(decision.set.contains(schedule.answering()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Monotone. Scenario: any schedule gets one more cut, or none: later and heavier. Guarantee: no trace that is the
    /// candidate's becomes the active's, as time goes by or by the cut; nor does a span go back.
    #[test]
    fn weights_only_ever_move_traces_forward(
        schedule in schedules(), edge in moments(), trace in ids(), span in spans(), later in moments(),
        at in moments(), ppm in 1..=1_000_000_u32,
    ) {
        let u = fraction(schedule.seed(), &trace);
        let is_to = |schedule: &Schedule, t: UnixNanos| schedule.colour(u, t) == Destinations::TO;
        let heavier = Cut { at: UnixNanos(at), weight: Weight::from_ppm(ppm).unwrap() };
        let after = schedule.cut(heavier).unwrap_or_else(|_| schedule.clone());
        let [early, late] = [span.start.min(UnixNanos(later)), span.start.max(UnixNanos(later))];
        prop_assert!(!is_to(&after, early) || is_to(&after, late), "given back as time goes by");
        prop_assert!(!is_to(&schedule, early) || is_to(&after, early), "given back by a cut");
        let route = |schedule: &Schedule| {
            let router = Router::new(schedule, UnixNanos(edge), Protection::Split);
            router.route(&trace, span.start, span.end, span.arrival).rule
        };
        let (before, after) = (route(&schedule), route(&after));
        prop_assert!(before != Destinations::TO || after == Destinations::TO, "{before} became {after}");
        prop_assert!(after != Destinations::FROM || before == Destinations::FROM, "{before} became {after}");
    }
}

fn flash(router: &Router, trace: u128, arrival_after: u64) -> Decision {
    let at = UnixNanos(20_000);
    router.route(&TraceId(trace.to_be_bytes()), at, at, UnixNanos(20_000 + arrival_after))
}

/// An id in, and one outside of the first quarter.
fn in_and_out() -> (u128, u128) {
    let quarter = percent("25");
    let is_in = |id: &u128| quarter.contains(fraction(Seed(42), &TraceId(id.to_be_bytes())));
    ((1..).find(is_in).unwrap(), (1..).find(|id| !is_in(id)).unwrap())
}

/// Scenario: the candidate's queue is full, and a host's clock is wrong. Guarantee: the copy of a trace that no cut gave to the
/// candidate is marked as the first to be shed; that of a trace which it may own is not.
#[test]
fn copies_for_untrusted_clocks_are_spare() {
    let (inside, outside) = in_and_out();
    let router = Router::new(&with_cuts(&[(10_000, "25")]), UnixNanos::MAX, Protection::Copy);
    let late = flash(&router, outside, 100);
    assert_eq!((late.set, late.spare), (Destinations::BOTH, Destinations::TO));
    assert_eq!(late.reason, Reason::UntrustedClock);
    let late = flash(&router, inside, 100);
    assert_eq!((late.set, late.spare), (Destinations::BOTH, Destinations::NONE));
    let mirrored = with_cuts(&[(10_000, "25")]).mirrored(percent("100")).unwrap();
    let late = flash(&Router::new(&mirrored, UnixNanos::MAX, Protection::Copy), outside, 100);
    assert_eq!(
        (late.set, late.spare),
        (Destinations::BOTH, Destinations::NONE),
        "the mirror wants it anyway"
    );
}

#[test]
fn reasons_name_what_widened_the_set() {
    let (inside, outside) = in_and_out();
    let shifted = with_cuts(&[(10_000, "25")]);
    let reason = |schedule: &Schedule, protection, id| {
        let decision = flash(&Router::new(schedule, UnixNanos::MAX, protection), id, 0);
        (decision.set, decision.reason)
    };
    let (copy, split) = (Protection::Copy, Protection::Split);
    assert_eq!(reason(&shifted, copy, inside), (Destinations::BOTH, Reason::Protection));
    assert_eq!(reason(&shifted, split, inside), (Destinations::TO, Reason::Owner));
    assert_eq!(reason(&shifted, copy, outside), (Destinations::FROM, Reason::Owner));
    let mirrored = shifted.mirrored(percent("100")).unwrap();
    assert_eq!(reason(&mirrored, copy, outside), (Destinations::BOTH, Reason::Mirror));
    assert_eq!(reason(&mirrored, copy, inside), (Destinations::BOTH, Reason::Protection));
    let full = with_cuts(&[(10_000, "100")]);
    assert_eq!(reason(&full.promoted(true).unwrap(), copy, inside), (Destinations::BOTH, Reason::Protection));
    assert_eq!(reason(&full.promoted(false).unwrap(), copy, inside), (Destinations::TO, Reason::Owner));
    assert_eq!(reason(&full.fenced().unwrap(), copy, inside), (Destinations::FROM, Reason::Owner));
}
