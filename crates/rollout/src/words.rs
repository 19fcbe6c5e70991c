//! Events and waits in one line each, for people: what `rollout status` waits for, why a rollout ended, and the stories of tests.

use std::fmt;
use std::time::Duration;

use crossfade_routing::sync::{FenceCause, LedgerRow};
use crossfade_routing::{GatewayId, Stage, UnixNanos};

use crate::ending::commanded;
use crate::event::{
    AbortReason, Alert, Event, Gate, GenerationCause, Outcome, PauseCause, RollbackReason, StepEnd,
};
use crate::observed::Waiting;
use crate::rfc3339;
use crate::spec::{Moment, Step};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis { origin, active, .. } => write!(f, "log {origin} begins; {active} is active"),
            Self::ControlStarted { version, reads_unknown_since, .. } => {
                write!(f, "control plane {version} started")?;
                match reads_unknown_since {
                    Some(since) => {
                        write!(
                            f,
                            "; the one before did not stop: reads since {} are unknown",
                            rfc3339::format(*since)
                        )
                    }
                    None => Ok(()),
                }
            }
            Self::ControlStopped { .. } => f.write_str("control plane stopped"),
            Self::GatewayRostered { gateway, .. } => write!(f, "gateway {gateway} joins the fleet"),
            Self::GatewayStruck { gateway, reason, .. } => write!(f, "gateway {gateway} struck: {reason}"),
            Self::GatewayBooted { gateway, boot, .. } => write!(f, "gateway {gateway} booted as {boot}"),
            Self::HorizonWatermark { until, .. } => write!(f, "horizons up to {}", clock(*until)),
            Self::AccessDenied { call, why, .. } => write!(f, "denied {call}: {why}"),
            Self::ReadsCounted { actor, count, .. } => write!(f, "{actor} read {count} times in an hour"),
            Self::AlertRaised { alert, detail, .. } => write!(f, "ALERT {alert}: {detail}"),
            Self::AlertCleared { alert, .. } => write!(f, "alert cleared: {alert}"),
            Self::EmergencyMerged { entries, .. } => {
                write!(f, "{entries} entries from the emergency file follow")
            }
            Self::StateRecorded { .. } => f.write_str("digest of the state"),
            _ => rollout_event(self, f),
        }
    }
}

fn rollout_event(event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        Event::RolloutDrafted { rollout, outline, .. } => {
            write!(f, "{rollout}: {} -> {} drafted, {} steps", outline.from, outline.to, outline.steps.len())
        }
        Event::PreflightStarted { .. } => f.write_str("preflight"),
        Event::GateStarted { gate, run, step, .. } => {
            write!(f, "gate {gate} looks{}{}", in_step(*step), again(*run))
        }
        Event::GateFinished { gate, run, step, outcome, summary, .. } => {
            write!(f, "gate {gate}{}{}: {outcome}: {summary}", in_step(*step), again(*run))
        }
        Event::PreflightPassed { .. } => f.write_str("preflight passed"),
        Event::ApprovalNotRequired { why, .. } => write!(f, "approval not required: {why}"),
        Event::GenerationIssued { schedule, why, .. } => {
            write!(f, "generation {} issued: {why}", schedule.generation())?;
            match schedule.stage() {
                Stage::Candidate {} if *why == GenerationCause::Mirror => write!(f, " {}", schedule.mirror()),
                _ => Ok(()),
            }
        }
        Event::GenerationAcknowledged { generation, gateways, .. } => {
            write!(f, "generation {generation} acknowledged by {}", list(gateways))
        }
        Event::SnapshotsRetaken { changed, .. } if changed.is_empty() => {
            f.write_str("configurations unchanged")
        }
        Event::SnapshotsRetaken { changed, .. } => {
            write!(f, "configurations CHANGED: {}", changed.join(", "))
        }
        Event::CutAnnounced { weight, attempt, .. } => {
            write!(f, "cut to {weight} announced{}", again(*attempt))
        }
        Event::CutCommitted { schedule, .. } => {
            write!(f, "cut to {} committed as generation {}", schedule.weight(), schedule.generation())
        }
        _ => step_event(event, f),
    }
}

fn step_event(event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        Event::StepStarted { step, .. } => write!(f, "step {} begins", number(*step)),
        Event::AnalysisRecorded { gateway, counts, .. } => write!(
            f,
            "counts of {gateway}: active {} requests, {} failed; candidate {}, {}",
            counts.from.requests, counts.from.failed, counts.to.requests, counts.to.failed
        ),
        Event::AnalysisResumed { gateway, from, until, .. } => {
            write!(f, "counts of {gateway} go on after a gap of {}", span(*from, *until))
        }
        Event::WindowPassed { .. } => f.write_str("the window of the last cut has passed"),
        Event::ProbeRecorded { round, traces: 0, .. } => write!(f, "probe round {round}: nobody answered"),
        Event::ProbeRecorded { round, traces, failed, .. } => {
            write!(f, "probe round {round}: {failed} of {traces} traces not read back")
        }
        Event::VerdictReached { outcome, why, .. } => write!(f, "verdict {outcome}: {why}"),
        Event::StepEnded { step, how, .. } => write!(f, "step {} {how}", number(*step)),
        Event::Paused { by, .. } => write!(f, "paused by {by}"),
        Event::Resumed { .. } => f.write_str("resumed"),
        Event::PromoteRequested { full: true, .. } => f.write_str("promote, skipping all waits"),
        Event::PromoteRequested { full: false, .. } => f.write_str("promote: leave this step early"),
        Event::Promoted { generation, .. } => write!(f, "PROMOTED with generation {generation}"),
        Event::BakeStarted { mirror_back, .. } if *mirror_back => f.write_str("bake, mirroring back"),
        Event::BakeStarted { .. } => f.write_str("bake, without mirroring back"),
        Event::FinalizeStarted { .. } => f.write_str("finalizing: no way back from here"),
        Event::Finalized { active, .. } => write!(f, "FINALIZED: {active} is active"),
        Event::Fenced { gateway, fence, .. } => match &fence.cause {
            FenceCause::Command { actor } => write!(f, "gateway {gateway} has fenced, by {actor}"),
            FenceCause::Breaker { detail } => {
                write!(f, "gateway {gateway} has fenced, its breaker: {detail}")
            }
            FenceCause::Verdict {} => write!(f, "gateway {gateway} has fenced, by a verdict"),
        },
        Event::RollbackStarted { reason, lossless, .. } => {
            write!(
                f,
                "ROLLBACK: {reason}{}",
                if *lossless { "" } else { "; spans since promotion stay behind" }
            )
        }
        Event::RolledBack { .. } => f.write_str("ROLLED BACK"),
        Event::AbortStarted { reason, .. } => write!(f, "ABORT: {reason}"),
        Event::Aborted { .. } => f.write_str("ABORTED"),
        Event::LedgerNoted { gateway, boot, .. } => write!(f, "accounts of {gateway} ({boot})"),
        Event::LedgerClosed { gateway, boot, rows, balanced, .. } => {
            let received: u64 = rows.iter().map(|row| row.received).sum();
            let balance = if *balanced { "balanced" } else { "NOT BALANCED" };
            write!(f, "accounts of {gateway} ({boot}) closed: {received} spans, {balance}")
        }
        Event::LedgerGapDeclared { gateway, boot, last_known, from, until, .. } => {
            let queued: u64 = last_known.iter().map(|row: &LedgerRow| row.queued).sum();
            let gap = span(*from, *until);
            write!(f, "accounts of {gateway} ({boot}) end in a gap of {gap}, {queued} spans last seen queued")
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis {} => f.write_str("the log is empty: run `crossfade init`"),
            Self::Rollout {} => f.write_str("no rollout runs"),
            Self::Gateway {} => f.write_str("no gateway has reported yet"),
            Self::Log { detail } => write!(f, "the log takes no entries ({detail}): no shift, no promotion"),
            Self::Gate { gate, .. } => write!(f, "gate {gate} is looking"),
            Self::Acknowledgements { generation, gateways } => {
                write!(f, "{} to acknowledge generation {generation}", list(gateways))
            }
            Self::Horizon { gateways, until } => {
                write!(f, "{} is silent; its horizon passes at {}", list(gateways), clock(*until))
            }
            Self::CutAcknowledgements { gateways, .. } if gateways.is_empty() => {
                f.write_str("the cut to be announced")
            }
            Self::CutAcknowledgements { gateways, .. } => {
                write!(f, "{} to acknowledge the cut", list(gateways))
            }
            Self::CutInstant { cut_at } => write!(f, "the cut at {}", clock(*cut_at)),
            Self::Clock {} => f.write_str("a gateway's clock to be set right, before a cut is announced"),
            Self::Snapshots {} => f.write_str("the configurations to be digested again"),
            Self::StepTime { step, left_ms, .. } => {
                write!(f, "{} left of step {}", duration(Duration::from_millis(*left_ms)), number(*step))
            }
            Self::Requests { have, need } => write!(f, "the candidate's requests: {have} of {need}"),
            Self::Verdict { why, until } => write!(f, "a verdict until {}: {why}", clock(*until)),
            Self::Probe { round } => write!(f, "probe round {round}"),
            Self::Resume { by } => write!(f, "`rollout resume`: paused by {by}"),
            Self::Promote {} => f.write_str("`rollout promote`: this pause ends by hand"),
            Self::CutSettles { until } => {
                write!(f, "traces that began around the last cut: they are over at {}", clock(*until))
            }
            Self::Fences { gateways } => write!(f, "{} to confirm the fence", list(gateways)),
            Self::Ledgers { gateways, until } => {
                write!(f, "closing accounts of {}; a gap is declared at {}", list(gateways), clock(*until))
            }
            Self::Schedule { why } => write!(f, "routing refuses the next schedule: {why}"),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NoVerdict => "NO VERDICT",
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogUnwritable => "the log cannot be written",
            Self::LedgerUnbalanced => "a ledger does not balance",
            Self::BothFailing => "both environments fail",
            Self::ClockOff => "a gateway's clock is off: no cut is announced until it is set right",
        })
    }
}

impl fmt::Display for GenerationCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Genesis => "the active environment alone",
            Self::CandidateNamed => "the candidate is named",
            Self::Mirror => "mirror",
            Self::Promotion => "the candidate answers",
            Self::Finalize => "the candidate alone",
            Self::Abort => "the candidate is let go",
            Self::Fence => "everything to the former active",
            Self::RolledBack => "the former active alone",
            Self::ControlRestarted => "the same again, after a restart",
        })
    }
}

impl fmt::Display for StepEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elapsed => "done",
            Self::PromotedEarly => "left early",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
        })
    }
}

impl fmt::Display for PauseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command {} => f.write_str("command"),
            Self::Gate { gate } => write!(f, "gate {gate}, which did not pass"),
            Self::Snapshots {} => f.write_str("configurations that changed since the plan"),
            Self::Analysis {} => f.write_str("the analysis, which failed"),
        }
    }
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { actor, why } => f.write_str(&commanded(actor.as_str(), why)),
            Self::Verdict { why } => write!(f, "the analysis: {why}"),
            Self::Fence { gateway, why } => write!(f, "gateway {gateway} has fenced, {why}"),
            Self::Snapshots { changed } => write!(f, "changed since the plan: {}", changed.join(", ")),
            Self::Gate { gate, outcome } => write!(f, "gate {gate}: {outcome}"),
        }
    }
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { why } if why.trim().is_empty() => f.write_str("by command, no reason given"),
            Self::Command { why } => write!(f, "by command: {why}"),
            Self::Gate { gate, outcome } => write!(f, "gate {gate}: {outcome}"),
            Self::Snapshots { changed } => write!(f, "changed since the plan: {}", changed.join(", ")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror { percent, .. } => write!(f, "mirror {percent}"),
            Self::Weight { percent, .. } => write!(f, "weight {percent}"),
            Self::Pause { .. } => f.write_str("pause"),
            Self::Promote {} => f.write_str("promote"),
            Self::Bake { .. } => f.write_str("bake"),
            Self::Finalize {} => f.write_str("finalize"),
        }
    }
}

/// People count from 1.
fn number(step: u32) -> u64 {
    u64::from(step) + 1
}

fn in_step(step: Option<u32>) -> String {
    step.map_or_else(String::new, |step| format!(" in step {}", number(step)))
}

fn again(attempt: u32) -> String {
    if attempt > 1 { format!(", attempt {attempt}") } else { String::new() }
}

fn list(gateways: &[GatewayId]) -> String {
    let names: Vec<&str> = gateways.iter().map(GatewayId::as_str).collect();
    names.join(", ")
}

/// The time of day, to the second: the day is known from the entry.
fn clock(time: UnixNanos) -> String {
    if time == UnixNanos::MAX {
        return "never".to_owned();
    }
    rfc3339::format(time).get(11..19).unwrap_or_default().to_owned()
}

fn span(from: UnixNanos, until: UnixNanos) -> String {
    duration(until.since(from).unwrap_or_default())
}

/// To the second: `18m`, `1h02m`, `42s`, below a second `300ms`.
pub(crate) fn duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{secs}s"),
        60..3600 if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
    }
}
