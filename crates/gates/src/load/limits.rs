//! What is asked of an environment under load.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::measured::Counts;

/// Limits, and how far the generator may be off.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// All of these, in the ramp and while holding.
    pub objectives: Vec<Objective>,
    /// By how much of the active environment's latency the candidate's may be longer; `None`: by any.
    pub worse_max: Option<f64>,
    /// The share of spans that may be refused, unanswered or unsent, in each phase.
    pub errors_max: f64,
}

/// A latency that a share of the requests must not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Of all, from 0 to 1; 1 means every one.
    pub share: f64,
    /// The latency.
    pub within: Duration,
}

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectiveError {
    /// Nothing like it.
    #[error("`{0}` is no objective: write it like p99=250ms, or max=2s")]
    Form(String),
    /// No such quantile.
    #[error("`{0}` is no quantile: write p50 to p99.999, or max")]
    Quantile(String),
    /// No such duration.
    #[error("`{0}` is no latency: write it like 250ms or 2s")]
    Latency(String),
}

/// A difference of less is not held against the candidate, whatever its share: timers are no truer.
pub(super) const NOISE: Duration = Duration::from_millis(5);
/// How late the generator may be, however long the objective.
const LAG_MIN: Duration = Duration::from_millis(10);
/// How much of an objective may be the generator's own lag.
const LAG_SHARE: u32 = 5;
/// A thread that is busier has no time left to be punctual.
const BUSY_MAX: f64 = 0.95;

impl Limits {
    /// The 99th percentile within so long; no error; no comparison.
    pub fn new(p99: Duration) -> Self {
        Self { objectives: vec![Objective { share: 0.99, within: p99 }], worse_max: None, errors_max: 0.0 }
    }

    /// The first objective that these requests missed, and by what.
    pub(super) fn missed(&self, counts: &Counts) -> Option<(Objective, Duration)> {
        self.objectives.iter().find_map(|objective| {
            let took = counts.latency.quantile(objective.share)?;
            (took > objective.within).then_some((*objective, took))
        })
    }

    /// Whether more spans failed than may.
    pub(super) fn fails(&self, counts: &Counts) -> bool {
        counts.error_share() > self.errors_max
    }

    /// Why what was measured in a phase is the generator's doing, if it is.
    pub(super) fn undriven(&self, counts: &Counts) -> Option<String> {
        let lag = counts.lag.quantile(0.99).unwrap_or_default();
        let tightest = self.objectives.iter().map(|objective| objective.within).min();
        let allowed = tightest.map_or(LAG_MIN, |within| within / LAG_SHARE).max(LAG_MIN);
        if lag > allowed {
            return Some(format!("one request in a hundred was sent {lag:?} late or later"));
        }
        let busy = counts.busy.filter(|busy| *busy > BUSY_MAX)?;
        let suffers = counts.held > 0 || self.missed(counts).is_some();
        suffers.then(|| format!("its thread was busy for {:.0} % of the time", busy * 100.0))
    }

    /// Whether nothing is held against the environment in a phase.
    pub(super) fn met(&self, counts: &Counts) -> bool {
        counts.requests > 0
            && self.missed(counts).is_none()
            && !self.fails(counts)
            && self.undriven(counts).is_none()
    }
}

impl Objective {
    /// So few requests say something about it.
    pub(super) fn requests_min(&self) -> u64 {
        if self.share >= 1.0 { 1 } else { (1.0 / (1.0 - self.share)).round() as u64 }
    }

    /// `p99`, `max`.
    pub fn name(&self) -> String {
        if self.share >= 1.0 {
            return "max".to_owned();
        }
        let percent = format!("{:.3}", self.share * 100.0);
        format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name(), self.within)
    }
}

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let (name, latency) = text.split_once('=').ok_or_else(|| ObjectiveError::Form(text.to_owned()))?;
        let unknown = || ObjectiveError::Quantile(name.to_owned());
        let share = if name == "max" {
            1.0
        } else {
            let percent: f64 = name.strip_prefix('p').and_then(|n| n.parse().ok()).ok_or_else(unknown)?;
            percent / 100.0
        };
        let known = name == "max" || (0.01..=0.999_99).contains(&share);
        let within: crossfade_yaml::Duration =
            latency.parse().map_err(|_| ObjectiveError::Latency(latency.to_owned()))?;
        if !known {
            return Err(unknown());
        }
        if within.0.is_zero() {
            return Err(ObjectiveError::Latency(latency.to_owned()));
        }
        Ok(Self { share, within: within.0 })
    }
}
