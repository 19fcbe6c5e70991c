//! The history gate: what was recorded before the cut-over, in the candidate, or kept where it is.

use std::time::Duration;

use crossfade_backends::history::{HistoryConfig, SLICES, kept, run as run_history};
use crossfade_backends::sample::Window;
use crossfade_gates::history::Promise;
use crossfade_gates::parity::Names;
use crossfade_gates::report::Report;
use crossfade_rollout::spec::{History, Moment};
use crossfade_routing::{EnvironmentId, UnixNanos};

use super::parity::{keys, query};
use super::{Cx, Gauge, coverage};
use crate::site::Site;

/// What a look keeps of its deadline for itself.
const SPARE: Duration = Duration::from_secs(3);

/// What to look at.
pub struct Looked<'a> {
    /// Where the environments are.
    pub site: &'a Site,
    /// The environment that has the history.
    pub from: &'a EnvironmentId,
    /// The candidate.
    pub to: &'a EnvironmentId,
    /// How many traces, and whether they were migrated.
    pub settings: &'a History,
    /// When the old traces began; ends with the cut-over.
    pub window: Window,
    /// Decides which.
    pub seed: u64,
    /// Now.
    pub now: UnixNanos,
}

/// Runs the gate in a rollout: over all that lies before its first cut.
pub(super) async fn run(cx: &Cx<'_>) -> Result<Report, String> {
    let settings = cx.settings.history.clone().unwrap_or_default();
    let cut_over = match coverage::schedule(&coverage::gateway(cx.site)).await {
        // Before the first cut of this rollout nothing is the candidate's; without one, that is up to now.
        Ok(schedule) => schedule.cuts().first().map_or(cx.now, |cut| cut.at.min(cx.now)),
        Err(_) if cx.moment == Moment::Preflight => cx.now,
        Err(why) => return Err(format!("when the candidate took over is not known: {why}")),
    };
    let window = Window { from: cut_over.minus(settings.reach.0).0, until: cut_over.0 };
    let what = Looked {
        site: cx.site,
        from: cx.from,
        to: cx.to,
        settings: &settings,
        window,
        seed: cx.seed,
        now: cx.now,
    };
    look(&what, &cx.gauge).await
}

/// Looks at the history of two environments.
///
/// # Errors
/// In words: an environment that the site does not have, or that has no query endpoint.
pub async fn look(what: &Looked<'_>, gauge: &Gauge) -> Result<Report, String> {
    let active = query(what.site, what.from)?;
    let config = HistoryConfig {
        names: Names { active: what.from.to_string(), candidate: what.to.to_string() },
        ignore: keys(&what.settings.ignore),
        window: what.window,
        traces: usize::try_from(what.settings.traces).unwrap_or(usize::MAX),
        seed: what.seed,
        slices: SLICES,
        deadline: what.settings.deadline.0.saturating_sub(SPARE).max(SPARE),
    };
    let told = |done: usize, total: usize, line: &str| gauge.set(done, total, line);
    let Some(kept_for) = &what.settings.kept_for else {
        return Ok(run_history(&active, &query(what.site, what.to)?, &config, &told).await);
    };
    let until = UnixNanos(what.window.until).plus(kept_for.0);
    let promise = Promise { cut_over: what.window.until, until: until.0, now: what.now.0 };
    Ok(kept(&active, &config, promise, &told).await)
}
