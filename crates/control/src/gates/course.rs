//! How far a rollout has come, as policies see it: `input.rollout`.

use std::collections::BTreeSet;

use crossfade_rollout::Digest;
use crossfade_rollout::event::{Gate, StepEnd, StepIndex};
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::{Moment, Step};
use crossfade_rollout::state::{GateRun, GateStatus, Rollout};
use crossfade_routing::{UnixNanos, Weight};
use serde_json::{Map, Value, json};

/// Of a plan that does not run.
pub(super) fn planned(outline: &Outline) -> Value {
    course(outline, |_| "ahead")
}

/// Of one that does, at this weight. `report`: what a gate reported.
pub(crate) fn of(rollout: &Rollout, weight: Weight, report: impl Fn(Gate, Digest) -> Value) -> Value {
    let status = |step: StepIndex| match rollout.step_end(step) {
        Some(StepEnd::Elapsed) => "done",
        Some(StepEnd::PromotedEarly) => "left_early",
        Some(StepEnd::Skipped) => "skipped",
        Some(StepEnd::Stopped) => "stopped",
        None if step == rollout.step && rollout.running.is_some() => "running",
        None => "ahead",
    };
    let mut course = course(&rollout.outline, status);
    let places = [None].into_iter().chain(rollout.step_gates.keys().copied().map(Some));
    let at = |place| rollout.gates_at(place).iter().map(move |(gate, run)| (place, *gate, run));
    let looked = places.flat_map(at).filter(|(_, gate, _)| *gate != Gate::Policy);
    let runs: Vec<Value> =
        looked.map(|(place, gate, run)| told(&rollout.outline, place, gate, run, &report)).collect();
    course["runs"] = json!(runs);
    course["weight"] = percent(weight);
    course["began_unix"] = json!(seconds(rollout.began));
    if rollout.phase.is_live() {
        course["step"] = json!(rollout.step + 1);
    }
    if let Some(why) = &rollout.approval {
        course["approval"] = json!({ "not_required": why });
    }
    course
}

fn course(outline: &Outline, status: impl Fn(StepIndex) -> &'static str) -> Value {
    let step = |(index, step): (StepIndex, &Step)| {
        let mut told = kind(step);
        told.insert("number".to_owned(), json!(index + 1));
        told.insert("status".to_owned(), json!(status(index)));
        Value::Object(told)
    };
    let steps: Vec<Value> = (0..).zip(&outline.steps).map(step).collect();
    let (id, from, to) = (&outline.rollout, &outline.from, &outline.to);
    json!({ "id": id, "from": from, "to": to, "steps": steps, "runs": [], "weight": 0 })
}

fn kind(step: &Step) -> Map<String, Value> {
    let (kind, share, time) = match step {
        Step::Mirror { percent, duration } => ("mirror", Some(*percent), Some(duration.0)),
        Step::Weight { percent, duration } => ("weight", Some(*percent), Some(duration.0)),
        Step::Pause { duration } => ("pause", None, duration.map(|duration| duration.0)),
        Step::Promote {} => ("promote", None, None),
        Step::Bake { duration, .. } => ("bake", None, Some(duration.0)),
        Step::Finalize {} => ("finalize", None, None),
    };
    let known = [
        Some(("kind", json!(kind))),
        share.map(|share| ("percent", percent(share))),
        time.map(|time| ("duration_secs", json!(time.as_secs()))),
    ];
    known.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A whole number where it is one: rules compare it.
fn percent(weight: Weight) -> Value {
    let ppm = weight.ppm();
    if ppm.is_multiple_of(10_000) { json!(ppm / 10_000) } else { json!(f64::from(ppm) / 10_000.0) }
}

/// The last run of a gate at a place.
fn told(
    outline: &Outline,
    place: Option<StepIndex>,
    gate: Gate,
    run: &GateRun,
    report: impl Fn(Gate, Digest) -> Value,
) -> Value {
    let moment = place.and_then(|step| outline.moment_of(step)).unwrap_or(Moment::Preflight);
    let verdict = match run.status {
        GateStatus::Running => json!("running"),
        GateStatus::Void => json!("void"),
        GateStatus::Done(outcome) => json!(outcome),
    };
    let waived = run.evidence.map(|digest| waived(&report(gate, digest))).unwrap_or_default();
    let known = [
        Some(("gate", json!(gate))),
        Some(("moment", json!(moment))),
        place.map(|step| ("step", json!(step + 1))),
        Some(("run", json!(run.run))),
        Some(("missed", json!(run.missed))),
        Some(("verdict", verdict)),
        Some(("summary", json!(run.summary))),
        run.evidence.map(|digest| ("evidence", json!(digest))),
        Some(("waived", json!(waived))),
        run.at.map(|at| ("began_unix", json!(seconds(at)))),
    ];
    Value::Object(known.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The findings of a report that waivers let through, by id, each once.
fn waived(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let waived = findings.iter().filter(|finding| finding["accepted"]["by"] == "waiver");
    let ids: BTreeSet<&str> = waived.filter_map(|finding| finding["id"].as_str()).collect();
    ids.into_iter().map(str::to_owned).collect()
}

fn seconds(time: UnixNanos) -> u64 {
    time.0 / 1_000_000_000
}
