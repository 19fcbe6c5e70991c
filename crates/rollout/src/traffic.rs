//! Whether the traffic that there is suffices for the verdicts that a plan wants.
//!
//! A step without enough requests has no verdict, and without one for too long the rollout goes back. That is known
//! before it begins, if the rate is. It is an estimate, and so a warning: the candidate hears of a request if any of its traces
//! belongs to the share, so that requests of many traces give it more than is said here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assess::latency_requests_min;
use crate::event::StepIndex;
use crate::plan::Outline;
use crate::spec::{Moment, Step};
use crate::units::text64;

/// Requests of clients, as the gateways counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many of the fleet,
    #[serde(with = "text64")]
    pub requests: u64,
    /// within so many milliseconds.
    pub over_ms: u32,
    /// Spans in these requests, as the ledgers say.
    #[serde(default, with = "text64")]
    pub spans: u64,
}

impl Rate {
    /// Spans a second.
    pub fn spans_per_second(self) -> u64 {
        let rate = u128::from(self.spans) * 1_000 / u128::from(self.over_ms.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// What is to be expected within `time` of a share.
    fn within(self, time: Duration, share_ppm: u32) -> u64 {
        self.expected(self.requests, time, share_ppm)
    }

    /// The same for spans.
    fn spans_within(self, time: Duration, share_ppm: u32) -> u64 {
        self.expected(self.spans, time, share_ppm)
    }

    fn expected(self, seen: u64, time: Duration, share_ppm: u32) -> u64 {
        let (seen, over) = (u128::from(seen), u128::from(self.over_ms.max(1)));
        let expected = seen.saturating_mul(time.as_millis()).saturating_mul(share_ppm.into());
        u64::try_from(expected / over / 1_000_000).unwrap_or(u64::MAX)
    }

    /// How long `requests` of a share take to come; `None` if they never do.
    fn time_for(self, requests: u64, share_ppm: u32) -> Option<Duration> {
        let needed = u128::from(requests).saturating_mul(self.over_ms.into()).saturating_mul(1_000_000);
        let millis = needed.checked_div(u128::from(self.requests) * u128::from(share_ppm))?;
        Some(Duration::from_secs(u64::try_from(millis.div_ceil(1_000)).ok()?))
    }
}

impl fmt::Display for Rate {
    /// `12.5 requests/s`, to the tenth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = u128::from(self.requests) * 10_000 / u128::from(self.over_ms.max(1));
        write!(f, "{}.{} requests/s", tenths / 10, tenths % 10)
    }
}

/// Whose requests are too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    Active,
    Candidate,
}

/// A step that cannot expect its verdict in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub step: StepIndex,
    /// `weight 5 %`.
    pub name: String,
    pub arm: Arm,
    /// Requests that are to be expected within the step's duration.
    pub expected: u64,
    /// Requests that a verdict needs.
    pub needed: u64,
    /// How long these take to come; `None` if there is no traffic at all.
    pub takes: Option<Duration>,
    /// Not even the time for which a missing verdict is borne is enough: the rollout goes back.
    pub goes_back: bool,
}

/// What to tell people of it, a line each; nothing, if there is enough of it.
#[must_use]
pub fn warnings(outline: &Outline, rate: Rate) -> Vec<String> {
    let short = shortfalls(outline, rate);
    if rate.requests == 0 && !short.is_empty() {
        let steps = short.len();
        return vec![format!(
            "no request came in: none of {steps} steps would have a verdict; start it when there is traffic"
        )];
    }
    short.iter().map(ToString::to_string).collect()
}

/// Every step whose verdict cannot be expected within its duration, in order, and what it waits for the longest.
#[must_use]
pub fn shortfalls(outline: &Outline, rate: Rate) -> Vec<Shortfall> {
    let analysis = &outline.analysis;
    let candidate = u64::from(analysis.min_requests);
    let active = latency_requests_min(outline);
    let mut found = Vec::new();
    for (index, step) in (0..).zip(&outline.steps) {
        let (share, duration) = match step {
            Step::Mirror { percent, duration } | Step::Weight { percent, duration } => {
                (percent.ppm(), duration.0)
            }
            Step::Bake { duration, mirror_back: true } => (ALL, duration.0),
            // A pause ends without a verdict, and a bake without a copy has nothing to compare with.
            Step::Bake { .. } | Step::Pause { .. } | Step::Promote {} | Step::Finalize {} => continue,
        };
        let arms = [(Arm::Candidate, share, candidate), (Arm::Active, ALL, active)];
        let short = arms.into_iter().filter_map(|(arm, share, needed)| {
            let expected = rate.within(duration, share);
            (expected < needed).then(|| (arm, expected, needed, rate.time_for(needed, share)))
        });
        // Of two, the one that is waited for longer; for ever is the longest.
        let longest = short.max_by_key(|(.., takes)| takes.unwrap_or(Duration::MAX));
        if let Some((arm, expected, needed, takes)) = longest {
            let patience = duration.saturating_add(analysis.no_verdict_max.0);
            let goes_back = takes.is_none_or(|takes| takes > patience);
            found.push(Shortfall {
                step: index,
                name: step.to_string(),
                arm,
                expected,
                needed,
                takes,
                goes_back,
            });
        }
    }
    found
}

/// What is assumed of a trace: more than most have, so that rather too little is expected than too much.
pub const SPANS_PER_TRACE: u64 = 30;

/// What a step brings the candidate, by an estimate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brings {
    pub step: StepIndex,
    /// `weight 5 %`.
    pub name: String,
    /// Traces that it has whole.
    pub traces: u64,
}

/// Of the steps of a moment, the one that brings the fewest traces until it is over; those of the last `settle` do not count, nor
/// those that begin around a cut. `None` if no step is of it.
#[must_use]
pub fn leanest(
    steps: &[Step],
    window: Duration,
    moment: Moment,
    rate: Rate,
    settle: Duration,
) -> Option<Brings> {
    let brings = |(step, kind): (StepIndex, &Step)| {
        let (of, percent, length) = match kind {
            Step::Mirror { percent, duration } => (Moment::Mirror, percent, duration.0),
            Step::Weight { percent, duration } => {
                (Moment::Weight, percent, duration.0.saturating_sub(window))
            }
            Step::Pause { .. } | Step::Promote {} | Step::Bake { .. } | Step::Finalize {} => return None,
        };
        let length = length.saturating_sub(settle);
        let traces = rate.spans_within(length, percent.ppm()) / SPANS_PER_TRACE;
        (of == moment).then(|| Brings { step, name: kind.to_string(), traces })
    };
    (0..).zip(steps).filter_map(brings).min_by_key(|brings| brings.traces)
}

/// Everything, in parts per million.
const ALL: u32 = 1_000_000;

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, name, arm, expected, needed, takes, goes_back } = self;
        let (whose, key) = match arm {
            Arm::Candidate => ("the candidate (one trace in each)", "analysis.min_requests"),
            Arm::Active => ("the active (for its latency)", "the quantile of export_latency"),
        };
        let number = u64::from(*step) + 1;
        write!(
            f,
            "step {number} ({name}): about {expected} of {needed} requests of {whose} that a verdict needs; "
        )?;
        f.write_str(if *goes_back { "it may go back for want of one: " } else { "it may take longer: " })?;
        match takes {
            Some(takes) => {
                write!(
                    f,
                    "make it {} long, raise its percent, or lower {key}",
                    crate::words::duration(*takes)
                )
            }
            None => f.write_str("start it when there is traffic"),
        }
    }
}

#[cfg(test)]
mod tests;
