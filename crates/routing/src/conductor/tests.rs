use super::*;
use crate::fixtures::{candidate, cut, environment, gateway, ticks};
use crate::{Follower, Saved};

/// gamma is 2, skew 30, horizons are 600; the clock stands at 10,000.
const NOW: UnixNanos = UnixNanos(10_000);
const WATERMARK: UnixNanos = UnixNanos(20_000);

fn at(nanos: u64) -> UnixNanos {
    UnixNanos(nanos)
}

fn gateways(names: &[&str]) -> BTreeSet<GatewayId> {
    names.iter().map(|name| gateway(name)).collect()
}

/// Control of a, b and c, which have just named the candidate and acknowledged it.
fn conductor(names: &[&str]) -> Conductor {
    let roster = names.iter().map(|name| (gateway(name), None)).collect();
    let single = Schedule::genesis(environment("blue"));
    let mut conductor = Conductor::new(single, roster, UnixNanos::ZERO, NOW).with_horizon(ticks(600));
    conductor.issue(candidate()).unwrap();
    conductor.watermark_is_durable(WATERMARK);
    for name in names {
        conductor.directive(&gateway(name), NOW).unwrap();
        ack(&mut conductor, name, None, 10_000);
    }
    conductor
}

fn ack(conductor: &mut Conductor, name: &str, announced: Option<u64>, received_at: u64) {
    let ack = Ack { generation: conductor.schedule().generation(), announced: announced.map(UnixNanos) };
    conductor.report(&gateway(name), Some(ack), at(received_at)).unwrap();
}

fn commit(conductor: &mut Conductor, cut_at: u64, weight: &str) {
    assert_eq!(conductor.verdict(at(cut_at)), Verdict::Commit { at: at(cut_at) });
    let next = conductor.schedule().cut(cut(cut_at, weight)).unwrap();
    conductor.issue(next).unwrap();
}

#[test]
fn a_cut_is_committed_when_all_have_acknowledged_in_time() {
    let mut control = conductor(&["a", "b"]);
    assert_eq!(control.verdict(NOW), Verdict::Idle);
    control.announce(at(10_100)).unwrap();
    let waiting = |names, until| Verdict::WaitFor { gateways: gateways(names), until: at(until) };
    assert_eq!(control.verdict(NOW), waiting(&["a", "b"], 10_098));
    ack(&mut control, "a", Some(10_100), 10_010);
    assert_eq!(control.verdict(at(10_097)), waiting(&["b"], 10_098));
    ack(&mut control, "b", Some(10_100), 10_097);
    assert_eq!(control.verdict(at(10_097)), Verdict::Commit { at: at(10_100) });
    assert_eq!(control.verdict(at(99_999)), Verdict::Commit { at: at(10_100) }, "late, but no less true");
    commit(&mut control, 10_100, "5");
    assert_eq!((control.announced(), control.verdict(NOW)), (None, Verdict::Idle));
}

/// Guarantee: an acknowledgement counts only if, whatever the clocks within gamma, it was received before the cut.
#[test]
fn an_acknowledgement_within_gamma_of_the_cut_is_too_late() {
    let mut control = conductor(&["a"]);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_100), 10_098);
    let Verdict::Reannounce { gateways: late, not_before, sure } = control.verdict(at(10_098)) else {
        panic!("{:?}", control.verdict(at(10_098)))
    };
    assert_eq!((late, not_before, sure), (gateways(&["a"]), at(10_101), Some(at(10_101))));
    control.announce(at(10_101)).unwrap();
    assert_eq!(control.verdict(at(10_098)), Verdict::Commit { at: at(10_101) }, "its edge lies at 10,100");
}

#[test]
fn no_acknowledgement_can_come_in_time_from_gamma_before_the_cut_on() {
    let mut control = conductor(&["a"]);
    control.announce(at(10_100)).unwrap();
    assert!(matches!(control.verdict(at(10_097)), Verdict::WaitFor { .. }));
    let Verdict::Reannounce { not_before, sure, .. } = control.verdict(at(10_098)) else {
        panic!("too late")
    };
    assert_eq!((not_before, sure), (at(10_101), Some(at(10_600))), "or past the horizon of the silent");
}

/// Scenario: b is dead. Guarantee: a cut waits until b's horizon lies before it, and needs no more.
#[test]
fn a_silent_gateway_is_waited_for_until_its_horizon_has_passed() {
    let mut control = conductor(&["a", "b"]);
    control.announce(at(10_599)).unwrap();
    ack(&mut control, "a", Some(10_599), 10_010);
    assert!(matches!(control.verdict(at(10_500)), Verdict::WaitFor { .. }));
    control.announce(at(10_600)).unwrap();
    assert_eq!(control.verdict(at(10_010)), Verdict::Commit { at: at(10_600) });
}

#[test]
fn an_earlier_announcement_counts_for_a_later_one() {
    let mut control = conductor(&["a", "b"]);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_100), 10_010);
    control.announce(at(10_200)).unwrap();
    ack(&mut control, "b", Some(10_200), 10_150);
    assert_eq!(control.verdict(at(10_150)), Verdict::Commit { at: at(10_200) });
}

/// Scenario: reports overtake each other. Guarantee: the first receipt and the latest announcement count.
#[test]
fn a_late_report_takes_nothing_back() {
    let mut control = conductor(&["a"]);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_100), 10_010);
    ack(&mut control, "a", None, 10_020);
    ack(&mut control, "a", Some(10_100), 10_099);
    control.report(&gateway("a"), None, at(10_099)).unwrap();
    let older = Ack { generation: Generation(1), announced: None };
    control.report(&gateway("a"), Some(older), at(10_099)).unwrap();
    assert_eq!(control.behind(Generation(2)), gateways(&[]));
    assert_eq!(control.verdict(at(10_099)), Verdict::Commit { at: at(10_100) });
}

#[test]
fn an_announcement_that_was_never_made_counts_for_nothing() {
    let mut control = conductor(&["a"]);
    ack(&mut control, "a", Some(10_200), 10_010);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_200), 10_010);
    assert!(matches!(control.verdict(at(10_010)), Verdict::WaitFor { .. }));
}

#[test]
fn acknowledgements_of_another_generation_do_not_count() {
    let mut control = conductor(&["a"]);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_100), 10_010);
    let reissued = control.schedule().reissued();
    control.issue(reissued).unwrap();
    assert_eq!(control.announced(), None, "what was announced is void");
    control.announce(at(10_100)).unwrap();
    let old = Ack { generation: Generation(2), announced: Some(at(10_100)) };
    control.report(&gateway("a"), Some(old), at(10_020)).unwrap();
    assert!(matches!(control.verdict(at(10_020)), Verdict::WaitFor { .. }));
}

/// Scenario: a gateway has not taken the generation that names the candidate; to it, both is one. Guarantee: no cut.
#[test]
fn no_cut_before_all_know_the_candidate() {
    let mut control = conductor(&["a"]);
    control.enlist(gateway("b"));
    let unknown = ConductorError::CandidateUnknown { begun: Generation(2), gateways: gateways(&["b"]) };
    assert_eq!(control.announce(at(30_000)), Err(unknown));
    let old = Ack { generation: Generation(1), announced: None };
    control.report(&gateway("b"), Some(old), NOW).unwrap();
    assert_eq!(control.behind(Generation(2)), gateways(&["b"]));
    assert!(control.announce(at(30_000)).is_err());
    ack(&mut control, "b", None, 10_000);
    control.announce(at(30_000)).unwrap();
    assert_eq!(control.verdict(at(10_000)), Verdict::Commit { at: at(30_000) }, "past all horizons");
}

/// Scenario: a gateway comes up with an old state while a cut is announced, and takes the candidate only after the cut.
/// Guarantee: that cut is not committed, for the gateway has sent to one environment until then.
#[test]
fn whoever_learns_of_the_candidate_after_the_cut_is_too_late() {
    let mut control = conductor(&["a"]);
    control.announce(at(20_500)).unwrap();
    control.enlist(gateway("b"));
    let Verdict::WaitFor { gateways: unaware, .. } = control.verdict(NOW) else { panic!("b is unknown") };
    assert_eq!(unaware, gateways(&["b"]));
    let Verdict::Reannounce { sure, .. } = control.verdict(at(20_499)) else { panic!("too late") };
    assert_eq!(sure, None, "no time is sure while b may not know the candidate");
    ack(&mut control, "b", Some(20_500), 20_499);
    assert!(matches!(control.verdict(at(20_499)), Verdict::Reannounce { .. }));
    control.announce(at(20_502)).unwrap();
    assert_eq!(control.verdict(at(20_499)), Verdict::Commit { at: at(20_502) });
}

#[test]
fn a_struck_gateway_is_not_waited_for() {
    let mut control = conductor(&["a", "b"]);
    control.announce(at(10_100)).unwrap();
    ack(&mut control, "a", Some(10_100), 10_010);
    control.strike(&gateway("b"));
    assert_eq!(control.verdict(at(10_010)), Verdict::Commit { at: at(10_100) });
    let unknown = ConductorError::NotOnRoster { gateway: gateway("b") };
    assert_eq!(control.report(&gateway("b"), None, NOW), Err(unknown.clone()));
    assert_eq!(control.directive(&gateway("b"), NOW), Err(unknown));
}

#[test]
fn announcements_only_move_on() {
    let mut control = conductor(&["a"]);
    control.announce(at(30_000)).unwrap();
    control.announce(at(30_000)).unwrap();
    let early = |earliest, offered| ConductorError::CutTooEarly { at: at(offered), earliest: at(earliest) };
    assert_eq!(control.announce(at(29_999)), Err(early(30_000, 29_999)));
    commit(&mut control, 30_000, "5");
    assert_eq!(control.announce(at(30_000)), Err(early(30_001, 30_000)));
    assert_eq!(control.announce(at(30_001)), Ok(()));
    let fenced = control.schedule().fenced().unwrap();
    control.issue(fenced).unwrap();
    assert!(matches!(control.announce(at(40_000)), Err(ConductorError::NoCandidate { .. })));
}

#[test]
fn only_an_announced_cut_is_issued() {
    let mut control = conductor(&["a"]);
    let schedule = control.schedule().cut(cut(30_000, "5")).unwrap();
    assert_eq!(control.issue(schedule.clone()), Err(ConductorError::CutNotAnnounced { at: at(30_000) }));
    control.announce(at(30_000)).unwrap();
    control.issue(schedule.clone()).unwrap();
    let held = schedule.generation();
    let stale = ConductorError::GenerationNotNewer { held, offered: held };
    assert_eq!(control.issue(schedule), Err(stale));
}

#[test]
fn horizons_reach_no_further_than_watermark_and_announcement() {
    let mut control = conductor(&["a"]);
    let horizon = |control: &mut Conductor, now| control.directive(&gateway("a"), at(now)).unwrap().horizon;
    assert_eq!(horizon(&mut control, 10_001), at(10_601));
    assert_eq!(horizon(&mut control, 19_800), at(20_000), "what is durable");
    control.announce(at(19_900)).unwrap();
    let directive = control.directive(&gateway("a"), at(19_800)).unwrap();
    assert_eq!((directive.announced, directive.horizon), (Some(at(19_900)), at(19_900)));
    assert_eq!(control.watermark(), WATERMARK);
}

#[test]
fn the_watermark_is_asked_for_in_good_time() {
    let mut control = conductor(&["a"]);
    assert_eq!(control.wants_watermark(at(19_400)), None);
    assert_eq!(control.wants_watermark(at(19_401)), Some(at(20_601)));
    control.watermark_is_durable(at(20_601));
    assert_eq!(control.wants_watermark(at(19_401)), None);
    control.watermark_is_durable(at(1));
    assert_eq!(control.watermark(), at(20_601), "it never goes back");
    let over = control.schedule().aborted().unwrap();
    control.issue(over).unwrap();
    assert_eq!(control.wants_watermark(at(99_999)), None, "one environment needs no horizon");
}

#[test]
fn a_horizon_has_four_skews_at_least() {
    let mut control = conductor(&["a"]).with_horizon(ticks(1));
    assert_eq!(control.directive(&gateway("a"), at(15_000)).unwrap().horizon, at(15_000 + 4 * 30));
}

/// Scenario: a gateway is in touch, but refuses a generation. Guarantee: it runs out of its horizon, so that the next cut
/// need not wait for it for ever.
#[test]
fn who_refuses_a_generation_is_granted_nothing_more() {
    let mut control = conductor(&["a"]);
    let reissued = control.schedule().reissued();
    control.issue(reissued).unwrap();
    let horizon = |control: &mut Conductor, now| control.directive(&gateway("a"), at(now)).unwrap().horizon;
    assert_eq!(horizon(&mut control, 11_000), at(11_600));
    assert_eq!(horizon(&mut control, 11_100), at(11_600));
    assert_eq!(horizon(&mut control, 15_000), at(11_600));
    ack(&mut control, "a", None, 15_000);
    assert_eq!(horizon(&mut control, 15_000), at(15_600));
}

/// Scenario: control is killed after it granted horizons, and comes back with its log. Guarantee: no gateway holds a
/// horizon that it does not reckon with.
#[test]
fn a_restarted_control_reckons_with_every_horizon_up_to_the_watermark() {
    let mut before = conductor(&["a", "b"]);
    before.announce(at(21_000)).unwrap();
    commit(&mut before, 21_000, "5");
    assert_eq!(before.roster(), [("a", 2), ("b", 2)].map(|(g, n)| (gateway(g), Some(Generation(n)))).into());
    let mut after =
        Conductor::new(before.schedule().clone(), before.roster(), before.watermark(), at(21_500))
            .with_horizon(ticks(600));
    let inherited = ConductorError::Inherited { generation: Generation(3) };
    assert_eq!(after.announce(at(30_000)), Err(inherited));
    after.watermark_is_durable(at(40_000));
    let reissued = after.schedule().reissued();
    after.issue(reissued).unwrap();
    after.announce(at(21_600)).unwrap();
    assert_eq!(after.verdict(at(21_500)), Verdict::Commit { at: at(21_600) }, "past the old watermark");
    let mut later = Conductor::new(after.schedule().clone(), after.roster(), after.watermark(), at(21_500));
    later.issue(after.schedule().reissued()).unwrap();
    later.announce(at(21_600)).unwrap();
    assert!(matches!(later.verdict(at(21_500)), Verdict::WaitFor { .. }), "up to 40,000 all may rely on it");
    let unknown = Conductor::new(before.schedule().clone(), [(gateway("a"), None)].into(), WATERMARK, NOW);
    assert_eq!(unknown.behind(Generation(2)), gateways(&["a"]), "what is not on record is not known");
}

/// Scenario: what a gateway has taken is on record, but not when that was heard. Guarantee: no later than now, by a clock
/// that is right within gamma.
#[test]
fn what_is_on_record_was_heard_before_now() {
    let known = [(gateway("a"), Some(Generation(2)))].into();
    let mut control = Conductor::new(candidate(), known, UnixNanos::ZERO, NOW);
    control.issue(candidate().reissued()).unwrap();
    control.announce(at(10_002)).unwrap();
    assert!(matches!(control.verdict(at(9_990)), Verdict::WaitFor { .. }));
    control.announce(at(10_003)).unwrap();
    assert_eq!(control.verdict(at(9_990)), Verdict::Commit { at: at(10_003) });
}

/// Scenario: control announces a cut for 15,000, and dies; the directive is still on its way. Control comes back,
/// announces one for 12,000, the gateway acknowledges, it is committed. Then the old directive arrives.
///
/// Guarantee: it cannot lift the edge past the committed cut. For control must have issued a generation of its own first;
/// without that it would (the first half of this test).
#[test]
fn announcements_of_an_earlier_life_are_void() {
    let edge_after = |reissue: bool| {
        let mut before = conductor(&["a"]);
        let mut follower = Follower::restore(Saved::default());
        follower.accept(before.directive(&gateway("a"), at(14_500)).unwrap()).unwrap();
        before.announce(at(15_000)).unwrap();
        let on_its_way = before.directive(&gateway("a"), at(14_500)).unwrap();
        let roster = before.roster();
        let mut after = Conductor::new(before.schedule().clone(), roster, WATERMARK, at(11_000));
        if reissue {
            let own = after.schedule().reissued();
            after.issue(own).unwrap();
        } else {
            after.pretend_own();
        }
        after.announce(at(12_000)).unwrap();
        follower.accept(after.directive(&gateway("a"), at(11_000)).unwrap()).unwrap();
        follower.mark_saved(&follower.saved().clone());
        after.report(&gateway("a"), follower.ack(), at(11_500)).unwrap();
        assert_eq!(after.verdict(at(11_500)), Verdict::Commit { at: at(12_000) });
        let _ = follower.accept(on_its_way);
        follower.edge()
    };
    assert!(edge_after(false) > at(12_000), "the danger");
    assert!(edge_after(true) <= at(12_000));
}
