//! Worlds in which one clause is taken out: of the rule, of the protocol, or of what a gateway must keep.

use crate::rule::{Rule, Times};
use crate::{UnixNanos, Window};

/// What is taken out of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: the rule and the protocol as they are.
    Nothing,

    // Clauses of the rule.
    /// 0 <= a - e
    TrustLowerBound,
    /// a - e <= skew - gamma
    TrustUpperBound,
    /// ... - gamma
    TrustGamma,
    /// A start or end of zero: both.
    ZeroTimes,
    /// An end before its start: both.
    EndBeforeStart,
    /// s + skew >= E: both.
    EdgeRule,
    /// ... + skew
    EdgeSkew,
    /// s - overlap ...
    Overlap,
    /// ... - skew
    SkewBefore,
    /// s + skew
    SkewAfter,

    // Clauses of the protocol.
    /// The edge is the announced cut or nothing.
    Horizon,
    /// The edge is the horizon alone.
    Announcement,
    /// A cut is committed as soon as it is announced.
    Acknowledgements,
    /// The receipt of an acknowledgement may lie up to the cut itself.
    CommitGamma,
    /// A cut may lie before the receipts.
    CommitBeforeCut,
    /// The first cut does not wait for those who do not know the candidate.
    CandidateKnown,
    /// Horizons are granted beyond what is durable, and forgotten in a crash.
    Watermark,

    // What the gateway must keep.
    /// It acknowledges what it has not written to disk.
    SaveBeforeAck,
    /// It acknowledges before its threads have taken the new router.
    RouteBeforeAck,
    /// It reads the arrival from the clock before the request is in.
    ArrivalAfterLastByte,
    /// It takes the router before the request is in.
    RouterAfterLastByte,
}

impl Missing {
    /// Every clause. Taking out any one must tear a trace.
    pub(crate) const EACH: [Missing; 21] = [
        Missing::TrustLowerBound,
        Missing::TrustUpperBound,
        Missing::TrustGamma,
        Missing::ZeroTimes,
        Missing::EndBeforeStart,
        Missing::EdgeRule,
        Missing::EdgeSkew,
        Missing::Overlap,
        Missing::SkewBefore,
        Missing::SkewAfter,
        Missing::Horizon,
        Missing::Announcement,
        Missing::Acknowledgements,
        Missing::CommitGamma,
        Missing::CommitBeforeCut,
        Missing::CandidateKnown,
        Missing::Watermark,
        Missing::SaveBeforeAck,
        Missing::RouteBeforeAck,
        Missing::ArrivalAfterLastByte,
        Missing::RouterAfterLastByte,
    ];
}

/// The rule without one of its clauses; with all of them, if another thing is missing.
impl Rule for Missing {
    fn well_formed(&self, Times { start, end, .. }: Times) -> bool {
        let zero = start == UnixNanos::ZERO || end == UnixNanos::ZERO;
        let inverted = end < start && !zero;
        (*self == Missing::ZeroTimes || !zero) && (*self == Missing::EndBeforeStart || !inverted)
    }

    fn not_early(&self, Times { end, arrival, .. }: Times) -> bool {
        *self == Missing::TrustLowerBound || arrival >= end
    }

    fn not_late(&self, Times { end, arrival, .. }: Times, window: &Window) -> bool {
        let limit = match self {
            Missing::TrustUpperBound => return true,
            Missing::TrustGamma => window.skew(),
            _ => window.skew() - window.gamma(),
        };
        arrival.since(end).is_none_or(|age| age <= limit)
    }

    fn may_move_on(&self, Times { start, .. }: Times, window: &Window, edge: UnixNanos) -> bool {
        match self {
            Missing::EdgeRule => false,
            Missing::EdgeSkew => start >= edge,
            _ => start.plus(window.skew()) >= edge,
        }
    }

    fn earliest_root(&self, Times { start, .. }: Times, window: &Window) -> UnixNanos {
        match self {
            Missing::Overlap => start.minus(window.skew()),
            Missing::SkewBefore => start.minus(window.overlap()),
            _ => start.minus(window.overlap()).minus(window.skew()),
        }
    }

    fn latest_root(&self, Times { start, .. }: Times, window: &Window) -> UnixNanos {
        if *self == Missing::SkewAfter { start } else { start.plus(window.skew()) }
    }
}
