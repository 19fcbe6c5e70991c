use super::*;
use crate::environment::Environment;
use crossfade_gates::drift::{Allow, Context, DriftReport, KeepReferences, Pair, Versions, compare};
use crossfade_rollout::Spec;
use crossfade_rollout::spec::Step;
use crossfade_rollout::units::Literal;
use crossfade_routing::UnixNanos;
use std::collections::BTreeSet;

fn spec(scenario: &Scenario) -> Spec {
    let node = crossfade_yaml::parse(scenario.rollout, ROLLOUT_PATH).unwrap();
    crossfade_yaml::from_node(&node).unwrap_or_else(|error| panic!("{}: {error}", scenario.name))
}

#[test]
fn each_story_is_found_by_its_name() {
    for scenario in scenarios() {
        assert_eq!(Scenario::named(scenario.name), Some(scenario));
    }
    assert_eq!(Scenario::named("ugly"), None);
    assert_eq!(Scenario::named("bad").unwrap().with_seed(7).traffic.seed, 7);
}

/// Guarantee: no trace is wider than the overlap, clocks and batch delays stay well within the skew, and the partial
/// weight that is measured lasts long enough outside the windows of its cuts.
#[test]
fn the_specs_fit_the_traffic() {
    for scenario in scenarios() {
        let spec = spec(&scenario);
        let routing = &spec.routing;
        let (overlap, skew, gamma) = (routing.overlap.get(), routing.skew.get(), routing.gamma.get());
        let traffic = &scenario.traffic;
        assert!(traffic.longest_trace < overlap);
        assert!((traffic.pace.batch_delay + traffic.clock_error_max) * 3 < skew - gamma);
        let mut partial = spec.steps.iter().filter_map(|step| match step {
            Step::Weight { percent, duration } if *percent < Weight::FULL => Some((*percent, duration.get())),
            _ => None,
        });
        let width = overlap + skew * 2;
        let last_partial = partial.next_back().unwrap();
        assert!(last_partial.1 >= width + Duration::from_secs(1));
        if let Some(fault) = &scenario.fault {
            assert_eq!(fault.weight, last_partial.0);
            assert!(fault.after >= width + Duration::from_secs(1) && last_partial.1 > fault.after * 2);
        }
    }
}

/// Guarantee: what a story does not declare is what it is stopped for; drift would not pass any without the declaration.
#[test]
fn the_difference_between_the_configurations_is_the_declared_one() {
    for scenario in scenarios() {
        let declared = spec(&scenario).gates.drift.allow;
        let literal = |value: &Literal| crossfade_yaml::parse(&value.value().to_string(), "allow").unwrap();
        let allow: Vec<Allow> = declared
            .iter()
            .map(|allow| Allow {
                path: allow.path.value.clone(),
                from: allow.from.as_ref().map(literal),
                to: allow.to.as_ref().map(literal),
                reason: allow.reason.clone(),
                mark: None,
            })
            .collect();
        let report = drift(&scenario, &allow);
        let (declared, others): (Vec<_>, Vec<_>) =
            report.findings.iter().partition(|finding| finding.declared.is_some());
        assert_eq!((declared.len(), report.unused_declarations.len()), (1, 0), "{report:?}");
        let told: BTreeSet<&str> = match scenario.expected {
            Expected::Stopped(musts) => {
                musts.iter().filter(|must| must.gate == "drift").map(|must| must.finding).collect()
            }
            _ => BTreeSet::new(),
        };
        let found: BTreeSet<&str> = others.iter().map(|finding| finding.id).collect();
        assert_eq!(found, told, "{}: {report:?}", scenario.name);
        assert!(drift(&scenario, &[]).findings.iter().any(|finding| finding.declared.is_none()));
    }
}

fn drift(scenario: &Scenario, allow: &[Allow]) -> DriftReport {
    let load = |text| crossfade_gates::drift::load(&[("collector.yaml", text)], &KeepReferences).unwrap();
    let (blue, green) = (load(scenario.blue.collector), load(scenario.green.collector));
    let pair =
        Pair { name: "collector", blue: Some(&blue), green: Some(&green), versions: Versions::default() };
    compare(&[pair], allow, &Context::default(), &|_| [0; 32])
}

#[tokio::test]
async fn a_fault_strikes_after_its_cut_and_not_before() {
    let fault = Scenario::named("bad").unwrap().fault.unwrap();
    let green = Environment::start(1).await.unwrap();
    let cut = |at| Cut { at, weight: fault.weight };
    assert!(fault.follows(&cut(UnixNanos(1))));
    assert!(!fault.follows(&Cut { at: UnixNanos(1), weight: Weight::FULL }));
    let in_an_hour = clock::now().minus(fault.after).plus(Duration::from_secs(3_600));
    tokio::select! {
        biased;
        () = fault.strike(cut(in_an_hour), &green) => panic!("too early"),
        () = tokio::task::yield_now() => assert_eq!(green.faults(), Faults::default()),
    }
    let soon = clock::now().minus(fault.after).plus(Duration::from_millis(50));
    fault.strike(cut(soon), &green).await;
    assert_eq!(green.faults(), fault.faults);
    assert!(clock::now() >= soon.plus(fault.after));
}
