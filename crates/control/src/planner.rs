//! A spec resolved into a plan: what is approved, and what runs. Looking at it changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crossfade_audit::canonical;
use crossfade_backends::query::QueryKind as WireKind;
use crossfade_gates::Finding;
use crossfade_gates::render;
use crossfade_gates::report::Report;
use crossfade_rollout::event::{Gate, Outcome};
use crossfade_rollout::plan::{
    Advice, AdviceFinding, Baseline, EnvironmentFacts, Environments, Outline, PLAN_VERSION, Plan,
};
use crossfade_rollout::spec::Spec;
use crossfade_rollout::traffic::{Rate, warnings};
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Digest, PlanFile, RolloutId};
use crossfade_routing::sync::{CLOCK_BOUNDS_MS, ClockHistogram};
use crossfade_routing::{EnvironmentId, Seed};

use crate::api::{ApiError, ErrorCode, PlanRequest};
use crate::clock;
use crate::engine::{Baselined, clock_histogram};
use crate::gates::probe::MasksMissing;
use crate::gates::{Fitted, Gates, fitting, outcome, reach, seed_of, summary};
use crate::progress::Progress;
use crate::site::{Environment, Site};
use crate::status::Status;

/// The share of spans that may go to both environments because their times are not trusted: 0.1 %.
const UNTRUSTED_PPM_MAX: u64 = 1_000;

/// How many lines of a report a plan shows; `crossfade gate run` has them all.
const DETAILS_MAX: usize = 60;

/// Makes plans for one site.
pub struct Planner {
    site: Arc<Site>,
    gates: Arc<Gates>,
}

impl Planner {
    pub(crate) fn new(site: Arc<Site>, gates: Arc<Gates>) -> Planner {
        Planner { site, gates }
    }

    /// Digests of the compared configurations, as they are now.
    ///
    /// # Errors
    /// One that the plan has cannot be read.
    pub(crate) async fn snapshots(
        &self,
        outline: &Outline,
        planned: &Snapshots,
    ) -> Result<Snapshots, ApiError> {
        self.gates
            .snapshots(outline, Some(planned))
            .await
            .map_err(|unread| ApiError::unavailable(&unread.to_string()))
    }

    /// Resolves a spec against the site and the log, and dry-runs its gates.
    pub(crate) async fn plan(
        &self,
        request: &PlanRequest,
        baseline: Baselined,
        status: &Status,
        progress: &Progress,
    ) -> Result<PlanFile, ApiError> {
        let spec = crate::spec::read(&request.spec, &request.source)
            .map_err(|error| ApiError::invalid(&error.to_string()))?;
        let environments = self.facts(&spec, &request.source)?;
        let attempt = baseline.attempts(&spec.name) + 1;
        let rollout =
            RolloutId::attempt(&spec.name, attempt).map_err(|error| ApiError::invalid(&error.to_string()))?;
        let seed = Seed(
            crossfade_audit::keys::random_u64().map_err(|error| ApiError::unavailable(&error.to_string()))?,
        );
        let Fitted { gates, left_out } = fitting(&spec, &self.site, status.traffic);
        let spec = Spec { gates, ..spec };
        let outline = spec.outline(rollout, seed).map_err(|error| ApiError::invalid(&error.to_string()))?;
        let outline = Outline { left_out, ..outline };
        let snapshots = self.gates.snapshots(&outline, None).await;
        let snapshots = snapshots.map_err(|unread| ApiError::unavailable(&unread.to_string()))?;
        let plan = Plan {
            schema_version: PLAN_VERSION,
            outline,
            environments,
            snapshots,
            spec: Digest::from_bytes(crossfade_tlog::sha256(request.spec.as_bytes())),
            baseline: Baseline {
                generation: baseline.generation,
                active: baseline.active.clone(),
                rollouts: baseline.ended.len().try_into().unwrap_or(u32::MAX),
                log_size: baseline.log_size,
            },
            planned_at: clock::now(),
        };
        let advice = self.advice(&plan, &baseline, status, progress).await;
        let digest = canonical::digest(&plan).map_err(|error| ApiError::invalid(&error.to_string()))?;
        Ok(PlanFile { schema_version: PLAN_VERSION, digest, plan, advice })
    }

    fn facts(
        &self,
        spec: &Spec,
        source: &str,
    ) -> Result<std::collections::BTreeMap<EnvironmentId, EnvironmentFacts>, ApiError> {
        let mut facts = std::collections::BTreeMap::new();
        for (field, id) in [("from", &spec.from), ("to", &spec.to)] {
            let environment = self.site.wanted(id, field, source).map_err(|what| ApiError::invalid(&what))?;
            facts.insert(id.clone(), facts_of(environment));
        }
        Ok(facts)
    }

    /// What there is to say before anybody starts it. None of this is part of the plan.
    async fn advice(
        &self,
        plan: &Plan,
        baseline: &Baselined,
        status: &Status,
        progress: &Progress,
    ) -> Vec<Advice> {
        let unreached = |found: &Vec<Advice>| found.first().map_or(Outcome::Pass, |advice| advice.outcome);
        let mut advice = progress.of("reach", None, self.reach(plan), unreached).await;
        advice.extend(baseline_advice(plan, baseline));
        advice.extend(name_advice(&plan.outline.rollout, baseline));
        advice.extend(self.gates_advice(plan, baseline.running.as_ref(), progress).await);
        let (from, gates) = (&plan.outline.from, &plan.outline.gates);
        advice
            .extend(MasksMissing::look(&self.site, from, gates).await.map(|missing| masks_advice(&missing)));
        let overlap = progress.of("overlap", None, self.overlap(plan), |advice| advice.outcome);
        advice.push(overlap.await);
        let window = &plan.outline.window;
        advice.push(skew_advice(window.skew(), window.gamma(), &clock_histogram(status)));
        advice.push(traffic_advice(&plan.outline, status.traffic));
        advice
    }

    /// The gates of the preflight, side by side, as they would look now; but nothing is driven that a rollout has in hand.
    async fn gates_advice(
        &self,
        plan: &Plan,
        running: Option<&RolloutId>,
        progress: &Progress,
    ) -> Vec<Advice> {
        let outline = &plan.outline;
        let (looking, idle) = looking(&outline.required_gates, running);
        let cx_of = |gate: Gate| {
            progress.begun(gate.name(), Some(outline.gates.deadline(gate)));
            self.gates.cx(outline, seed_of(plan, None))
        };
        let each =
            |report: &Report| progress.ended(report.gate, outcome(report), report.took.unwrap_or_default());
        let reports = self.gates.look_at_all(&looking, cx_of, each).await;
        let said = |report: Report| {
            let outcome = outcome(&report);
            let text = render::text(&report);
            let details = text.lines().skip(1).take_while(|_| outcome != Outcome::Pass).take(DETAILS_MAX);
            Advice {
                gate: report.gate.to_owned(),
                outcome,
                summary: summary(&report),
                details: details.map(str::to_owned).collect(),
                findings: findings(&report),
                warning: false,
            }
        };
        reports.into_iter().map(said).chain(idle).collect()
    }

    /// Whether each environment takes OTLP and answers queries.
    async fn reach(&self, plan: &Plan) -> Vec<Advice> {
        let mut advice = Vec::new();
        let mut unreached = |id: &EnvironmentId, url: &str, why: String| {
            advice.push(Advice {
                gate: "reach".to_owned(),
                outcome: Outcome::NoVerdict,
                summary: format!("{id}: {url} does not answer as it should: {why}"),
                details: Vec::new(),
                findings: Vec::new(),
                warning: false,
            });
        };
        for id in plan.environments.keys() {
            let Some(environment) = self.site.environment(id) else { continue };
            for (url, taken) in reach::otlp(environment).await {
                if let Err(why) = taken {
                    unreached(id, &url, why);
                }
            }
            if let Some(query) = &environment.query
                && let Err(why) = reach::query(query).await
            {
                unreached(id, &query.endpoint, why);
            }
        }
        advice
    }

    /// Whether the overlap holds the traces that the active environment has seen.
    async fn overlap(&self, plan: &Plan) -> Advice {
        let overlap = plan.outline.window.overlap();
        let spread = self.gates.start_spread(&plan.outline.from).await;
        // Nothing to measure is no finding, and no proof either; nor is a trace that could be read only in part.
        let partial = spread.as_ref().map_or(0, |spread| spread.traces_partial);
        let warning = partial > 0 || spread.as_ref().is_ok_and(|spread| spread.traces == 0);
        let (outcome, summary) = match spread {
            Ok(spread) if spread.traces == 0 => (
                Outcome::Pass,
                format!("{overlap:?}; the active environment has no recent traces to measure"),
            ),
            Ok(spread) if spread.widest <= overlap => (
                Outcome::Pass,
                format!(
                    "{overlap:?}; widest start spread of {} recent traces: {:?}",
                    spread.traces, spread.widest
                ),
            ),
            Ok(spread) => {
                let proposed = Duration::from_secs(spread.widest.as_secs() * 5 / 4 + 1);
                let what = format!(
                    "{overlap:?} is less than the widest start spread of {} recent traces, {:?}: set routing.overlap to {}s",
                    spread.traces,
                    spread.widest,
                    proposed.as_secs()
                );
                (Outcome::Fail, what)
            }
            Err(why) => (Outcome::NoVerdict, format!("{overlap:?}; not measured: {why}")),
        };
        let rest = match partial {
            0 => String::new(),
            partial => format!("; {partial} more are too large to be read whole, and may be wider"),
        };
        Advice {
            gate: "overlap".to_owned(),
            outcome,
            summary: summary + &rest,
            details: Vec::new(),
            findings: Vec::new(),
            warning,
        }
    }
}

/// The gates that look for a plan, and what there is to say of the others: an environment with clients in it is not driven for a plan
/// that cannot start.
fn looking(planned: &[Gate], running: Option<&RolloutId>) -> (Vec<Gate>, Option<Advice>) {
    let looks = |gate: &Gate| *gate != Gate::Load || running.is_none();
    let idle = running.filter(|_| planned.contains(&Gate::Load)).map(|running| Advice {
        gate: Gate::Load.name().to_owned(),
        outcome: Outcome::NoVerdict,
        summary: format!("not driven while rollout {running} is under way"),
        details: Vec::new(),
        findings: Vec::new(),
        warning: false,
    });
    (planned.iter().copied().filter(looks).collect(), idle)
}

/// What the site says of its environments, as it was read.
pub(crate) fn facts(site: &Site) -> Environments {
    site.environments.iter().map(|(id, environment)| (id.clone(), facts_of(environment))).collect()
}

fn facts_of(environment: &Environment) -> EnvironmentFacts {
    let protocol = match environment.protocol {
        crate::site::Protocol::Grpc => "grpc",
        crate::site::Protocol::HttpProtobuf => "http/protobuf",
    };
    EnvironmentFacts {
        otlp_endpoint: environment.otlp.clone(),
        otlp_protocol: protocol.to_owned(),
        query_kind: environment.query.as_ref().map(|query| WireKind::from(query.kind).name().to_owned()),
        query_endpoint: environment.query.as_ref().map(|query| query.endpoint.clone()),
    }
}

/// What keeps a gate from passing.
fn findings(report: &Report) -> Vec<AdviceFinding> {
    let holds = report.findings.iter().filter(|finding| finding.fails() || finding.is_unknown());
    let one = |finding: &Finding| AdviceFinding {
        id: finding.id.to_owned(),
        rule: finding.rule.to_owned(),
        severity: finding.severity.word().to_owned(),
        place: finding.place.to_string(),
        detail: finding.detail.clone(),
    };
    holds.take(DETAILS_MAX).map(one).collect()
}

fn baseline_advice(plan: &Plan, baseline: &Baselined) -> Option<Advice> {
    let summary = if let Some(running) = &baseline.running {
        format!(
            "rollout {running} is under way: this plan cannot start before it has ended, and will be stale then"
        )
    } else if baseline.active != plan.outline.from {
        format!("{} is active, not {}: nothing would move", baseline.active, plan.outline.from)
    } else {
        return None;
    };
    Some(Advice {
        gate: "baseline".to_owned(),
        outcome: Outcome::Fail,
        summary,
        details: Vec::new(),
        findings: Vec::new(),
        warning: false,
    })
}

/// Why the rollout's id is not the spec's name.
fn name_advice(id: &RolloutId, baseline: &Baselined) -> Option<Advice> {
    let name = id.name();
    let before = baseline.ended.iter().rfind(|past| past.rollout.name() == name)?;
    let since = crossfade_rollout::rfc3339::format(before.ended);
    let summary = format!(
        "{id}: {} is {} since {}Z, and no id is used twice, as gateways never forget a fence",
        before.rollout,
        before.phase,
        since.get(..19).unwrap_or_default()
    );
    let (gate, details) = ("name".to_owned(), Vec::new());
    Some(Advice { gate, outcome: Outcome::Pass, summary, details, findings: Vec::new(), warning: false })
}

/// What is masked today, and that nobody asks whether it is tomorrow.
fn masks_advice(missing: &MasksMissing) -> Advice {
    Advice {
        gate: "masks".to_owned(),
        outcome: Outcome::Pass,
        summary: missing.detail(),
        details: vec![missing.remedy()],
        findings: Vec::new(),
        warning: true,
    }
}

/// Whether the gateway's clocks are trusted often enough, by the histogram of arrival less end.
fn skew_advice(skew: Duration, gamma: Duration, clocks: &ClockHistogram) -> Advice {
    let all: u64 = clocks.counts.iter().sum();
    let limit = i64::try_from(skew.saturating_sub(gamma).as_millis()).unwrap_or(i64::MAX);
    let trusted: u64 = CLOCK_BOUNDS_MS
        .iter()
        .zip(&clocks.counts)
        .filter(|(bound, _)| (0..=limit).contains(*bound))
        .map(|(_, count)| count)
        .sum();
    let ppm = (all - trusted).saturating_mul(1_000_000).checked_div(all);
    let warning = ppm.is_none_or(|ppm| ppm > UNTRUSTED_PPM_MAX);
    let summary = match ppm {
        None => format!("{skew:?}; no span has come in yet to measure"),
        // Copies, not losses: it costs, and is not wrong.
        Some(ppm) if warning => format!(
            "{skew:?}; of {all} spans up to {} are not trusted and will be copied: consider a larger routing.skew",
            percent(ppm)
        ),
        Some(ppm) => format!("{skew:?}; of {all} spans at most {} are not trusted", percent(ppm)),
    };
    Advice {
        gate: "skew".to_owned(),
        outcome: Outcome::Pass,
        summary,
        details: Vec::new(),
        findings: Vec::new(),
        warning,
    }
}

/// Whether the traffic that there is suffices for a verdict in every step. It may grow, and so this is a warning.
fn traffic_advice(outline: &Outline, rate: Option<Rate>) -> Advice {
    let details = rate.map(|rate| warnings(outline, rate)).unwrap_or_default();
    let warning = rate.is_none() || !details.is_empty();
    let summary = match rate {
        None => "not measured: gateways have not reported for long enough".to_owned(),
        Some(rate) if warning => format!("{rate} of late: too few for every verdict in time"),
        Some(rate) => format!("{rate} of late: enough for a verdict in every step"),
    };
    Advice {
        gate: "traffic".to_owned(),
        outcome: Outcome::Pass,
        summary,
        details,
        findings: Vec::new(),
        warning,
    }
}

fn percent(ppm: u64) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

impl From<crate::gates::GatesError> for ApiError {
    fn from(error: crate::gates::GatesError) -> ApiError {
        ApiError::new(ErrorCode::Unavailable, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(at: &[(i64, u64)]) -> ClockHistogram {
        let mut clocks = ClockHistogram::default();
        for (bound, count) in at {
            let index = CLOCK_BOUNDS_MS.iter().position(|known| known == bound).unwrap();
            clocks.counts[index] = *count;
        }
        clocks
    }

    /// Scenario: findings that weigh more, less and nothing beside what their rules say.
    /// Guarantee: a plan has what keeps its gates from passing, with the weight that it has there.
    #[test]
    fn a_finding_weighs_what_it_did() {
        use crossfade_gates::rule::Severity;
        let rule = crossfade_gates::drift::RULES[0];
        let weighs = |severity| Finding::new(rule).severity(severity);
        let all = [Severity::Critical, Severity::Low, Severity::Unknown, Severity::Note].map(weighs);
        let report = Report::new("drift", "", all.into(), serde_json::Value::Null);
        let said: Vec<String> = findings(&report).into_iter().map(|finding| finding.severity).collect();
        assert_eq!(said, ["critical", "low", "unknown"]);
    }

    /// A plan made while a rollout runs must not compete with its traffic.
    #[test]
    fn no_load_is_driven_beside_a_rollout() {
        let planned = [Gate::Drift, Gate::Probe, Gate::Load];
        let (all, idle) = looking(&planned, None);
        assert_eq!((all.as_slice(), idle.is_none()), (&planned[..], true));
        let running = RolloutId::attempt("move", 1).unwrap();
        let (some, idle) = looking(&planned, Some(&running));
        let idle = idle.unwrap();
        assert_eq!((some.as_slice(), idle.outcome), (&planned[..2], Outcome::NoVerdict));
        assert!(idle.summary.contains("rollout move"), "{}", idle.summary);
        assert!(looking(&planned[..2], Some(&running)).1.is_none());
    }

    #[test]
    fn too_little_traffic_is_a_warning_and_no_refusal() {
        struct Nothing;
        impl crossfade_yaml::Resolve for Nothing {
            fn resolve(&self, _: &str, _: &str) -> crossfade_yaml::Resolution {
                crossfade_yaml::Resolution::Unset
            }
        }
        let text = "{ name: x, from: blue, to: green, steps: [{ weight: { percent: 100, duration: 1m } }, promote, finalize] }";
        let spec = Spec::parse(text, "rollout.yaml", &Nothing).unwrap();
        let outline = spec.outline("x".parse().unwrap(), Seed(1)).unwrap();
        let advice = |rate| traffic_advice(&outline, rate);
        let a_second = |requests| Some(Rate { requests, over_ms: 1_000, spans: requests });
        let (none, few, many) = (advice(None), advice(a_second(1)), advice(a_second(1_000)));
        assert!([&none, &few, &many].iter().all(|advice| advice.outcome == Outcome::Pass));
        assert_eq!([none.warning, few.warning, many.warning], [true, true, false], "not measured is no pass");
        assert!(few.details[0].starts_with("step 1 (weight 100 %): about 60 of 300 requests"), "{few:?}");
        assert!(none.summary.starts_with("not measured"), "{none:?}");
        assert!(many.summary.starts_with("1000.0 requests/s of late: enough"), "{many:?}");
    }

    #[test]
    fn skew_is_judged_by_the_spans_it_would_not_trust() {
        let skew = Duration::from_secs(30);
        let say = |clocks: &ClockHistogram| skew_advice(skew, Duration::ZERO, clocks).summary;
        assert!(say(&clocks(&[])).contains("no span has come in"));
        assert!(say(&clocks(&[(5_000, 9_999), (60_000, 1)])).contains("at most 0.01 %"));
        assert!(say(&clocks(&[(5_000, 900), (-1, 100)])).contains("10.00 %"), "a clock that leads");
    }
}
