//! The history gate: what was recorded before the cut-over can still be read, found and believed.
//!
//! *Migrated* history: traces drawn at random from the whole time that is to be kept are read from both environments, compared span by
//! span ([`difference`]), and looked for in the candidate by the searches that find them in the active. What is missing in a
//! row is a hole, and told as a time range; what is readable and not found is an index that lags. Hour by hour, the traces that the same
//! searches find in both are counted.
//!
//! History that is *kept* in the active instead: it must stay readable there for as long as promised. What a search finds can be read;
//! and what was recorded right before the cut-over is still there.
//!
//! A difference in a single trace fails the gate: nobody migrates again. How much that says of all traces, the summary gives as an upper
//! bound.
//!
//! | module | holds |
//! |---|---|
//! | `ranges` | what is missing in a row |
//! | `kept` | history that stays where it is |
//! | `rules` | what each finding means |

mod kept;
mod ranges;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crossfade_stats::{Confidence, upper_share};
use serde_json::{Value, json};

pub use self::kept::{Kept, Promise};
use self::ranges::{Point, Range, in_a_row};
pub use self::rules::RULES;
use crate::difference::groups::{Group, Groups};
use crate::difference::{Compared, Rules, compare};
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::parity::{Names, Read, Unread};
use crate::report::Report;
use crate::words::{counted, grouped, percent, ppm};

/// Fewer traces, unless they are all there are, are no verdict: 95 % that at most 5 % differ.
const FEWEST: u64 = 59;
/// Of the traces drawn, the share that may stay unread.
const UNREAD_MAX: f64 = 0.02;
/// Fewer traces in a time say nothing of a hole.
const HOUR_FEWEST: u64 = 5;
/// An hour with less of its traces is told.
const HOUR_SHARE: f64 = 0.95;
const FINDINGS_MAX: usize = 40;
const IDS_MAX: usize = 200;
const SAMPLE_IDS_MAX: usize = 5_000;
const HOUR: u64 = 3_600_000_000_000;

/// What a search for one trace in both environments came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// By what: `service`, `operation`, `` attribute `payment.id` ``.
    pub by: String,
    /// Whether the active's search has it; if not, the search says nothing of the candidate.
    pub in_active: bool,
    /// Whether the candidate's has.
    pub in_candidate: bool,
}

/// One old trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Old {
    /// Its id.
    pub id: TraceId,
    /// When it began, nanoseconds since 1970.
    pub begun: u64,
    /// As the active has it.
    pub active: Read,
    /// As the candidate has it.
    pub candidate: Read,
    /// What searches came to.
    pub searches: Vec<Search>,
}

/// The traces that the same searches of one time found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the active.
    pub active: u64,
    /// In the candidate.
    pub candidate: u64,
    /// In both.
    pub both: u64,
}

/// Takes in old traces one by one, and keeps no span.
#[derive(Clone, Debug)]
pub struct History {
    names: Names,
    rules: Rules,
    groups: Groups,
    readable: Vec<Point>,
    findable: BTreeMap<String, Vec<Point>>,
    hours: BTreeMap<u64, Counts>,
    sample: Vec<TraceId>,
    differing: Vec<TraceId>,
    compared: u64,
    different: u64,
    unread: u64,
    unanswered: u64,
    vanished: u64,
    first_unread: Option<(TraceId, String, String)>,
    stopped: Option<Unread>,
}

impl History {
    /// Nothing looked at yet.
    pub fn new(names: Names, rules: Rules) -> Self {
        Self {
            names,
            rules,
            groups: Groups::default(),
            readable: Vec::new(),
            findable: BTreeMap::new(),
            hours: BTreeMap::new(),
            sample: Vec::new(),
            differing: Vec::new(),
            compared: 0,
            different: 0,
            unread: 0,
            unanswered: 0,
            vanished: 0,
            first_unread: None,
            stopped: None,
        }
    }

    /// Takes in what searches of some time found.
    pub fn count(&mut self, begin: u64, counts: Counts) {
        let hour = self.hours.entry(begin / HOUR).or_default();
        hour.active += counts.active;
        hour.candidate += counts.candidate;
        hour.both += counts.both;
    }

    /// Takes in one old trace.
    pub fn add(&mut self, old: &Old) {
        if self.sample.len() < SAMPLE_IDS_MAX {
            self.sample.push(old.id);
        }
        let (Read::Spans(mine), Read::Spans(theirs)) = (&old.active, &old.candidate) else {
            for (read, name) in [(&old.active, &self.names.active), (&old.candidate, &self.names.candidate)] {
                let Read::Unread(unread) = read else { continue };
                self.unanswered += u64::from(!unread.answered);
                self.first_unread.get_or_insert_with(|| (old.id, name.clone(), unread.why.clone()));
            }
            self.unread += 1;
            return;
        };
        if mine.is_empty() {
            // Its retention has come: nothing to compare with.
            self.vanished += 1;
            return;
        }
        self.compared += 1;
        self.readable.push(Point { at: old.begun, id: old.id, is_there: !theirs.is_empty() });
        let Compared { differences, .. } = compare(mine, theirs, &self.rules);
        if !differences.is_empty() {
            self.different += 1;
            if self.differing.len() < IDS_MAX {
                self.differing.push(old.id);
            }
        }
        if theirs.is_empty() {
            return;
        }
        self.groups.add(old.id, &differences);
        for search in old.searches.iter().filter(|search| search.in_active) {
            let point = Point { at: old.begun, id: old.id, is_there: search.in_candidate };
            self.findable.entry(search.by.clone()).or_default().push(point);
        }
    }

    /// Reading ended before all was read, or could not begin.
    pub fn stopped(&mut self, why: Unread) {
        self.stopped = Some(why);
    }

    /// What it comes to. `sample`: how the traces were drawn, with the seed. `is_all`: whether these are all traces of that time.
    pub fn report(mut self, sample: Value, is_all: bool) -> Report {
        self.readable.sort_unstable();
        self.findable.values_mut().for_each(|points| points.sort_unstable());
        let mut findings = self.missing();
        findings.extend(self.groups.all().iter().take(FINDINGS_MAX).map(|group| self.difference(group)));
        findings.extend(self.not_found());
        findings.extend(self.hours());
        findings.extend(self.unknown(is_all));
        let is_silent = self.unanswered > 0 || self.stopped.as_ref().is_some_and(|why| !why.answered);
        let report = Report::new("history", self.line(), findings, self.facts(sample, is_all));
        if self.compared == 0 && is_silent { report.unreachable() } else { report }
    }

    fn line(&self) -> String {
        let at_most = percent(upper_share(self.different, self.compared, Confidence::P95));
        match (self.compared, self.different) {
            (0, _) => "no old trace could be compared".to_owned(),
            (n, 0) => format!(
                "{} readable and equal; at most {at_most} are not (95 %)",
                counted(n, "old trace is", "old traces are")
            ),
            (n, k) => format!(
                "{} of {} {} not as {} has them; at most {at_most} (95 %)",
                grouped(k),
                counted(n, "old trace", "old traces"),
                if k == 1 { "is" } else { "are" },
                self.names.active
            ),
        }
    }

    /// Holes, and what is missing here and there.
    fn missing(&self) -> Vec<Finding> {
        let (ranges, scattered) = in_a_row(&self.readable);
        let mut out: Vec<Finding> = ranges
            .iter()
            .map(|range| {
                let detail = format!(
                    "{} from {} of {} cannot be read in {}: a hole {}",
                    counted(range.count, "trace", "traces"),
                    range,
                    counted(self.compared, "trace drawn", "traces drawn"),
                    self.names.candidate,
                    range.bounds()
                );
                self.ranged(&rules::HOLE, range, detail)
            })
            .collect();
        if let Some(first) = scattered.first() {
            let detail = format!(
                "{} of {} cannot be read in {}, here and there",
                grouped(scattered.len() as u64),
                counted(self.compared, "trace", "traces"),
                self.names.candidate
            );
            out.push(Finding::new(&rules::TRACE_LOST).at(self.candidate().trace(first.id)).detail(detail));
        }
        out
    }

    fn not_found(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        for (by, points) in &self.findable {
            let total = points.len() as u64;
            let (ranges, scattered) = in_a_row(points);
            for range in &ranges {
                let detail = format!(
                    "{} from {} can be read in {}, and are not found by {by}: the index has a gap {}",
                    counted(range.count, "trace", "traces"),
                    range,
                    self.names.candidate,
                    range.bounds()
                );
                out.push(self.ranged(&rules::INDEX_LAGS, range, detail));
            }
            if let Some(first) = scattered.first() {
                let detail = format!(
                    "{} of {} can be read in {}, and are not found by {by}",
                    grouped(scattered.len() as u64),
                    counted(total, "trace", "traces"),
                    self.names.candidate
                );
                out.push(Finding::new(&rules::NOT_FOUND).at(self.candidate().trace(first.id)).detail(detail));
            }
        }
        out.truncate(FINDINGS_MAX);
        out
    }

    /// Hours in which the candidate's searches find fewer of the active's traces; those together that were looked at in a row.
    fn hours(&self) -> Vec<Finding> {
        let poor = |counts: &Counts| {
            counts.active >= HOUR_FEWEST && (counts.both as f64) < HOUR_SHARE * counts.active as f64
        };
        let mut runs: Vec<(u64, u64, Counts)> = Vec::new();
        let mut was_poor = false;
        for (hour, counts) in &self.hours {
            match runs.last_mut() {
                _ if !poor(counts) => {}
                Some((_, last, sum)) if was_poor => {
                    *last = *hour;
                    sum.active += counts.active;
                    sum.both += counts.both;
                }
                _ => runs.push((*hour, *hour, *counts)),
            }
            // Too few to say anything neither end a run nor begin one.
            was_poor = poor(counts) || was_poor && counts.active < HOUR_FEWEST;
        }
        let finding = |(first, last, counts): (u64, u64, Counts)| {
            let range = Range::between(first * HOUR, (last + 1) * HOUR, counts.active - counts.both);
            let detail = format!(
                "searches of {range} find {} of the {} that they find in {}",
                grouped(counts.both),
                counted(counts.active, "trace", "traces"),
                self.names.active
            );
            let place = self.candidate().component(range.to_string());
            Finding::new(&rules::FEWER_FOUND)
                .at(place)
                .detail(detail)
                .expected(grouped(counts.active))
                .seen(grouped(counts.both))
        };
        runs.into_iter().take(FINDINGS_MAX).map(finding).collect()
    }

    fn ranged(&self, rule: &'static crate::rule::Rule, range: &Range, detail: String) -> Finding {
        let mut place = self.candidate().component(range.to_string());
        place.trace_id = range.example.map(|id| id.to_string());
        Finding::new(rule).at(place).detail(detail)
    }

    fn difference(&self, group: &Group) -> Finding {
        let mut place = self.candidate();
        let mut finding = Finding::new(rules::of(group.what));
        if let Some(first) = group.operations.first() {
            place = place.component(format!("{}: {}", first.service, first.operation)).trace(first.trace);
            place.span_id = first.span.map(|id| id.to_string());
            finding = finding.expected(first.active.clone()).seen(first.candidate.clone());
        }
        let detail = format!(
            "{} of {} {} on {}",
            grouped(group.traces.into()),
            counted(self.compared, "old trace", "old traces"),
            group.predicate(),
            group.places()
        );
        finding.at(place).detail(detail)
    }

    fn unknown(&self, is_all: bool) -> Vec<Finding> {
        let mut out = Vec::new();
        let drawn = self.compared + self.unread;
        if self.compared == 0 || !is_all && self.compared < FEWEST {
            let detail = format!(
                "{} compared, {} are needed",
                counted(self.compared, "old trace was", "old traces were"),
                FEWEST
            );
            out.push(Finding::new(&rules::TOO_FEW).at(self.candidate()).detail(detail));
        }
        if let Some(why) = &self.stopped {
            out.push(Finding::new(&rules::UNREAD).at(self.candidate()).detail(why.why.clone()));
        } else if self.unread as f64 > UNREAD_MAX * drawn as f64 {
            let mut place = self.candidate();
            let mut detail = format!(
                "{} of {} could not be read",
                grouped(self.unread),
                counted(drawn, "trace", "traces")
            );
            if let Some((trace, environment, why)) = &self.first_unread {
                place = Place::environment(environment).trace(*trace);
                detail = format!("{detail}; first: {why}");
            }
            out.push(Finding::new(&rules::UNREAD).at(place).detail(detail));
        }
        out
    }

    fn candidate(&self) -> Place {
        Place::environment(&self.names.candidate)
    }

    fn facts(&self, sample: Value, is_all: bool) -> Value {
        let ids = |ids: &[TraceId]| -> Vec<String> { ids.iter().map(ToString::to_string).collect() };
        let groups: Vec<Value> = self.groups.all().iter().take(2 * FINDINGS_MAX).map(Group::facts).collect();
        let searches: BTreeMap<&String, Value> = self
            .findable
            .iter()
            .map(|(by, points)| (by, json!({ "looked_for": points.len(), "found": points.iter().filter(|p| p.is_there).count() })))
            .collect();
        let hours: Vec<Value> = self
            .hours
            .iter()
            .map(|(hour, c)| json!([ranges::hour(*hour * HOUR), c.active, c.candidate, c.both]))
            .collect();
        json!({
            "active": self.names.active,
            "candidate": self.names.candidate,
            "mode": "migrated",
            "sample": sample,
            "whole_population": is_all,
            "compared": self.compared,
            "different": self.different,
            "differ_at_most_ppm": ppm(upper_share(self.different, self.compared, Confidence::P95)),
            "unreadable_in_candidate": self.readable.iter().filter(|p| !p.is_there).count(),
            "unread": self.unread,
            "vanished_from_active": self.vanished,
            "searches": searches,
            "hours_active_candidate_both": hours,
            "differences": groups,
            "differing_traces": ids(&self.differing),
            "traces": ids(&self.sample),
        })
    }
}
