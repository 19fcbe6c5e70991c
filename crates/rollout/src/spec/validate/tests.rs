use crossfade_yaml::{Resolution, Resolve};

use crate::event::Gate;
use crate::spec::{Metric, Moment, Spec, Step};

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Unset
    }
}

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse(text, "rollout.yaml", &Nothing).map_err(|error| error.to_string())
}

const MINIMAL: &str = "name: tempo-3
from: blue
to: green
steps:
  - weight: { percent: 100, duration: 1h }
  - promote: {}
  - finalize: {}
";

/// One text with one part replaced, and every message about it.
fn errors(part: &str, by: &str) -> String {
    assert!(MINIMAL.contains(part), "{part}");
    parse(&MINIMAL.replace(part, by)).expect_err(by)
}

#[test]
fn the_smallest_spec_gets_safe_defaults() {
    let spec = parse(MINIMAL).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap());
}

#[test]
fn the_spec_of_the_guide_is_read() {
    let spec = parse(
        "
name: tempo-3
from: blue
to: green
change: { ticket: CHG-20418, reason: Tempo 2 to 3, impact: none expected }
protection: copy
routing: { overlap: 10m, skew: 30s }
steps:
  - mirror: { percent: 5, duration: 30m }
  - weight: { percent: 0.01, duration: 20m }
  - weight: { percent: 12.5 %, duration: 30m }
  - pause: {}
  - weight: { percent: 100, duration: 1h }
  - promote: {}
  - bake: { duration: 24h, mirror_back: true }
  - finalize: {}
gates:
  drift:
    allow:
      - { path: \"tempo:distributor.max_attribute_bytes\", from: 2048, to: 1024, reason: CHG-20418 }
      - { path: \"collector:processors.probabilistic_sampler.sampling_percentage\", from: 0.5, to: null, reason: x }
  probe: { traces: 600, deadline: 60s }
analysis:
  alpha: 0.01
  no_verdict_max: 15m
  metrics:
    - { name: export_errors }
    - { name: export_latency, quantile: 0.99, worse_max: 20% }
    - { name: probe_failures, max: 1 }
on_failure: hold
",
    )
    .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap());
    // What a person wrote is what is approved: through JSON and back it stays the same.
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("0.5,"), "no float: {json}");
    assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    let allowed = &spec.gates.drift.allow[1];
    assert_eq!(allowed.path.mark.to_string(), "rollout.yaml:21:17");
    assert_eq!(allowed.from.as_ref().unwrap().value().to_string(), "0.5");
    assert!(allowed.to.as_ref().unwrap().value().is_null());
}

/// Each mistake with its place, its field and its remedy.
#[test]
fn mistakes_of_form() {
    let told: Vec<String> = [
        ("name: tempo-3", "nmae: tempo-3"),
        ("to: green", "to: green\nprotection: holdback"),
        ("to: green", "to: green\non_failure: rolback"),
        ("duration: 1h", "duratoin: 1h"),
        ("duration: 1h", "duration: 60"),
        ("duration: 1h", "duration: [1h]"),
        ("percent: 100", "percent: all"),
        ("percent: 100", "percent: 101"),
        ("percent: 100", "percent: 12.34567"),
        ("  - promote: {}", "  - promotion: {}"),
        ("  - promote: {}", "  - { promote: {}, finalize: {} }"),
        ("to: green", "to: GREEN"),
        ("to: green", "to: green\nanalysis: { alpha: 1 in 100 }"),
        (
            "to: green",
            "to: green\nanalysis: { metrics: [{ name: export_latency, worse_max: 20%, quantil: 0.9 }] }",
        ),
        ("to: green", "to: green\nanalysis: { metrics: [{ name: export_error }] }"),
        ("to: green", "to: green\nanalysis: { metrics: [{ name: export_errors, quantile: 0.9 }] }"),
        ("to: green", "to: green\ngates: { drift: { allow: [{ path: x, reason: y, form: 1 }] } }"),
        ("to: green", "to: green\ngates: { probe: { traces: -1 } }"),
        ("to: green", "to: ${env:GREEN}"),
        ("from: blue", "from: blue\nfrom: blue"),
    ]
    .iter()
    .map(|(part, by)| errors(part, by))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn mistakes_of_meaning() {
    let told: Vec<String> = [
        ("name: tempo-3", "name: Tempo.3"),
        ("to: green", "to: blue"),
        ("to: green", "to: green\nrouting: { skew: 100ms }"),
        ("duration: 1h", "duration: 0s"),
        ("duration: 1h", "duration: 9999d"),
        ("  - promote: {}\n", ""),
        ("  - finalize: {}\n", ""),
        ("  - finalize: {}", "  - finalize: {}\n  - pause: {}"),
        ("percent: 100", "percent: 99"),
        ("  - promote: {}", "  - weight: { percent: 100, duration: 1h }\n  - promote: {}"),
        ("  - promote: {}", "  - mirror: { percent: 0, duration: 1h }\n  - promote: {}\n  - promote: {}"),
        ("  - weight", "  - bake: { duration: 1h }\n  - weight"),
        ("  - finalize: {}", "  - bake: { duration: 1h }\n  - bake: { duration: 1h }\n  - finalize: {}"),
        ("to: green", "to: green\nanalysis: { alpha: 0.6, min_requests: 0, no_verdict_max: 0s, metrics: [] }"),
        (
            "to: green",
            "to: green\nanalysis: { metrics: [{ name: shed }, { name: shed }, { name: export_latency, quantile: 1 }] }",
        ),
        ("to: green", "to: green\nanalysis: { metrics: [{ name: probe_failures, traces: 0, every: 0s }] }"),
        ("to: green", "to: green\ngates: { probe: { traces: 0 }, drift: { allow: [{ path: '', reason: ' ' }] } }"),
    ]
    .iter()
    .map(|(part, by)| errors(part, by))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn no_steps() {
    let text = "name: a\nfrom: blue\nto: green\nsteps: []\n";
    assert_eq!(
        parse(text).unwrap_err(),
        "rollout.yaml:4:8: steps: no steps; the shortest is weight 100, promote, finalize"
    );
}

#[test]
fn steps_and_metrics_read_as_written() {
    let spec = parse(&MINIMAL.replace("- promote: {}", "- promote")).unwrap();
    assert_eq!(spec.steps[1], Step::Promote {});
    let spec = parse(&format!("{MINIMAL}analysis: {{ metrics: [{{ name: shed, max: 3 }}] }}\n")).unwrap();
    assert_eq!(spec.analysis.metrics, [Metric::Shed { max: 3 }]);
}

/// What the candidate's queue drops is tested whether the spec names it or not.
#[test]
fn shed_is_always_tested() {
    let spec = parse(&format!("{MINIMAL}analysis: {{ metrics: [{{ name: export_errors }}] }}\n")).unwrap();
    let outline = spec.outline("tempo-3".parse().unwrap(), crossfade_routing::Seed(1)).unwrap();
    assert_eq!(outline.analysis.metrics, [Metric::ExportErrors {}, Metric::Shed { max: 0 }]);
    assert!(super::check_outline(&outline).is_empty());
}

/// A plan can come from anywhere: it is checked again, and has to fit into an entry of the log.
#[test]
fn an_outline_is_checked_as_well() {
    let mut outline =
        parse(MINIMAL).unwrap().outline("tempo-3".parse().unwrap(), crossfade_routing::Seed(1)).unwrap();
    outline.change.reason = "x".repeat(70_000);
    outline.steps.pop();
    let fields: Vec<String> =
        super::check_outline(&outline).iter().map(|p| format!("{}: {}", p.field(), p.message)).collect();
    insta::assert_snapshot!(fields.join("\n"));
}

const EVERY_GATE: &str = "gates:
  drift: { when: [preflight, promoted], deadline: 10s }
  probe: { when: [preflight, promoted], searches: 3, masks: [card, national_id], separation: false, freshness_max: 9s }
  posture: { every: 1m, tls_min: \"1.3\" }
  load: { off: measured last week }
  parity: { when: [mirror, weight], traces: 100, differ_max: 5%, confidence: 99%, ignore: [{ attribute: \"k8s.*\", reason: CHG-9 }] }
  coverage: {}
  dependencies: { simulated: [\"*-mock\"] }
  history: { reach: 30d, kept_for: 90d }
  policy: { standards: [pci, soc2], files: [policy.rego] }
  waivers:
    - { finding: CF-POSTURE-004, where: green, reason: CHG-7, owner: sre-lead, expires: 2027-01-31 }
";

#[test]
fn every_gate_has_settings_that_stay_as_they_are_written() {
    let spec = parse(&format!("{MINIMAL}{EVERY_GATE}")).unwrap();
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    let timing = |gate| spec.gates.timing(gate);
    for gate in Gate::ALL {
        assert!(timing(gate).named && timing(gate).deadline.is_some(), "{gate}");
    }
    assert_eq!(timing(Gate::Load).off, Some("measured last week"));
    assert_eq!(timing(Gate::Parity).when, Some([Moment::Mirror, Moment::Weight].as_slice()));
    assert_eq!(timing(Gate::Posture).every, Some(std::time::Duration::from_secs(60)));
    assert_eq!(spec.gates.waivers[0].expires.to_string(), "2027-01-31");
    // What is not said of a gate is not in the plan, or plans of before would not be what they were.
    let silent = parse(MINIMAL).unwrap();
    let named = Gate::ALL.into_iter().filter(|gate| silent.gates.timing(*gate).named);
    assert_eq!(named.collect::<Vec<_>>(), [Gate::Drift, Gate::Probe]);
    assert_eq!(serde_json::to_value(&silent.gates).unwrap().as_object().unwrap().len(), 2);
    let written = Gate::ALL.into_iter().fold(silent.gates, super::super::Gates::with);
    assert!(Gate::ALL.into_iter().all(|gate| written.timing(gate).named));
}

#[test]
fn settings_of_gates_that_mean_nothing_are_refused_where_they_stand() {
    for (part, by, says) in [
        ("off: measured last week", "off: \" \"", "gates.load.off: no reason"),
        ("when: [mirror, weight]", "when: []", "gates.parity.when: no moment"),
        ("when: [mirror, weight]", "when: [mirror, mirror]", "gates.parity.when: a moment is there twice"),
        (
            "when: [preflight, promoted], searches",
            "when: [promoted], searches",
            "gates.probe.when: probe always looks in preflight",
        ),
        ("searches: 3", "searches: 1000000", "gates.probe.searches: write at most"),
        ("[card, national_id]", "[card, card]", "gates.probe.masks: a kind is there twice"),
        ("[card, national_id]", "[cards]", "unknown"),
        ("freshness_max: 9s", "freshness_max: 0s", "gates.probe.freshness_max: a duration of nothing"),
        ("off: measured last week", "rate: 0", "gates.load.rate: write 1 to"),
        ("off: measured last week", "multiple: 0", "gates.load.multiple: nothing would be sent"),
        ("off: measured last week", "spike_multiple: 0", "gates.load.spike_multiple: nothing would be sent"),
        ("off: measured last week", "spans_per_request: 0", "gates.load.spans_per_request: write 1 to"),
        ("off: measured last week", "traces: 1000000", "gates.load.traces: write at most"),
        (
            "off: measured last week",
            "deadline: 60s",
            "gates.load.deadline: ramp, hold, spike and read_back take",
        ),
        ("off: measured last week", "hold: 5m, compare: true", "gates.load.deadline: ramp, hold, spike"),
        ("deadline: 10s", "deadline: 0s", "gates.drift.deadline: a duration of nothing"),
        ("every: 1m", "every: 0s", "gates.posture.every: a duration of nothing"),
        ("traces: 100", "traces: 0", "gates.parity.traces: 0 traces"),
        ("confidence: 99%", "confidence: 100%", "gates.parity.confidence: nothing is as sure"),
        ("\"k8s.*\"", "\"*\"", "gates.parity.ignore[0].attribute: no key"),
        ("reason: CHG-9", "reason: \"\"", "gates.parity.ignore[0].reason: no reason"),
        ("differ_max: 5%", "differ_max: 0", "gates.parity.differ_max: no number of equal traces"),
        ("[\"*-mock\"]", "[a, \"\"]", "gates.dependencies.simulated[1]: an empty entry"),
        ("standards: [pci, soc2], files: [policy.rego]", "standards: []", "gates.policy: no rules to ask"),
        ("[pci, soc2]", "[pcii]", "unknown"),
        ("CF-POSTURE-004", "posture", "gates.waivers[0].finding: `posture` is no finding's id"),
        ("CF-POSTURE-004, where: green", "CF-POLICY-001", "gates.waivers[0].where: what a policy denies"),
        ("CF-POSTURE-004", "CF-posture-004", "gates.waivers[0].finding: `CF-posture-004` is no finding's id"),
        ("reason: CHG-7", "reason: \"\"", "gates.waivers[0].reason: no reason"),
        ("owner: sre-lead", "owner: \"\"", "gates.waivers[0].owner: no owner"),
        ("2027-01-31", "soon", "`soon` is no day and no time"),
    ] {
        assert!(EVERY_GATE.contains(part), "{part}");
        let said = parse(&format!("{MINIMAL}{}", EVERY_GATE.replace(part, by))).expect_err(by);
        assert!(said.contains(says) && said.starts_with("rollout.yaml:"), "{by}: {said}");
    }
}
