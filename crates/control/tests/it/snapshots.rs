//! Configurations that change, or cannot be read, between plan and cut.

use std::fs;
use std::time::Duration;

use crossfade_control::api::ErrorCode;
use crossfade_rollout::event::Event;
use crossfade_rollout::{Phase, PlanFile};

use crate::support::{House, Operator, Syncing, code, control, spec_waiting_at_ten};

const CONFIG: &str = "receivers: { otlp: {} }\nexporters: { debug: \"${file:debug.yaml}\" }\n";

/// A house whose green configuration includes a file.
async fn house() -> House {
    let house = House::new().await;
    fs::write(house.path("blue.yaml"), CONFIG).unwrap();
    fs::write(house.path("green.yaml"), CONFIG).unwrap();
    fs::write(house.path("debug.yaml"), "{ verbosity: basic }\n").unwrap();
    house
}

async fn planned(operator: &Operator) -> PlanFile {
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.plan(&spec_waiting_at_ten()).await.unwrap()
}

/// In place of the file, something that is there and cannot be read, by root neither.
fn spoil(house: &House, name: &str) {
    fs::remove_file(house.path(name)).unwrap();
    fs::create_dir(house.path(name)).unwrap();
}

fn mend(house: &House, name: &str, text: &str) {
    fs::remove_dir(house.path(name)).unwrap();
    fs::write(house.path(name), text).unwrap();
}

/// Scenario: a file that a configuration includes changes after the plan, first before the start, then before a cut.
/// Guarantee: the plan is stale; and what has started goes back, naming the file.
#[tokio::test(flavor = "multi_thread")]
async fn an_included_file_is_part_of_the_plan() {
    let house = house().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    let plan = planned(&operator).await;
    assert!(
        plan.plan.snapshots.contains_key("green/collector ${file:debug.yaml}"),
        "{:?}",
        plan.plan.snapshots
    );

    fs::write(house.path("debug.yaml"), "{ verbosity: detailed }\n").unwrap();
    let stale = operator.start(&plan).await.expect_err("it is refused").0;
    assert!(stale.message.contains("${file:debug.yaml}"), "{}", stale.message);
    fs::write(house.path("debug.yaml"), "{ verbosity: basic }\n").unwrap();
    operator.start(&plan).await.unwrap();
    operator.until_step(2).await;
    fs::write(house.path("debug.yaml"), "{ verbosity: detailed }\n").unwrap();
    operator.say("promote").await.unwrap();
    assert_eq!(operator.until_over().await, Phase::RolledBack);
    gateway.end().await;
    control.stop().await;
    let changed = house.events().into_iter().find_map(|event| match event {
        Event::SnapshotsRetaken { changed, .. } if !changed.is_empty() => Some(changed),
        _ => None,
    });
    let expected = ["blue/collector ${file:debug.yaml}", "green/collector ${file:debug.yaml}"];
    assert_eq!(changed.unwrap(), expected);
}

/// Scenario: the rules that a spec names change after the plan. Guarantee: the plan is stale, and names the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_part_of_the_plan() {
    let house = house().await;
    let rules = |says: &str| format!("package bank\n\ndeny contains \"{says}\" if false\n");
    fs::write(house.path("bank.rego"), rules("one")).unwrap();
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    let spec = spec_waiting_at_ten().replace("gates: {", "gates: { policy: { files: [bank.rego] },");
    let plan = operator.plan(&spec).await.unwrap();
    fs::write(house.path("bank.rego"), rules("another")).unwrap();
    let stale = operator.start(&plan).await.expect_err("it is refused").0;
    assert!(stale.message.contains("policy bank.rego"), "{}", stale.message);
    fs::remove_file(house.path("bank.rego")).unwrap();
    assert_eq!(code(operator.start(&plan).await), ErrorCode::Unavailable);
    gateway.end().await;
    control.stop().await;
}

/// Scenario: after the plan the site says otherwise how an environment is reached: another token, another TLS setting, one more receiver.
/// Guarantee: the plan is stale and names the part, without a value; with the site as it was, it starts.
#[tokio::test(flavor = "multi_thread")]
async fn how_an_environment_is_reached_is_part_of_the_plan() {
    let house = house().await;
    let site = fs::read_to_string(house.path("crossfade.yaml")).unwrap();
    let with = |of_green: &str| site.replacen("  green:\n", &format!("  green:\n{of_green}"), 1);
    let told = "    receivers: [{ endpoint: \"http://127.0.0.1:1\", protocol: grpc }]\n";
    let headers = |token: &str| {
        let at = site.rfind("otlp: {").unwrap() + "otlp: {".len();
        format!("{} headers: {{ x-token: {token} }},{}", &site[..at], &site[at..])
    };
    fs::write(house.path("crossfade.yaml"), headers("first")).unwrap();
    let first = control(house.site()).await;
    let operator = house.operator(first.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(first.address()));
    let plan = planned(&operator).await;
    gateway.end().await;
    first.stop().await;
    for (site, part) in [(headers("second"), "site green otlp headers"), (with(told), "site green receivers")]
    {
        fs::write(house.path("crossfade.yaml"), site).unwrap();
        let again = control(house.site()).await;
        let operator = house.operator(again.address());
        let stale = operator.start(&plan).await.expect_err("it is refused").0;
        assert!(stale.message.contains(part) && !stale.message.contains("second"), "{}", stale.message);
        again.stop().await;
    }
    fs::write(house.path("crossfade.yaml"), headers("first")).unwrap();
    let again = control(house.site()).await;
    let operator = house.operator(again.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-2"), house.line(again.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.start(&plan).await.unwrap();
    operator.until_step(2).await;
    operator.say("abort").await.ok();
    gateway.end().await;
    again.stop().await;
}

/// Scenario: a configuration, or a file that it includes, cannot be read when a rollout is to start and when a cut is due.
/// Guarantee: neither happens, nothing goes back, and all goes on once the file is there again, unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_holds_and_does_not_roll_back() {
    for (name, text) in [("green.yaml", CONFIG), ("debug.yaml", "{ verbosity: basic }\n")] {
        let house = house().await;
        let control = control(house.site()).await;
        let operator = house.operator(control.address());
        let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
        let plan = planned(&operator).await;
        spoil(&house, name);
        assert_eq!(code(operator.start(&plan).await), ErrorCode::Unavailable);
        mend(&house, name, text);
        operator.start(&plan).await.unwrap();

        operator.until_step(2).await;
        spoil(&house, name);
        operator.say("promote").await.unwrap();
        let waits = |status: &crossfade_control::status::Status| {
            status.waiting.iter().any(|line| line.contains("configurations"))
        };
        operator.until("the cut waits", waits).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let status = operator.status().await;
        let phase = status.rollout.as_ref().map(|it| it.phase);
        assert!(matches!(phase, Some(Phase::Shifting { .. })), "{phase:?}");
        assert!(waits(&status), "{:?}", status.waiting);
        mend(&house, name, text);
        assert_eq!(operator.until_over().await, Phase::Finalized);
        gateway.end().await;
        control.stop().await;
        house.verify();
    }
}
