//! What was measured, held against the limits.

use std::time::Duration;

use super::limits::{Limits, NOISE, Objective};
use super::measured::{Counts, Measured};
use super::profile::Part;
use super::rules::*;
use super::show;
use crate::finding::{Finding, Place};
use crate::report::Report;
use crate::words::counted;

/// One environment of a run.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its name.
    pub environment: String,
    /// Its receivers, in the order in which they were driven: they take turns.
    pub lanes: Vec<Lane>,
}

/// One receiver of an environment: each is judged by itself.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Over which protocol requests were sent.
    pub protocol: &'static str,
    /// How they were compressed.
    pub coding: &'static str,
    /// What was measured, or why nothing was.
    pub measured: Result<Measured, Unmeasured>,
}

impl Side {
    /// One that was not driven.
    pub fn undriven(environment: &str, why: Unmeasured) -> Self {
        let lane = Lane { protocol: "", coding: "", measured: Err(why) };
        Self { environment: environment.to_owned(), lanes: vec![lane] }
    }

    /// That of a lane: the environment, and the protocol where that tells lanes apart.
    fn at<'a>(&'a self, lane: &'a Lane) -> At<'a> {
        At { environment: &self.environment, protocol: (self.lanes.len() > 1).then_some(lane.protocol) }
    }
}

/// Where a finding belongs.
#[derive(Clone, Copy)]
struct At<'a> {
    environment: &'a str,
    protocol: Option<&'a str>,
}

impl At<'_> {
    fn place(self) -> Place {
        let place = Place::environment(self.environment);
        match self.protocol {
            Some(protocol) => place.component(protocol),
            None => place,
        }
    }

    fn part(self, part: &str) -> Place {
        Place::environment(self.environment).component(match self.protocol {
            Some(protocol) => format!("{part} over {protocol}"),
            None => part.to_owned(),
        })
    }
}

/// Why nothing was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmeasured {
    /// Nobody answers, or with something else than OTLP.
    Unreachable(String),
    /// It refuses every request, an empty one even.
    Refused(String),
    /// There was no way to try.
    Unable(String),
}

/// Everything that a verdict needs.
#[derive(Clone, Debug)]
pub struct Run {
    /// The environment that is judged.
    pub candidate: Side,
    /// The environment that it is compared with, under the same load.
    pub active: Option<Side>,
    /// What is asked of it.
    pub limits: Limits,
    /// Whether traces were to be read back.
    pub read_back: bool,
}

/// The verdict on a run.
pub fn judge(run: &Run) -> Report {
    let mut findings = Vec::new();
    // Findings of nothing known that a silence alone has made.
    let mut silent = 0;
    for lane in &run.candidate.lanes {
        let at = run.candidate.at(lane);
        match &lane.measured {
            Ok(measured) => {
                silent += usize::from(measured.read_back.is_silent());
                candidate(run, measured, at, &mut findings);
            }
            Err(why) => {
                silent += usize::from(matches!(why, Unmeasured::Unreachable(_)));
                findings.push(unmeasured(at, why));
            }
        }
    }
    if !run.read_back && run.candidate.lanes.iter().any(|lane| lane.measured.is_ok()) {
        findings.push(Finding::new(&NOT_READ_BACK).at(Place::environment(&run.candidate.environment)));
    }
    let silent_beside = run.active.as_ref().map_or(0, |active| compare(run, active, &mut findings));
    let unknown = findings.iter().filter(|finding| finding.is_unknown()).count();
    let report = Report::new("load", show::summary(run), findings, show::facts(run));
    // Were everybody to answer, there would be a verdict.
    if silent > 0 && unknown == silent + silent_beside { report.unreachable() } else { report }
}

/// The highest rate that met everything that is asked, together with every lower one that was tried: from the steps of
/// the ramp, the rate held, and the spike. `None`: not even the lowest.
pub fn highest_rate(measured: &Measured, limits: &Limits) -> Option<Highest> {
    // The phase that a stop has cut short says nothing about its rate.
    let whole = measured.phases.len() - usize::from(measured.interrupted && !measured.phases.is_empty());
    let mut phases: Vec<&Counts> = measured.phases.iter().take(whole).collect();
    phases.sort_by_key(|counts| counts.phase.rate);
    let met = phases.iter().take_while(|counts| limits.met(counts)).count();
    let highest = met.checked_sub(1).and_then(|last| phases.get(last))?;
    Some(Highest { rate: highest.phase.rate, and_no_higher: met < phases.len() })
}

/// See [`highest_rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highest {
    /// Spans a second.
    pub rate: u64,
    /// A higher rate was tried, and did not do. Otherwise none was tried.
    pub and_no_higher: bool,
}

fn unmeasured(at: At<'_>, why: &Unmeasured) -> Finding {
    let at = at.place();
    match why {
        Unmeasured::Unreachable(why) => Finding::new(&LOAD_UNREACHABLE).at(at).detail(why.clone()),
        Unmeasured::Unable(why) => Finding::new(&LOAD_NOT_RUN).at(at).detail(why.clone()),
        Unmeasured::Refused(why) => Finding::new(&REFUSED_UNDER_LOAD)
            .at(at)
            .detail("An empty request is refused for good; nothing was offered.")
            .seen(why.clone())
            .remedy("Check headers, credentials, path and protocol; then measure again."),
    }
}

fn candidate(run: &Run, measured: &Measured, at: At<'_>, findings: &mut Vec<Finding>) {
    if measured.interrupted || measured.read_back.stopped {
        let reached =
            measured.phases.last().map_or_else(|| "its beginning".to_owned(), |c| c.phase.part.name());
        let detail = format!("It was stopped in {reached}.");
        findings.push(Finding::new(&LOAD_INTERRUPTED).at(at.place()).detail(detail));
    }
    findings.extend(generator(run, measured).map(|finding| finding.at(at.place())));
    findings.extend(too_few(run, measured).map(|finding| finding.at(at.place())));
    findings.extend(objectives(&run.limits, measured, at));
    findings.extend(errors(run, measured).map(|(finding, phase)| finding.at(at.part(&phase))));
    if run.read_back {
        findings.extend(completeness(measured, at));
    }
}

fn generator(run: &Run, measured: &Measured) -> Option<Finding> {
    let late: Vec<(&Counts, String)> =
        measured.phases.iter().filter_map(|c| Some((c, run.limits.undriven(c)?))).collect();
    let (first, why) = late.first()?;
    let others = others(late.len(), "phase");
    let part = first.phase.part.name();
    Some(
        Finding::new(&GENERATOR_TOO_SLOW)
            .detail(format!("In {part}{others}: {why}."))
            .expected(format!("{} spans/s, on time", show::count(first.phase.rate))),
    )
}

fn too_few(run: &Run, measured: &Measured) -> Option<Finding> {
    let hold = held(measured)?;
    let needy = run.limits.objectives.iter().filter(|objective| hold.requests < objective.requests_min());
    let most = needy.max_by_key(|objective| objective.requests_min())?;
    Some(
        Finding::new(&TOO_FEW_REQUESTS)
            .detail(format!(
                "{} is to be judged by {}.",
                most.name(),
                counted(hold.requests, "request", "requests")
            ))
            .expected(format!("{} requests or more", most.requests_min())),
    )
}

/// The counts of the rate held.
pub(super) fn held(measured: &Measured) -> Option<&Counts> {
    measured.phases.iter().find(|counts| counts.phase.part == Part::Hold)
}

fn objectives(limits: &Limits, measured: &Measured, at: At<'_>) -> Vec<Finding> {
    let missed = |spike: bool| -> Vec<(&Counts, Objective, Duration)> {
        let of = measured.phases.iter().filter(|c| (c.phase.part == Part::Spike) == spike);
        of.filter(|c| limits.undriven(c).is_none())
            .filter_map(|c| limits.missed(c).map(|(objective, took)| (c, objective, took)))
            .collect()
    };
    [(missed(false), &OBJECTIVE_MISSED), (missed(true), &SLOW_IN_SPIKE)]
        .into_iter()
        .filter_map(|(missed, rule)| {
            // The rate held is what is asked about; the lowest step that was too slow says where it begins.
            let (counts, objective, took) =
                missed.iter().find(|(c, ..)| c.phase.part == Part::Hold).or(missed.first())?;
            let (lowest, ..) = missed.iter().min_by_key(|(c, ..)| c.phase.rate)?;
            let rate = |c: &Counts| format!("{} spans/s", show::count(c.phase.rate));
            let from = if lowest.phase == counts.phase {
                String::new()
            } else {
                format!(" It is too slow from {} on ({}).", rate(lowest), lowest.phase.part.name())
            };
            let name = objective.name();
            let detail = format!("{name} was {} at {}.{from}", show::millis(*took), rate(counts));
            Some(
                Finding::new(rule)
                    .at(at.part(&counts.phase.part.name()))
                    .detail(detail)
                    .expected(format!("{name} at most {}", show::millis(objective.within)))
                    .seen(show::millis(*took)),
            )
        })
        .collect()
}

fn errors(run: &Run, measured: &Measured) -> Option<(Finding, String)> {
    let failed: Vec<&Counts> = measured.phases.iter().filter(|counts| run.limits.fails(counts)).collect();
    let worst = failed.iter().max_by(|a, b| a.error_share().total_cmp(&b.error_share()))?;
    let kinds = [
        (worst.rejected, "refused for good"),
        (worst.retryable, "refused for now"),
        (worst.unanswered, "not answered"),
        (worst.unsent, "not sent, as there was no room in flight"),
    ];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(spans, _)| *spans > 0)
        .map(|(spans, what)| format!("{} {what}", show::count(*spans)))
        .collect();
    let detail = format!(
        "Of {} spans offered in {}{}: {}.",
        show::count(worst.offered),
        worst.phase.part.name(),
        others(failed.len(), "phase"),
        kinds.join(", ")
    );
    let share = show::percent(worst.error_share());
    let words = measured.words.ranked().first().map_or_else(String::new, |(words, times)| {
        format!("; {}: {words}", counted(*times, "request", "requests"))
    });
    let finding = Finding::new(&REFUSED_UNDER_LOAD)
        .detail(detail)
        .expected(format!("at most {} of the spans", show::percent(run.limits.errors_max)))
        .seen(format!("{share}{words}"));
    Some((finding, worst.phase.part.name()))
}

fn completeness(measured: &Measured, at: At<'_>) -> Vec<Finding> {
    let read = &measured.read_back;
    if !read.asked {
        let detail = "There is no query endpoint to read them from.";
        return vec![Finding::new(&READ_BACK_UNKNOWN).at(at.place()).detail(detail)];
    }
    let total = read.total();
    let mut findings = Vec::new();
    if let Some(example) = read.examples.first() {
        let phase = measured.phases.get(example.phase).map_or_else(String::new, |c| c.phase.part.name());
        let detail = format!(
            "Of {} accepted traces {} lack spans and {} cannot be found at all.",
            show::count(total.asked),
            show::count(total.torn),
            show::count(total.absent)
        );
        let finding = Finding::new(&INCOMPLETE_UNDER_LOAD)
            .at(at.part(&phase).trace(example.trace_id))
            .detail(detail)
            .expected(format!("{} of the trace", counted(example.expected as u64, "span", "spans")))
            .seen(counted(example.found as u64, "span", "spans"));
        findings.push(finding);
    }
    if total.unknown > 0 {
        let why = read.unknown.as_deref().unwrap_or("no answer");
        let asked = counted(total.asked, "trace", "traces");
        let detail = format!("{} of {asked} could not be asked for: {why}", total.unknown);
        findings.push(Finding::new(&READ_BACK_UNKNOWN).at(at.place()).detail(detail));
    }
    let accepted: u64 = measured.phases.iter().map(|counts| counts.accepted).sum();
    if total.asked == 0 && accepted > 0 && !read.stopped {
        let detail = "No request was accepted with all of its spans, so there was no trace to ask for.";
        findings.push(Finding::new(&READ_BACK_UNKNOWN).at(at.place()).detail(detail));
    }
    findings
}

/// Each lane beside that of the same protocol. Returns how often the active environment is not known because it is silent.
fn compare(run: &Run, active: &Side, findings: &mut Vec<Finding>) -> usize {
    let mut silent = 0;
    let mut alone = Vec::new();
    for lane in &run.candidate.lanes {
        let Some(theirs) = active.lanes.iter().find(|theirs| theirs.protocol == lane.protocol) else {
            alone.push(lane.protocol);
            continue;
        };
        silent += usize::from(matches!(theirs.measured, Err(Unmeasured::Unreachable(_))));
        let ours = lane.measured.as_ref().ok().and_then(held);
        beside(run, (ours, run.candidate.at(lane)), (&theirs.measured, active.at(theirs)), findings);
    }
    if !alone.is_empty() {
        let rule =
            if alone.len() < run.candidate.lanes.len() { &NOTHING_BESIDE } else { &ACTIVE_NOT_MEASURED };
        let detail = format!("The site names no receiver of it for {}.", alone.join(" and "));
        findings.push(Finding::new(rule).at(Place::environment(&active.environment)).detail(detail));
    }
    silent
}

fn beside(
    run: &Run,
    (ours, our_place): (Option<&Counts>, At<'_>),
    (theirs, at): (&Result<Measured, Unmeasured>, At<'_>),
    findings: &mut Vec<Finding>,
) {
    let unknown = |why: String| Finding::new(&ACTIVE_NOT_MEASURED).at(at.place()).detail(why);
    let measured = match theirs {
        Ok(measured) => measured,
        Err(Unmeasured::Unreachable(why) | Unmeasured::Unable(why) | Unmeasured::Refused(why)) => {
            findings.push(unknown(why.clone()));
            return;
        }
    };
    let Some(theirs) = held(measured).filter(|_| !measured.interrupted) else {
        findings.push(unknown("It was stopped before the rate was held to the end.".to_owned()));
        return;
    };
    if let Some(why) = run.limits.undriven(theirs) {
        findings.push(unknown(format!("The generator was late: {why}.")));
        return;
    }
    if let Some((objective, took)) = run.limits.missed(theirs) {
        let detail = format!("{} was {}.", objective.name(), show::millis(took));
        findings.push(Finding::new(&ACTIVE_MISSES_TOO).at(at.place()).detail(detail));
    }
    if let (Some(ours), Some(worse_max)) = (ours, run.limits.worse_max) {
        let slower = slower(&run.limits, ours, theirs, worse_max);
        findings.extend(slower.map(|finding| finding.at(our_place.part(&Part::Hold.name()))));
    }
}

fn slower(limits: &Limits, ours: &Counts, theirs: &Counts, worse_max: f64) -> Option<Finding> {
    if limits.undriven(ours).is_some() {
        return None; // said already
    }
    let worse = |objective: &Objective| {
        let (ours, theirs) =
            (ours.latency.quantile(objective.share)?, theirs.latency.quantile(objective.share)?);
        let allowed = theirs.mul_f64(1.0 + worse_max).max(theirs + NOISE);
        (ours > allowed).then_some((*objective, ours, theirs, allowed))
    };
    let (objective, ours, theirs, allowed) = limits.objectives.iter().find_map(worse)?;
    let name = objective.name();
    let more = show::percent(ours.as_secs_f64() / theirs.as_secs_f64().max(1e-6) - 1.0);
    Some(
        Finding::new(&SLOWER_THAN_ACTIVE)
            .detail(format!(
                "{name} is {} against {}: {more} more.",
                show::millis(ours),
                show::millis(theirs)
            ))
            .expected(format!("{name} at most {}", show::millis(allowed)))
            .seen(show::millis(ours)),
    )
}

/// ` and 2 phases more`.
fn others(count: usize, noun: &str) -> String {
    match count {
        0 | 1 => String::new(),
        2 => format!(" and one {noun} more"),
        n => format!(" and {} {noun}s more", n - 1),
    }
}
