//! History that is not migrated, and must stay readable where it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ranges::{Point, Range, in_a_row};
use super::{FEWEST, FINDINGS_MAX, rules, unread_is_too_much};
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::parity::{Read, Unread};
use crate::reads::{Reads, SAMPLE_IDS_MAX, ids, keep};
use crate::report::Report;
use crate::words::{counted, grouped, time};

const SECOND: u64 = 1_000_000_000;
const DAY_SECS: u64 = 86_400;
/// How long a part of the time is: the first that leaves few enough of them.
const PART_SECS: [u64; 3] = [3_600, DAY_SECS, 30 * DAY_SECS];
const PARTS_MAX: u64 = 100;

/// How many traces could be read from each part of the time, by the second since 1970 in which it begins. A store that has forgotten traces
/// has forgotten that it had any; a look of before has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    secs: u64,
    found: BTreeMap<u64, u64>,
}

impl Parts {
    /// Of so long a time, in nanoseconds.
    fn of(reach: u64) -> Self {
        let fits = |secs: &&u64| reach / (**secs * SECOND) <= PARTS_MAX;
        let secs = PART_SECS.iter().find(fits).or(PART_SECS.last()).copied().unwrap_or(DAY_SECS);
        Self { secs, found: BTreeMap::new() }
    }

    /// What a report says of them; `None` if it says nothing.
    pub fn read(report: &Value) -> Option<Self> {
        let parts = &report["facts"]["parts"];
        let found = parts["found"].as_object()?.iter();
        let found = found.map(|(begin, count)| Some((begin.parse().ok()?, count.as_u64()?)));
        Some(Self {
            secs: parts["secs"].as_u64().filter(|secs| *secs > 0)?,
            found: found.collect::<Option<_>>()?,
        })
    }

    fn add(&mut self, at: u64, count: u64) {
        *self.found.entry(self.begin(at)).or_default() += count;
    }

    fn begin(&self, at: u64) -> u64 {
        at / SECOND / self.secs * self.secs
    }

    fn has(&self, begin: u64) -> bool {
        self.found.get(&begin).is_some_and(|count| *count > 0)
    }

    fn facts(&self) -> Value {
        let found: BTreeMap<String, u64> =
            self.found.iter().map(|(begin, n)| (begin.to_string(), *n)).collect();
        json!({ "secs": self.secs, "found": found })
    }
}

/// What was promised. Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// When the time begins that is looked at.
    pub from: u64,
    /// When the candidate took over.
    pub cut_over: u64,
    /// Until when everything from before stays readable.
    pub until: u64,
    /// The time of this look.
    pub now: u64,
}

/// Takes in old traces of the environment that keeps them.
#[derive(Clone, Debug)]
pub struct Kept {
    environment: String,
    promise: Promise,
    points: Vec<Point>,
    /// What could be read from each part, now and at an earlier look.
    parts: Parts,
    earlier: Option<Parts>,
    /// Parts of which an earlier look found traces, and a search nothing any more.
    gone: Vec<u64>,
    sample: Vec<TraceId>,
    /// Traces that began right before the cut-over, where that is known.
    recent: Option<u64>,
    reads: Reads,
}

impl Kept {
    /// Nothing looked at yet. `earlier`: what an earlier look found.
    pub fn new(environment: &str, promise: Promise, earlier: Option<Parts>) -> Self {
        let reach = promise.cut_over.saturating_sub(promise.from);
        let own = |earlier: &Parts| Parts { secs: earlier.secs, found: BTreeMap::new() };
        Self {
            environment: environment.to_owned(),
            promise,
            points: Vec::new(),
            parts: earlier.as_ref().map_or_else(|| Parts::of(reach), own),
            earlier,
            gone: Vec::new(),
            sample: Vec::new(),
            recent: None,
            reads: Reads::default(),
        }
    }

    /// How many traces a search found that began right before the cut-over.
    pub fn recent(&mut self, found: u64) {
        self.recent = Some(found);
    }

    /// Takes in a trace that a search found, as it was read. `begun`: when it began, or was looked for.
    pub fn add(&mut self, id: TraceId, begun: u64, read: &Read) {
        keep(&mut self.sample, id, SAMPLE_IDS_MAX);
        if let Some(spans) = self.reads.one(id, &self.environment, read) {
            self.points.push(Point { at: begun, id, is_there: !spans.is_empty() });
            self.parts.add(begun, u64::from(!spans.is_empty()));
        }
    }

    /// The parts of which an earlier look found traces, and this one has read none so far: from and until when to search for any.
    pub fn unseen(&self) -> Vec<(u64, u64)> {
        let earlier = self.earlier.iter().filter(|_| !self.is_over());
        let begins = earlier.flat_map(|earlier| earlier.found.keys().filter(|begin| earlier.has(**begin)));
        let ends = |begin: u64| (begin.saturating_add(self.parts.secs)).saturating_mul(SECOND);
        begins
            .filter(|begin| !self.parts.has(**begin))
            .map(|begin| (begin.saturating_mul(SECOND), ends(*begin).min(self.promise.cut_over)))
            .filter(|(from, until)| from < until)
            .collect()
    }

    /// Whether a search found any trace in a part that was unseen.
    pub fn searched(&mut self, from: u64, is_found: bool) {
        match is_found {
            true => self.parts.add(from, 1),
            false => self.gone.push(self.parts.begin(from)),
        }
    }

    fn is_over(&self) -> bool {
        self.promise.now >= self.promise.until
    }

    /// Reading ended before all was read, or could not begin.
    pub fn stopped(&mut self, why: Unread) {
        self.reads.stopped(why);
    }

    /// What it comes to.
    pub fn report(mut self, sample: Value, is_all: bool) -> Report {
        self.points.sort_unstable();
        let read = self.points.iter().filter(|p| p.is_there).count() as u64;
        let is_known = !self.points.is_empty();
        let mut findings = self.lost();
        findings.extend(self.gone());
        findings.extend(self.too_short());
        findings.extend(self.unknown(is_all));
        let line = format!(
            "{} of {} can be read in {}, which keeps them until {}",
            grouped(read),
            counted(self.points.len() as u64, "old trace", "old traces"),
            self.environment,
            time(self.promise.until)
        );
        let report = Report::new("history", line, findings, self.facts(sample, is_all));
        if !is_known && self.reads.is_silent() { report.unreachable() } else { report }
    }

    fn lost(&self) -> Vec<Finding> {
        let (ranges, scattered) = in_a_row(&self.points);
        let mut out: Vec<Finding> = Vec::new();
        for range in ranges.iter().take(FINDINGS_MAX) {
            let mut place = self.place().component(range.to_string());
            place.trace_id = range.example.map(|id| id.to_string());
            let count = counted(range.count, "trace", "traces");
            let detail = format!("{count} from {range} cannot be read any more: {}", range.bounds());
            out.push(Finding::new(&rules::NOT_KEPT).at(place).detail(detail).known_by(""));
        }
        if let Some(first) = scattered.first() {
            let count = counted(scattered.len() as u64, "trace", "traces");
            let detail = format!("{count} that a search finds cannot be read, here and there");
            out.push(Finding::new(&rules::NOT_KEPT).at(self.place().trace(first.id)).detail(detail));
        }
        out
    }

    /// What an earlier look found and none can any more; without an earlier one, that this does not show.
    fn gone(&self) -> Vec<Finding> {
        if self.is_over() {
            return Vec::new();
        }
        let Some(earlier) = &self.earlier else {
            let had = self.parts.found.values().filter(|count| **count > 0).count() as u64;
            let detail = format!(
                "no earlier look of this rollout is known, so what was deleted before this one does not show; of {}, {} had traces, which later \
                 looks are held against",
                counted(
                    self.promise.cut_over.saturating_sub(self.promise.from) / (self.parts.secs * SECOND),
                    "part of the time",
                    "parts of the time"
                ),
                grouped(had)
            );
            return vec![Finding::new(&rules::KEPT_NOT_COMPARED).at(self.place()).detail(detail)];
        };
        let mut out = Vec::new();
        for row in self.gone.chunk_by(|one, next| one + self.parts.secs == *next).take(FINDINGS_MAX) {
            let (Some(first), Some(last)) = (row.first(), row.last()) else { continue };
            let count = row.iter().filter_map(|begin| earlier.found.get(begin)).sum();
            let end = (last + self.parts.secs).saturating_mul(SECOND).min(self.promise.cut_over);
            let range = Range::between(first.saturating_mul(SECOND), end, count);
            let detail = format!(
                "an earlier look read {} from {range}, and a search finds none of that time any more",
                counted(count, "trace", "traces")
            );
            let place = self.place().component(range.to_string());
            out.push(
                Finding::new(&rules::KEPT_GONE).at(place).detail(detail).expected(time(self.promise.until)),
            );
        }
        out
    }

    /// What later looks are held against: whatever any look has found.
    fn known(&self) -> Value {
        let mut known = self.parts.clone();
        for (begin, count) in self.earlier.iter().flat_map(|earlier| &earlier.found) {
            let own = known.found.entry(*begin).or_default();
            *own = (*own).max(*count);
        }
        known.facts()
    }

    /// Whether what was recorded last before the cut-over is gone, which by age is what goes last. Once that is known, it counts, whatever
    /// ends the reading later.
    fn too_short(&self) -> Option<Finding> {
        let is_over = self.is_over() || self.promise.now <= self.promise.cut_over;
        if self.recent != Some(0) || is_over {
            return None;
        }
        let detail = format!(
            "no trace from right before {} is left, and {} days of the promise are",
            time(self.promise.cut_over),
            (self.promise.until - self.promise.now) / 86_400_000_000_000
        );
        Some(
            Finding::new(&rules::KEPT_TOO_SHORT)
                .at(self.place())
                .detail(detail)
                .expected(time(self.promise.until)),
        )
    }

    fn unknown(&self, is_all: bool) -> Vec<Finding> {
        let mut out = Vec::new();
        let count = self.points.len() as u64;
        if count == 0 || !is_all && count < FEWEST {
            let detail = format!(
                "{} looked at, {FEWEST} are needed",
                counted(count, "old trace was", "old traces were")
            );
            out.push(Finding::new(&rules::TOO_FEW).at(self.place()).detail(detail));
        }
        let drawn = count + self.reads.unread;
        let is_too_much = unread_is_too_much(self.reads.unread, drawn);
        out.extend(self.reads.finding(&rules::UNREAD, self.place(), (drawn, "trace", "traces"), is_too_much));
        out
    }

    fn place(&self) -> Place {
        Place::environment(&self.environment)
    }

    fn facts(&self, sample: Value, is_all: bool) -> Value {
        let oldest = self.points.iter().find(|p| p.is_there).map(|p| time(p.at));
        json!({
            "environment": self.environment,
            "mode": "kept",
            "cut_over": time(self.promise.cut_over),
            "promised_until": time(self.promise.until),
            "sample": sample,
            "whole_population": is_all,
            "looked_at": self.points.len(),
            "readable": self.points.iter().filter(|p| p.is_there).count(),
            "found_right_before_cut_over": self.recent,
            "oldest_readable": oldest,
            "parts": self.known(),
            "unread": self.reads.unread,
            "traces": ids(&self.sample),
        })
    }
}
