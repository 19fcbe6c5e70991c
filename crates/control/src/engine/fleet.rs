//! The engine and the gateways: the conductor that follows the log, reports heard, directives given.

use crossfade_rollout::{Actor, Command};
use crossfade_routing::sync::{Fence, Reply, Report};
use crossfade_routing::{BootId, Conductor, GatewayId, Generation, UnixNanos};

use super::Engine;
use crate::api::{ApiError, ErrorCode};

/// What every gateway is told alike. When it changes, held polls are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    generation: Option<Generation>,
    announced: Option<UnixNanos>,
    fence: Option<Fence>,
}

impl Engine {
    /// Builds the conductor from the log. What gateways have taken, they will say with their next report.
    pub(super) fn conduct(&mut self) {
        let (state, now) = (self.journal.state(), self.time.now());
        self.conductor = self.journal.proven_schedule().cloned().map(|schedule| {
            let roster = state.roster.keys().map(|gateway| (gateway.clone(), None)).collect();
            let watermark = state.watermark.unwrap_or_default();
            Conductor::new(schedule, roster, watermark, now).with_horizon(self.horizon)
        });
    }

    /// Tells the conductor what has just become durable in the log. What waits in the emergency file has no proof yet, and
    /// does not count: a fence needs none.
    pub(super) fn follow_log(&mut self) {
        let issued = match self.conductor.as_mut() {
            None => {
                self.conduct();
                Ok(())
            }
            Some(conductor) => {
                let held = conductor.schedule().generation();
                let newer = self.journal.schedules().filter(|schedule| schedule.generation() > held);
                newer.cloned().try_for_each(|schedule| conductor.issue(schedule))
            }
        };
        if let Err(error) = issued {
            tracing::error!(%error, "the conductor cannot follow the log, and starts anew from it");
            self.conduct();
        }
        self.follow_roster();
        self.tell();
    }

    fn follow_roster(&mut self) {
        let Some(conductor) = self.conductor.as_mut() else { return };
        let state = self.journal.state();
        for gateway in state.roster.keys() {
            conductor.enlist(gateway.clone());
        }
        for gateway in conductor.roster().into_keys().filter(|gateway| !state.roster.contains_key(gateway)) {
            conductor.strike(&gateway);
            self.live.strike(&gateway);
        }
        conductor.watermark_is_durable(state.watermark.unwrap_or_default());
    }

    /// Wakes the polls that gateways hold, if there is something to tell them.
    fn tell(&mut self) {
        let conductor = self.conductor.as_ref();
        let directions = self.journal.state().directions();
        let told = Told {
            generation: conductor.map(|conductor| conductor.schedule().generation()),
            announced: conductor.and_then(Conductor::announced),
            fence: directions.and_then(|directions| directions.fence.cloned()),
        };
        self.directions.send_if_modified(|known| std::mem::replace(known, told.clone()) != told);
    }

    /// The announcement is on record: gateways may hear of it. One of an earlier control plane they never do: its schedule is
    /// issued again first (`due`).
    pub(super) fn announce(&mut self, cut_at: UnixNanos) {
        let Some(conductor) = self.conductor.as_mut() else { return };
        if conductor.announced() == Some(cut_at) {
            return;
        }
        match conductor.announce(cut_at) {
            Ok(()) => self.tell(),
            Err(error) => self.held_up = Some(format!("the cut cannot be announced yet: {error}")),
        }
    }

    /// Hears a gateway, and says what it is to do.
    pub(super) fn sync(&mut self, report: Report) -> Result<Reply, ApiError> {
        let received_at = self.time.now();
        let (gateway, boot, ack) = (report.gateway.clone(), report.boot.clone(), report.ack);
        let drained = report.drained;
        self.enlist(&gateway)?;
        let departed = self.journal.state().departed.get(&gateway).is_some_and(|boots| boots.contains(&boot));
        if departed {
            // Its accounts are heard, its word is not: what it has taken says nothing of the one that replaced it.
            self.live.heard_of_old(report, received_at);
            self.settle();
            return if drained { self.reply(&gateway) } else { Err(replaced(&gateway)) };
        }
        if self.live.heard(report, received_at) {
            if let Some(conductor) = self.conductor.as_mut() {
                conductor.report(&gateway, ack, received_at).map_err(|error| refused(&error.to_string()))?;
            }
            self.settle();
        }
        self.accounts_on_record(&gateway, &boot, drained)?;
        self.reply(&gateway)
    }

    /// A gateway that has drained ends as soon as it is answered: not before its accounts are on the record.
    fn accounts_on_record(&self, gateway: &GatewayId, boot: &BootId, drained: bool) -> Result<(), ApiError> {
        let rollout = self.journal.state().current().filter(|_| drained);
        match rollout.and_then(|rollout| rollout.open_account(gateway, boot)) {
            Some(_) => {
                Err(ApiError::unavailable("the closing accounts are not on record yet; report them again"))
            }
            None => Ok(()),
        }
    }

    /// On the roster, on the record, before the first answer: cuts wait for it from here on.
    fn enlist(&mut self, gateway: &GatewayId) -> Result<(), ApiError> {
        let state = self.journal.state();
        if state.roster.contains_key(gateway) {
            return Ok(());
        }
        if state.struck.contains(gateway) {
            return Err(refused(&format!(
                "gateway {gateway} was struck from the roster; an operator may take it back: PUT /v1/gateways/{gateway}"
            )));
        }
        self.command(&Actor::gateway(gateway), Command::Roster { gateway: gateway.clone() })?;
        self.settle();
        Ok(())
    }

    fn reply(&mut self, gateway: &GatewayId) -> Result<Reply, ApiError> {
        let now = self.time.now();
        let no_generation = || ApiError::unavailable("no generation is issued yet");
        let conductor = self.conductor.as_mut().ok_or_else(no_generation)?;
        // The proof first: a horizon that cannot be handed out is not granted.
        let entry = self.journal.signed_generation(conductor.schedule().generation())?;
        let directive = conductor.directive(gateway, now).map_err(|error| refused(&error.to_string()))?;
        self.live.granted(gateway, directive.horizon);
        let directions = self.journal.state().directions();
        let fence = directions.and_then(|directions| directions.fence.cloned());
        Ok(Reply { entry, directive, fence, now })
    }
}

fn refused(what: &str) -> ApiError {
    ApiError::new(ErrorCode::Refused, what)
}

fn replaced(gateway: &GatewayId) -> ApiError {
    refused(&format!(
        "another process has reported as gateway {gateway} since: two may not share an id; give this one its own gateway.id"
    ))
}
