//! Where one span goes, why, and what may be shed of it first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::destinations::Destinations;
use crate::schedule::{Schedule, Stage};
use crate::weight::Fraction;

/// What keeps the candidate's spans safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// The side that answers receives everything, whatever the weight; the other its share beside it.
    Copy,
    /// Each span only where the rule wants it: the base of a holdback. Not safe by itself against a failing candidate.
    Split,
}

/// Why a span goes where it goes: the first of these that holds, in this order from `InvalidTraceId` down, except
/// that `Mirror` and `Protection` name what widened a set that the rule alone would have left at one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The rule wants one side, and that is where it goes.
    Owner,
    /// Its trace may have started on either side of a cut.
    Straddles,
    /// The schedule may move on before its trace started.
    Edge,
    /// Its times are not to be believed.
    UntrustedClock,
    /// It belongs to no trace.
    InvalidTraceId,
    /// There is one environment.
    NoCandidate,
    /// Copied to the candidate, which does not own it.
    Mirror,
    /// Copied to the side that does not own it, so that the rollout can go back.
    Protection,
}

impl Reason {
    pub const ALL: [Reason; 8] = [
        Reason::Owner,
        Reason::Straddles,
        Reason::Edge,
        Reason::UntrustedClock,
        Reason::InvalidTraceId,
        Reason::NoCandidate,
        Reason::Mirror,
        Reason::Protection,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Owner => "owner",
            Reason::Straddles => "straddles",
            Reason::Edge => "edge",
            Reason::UntrustedClock => "untrusted_clock",
            Reason::InvalidTraceId => "invalid_trace_id",
            Reason::NoCandidate => "no_candidate",
            Reason::Mirror => "mirror",
            Reason::Protection => "protection",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one span goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the rule itself demands: the owner is in it.
    pub rule: Destinations,
    /// What is sent: `rule`, widened by mirror, stage and protection.
    pub set: Destinations,
    pub reason: Reason,
    /// The part of `set` that is there only because a clock is untrusted, on a side that owns the trace under no known
    /// cut: under pressure the first to be shed. A subset of the side that does not answer.
    pub spare: Destinations,
}

/// Widens what the rule demands by stage, mirror and protection. A superset is always safe.
pub(crate) fn widen(
    schedule: &Schedule,
    protection: Protection,
    u: Fraction,
    (rule, reason): (Destinations, Reason),
) -> Decision {
    let traced = !matches!(reason, Reason::InvalidTraceId | Reason::NoCandidate);
    let mirrored = traced && schedule.mirror().contains(u);
    let protected = match (schedule.stage(), protection) {
        (Stage::Single {} | Stage::Fenced {}, _) | (_, Protection::Split) => Destinations::NONE,
        (Stage::Candidate {}, Protection::Copy) => Destinations::FROM,
        (Stage::Promoted { mirror_back: true }, Protection::Copy) => Destinations::BOTH,
        (Stage::Promoted { mirror_back: false }, Protection::Copy) => Destinations::TO,
    };
    let wide = protected | Destinations::TO.only_if(mirrored);
    let set = rule | wide;
    let reason = match reason {
        Reason::Owner if set == rule => Reason::Owner,
        Reason::Owner if mirrored && rule == Destinations::FROM => Reason::Mirror,
        Reason::Owner => Reason::Protection,
        other => other,
    };
    let untrusted = reason == Reason::UntrustedClock;
    let spare = spare_side(schedule, u).only_if(untrusted && !mirrored);
    Decision { rule, set, reason, spare }
}

/// The side that no known cut makes the owner of a trace at `u`. Only the candidate can be such a side: whatever the
/// cuts, `from` owns the traces that started before them.
fn spare_side(schedule: &Schedule, u: Fraction) -> Destinations {
    let candidate = matches!(schedule.stage(), Stage::Candidate {});
    Destinations::TO.only_if(candidate && !schedule.weight().contains(u))
}
