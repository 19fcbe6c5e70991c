//! Commands to events.

use crossfade_routing::{GatewayId, UnixNanos};

use crate::command::{Command, Rejection};
use crate::event::{AbortReason, Event, PauseCause, RollbackReason};
use crate::plan::{EnvironmentFacts, Environments, PLAN_VERSION, Plan};
use crate::spec::check_outline;
use crate::state::{Phase, Rollout, STATE_VERSION, State};
use crate::units::{Actor, Digest, RolloutId, Snapshots, brief};

/// What a command makes happen, or why not. Pure: nothing has happened until the events are durable.
///
/// # Errors
/// A [`Rejection`] says why the command is refused; the state is as it was.
pub fn decide(state: &State, command: Command, now: UnixNanos) -> Result<Vec<Event>, Rejection> {
    if let Command::Initialise { origin, active, site } = command {
        let genesis = Event::Genesis { origin, active, site, at: now };
        return if state.genesis.is_none() { Ok(vec![genesis]) } else { Err(Rejection::AlreadyInitialised) };
    }
    if state.genesis.is_none() {
        return Err(Rejection::NotInitialised);
    }
    let event = match command {
        Command::Initialise { .. } => return Err(Rejection::AlreadyInitialised),
        Command::StartControl { boot, version, environments, reads_unknown_since } => {
            let reads_unknown_since = state.control.is_some().then_some(reads_unknown_since);
            Event::ControlStarted { boot, version, environments, reads_unknown_since, at: now }
        }
        Command::StopControl { boot } => Event::ControlStopped { boot, at: now },
        Command::Start { plan, digest, snapshots, environments } => {
            start(state, *plan, digest, &snapshots, &environments, now)?
        }
        Command::Pause { rollout } => pause(running(state, rollout)?, now)?,
        Command::Resume { rollout } => resume(running(state, rollout)?, now)?,
        Command::Promote { rollout, full } => promote(running(state, rollout)?, full, now)?,
        Command::Rollback { rollout, actor, reason } => {
            rollback(state, running(state, rollout)?, actor, reason, now)?
        }
        Command::Abort { rollout, reason } => abort(running(state, rollout)?, reason, now)?,
        Command::Roster { gateway } => roster(state, gateway, now)?,
        Command::Strike { gateway, reason } => strike(state, gateway, reason, now)?,
        Command::DenyAccess { call, why } => {
            Event::AccessDenied { call: brief(call), why: brief(why), at: now }
        }
        Command::CountReads { actor, hour, count } => Event::ReadsCounted { actor, hour, count },
        Command::RecordState { state } => Event::StateRecorded { state, version: STATE_VERSION, at: now },
        Command::MergeEmergency { entries, since } => Event::EmergencyMerged { entries, since, at: now },
    };
    Ok(vec![event])
}

/// The rollout that runs, if it is the one that was asked for.
fn running(state: &State, asked: Option<RolloutId>) -> Result<&Rollout, Rejection> {
    let rollout = state.current().ok_or(Rejection::NoRollout)?;
    match asked {
        Some(asked) if asked != rollout.id => {
            Err(Rejection::OtherRollout { asked, running: rollout.id.clone() })
        }
        _ => Ok(rollout),
    }
}

fn start(
    state: &State,
    plan: Plan,
    digest: Digest,
    snapshots: &Snapshots,
    environments: &Environments,
    now: UnixNanos,
) -> Result<Event, Rejection> {
    if let Some(rollout) = state.current() {
        return Err(Rejection::RolloutInProgress { rollout: rollout.id.clone(), phase: rollout.phase });
    }
    if plan.schema_version != PLAN_VERSION {
        return Err(Rejection::PlanVersion { found: plan.schema_version, expected: PLAN_VERSION });
    }
    let problems = check_outline(&plan.outline);
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.field(), p.message)).collect();
        return Err(Rejection::InvalidPlan { why: lines.join("\n") });
    }
    fresh(state, &plan, snapshots)?;
    in_place(&plan, environments)?;
    if state.roster.is_empty() {
        return Err(Rejection::NoGateway);
    }
    let until = state.settled_at();
    if let Some(last) = state.rollout.as_ref().filter(|_| now < until) {
        return Err(Rejection::Settling { rollout: last.id.clone(), until });
    }
    let rollout = plan.outline.rollout.clone();
    Ok(Event::RolloutDrafted { rollout, plan: digest, outline: Box::new(plan.outline), at: now })
}

/// Nothing that the plan was made against has changed.
fn fresh(state: &State, plan: &Plan, snapshots: &Snapshots) -> Result<(), Rejection> {
    let stale = |what, planned: String, now: String| match planned == now {
        true => Ok(()),
        false => Err(Rejection::StalePlan { what, planned, now }),
    };
    let active = state.active.as_ref().map(ToString::to_string).unwrap_or_default();
    let (base, outline) = (&plan.baseline, &plan.outline);
    stale("the active environment", base.active.to_string(), active.clone())?;
    stale("`from`", outline.from.to_string(), active)?;
    stale("the number of rollouts", base.rollouts.to_string(), state.past.len().to_string())?;
    stale("the generation", base.generation.to_string(), state.generation().to_string())?;
    let name = outline.rollout.name();
    let next = RolloutId::attempt(name, state.attempts(name).saturating_add(1));
    let next = next.map_err(|error| Rejection::InvalidPlan { why: error.to_string() })?;
    stale("the rollout's id", outline.rollout.to_string(), next.to_string())?;
    let changed = changed(&plan.snapshots, snapshots);
    if changed.is_empty() { Ok(()) } else { Err(Rejection::ChangedSinceThePlan { changed }) }
}

/// Both environments are where the plan says.
fn in_place(plan: &Plan, now: &Environments) -> Result<(), Rejection> {
    for environment in [&plan.outline.from, &plan.outline.to] {
        let Some(planned) = plan.environments.get(environment) else {
            return Err(Rejection::InvalidPlan { why: format!("it does not say where {environment} is") });
        };
        let present = now.get(environment).map(EnvironmentFacts::fields);
        for (index, (field, planned)) in planned.fields().into_iter().enumerate() {
            let now = present.map_or("not in the site's configuration", |fields| fields[index].1);
            if planned != now {
                let (environment, planned, now) = (environment.clone(), planned.to_owned(), now.to_owned());
                return Err(Rejection::MovedSinceThePlan { environment, field, planned, now });
            }
        }
    }
    Ok(())
}

/// The names under which two snapshots differ.
pub(crate) fn changed(planned: &Snapshots, now: &Snapshots) -> Vec<String> {
    let mut names: Vec<&String> = planned.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| planned.get(*name) != now.get(*name)).cloned().collect()
}

fn wrong_phase(command: &'static str, rollout: &Rollout) -> Rejection {
    Rejection::WrongPhase { command, rollout: rollout.id.clone(), phase: rollout.phase }
}

/// Going on is still undecided: neither the way back nor the last act has begun.
fn is_open(phase: Phase) -> bool {
    phase.is_live() || matches!(phase, Phase::Draft | Phase::Preflight | Phase::AwaitingApproval)
}

fn pause(rollout: &Rollout, now: UnixNanos) -> Result<Event, Rejection> {
    if !is_open(rollout.phase) {
        return Err(wrong_phase("pause", rollout));
    }
    if rollout.paused.is_some() {
        return Err(Rejection::AlreadyPaused { rollout: rollout.id.clone() });
    }
    Ok(Event::Paused { rollout: rollout.id.clone(), by: PauseCause::Command {}, at: now })
}

fn resume(rollout: &Rollout, now: UnixNanos) -> Result<Event, Rejection> {
    match rollout.paused {
        Some(_) => Ok(Event::Resumed { rollout: rollout.id.clone(), at: now }),
        None => Err(Rejection::NotPaused { rollout: rollout.id.clone() }),
    }
}

fn promote(rollout: &Rollout, full: bool, now: UnixNanos) -> Result<Event, Rejection> {
    if !rollout.phase.is_live() {
        return Err(wrong_phase("promote", rollout));
    }
    if rollout.paused.is_some() {
        return Err(Rejection::Paused { rollout: rollout.id.clone() });
    }
    let id = || rollout.id.clone();
    if rollout.full {
        return Err(Rejection::AlreadyPromotedInFull { rollout: id() });
    }
    if full && !rollout.has_something_to_skip() {
        return Err(Rejection::NothingLeftToSkip { rollout: id() });
    }
    match &rollout.running {
        None if !full => return Err(Rejection::NothingToLeave { rollout: id() }),
        Some(running) if running.leave && !full => return Err(Rejection::AlreadyLeaving { rollout: id() }),
        _ => {}
    }
    Ok(Event::PromoteRequested { rollout: rollout.id.clone(), full, at: now })
}

fn rollback(
    state: &State,
    rollout: &Rollout,
    actor: Actor,
    reason: String,
    now: UnixNanos,
) -> Result<Event, Rejection> {
    if !is_open(rollout.phase) {
        return Err(wrong_phase("rollback", rollout));
    }
    if !rollout.phase.is_live() {
        // No gateway knows of it yet: there is nothing to go back from.
        return abort(rollout, reason, now);
    }
    let lossless = state.is_lossless();
    let reason = RollbackReason::Command { actor, why: brief(reason) };
    Ok(Event::RollbackStarted { rollout: rollout.id.clone(), reason, lossless, at: now })
}

fn abort(rollout: &Rollout, why: String, now: UnixNanos) -> Result<Event, Rejection> {
    let before_the_first_cut = is_open(rollout.phase) && rollout.last_cut.is_none();
    if !before_the_first_cut {
        return Err(wrong_phase("abort", rollout));
    }
    let reason = AbortReason::Command { why: brief(why) };
    Ok(Event::AbortStarted { rollout: rollout.id.clone(), reason, at: now })
}

fn roster(state: &State, gateway: GatewayId, now: UnixNanos) -> Result<Event, Rejection> {
    if state.roster.contains_key(&gateway) {
        return Err(Rejection::AlreadyRostered { gateway });
    }
    Ok(Event::GatewayRostered { gateway, at: now })
}

fn strike(state: &State, gateway: GatewayId, reason: String, now: UnixNanos) -> Result<Event, Rejection> {
    if !state.roster.contains_key(&gateway) {
        return Err(Rejection::NotRostered { gateway });
    }
    Ok(Event::GatewayStruck { gateway, reason: brief(reason), at: now })
}

#[cfg(test)]
mod tests;
