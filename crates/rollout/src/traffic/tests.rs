use std::collections::BTreeMap;

use crossfade_routing::Seed;
use crossfade_routing::sync::{LATENCY_BUCKETS, latency_bucket};
use crossfade_yaml::{Resolution, Resolve};

use super::{Arm, Rate, shortfalls};
use crate::assess::{Look, assess, latency_requests_min};
use crate::event::Outcome;
use crate::numbers::{Arms, Counts, Histogram, MetricName};
use crate::plan::Outline;
use crate::spec::Spec;
use crate::state::Probes;

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Unset
    }
}

const STEPS: &str = "
name: tempo-3
from: blue
to: green
steps:
  - mirror: { percent: 5, duration: 10m }
  - weight: { percent: 10, duration: 10m }
  - pause: { duration: 1s }
  - weight: { percent: 100, duration: 10m }
  - promote: {}
  - bake: { duration: 10m }
  - finalize: {}
";

fn outline(rest: &str) -> Outline {
    let spec = Spec::parse(&format!("{STEPS}{rest}"), "rollout.yaml", &Nothing).unwrap();
    spec.outline("tempo-3".parse().unwrap(), Seed(1)).unwrap()
}

fn a_minute(requests: u64) -> Rate {
    Rate { requests, over_ms: 60_000, spans: 0 }
}

/// Steps, arms, and what is expected of what is needed.
fn found(rest: &str, rate: Rate) -> Vec<(u32, Arm, u64, u64, bool)> {
    let all = shortfalls(&outline(rest), rate).into_iter();
    all.map(|it| (it.step, it.arm, it.expected, it.needed, it.goes_back)).collect()
}

const ERRORS: &str = "analysis: { metrics: [{ name: export_errors }] }";

#[test]
fn enough_traffic_is_not_warned_of() {
    // 300 of the candidate in 10 min at 5 % are 600 a minute.
    assert_eq!(found(ERRORS, a_minute(600)), []);
    assert_eq!(found(ERRORS, a_minute(599)), [(0, Arm::Candidate, 299, 300, false)]);
}

#[test]
fn a_step_that_outlives_patience_goes_back() {
    // 10 min, and 15 min without a verdict: 300 of them at 5 % are 240 a minute.
    let steps = |rate| found(ERRORS, rate).into_iter().map(|it| (it.0, it.4)).collect::<Vec<_>>();
    assert_eq!(steps(a_minute(240)), [(0, false), (1, false)]);
    assert_eq!(steps(a_minute(239)), [(0, true), (1, false)]);
    assert_eq!(
        steps(a_minute(29)),
        [(0, true), (1, true), (3, false), (5, false)],
        "pause and promote need none"
    );
}

#[test]
fn no_traffic_at_all_is_said_so() {
    let all = shortfalls(&outline(ERRORS), a_minute(0));
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|it| it.goes_back && it.takes.is_none()));
    assert!(all[0].to_string().ends_with("start it when there is traffic"), "{}", all[0]);
}

#[test]
fn it_is_told_with_step_numbers_and_remedy() {
    let all = shortfalls(&outline(ERRORS), a_minute(20));
    assert_eq!(
        all[1].to_string(),
        "step 2 (weight 10 %): about 20 of 300 requests of the candidate (one trace in each) that a verdict needs; it may \
         go back for want of one: make it 2h30m long, raise its percent, or lower analysis.min_requests"
    );
    assert_eq!(a_minute(20).to_string(), "0.3 requests/s");
    assert_eq!(Rate { requests: 12_500, over_ms: 1_000, spans: 0 }.to_string(), "12500.0 requests/s");
    assert_eq!(Rate { requests: 1, over_ms: 2_000, spans: 100_001 }.spans_per_second(), 50_000);
}

#[test]
fn a_bake_without_a_copy_needs_nothing() {
    let steps = STEPS.replace("bake: { duration: 10m }", "bake: { duration: 10m, mirror_back: false }");
    let spec = Spec::parse(&format!("{steps}{ERRORS}"), "rollout.yaml", &Nothing).unwrap();
    let outline = spec.outline("tempo-3".parse().unwrap(), Seed(1)).unwrap();
    assert!(shortfalls(&outline, a_minute(1)).iter().all(|it| it.step < 4));
}

fn fast(requests: u64) -> Counts {
    let mut latency = vec![0; LATENCY_BUCKETS];
    latency[latency_bucket(3_000)] = requests;
    Counts { requests, latency: Histogram::from_dense(&latency), ..Counts::default() }
}

/// The number that is warned of is the one at which the analysis itself begins to have a verdict.
#[test]
fn latency_needs_what_the_analysis_needs() {
    for quantile in ["0.5", "0.95", "0.99"] {
        let rest = format!(
            "analysis: {{ min_requests: 1, metrics: [{{ name: export_errors }}, {{ name: export_latency, quantile: {quantile} }}] }}"
        );
        let outline = outline(&rest);
        let needed = latency_requests_min(&outline);
        assert!(needed > 1, "{quantile}");
        let judged = |requests| {
            let look = {
                let arms = Arms { from: fast(requests), to: fast(requests) };
                Look { untested: arms.clone(), arms, probe: Probes::default() }
            };
            let readings = assess(&outline, &BTreeMap::new(), &look).readings;
            readings.iter().find(|it| it.metric == MetricName::ExportLatency).unwrap().outcome
        };
        assert_eq!(
            (judged(needed - 1), judged(needed)),
            (Outcome::NoVerdict, Outcome::Pass),
            "{quantile}: {needed}"
        );
    }
    assert_eq!(latency_requests_min(&outline(ERRORS)), 0, "not asked for");
}

/// Scenario: the default metrics; the active has few requests, and the candidate as many.
/// Guarantee: what is waited for longest is told: at a small share the candidate's, where it needs one only the active's.
#[test]
fn the_default_metrics_need_the_active_too() {
    let arms = |rest| found(rest, a_minute(1)).into_iter().map(|it| (it.0, it.1, it.3)).collect::<Vec<_>>();
    let (needed, all) = (latency_requests_min(&outline("")), [0, 1, 3, 5]);
    assert_eq!(arms(""), all.map(|step| (step, Arm::Candidate, 300)));
    assert!(needed < 300, "{needed}");
    let few = arms("analysis: { min_requests: 1 }");
    assert_eq!(few, all.map(|step| (step, Arm::Active, needed)));
}

#[test]
fn no_traffic_takes_one_line() {
    let told = super::warnings(&outline(""), a_minute(0));
    assert_eq!(
        told,
        ["no request came in: none of 4 steps would have a verdict; start it when there is traffic"]
    );
    let few = super::warnings(&outline(""), a_minute(20));
    assert_eq!(few.len(), 4, "{few:?}");
    assert!(super::warnings(&outline(""), a_minute(60_000)).is_empty());
}

#[test]
fn extremes_do_not_overflow() {
    let rate = Rate { requests: u64::MAX, over_ms: 1, spans: u64::MAX };
    assert_eq!(found("", rate), []);
    assert_eq!(found("", Rate { requests: 0, over_ms: 0, spans: 0 }).len(), 4);
}
