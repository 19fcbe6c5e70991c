//! Gateways: enlisted by their first word, struck by command, told of news at once.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crossfade_control::api::ErrorCode;
use crossfade_rollout::Phase;
use crossfade_rollout::event::Event;
use crossfade_routing::sync::LedgerRow;
use crossfade_routing::{Generation, Refusal, Weight};

use crate::support::{House, SPEC, Syncing, code, control, control_with, once, send, spec_waiting_at_ten};

/// Scenario: a gateway that nobody knows reports while a rollout waits for a cut.
/// Guarantee: it is on the roster, on the record, by the time it is answered, and the next cut waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_enlisted_and_waited_for() {
    let house = House::new().await;
    let control = control_with(house.site(), Duration::from_secs(60)).await;
    let operator = house.operator(control.address());
    let line = house.line(control.address());
    let first = Syncing::start(house.gateway("gw-1", "boot-1"), line.clone());
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.begin(&spec_waiting_at_ten()).await;
    operator.until_step(2).await;

    let newcomer = Mutex::new(house.gateway("gw-2", "boot-1"));
    once(&newcomer, &line, 0).await.unwrap();
    let rostered = |event: &&Event| matches!(event, Event::GatewayRostered { .. });
    assert_eq!(house.events().iter().filter(rostered).count(), 2, "before it was answered");
    operator.say("promote").await.unwrap();
    // It has a schedule and a horizon now, and says nothing more.
    operator.until("the cut waits", |status| status.waiting.iter().any(|line| line.contains("gw-2"))).await;
    assert!(first.with(|gateway| gateway.weight() < Weight::FULL));
    let newcomer = Syncing::start(newcomer.into_inner().unwrap(), line);
    assert_eq!(operator.until_over().await, Phase::Finalized);
    assert_eq!(newcomer.with(|gateway| gateway.schedule().unwrap().from().to_string()), "green");
    first.end().await;
    newcomer.end().await;
    control.stop().await;
    house.verify();
}

/// Scenario: a gateway has seen thousands of generations since it started, and its report is longer than any other call.
/// Guarantee: it is heard.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_report_is_heard() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let mut report = house.gateway("gw-1", "boot-1").report(crossfade_control::now(), 0);
    let row = |generation| LedgerRow {
        received: 1_000_000,
        delivered: 1_000_000,
        ..LedgerRow::empty("blue".parse().unwrap(), Generation(generation))
    };
    report.ledger = (1..=30_000).map(row).collect();
    assert!(serde_json::to_vec(&report).unwrap().len() > 4 << 20);
    send(&house.line(control.address()), &report).await.unwrap();
    let operator = house.operator(control.address());
    operator.until("the gateway", |status| !status.gateways.is_empty()).await;
    control.stop().await;
}

/// Scenario: a gateway has gone silent, and is struck by command; then it reports again.
/// Guarantee: nothing waits for it any more; it is not taken back unless an operator says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_struck_gateway_comes_back_only_by_command() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let line = house.line(control.address());
    let stays = Syncing::start(house.gateway("gw-1", "boot-1"), line.clone());
    let goes = Mutex::new(house.gateway("gw-2", "boot-1"));
    once(&goes, &line, 0).await.unwrap();
    operator.begin(&spec_waiting_at_ten()).await;
    let waits = |line: &String| line.contains("gw-2");
    operator.until("it is waited for", |status| status.waiting.iter().any(waits)).await;

    assert_eq!(
        code(operator.client.delete::<serde_json::Value>("/v1/gateways/gw-9").await),
        ErrorCode::Refused
    );
    operator.client.delete::<serde_json::Value>("/v1/gateways/gw-2").await.unwrap();
    operator.until_step(2).await;
    let refused = once(&goes, &line, 0).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Refused);
    assert!(refused.to_string().contains("was struck from the roster"), "{refused}");
    assert_eq!(operator.status().await.gateways.len(), 1);
    operator.client.put::<serde_json::Value>("/v1/gateways/gw-2").await.unwrap();
    assert_eq!(code(operator.client.put::<serde_json::Value>("/v1/gateways/gw-2").await), ErrorCode::Refused);
    let back = Syncing::start(goes.into_inner().unwrap(), line);
    operator.say("promote").await.unwrap();
    assert_eq!(operator.until_over().await, Phase::Finalized);
    back.end().await;
    stays.end().await;
    control.stop().await;
    let by = |wanted: fn(&Event) -> bool| {
        let entry = house.entries().into_iter().rev().find(|entry| wanted(&entry.event));
        entry.expect("it happened").actor.to_string()
    };
    assert!(by(|event| matches!(event, Event::GatewayStruck { .. })).starts_with("operator:"));
    assert!(by(|event| matches!(event, Event::GatewayRostered { .. })).starts_with("operator:"));
    house.verify();
}

/// Scenario: a gateway holds a poll; then something happens, or nothing does.
/// Guarantee: it is answered with the news, or when its time is up. (That the news does not wait for the time: see the engine's
/// own tests, whose polls are longer.)
#[tokio::test(flavor = "multi_thread")]
async fn polls_are_held_until_there_is_news() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let line = house.line(control.address());
    let gateway = Mutex::new(house.gateway("gw-1", "boot-1"));
    while once(&gateway, &line, 0).await.unwrap().directive.ack()
        != gateway.lock().unwrap().follower.ack().unwrap()
    {}
    // Until it has told control what it holds, and control has put that on record.
    for _ in 0..3 {
        once(&gateway, &line, 0).await.unwrap();
    }
    let asked = Instant::now();
    once(&gateway, &line, 300).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(250), "held for {:?}", asked.elapsed());

    let spec = SPEC.replace("duration: 50ms", "duration: 1h");
    let plan = operator.plan(&spec).await.unwrap();
    let report = gateway.lock().unwrap().report(crossfade_control::now(), 1_000);
    let mut held = report.clone();
    let polled = tokio::spawn({
        let line = line.clone();
        async move {
            // As long as it takes: control holds a poll for a second at most.
            loop {
                held.sequence += 1;
                let reply = send(&line, &held).await.unwrap();
                if Some(reply.directive.ack()) != held.ack {
                    return reply;
                }
            }
        }
    });
    operator.start(&plan).await.unwrap();
    let reply = polled.await.unwrap();
    assert!(reply.directive.schedule.to().is_some());
    control.stop().await;
}

/// Scenario: an answer is delayed, and arrives after a newer one.
/// Guarantee: the gateway goes on with what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_refused() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let line = house.line(control.address());
    let gateway = Mutex::new(house.gateway("gw-1", "boot-1"));
    let old = once(&gateway, &line, 0).await.unwrap();
    let gateway = Syncing::start(gateway.into_inner().unwrap(), line);
    operator.begin(&spec_waiting_at_ten()).await;
    operator.until_step(2).await;
    let mut gateway = gateway.end().await;
    let held = gateway.schedule().unwrap().clone();
    let refused = gateway.follower.accept(old.directive).unwrap_err();
    assert!(matches!(refused, Refusal::OlderGeneration { .. }), "{refused}");
    assert_eq!(gateway.schedule(), Some(&held));
    control.stop().await;
}
