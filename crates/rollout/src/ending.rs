//! How a rollout ends, and why, in one line for people: what status pages and `rollout watch` show.

use std::fmt;

use crossfade_routing::sync::FenceCause;
use serde::{Deserialize, Serialize};

use crate::event::{AbortReason, Gate, Outcome, RollbackReason};
use crate::state::{Phase, Rollout};
use crate::units::{Actor, text64};

/// The end of a rollout, known from the moment that it is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    pub kind: EndingKind,
    /// What set it off.
    pub cause: EndingCause,
    /// The cause in words, with its numbers.
    pub reason: String,
    /// The entry of the log that says it; `None` while it waits for a log that takes nothing.
    pub entry: Option<EntryNumber>,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingKind {
    Finalized,
    RolledBack,
    Aborted,
}

/// What set it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingCause {
    /// Every step is over.
    Done,
    /// Somebody asked for it.
    Command,
    /// The analysis failed.
    Verdict,
    /// A gateway fenced by itself.
    Fence,
    /// Configurations changed since the plan.
    Snapshots,
    /// A gate did not pass.
    Gate,
}

/// The number of a log's entry; JSON holds it as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryNumber(#[serde(with = "text64")] pub u64);

impl fmt::Display for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for EndingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finalized => "finalized",
            Self::RolledBack => "rolled back",
            Self::Aborted => "aborted",
        })
    }
}

impl Ending {
    /// The end of this rollout; `None` while it goes on. `said`: who wrote the entry that decided it, and its number.
    pub fn of(rollout: &Rollout, said: Option<(&Actor, Option<EntryNumber>)>) -> Option<Self> {
        let entry = said.and_then(|(_, entry)| entry);
        let by = said.map(|(actor, _)| actor);
        let (kind, cause, reason) = match (rollout.phase, &rollout.rollback, &rollout.abort) {
            (Phase::RollingBack | Phase::RolledBack, Some(reason), _) => {
                (EndingKind::RolledBack, cause_of(reason), rolled_back(rollout, reason))
            }
            (Phase::Aborting | Phase::Aborted, _, Some(reason)) => {
                let (cause, words) = aborted(rollout, reason, by);
                (EndingKind::Aborted, cause, words)
            }
            (Phase::Finalizing | Phase::Finalized, ..) => {
                let words = format!("every step is over, and {} is let go", rollout.outline.from);
                (EndingKind::Finalized, EndingCause::Done, words)
            }
            _ => return None,
        };
        Some(Self { kind, cause, reason, entry })
    }
}

fn cause_of(reason: &RollbackReason) -> EndingCause {
    match reason {
        RollbackReason::Command { .. } => EndingCause::Command,
        RollbackReason::Verdict { .. } => EndingCause::Verdict,
        RollbackReason::Fence { .. } => EndingCause::Fence,
        RollbackReason::Snapshots { .. } => EndingCause::Snapshots,
        RollbackReason::Gate { .. } => EndingCause::Gate,
    }
}

fn rolled_back(rollout: &Rollout, reason: &RollbackReason) -> String {
    match reason {
        // The fence itself says more than the entry that followed from it.
        RollbackReason::Fence { gateway, why } => match rollout.fences.get(gateway).map(|fence| &fence.cause)
        {
            Some(FenceCause::Command { actor }) => format!("fence of gateway {gateway}, by {actor}"),
            Some(FenceCause::Breaker { detail }) => {
                format!("fence of gateway {gateway}, its breaker: {detail}")
            }
            Some(FenceCause::Verdict {}) | None => format!("fence of gateway {gateway}, {why}"),
        },
        RollbackReason::Gate { gate, outcome } => gate_said(rollout, *gate, *outcome),
        other => other.to_string(),
    }
}

/// What a gate found when it ended the rollout.
fn gate_said(rollout: &Rollout, gate: Gate, outcome: Outcome) -> String {
    let last = rollout.step_gates.values().rev().chain([&rollout.gates]).find_map(|gates| gates.get(&gate));
    let found = last.map(|run| run.summary.as_str()).unwrap_or_default();
    let said = match outcome {
        Outcome::NoVerdict => "has no verdict",
        Outcome::Fail | Outcome::Pass => "failed",
    };
    let colon = if found.is_empty() { "" } else { ": " };
    format!("gate {gate} {said}{colon}{found}")
}

fn aborted(rollout: &Rollout, reason: &AbortReason, by: Option<&Actor>) -> (EndingCause, String) {
    match reason {
        AbortReason::Command { why } => {
            let by = by.map_or_else(|| "somebody".to_owned(), ToString::to_string);
            (EndingCause::Command, commanded(&by, why))
        }
        AbortReason::Gate { gate, outcome } => (EndingCause::Gate, gate_said(rollout, *gate, *outcome)),
        AbortReason::Snapshots { .. } => (EndingCause::Snapshots, reason.to_string()),
    }
}

/// `operator:07: second thoughts`; a reason is not asked for.
pub(crate) fn commanded(by: &str, why: &str) -> String {
    if why.trim().is_empty() { format!("by {by}, who gave no reason") } else { format!("by {by}: {why}") }
}
