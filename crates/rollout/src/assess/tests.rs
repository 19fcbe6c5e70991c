use std::collections::BTreeMap;

use crossfade_routing::sync::{LATENCY_BUCKETS, latency_bucket};
use crossfade_routing::{Seed, UnixNanos};
use crossfade_yaml::{Resolution, Resolve};

use super::{Assessment, Carried, Look, assess, carry, from_nano, short, to_nano};
use crate::event::Outcome;
use crate::numbers::{Arms, Counts, Histogram, MetricName};
use crate::plan::Outline;
use crate::spec::Spec;
use crate::state::{LnE, Probes};

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
  - pause: {}
  - mirror: { percent: 5, duration: 1m }
  - pause: {}
  - weight: { percent: 100, duration: 1m }
  - promote: {}
  - pause: {}
  - bake: { duration: 1m, mirror_back: false }
  - finalize: {}
";

fn outline(analysis: &str) -> Outline {
    let spec = Spec::parse(&format!("{STEPS}{analysis}"), "rollout.yaml", &Nothing);
    spec.unwrap().outline("tempo-3".parse().unwrap(), Seed(1)).unwrap()
}

const ERRORS: &str = "analysis: { metrics: [{ name: export_errors }] }";

/// So many requests, all as fast as told, so many of them failed.
fn arm(requests: u64, failed: u64, micros: u64) -> Counts {
    let mut latency = vec![0; LATENCY_BUCKETS];
    latency[latency_bucket(micros)] = requests;
    let first_failure = (failed > 0).then_some(UnixNanos(7));
    Counts { requests, failed, shed: 0, latency: Histogram::from_dense(&latency), first_failure }
}

fn look(from: Counts, to: Counts) -> Look {
    let arms = Arms { from, to };
    Look { untested: arms.clone(), arms, probe: Probes::default() }
}

fn judged(analysis: &str, look: &Look) -> Assessment {
    assess(&outline(analysis), &Carried::new(), look)
}

/// `outcome: why`.
fn check(analysis: &str, look: &Look, expected: &str) {
    let Assessment { outcome, why, .. } = judged(analysis, look);
    assert_eq!(format!("{outcome}: {why}"), expected);
}

#[test]
fn errors() {
    check(
        ERRORS,
        &look(arm(3_000, 0, 900), arm(300, 0, 900)),
        "pass: export_errors: candidate failed 0 of 300 requests, active 0 of 3000; e-value 1.0, fails at 100; \
         shed: 0 spans dropped before the candidate, at most 0",
    );
    check(
        ERRORS,
        &look(arm(3_000, 0, 900), arm(299, 0, 900)),
        "NO VERDICT: the candidate has 299 of 300 requests",
    );
    // A zero baseline and a candidate that fails: found long before 300 requests are there.
    check(
        ERRORS,
        &look(arm(200, 0, 900), arm(20, 4, 900)),
        "FAIL: export_errors: candidate failed 4 of 20 requests, active 0 of 200; e-value 949, fails at 100",
    );
    // Eight of twenty, where the active fails alike.
    check(
        ERRORS,
        &look(arm(20, 8, 900), arm(20, 8, 900)),
        "NO VERDICT: the candidate has 20 of 300 requests",
    );
}

/// Missing data never passes: no active to compare with, no candidate, neither.
#[test]
fn missing_data_is_no_verdict() {
    for (from, to) in [(0, 1_000), (1_000, 0), (0, 0)] {
        let judged = judged(ERRORS, &look(arm(from, 0, 900), arm(to, 0, 900)));
        assert_eq!(judged.outcome, Outcome::NoVerdict, "{from} {to}: {}", judged.why);
    }
    // And not even failures of a candidate alone are compared with nothing.
    assert_eq!(judged(ERRORS, &look(arm(0, 0, 900), arm(1_000, 900, 900))).outcome, Outcome::NoVerdict);
}

#[test]
fn latency() {
    let metric =
        "analysis: { metrics: [{ name: export_latency, quantile: 0.95, worse_max: 20%, worse_min: 1ms }] }";
    check(
        metric,
        &look(arm(1_000, 0, 10_000), arm(400, 0, 20_000)),
        "FAIL: export_latency: candidate took longer than 12 ms in 400 of 400 requests; p95 <= 20 ms, active <= 10 ms; \
         e-value 1e517, fails at 200",
    );
    assert_eq!(judged(metric, &look(arm(1_000, 0, 10_000), arm(400, 0, 11_000))).outcome, Outcome::Pass);
    check(
        metric,
        &look(arm(50, 0, 10_000), arm(400, 0, 20_000)),
        "NO VERDICT: export_latency: 50 requests of the active are too few to know its p95; e-value 1.0, fails at 200",
    );
}

#[test]
fn shed_and_probes() {
    let mut shed = look(arm(3_000, 0, 900), arm(300, 0, 900));
    shed.arms.to.shed = 1;
    check(ERRORS, &shed, "FAIL: shed: 1 spans dropped before the candidate, at most 0");
    let metric = "analysis: { metrics: [{ name: probe_failures, max: 1 }] }";
    let mut probed = look(arm(3_000, 0, 900), arm(300, 0, 900));
    check(metric, &probed, "NO VERDICT: probe_failures: 0 of 0 probe traces not read back, at most 1");
    // A round that nobody answered says nothing.
    probed.probe = Probes { rounds: 1, traces: 0, failed: 0, last: None };
    assert_eq!(judged(metric, &probed).outcome, Outcome::NoVerdict);
    probed.probe = Probes { rounds: 1, traces: 20, failed: 1, last: None };
    assert_eq!(judged(metric, &probed).outcome, Outcome::Pass);
    probed.probe.failed = 2;
    assert_eq!(judged(metric, &probed).outcome, Outcome::Fail);
    // Even with nothing that tests statistically, a pass takes requests.
    probed.probe.failed = 0;
    probed.arms.to = arm(10, 0, 900);
    assert_eq!(judged(metric, &probed).outcome, Outcome::NoVerdict);
}

/// Alpha is split evenly over the metrics that test, and the latency's half again; the readings say so.
#[test]
fn alpha_is_split() {
    let look = look(arm(3_000, 0, 900), arm(300, 0, 900));
    let alphas = |analysis: &str| -> Vec<(MetricName, u32)> {
        judged(analysis, &look).readings.iter().map(|reading| (reading.metric, reading.alpha.ppm())).collect()
    };
    use MetricName::{ExportErrors, ExportLatency, Shed};
    assert_eq!(alphas(ERRORS), [(ExportErrors, 10_000), (Shed, 0)]);
    assert_eq!(alphas(""), [(ExportErrors, 5_000), (ExportLatency, 2_500), (Shed, 0)]);
}

/// e-values multiply over steps, half of each stake kept back.
#[test]
fn evidence_is_carried() {
    let look = look(arm(100, 0, 900), arm(100, 6, 900));
    let outline = outline(ERRORS);
    let first = assess(&outline, &Carried::new(), &look);
    assert_eq!(first.outcome, Outcome::NoVerdict, "{}", first.why);
    let carried: Carried = carry(&first).into_iter().map(|e| (e.metric, LnE(e.ln_e_nano))).collect();
    assert_eq!(carried.len(), 1, "limits carry nothing");
    let second = assess(&outline, &carried, &look);
    assert_eq!(second.outcome, Outcome::Fail, "twice is enough: {}", second.why);
    let (one, two) = (&first.readings[0], &second.readings[0]);
    assert_eq!(one.step_ln_e_nano, two.step_ln_e_nano);
    assert!(two.ln_e_nano.abs_diff(2 * one.ln_e_nano) <= 2);
    // A step in which the candidate did far better hides at most a factor of two.
    let better = assess(&outline, &Carried::new(), &self::look(arm(100, 90, 9), arm(100, 0, 9)));
    assert!(better.readings[0].ln_e_nano >= to_nano(-std::f64::consts::LN_2) - 1);
}

#[test]
fn steps_that_compare() {
    let analysed: Vec<u32> = (0..9).filter(|step| outline("").is_analysed(*step)).collect();
    assert_eq!(analysed, [1, 2, 3], "nothing is mirrored before step 1, nor after promotion");
    let back = STEPS.replace("mirror_back: false", "mirror_back: true");
    let spec = Spec::parse(&back, "rollout.yaml", &Nothing).unwrap();
    let outline = spec.outline("tempo-3".parse().unwrap(), Seed(1)).unwrap();
    assert_eq!((0..9).filter(|step| outline.is_analysed(*step)).collect::<Vec<u32>>(), [1, 2, 3, 5, 6]);
}

#[test]
fn numbers_for_people_and_for_the_log() {
    let told: Vec<String> = [-20.0, 0.0, 0.5, 4.6, 4.7, 13.0, 14.0, 1e5].iter().map(|x| short(*x)).collect();
    assert_eq!(told, ["0.0", "1.0", "1.6", "99", "110", "442413", "1e6", "1e43429"]);
    assert_eq!(
        [to_nano(1.5), to_nano(-0.000_000_001_4), to_nano(f64::INFINITY)],
        [1_500_000_000, -1, i64::MAX]
    );
    assert_eq!(from_nano(to_nano(-1234.5)), -1234.5);
    let empty: BTreeMap<MetricName, LnE> = Carried::new();
    assert!(empty.is_empty());
}
