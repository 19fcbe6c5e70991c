use super::*;
use crate::fixtures::{candidate, cut, environment, percent, window, with_cuts};
use crate::{Begin, Seed};

/// An id in the first quarter of the first rollout (seed 42), and one outside.
fn in_and_out() -> (TraceId, TraceId) {
    let is_in = |id: &TraceId| percent("25").contains(fraction(Seed(42), id));
    let ids = || (1_u128..).map(|i| TraceId(i.to_be_bytes()));
    (ids().find(is_in).unwrap(), ids().find(|id| !is_in(id)).unwrap())
}

fn owner(history: &[Schedule], trace: &TraceId, start: u64) -> (String, Option<String>) {
    let located = locate(history, trace, UnixNanos(start)).unwrap();
    (located.period.owner.to_string(), located.or.map(|period| period.owner.to_string()))
}

fn sure(environment: &str) -> (String, Option<String>) {
    (environment.to_owned(), None)
}

fn either(environment: &str, or: &str) -> (String, Option<String>) {
    (environment.to_owned(), Some(or.to_owned()))
}

#[test]
fn without_history_nothing_is_known() {
    assert_eq!(locate(&[], &TraceId([1; 16]), UnixNanos(1)), None);
}

#[test]
fn the_last_cut_before_the_start_decides() {
    let history = [candidate(), with_cuts(&[(1_000, "25")]), with_cuts(&[(1_000, "25"), (2_000, "100")])];
    let (inside, outside) = in_and_out();
    assert_eq!(owner(&history, &inside, 900), sure("blue"));
    assert_eq!(owner(&history, &inside, 1_031), sure("green"));
    assert_eq!(owner(&history, &outside, 1_500), sure("blue"));
    assert_eq!(owner(&history, &outside, 2_500), sure("green"));
    let located = locate(&history, &outside, UnixNanos(1_500)).unwrap();
    let Decided::Cut { rollout, generation, cut: decisive, .. } = located.period.decided_by else { panic!() };
    assert_eq!((rollout.as_str(), generation, decisive), ("tempo-3", Generation(4), cut(1_000, "25")));
    let before = locate(&history, &outside, UnixNanos(500)).unwrap();
    assert_eq!(before.period.decided_by, Decided::OneEnvironment);
}

/// Scenario: the recorded start lies within skew (30) of a cut. Guarantee: both possible owners are named.
#[test]
fn within_skew_of_a_cut_the_clock_of_the_host_decides() {
    let history = [with_cuts(&[(1_000, "25")])];
    let (inside, outside) = in_and_out();
    for (start, expect) in [
        (969, sure("blue")),
        (970, either("blue", "green")),
        (999, either("blue", "green")),
        (1_000, either("green", "blue")),
        (1_029, either("green", "blue")),
        (1_030, sure("green")),
    ] {
        assert_eq!(owner(&history, &inside, start), expect, "{start}");
        assert_eq!(owner(&history, &outside, start), sure("blue"), "{start}");
    }
}

#[test]
fn after_a_fence_every_trace_belongs_to_the_former_active() {
    let shifted = with_cuts(&[(1_000, "25")]);
    let fenced = shifted.fenced().unwrap();
    let (inside, _) = in_and_out();
    for history in
        [vec![shifted.clone(), fenced.clone()], vec![shifted, fenced.clone(), fenced.rolled_back().unwrap()]]
    {
        assert_eq!(owner(&history, &inside, 1_500), sure("blue"));
        let located = locate(&history, &inside, UnixNanos(1_500)).unwrap();
        assert!(matches!(located.period.decided_by, Decided::Fence { .. }), "{located:?}");
    }
}

/// Scenario: one rollout is finalized, the next one begins with another seed. Guarantee: each trace is sought by the cuts of
/// its own time.
#[test]
fn cuts_outlive_their_rollout() {
    let full = with_cuts(&[(1_000, "25"), (2_000, "100")]);
    let single = full.promoted(true).unwrap().finalized().unwrap();
    let begin = Begin { rollout: "next".to_owned(), to: environment("red"), seed: Seed(7), window: window() };
    let next = single.begin(begin).unwrap().cut(cut(9_000, "100")).unwrap();
    let history = [full, single, next];
    let (inside, outside) = in_and_out();
    assert_eq!(owner(&history, &inside, 1_500), sure("green"));
    assert_eq!(owner(&history, &outside, 1_500), sure("blue"));
    assert_eq!(owner(&history, &outside, 5_000), sure("green"));
    assert_eq!(owner(&history, &outside, 9_500), sure("red"));
    assert_eq!(owners(&history, &outside).len(), 4);
}
