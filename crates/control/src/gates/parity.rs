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
use crossfade_routing::{EnvironmentId, Schedule, Stage, TraceId, UnixNanos, fraction, locate};
use crossfade_stats::Confidence;

use super::{Cx, Gauge, coverage, enough};
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
    // Beside a rollout everything counts that the candidate has, unless a gateway says more.
    let schedule = match cx.schedule {
        Some(schedule) => Some(schedule.clone()),
        None => coverage::schedule(&coverage::gateway(cx.site)).await.ok(),
    };
    let schedules: Vec<Schedule> = schedule.into_iter().collect();
    if cx.since.is_some() && schedules.is_empty() {
        return Err("which traces the candidate has whole is not known: no schedule is in force".to_owned());
    }
    let owns = owned(&schedules, cx.to);
    // Both can be asked, or looking again does not help.
    query(cx.site, cx.from).and(query(cx.site, cx.to))?;
    let (settings, owns) = (&settings, &owns);
    let look = |now: UnixNanos, at_most: Duration| async move {
        let until = now.minus(SETTLE);
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
            both_ways: owns.is_some(),
            owns: owns.clone(),
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

/// Which traces the candidate has whole: those that it owns whatever their hosts' clocks say, and those that are mirrored to it. `None`
/// without schedules, and while no rollout runs: then everything counts that the candidate has.
fn owned(schedules: &[Schedule], candidate: &EnvironmentId) -> Option<Owns> {
    let last = schedules.last().filter(|last| !matches!(last.stage(), Stage::Single {}))?.clone();
    let (schedules, candidate) = (schedules.to_vec(), candidate.clone());
    Some(std::sync::Arc::new(move |id, began| {
        let id = TraceId(id.0);
        if last.mirror().contains(fraction(last.seed(), &id)) {
            return true;
        }
        locate(&schedules, &id, UnixNanos(began))
            .is_some_and(|located| located.or.is_none() && located.period.owner == candidate)
    }))
}

#[cfg(test)]
mod tests {
    use crossfade_gates::model::TraceId as Id;
    use crossfade_routing::{Begin, Cut, Seed, Weight, Window as Times};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Scenario: a mirror of 30 %, then a cut to 10 %, one to 100 %, and promotion.
    /// Guarantee: while mirrored, the mirrored share counts; after the cut what began after it and is the candidate's; near
    /// the cut, where the clock of a host decides, nothing that only may be. Promotion changes nothing of what began before.
    #[test]
    fn the_candidates_traces_are_those_it_has_whole() {
        let id = |name| EnvironmentId::new(name).unwrap();
        let window = Times::new(SECOND, SECOND, SECOND / 10).unwrap();
        let begin = Begin { rollout: "r".into(), to: id("green"), seed: Seed(5), window };
        let percent = |ppm| Weight::from_ppm(ppm).unwrap();
        let genesis = Schedule::genesis(id("blue"));
        assert!(owned(&[], &id("green")).is_none());
        assert!(owned(std::slice::from_ref(&genesis), &id("green")).is_none(), "no rollout decides anything");
        let begun = genesis.begin(begin).unwrap();
        let mirrored = begun.mirrored(percent(300_000)).unwrap();
        let at = |seconds: u64| {
            UnixNanos(1_800_000_000_000_000_000).plus(SECOND * u32::try_from(seconds).unwrap())
        };
        let cut = begun.cut(Cut { at: at(100), weight: percent(100_000) }).unwrap();
        let share = |schedules: &[Schedule], seconds: u64| {
            let owns = owned(schedules, &id("green")).unwrap();
            (0..1_000_u64)
                .filter(|n| {
                    owns(&Id(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()), at(seconds).0)
                })
                .count()
        };
        assert_eq!(share(&[genesis.clone(), begun.clone()], 50), 0);
        assert!((230..=370).contains(&share(&[genesis.clone(), begun.clone(), mirrored], 50)));
        let promoted = cut.cut(Cut { at: at(300), weight: Weight::FULL }).unwrap().promoted(true).unwrap();
        let alone = [promoted.clone()];
        let cut = [genesis, begun, cut];
        assert_eq!((share(&cut, 50), share(&cut, 100)), (0, 0));
        assert!((60..=140).contains(&share(&cut, 200)));
        assert_eq!((share(&alone, 50), share(&alone, 200), share(&alone, 400)), (0, share(&cut, 200), 1_000));
    }
}
