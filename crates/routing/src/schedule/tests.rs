use super::*;
use crate::fixtures::{candidate, cut, environment, percent, ticks, window, with_cuts};

fn begin(to: &str, window: Window) -> Begin {
    Begin { rollout: "next".to_owned(), to: environment(to), seed: Seed(1), window }
}

#[test]
fn a_rollout_goes_from_begin_to_finalize() {
    let begun = candidate();
    assert_eq!((begun.generation(), begun.begun()), (Generation(2), Generation(2)));
    assert_eq!((begun.weight(), begun.answering()), (Weight::ZERO, Destinations::FROM));
    let mirrored = begun.mirrored(percent("5")).unwrap();
    let full = mirrored.cut(cut(1_000, "25")).unwrap().cut(cut(2_000, "100")).unwrap();
    assert_eq!((full.generation(), full.begun()), (Generation(5), Generation(2)));
    let promoted = full.promoted(true).unwrap();
    assert_eq!((promoted.answering(), promoted.mirror()), (Destinations::TO, Weight::ZERO));
    let after = promoted.promoted(false).unwrap().finalized().unwrap();
    assert_eq!(after.generation(), Generation(8));
    assert_eq!((after.from(), after.to(), after.rollout()), (&environment("green"), None, None));
    assert_eq!(after.past().unwrap().cuts, full.cuts());
}

#[test]
fn every_way_back_leads_to_the_former_active() {
    let fenced = with_cuts(&[(1_000, "25")]).fenced().unwrap();
    assert_eq!(fenced.owner(Fraction(0), UnixNanos(5_000)), Destinations::FROM);
    assert_eq!(fenced.colour(Fraction(0), UnixNanos(5_000)), Destinations::TO, "the cuts say what they said");
    let back = fenced.rolled_back().unwrap();
    assert_eq!((back.from(), back.to(), back.past()), (&environment("blue"), None, None));
    assert_eq!(back.begun(), back.generation());
    let promoted = with_cuts(&[(1_000, "100")]).promoted(true).unwrap();
    assert_eq!(promoted.fenced().unwrap().rolled_back().unwrap().from(), &environment("blue"));
    assert_eq!(candidate().aborted().unwrap().from(), &environment("blue"));
}

#[test]
fn acts_need_their_stage() {
    let single = Schedule::genesis(environment("blue"));
    let fenced = candidate().fenced().unwrap();
    let promoted = with_cuts(&[(1_000, "100")]).promoted(true).unwrap();
    let wrong = [
        single.mirrored(percent("5")),
        single.cut(cut(1, "5")),
        single.promoted(true),
        single.fenced(),
        single.finalized(),
        single.rolled_back(),
        single.aborted(),
        candidate().begin(begin("red", window())),
        candidate().finalized(),
        candidate().rolled_back(),
        with_cuts(&[(1_000, "5")]).aborted(),
        fenced.cut(cut(1, "5")),
        fenced.promoted(true),
        fenced.mirrored(percent("5")),
        fenced.finalized(),
        promoted.cut(cut(2_000, "100")),
        promoted.mirrored(percent("5")),
        promoted.rolled_back(),
    ];
    for (i, result) in wrong.into_iter().enumerate() {
        assert!(matches!(result, Err(ScheduleError::WrongStage { .. })), "{i}: {result:?}");
    }
    let error = single.promoted(true).unwrap_err().to_string();
    assert_eq!(error, "promote needs a candidate, but generation 1 is without a rollout");
}

#[test]
fn cuts_grow_in_time_and_in_weight() {
    let schedule = with_cuts(&[(1_000, "25")]);
    for at in [0, 999, 1_000] {
        assert!(matches!(schedule.cut(cut(at, "50")), Err(ScheduleError::CutNotLater { .. })), "{at}");
    }
    for weight in ["0", "24.9999", "25"] {
        assert!(
            matches!(schedule.cut(cut(2_000, weight)), Err(ScheduleError::CutNotHeavier { .. })),
            "{weight}"
        );
    }
    assert!(schedule.cut(cut(1_001, "25.0001")).is_ok());
    assert!(matches!(candidate().cut(cut(0, "5")), Err(ScheduleError::CutNotLater { .. })));
    assert!(matches!(schedule.promoted(true), Err(ScheduleError::NotFull { .. })));
    let ppm = |at: u32| Cut { at: UnixNanos(at.into()), weight: Weight::from_ppm(at).unwrap() };
    let many = (1..=256).fold(candidate(), |schedule, i| schedule.cut(ppm(i)).unwrap());
    assert_eq!(many.cut(ppm(257)), Err(ScheduleError::TooManyCuts));
}

#[test]
fn a_rollout_has_a_name_and_another_environment() {
    let single = Schedule::genesis(environment("blue"));
    assert!(matches!(single.begin(begin("blue", window())), Err(ScheduleError::SameEnvironment { .. })));
    for rollout in [String::new(), "x".repeat(129)] {
        let nameless = Begin { rollout, ..begin("green", window()) };
        assert!(matches!(single.begin(nameless), Err(ScheduleError::RolloutName { .. })));
    }
}

/// Scenario: a second rollout begins after a finalized one. Guarantee: a window that holds the first
/// cut of the second, by either rule, begins after the last cut of the first.
#[test]
fn the_next_rollout_waits_until_the_last_has_settled() {
    let settled = 1_000 + 100 + 2 * 30;
    let full = with_cuts(&[(500, "5"), (1_000, "100")]);
    assert_eq!(full.settled_at(), UnixNanos(settled));
    assert_eq!(candidate().settled_at(), UnixNanos::ZERO);
    let single = full.promoted(true).unwrap().finalized().unwrap();
    let next = single.begin(begin("red", window())).unwrap();
    assert_eq!(next.earliest_cut(), UnixNanos(settled));
    assert!(matches!(next.cut(cut(settled - 1, "5")), Err(ScheduleError::CutTooEarly { .. })));
    assert!(next.cut(cut(settled, "5")).is_ok());
    let wide = Window::new(ticks(1_000), ticks(30), ticks(2)).unwrap();
    let wider = single.begin(begin("red", wide)).unwrap();
    assert_eq!(wider.earliest_cut(), UnixNanos(1_000 + 1_000 + 2 * 30), "the wider window counts");
    let back = next.cut(cut(5_000, "5")).unwrap().fenced().unwrap().rolled_back().unwrap();
    assert_eq!(back.past(), single.past(), "what was rolled back left no cuts");
}

#[test]
fn weight_at_a_cut_is_the_new_one() {
    let schedule = with_cuts(&[(1_000, "25"), (2_000, "50")]);
    let weight = |t| schedule.weight_at(UnixNanos(t));
    assert_eq!([weight(0), weight(999)], [Weight::ZERO; 2]);
    assert_eq!([weight(1_000), weight(1_999)], [percent("25"); 2]);
    assert_eq!([weight(2_000), weight(u64::MAX)], [percent("50"); 2]);
}

#[test]
fn json_is_stable_and_strings_hold_what_is_64_bits_wide() {
    let schedule = with_cuts(&[(1_000, "12.5")]);
    let json = serde_json::to_value(&schedule).unwrap();
    let expected = serde_json::json!({
        "generation": "3",
        "rollout": "tempo-3",
        "begun": "2",
        "from": "blue",
        "to": "green",
        "seed": "42",
        "window": { "overlap_ns": "100", "skew_ns": "30", "gamma_ns": "2" },
        "stage": { "type": "candidate" },
        "mirror_ppm": 0,
        "cuts": [{ "at": "1000", "weight_ppm": 125_000 }],
        "past": null,
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Schedule>(json).unwrap(), schedule);
    let promoted = with_cuts(&[(1_000, "100")]).promoted(true).unwrap();
    let json = serde_json::to_value(&promoted).unwrap();
    assert_eq!(json["stage"], serde_json::json!({ "type": "promoted", "mirror_back": true }));
    let past = serde_json::to_value(promoted.finalized().unwrap()).unwrap();
    assert_eq!(serde_json::from_value::<Schedule>(past).unwrap(), promoted.finalized().unwrap());
}

/// Scenario: a schedule comes from a file or a socket. Guarantee: what no act could have made is not read.
#[test]
fn json_is_checked() {
    let good = serde_json::to_value(with_cuts(&[(1_000, "25"), (2_000, "50")])).unwrap();
    let wrong = [
        ("/to", serde_json::json!(null)),
        ("/to", serde_json::json!("blue")),
        ("/rollout", serde_json::json!(null)),
        ("/rollout", serde_json::json!("")),
        ("/begun", serde_json::json!("5")),
        ("/generation", serde_json::json!(4)),
        ("/stage", serde_json::json!({ "type": "single" })),
        ("/stage", serde_json::json!({ "type": "promoted", "mirror_back": true })),
        ("/stage", serde_json::json!({ "type": "candidate", "else": 1 })),
        ("/cuts/1/at", serde_json::json!("1000")),
        ("/cuts/1/weight_ppm", serde_json::json!(250_000)),
        ("/cuts/1/weight_ppm", serde_json::json!(1_000_001)),
        ("/cuts/0/at", serde_json::json!("0")),
        ("/window/gamma_ns", serde_json::json!("30")),
    ];
    for (pointer, value) in wrong {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Schedule>(bad.clone()).is_err(), "{bad}");
    }
    let mut more = good.clone();
    more["more"] = serde_json::json!(1);
    assert!(serde_json::from_value::<Schedule>(more).is_err(), "an unknown field may mean something");
    let fenced = candidate().mirrored(percent("5")).unwrap().fenced().unwrap();
    let mut mirrored = serde_json::to_value(fenced).unwrap();
    mirrored["mirror_ppm"] = serde_json::json!(1);
    assert!(serde_json::from_value::<Schedule>(mirrored).is_err());
}
