//! What stopped, what is sent and recorded nowhere, and what a tap may have missed.

use super::*;

/// Before, payment reported; since then nobody records it.
fn stopped(sent: Result<Vec<Sent>, String>) -> Report {
    let alone = || inventory([("shop", service(200, at_noon(), &[("GET /", 200)], &[]))]);
    let before = past(shop(NOON - 5 * MINUTE));
    judged(&Inputs { before, sent, ..inputs(alone(), alone()) })
}

// Scenario: a service that was recorded until five to twelve is recorded by neither environment any more.
// Guarantee: it is named and dated, and the three reasons are told apart: silent, blind, not known.
#[test]
fn a_silent_application_is_told_from_a_blind_environment() {
    let silent = stopped(Ok(vec![tap(shop(NOON - 5 * MINUTE))]));
    assert_eq!(ids(&silent)[0], "CF-COVERAGE-008", "{}", text(&silent));
    let detail = &silent.findings[0].detail;
    assert!(
        detail.contains("`payment` is not recorded any more since 2027-01-15T")
            && detail.contains("nothing of it is sent"),
        "{detail}"
    );
    assert!(detail.contains("in `POST /checkout`"), "what would have been misread: {detail}");
    let blind = stopped(Ok(vec![tap(shop(at_noon()))]));
    assert_eq!(ids(&blind)[0], "CF-COVERAGE-007", "{}", text(&blind));
    assert!(blind.findings[0].seen.as_ref().unwrap().contains("blue and green"));
    let unknown = stopped(Err("no gateway answers".into()));
    assert_eq!(ids(&unknown), ["CF-COVERAGE-009", "CF-COVERAGE-015"], "{}", text(&unknown));
    let young = Sent { since: WINDOW.until - 2 * MINUTE, ..tap(Inventory::new()) };
    assert_eq!(
        ids(&stopped(Ok(vec![young])))[0],
        "CF-COVERAGE-009",
        "a tap that has just begun knows nothing"
    );
    // A tap that takes few traces, or could not read what came, does not know what it did not see.
    let tapped = |change: fn(&mut Sent)| {
        let mut tap = tap(shop(NOON - 5 * MINUTE));
        tap.tap.tapped = 1_000;
        tap.passed = [(at_noon() / MINUTE, Passed { spans: 1_000, unseen: 0 })].into();
        change(&mut tap);
        ids(&stopped(Ok(vec![tap])))[0].to_owned()
    };
    fn unseen(tap: &mut Sent, spans: u64) {
        tap.passed.values_mut().for_each(|passed| passed.unseen = spans);
    }
    for (change, id) in [
        (|tap| tap.tap.one_in = 2, "CF-COVERAGE-008"),
        (|tap| tap.tap.one_in = 65_536, "CF-COVERAGE-009"),
        (|tap| unseen(tap, 20), "CF-COVERAGE-008"),
        (|tap| unseen(tap, 21), "CF-COVERAGE-009"),
        // What passed long before does not make it blind now.
        (
            |tap| tap.passed.extend([(BEFORE.from / MINUTE, Passed { spans: 900, unseen: 900 })]),
            "CF-COVERAGE-008",
        ),
        (|tap| tap.passed.clear(), "CF-COVERAGE-009"),
        (|tap| tap.tap.enabled = false, "CF-COVERAGE-009"),
    ] as [(fn(&mut Sent), &str); 7]
    {
        assert_eq!(tapped(change), id);
    }
    for report in [silent, blind, unknown] {
        assert_eq!(
            (report.verdict(), report.findings.iter().filter(|f| f.fails()).count()),
            (Verdict::Fail, 1)
        );
    }
}

// Scenario: both record the same; of what came by, the tap has not seen more than one span in fifty. Then that was before the window, so little
// that no service could be hidden in it, or of what one trace in many stands for; or a service is missing anyway.
// Guarantee: there is no verdict where a service may hide in what was not seen, and a note where that would change nothing.
#[test]
fn what_the_tap_has_not_seen_may_hide_a_service() {
    let with = |minute: u64, spans: u64, unseen: u64, one_in: u32, green: Inventory| {
        let mut tap = tap(shop(at_noon()));
        tap.tap.one_in = one_in;
        tap.passed = [(minute / MINUTE, Passed { spans, unseen })].into();
        let report = judged(&Inputs { sent: Ok(vec![tap]), ..inputs(shop(at_noon()), green) });
        let noted = report.findings.iter().any(|finding| finding.id == "CF-COVERAGE-018");
        (report.verdict(), noted)
    };
    let all = || shop(at_noon());
    assert_eq!(with(at_noon(), 10_000, 200, 1, all()), (Verdict::Pass, false));
    assert_eq!(with(at_noon(), 10_000, 201, 1, all()), (Verdict::NoVerdict, true));
    assert_eq!(with(WINDOW.from - MINUTE, 10_000, 9_000, 1, all()), (Verdict::Pass, false));
    assert_eq!(with(at_noon(), 500, 19, 1, all()), (Verdict::Pass, true));
    assert_eq!(with(at_noon(), 10_000, 300, 16, all()), (Verdict::Pass, true));
    let mut blind = all();
    blind.services.remove("payment");
    assert_eq!(with(at_noon(), 10_000, 9_000, 1, blind), (Verdict::Fail, true));
}

#[test]
fn who_reports_in_bursts_is_not_silent_between_two() {
    let alone = || inventory([("shop", service(200, at_noon(), &[("GET /", 200)], &[]))]);
    let mut before = shop(NOON - 5 * MINUTE);
    before.services.insert("batch".into(), service(120, NOON - 30 * MINUTE, &[("run", 120)], &[]));
    before.services.remove("payment");
    let judged =
        |before: &Inventory| judged(&Inputs { before: past(before.clone()), ..inputs(alone(), alone()) });
    assert_eq!(judged(&before).verdict(), Verdict::Fail);
    let batch = before.services.get_mut("batch").unwrap();
    batch.minutes = [(NOON / MINUTE - 90, 60), (NOON / MINUTE - 30, 60)].into();
    assert_eq!(
        judged(&before).verdict(),
        Verdict::Pass,
        "an hour between two bursts, and an hour and a half since"
    );
}

#[test]
fn what_is_sent_and_recorded_nowhere_needs_no_history() {
    let alone = || inventory([("shop", service(200, at_noon(), &[("GET /", 200)], &[]))]);
    let inputs = Inputs { sent: Ok(vec![tap(shop(at_noon()))]), ..inputs(alone(), alone()) };
    assert_eq!(ids(&judged(&inputs)), ["CF-COVERAGE-007"]);
    let ignore = Limits { ignore: vec!["pay*".into()], ..Limits::default() };
    assert_eq!(judge(&inputs, &ignore).verdict(), Verdict::Pass);
    let few = Limits { sent_min: 1_000, ..Limits::default() };
    assert_eq!(judge(&inputs, &few).verdict(), Verdict::Pass);
}

// Scenario: an application's new version breaks the propagation in both environments at once.
// Guarantee: the two agree with each other, and the boundary is found all the same, with the time since when.
#[test]
fn a_boundary_that_broke_in_both_is_found_in_time() {
    let mut now = shop(at_noon());
    let payment = now.services.get_mut("payment").unwrap();
    payment.callers.clear();
    payment.roots = seen(119, at_noon());
    let before = past(shop(NOON - MINUTE));
    let report = judged(&Inputs { before, ..inputs(now.clone(), now) });
    assert_eq!(ids(&report), ["CF-COVERAGE-006"], "{}", text(&report));
    assert!(
        report.findings[0].detail.contains("in both environments, since 2027-01-15T"),
        "{}",
        text(&report)
    );
}
