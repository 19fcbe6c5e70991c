use super::*;
use crate::fixtures::{candidate, cut, environment, with_cuts};
use crate::sync::FenceCause;
use crate::{Destinations, TraceId};

fn directive(schedule: &Schedule, announced: Option<u64>, horizon: u64) -> Directive {
    Directive { schedule: schedule.clone(), announced: announced.map(UnixNanos), horizon: UnixNanos(horizon) }
}

fn follower(schedule: &Schedule, announced: Option<u64>, horizon: u64) -> Follower {
    let mut follower = Follower::new();
    assert_eq!(follower.accept(directive(schedule, announced, horizon)), Ok(Accepted::Changed));
    follower
}

fn fence(schedule: &Schedule) -> Fence {
    Fence {
        rollout: schedule.rollout().unwrap().to_owned(),
        generation: schedule.generation(),
        at: UnixNanos(5_000),
        cause: FenceCause::Breaker { detail: "green refuses".to_owned() },
    }
}

#[test]
fn nothing_held_routes_nothing() {
    let follower = Follower::new();
    assert!(follower.router(Protection::Copy).is_none());
    assert_eq!((follower.edge(), follower.ack()), (UnixNanos::ZERO, None));
}

#[test]
fn the_edge_is_the_earlier_of_horizon_and_announcement() {
    assert_eq!(follower(&candidate(), None, 900).edge(), UnixNanos(900));
    assert_eq!(follower(&candidate(), Some(700), 900).edge(), UnixNanos(700));
    assert_eq!(follower(&candidate(), Some(700), 600).edge(), UnixNanos(600));
    let held = follower(&candidate(), Some(700), 900);
    assert_eq!(held.router(Protection::Copy).unwrap().edge(), UnixNanos(700));
}

#[test]
fn an_older_generation_is_refused() {
    let (old, new) = (candidate(), with_cuts(&[(1_000, "5")]));
    let mut follower = follower(&new, None, 900);
    let refused = Refusal::OlderGeneration { held: new.generation(), offered: old.generation() };
    assert_eq!(follower.accept(directive(&old, None, 2_000)), Err(refused));
    assert_eq!(follower.edge(), UnixNanos(900));
}

#[test]
fn a_generation_never_changes_its_content() {
    let mut follower = follower(&with_cuts(&[(1_000, "5")]), None, 900);
    let other = directive(&with_cuts(&[(1_001, "5")]), None, 2_000);
    assert_eq!(follower.accept(other), Err(Refusal::Changed { generation: Generation(3) }));
    assert_eq!(follower.directive().unwrap().schedule, with_cuts(&[(1_000, "5")]));
}

/// Scenario: directives of one generation arrive in every order, and twice. Guarantee: the same state in the end; an
/// announcement, once taken, is never forgotten.
#[test]
fn directives_of_a_generation_may_overtake_each_other() {
    let all = [(None, 900), (Some(700), 700), (Some(800), 790)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut follower = Follower::new();
        for i in order.into_iter().chain(order) {
            let (announced, horizon) = all[i];
            let (edge, known) = (follower.edge(), follower.directive().and_then(|held| held.announced));
            follower.accept(directive(&candidate(), announced, horizon)).unwrap();
            assert!(known.is_none() || follower.edge() <= edge.max(UnixNanos(800)), "{order:?}");
        }
        assert_eq!(*follower.directive().unwrap(), directive(&candidate(), Some(800), 900), "{order:?}");
    }
}

#[test]
fn accept_says_what_must_be_saved() {
    let mut follower = follower(&candidate(), None, 900);
    let mut accept =
        |announced, horizon| follower.accept(directive(&candidate(), announced, horizon)).unwrap();
    assert_eq!(accept(None, 900), Accepted::Unchanged);
    assert_eq!(accept(None, 800), Accepted::Unchanged);
    assert_eq!(accept(None, 950), Accepted::Renewed);
    assert_eq!(accept(Some(700), 960), Accepted::Changed);
    let next = directive(&candidate().reissued(), None, 100);
    assert_eq!(follower.accept(next.clone()), Ok(Accepted::Changed));
    assert_eq!(*follower.directive().unwrap(), next, "what was announced under the old generation is void");
}

/// Scenario: a gateway dies between taking an announcement and writing it. Guarantee: it has not acknowledged.
#[test]
fn only_what_is_saved_is_acknowledged() {
    let mut follower = follower(&candidate(), None, 900);
    assert_eq!(follower.ack(), None);
    let first = follower.saved().clone();
    follower.accept(directive(&candidate(), Some(700), 900)).unwrap();
    follower.mark_saved(&first);
    assert_eq!(follower.ack(), Some(Ack { generation: Generation(2), announced: None }));
    follower.mark_saved(&follower.saved().clone());
    let announced = Ack { generation: Generation(2), announced: Some(UnixNanos(700)) };
    assert_eq!(follower.ack(), Some(announced));
    follower.mark_saved(&first);
    assert_eq!(follower.ack(), Some(announced), "a late note of an earlier write takes nothing back");
}

#[test]
fn a_restarted_gateway_goes_on_from_what_it_saved() {
    let mut before = follower(&with_cuts(&[(1_000, "25")]), Some(2_000), 1_900);
    before.fence(fence(&candidate()));
    let json = serde_json::to_string(before.saved()).unwrap();
    let after = Follower::restore(serde_json::from_str(&json).unwrap());
    assert_eq!(after.saved(), before.saved());
    assert_eq!(after.edge(), UnixNanos(1_900));
    assert_eq!(after.ack(), Some(before.directive().unwrap().ack()));
    assert!(after.is_fenced());
}

fn set_of(follower: &Follower) -> Destinations {
    let (trace, at) = (TraceId([7; 16]), UnixNanos(1_500));
    follower.router(Protection::Copy).unwrap().route(&trace, at, at, UnixNanos(9_000)).set
}

/// Scenario: the fence falls at a gateway while control knows nothing of it. Guarantee: from then on no span goes to `to`,
/// whatever control says of this rollout, but that it is over.
#[test]
fn a_fence_is_irrevocable_for_its_rollout() {
    let shifted = with_cuts(&[(1_000, "25")]);
    let mut follower = follower(&shifted, None, 9_000);
    assert_eq!(set_of(&follower), Destinations::BOTH, "an untrusted span");
    assert_eq!(follower.saved_with(&fence(&shifted)).fence, Some(fence(&shifted)));
    assert!(!follower.is_fenced(), "saving comes first");
    follower.fence(fence(&shifted));
    assert!(follower.is_fenced());
    assert_eq!(set_of(&follower), Destinations::FROM);
    assert_eq!(follower.router(Protection::Copy).unwrap().generation(), shifted.generation());
    let heavier = shifted.cut(cut(2_000, "100")).unwrap();
    for next in [heavier.clone(), heavier.promoted(true).unwrap(), shifted.reissued()] {
        let refused = follower.accept(directive(&next, None, 99_000)).unwrap_err();
        assert!(matches!(refused, Refusal::Fenced { .. }), "{refused}");
        assert_eq!(set_of(&follower), Destinations::FROM);
    }
    let fenced = heavier.fenced().unwrap();
    assert_eq!(follower.accept(directive(&fenced, None, 1)), Ok(Accepted::Changed));
    assert_eq!(set_of(&follower), Destinations::FROM);
    let over = fenced.rolled_back().unwrap();
    assert_eq!(follower.accept(directive(&over, None, 1)), Ok(Accepted::Changed));
    assert!(!follower.is_fenced() && follower.fence_held().is_some());
}

/// Scenario: a rollout of the same name is tried again after a rollback. Guarantee: the old fence does not hold it.
#[test]
fn a_second_attempt_is_not_fenced() {
    let first = candidate();
    let mut follower = follower(&first, None, 900);
    follower.fence(fence(&first));
    let over = first.fenced().unwrap().rolled_back().unwrap();
    let begin = crate::Begin {
        rollout: "tempo-3".to_owned(),
        to: environment("green"),
        seed: crate::Seed(43),
        window: crate::fixtures::window(),
    };
    let second = over.begin(begin).unwrap();
    assert_eq!(follower.accept(directive(&second, None, 2_000)), Ok(Accepted::Changed));
    assert!(!follower.is_fenced());
    follower.fence(fence(&first));
    assert!(!follower.is_fenced(), "an old fence comes again, and changes nothing");
    follower.fence(fence(&second));
    assert!(follower.is_fenced());
    follower.fence(fence(&first));
    assert_eq!(follower.fence_held(), Some(&fence(&second)));
}

/// Scenario: fences of several gateways, and of several rollouts, reach one. Guarantee: the first of an attempt stays, and
/// one of an earlier rollout never takes its place.
#[test]
fn the_first_fence_of_an_attempt_stays() {
    let shifted = with_cuts(&[(1_000, "25")]);
    let mut follower = follower(&shifted, None, 900);
    follower.fence(fence(&candidate()));
    follower.fence(fence(&shifted));
    assert_eq!(follower.fence_held(), Some(&fence(&candidate())));
    let mut early = Follower::new();
    early.fence(fence(&shifted));
    early.fence(Fence { rollout: "tempo-2".to_owned(), ..fence(&candidate()) });
    assert_eq!(early.fence_held(), Some(&fence(&shifted)));
}

/// Scenario: the fence of a rollout reaches a gateway before the rollout does. Guarantee: it never takes that rollout.
#[test]
fn a_fence_may_come_first() {
    let mut follower = follower(&Schedule::genesis(environment("blue")), None, 900);
    follower.fence(fence(&with_cuts(&[(1_000, "5")])));
    assert!(!follower.is_fenced(), "nothing is held that it applies to");
    assert!(matches!(follower.accept(directive(&candidate(), None, 900)), Err(Refusal::Fenced { .. })));
}
