//! The history gate: what was recorded before the cut-over, in the candidate, or kept where it is.

use crossfade_backends::history::{HistoryConfig, SLICES, kept, run as run_history};
use crossfade_backends::sample::Window;
use crossfade_gates::history::{Parts, Promise};
use crossfade_gates::parity::Names;
use crossfade_gates::report::Report;
use crossfade_rollout::spec::{History, Moment};
use crossfade_routing::{EnvironmentId, UnixNanos};

use super::parity::{keys, parts, query};
use super::{Cx, Gauge, coverage};
use crate::site::Site;

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
    /// What an earlier look of this rollout found in each part of the time, if there was one.
    pub earlier: Option<Parts>,
}

/// Runs the gate in a rollout: over all that lies before its first cut, but for what the migration may not have come to yet.
pub(super) async fn run(cx: &Cx<'_>) -> Result<Report, String> {
    let settings = cx.settings.history.clone().unwrap_or_default();
    let cut_over = match coverage::schedule(&coverage::gateway(cx.site)).await {
        // Before the first cut of this rollout nothing is the candidate's; without one, that is up to now.
        Ok(schedule) => schedule.cuts().first().map_or(cx.now, |cut| cut.at.min(cx.now)),
        Err(_) if cx.moment == Moment::Preflight => cx.now,
        Err(why) => return Err(format!("when the candidate took over is not known: {why}")),
    };
    let window = window(&settings, cut_over, cx.now);
    let what = Looked {
        site: cx.site,
        from: cx.from,
        to: cx.to,
        settings: &settings,
        window,
        seed: cx.seed,
        now: cx.now,
        earlier: cx.before.and_then(Parts::read),
    };
    look(&what, &cx.gauge).await
}

/// When the old traces began. History that stays where it is has settled, whenever it began.
fn window(settings: &History, cut_over: UnixNanos, now: UnixNanos) -> Window {
    let settled = if settings.kept_for.is_some() { now } else { now.minus(settings.settle.0) };
    Window { from: cut_over.minus(settings.reach.0).0, until: cut_over.min(settled).0 }
}

/// Looks at the history of two environments.
///
/// # Errors
/// In words: an environment that the site does not have, or that has no query endpoint.
pub async fn look(what: &Looked<'_>, gauge: &Gauge) -> Result<Report, String> {
    let (deadline, question) = parts(what.settings.deadline.0);
    let active = query(what.site, what.from)?.at_most(question);
    let config = HistoryConfig {
        names: Names { active: what.from.to_string(), candidate: what.to.to_string() },
        ignore: keys(&what.settings.ignore),
        window: what.window,
        traces: usize::try_from(what.settings.traces).unwrap_or(usize::MAX),
        seed: what.seed,
        slices: SLICES,
        deadline,
    };
    let told = |done: usize, total: usize, line: &str| gauge.set(done, total, line);
    let Some(kept_for) = &what.settings.kept_for else {
        let candidate = query(what.site, what.to)?.at_most(question);
        return Ok(run_history(&active, &candidate, &config, &told).await);
    };
    let until = UnixNanos(what.window.until).plus(kept_for.0);
    let Window { from, until: cut_over } = what.window;
    let promise = Promise { from, cut_over, until: until.0, now: what.now.0 };
    Ok(kept(&active, &config, (promise, what.earlier.clone()), &told).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

    /// Scenario: before the cut-over, the active still records; and two hours after it.
    /// Guarantee: what the migration cannot have come to yet is no hole; once it must have, everything up to the cut-over is looked at.
    #[test]
    fn what_has_just_been_recorded_is_no_hole() {
        let now = UnixNanos(1_800_000_000_000_000_000);
        let settings = History::default();
        let before = window(&settings, now, now);
        assert_eq!((before.from, before.until), (now.minus(7 * 24 * HOUR).0, now.minus(HOUR).0));
        assert_eq!(window(&settings, now.minus(2 * HOUR), now).until, now.minus(2 * HOUR).0);
        let kept = History { kept_for: Some((24 * HOUR).into()), ..settings };
        assert_eq!(window(&kept, now, now).until, now.0);
    }
}
