//! The coverage gate beside a rollout: what it takes from the control plane and from the gateway on the same address.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use crossfade_audit::show;
use crossfade_backends::query::{Query, QueryConfig, QueryEndpoint, QueryKind};
use crossfade_control::gates::coverage::{Ask, Asked, report};
use crossfade_control::{Control, ControlConfig};
use crossfade_gates::inventory::{Inventory, Sent, TapCounts};
use crossfade_gates::report::{Report, Verdict};
use crossfade_lab::environment::Environment;
use crossfade_lab::traffic::{TrafficConfig, past};
use crossfade_rollout::event::{Event, Gate};
use crossfade_rollout::{rfc3339, spec};
use crossfade_routing::{Schedule, UnixNanos};
use crossfade_yaml::Duration as Text;
use serde_json::{Value, json};

use crate::support::{House, SPEC, Syncing};

const SECOND: Duration = Duration::from_secs(1);
const MIRROR: &str = "mirror: { percent: 5, duration: 50ms }";

/// A control plane with the routes of a gateway that follows this schedule, and has seen nothing.
async fn control(house: &House, followed: &Arc<Mutex<Option<Schedule>>>) -> Control {
    let followed = Arc::clone(followed);
    let sent = Sent {
        inventory: Inventory::new(),
        tap: TapCounts { enabled: true, one_in: 1, ..TapCounts::default() },
        ..Sent::default()
    };
    let routes = Router::new()
        .route("/v1/gateway", get(async move || Json(json!({ "schedule": *followed.lock().unwrap() }))))
        .route("/v1/gateway/inventory", get(async move || Json(sent)));
    let config = ControlConfig::new(house.site(), "0.0.0-test");
    Control::start(config, routes).await.unwrap_or_else(|error| panic!("{error}"))
}

fn asked(name: &str, environment: &Environment) -> Asked {
    let endpoint = QueryEndpoint::parse(&format!("http://{}", environment.query_addr())).unwrap();
    Asked { name: name.to_owned(), query: Ok(Query::new(QueryConfig::new(QueryKind::Jaeger, endpoint))) }
}

fn words(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{} {}\n", finding.id, finding.detail)).collect()
}

/// Scenario: the active environment has minutes of traffic, and the mirror to the candidate has just begun. Coverage is asked by name, at once, and when
/// what was mirrored has settled.
/// Guarantee: the candidate is not accused of what it was never sent: it is too early, and until when is said; then the mirror's time alone is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_has_just_begun_accuses_nobody() {
    let (house, followed) = (House::new().await, Arc::default());
    let now = crossfade_control::now();
    let traffic = TrafficConfig { longest_trace: SECOND / 10, ..TrafficConfig::default() };
    for (at, request) in past(&traffic, now.minus(SECOND * 180).0..now.0, 300) {
        house.environments[0].store().insert(request, at).unwrap();
    }
    let control = control(&house, &followed).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.begin(&SPEC.replace(MIRROR, "mirror: { percent: 50, duration: 1h }")).await;
    let status = operator.until_step(0).await;
    *followed.lock().unwrap() = gateway.with(|gateway| gateway.schedule().cloned());
    let began = status.rollout.unwrap().running.unwrap().at;

    let look = async |now: UnixNanos| {
        let [blue, green] = &house.environments;
        report(&Ask {
            blue: asked("blue", blue),
            green: asked("green", green),
            gateway: Ok(operator.client.clone()),
            share: None,
            now,
            since: None,
            settings: spec::Coverage {
                window: Text(SECOND * 120),
                settle: Text(SECOND * 5),
                ..spec::Coverage::default()
            },
        })
        .await
    };
    let early = look(began.plus(SECOND)).await;
    let (since, then) = (rfc3339::format(began), rfc3339::format(began.plus(SECOND * 5)));
    let said = format!(
        "green receives its share of the traffic since {since} only, and what began after that has not settled before {then}"
    );
    assert!(early.verdict() == Verdict::NoVerdict && words(&early).contains(&said), "{}", words(&early));
    let later = look(began.plus(SECOND * 60)).await;
    assert_eq!(later.verdict(), Verdict::NoVerdict, "{}", words(&later));
    assert_eq!(later.facts["window"]["from"], began.0.to_string());
    gateway.end().await;
    control.stop().await;
}

/// Scenario: the site names port 0, and the control plane listens at whatever the system gives; a gateway's routes are there as well.
/// Guarantee: gates that look in a rollout ask at the address where it listens: what was sent is known.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_asked_for_where_it_listens() {
    let house = House::new().await;
    let control = control(&house, &Arc::default()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    let gates = "gates: { coverage: { when: [mirror], settle: 100ms, deadline: 4s },";
    operator.begin(&SPEC.replace("gates: {", gates)).await;
    operator.until_over().await;
    gateway.end().await;
    control.stop().await;
    let reports: Vec<Value> = house
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::GateFinished { gate: Gate::Coverage, evidence: Some(evidence), .. } => Some(
                serde_json::from_slice(&show::evidence(&house.site().log_dir, evidence).unwrap()).unwrap(),
            ),
            _ => None,
        })
        .collect();
    assert_eq!(reports.len(), 1);
    assert!(!reports[0].to_string().contains("CF-COVERAGE-015"), "{}", reports[0]);
}
