//! Rollouts, by plan and by command.

use std::collections::BTreeSet;
use std::fs;

use crossfade_control::api::{ErrorCode, EventsReply, PlanRequest, VerbRequest};
use crossfade_control::progress::PlanNews;
use crossfade_control::status::Status;
use crossfade_lab::environment::Faults;
use crossfade_rollout::ending::{Ending, EndingCause, EndingKind};
use crossfade_rollout::event::{AbortReason, Event, Gate, Outcome, RollbackReason, StepEnd};
use crossfade_rollout::{Actor, Digest, Phase};
use crossfade_routing::Weight;

use crate::support::{House, SPEC, Syncing, code, control, spec_waiting_at_ten};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_through_its_phases() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;

    let plan = operator.plan(SPEC).await.unwrap();
    let said: Vec<_> = plan.advice.iter().map(|advice| (advice.gate.as_str(), advice.outcome)).collect();
    let passes = |gate| (gate, Outcome::Pass);
    assert_eq!(
        said,
        ["drift", "posture", "probe", "overlap", "skew", "traffic"].map(passes),
        "{:#?}",
        plan.advice
    );
    operator.start(&plan).await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Finalized);
    assert_eq!(gateway.with(|gateway| gateway.schedule().unwrap().from().to_string()), "green");
    gateway.end().await;
    control.stop().await;

    let entries = house.entries();
    let drafted = entries.iter().find(|entry| matches!(entry.event, Event::RolloutDrafted { .. })).unwrap();
    assert!(drafted.actor.to_string().starts_with("operator:"), "{}", drafted.actor);
    let events: Vec<&Event> = entries.iter().map(|entry| &entry.event).collect();
    let at = |wanted: fn(&Event) -> bool| events.iter().position(|event| wanted(event)).expect("it happened");
    let order = [
        at(|event| matches!(event, Event::Genesis { .. })),
        at(|event| matches!(event, Event::ControlStarted { .. })),
        at(|event| matches!(event, Event::GatewayRostered { .. })),
        at(|event| matches!(event, Event::RolloutDrafted { .. })),
        at(|event| matches!(event, Event::GateFinished { .. })),
        at(|event| matches!(event, Event::PreflightPassed { .. })),
        at(|event| matches!(event, Event::ApprovalNotRequired { .. })),
        at(|event| matches!(event, Event::CutAnnounced { .. })),
        at(|event| matches!(event, Event::CutCommitted { .. })),
        at(|event| matches!(event, Event::Promoted { .. })),
        at(|event| matches!(event, Event::Finalized { .. })),
        at(|event| matches!(event, Event::ControlStopped { .. })),
    ];
    assert!(order.is_sorted(), "{order:?}");
    let drawn = events.iter().filter(|event| matches!(event, Event::GateFinished { .. }));
    assert!(
        drawn.clone().all(|event| matches!(event, Event::GateFinished { seed: Some(_), .. })),
        "{drawn:?}"
    );
    // And that each seed is of a checkpoint from after its gate's start.
    house.verify();
}

/// Scenario: a plan whose probes take their time, and one that cannot be made.
/// Guarantee: whoever waits hears of each check as it begins and ends, in order, and at last the plan or why there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_how_far_it_is() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let mut heard = Vec::new();
    let request = PlanRequest { spec: SPEC.to_owned(), source: "rollout.yaml".to_owned() };
    let plan = operator.client.plan(&request, |news| heard.push(news.clone())).await.unwrap();
    let told: Vec<(&str, Option<Outcome>)> = heard
        .iter()
        .map(|news| match news {
            PlanNews::Begun { gate, .. } => (gate.as_str(), None),
            PlanNews::Ended { gate, outcome, .. } => (gate.as_str(), Some(*outcome)),
            last => panic!("{last:?} is no progress"),
        })
        .collect();
    let passes = |gate: &'static str| [(gate, None), (gate, Some(Outcome::Pass))];
    let [reach, drift, posture, probe, overlap] =
        ["reach", "drift", "posture", "probe", "overlap"].map(passes);
    assert_eq!((told[..2].to_vec(), told[6..].to_vec()), (reach.to_vec(), [probe, overlap].concat()));
    // Side by side, in whatever order.
    assert!([drift, posture].concat().iter().all(|line| told[2..6].contains(line)), "{told:?}");
    // A minute each to write, to read and to search, and what hangs.
    let deadline = PlanNews::Begun { gate: "probe".to_owned(), at_most_ms: Some(210_000) };
    assert!(heard.contains(&deadline), "{heard:?}");
    assert_eq!(plan.plan.outline.rollout.as_str(), "move");
    let alone = operator.plan(SPEC).await.unwrap();
    assert_eq!(alone.plan.outline.steps, plan.plan.outline.steps, "the same, told or not");

    let nonsense = PlanRequest { spec: "name: [".to_owned(), source: "rollout.yaml".to_owned() };
    let refused = operator.client.plan(&nonsense, |news| panic!("{news:?}")).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Invalid);
    assert!(refused.to_string().starts_with("rollout.yaml:2:1: not valid YAML"), "{refused}");
    control.stop().await;
    let denied = operator.client.plan(&request, |news| panic!("{news:?}")).await.unwrap_err();
    assert_eq!(denied.0.code, ErrorCode::Unreachable);
}

/// Scenario: the candidate hangs while gates look at it, and somebody has seen enough.
/// Guarantee: who looks is shown; and once the rollout is over nobody does, long before the hour that the gate was given.
#[tokio::test(flavor = "multi_thread")]
async fn gates_end_with_their_rollout() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    let probe_alone = SPEC.replace("gates: {", "gates: { posture: { off: it would soon give up },");
    let plan = operator.plan(&probe_alone.replace("deadline: 60s", "deadline: 1h")).await.unwrap();
    house.environments[1].set_faults(Faults { hang: true, ..Faults::none() });
    operator.start_anyway(&plan).await.unwrap();
    let probes = |status: &Status| status.looking.iter().any(|looking| looking.gate == Gate::Probe);
    operator.until("the probe", probes).await;
    operator.say("abort").await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Aborted);
    operator.until("nobody looks", |status| status.looking.is_empty()).await;
    gateway.end().await;
    control.stop().await;
    house.verify();
}

/// Scenario: the candidate begins to fail once it owns 10 % of the traces.
/// Guarantee: the rollout goes back without a person, and every gateway is fenced.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_candidate_is_rolled_back() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let (one, two) = (house.gateway("gw-1", "boot-1"), house.gateway("gw-2", "boot-1"));
    let line = house.line(control.address());
    let gateways = [one, two].map(|gateway| Syncing::start(gateway, line.clone()));
    operator.until("both gateways", |status| status.gateways.len() == 2).await;
    operator.begin(&spec_waiting_at_ten()).await;
    operator.until_step(2).await;
    gateways.iter().for_each(|gateway| gateway.with(|gateway| gateway.weather.to_fails = 500));
    assert_eq!(operator.until_over().await, Phase::RolledBack);
    let status = operator
        .until("blue alone", |status| status.rollout.as_ref().unwrap().phase == Phase::RolledBack)
        .await;
    assert_eq!(status.active.unwrap().as_str(), "blue");
    let ending = status.ending.unwrap();
    assert_eq!((ending.kind, ending.cause), (EndingKind::RolledBack, EndingCause::Verdict));
    assert!(ending.reason.contains("export_errors: candidate failed "), "{ending:?}");
    for gateway in gateways {
        let gateway = gateway.end().await;
        assert_eq!(gateway.follower.fence_held().map(|fence| fence.rollout.as_str()), Some("move"));
    }
    control.stop().await;
    let reasons = house.events().into_iter().filter_map(|event| match event {
        Event::RollbackStarted { reason, lossless, .. } => Some((reason, lossless)),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert!(matches!(&reasons[..], [(RollbackReason::Verdict { .. }, true)]), "{reasons:?}");
    said_by(&house, &ending);
    house.verify();
}

/// Scenario: green's configuration has an undeclared difference.
/// Guarantee: the drift gate ends the rollout before any gateway hears of the candidate; the report is evidence.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_gate_stops_it_before_traffic_moves() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    fs::write(
        house.path("green.yaml"),
        "receivers: { otlp: {} }\nexporters: { debug: { verbosity: detailed } }\n",
    )
    .unwrap();
    let plan = operator.plan(SPEC).await.unwrap();
    assert_eq!((plan.advice[0].gate.as_str(), plan.advice[0].outcome), ("drift", Outcome::Fail));
    let refused = operator.start(&plan).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Refused);
    assert!(refused.to_string().contains("drift (failed): 1 difference"), "{refused}");
    assert!(refused.to_string().contains("--anyway"), "{refused}");
    assert!(operator.status().await.rollout.is_none(), "its name is not used up");
    operator.start_anyway(&plan).await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Aborted);
    let ending = operator.status().await.ending.unwrap();
    assert_eq!((ending.kind, ending.cause), (EndingKind::Aborted, EndingCause::Gate));
    assert!(
        ending.reason.starts_with("gate drift failed: 1 difference, 0 declared, 1 not; ")
            && ending.reason.contains("; first: CF-DRIFT-")
            && ending.reason.contains("collector:exporters.debug.verbosity (green.yaml:2)"),
        "{ending:?}"
    );
    let again = operator.plan(SPEC).await.unwrap();
    let name = again.advice.iter().find(|advice| advice.gate == "name").expect("the suffix is explained");
    assert!(name.summary.starts_with("move.2: move is aborted since 20"), "{}", name.summary);
    assert_eq!(
        gateway.with(|gateway| gateway.schedule().unwrap().to().cloned()),
        None,
        "green was never named"
    );
    gateway.end().await;
    control.stop().await;
    said_by(&house, &ending);
    let found = house.events().into_iter().find_map(|event| match event {
        Event::GateFinished { outcome: Outcome::Fail, evidence, .. } => evidence,
        _ => None,
    });
    let hex = found.expect("with its report").to_string();
    let hex = hex.trim_start_matches("sha256:");
    let blob = house.site().log_dir.join("evidence").join(&hex[..2]).join(hex);
    assert!(fs::read_to_string(blob).unwrap().contains("verbosity"));
    house.verify();
}

/// The status names the entry of the log that decided the end.
fn said_by(house: &House, ending: &Ending) {
    let entry = usize::try_from(ending.entry.expect("it is in the log").0).unwrap();
    let event = &house.events()[entry];
    assert!(event.begins_the_end(), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_are_not_what_they_say_are_refused() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let plan = operator.plan(SPEC).await.unwrap();
    let refused = operator.start(&plan).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Refused);
    assert!(refused.to_string().contains("no gateway is known"), "{refused}");

    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    let mut tampered = plan.clone();
    tampered.plan.outline.analysis.min_requests = 1;
    let refused = operator.start(&tampered).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Refused);
    assert!(refused.to_string().contains("it was changed; plan again"), "{refused}");

    fs::write(house.path("green.yaml"), "receivers: { otlp: {} }\n").unwrap();
    let refused = operator.start(&plan).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Refused);
    assert!(refused.to_string().contains("green/collector[0] green.yaml changed"), "{refused}");

    let plan = operator.plan(&spec_waiting_at_ten()).await.unwrap();
    fs::write(house.path("green.yaml"), "receivers: { otlp: {} }\nexporters: { debug: {} }\n").unwrap();
    let fresh = operator.plan(&spec_waiting_at_ten()).await.unwrap();
    operator.start(&fresh).await.unwrap();
    let second = operator.start(&fresh).await.unwrap_err();
    assert_eq!(second.0.code, ErrorCode::Refused);
    assert!(second.to_string().contains("a second one may begin when it has ended"), "{second}");
    operator.until_step(2).await;
    operator.say("rollback").await.unwrap();
    operator.until_over().await;
    let stale = operator.start_anyway(&plan).await.unwrap_err();
    assert_eq!(stale.0.code, ErrorCode::Refused);
    assert!(stale.to_string().contains("the plan is stale"), "{stale}");
    gateway.end().await;
    control.stop().await;

    let drafted = house.events().iter().filter(|event| matches!(event, Event::RolloutDrafted { .. })).count();
    assert_eq!(drafted, 1, "nothing was done for a refused one");
    let blobs = fs::read_dir(house.site().log_dir.join("evidence")).unwrap().count();
    let events = house.events();
    let named: BTreeSet<Digest> = events
        .iter()
        .filter_map(|event| match event {
            Event::GateFinished { evidence, .. } => *evidence,
            Event::RolloutDrafted { plan, .. } => Some(*plan),
            _ => None,
        })
        .collect();
    assert_eq!(blobs, named.len(), "a plan and its gates' reports: what was refused left no evidence");
    house.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn people_pause_promote_and_go_back() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    assert_eq!(code(operator.say("pause").await), ErrorCode::Refused, "nothing runs");
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    // It waits at 100 %, too: second thoughts may take their time.
    let spec = spec_waiting_at_ten().replace("  - promote: {}", "  - pause: {}\n  - promote: {}");
    operator.begin(&spec).await;
    operator.until_step(2).await;
    operator.say("pause").await.unwrap();
    assert!(operator.status().await.rollout.unwrap().paused.is_some(), "the status says so at once");
    assert_eq!(code(operator.say("pause").await), ErrorCode::Refused, "paused already");
    assert_eq!(code(operator.say("promote").await), ErrorCode::Refused, "not while it is paused");
    operator.say("resume").await.unwrap();
    assert_eq!(code(operator.say("abort").await), ErrorCode::Refused, "traffic has moved");
    assert_eq!(code(operator.order("other", "pause", &VerbRequest::default()).await), ErrorCode::Refused);
    assert_eq!(code(operator.say("dance").await), ErrorCode::Unknown);
    assert_eq!(
        code(operator.order("NO NAME", "pause", &VerbRequest::default()).await),
        ErrorCode::Unreachable
    );
    let long = VerbRequest { reason: Some("x".repeat(3_000)), full: false };
    assert_eq!(code(operator.order("move", "rollback", &long).await), ErrorCode::Invalid);
    assert_eq!(operator.status().await.log.unwritable, None, "that is no fault of the log");

    operator.say("promote").await.unwrap();
    operator.until("100 %", |_| gateway.with(|gateway| gateway.weight() == Weight::FULL)).await;
    let reason = VerbRequest { reason: Some("second thoughts".to_owned()), full: false };
    let answered = operator.order("move", "rollback", &reason).await.unwrap();
    assert_eq!(answered.rollout.as_str(), "move");
    assert_eq!(operator.until_over().await, Phase::RolledBack);
    gateway.end().await;
    control.stop().await;

    let entries = house.entries();
    let by_operator: Vec<&Event> = entries
        .iter()
        .filter(|entry| entry.actor.to_string().starts_with("operator:"))
        .map(|entry| &entry.event)
        .collect();
    let changes = by_operator.iter().filter(|event| !matches!(event, Event::ReadsCounted { .. }));
    let names: Vec<&str> = changes.map(|event| name(event)).collect();
    assert_eq!(names, ["drafted", "paused", "resumed", "promote", "rollback"]);
    let early = entries
        .iter()
        .any(|entry| matches!(entry.event, Event::StepEnded { step: 2, how: StepEnd::PromotedEarly, .. }));
    assert!(early);
    house.verify();
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::RolloutDrafted { .. } => "drafted",
        Event::Paused { .. } => "paused",
        Event::Resumed { .. } => "resumed",
        Event::PromoteRequested { .. } => "promote",
        Event::RollbackStarted { reason: RollbackReason::Command { .. }, .. } => "rollback",
        Event::AbortStarted { reason: AbortReason::Command { .. }, .. } => "abort",
        _ => "another",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_full_skips_what_is_left_to_wait_for_and_abort_ends_before_the_first_cut() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    let slow = SPEC.replace("duration: 50ms", "duration: 1h");
    operator.begin(&slow).await;
    operator.until_step(0).await;
    let abort = VerbRequest { reason: Some("wrong day".to_owned()), full: false };
    operator.order("current", "abort", &abort).await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Aborted);

    operator.begin(&slow).await;
    operator.until_step(0).await;
    operator.order("current", "promote", &VerbRequest { reason: None, full: true }).await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Finalized);
    gateway.end().await;
    control.stop().await;
    let ids: Vec<String> = house
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RolloutDrafted { rollout, .. } => Some(rollout.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["move", "move.2"]);
    house.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_wait_for_news() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let all: EventsReply = operator.client.get("/v1/events?from=0").await.unwrap();
    assert_eq!(all.entries.len() as u64, all.next);
    assert_eq!(all.entries[0]["event"]["type"], "Genesis");
    assert_eq!(all.entries[0]["index"], "0");
    let raw: serde_json::Value = operator.client.get("/v1/events?from=0").await.unwrap();
    assert!(raw["next"].is_string(), "64-bit integers are strings: {}", raw["next"]);
    let raw: serde_json::Value = operator.client.get("/v1/status").await.unwrap();
    assert!(raw["log"]["size"].is_string(), "{}", raw["log"]);

    let path = format!("/v1/events?from={}&wait_ms=10000", all.next);
    let asked = std::time::Instant::now();
    let reader = tokio::spawn({
        let operator = operator.clone();
        async move { operator.client.get::<EventsReply>(&path).await.unwrap() }
    });
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    let news = reader.await.unwrap();
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "woken, not timed out");
    assert_eq!(news.entries[0]["event"]["type"], "GatewayRostered");
    let actor: Actor = serde_json::from_value(news.entries[0]["actor"].clone()).unwrap();
    assert_eq!(actor, "gateway:gw-1".parse().unwrap());
    let past_the_end: EventsReply =
        operator.client.get("/v1/events?from=18446744073709551615").await.unwrap();
    assert!(past_the_end.entries.is_empty());
    gateway.end().await;
    control.stop().await;
}
