//! History that is not migrated, and must stay readable where it is.

use serde_json::{Value, json};

use super::ranges::{Point, in_a_row};
use super::{FEWEST, FINDINGS_MAX, rules, unread_is_too_much};
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::parity::{Read, Unread};
use crate::reads::{Reads, SAMPLE_IDS_MAX, ids, keep};
use crate::report::Report;
use crate::words::{counted, grouped, time};

/// What was promised. Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
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
    sample: Vec<TraceId>,
    /// Traces that began right before the cut-over.
    recent: u64,
    reads: Reads,
}

impl Kept {
    /// Nothing looked at yet.
    pub fn new(environment: &str, promise: Promise) -> Self {
        Self {
            environment: environment.to_owned(),
            promise,
            points: Vec::new(),
            sample: Vec::new(),
            recent: 0,
            reads: Reads::default(),
        }
    }

    /// How many traces a search found that began right before the cut-over.
    pub fn recent(&mut self, found: u64) {
        self.recent += found;
    }

    /// Takes in a trace that a search found, as it was read. `begun`: when it began, or was looked for.
    pub fn add(&mut self, id: TraceId, begun: u64, read: &Read) {
        keep(&mut self.sample, id, SAMPLE_IDS_MAX);
        if let Some(spans) = self.reads.one(id, &self.environment, read) {
            self.points.push(Point { at: begun, id, is_there: !spans.is_empty() });
        }
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

    /// Whether what was recorded last before the cut-over is gone, which by age is what goes last.
    fn too_short(&self) -> Option<Finding> {
        let is_over = self.promise.now >= self.promise.until || self.promise.now <= self.promise.cut_over;
        if self.recent > 0 || is_over || self.reads.is_stopped() {
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
            "unread": self.reads.unread,
            "traces": ids(&self.sample),
        })
    }
}
