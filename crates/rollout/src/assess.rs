//! The analysis: counts to a verdict, with its numbers.
//!
//! A test needs a constant ratio of exposure. That holds within a step but for one moment: when the window of the last cut
//! has passed, traces that straddle it no longer go to both environments. So a step in which that happens has two tests,
//! one up to then and one from then on; the limits, and what a pass needs, count the whole step.
//!
//! Each metric that tests statistically spends an equal part of alpha. Within a step its e-value may be looked at any time; over
//! steps, staked e-values multiply ([`crossfade_stats::staked`]). A metric fails as soon as that product reaches
//! 1/alpha. A step passes only at its end, with nothing missing and enough requests of the candidate; anything else is no
//! verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_routing::UnixNanos;
use crossfade_routing::sync::LATENCY_BOUNDS_US;
use crossfade_stats::{CountTest, LatencyLimit, quantile_bucket, staked};

use crate::event::{Outcome, StepIndex};
use crate::numbers::{Arms, LogE, MetricName, MetricReading, Sample};
use crate::plan::Outline;
use crate::spec::{Metric, Step};
use crate::state::{LnE, Probes};
use crate::units::Share;

/// Evidence of the steps before, by metric.
pub type Carried = BTreeMap<MetricName, LnE>;

/// What is judged.
#[derive(Debug, Clone)]
pub struct Look {
    /// The step's counts.
    pub arms: Arms,
    /// Those of them that have not had their test: all, or what came after the window of the last cut.
    pub untested: Arms,
    /// The step's probe traces.
    pub probe: Probes,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What it would be, were this the step's end: `Fail` holds at any look, `Pass` only at the end.
    pub outcome: Outcome,
    /// In words, with the numbers.
    pub why: String,
    pub readings: Vec<MetricReading>,
    /// The candidate's first failure.
    pub first_failure: Option<UnixNanos>,
}

/// Judges a step.
#[must_use]
pub fn assess(outline: &Outline, carried: &Carried, look: &Look) -> Assessment {
    let judge = Judge { outline, carried, look };
    let readings: Vec<MetricReading> =
        outline.analysis.metrics.iter().map(|metric| judge.read(metric)).collect();
    let worst = |outcome| readings.iter().filter(move |reading| reading.outcome == outcome);
    let (have, need) = (look.arms.to.requests, u64::from(outline.analysis.min_requests));
    let outcome = match (worst(Outcome::Fail).count(), worst(Outcome::NoVerdict).count()) {
        (0, 0) if have >= need => Outcome::Pass,
        (0, _) => Outcome::NoVerdict,
        _ => Outcome::Fail,
    };
    let mut words: Vec<String> = worst(outcome).map(|r| format!("{}: {}", name(r.metric), r.text)).collect();
    if outcome == Outcome::NoVerdict && have < need {
        words.insert(0, format!("the candidate has {have} of {need} requests"));
    }
    Assessment { outcome, why: words.join("; "), first_failure: look.arms.to.first_failure, readings }
}

/// The evidence that the next step begins with.
#[must_use]
pub fn carry(assessment: &Assessment) -> Vec<LogE> {
    let tested = assessment.readings.iter().filter(|reading| reading.alpha > Share::from_ppm(0));
    tested.map(|reading| LogE { metric: reading.metric, ln_e_nano: reading.ln_e_nano }).collect()
}

/// How many requests of the active its latency metric needs at the least, however alike they are; 0 without one.
pub(crate) fn latency_requests_min(outline: &Outline) -> u64 {
    let quantiles = outline.analysis.metrics.iter().filter_map(|metric| match metric {
        Metric::ExportLatency { quantile, .. } => CountTest::new(quantile.as_f64()),
        _ => None,
    });
    let confidence = outline.ln_confidence();
    quantiles.map(|test| least(|requests| test.ln_e(requests, 0) >= confidence)).max().unwrap_or(0)
}

/// The least number from which on something holds; 2^40 if it does not up to there.
fn least(holds: impl Fn(u64) -> bool) -> u64 {
    let (mut below, mut from) = (0, 1_u64 << 40);
    while from - below > 1 {
        let middle = below + (from - below) / 2;
        if holds(middle) { from = middle } else { below = middle }
    }
    from
}

/// The metric's name as a spec has it.
#[must_use]
pub const fn name(metric: MetricName) -> &'static str {
    match metric {
        MetricName::ExportErrors => "export_errors",
        MetricName::ExportLatency => "export_latency",
        MetricName::Shed => "shed",
        MetricName::ProbeFailures => "probe_failures",
    }
}

impl Outline {
    /// Whether both arms receive traffic in this step, so that they can be compared.
    pub fn is_analysed(&self, step: StepIndex) -> bool {
        let index = usize::try_from(step).unwrap_or(usize::MAX);
        let before = || self.steps.iter().take(index);
        match self.steps.get(index) {
            Some(Step::Mirror { .. } | Step::Weight { .. }) => true,
            Some(Step::Bake { mirror_back, .. }) => *mirror_back,
            Some(Step::Pause { .. }) if before().any(|step| matches!(step, Step::Promote {})) => {
                self.mirror_back()
            }
            Some(Step::Pause { .. }) => before().any(Step::is_shift),
            Some(Step::Promote {} | Step::Finalize {}) | None => false,
        }
    }

    /// Whether the former active goes on receiving everything after promotion.
    pub fn mirror_back(&self) -> bool {
        let bake = self.steps.iter().find_map(|step| match step {
            Step::Bake { mirror_back, .. } => Some(*mirror_back),
            Step::Mirror { .. }
            | Step::Weight { .. }
            | Step::Pause { .. }
            | Step::Promote {}
            | Step::Finalize {} => None,
        });
        bake.unwrap_or(true)
    }

    /// Alpha, split evenly over the metrics that test.
    fn alpha_of_each(&self) -> f64 {
        let tests = self.analysis.metrics.iter();
        let tests =
            tests.filter(|m| matches!(m, Metric::ExportErrors {} | Metric::ExportLatency { .. })).count();
        self.analysis.alpha.as_f64() / tests.max(1) as f64
    }

    /// How sure the bound on the active's quantile is to be: half of the metric's alpha, in equal parts for each test.
    fn ln_confidence(&self) -> f64 {
        (self.tests().max(1) as f64 / (self.alpha_of_each() / 2.0)).ln()
    }

    /// How many tests each metric may come to: one for each step that is analysed, and one more for each cut, whose window
    /// splits the step in which it passes.
    fn tests(&self) -> usize {
        let steps = (0..).take(self.steps.len()).filter(|step| self.is_analysed(*step)).count();
        let cuts = self.steps.iter().filter(|step| self.split_at_window && step.cut_to().is_some());
        steps + cuts.count()
    }
}

struct Judge<'a> {
    outline: &'a Outline,
    carried: &'a Carried,
    look: &'a Look,
}

/// A reading before it is put into integers.
struct Finding {
    step_ln_e: f64,
    /// `None` for a plain limit, else the probability of a false alarm.
    alpha: Option<f64>,
    from: Sample,
    to: Sample,
    /// What it is unless the evidence says that it fails.
    outcome: Outcome,
    text: String,
}

impl Judge<'_> {
    fn read(&self, metric: &Metric) -> MetricReading {
        let finding = match metric {
            Metric::ExportErrors {} => self.errors(),
            Metric::ExportLatency { quantile, worse_max, worse_min } => {
                self.latency(*quantile, *worse_max, worse_min.0)
            }
            Metric::Shed { max } => self.shed(*max),
            Metric::ProbeFailures { max, .. } => self.probe(*max),
        };
        self.reading(metric.name(), finding)
    }

    fn reading(&self, metric: MetricName, finding: Finding) -> MetricReading {
        let before = self.carried.get(&metric).map_or(0.0, |ln_e| from_nano(ln_e.0));
        let ln_e = if finding.alpha.is_some() { before + staked(finding.step_ln_e) } else { 0.0 };
        let alarm = finding.alpha.is_some_and(|alpha| ln_e >= -alpha.ln());
        let outcome = if alarm { Outcome::Fail } else { finding.outcome };
        let evidence =
            finding.alpha.map(|alpha| format!("; e-value {}, fails at {}", short(ln_e), short(-alpha.ln())));
        MetricReading {
            metric,
            outcome,
            step_ln_e_nano: to_nano(finding.step_ln_e),
            ln_e_nano: to_nano(ln_e),
            alpha: Share::from_ppm(finding.alpha.map_or(0, |alpha| (alpha * 1e6).round() as u32)),
            from: finding.from,
            to: finding.to,
            text: format!("{}{}", finding.text, evidence.unwrap_or_default()),
        }
    }

    fn errors(&self) -> Finding {
        let Arms { from, to } = &self.look.untested;
        let test = CountTest::from_exposures(to.requests, from.requests);
        Finding {
            step_ln_e: test.map_or(0.0, |test| test.ln_e(to.failed, from.failed)),
            alpha: Some(self.outline.alpha_of_each()),
            from: Sample { all: from.requests, bad: from.failed },
            to: Sample { all: to.requests, bad: to.failed },
            // Whether there is anything to compare with is asked of the whole step.
            outcome: if self.look.arms.from.requests == 0 { Outcome::NoVerdict } else { Outcome::Pass },
            text: format!(
                "candidate failed {} of {} requests, active {} of {}",
                to.failed, to.requests, from.failed, from.requests
            ),
        }
    }

    /// Half of the metric's alpha goes to the bound on the active's quantile, in equal parts for each test.
    fn latency(&self, quantile: Share, worse_max: Share, worse_min: Duration) -> Finding {
        let alpha = self.outline.alpha_of_each() / 2.0;
        let limit = LatencyLimit {
            quantile: quantile.as_f64(),
            worse_max: worse_max.as_f64(),
            worse_min: worse_min.as_micros() as f64,
            ln_confidence: self.outline.ln_confidence(),
        };
        let [from, to] = [&self.look.untested.from, &self.look.untested.to].map(|arm| arm.latency.dense());
        let look = limit.look(&LATENCY_BOUNDS_US, &from, &to);
        // Whether the active's quantile can be known is asked of the whole step.
        let [whole_from, whole_to] =
            [&self.look.arms.from, &self.look.arms.to].map(|arm| arm.latency.dense());
        let known = limit.look(&LATENCY_BOUNDS_US, &whole_from, &whole_to).limit.is_some();
        let all: u64 = from.iter().sum();
        let percentile = format!("p{}", quantile.to_string().trim_end_matches('%'));
        let text = match look.limit {
            None => format!("{all} requests of the active are too few to know its {percentile}"),
            Some(limit) => format!(
                "candidate took longer than {} in {} of {} requests; {percentile} {}, active {}",
                micros(limit),
                look.slow,
                look.requests,
                at(&to, quantile),
                at(&from, quantile),
            ),
        };
        Finding {
            step_ln_e: look.ln_e,
            alpha: Some(alpha),
            from: Sample { all, bad: 0 },
            to: Sample { all: look.requests, bad: look.slow },
            outcome: if !known { Outcome::NoVerdict } else { Outcome::Pass },
            text,
        }
    }

    fn shed(&self, max: u32) -> Finding {
        let shed = self.look.arms.to.shed;
        let over = shed > u64::from(max);
        let to = Sample { all: shed, bad: shed };
        let text = format!("{shed} spans dropped before the candidate, at most {max}");
        let outcome = if over { Outcome::Fail } else { Outcome::Pass };
        Finding { step_ln_e: 0.0, alpha: None, from: Sample::default(), to, outcome, text }
    }

    fn probe(&self, max: u32) -> Finding {
        let Probes { traces, failed, .. } = self.look.probe;
        let outcome = match (failed > max, traces) {
            (true, _) => Outcome::Fail,
            (false, 0) => Outcome::NoVerdict,
            (false, _) => Outcome::Pass,
        };
        let to = Sample { all: traces.into(), bad: failed.into() };
        let text = format!("{failed} of {traces} probe traces not read back, at most {max}");
        Finding { step_ln_e: 0.0, alpha: None, from: Sample::default(), to, outcome, text }
    }
}

/// The upper bound of the bucket that holds the quantile.
fn at(counts: &[u64], quantile: Share) -> String {
    let Some(bucket) = quantile_bucket(counts, quantile.as_f64()) else { return "unknown".to_owned() };
    match LATENCY_BOUNDS_US.get(bucket) {
        Some(bound) => format!("<= {}", micros(*bound)),
        None => format!("> {}", micros(LATENCY_BOUNDS_US[LATENCY_BOUNDS_US.len() - 1])),
    }
}

fn micros(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{micros} us"),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// An e-value for people: `0.8`, `312`, `1e14`.
fn short(ln_e: f64) -> String {
    match ln_e {
        x if x < std::f64::consts::LN_10 => format!("{:.1}", x.exp()),
        x if x < 1e6_f64.ln() => format!("{:.0}", x.exp()),
        x => format!("1e{:.0}", x / std::f64::consts::LN_10),
    }
}

/// Billionths, saturating.
pub(crate) fn to_nano(x: f64) -> i64 {
    (x * 1e9).round() as i64
}

pub(crate) fn from_nano(nano: i64) -> f64 {
    nano as f64 / 1e9
}

#[cfg(test)]
mod tests;
