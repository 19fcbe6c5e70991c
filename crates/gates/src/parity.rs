//! The parity gate: the same traces in both environments, compared.
//!
//! While the active receives everything, whatever the weight, each trace that the candidate owns is in both. Traces are drawn at
//! random, read by id from both and compared span by span ([`difference`]). A pair differs or it does not; the share of all
//! traces that differ is then, with the confidence wanted, at most the exact upper bound of Clopper & Pearson
//! (`crossfade_stats::bound`). That bound is held against the limit:
//!
//! - at or below it: pass; the few differences that the limit allows are told, and fail nothing;
//! - above it, and something differs, in more than the limit's share or among as many pairs as a verdict needs: fail;
//! - above it for lack of pairs: no verdict, whatever was seen.
//!
//! A pair of which one side could not be read, or was read in part, may be one that differs: it passes only what would pass if all such pairs
//! did. Nothing is known of too many traces that a search has found and neither environment gives.
//!
//! Copies of a span, word for word, are no difference of a pair, since what was not acknowledged is sent again. Where the candidate alone keeps
//! them in surely more than one in ten traces, that is a finding.
//!
//! What is in one trace too few on *both* sides no pair shows: an application that hands its trace on in a format that the next one does
//! not read starts a new trace in every environment. So the gate also learns, from the active's traces of before, which operations are
//! called by another service, and tells if in the candidate they have no caller (`boundary`).
//!
//! | module | holds |
//! |---|---|
//! | `boundary` | calls between services that no longer join two spans |
//! | `rules` | what each finding means |

mod boundary;
mod rules;
#[cfg(test)]
mod tests;

use crossfade_stats::{Confidence, pairs_needed, upper_share};
use serde_json::{Value, json};

use self::boundary::{Boundaries, Side};
pub use self::rules::RULES;
use crate::difference::flags::Flags;
use crate::difference::groups::{Group, Groups};
use crate::difference::{self, What, compare};
use crate::finding::{Finding, Place};
use crate::model::{Span, TraceId};
use crate::reads::{DIFFERING_IDS_MAX, Reads, SAMPLE_IDS_MAX, ids, keep, vanished};
use crate::report::Report;
use crate::rule::Severity;
use crate::words::{counted, grouped, percent, ppm};

/// The share of traces that may have copies for having been sent again.
const SENT_AGAIN_MAX: f64 = 0.1;

/// Findings about differences.
const FINDINGS_MAX: usize = 60;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The share of traces that may differ.
    pub differ_max: f64,
    /// How sure that has to be.
    pub confidence: Confidence,
}

/// The two environments' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Serves now.
    pub active: String,
    /// Is being rolled out.
    pub candidate: String,
}

/// What reading one trace from one environment gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// All that is stored; nothing, if the trace is not there.
    Spans(Vec<Span>),
    /// It could not be read, or only in part: why.
    Unread(Unread),
}

/// Why a trace could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In words.
    pub why: String,
    /// Whether somebody answered, and as they should.
    pub answered: bool,
}

/// Takes in pairs one by one, and keeps no span.
#[derive(Clone, Debug)]
pub struct Parity {
    names: Names,
    rules: difference::Rules,
    limits: Limits,
    groups: Groups,
    flags: Flags,
    boundaries: Boundaries,
    sample: Vec<TraceId>,
    differing: Vec<TraceId>,
    compared: u64,
    different: u64,
    vanished: u64,
    reads: Reads,
    repeated: u64,
    /// Traces of which the candidate keeps more copies.
    doubled: u64,
    clock_adjusted: u64,
    spans: u64,
}

impl Parity {
    /// Nothing compared yet.
    pub fn new(names: Names, rules: difference::Rules, limits: Limits) -> Self {
        Self {
            names,
            rules,
            limits,
            groups: Groups::default(),
            flags: Flags::default(),
            boundaries: Boundaries::default(),
            sample: Vec::new(),
            differing: Vec::new(),
            compared: 0,
            different: 0,
            vanished: 0,
            reads: Reads::default(),
            repeated: 0,
            doubled: 0,
            clock_adjusted: 0,
            spans: 0,
        }
    }

    /// Takes in a trace of the active's from before, which shows how services call each other.
    pub fn baseline(&mut self, spans: &[Span]) {
        self.boundaries.add(Side::Before, spans);
    }

    /// Takes in one trace, as both environments have it.
    pub fn add(&mut self, trace: TraceId, active: &Read, candidate: &Read) {
        keep(&mut self.sample, trace, SAMPLE_IDS_MAX);
        let sides = [(self.names.active.as_str(), active), (self.names.candidate.as_str(), candidate)];
        let Some([mine, theirs]) = self.reads.both(trace, sides) else { return };
        if mine.is_empty() && theirs.is_empty() {
            self.vanished += 1;
            return;
        }
        self.boundaries.add(Side::Active, mine);
        self.boundaries.add(Side::Candidate, theirs);
        let compared = compare(mine, theirs, &self.rules);
        self.flags.add(trace, &compared);
        self.compared += 1;
        self.spans += mine.len() as u64;
        self.repeated += u64::from(compared.repeated);
        self.doubled += u64::from(compared.is_doubled);
        self.clock_adjusted += u64::from(compared.clock_adjusted);
        if !compared.differences.is_empty() {
            self.different += 1;
            keep(&mut self.differing, trace, DIFFERING_IDS_MAX);
            self.groups.add(trace, &compared.differences);
        }
    }

    /// Reading ended before all was read, or could not begin.
    pub fn stopped(&mut self, why: Unread) {
        self.reads.stopped(why);
    }

    /// The share of all traces that differ, at most.
    pub fn bound(&self) -> f64 {
        upper_share(self.different, self.compared, self.limits.confidence)
    }

    /// The same, if all pairs that could not be read differ.
    fn bound_with_unread(&self) -> f64 {
        let unread = self.reads.unread;
        upper_share(self.different + unread, self.compared + unread, self.limits.confidence)
    }

    /// `11 of 2,995 pairs differ: 0.37 %, at most 0.61 % (95 %); allowed 0.10 %`.
    pub fn line(&self) -> String {
        let sure = format!("({} %)", self.limits.confidence.share() * 100.0);
        let allowed = percent(self.limits.differ_max);
        match (self.compared, self.different) {
            (0, _) => "no pair could be compared".to_owned(),
            (n, 0) => format!(
                "{} equal; at most {} differ {sure}, allowed {allowed}",
                counted(n, "pair is", "pairs are"),
                percent(self.bound())
            ),
            (n, k) => format!(
                "{} of {} differ: {}, at most {} {sure}; allowed {allowed}",
                grouped(k),
                counted(n, "pair", "pairs"),
                percent(k as f64 / n as f64),
                percent(self.bound())
            ),
        }
    }

    /// What it comes to. `sample`: how the traces were drawn, with the seed.
    pub fn report(mut self, sample: Value) -> Report {
        self.flags.settle(&mut self.groups, &mut self.different, &mut self.differing);
        let standing = self.standing();
        let mut findings = self.differences(standing);
        findings.extend(self.boundaries.findings(&self.names));
        findings.extend(self.unknown(standing));
        findings.extend(self.notes());
        let report = Report::new("parity", self.line(), findings, self.facts(sample));
        // Nobody answered, and nothing is known for that reason alone.
        if self.compared == 0 && self.reads.is_silent() { report.unreachable() } else { report }
    }

    fn standing(&self) -> Standing {
        let needed = self.needed();
        let share = self.different as f64 / self.compared.max(1) as f64;
        if self.compared > 0 && self.bound() <= self.limits.differ_max {
            if self.bound_with_unread() <= self.limits.differ_max {
                Standing::Within
            } else {
                Standing::Unread
            }
        } else if self.different > 0
            && (share > self.limits.differ_max || needed.is_none_or(|n| self.compared >= n))
        {
            Standing::Beyond
        } else {
            Standing::TooFew
        }
    }

    /// How many equal pairs a pass takes.
    fn needed(&self) -> Option<u64> {
        pairs_needed(0, self.limits.differ_max, self.limits.confidence)
    }

    fn differences(&self, standing: Standing) -> Vec<Finding> {
        let groups = self.groups.all();
        let mut out: Vec<Finding> = groups.iter().take(FINDINGS_MAX).map(|g| self.difference(g)).collect();
        let left_out = groups.len().saturating_sub(FINDINGS_MAX);
        if left_out > 0 || self.groups.left_out() > 0 {
            let detail = format!("{left_out} further kinds of difference are in the facts only");
            out.push(Finding::new(&rules::MORE).at(self.candidate()).detail(detail));
        }
        if standing == Standing::Beyond {
            return out;
        }
        // A difference weighs what its rule says, if there are more than the limit allows.
        let allowed = percent(self.limits.differ_max);
        let lowered = |finding: Finding| {
            let (rules, detail) = (finding.severity.word(), finding.detail.clone());
            finding.severity(Severity::Note).detail(format!("{detail}; above {allowed} of all it is {rules}"))
        };
        out.into_iter().map(lowered).collect()
    }

    fn difference(&self, group: &Group) -> Finding {
        let compared = counted(self.compared, "trace", "traces");
        group.finding(rules::of(group.what), self.candidate(), &compared)
    }

    fn unknown(&self, standing: Standing) -> Vec<Finding> {
        let mut out = Vec::new();
        if standing == Standing::TooFew {
            let detail = match self.needed() {
                Some(needed) => format!(
                    "{} compared; a verdict on {} needs {} that are equal",
                    counted(self.compared, "pair", "pairs"),
                    percent(self.limits.differ_max),
                    grouped(needed)
                ),
                None => "no number of pairs shows that nothing differs: allow a share above 0".to_owned(),
            };
            out.push(Finding::new(&rules::TOO_FEW).at(self.candidate()).detail(detail));
        }
        let pairs = (self.drawn(), "pair", "pairs");
        let unread = match standing {
            Standing::TooFew => self.reads.unread > 0,
            Standing::Unread => true,
            Standing::Within | Standing::Beyond => false,
        };
        out.extend(self.reads.finding(&rules::UNREAD, self.candidate(), pairs, unread));
        out
    }

    fn notes(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        if self.clock_adjusted > 0 {
            let detail = format!("{} have adjusted clocks", counted(self.clock_adjusted, "span", "spans"));
            out.push(Finding::new(&rules::CLOCK_ADJUSTED).at(self.candidate()).detail(detail));
        }
        if self.repeated > 0 && self.is_doubled() {
            let detail = format!(
                "{} keeps more copies of spans than {} in {} of {}",
                self.names.candidate,
                self.names.active,
                grouped(self.doubled),
                counted(self.compared, "trace", "traces")
            );
            out.push(Finding::new(&rules::DOUBLED).at(self.candidate()).detail(detail));
        } else if self.repeated > 0 {
            let detail = format!("{} stored more than once", counted(self.repeated, "span is", "spans are"));
            out.push(Finding::new(&rules::REPEATED).at(self.candidate()).detail(detail));
        }
        let names = [self.names.active.as_str(), &self.names.candidate];
        out.extend(self.flags.not_kept(&rules::FLAGS_NOT_KEPT, names));
        let neither = "neither environment";
        out.extend(vanished(&rules::VANISHED, self.candidate(), self.vanished, self.drawn(), neither));
        out
    }

    /// Whether the candidate surely keeps more copies in more traces than are sent again now and then.
    fn is_doubled(&self) -> bool {
        let single = self.compared.saturating_sub(self.doubled);
        1.0 - upper_share(single, self.compared, self.limits.confidence) > SENT_AGAIN_MAX
    }

    fn drawn(&self) -> u64 {
        self.compared + self.reads.unread + self.vanished
    }

    fn candidate(&self) -> Place {
        Place::environment(&self.names.candidate)
    }

    fn facts(&self, sample: Value) -> Value {
        json!({
            "active": self.names.active,
            "candidate": self.names.candidate,
            "sample": sample,
            "compared": self.compared,
            "different": self.different,
            "differ_at_most_ppm": ppm(self.bound()),
            "differ_max_ppm": ppm(self.limits.differ_max),
            "confidence_ppm": ppm(self.limits.confidence.share()),
            "pairs_needed": self.needed(),
            "spans": self.spans,
            "unread": self.reads.unread,
            "vanished": self.vanished,
            "repeated_spans": self.repeated,
            "doubled_traces": self.doubled,
            "clock_adjusted_spans": self.clock_adjusted,
            "ignored_attributes": self.rules.ignore,
            "differences": self.groups.facts(2 * FINDINGS_MAX),
            "differing_traces": ids(&self.differing),
            "traces": ids(&self.sample),
        })
    }
}

/// Where the bound stands to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Within,
    Beyond,
    TooFew,
    /// Within, and what could not be read may be what differs.
    Unread,
}

/// How many pairs show, if all are equal, that at most the limit's share differs.
pub fn pairs_for(limits: Limits) -> Option<u64> {
    pairs_needed(0, limits.differ_max, limits.confidence)
}

/// Whether a finding says that pairs were too few for a verdict.
pub fn is_too_few(finding: &Finding) -> bool {
    finding.id == rules::TOO_FEW.id
}

/// Whether a difference means that waiting may mend it: something is not there yet.
pub fn may_arrive(what: What) -> bool {
    use What::{
        AttributeMissing, EventMissing, LinkMissing, SpanExtra, SpanMissing, TraceBroken, TraceExtra,
        TraceMissing,
    };
    matches!(
        what,
        TraceMissing
            | TraceExtra
            | TraceBroken
            | SpanMissing
            | SpanExtra
            | AttributeMissing
            | EventMissing
            | LinkMissing
    )
}
