//! The measurement against the crossfade rule itself: real traffic, routed as a gateway would, into two stores.

use super::*;
use crate::environment::Environment;
use crate::traffic::{self, Pace, Targets, TrafficConfig};
use crossfade_routing::{
    Begin, Cut, Destinations, EnvironmentId, Protection, Router, Schedule, Seed, TraceId, UnixNanos, Window,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Half a second of traces of up to 200 ms, as one environment received them.
async fn received() -> (Record, Environment) {
    let environment = Environment::start(1).await.unwrap();
    let pace = Pace { batch_delay: 20 * MS, ..TrafficConfig::default().pace };
    let config = TrafficConfig {
        traces_per_second: 1_000,
        traces_max: 500,
        longest_trace: 200 * MS,
        clock_error_max: 3 * MS,
        pace,
        ..TrafficConfig::default()
    };
    let targets = Targets { grpc: vec![environment.grpc_addr()], http: vec![environment.http_addr()] };
    (traffic::start(config, &targets).unwrap().finish().await, environment)
}

/// When a span that was received then, and says to have ended then, shall have arrived at the gateway.
type Arrival = fn(UnixNanos, UnixNanos) -> UnixNanos;

/// Routes every span by the rule alone, with cuts to 50 % and 100 % within the traffic, however slowly the machine sent it.
fn route(
    record: &Record,
    environment: &Environment,
    window: Window,
    arrival: Arrival,
) -> (RolloutFacts, Store, Store) {
    let name = |name| EnvironmentId::new(name).unwrap();
    let mut roots: Vec<_> = record.traces.values().map(|trace| trace.root_start).collect();
    let mut sendings: Vec<_> = record.requests.iter().map(|request| request.sent_at).collect();
    roots.sort();
    sendings.sort();
    let cuts = [(roots[roots.len() / 3], 500_000), (sendings[sendings.len() * 9 / 10], 1_000_000)]
        .map(|(at, ppm)| Cut { at, weight: Weight::from_ppm(ppm).unwrap() });
    let begin = Begin { rollout: "lab".into(), to: name("green"), seed: Seed(11), window };
    let schedule = Schedule::genesis(name("blue")).begin(begin).unwrap();
    let schedule = cuts.iter().fold(schedule, |schedule, cut| schedule.cut(*cut).unwrap());
    let router = Router::new(&schedule, UnixNanos::MAX, Protection::Split);

    let (active, candidate) = (Store::default(), Store::default());
    let store = environment.store();
    for id in record.traces.keys() {
        let arrivals = store.held(id);
        for (resource, scope, span) in spans(store.trace(id).unwrap()) {
            let (start, end) = (UnixNanos(span.start_time_unix_nano), UnixNanos(span.end_time_unix_nano));
            let received_at = arrivals[&SpanId(span.span_id.as_slice().try_into().unwrap())].received_at;
            let set = router.route(id, start, end, arrival(received_at, end)).set;
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..scope }];
            let request =
                ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..resource }] };
            for (side, store) in [(Destinations::FROM, &active), (Destinations::TO, &candidate)] {
                if set.contains(side) {
                    store.insert(request.clone(), received_at).unwrap();
                }
            }
        }
    }
    let cuts = cuts.map(|cut| AnnouncedCut { announced: cut.at, cut }).to_vec();
    let facts = RolloutFacts {
        seed: Seed(11),
        window,
        mirror: None,
        cuts,
        verdict: None,
        cause: None,
        outcome: None,
    };
    (facts, active, candidate)
}

fn spans(
    groups: Vec<ResourceSpans>,
) -> impl Iterator<Item = (ResourceSpans, ScopeSpans, opentelemetry_proto::tonic::trace::v1::Span)> {
    groups.into_iter().flat_map(|resource| {
        let scopes = resource.scope_spans.clone();
        scopes.into_iter().flat_map(move |scope| {
            let resource = resource.clone();
            scope.spans.clone().into_iter().map(move |span| (resource.clone(), scope.clone(), span))
        })
    })
}

/// Scenario: traces straddle both cuts of a schedule, hosts' clocks are a little wrong, and each span goes only where
/// the rule wants it.
/// Guarantee: nothing is torn, while the same traffic split by request is torn often; and with a window too narrow for
/// the traffic the same measurement finds torn traces.
#[tokio::test]
async fn the_rule_tears_nothing_and_the_measurement_would_see_it() {
    let (record, environment) = received().await;
    let wide = Window::new(200 * MS, 100 * MS, 5 * MS).unwrap();
    let (facts, active, candidate) = route(&record, &environment, wide, |received_at, _| received_at);
    let found = measure(&record, &facts, &active, &candidate);
    assert_eq!((found.traces, found.torn, found.spans_lost), (500, 0, 0), "{:?}", found.examples);
    assert!(found.straddling > 30, "{} straddle", found.straddling);
    assert!(found.torn_by_request_split > 30, "{} torn by the split", found.torn_by_request_split);
    assert!((50..450).contains(&found.green_owned), "{} owned by green", found.green_owned);

    let narrow = Window::new(Duration::ZERO, 10 * MS, MS).unwrap();
    let (facts, active, candidate) = route(&record, &environment, narrow, |_, end| end);
    let found = measure(&record, &facts, &active, &candidate);
    assert!(found.torn > 0 && found.examples.contains(&torn_one(&record, &facts, &active, &candidate)));
    assert_eq!(found.spans_lost, 0, "torn is not lost");
}

fn torn_one(record: &Record, facts: &RolloutFacts, active: &Store, candidate: &Store) -> TraceId {
    let is_torn = |(id, trace): &(&TraceId, &SentTrace)| {
        let green = facts.weight_at(trace.root_start).contains(fraction(facts.seed, id));
        let owner = if green { candidate } else { active };
        owner.held(id).len() < trace.planned
    };
    *record.traces.iter().find(is_torn).unwrap().0
}
