//! Where one span goes, why, and what may be shed of it first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::destinations::Destinations;
use crate::schedule::{Schedule, Stage};
use crate::weight::{Fraction, Share, Weight};

/// What keeps the candidate's spans safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// The side that answers receives everything, whatever the weight; the other its share beside it.
    Copy,
    /// Each span only where the rule wants it: the base of a holdback. Not safe by itself against a failing candidate.
    Split,
}

/// Why a span goes where it goes: why the rule wants both sides, if it does; else what widened its one side; else `Owner`.
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

/// How a schedule widens what the rule demands: by stage, mirror and protection. A superset is always safe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widening {
    /// Who receives everything, whatever the weight.
    always: Destinations,
    mirror: Share,
    /// What the candidate owns under some known cut. Everything where there is no candidate, or it has been promoted:
    /// whatever the cuts, `from` owns the traces that started before them.
    owned: Share,
}

impl Widening {
    pub(crate) fn new(schedule: &Schedule, protection: Protection) -> Widening {
        let always = match (schedule.stage(), protection) {
            (Stage::Single {} | Stage::Fenced {}, _) | (_, Protection::Split) => Destinations::NONE,
            (Stage::Candidate {}, Protection::Copy) => Destinations::FROM,
            (Stage::Promoted { mirror_back: true }, Protection::Copy) => Destinations::BOTH,
            (Stage::Promoted { mirror_back: false }, Protection::Copy) => Destinations::TO,
        };
        let candidate = matches!(schedule.stage(), Stage::Candidate {});
        let owned = if candidate { schedule.weight() } else { Weight::FULL };
        Widening { always, mirror: schedule.mirror().share(), owned: owned.share() }
    }

    /// A span that no weight and no mirror is asked for.
    #[inline]
    pub(crate) fn of_no_trace(&self, rule: Destinations, reason: Reason) -> Decision {
        Decision { rule, set: rule | self.always, reason, spare: Destinations::NONE }
    }

    /// A span of a trace at `u`.
    #[inline]
    pub(crate) fn of_trace(&self, u: Fraction, rule: Destinations, reason: Reason) -> Decision {
        let mirrored = self.mirror.contains(u);
        let set = rule | self.always | Destinations::TO.only_if(mirrored);
        let spare = reason == Reason::UntrustedClock && !mirrored && !self.owned.contains(u);
        let reason = match reason {
            Reason::Owner if set == rule => Reason::Owner,
            Reason::Owner if mirrored && rule == Destinations::FROM => Reason::Mirror,
            Reason::Owner => Reason::Protection,
            other => other,
        };
        Decision { rule, set, reason, spare: Destinations::TO.only_if(spare) }
    }
}
