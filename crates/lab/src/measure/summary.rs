//! The line that a story ends with, and what makes it a failure.

use super::findings::{Expected, Found, Must};
use super::{Measurement, Ratio, RolloutFacts};
use crate::environment::Observed;
use crossfade_routing::UnixNanos;
use serde::Serialize;
use std::fmt;

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The candidate is the active environment now.
    Promoted,
    /// The former active is.
    RolledBack,
    /// The former active still is: the candidate never owned a trace.
    Stopped,
}

/// Who or what rolled it back: the word of the log's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The analysis.
    Verdict,
    /// A gateway's breaker.
    Fence,
    /// A gate.
    Gate,
    /// Its operator.
    Command,
    /// Configurations that changed.
    Snapshots,
}

/// The candidate's share of the spans at one weight. Both are fractions of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GreenShare {
    /// What it should receive; of a mirror, the mirrored share.
    pub weight: f64,
    /// What it received, outside the windows of the cuts.
    pub share: f64,
}

/// What the audit log's own checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFacts {
    /// Entries of the log.
    pub entries: u64,
    /// Whether it verified.
    pub verified: bool,
    /// Where it lies.
    pub dir: String,
}

/// The last line of a story; its fields in this order are its JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    event: &'static str,
    /// Name of the scenario.
    pub story: String,
    /// How the rollout ended, if it did.
    pub outcome: Option<Outcome>,
    /// Traces that were sent.
    pub traces: u64,
    /// Traces that the candidate owned by the cuts.
    pub green_owned: u64,
    /// Traces that were under way at a cut.
    pub straddling: u64,
    /// Traces not whole in their owner.
    pub torn: u64,
    /// What a split by request would have torn of the same traffic.
    pub torn_by_request_split: u64,
    /// Spans that were sent.
    pub spans_sent: u64,
    /// Spans that neither environment has.
    pub spans_lost: u64,
    /// Share of spans whose clock could not be trusted, as a fraction of 1.
    pub untrusted_share: f64,
    /// The candidate's share of the spans, by weight.
    pub green_share: Vec<GreenShare>,
    /// What it was rolled back for, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// From the first refusal to the verdict.
    pub detect_ms: Option<u64>,
    /// From the verdict to the last byte that the candidate received.
    pub fence_ms: Option<u64>,
    /// The sum of both.
    pub rollback_ms: Option<u64>,
    /// Entries of the audit log.
    pub log_entries: u64,
    /// Whether the audit log verified.
    pub log_verified: bool,
    /// Where the audit log lies.
    pub log_dir: String,
    /// What gates held against the candidate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Found>,
}

/// A weight's share is given only if so many spans started outside the windows. They are some 160 traces, whose share
/// strays by 3.4 points (one standard deviation, at 25 %): the 10 points that are allowed are three of these.
const SHARE_SPANS_MIN: u64 = 1_000;
const TRACES_MIN: u64 = 500;
/// A rollout that is stopped at once is over within seconds.
const TRACES_MIN_STOPPED: u64 = 100;
const STRADDLING_MIN: u64 = 50;
const UNTRUSTED_MAX: f64 = 0.05;
const SHARE_EXCESS_MAX: f64 = 0.10;

/// Why a story did not show what it is told for.
#[derive(Debug, Clone, PartialEq)]
pub enum Flaw {
    /// It ended otherwise than it should, or not at all.
    Outcome {
        /// How it did.
        ended: Option<Outcome>,
        /// How it should.
        expected: Outcome,
    },
    /// So many traces are torn.
    Torn(u64),
    /// So many spans are lost.
    Lost(u64),
    /// The log does not verify.
    LogNotVerified,
    /// Too few traces to show anything.
    FewTraces(u64),
    /// Too few traces straddle a cut.
    FewStraddling(u64),
    /// Too many spans went to both sides for their clocks alone.
    Untrusted(f64),
    /// The candidate received far more than its weight.
    Excess(GreenShare),
    /// No partial weight lasted long enough to be measured outside the windows of its cuts.
    NoShare,
    /// It was rolled back, and the times are not known.
    NotTimed,
    /// It was rolled back, and not by the analysis.
    Cause(Option<Cause>),
    /// It was stopped, and the candidate owned traces.
    Owned(u64),
    /// A finding that it is told for is not there.
    Missing(Must),
    /// Something failed that was not to.
    Unexpected(Found),
}

impl Summary {
    /// Puts a story's figures together. `candidate` is what the candidate environment observed, `findings` what gates held
    /// against it.
    pub fn new(
        story: &str,
        found: &Measurement,
        facts: &RolloutFacts,
        candidate: &Observed,
        log: LogFacts,
        findings: Vec<Found>,
    ) -> Summary {
        let measured = found.green_share.iter().filter(|(_, share)| share.whole >= SHARE_SPANS_MIN);
        let untrusted = Ratio { part: found.spans_untrusted, whole: found.spans_sent };
        let detect_ms = facts.verdict.zip(candidate.first_refusal).and_then(|(to, from)| millis(from, to));
        // Nothing after the verdict at all is a fence that took no time.
        let fence_ms = facts
            .verdict
            .map(|verdict| candidate.last_byte.and_then(|last_byte| millis(verdict, last_byte)).unwrap_or(0));
        Summary {
            event: "summary",
            story: story.into(),
            outcome: facts.outcome,
            traces: found.traces,
            green_owned: found.green_owned,
            straddling: found.straddling,
            torn: found.torn,
            torn_by_request_split: found.torn_by_request_split,
            spans_sent: found.spans_sent,
            spans_lost: found.spans_lost,
            untrusted_share: rounded(untrusted.value()),
            green_share: measured
                .map(|(weight, share)| GreenShare {
                    weight: f64::from(weight.ppm()) / 1e6,
                    share: rounded(share.value()),
                })
                .collect(),
            cause: facts.cause,
            detect_ms,
            fence_ms,
            rollback_ms: detect_ms.zip(fence_ms).map(|(detect, fence)| detect + fence),
            log_entries: log.entries,
            log_verified: log.verified,
            log_dir: log.dir,
            findings,
        }
    }

    /// Everything that makes the story a failure; empty if it is told as it should be. `began` is when its stage was set.
    pub fn flaws(&self, expected: &Expected, began: UnixNanos) -> Vec<Flaw> {
        let unless = |is_good: bool, flaw: Flaw| (!is_good).then_some(flaw);
        let partial = |share: &&GreenShare| share.weight > 0.0 && share.weight < 1.0;
        let outcome = expected.outcome();
        let is_timed = self.rollback_ms.is_some() || outcome != Outcome::RolledBack;
        let is_by_analysis = self.outcome != Some(Outcome::RolledBack) || self.cause == Some(Cause::Verdict);
        // What is stopped before the switch has no cut to show anything of.
        let is_stopped = outcome == Outcome::Stopped;
        let traces_min = if is_stopped { TRACES_MIN_STOPPED } else { TRACES_MIN };
        let mut flaws: Vec<Flaw> = [
            unless(self.outcome == Some(outcome), Flaw::Outcome { ended: self.outcome, expected: outcome }),
            unless(self.torn == 0, Flaw::Torn(self.torn)),
            unless(self.spans_lost == 0, Flaw::Lost(self.spans_lost)),
            unless(self.log_verified, Flaw::LogNotVerified),
            unless(self.traces >= traces_min, Flaw::FewTraces(self.traces)),
            unless(is_stopped || self.straddling >= STRADDLING_MIN, Flaw::FewStraddling(self.straddling)),
            unless(
                is_stopped || self.untrusted_share <= UNTRUSTED_MAX,
                Flaw::Untrusted(self.untrusted_share),
            ),
            unless(is_stopped || self.green_share.iter().find(partial).is_some(), Flaw::NoShare),
            unless(is_timed, Flaw::NotTimed),
            unless(is_by_analysis, Flaw::Cause(self.cause)),
            unless(!is_stopped || self.green_owned == 0, Flaw::Owned(self.green_owned)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let is_excess = |green: &&GreenShare| !is_stopped && green.share > green.weight + SHARE_EXCESS_MAX;
        let excessive = self.green_share.iter().filter(is_excess);
        flaws.extend(excessive.map(|green| Flaw::Excess(*green)));
        flaws.extend(expected.missing(&self.findings, began).map(Flaw::Missing));
        flaws.extend(expected.unexpected(&self.findings, began).cloned().map(Flaw::Unexpected));
        flaws
    }
}

impl Outcome {
    fn words(self) -> &'static str {
        match self {
            Outcome::Promoted => "promoted",
            Outcome::RolledBack => "rolled back",
            Outcome::Stopped => "stopped before the switch",
        }
    }
}

impl Cause {
    fn words(cause: Option<Cause>) -> &'static str {
        match cause {
            Some(Cause::Verdict) => "the analysis",
            Some(Cause::Fence) => "a gateway's breaker",
            Some(Cause::Gate) => "a gate",
            Some(Cause::Command) => "its operator",
            Some(Cause::Snapshots) => "a changed configuration",
            None => "nobody",
        }
    }
}

impl Flaw {
    /// Whether nothing is wrong but that clocks were not trusted, which a machine that is too busy does by itself: what a gateway does not
    /// trust goes to both sides, and the candidate then has more than its share.
    pub fn are_of_clocks(flaws: &[Flaw]) -> bool {
        let is_of_clocks = |flaw: &Flaw| matches!(flaw, Flaw::Untrusted(_) | Flaw::Excess(_));
        flaws.iter().any(|flaw| matches!(flaw, Flaw::Untrusted(_))) && flaws.iter().all(is_of_clocks)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Outcome { ended, expected } => {
                let ended = ended.map_or("neither promoted nor rolled back", Outcome::words);
                write!(f, "{ended}, and should have been {}", expected.words())
            }
            Flaw::Torn(traces) => write!(f, "{traces} traces are not whole in their owner"),
            Flaw::Lost(spans) => write!(f, "{spans} spans are in neither environment"),
            Flaw::LogNotVerified => write!(f, "the audit log does not verify"),
            Flaw::FewTraces(traces) => {
                write!(f, "only {traces} traces, which are too few to show anything")
            }
            Flaw::FewStraddling(traces) => {
                write!(f, "only {traces} traces straddle a cut; {STRADDLING_MIN} are needed to show anything")
            }
            Flaw::Untrusted(share) => {
                write!(f, "the clocks of {} of the spans were not trusted; 5 % are allowed", percent(*share))
            }
            Flaw::Excess(green) => {
                let (weight, share) = (percent(green.weight), percent(green.share));
                write!(
                    f,
                    "green received {share} of the spans at weight {weight}; 10 points more are allowed"
                )
            }
            Flaw::NoShare => write!(f, "no partial weight lasted longer than the windows of its cuts"),
            Flaw::NotTimed => write!(f, "rolled back, but not after a refusal"),
            Flaw::Cause(cause) => {
                write!(f, "rolled back by {}, and should have been by the analysis", Cause::words(*cause))
            }
            Flaw::Owned(traces) => write!(f, "green owned {traces} traces"),
            Flaw::Missing(must) => write!(f, "not found: {must}"),
            Flaw::Unexpected(Found { gate, finding, place, detail, .. }) => {
                write!(f, "found, and not expected: {finding} of {gate}: {place}: {detail}")
            }
        }
    }
}

fn millis(from: UnixNanos, to: UnixNanos) -> Option<u64> {
    to.since(from).map(|passed| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

/// To parts per million: more digits would be noise.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
