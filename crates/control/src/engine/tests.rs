//! The engine on a disk that fails, with a clock that is a number. Its gateways and environments are real.

mod gates;
mod hosts;
mod rig;

use std::fs;
use std::time::{Duration, Instant};

use crossfade_rollout::event::{Alert, Event, Gate, GenerationCause, Outcome};
use crossfade_rollout::observed::GateSeen;
use crossfade_rollout::{Command, Digest, Phase};
use crossfade_routing::Weight;

use super::Message;
use crate::api::ErrorCode;
use crate::journal::faulty::Faults;
use rig::{HOUR, PACE, PATIENCE, Rig, SECOND, WELL, full};

fn rollback() -> Command {
    Command::Rollback { rollout: None, actor: rig::operator(), reason: "a test".to_owned() }
}

/// Scenario: the disk under the log is full while the candidate is mirrored to.
/// Guarantee: an alert is raised at once; no cut is announced, no step goes on, nothing is promoted; gateways are answered
/// all the while. With room again the rollout goes on, and the log verifies.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_shifts_and_promotions_and_nothing_else() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("mirroring", |rig| rig.runs(0)).await;
    rig.fill(full()).await;
    assert!(rig.status().log.unwritable.is_some());
    let size = rig.status().log.size;
    for _ in 0..100 {
        rig.pass(SECOND).await;
    }
    let schedule = rig.gateways[0].schedule().unwrap().clone();
    assert_eq!((schedule.weight(), rig.announced()), (Weight::ZERO, None));
    assert_eq!(rig.phase(), Some(Phase::Mirroring));
    assert!(
        rig.status().waiting.iter().any(|line| line.contains("no shift, no promotion")),
        "{:?}",
        rig.status().waiting
    );
    let refused = rig.command(Command::Promote { rollout: None, full: true }).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Unavailable);
    assert_eq!(rig.status().log.size, size, "the log has not grown");

    rig.disk.set(WELL);
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.command(Command::Promote { rollout: None, full: false }).await.unwrap();
    rig.until("the end", |rig| rig.phase() == Some(Phase::Finalized)).await;
    rig.stop().await;
    let alerts = rig.events().into_iter().filter(|event| {
        matches!(
            event,
            Event::AlertRaised { .. } | Event::AlertCleared { .. } | Event::EmergencyMerged { .. }
        )
    });
    let alerts: Vec<Event> = alerts.collect();
    assert!(
        matches!(
            &alerts[..],
            [
                Event::EmergencyMerged { entries: 1, .. },
                Event::AlertRaised { .. },
                Event::AlertCleared { .. }
            ]
        ),
        "{alerts:?}"
    );
    rig.verify();
}

/// Scenario: the disk is full, and `cause` calls for a way back.
/// Guarantee: it does not wait for the disk: every gateway is fenced. With room again the record is complete, marked, and
/// verifies.
async fn goes_back_at_once(faults: Faults, cause: impl AsyncFn(&mut Rig)) {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.fill(faults).await;
    cause(&mut rig).await;
    rig.until("the fence", |rig| rig.gateways.iter().all(|gateway| gateway.follower.is_fenced())).await;
    assert_eq!(rig.phase(), Some(Phase::RollingBack));
    rig.disk.set(WELL);
    rig.until("the end", |rig| rig.phase() == Some(Phase::RolledBack)).await;
    rig.stop().await;
    let events = rig.events();
    let mark = events.iter().position(|event| matches!(event, Event::EmergencyMerged { .. }));
    let back = events.iter().position(|event| matches!(event, Event::RollbackStarted { .. }));
    assert!(mark.expect("a mark") < back.expect("a way back"));
    rig.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_goes_back_on_a_full_disk() {
    goes_back_at_once(full(), async |rig| rig.command(rollback()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_analysis_goes_back_on_a_full_disk() {
    let worse =
        async |rig: &mut Rig| rig.gateways.iter_mut().for_each(|gateway| gateway.weather.to_fails = 500);
    goes_back_at_once(full(), worse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_goes_back_on_a_full_disk() {
    let tripped = async |rig: &mut Rig| {
        let now = rig.now();
        rig.gateways[1].trip(now);
    };
    goes_back_at_once(full(), tripped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_goes_back_without_any_disk() {
    let nothing = Faults { no_emergency: true, ..full() };
    goes_back_at_once(nothing, async |rig| rig.command(rollback()).await.unwrap()).await;
}

/// Scenario: neither the log nor the emergency file takes anything, a rollback is ordered, and the process dies before the
/// disk is back. Only the gateways know.
/// Guarantee: they say so, and the rollback goes on, on the record.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_remember_a_fence_that_no_disk_took() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.disk.set(Faults { no_emergency: true, ..full() });
    rig.command(rollback()).await.unwrap();
    rig.until("the fence", |rig| rig.gateways.iter().all(|gateway| gateway.follower.is_fenced())).await;
    let mut rig = rig.killed().await;
    assert!(!rig.events().iter().any(|event| matches!(event, Event::RollbackStarted { .. })));
    rig.until("the end", |rig| rig.phase() == Some(Phase::RolledBack)).await;
    rig.stop().await;
    assert!(rig.events().iter().any(|event| matches!(event, Event::Fenced { .. })));
    rig.verify();
}

/// Scenario: the process is killed while the disk is full, and started again while it still is.
/// Guarantee: it starts, gateways are answered, a way back is open; its own start is on record before anything that it does
/// once there is room.
#[tokio::test(flavor = "multi_thread")]
async fn it_starts_on_a_full_disk() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.fill(full()).await;
    let before = rig.events().len();
    let mut rig = rig.killed_on(full()).await;
    assert!(rig.status().log.unwritable.is_some());
    assert!(rig.status().alerts.contains_key(&Alert::LogUnwritable), "known from the emergency file");
    rig.until("gateways are answered", |rig| {
        rig.status().gateways.iter().all(|gateway| gateway.last_seen.is_some())
    })
    .await;
    assert_eq!(
        rig.command(Command::Promote { rollout: None, full: false }).await.unwrap_err().0.code,
        ErrorCode::Unavailable
    );
    assert_eq!(rig.events().len(), before);
    rig.disk.set(WELL);
    rig.command(Command::Promote { rollout: None, full: false }).await.unwrap();
    let after = &rig.events()[before..];
    assert!(matches!(after[0], Event::EmergencyMerged { .. }), "{after:?}");
    assert!(matches!(after[2], Event::ControlStarted { .. }), "{after:?}");
    assert!(matches!(after[3], Event::PromoteRequested { .. }), "{after:?}");
    rig.until("the end", |rig| rig.phase() == Some(Phase::Finalized)).await;
    rig.stop().await;
    rig.verify();
}

/// Scenario: the disk hangs while the entry of a rollback is being written.
/// Guarantee: a gateway that holds a poll is told of the fence at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_does_not_wait_for_a_disk_that_hangs() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.pass(PACE).await;
    let (held, other) = (rig.report(0), rig.report(1));
    rig.disk.set(Faults { hangs: true, ..WELL });
    let handle = rig.handle.clone();
    let poll = handle.sync(held, PATIENCE * 10);
    let order = handle.command(rig::operator(), rollback());
    tokio::pin!(poll, order);
    let reply = tokio::select! {
        biased;
        reply = &mut poll => reply.unwrap(),
        _ = &mut order => panic!("its entry is still being written"),
        () = tokio::time::sleep(PATIENCE) => panic!("not in time"),
    };
    assert!(reply.fence.is_some());
    let _ = rig.gateways[0].hear(&reply);
    assert!(rig.gateways[0].follower.is_fenced());
    let late = tokio::time::timeout(PATIENCE, handle.sync(other, Duration::ZERO)).await;
    let late = late.expect("in time, although the engine does not answer").unwrap();
    assert!(late.fence.is_some());
    rig.disk.set(WELL);
    order.await.unwrap();
    rig.until("the end", |rig| rig.phase() == Some(Phase::RolledBack)).await;
    rig.stop().await;
    rig.verify();
}

/// Scenario: the commit point of some entry fails now and then, whether or not the entry is in the log.
/// Guarantee: the rollout comes to its end, nothing happens twice, and the log verifies.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_fail_cost_time_only() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    let mut happens = false;
    let patience = Instant::now() + PATIENCE;
    for round in 0.. {
        if round % 5 == 0 {
            happens = !happens;
            rig.disk.set(Faults { commit: Some(happens), ..WELL });
        }
        if rig.runs(2) {
            let _ = rig.command(Command::Promote { rollout: None, full: false }).await;
        }
        rig.pass(PACE).await;
        if rig.phase() == Some(Phase::Finalized) {
            break;
        }
        assert!(Instant::now() < patience, "{}", rig.why());
        // Gates look at real sockets, which take real time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rig.disk.set(WELL);
    rig.until("an order in the log", |rig| rig.status().log.unwritable.is_none()).await;
    rig.stop().await;
    rig.verify();
}

/// Scenario: the host's clock goes back by an hour while a rollout runs, and later catches up; then the control plane is
/// started again on a host whose clock is behind.
/// Guarantee: no cut is set to a time that has been before, and no entry is older than the one before it; people are told
/// why nothing goes on; a way back would still be open. Afterwards the rollout goes on.
#[tokio::test(flavor = "multi_thread")]
async fn time_never_goes_back() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.clock_back(HOUR);
    for _ in 0..20 {
        rig.pass(SECOND).await;
    }
    assert!(
        rig.status().waiting.iter().any(|line| line.contains("s behind the record")),
        "{:?}",
        rig.status().waiting
    );
    rig.command(Command::Promote { rollout: None, full: false }).await.unwrap();
    for _ in 0..20 {
        rig.pass(SECOND).await;
    }
    assert!(!rig.runs(3), "the next cut waits for the clock");
    rig.pass(HOUR).await;
    rig.until("100 %", |rig| rig.runs(3)).await;

    rig.clock_back(HOUR);
    let mut rig = rig.killed().await;
    for _ in 0..20 {
        rig.pass(SECOND).await;
    }
    assert!(
        rig.status().waiting.iter().any(|line| line.contains("s behind the record")),
        "{:?}",
        rig.status().waiting
    );
    rig.pass(HOUR).await;
    rig.until("the end", |rig| rig.phase() == Some(Phase::Finalized)).await;
    rig.stop().await;
    let entries = rig.entries();
    assert!(entries.is_sorted_by_key(|entry| entry.time));
    for pair in entries.windows(2) {
        if let Event::CutAnnounced { cut_at, .. } = &pair[1].event {
            assert!(*cut_at > pair[0].time);
        }
    }
    rig.verify();
}

/// Scenario: the process is killed in a step, with the next cut to come.
/// Guarantee: the schedule is issued again before a cut is announced, since what gateways acknowledged is not on record.
#[tokio::test(flavor = "multi_thread")]
async fn an_inherited_generation_is_issued_again() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    let held = rig.gateways[0].schedule().unwrap().generation();
    let mut rig = rig.killed().await;
    rig.command(Command::Promote { rollout: None, full: false }).await.unwrap();
    rig.until("the end", |rig| rig.phase() == Some(Phase::Finalized)).await;
    rig.stop().await;
    let events = rig.events();
    let restarted = |event: &Event| match event {
        Event::GenerationIssued { schedule, why: GenerationCause::ControlRestarted, .. } => {
            Some(schedule.generation())
        }
        _ => None,
    };
    let issued: Vec<_> = events.iter().filter_map(restarted).collect();
    assert_eq!(issued, [held.next()]);
    let again = events.iter().position(|event| restarted(event).is_some()).unwrap();
    let announced = events.iter().rposition(|event| matches!(event, Event::CutAnnounced { .. })).unwrap();
    assert!(again < announced);
    rig.verify();
}

/// Scenario: the process is killed with a cut announced and not committed, and started again while the disk is full.
/// Guarantee: the old announcement goes out to nobody; with room again the schedule is issued anew, and the cut announced on
/// top of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_inherited_announcement_is_void() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("a cut is announced", |rig| rig.announced().is_some()).await;
    let (announced, held) = (rig.announced(), rig.gateways[0].schedule().unwrap().generation());
    let mut rig = rig.killed_on(full()).await;
    for _ in 0..5 {
        rig.pass(PACE).await;
        assert_eq!(rig.announced(), None);
    }
    assert!(rig.why().contains("issue the next one before a cut is announced"), "{}", rig.why());
    rig.disk.set(WELL);
    rig.until("a cut is announced again", |rig| rig.announced().is_some()).await;
    assert!(rig.announced() > announced);
    assert_eq!(rig.gateways[0].schedule().unwrap().generation(), held.next());
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.stop().await;
    rig.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_counted_even_if_the_log_is_full_as_their_hour_ends() {
    let mut rig = Rig::start().await;
    for _ in 0..3 {
        rig.handle.count_read(rig::operator());
    }
    rig.pass(SECOND).await;
    rig.disk.set(full());
    rig.pass(HOUR).await;
    rig.handle.count_read(rig::operator());
    rig.pass(SECOND).await;
    let patience = Instant::now() + PATIENCE;
    while !rig.status().alerts.contains_key(&Alert::LogUnwritable) {
        assert!(Instant::now() < patience, "{}", rig.why());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // No time passes, and so nothing tries the log; each report is a look.
    let refused = rig.disk.refused();
    for _ in 0..50 {
        rig.pass(Duration::ZERO).await;
    }
    let more = rig.disk.refused() - refused;
    assert!(more <= 2, "the log rests, whatever waits for it: {more} attempts in 50 looks");
    rig.disk.set(WELL);
    rig.until("an order in the log", |rig| rig.status().log.unwritable.is_none()).await;
    rig.stop().await;
    let counts: Vec<u64> = rig
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::ReadsCounted { count, .. } => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [3, 1]);
    rig.verify();
}

/// Scenario: an entry is due that the log will never take: it names evidence that nobody has.
/// Guarantee: that is told, and is not taken for a full disk: no alert comes and goes with every look.
#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_entry_is_not_a_full_disk() {
    let mut rig = Rig::start().await;
    rig.handle.send(Message::Gate(GateSeen {
        rollout: "move".parse().unwrap(),
        gate: Gate::Drift,
        step: None,
        run: 1,
        outcome: Outcome::Pass,
        summary: "of another world".to_owned(),
        evidence: Some(Digest::from_bytes([9; 32])),
        seed: None,
    }));
    rig.begin().await;
    rig.until("it is told", |rig| rig.status().waiting.iter().any(|line| line.contains("does not take")))
        .await;
    for _ in 0..20 {
        rig.pass(SECOND).await;
    }
    assert_eq!((rig.status().log.unwritable.clone(), rig.status().alerts.len()), (None, 0));
    rig.command(Command::Abort { rollout: None, reason: String::new() }).await.unwrap();
    rig.until("the end", |rig| rig.phase() == Some(Phase::Aborted)).await;
    rig.stop().await;
    rig.verify();
}

/// Scenario: a gateway crashes again and again; then an old process of it, that is not gone after all, reports.
/// Guarantee: what the old one has acknowledged does not count for the new one, and it is told so; a closing account is
/// heard.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_process_does_not_speak_for_a_gateway() {
    let mut rig = Rig::start().await;
    let mut old = rig.gateways[0].restarted("boot-old");
    std::mem::swap(&mut old, &mut rig.gateways[0]);
    rig.pass(SECOND).await;
    std::mem::swap(&mut old, &mut rig.gateways[0]);
    for boot in 2..30 {
        rig.gateways[0] = rig.gateways[0].restarted(&format!("boot-{boot}"));
        rig.pass(SECOND).await;
    }
    let last = rig.gateways[0].boot.clone();
    let mut old = rig.gateways[0].restarted("boot-28");
    for _ in 0..5 {
        let report = old.report(rig.now(), 0);
        let refused = rig.handle.sync(report, Duration::ZERO).await.unwrap_err();
        assert_eq!(refused.0.code, ErrorCode::Refused);
        assert!(refused.to_string().contains("two may not share an id"), "{refused}");
    }
    rig.pass(SECOND).await;
    let shown = rig.status().gateways[0].report.clone().unwrap();
    assert_eq!(shown.boot, last);
    old.drained = true;
    let report = old.report(rig.now(), 0);
    rig.handle.sync(report, Duration::ZERO).await.expect("a farewell is heard");
    rig.stop().await;
    let boots = rig.events().iter().filter(|event| matches!(event, Event::GatewayBooted { .. })).count();
    assert_eq!(boots, 2 + 1 + 28, "both gateways, the old one, and each crash; no boot twice");
    rig.verify();
}

/// Requests of the active on record, and how many gaps the step that runs has.
fn counted(rig: &Rig) -> (u64, u32) {
    let status = rig.status();
    let rollout = status.rollout.as_ref().unwrap();
    let requests = rollout.tallies.values().map(|tally| tally.total().from.requests).sum();
    (requests, rollout.running.as_ref().unwrap().gaps)
}

fn is_gap(event: &&Event) -> bool {
    matches!(event, Event::LedgerGapDeclared { .. } | Event::AnalysisResumed { .. })
}

/// Scenario: in a step, gateways drain and report their closing accounts; as soon as they are answered the process is gone,
/// and both are started again.
/// Guarantee: no gap; what was counted before is counted on.
#[tokio::test(flavor = "multi_thread")]
async fn closing_accounts_are_on_record_when_they_are_answered() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.pass(SECOND).await;
    rig.gateways.iter_mut().for_each(|gateway| gateway.drained = true);
    rig.pass(PACE).await;
    let closed = |event: &&Event| matches!(event, Event::LedgerClosed { balanced: true, .. });
    assert_eq!(rig.events().iter().filter(closed).count(), 2);

    let mut rig = rig.killed().await;
    let before = counted(&rig).0;
    assert!(before >= 2 * 40, "two gateways, 40 requests with each report, {before} on record");
    for gateway in &mut rig.gateways {
        *gateway = gateway.restarted("boot-2");
    }
    rig.pass(SECOND).await;
    rig.pass(SECOND * 40).await;
    // On top of it, what the new boots have said by the time counts go on record: two reports, and one; or two, if the engine
    // looked by itself between the time that passed and the reports.
    let (requests, gaps) = counted(&rig);
    assert!((before + 2 * 40..=before + 3 * 40).contains(&requests), "{before} before, {requests} after");
    assert_eq!(gaps, 0);
    assert_eq!(rig.events().iter().filter(is_gap).count(), 0);
    rig.command(Command::Promote { rollout: None, full: false }).await.unwrap();
    rig.until("the end", |rig| rig.phase() == Some(Phase::Finalized)).await;
    rig.stop().await;
    rig.verify();
}

/// Scenario: a gateway drains while the disk under the log is full.
/// Guarantee: it is not told that its closing accounts were heard before they are on record.
#[tokio::test(flavor = "multi_thread")]
async fn closing_accounts_wait_for_the_disk() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.fill(full()).await;
    rig.gateways[0].drained = true;
    let report = rig.report(0);
    let refused = rig.handle.sync(report, Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Unavailable);
    rig.disk.set(WELL);
    let answered = async |rig: &mut Rig| {
        let report = rig.report(0);
        rig.handle.sync(report, Duration::ZERO).await
    };
    let patience = Instant::now() + PATIENCE;
    while let Err(error) = answered(&mut rig).await {
        assert!(Instant::now() < patience, "{error}: {}", rig.why());
        rig.wait(PACE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let closed = |event: &&Event| matches!(event, Event::LedgerClosed { .. });
    assert_eq!(rig.events().iter().filter(closed).count(), 1);
    rig.stop().await;
    rig.verify();
}

/// Scenario: a gateway holds a poll that may be held for minutes; then a rollout names the candidate.
/// Guarantee: the poll is answered with that as soon as it is so, and not when its time is up.
#[tokio::test(flavor = "multi_thread")]
async fn news_does_not_wait_for_a_polls_time() {
    let mut rig = Rig::start().await;
    rig.pass(PACE).await;
    let held = rig.report(0);
    let known = held.ack;
    let polled = tokio::spawn({
        let handle = rig.handle.clone();
        async move { handle.sync(held, PATIENCE * 10).await.unwrap() }
    });
    rig.begin().await;
    rig.until("mirroring", |rig| rig.runs(0)).await;
    let reply = tokio::time::timeout(PATIENCE, polled).await.expect("in time").unwrap();
    assert!(reply.directive.schedule.to().is_some() && Some(reply.directive.ack()) != known);
    rig.stop().await;
    rig.verify();
}

/// Scenario: the process is killed in a step, and started again.
/// Guarantee: each gateway's accounts end in one gap, from what is on record to its return; the step counts it once, and says
/// the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_one_gap() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.pass(SECOND * 31).await;
    rig.pass(SECOND * 5).await;
    let mut rig = rig.killed().await;
    let seen = rig.events().into_iter().filter_map(|event| match event {
        Event::AnalysisRecorded { gateway, seen, .. } if gateway.as_str() == "gw-1" => Some(seen),
        _ => None,
    });
    let on_record = seen.last().unwrap();
    rig.gateways.truncate(1);
    rig.gateways[0] = rig.gateways[0].restarted("boot-2");
    rig.pass(SECOND).await;
    let events = rig.events();
    let gaps = events.iter().filter_map(|event| match event {
        Event::LedgerGapDeclared { from, until, .. } | Event::AnalysisResumed { from, until, .. } => {
            Some((*from, *until))
        }
        _ => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(on_record, rig.now()); 2], "accounts and counts");
    assert_eq!(counted(&rig).1, 1);
    rig.stop().await;
    rig.verify();
}

/// Scenario: the engine's thread panics.
/// Guarantee: that does not go unseen.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_engine_is_seen() {
    let rig = Rig::start().await;
    let gone = rig.handle.gone();
    tokio::pin!(gone);
    let lives = tokio::time::timeout(SECOND / 2, &mut gone).await;
    assert!(lives.is_err(), "not while it lives");
    rig.crash();
    tokio::time::timeout(PATIENCE, gone).await.expect("seen");
}

/// A gate's report that nobody waits for any more does no harm, and neither do messages after the end.
#[tokio::test(flavor = "multi_thread")]
async fn late_messages_are_nobodys_concern() {
    let mut rig = Rig::start().await;
    let (reply, answer) = tokio::sync::oneshot::channel();
    drop(answer);
    rig.handle.send(Message::Evidence { bytes: b"unnamed".to_vec(), reply });
    rig.pass(SECOND).await;
    rig.stop().await;
    let error = rig.handle.command(rig::operator(), rollback()).await.unwrap_err();
    assert_eq!(error.0.code, ErrorCode::Unavailable);
    assert!(
        fs::read_dir(rig.site.log_dir.join("evidence")).is_err(),
        "evidence that no entry names is not kept"
    );
    rig.verify();
}
