//! The fleet: who is there, who has booted, who has acknowledged; and what stands in the way of everybody.

use std::time::Duration;

use crossfade_routing::{EnvironmentId, GatewayId, Generation, Schedule, UnixNanos};

use super::{Flow, NEXT, Out, watch};
use crate::event::{Alert, Event, GenerationCause};
use crate::observed::{Effect, GatewaySeen, LogHealth, Observed, Urgency};
use crate::state::State;
use crate::units::brief;

/// A gateway that has not reported for this long is silent. It reports at least once a second.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// The reports that count.
pub(super) struct Fleet<'a> {
    state: &'a State,
    observed: &'a Observed,
    now: UnixNanos,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(state: &'a State, observed: &'a Observed, now: UnixNanos) -> Self {
        Self { state, observed, now }
    }

    /// The last report of a gateway's present boot. A boot that was replaced never comes back: of two processes with
    /// one name, the later one counts.
    pub(super) fn current(&self, gateway: &GatewayId) -> Option<&'a GatewaySeen> {
        let departed = self.state.departed.get(gateway);
        let of_it = self.observed.gateways.iter().filter(|seen| seen.report.gateway == *gateway);
        let present = of_it.filter(|seen| departed.is_none_or(|boots| !boots.contains(&seen.report.boot)));
        present.max_by_key(|seen| seen.received_at)
    }

    /// Those on the roster, with what they last said.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a GatewayId, Option<&'a GatewaySeen>)> {
        self.state.roster.keys().map(|gateway| (gateway, self.current(gateway)))
    }

    /// Those on the roster that are not known to have acknowledged `generation`.
    pub(super) fn behind(&self, generation: Generation) -> Vec<GatewayId> {
        let has = |seen: &GatewaySeen| seen.report.ack.is_some_and(|ack| ack.generation >= generation);
        self.members()
            .filter(|(_, seen)| !seen.is_some_and(has))
            .map(|(gateway, _)| gateway.clone())
            .collect()
    }

    /// Those on the roster that have fallen silent, and the time up to which they may still act by themselves.
    pub(super) fn silent(&self) -> (Vec<GatewayId>, UnixNanos) {
        let fresh = |seen: &GatewaySeen| seen.received_at.plus(SILENT_AFTER) >= self.now;
        let silent = || self.members().filter(|(_, seen)| !seen.is_some_and(fresh));
        let watermark = self.state.watermark.unwrap_or(UnixNanos::ZERO);
        let horizon = |seen: Option<&GatewaySeen>| seen.map_or(watermark, |seen| seen.horizon);
        let until = silent().map(|(_, seen)| horizon(seen)).max().unwrap_or(UnixNanos::ZERO);
        (silent().map(|(gateway, _)| gateway.clone()).collect(), until)
    }
}

/// What is to be kept in order whether a rollout runs or not.
pub(super) fn keep(
    state: &State,
    observed: &Observed,
    fleet: &Fleet<'_>,
    now: UnixNanos,
    out: &mut Out<'_>,
) -> Flow {
    log_alert(state, observed, now, out)?;
    first_generation(state, now, out)?;
    newcomers(state, observed, fleet, now, out)?;
    farewells(state, fleet, now, out)?;
    reboots(state, observed, fleet, now, out)?;
    watermark(state, observed, now, out)?;
    other_alerts(state, fleet, now, out)?;
    acknowledgements(state, fleet, now, out)
}

fn log_alert(state: &State, observed: &Observed, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    let alert = Alert::LogUnwritable;
    match (&observed.log, state.alerts.contains_key(&alert)) {
        (LogHealth::Unwritable { detail }, false) => {
            let events = vec![Event::AlertRaised { alert, detail: brief(detail.clone()), at: now }];
            // Goes on: a log that takes nothing must not keep a way back from being found.
            out.effect(Effect::Record { events, urgency: Urgency::Emergency });
            NEXT
        }
        (LogHealth::Writable, true) => out.record(vec![Event::AlertCleared { alert, at: now }]),
        _ => NEXT,
    }
}

fn first_generation(state: &State, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    match (&state.schedule, &state.active) {
        (None, Some(active)) => {
            let schedule = Schedule::genesis(active.clone());
            out.issue(Ok(schedule), GenerationCause::Genesis, now, |issued| vec![issued])
        }
        _ => NEXT,
    }
}

fn newcomers(
    state: &State,
    observed: &Observed,
    fleet: &Fleet<'_>,
    now: UnixNanos,
    out: &mut Out<'_>,
) -> Flow {
    let gateways = observed.gateways.iter().map(|seen| &seen.report.gateway);
    let unknown =
        gateways.filter(|gateway| !state.roster.contains_key(*gateway) && !state.struck.contains(*gateway));
    let newcomer = unknown.filter_map(|gateway| Some((gateway, fleet.current(gateway)?))).next();
    let Some((gateway, seen)) = newcomer else { return NEXT };
    let (gateway, boot) = (gateway.clone(), seen.report.boot.clone());
    let rostered = Event::GatewayRostered { gateway: gateway.clone(), at: now };
    out.record(vec![rostered, Event::GatewayBooted { gateway, boot, at: now }])
}

/// A gateway that has drained ends now. What it counted goes on the record before it is told that it was heard: whatever
/// starts next knows nothing of it but what the record says.
fn farewells(state: &State, fleet: &Fleet<'_>, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    let Some(rollout) = state.current() else { return NEXT };
    for (_, seen) in fleet.members() {
        let Some(seen) = seen.filter(|seen| seen.report.drained) else { continue };
        if rollout.open_account(&seen.report.gateway, &seen.report.boot).is_some() {
            let counts = watch::last_words(state, rollout, Some(seen), now);
            out.record(counts.into_iter().chain([watch::closed(rollout, seen, now)]).collect())?;
        }
    }
    NEXT
}

/// A gateway that came back with another boot: the accounts of the former one are closed, or their gap declared.
fn reboots(state: &State, observed: &Observed, fleet: &Fleet<'_>, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    for (gateway, seen) in fleet.members() {
        let Some(boot) = seen.map(|seen| &seen.report.boot) else { continue };
        let known = state.roster.get(gateway).and_then(Option::as_ref);
        if known == Some(boot) {
            continue;
        }
        let mut events = Vec::new();
        if let (Some(rollout), Some(lost)) = (state.current(), known) {
            let last =
                observed.gateways.iter().find(|s| s.report.gateway == *gateway && s.report.boot == *lost);
            // A boot that ended in order has closed its accounts, and its counts are on the record.
            if let Some(ledger) = rollout.open_account(gateway, lost) {
                events.extend(watch::last_words(state, rollout, last, now));
                events.push(watch::close(rollout, gateway, lost, ledger, last, now));
                events.extend(watch::resumed(rollout, gateway, lost, boot, ledger, last, now));
            }
        }
        events.push(Event::GatewayBooted { gateway: gateway.clone(), boot: boot.clone(), at: now });
        out.record(events)?;
    }
    NEXT
}

fn watermark(state: &State, observed: &Observed, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    match observed.wants_watermark.filter(|until| Some(*until) > state.watermark) {
        Some(until) => out.record(vec![Event::HorizonWatermark { until, at: now }]),
        None => NEXT,
    }
}

/// Alerts that follow from what gateways report.
fn other_alerts(state: &State, fleet: &Fleet<'_>, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    let unbalanced = unbalanced(fleet).map_or(Found::Well, Found::Wrong);
    let found = [
        (Alert::BothFailing, both_failing(state, fleet)),
        (Alert::LedgerUnbalanced, unbalanced),
        (Alert::ClockOff, clocks(state, fleet)),
    ];
    for (alert, found) in found {
        match (found, state.alerts.contains_key(&alert)) {
            (Found::Wrong(detail), false) => {
                out.record(vec![Event::AlertRaised { alert, detail, at: now }])?
            }
            (Found::Well, true) => out.record(vec![Event::AlertCleared { alert, at: now }])?,
            (Found::Wrong(_), true) | (Found::Well, false) | (Found::Unknown, _) => {}
        }
    }
    NEXT
}

/// What a look for something wrong came to.
enum Found {
    Wrong(String),
    Well,
    /// Nobody has said anything yet: no reason to raise an alert, nor to clear one.
    Unknown,
}

/// Whether a gateway reaches neither environment of the rollout. One that has just booted may not have looked yet.
fn both_failing(state: &State, fleet: &Fleet<'_>) -> Found {
    let Some(outline) = state.current().map(|rollout| &rollout.outline).filter(|_| !state.roster.is_empty())
    else {
        return Found::Well;
    };
    let reaches = |seen: &GatewaySeen, environment: &EnvironmentId| {
        let health = seen.report.health.iter().find(|health| health.environment == *environment);
        health.map(|health| health.reachable)
    };
    let mut found = Found::Unknown;
    for seen in fleet.members().filter_map(|(_, seen)| seen) {
        match (reaches(seen, &outline.from), reaches(seen, &outline.to)) {
            (Some(false), Some(false)) => {
                let (gateway, from, to) = (&seen.report.gateway, &outline.from, &outline.to);
                return Found::Wrong(format!("gateway {gateway} reaches neither {from} nor {to}"));
            }
            (Some(true), _) | (_, Some(true)) => found = Found::Well,
            _ => {}
        }
    }
    found
}

/// How long a report may have been under way: what it says of the clock is older by that much.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5);

/// Whether every gateway's clock is within gamma of this one, as far as its last report can show it: one that leads shows
/// by a report from the future, one that lags only if it lags by more than a report takes.
fn clocks(state: &State, fleet: &Fleet<'_>) -> Found {
    let Some(rollout) = state.current() else { return Found::Well };
    let gamma = rollout.outline.window.gamma();
    let mut found = Found::Unknown;
    for seen in fleet.members().filter_map(|(_, seen)| seen) {
        let (theirs, ours) = (seen.report.now, seen.received_at);
        let (word, off, bound) = match theirs.since(ours) {
            Some(lead) => ("leads", lead, gamma),
            None => ("lags", ours.since(theirs).unwrap_or_default(), gamma + UNDER_WAY_MAX),
        };
        if off > bound {
            let gateway = &seen.report.gateway;
            let what = format!("the clock of gateway {gateway} {word} by {off:?}; gamma is {gamma:?}");
            return Found::Wrong(what);
        }
        found = Found::Well;
    }
    found
}

fn unbalanced(fleet: &Fleet<'_>) -> Option<String> {
    let rows = fleet.members().filter_map(|(_, seen)| seen);
    let mut rows = rows.flat_map(|seen| seen.report.ledger.iter().map(|row| (&seen.report.gateway, row)));
    let (gateway, row) = rows.find(|(_, row)| !row.is_balanced())?;
    Some(format!("gateway {gateway}, {}, generation {}", row.environment, row.generation))
}

fn acknowledgements(state: &State, fleet: &Fleet<'_>, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    let generation = state.generation();
    if state.schedule.is_none() || state.roster.is_empty() || state.acknowledged >= Some(generation) {
        return NEXT;
    }
    let gateways = fleet.behind(generation);
    if gateways.is_empty() {
        let gateways = state.roster.keys().cloned().collect();
        return out.record(vec![Event::GenerationAcknowledged { generation, gateways, at: now }]);
    }
    out.effect(Effect::IssueGeneration { generation });
    NEXT
}
