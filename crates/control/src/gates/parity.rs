//! The parity gate: the same traces, read from both environments.

use std::time::Duration;

use crossfade_backends::parity::{Owns, ParityConfig, run as run_parity};
use crossfade_backends::query::Query;
use crossfade_backends::sample::Window;
use crossfade_gates::look::cannot_look;
use crossfade_gates::parity::{Limits, Names, is_too_few};
use crossfade_gates::report::Report;
use crossfade_rollout::event::Gate;
use crossfade_rollout::spec::{Ignore, Parity};
use crossfade_routing::{EnvironmentId, UnixNanos};
use crossfade_stats::Confidence;

use super::{Cx, Gauge, enough, shared};
use crate::site::Site;

/// Traces that began less long ago are left to settle.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// The longest that a question may take, whatever the deadline.
const QUESTION: Duration = Duration::from_secs(10);

/// What to compare.
pub struct Comparison<'a> {
    /// Where the environments are.
    pub site: &'a Site,
    /// The active environment.
    pub from: &'a EnvironmentId,
    /// The candidate.
    pub to: &'a EnvironmentId,
    /// What may differ, and how many traces.
    pub settings: &'a Parity,
    /// When the traces began.
    pub window: Window,
    /// Decides which.
    pub seed: u64,
    /// Whether the active's traces are drawn from, too.
    pub both_ways: bool,
    /// Which traces count; all of them, if `None`.
    pub owns: Option<Owns>,
}

/// Runs the gate in a rollout: over the traffic of the step.
pub(super) async fn run(cx: &Cx<'_>) -> Result<Report, String> {
    let settings = cx.settings.parity.clone().unwrap_or_default();
    let shared = match cx.schedule {
        Some(schedule) => shared::by(schedule, None, [cx.from, cx.to]),
        None => shared::ask(cx.site, cx.from, cx.to).await,
    };
    if cx.since.is_some() && shared.is_none() {
        return Err("which traces the candidate has whole is not known: no schedule is in force".to_owned());
    }
    // Beside a rollout everything counts that the candidate has, unless a gateway says more.
    let shared = shared.unwrap_or_default();
    // Both can be asked, or looking again does not help.
    query(cx.site, cx.from).and(query(cx.site, cx.to))?;
    let (settings, shared) = (&settings, &shared);
    let look = |now: UnixNanos, at_most: Duration| async move {
        let until = shared.until(now.minus(SETTLE));
        let earliest = until.minus(settings.window.0);
        let from = cx.since.map_or(earliest, |since| since.max(earliest)).min(until);
        let comparison = Comparison {
            site: cx.site,
            from: cx.from,
            to: cx.to,
            settings: &Parity { deadline: crossfade_yaml::Duration(at_most), ..settings.clone() },
            window: Window { from: from.0, until: until.0 },
            seed: cx.seed,
            // What is owned is known, and so what should be there.
            both_ways: shared.owns.is_some(),
            owns: shared.owns.clone(),
        };
        compare(&comparison, &cx.gauge).await.unwrap_or_else(|why| cannot_look(Gate::Parity.name(), why))
    };
    Ok(enough::traffic(cx, settings.deadline.0, is_too_few, look).await)
}

/// Compares two environments.
///
/// # Errors
/// In words: an environment that the site does not have, or that has no query endpoint.
pub async fn compare(what: &Comparison<'_>, gauge: &Gauge) -> Result<Report, String> {
    let settings = what.settings;
    let (deadline, question) = parts(settings.deadline.0);
    let active = query(what.site, what.from)?.at_most(question);
    let candidate = query(what.site, what.to)?.at_most(question);
    let length = what.window.until - what.window.from;
    let config = ParityConfig {
        names: Names { active: what.from.to_string(), candidate: what.to.to_string() },
        limits: limits(settings),
        ignore: keys(&settings.ignore),
        window: what.window,
        traces: usize::try_from(settings.traces).unwrap_or(usize::MAX),
        seed: what.seed,
        both_ways: what.both_ways,
        owns: what.owns.clone(),
        // As long before, and an hour at least: what was called by whom.
        baseline: Some(Window {
            from: what.window.from.saturating_sub(length.max(3_600_000_000_000)),
            until: what.window.from,
        }),
        patience: settings.patience.0,
        deadline,
    };
    let told = |done: usize, total: usize, line: &str| gauge.set(done, total, line);
    Ok(run_parity(&active, &candidate, &config, &told).await)
}

/// Of a deadline: the time to look in, and the longest that a question may take. Two that are under way at the end of the first fit
/// into what is left, so that a report can still say who did not answer.
pub(super) fn parts(deadline: Duration) -> (Duration, Duration) {
    let question = (deadline / 6).min(QUESTION);
    (deadline - question * 2 - deadline / 20, question)
}

/// What settings ask for.
pub(super) fn limits(settings: &Parity) -> Limits {
    let confidence = Confidence::new(settings.confidence.as_f64()).unwrap_or(Confidence::P95);
    Limits { differ_max: settings.differ_max.as_f64(), confidence }
}

/// The keys of attributes that are meant to differ.
pub(super) fn keys(ignored: &[Ignore]) -> Vec<String> {
    ignored.iter().map(|ignore| ignore.attribute.clone()).collect()
}

/// A client of an environment's query endpoint.
pub(super) fn query(site: &Site, id: &EnvironmentId) -> Result<Query, String> {
    let environment =
        site.environment(id).ok_or_else(|| format!("{id} is not an environment of this site"))?;
    environment.query_client(id)
}
