//! The history gate: what was recorded before the cut-over can still be read, found and believed.
//!
//! *Migrated* history: traces drawn at random from the whole time that is to be kept are read from both environments, compared span by
//! span ([`difference`]), and looked for in the candidate by the searches that find them in the active. What is missing in a
//! row is a hole, and told as a time range; what is readable and not found is an index that lags. Hour by hour, the traces that the same
//! searches find in both are counted; an hour of which they cannot be is told, and if it is more than one in twenty, there is no verdict.
//!
//! History that is *kept* in the active instead: it must stay readable there for as long as promised. What a search finds can be read;
//! what was recorded right before the cut-over is still there; and so is a trace of each part of the time (an hour, a day) of which an earlier look
//! of the rollout read any. The first look has nothing to be held against, and says so.
//!
//! That traces are found takes evidence: searches that have no answer, or none that finds anything in the active, are no verdict. So is what
//! could not be read, if it might be more than one trace in twenty.
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

use std::collections::{BTreeMap, BTreeSet};

use crossfade_stats::{Confidence, upper_share};
use serde_json::{Value, json};

pub use self::kept::{Kept, Parts, Promise};
use self::ranges::{Point, Range, in_a_row};
pub use self::rules::RULES;
use crate::difference::flags::Flags;
use crate::difference::groups::{Group, Groups};
use crate::difference::{Rules, compare};
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::parity::{Names, Read, Unread};
use crate::reads::{DIFFERING_IDS_MAX, Reads, SAMPLE_IDS_MAX, ids, keep, vanished};
use crate::report::Report;
use crate::rule::Severity;
use crate::words::{counted, grouped, percent, ppm};

/// Fewer traces, unless they are all there are, are no verdict: 95 % that at most 5 % differ.
const FEWEST: u64 = 59;
/// At most this share of all may be what could not be read, as surely as what was compared is equal.
const UNREAD_MAX: f64 = 0.05;
/// Of the searches of a kind, one in so many may have no answer.
const UNSEARCHED_MAX: u64 = 10;
/// Fewer traces in a time say nothing of a hole.
const HOUR_FEWEST: u64 = 5;
/// An hour with less of its traces is told.
const HOUR_SHARE: f64 = 0.95;
/// Of all hours, one in so many may be uncounted.
const UNCOUNTED_MAX: u64 = 20;
/// Times that one line names.
const RANGES_SHOWN: usize = 6;
const FINDINGS_MAX: usize = 40;
const HOUR: u64 = 3_600_000_000_000;

/// What a search for one trace in both environments came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// By what: `service`, `operation`, `` attribute `payment.id` ``.
    pub by: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a search for one trace in both environments came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both answered.
    Answered {
        /// Whether the active's search has it; if not, the search says nothing of the candidate.
        in_active: bool,
        /// Whether the candidate's has.
        in_candidate: bool,
    },
    /// There are more traces like it than a search gives: nothing is said of this one.
    Full,
    /// One of them had no answer: why.
    Unanswered(String),
}

/// Searches of one kind.
#[derive(Clone, Debug, Default)]
struct Asked {
    asked: u64,
    unanswered: u64,
    /// Why the first one had no answer.
    why: String,
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

impl Counts {
    fn add(&mut self, more: Counts) {
        self.active += more.active;
        self.candidate += more.candidate;
        self.both += more.both;
    }
}

/// Takes in old traces one by one, and keeps no span.
#[derive(Clone, Debug)]
pub struct History {
    names: Names,
    rules: Rules,
    groups: Groups,
    flags: Flags,
    readable: Vec<Point>,
    findable: BTreeMap<String, Vec<Point>>,
    asked: BTreeMap<String, Asked>,
    hours: BTreeMap<u64, Counts>,
    uncounted: BTreeSet<u64>,
    sample: Vec<TraceId>,
    differing: Vec<TraceId>,
    compared: u64,
    different: u64,
    vanished: u64,
    reads: Reads,
    /// Of no other time is anything told.
    window: (u64, u64),
}

impl History {
    /// Nothing looked at yet.
    pub fn new(names: Names, rules: Rules) -> Self {
        Self {
            names,
            rules,
            groups: Groups::default(),
            flags: Flags::default(),
            readable: Vec::new(),
            findable: BTreeMap::new(),
            asked: BTreeMap::new(),
            hours: BTreeMap::new(),
            uncounted: BTreeSet::new(),
            sample: Vec::new(),
            differing: Vec::new(),
            compared: 0,
            different: 0,
            vanished: 0,
            reads: Reads::default(),
            window: (0, u64::MAX),
        }
    }

    /// The time that is asked about, in nanoseconds since 1970: no hour that is told reaches beyond it.
    #[must_use]
    pub fn within(self, from: u64, until: u64) -> Self {
        Self { window: (from, until), ..self }
    }

    /// Hours, as far as they are asked about.
    fn hours_between(&self, first: u64, end: u64, count: u64) -> Range {
        let (from, until) = self.window;
        Range::between((first * HOUR).max(from), (end * HOUR).min(until), count)
    }

    /// Takes in what searches of some time found.
    pub fn count(&mut self, begin: u64, counts: Counts) {
        self.hours.entry(begin / HOUR).or_default().add(counts);
    }

    /// Searches of some time could not be counted: they give but a part, however short it is, or there was no time.
    pub fn uncounted(&mut self, begin: u64) {
        self.uncounted.insert(begin / HOUR);
    }

    /// Takes in one old trace.
    pub fn add(&mut self, old: &Old) {
        keep(&mut self.sample, old.id, SAMPLE_IDS_MAX);
        let names = &self.names;
        let sides = [(names.active.as_str(), &old.active), (names.candidate.as_str(), &old.candidate)];
        let Some([mine, theirs]) = self.reads.both(old.id, sides) else { return };
        if mine.is_empty() {
            // Its retention has come: nothing to compare with.
            self.vanished += 1;
            return;
        }
        self.compared += 1;
        self.readable.push(Point { at: old.begun, id: old.id, is_there: !theirs.is_empty() });
        let compared = compare(mine, theirs, &self.rules);
        self.flags.add(old.id, &compared);
        if !compared.differences.is_empty() {
            self.different += 1;
            keep(&mut self.differing, old.id, DIFFERING_IDS_MAX);
        }
        if theirs.is_empty() {
            return;
        }
        self.groups.add(old.id, &compared.differences);
        for search in &old.searches {
            self.searched(old, search);
        }
    }

    fn searched(&mut self, old: &Old, search: &Search) {
        // Attributes are many, and searched for in one way.
        let kind = search.by.split(' ').next().unwrap_or_default();
        let asked = self.asked.entry(kind.to_owned()).or_default();
        asked.asked += 1;
        match &search.outcome {
            Outcome::Answered { in_active: true, in_candidate } => {
                let point = Point { at: old.begun, id: old.id, is_there: *in_candidate };
                self.findable.entry(search.by.clone()).or_default().push(point);
            }
            Outcome::Answered { in_active: false, .. } | Outcome::Full => {}
            Outcome::Unanswered(why) => {
                if asked.unanswered == 0 {
                    asked.why.clone_from(why);
                }
                asked.unanswered += 1;
            }
        }
    }

    /// Reading ended before all was read, or could not begin.
    pub fn stopped(&mut self, why: Unread) {
        self.reads.stopped(why);
    }

    /// What it comes to. `sample`: how the traces were drawn, with the seed. `is_all`: whether these are all traces of that time.
    pub fn report(mut self, sample: Value, is_all: bool) -> Report {
        self.flags.settle(&mut self.groups, &mut self.different, &mut self.differing);
        // Of an hour, a part is enough.
        self.uncounted.retain(|hour| !self.hours.contains_key(hour));
        self.readable.sort_unstable();
        self.findable.values_mut().for_each(|points| points.sort_unstable());
        let mut findings = self.missing();
        findings.extend(self.groups.all().iter().take(FINDINGS_MAX).map(|group| self.difference(group)));
        findings.extend(self.not_found());
        findings.extend(self.hours());
        findings.extend(self.unknown(is_all));
        findings.extend(self.not_counted());
        findings.extend(self.unsearched());
        findings.extend(self.notes());
        let report = Report::new("history", self.line(), findings, self.facts(sample, is_all));
        if self.compared == 0 && self.reads.is_silent() { report.unreachable() } else { report }
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
        for (begin, end, counts) in self.telling_hours() {
            match runs.last_mut() {
                _ if !poor(&counts) => {}
                Some((_, last, sum)) if was_poor => {
                    *last = end;
                    sum.add(counts);
                }
                _ => runs.push((begin, end, counts)),
            }
            was_poor = poor(&counts);
        }
        let finding = |(first, last, counts): (u64, u64, Counts)| {
            let range = self.hours_between(first, last + 1, counts.active - counts.both);
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
                .known_by("")
        };
        runs.into_iter().take(FINDINGS_MAX).map(finding).collect()
    }

    /// Hours with enough traces to say something, by the first and the last; those with fewer, with the next ones that are such.
    fn telling_hours(&self) -> Vec<(u64, u64, Counts)> {
        let mut out = Vec::new();
        let mut few: Option<(u64, u64, Counts)> = None;
        for (hour, counts) in self.hours.iter().filter(|(_, counts)| counts.active > 0) {
            if counts.active >= HOUR_FEWEST {
                few = None;
                out.push((*hour, *hour, *counts));
                continue;
            }
            let (_, last, sum) = few.get_or_insert((*hour, *hour, Counts::default()));
            *last = *hour;
            sum.add(*counts);
            if sum.active >= HOUR_FEWEST {
                out.extend(few.take());
            }
        }
        out
    }

    /// Hours of which no search shows how many traces there are.
    fn not_counted(&self) -> Option<Finding> {
        let (count, all) =
            (self.uncounted.len() as u64, self.uncounted.len() as u64 + self.hours.len() as u64);
        let ranges = self.uncounted_ranges();
        let first = ranges.first()?;
        let shown: Vec<String> = ranges.iter().take(RANGES_SHOWN).map(ToString::to_string).collect();
        let more = if ranges.len() > RANGES_SHOWN { ", and other times" } else { "" };
        let detail = format!(
            "{} of {} not counted: {}{more}",
            grouped(count),
            counted(all, "hour was", "hours were"),
            shown.join(", ")
        );
        let finding =
            Finding::new(&rules::UNCOUNTED).at(self.candidate().component(first.to_string())).detail(detail);
        Some(if count * UNCOUNTED_MAX > all { finding.severity(Severity::Unknown) } else { finding })
    }

    fn uncounted_ranges(&self) -> Vec<Range> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for hour in &self.uncounted {
            match runs.last_mut() {
                Some((_, end)) if *end == *hour => *end += 1,
                _ => runs.push((*hour, *hour + 1)),
            }
        }
        runs.into_iter().map(|(first, end)| self.hours_between(first, end, 0)).collect()
    }

    fn ranged(&self, rule: &'static crate::rule::Rule, range: &Range, detail: String) -> Finding {
        let mut place = self.candidate().component(range.to_string());
        place.trace_id = range.example.map(|id| id.to_string());
        Finding::new(rule).at(place).detail(detail).known_by("")
    }

    fn difference(&self, group: &Group) -> Finding {
        let compared = counted(self.compared, "old trace", "old traces");
        group.finding(rules::of(group.what), self.candidate(), &compared)
    }

    fn unknown(&self, is_all: bool) -> Vec<Finding> {
        let mut out = Vec::new();
        let drawn = self.compared + self.reads.unread;
        if self.compared == 0 || !is_all && self.compared < FEWEST {
            let detail = format!(
                "{} compared, {} are needed",
                counted(self.compared, "old trace was", "old traces were"),
                FEWEST
            );
            out.push(Finding::new(&rules::TOO_FEW).at(self.candidate()).detail(detail));
        }
        let traces = (drawn, "trace", "traces");
        let is_too_much = unread_is_too_much(self.reads.unread, drawn);
        out.extend(self.reads.finding(&rules::UNREAD, self.candidate(), traces, is_too_much));
        out
    }

    fn notes(&self) -> Vec<Finding> {
        let Names { active, candidate } = &self.names;
        let drawn = self.compared + self.reads.unread + self.vanished;
        let place = Place::environment(active);
        let mut out = self.flags.not_kept(&rules::FLAGS_NOT_KEPT, [active, candidate]);
        out.extend(vanished(&rules::VANISHED, place, self.vanished, drawn, active));
        out
    }

    /// Searches without an answer; or none that shows anything.
    fn unsearched(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        let failed = |asked: &Asked| asked.unanswered * UNSEARCHED_MAX > asked.asked;
        for (kind, asked) in self.asked.iter().filter(|(_, asked)| failed(asked)) {
            let detail = format!(
                "{} of {} by {kind} had no answer; first: {}",
                grouped(asked.unanswered),
                counted(asked.asked, "search", "searches"),
                asked.why
            );
            out.push(Finding::new(&rules::UNSEARCHED).at(self.candidate()).detail(detail));
        }
        let is_there = self.readable.iter().any(|point| point.is_there);
        let is_shown = !self.findable.is_empty() || self.hours.values().any(|counts| counts.active > 0);
        if out.is_empty() && is_there && !is_shown {
            let detail = format!(
                "no search finds any of these traces in {}, so nothing shows whether {} finds them",
                self.names.active, self.names.candidate
            );
            out.push(Finding::new(&rules::UNSEARCHED).at(self.candidate()).detail(detail));
        }
        out
    }

    fn candidate(&self) -> Place {
        Place::environment(&self.names.candidate)
    }

    fn facts(&self, sample: Value, is_all: bool) -> Value {
        let searches: BTreeMap<&String, Value> = self
            .findable
            .iter()
            .map(|(by, points)| (by, json!({ "looked_for": points.len(), "found": points.iter().filter(|p| p.is_there).count() })))
            .collect();
        let unanswered: BTreeMap<&String, u64> =
            self.asked.iter().map(|(kind, asked)| (kind, asked.unanswered)).collect();
        let hours: Vec<Value> = self
            .hours
            .iter()
            .map(|(hour, c)| json!([ranges::hour(*hour * HOUR), c.active, c.candidate, c.both]))
            .collect();
        let uncounted: Vec<String> = self.uncounted_ranges().iter().map(ToString::to_string).collect();
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
            "unread": self.reads.unread,
            "vanished_from_active": self.vanished,
            "searches": searches,
            "searches_unanswered": unanswered,
            "hours_active_candidate_both": hours,
            "hours_uncounted": uncounted,
            "differences": self.groups.facts(2 * FINDINGS_MAX),
            "differing_traces": ids(&self.differing),
            "traces": ids(&self.sample),
        })
    }
}

/// Whether what could not be read may be more of all than is allowed, if none of it is as it should be.
fn unread_is_too_much(unread: u64, drawn: u64) -> bool {
    unread > 0 && upper_share(unread, drawn, Confidence::P95) > UNREAD_MAX
}
