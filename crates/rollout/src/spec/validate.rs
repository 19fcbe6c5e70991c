//! What a spec must mean, beyond its form.

mod gates;

use crossfade_routing::{EnvironmentId, Weight};
use crossfade_yaml::Duration;

use super::{Analysis, Metric, Spec, Step};
use crate::moments;
use crate::plan::Outline;
use crate::units::{Share, is_name};

/// Longest duration of anything.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 3600);
const STEPS_MAX: usize = 100;
const TRACES_MAX: u32 = 100_000;
/// Most bytes of an outline in JSON: it has to fit into a log entry of at most 65,535 bytes.
const OUTLINE_BYTES_MAX: usize = 60_000;

/// A mistake: which field, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) path: Vec<At>,
    /// `what; remedy`.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    Key(&'static str),
    Index(usize),
}

impl Problem {
    /// The field, as `steps[1].weight.percent`.
    pub fn field(&self) -> String {
        let mut field = String::new();
        for at in &self.path {
            match at {
                At::Key(key) if field.is_empty() => field.push_str(key),
                At::Key(key) => field.extend([".", key]),
                At::Index(index) => field.push_str(&format!("[{index}]")),
            }
        }
        field
    }
}

struct Check(Vec<Problem>);

impl Check {
    fn that(&mut self, holds: bool, path: &[At], message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Problem { path: path.to_vec(), message: message() });
        }
    }

    fn duration(&mut self, duration: &Duration, path: &[At]) {
        self.that(!duration.0.is_zero(), path, || "a duration of nothing; write for instance 30s".to_owned());
        self.that(duration.0 <= LONGEST, path, || format!("{duration} is too long; at most 366d"));
    }
}

/// Everything that is wrong with a spec.
pub(super) fn problems(spec: &Spec) -> Vec<Problem> {
    let mut check = Check(Vec::new());
    check.that(is_name(&spec.name), &[At::Key("name")], || {
        format!("`{}` is no name; use 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit", spec.name)
    });
    environments(&mut check, &spec.from, &spec.to);
    if let Err(error) = spec.routing.window() {
        check.that(false, &[At::Key("routing")], || format!("{error}; change one of them"));
    }
    steps(&mut check, &spec.steps);
    gates::gates(&mut check, &spec.all_gates());
    analysis(&mut check, &spec.analysis);
    check.0
}

/// Everything that is wrong with a plan's outline, which may come from anywhere.
pub fn check_outline(outline: &Outline) -> Vec<Problem> {
    let mut check = Check(Vec::new());
    environments(&mut check, &outline.from, &outline.to);
    steps(&mut check, &outline.steps);
    gates::gates(&mut check, &outline.gates);
    let planned = moments::written_out(outline.gates.clone());
    check.that(planned == outline.gates, &[], || {
        "a plan of this version says what each of its gates runs with".to_owned()
    });
    let named = (&outline.required_gates, &outline.later_gates);
    check.that(named == (&moments::first(&planned), &moments::later(&planned)), &[], || {
        let names: Vec<String> = moments::first(&planned).iter().map(ToString::to_string).collect();
        format!(
            "a plan of this version has to pass these gates in preflight: {}; and later those of its `gates`",
            names.join(", ")
        )
    });
    analysis(&mut check, &outline.analysis);
    check.that(outline.split_at_window, &[], || {
        "a plan of this version tests the window of a cut apart from what comes after it".to_owned()
    });
    check.that(outline.seeds_on_record, &[], || {
        "in a plan of this version gates that draw a sample name what they drew by".to_owned()
    });
    let bytes = serde_json::to_vec(outline).map_or(usize::MAX, |json| json.len());
    check.that(bytes <= OUTLINE_BYTES_MAX, &[], || {
        format!(
            "the plan has {bytes} bytes; a log entry holds {OUTLINE_BYTES_MAX}: declare fewer differences"
        )
    });
    check.0
}

fn environments(check: &mut Check, from: &EnvironmentId, to: &EnvironmentId) {
    check
        .that(from != to, &[At::Key("to")], || format!("`{to}` is `from` as well; name another environment"));
}

/// How far the steps have come, while they are read in order.
#[derive(Default)]
struct Progress {
    weight: Weight,
    promoted: bool,
    baked: bool,
    finalized: bool,
}

fn steps(check: &mut Check, steps: &[Step]) {
    let all = [At::Key("steps")];
    check.that(!steps.is_empty(), &all, || {
        "no steps; the shortest is weight 100, promote, finalize".to_owned()
    });
    check.that(steps.len() <= STEPS_MAX, &all, || format!("{} steps; at most {STEPS_MAX}", steps.len()));
    let mut progress = Progress::default();
    for (index, step) in steps.iter().enumerate() {
        let at = [At::Key("steps"), At::Index(index)];
        check.that(!progress.finalized, &at, || "a step after finalize; finalize is the last one".to_owned());
        one_step(check, &at, step, &mut progress);
    }
    if !steps.is_empty() {
        check.that(progress.promoted, &all, || "no promote; add `- promote: {}` after weight 100".to_owned());
        check.that(progress.finalized, &all, || {
            "no finalize; add `- finalize: {}` as the last step".to_owned()
        });
    }
}

fn one_step(check: &mut Check, at: &[At], step: &Step, progress: &mut Progress) {
    let below = |key: &'static str, field: &'static str| [at, &[At::Key(key), At::Key(field)]].concat();
    match step {
        Step::Mirror { percent, duration } => {
            check.that(progress.weight == Weight::ZERO && !progress.promoted, at, || {
                "mirror after a weight; a candidate that owns traces is not mirrored to: move it up"
                    .to_owned()
            });
            check.that(*percent > Weight::ZERO, &below("mirror", "percent"), || {
                "mirrors nothing; write more than 0".to_owned()
            });
            check.duration(duration, &below("mirror", "duration"));
        }
        Step::Weight { percent, duration } => {
            check.that(!progress.promoted, at, || "weight after promote; move it up".to_owned());
            let last = progress.weight;
            check.that(*percent > last, &below("weight", "percent"), || {
                format!("{percent} after {last}; weights only grow, and every way back is a rollback")
            });
            check.duration(duration, &below("weight", "duration"));
            progress.weight = progress.weight.max(*percent);
        }
        Step::Pause { duration } => {
            if let Some(duration) = duration {
                check.duration(duration, &below("pause", "duration"));
            }
        }
        Step::Promote {} => {
            check.that(!progress.promoted, at, || "a second promote; remove it".to_owned());
            let weight = progress.weight;
            check.that(weight == Weight::FULL, at, || {
                format!(
                    "promote at weight {weight}; add `- weight: {{percent: 100, duration: 1h}}` before it"
                )
            });
            progress.promoted = true;
        }
        Step::Bake { duration, .. } => {
            check.that(progress.promoted, at, || "bake before promote; move it down".to_owned());
            check.that(!progress.baked, at, || "a second bake; make the first one longer".to_owned());
            check.duration(duration, &below("bake", "duration"));
            progress.baked = true;
        }
        Step::Finalize {} => {
            check.that(progress.promoted, at, || "finalize before promote; move it down".to_owned());
            progress.finalized = true;
        }
    }
}

fn analysis(check: &mut Check, analysis: &Analysis) {
    let field = |key| [At::Key("analysis"), At::Key(key)];
    let half = Share::from_ppm(500_000);
    check.that(analysis.alpha > Share::from_ppm(0) && analysis.alpha <= half, &field("alpha"), || {
        format!(
            "{} is no false-alarm probability; write more than 0 and at most 0.5, like 0.01",
            analysis.alpha
        )
    });
    check.that(analysis.min_requests > 0, &field("min_requests"), || {
        "no data would pass; write at least 1".to_owned()
    });
    check.duration(&analysis.no_verdict_max, &field("no_verdict_max"));
    check.that(!analysis.metrics.is_empty(), &field("metrics"), || {
        "no metrics; leave the key out for the default ones".to_owned()
    });
    for (index, metric) in analysis.metrics.iter().enumerate() {
        let at = [At::Key("analysis"), At::Key("metrics"), At::Index(index)];
        let again = analysis.metrics[..index].iter().any(|earlier| earlier.name() == metric.name());
        check.that(!again, &at, || "this metric is there twice; remove one".to_owned());
        one_metric(check, &at, metric);
    }
}

fn one_metric(check: &mut Check, at: &[At], metric: &Metric) {
    let field = |key| [at, &[At::Key(key)]].concat();
    match metric {
        Metric::ExportErrors {} | Metric::Shed { .. } => {}
        Metric::ExportLatency { quantile, worse_min, .. } => {
            let (zero, one) = (Share::from_ppm(0), Share::from_ppm(1_000_000));
            check.that(*quantile > zero && *quantile < one, &field("quantile"), || {
                format!("{quantile} is no quantile; write a number between 0 and 1, like 0.99")
            });
            check.that(worse_min.0 <= LONGEST, &field("worse_min"), || format!("{worse_min} is too long"));
        }
        Metric::ProbeFailures { traces, every, .. } => {
            check.that((1..=TRACES_MAX).contains(traces), &field("traces"), || {
                format!("{traces} traces; write 1 to {TRACES_MAX}")
            });
            check.duration(every, &field("every"));
        }
    }
}

#[cfg(test)]
mod tests;
