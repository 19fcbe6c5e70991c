//! Gateways: they poll, take directives, save, acknowledge, die and come back.

use super::{Event, World};
use crate::sync::{Fence, FenceCause};
use crate::theorem::clauses::Missing;
use crate::{Accepted, Directive, Follower, GatewayId, Protection, Refusal, Router, Saved, UnixNanos};

pub(super) struct Gateway {
    pub(super) id: GatewayId,
    /// `None` while the process is dead.
    pub(super) follower: Option<Follower>,
    /// What its threads route by.
    pub(super) router: Option<Router>,
    /// What they routed by before, and until when.
    pub(super) before: Option<(Router, u64)>,
    disk: Saved,
    saving: bool,
    pub(super) dies_saving: Option<u64>,
    boot: u64,
    request: u64,
    pub(super) cut_off: Vec<(u64, u64)>,
    /// Whether the fence has ever fallen here.
    pub(super) fenced: bool,
}

impl World<'_> {
    pub(super) fn add_gateway(&mut self) {
        let name = format!("g{}", self.gateways.len());
        self.gateways.push(Gateway {
            id: GatewayId::new(&name).expect("a name"),
            follower: None,
            router: None,
            before: None,
            disk: Saved::default(),
            saving: false,
            dies_saving: None,
            boot: 0,
            request: 0,
            cut_off: Vec::new(),
            fenced: false,
        });
        self.gateway_comes_up(self.gateways.len() - 1);
    }

    pub(super) fn gateway_dies(&mut self, gateway: usize, back_after: u64) {
        let dead = &mut self.gateways[gateway];
        (dead.follower, dead.router, dead.before) = (None, None, None);
        dead.boot += 1;
        dead.saving = false;
        self.tally.restarts += 1;
        self.at(self.now + back_after, Event::GatewayBack { gateway });
    }

    pub(super) fn gateway_comes_up(&mut self, gateway: usize) {
        let up = &mut self.gateways[gateway];
        if up.follower.is_some() {
            return;
        }
        up.follower = Some(Follower::restore(up.disk.clone()));
        let (boot, after) = (up.boot, up.request);
        self.change_route(gateway, boot);
        self.at(self.now, Event::Poll { gateway, after });
    }

    /// Every thread of the gateway takes the router of now.
    fn reroute(&mut self, gateway: usize) {
        let up = &mut self.gateways[gateway];
        let Some(follower) = &up.follower else { return };
        let Some(mut router) = follower.router(Protection::Copy) else { return };
        let held = follower.directive().expect("it has a router");
        let edge = match self.missing {
            Missing::Horizon => held.announced.unwrap_or(UnixNanos::MAX),
            Missing::Announcement => held.horizon,
            _ => follower.edge(),
        };
        if edge != follower.edge() {
            router = Router::new(router.schedule(), edge, Protection::Copy);
        }
        up.before = up.router.replace(router).map(|before| (before, self.now));
    }

    /// It routes by something new; traces of this very moment are routed by the old and by the new.
    pub(super) fn change_route(&mut self, gateway: usize, boot: u64) {
        if self.gateways[gateway].boot == boot {
            self.flash(gateway);
            self.reroute(gateway);
            self.flash(gateway);
        }
    }

    pub(super) fn poll(&mut self, gateway: usize, after: u64) {
        let up = &mut self.gateways[gateway];
        let Some(follower) = up.follower.as_ref().filter(|_| up.request == after) else { return };
        let ack = match self.missing {
            Missing::SaveBeforeAck => follower.directive().map(Directive::ack),
            _ => follower.ack(),
        };
        let fence = follower.fence_held().cloned();
        up.request += 1;
        let request = up.request;
        self.transmit(gateway, Event::Report { gateway, request, ack, fence });
        let patience = 2 * self.scenario.delay_max + self.scenario.poll_every;
        self.at(self.now + patience, Event::Poll { gateway, after: request });
    }

    /// A message on its way between a gateway and control, if it comes through.
    pub(super) fn transmit(&mut self, gateway: usize, message: Event) {
        let cut_off = &self.gateways[gateway].cut_off;
        let cut_off = cut_off.iter().any(|(from, until)| (*from..*until).contains(&self.now));
        if cut_off || self.rng.percent(self.scenario.loss_percent) {
            return;
        }
        let delay = self.rng.extreme(self.scenario.delay_max);
        self.at(self.now + delay, message);
    }

    pub(super) fn reply(&mut self, gateway: usize, request: u64, directive: Directive) {
        let up = &mut self.gateways[gateway];
        let (boot, latest) = (up.boot, up.request);
        let Some(follower) = up.follower.as_mut() else { return };
        let accepted = match follower.accept(directive) {
            Ok(accepted) => accepted,
            Err(Refusal::OlderGeneration { .. } | Refusal::Fenced { .. }) => Accepted::Unchanged,
            Err(changed @ Refusal::Changed { .. }) => panic!("{changed}"),
        };
        match (accepted, self.missing) {
            (Accepted::Unchanged, _) => {}
            (Accepted::Changed, Missing::RouteBeforeAck) => {
                self.at(self.now + 30, Event::Reroute { gateway, boot });
            }
            (Accepted::Changed, _) => self.change_route(gateway, boot),
            (Accepted::Renewed, _) => self.reroute(gateway),
        }
        match accepted {
            Accepted::Changed => self.taken(gateway, latest),
            Accepted::Renewed if self.rng.percent(50) => self.save(gateway),
            _ => {}
        }
        if request == latest {
            self.at(self.now + self.scenario.poll_every, Event::Poll { gateway, after: request });
        }
    }

    fn taken(&mut self, gateway: usize, after: u64) {
        if self.missing == Missing::SaveBeforeAck {
            self.at(self.now, Event::Poll { gateway, after });
        }
        match self.gateways[gateway].dies_saving.take() {
            Some(back_after) => {
                self.poll_once(gateway, after);
                self.gateway_dies(gateway, back_after);
            }
            None => self.save(gateway),
        }
    }

    /// If it acknowledges what it has not saved, it does so before it dies.
    fn poll_once(&mut self, gateway: usize, after: u64) {
        if self.missing == Missing::SaveBeforeAck {
            self.poll(gateway, after);
        }
    }

    /// One write after another, or an older state could end up over a newer one.
    fn save(&mut self, gateway: usize) {
        let delay = self.rng.extreme(self.scenario.save_max);
        let up = &mut self.gateways[gateway];
        let Some(follower) = up.follower.as_ref().filter(|_| !up.saving) else { return };
        up.saving = true;
        let (saved, boot) = (follower.saved().clone(), up.boot);
        self.at(self.now + delay, Event::Saved { gateway, boot, saved });
    }

    pub(super) fn saved(&mut self, gateway: usize, boot: u64, saved: Saved) {
        let up = &mut self.gateways[gateway];
        let Some(follower) = up.follower.as_mut().filter(|_| up.boot == boot) else { return };
        follower.mark_saved(&saved);
        let stale = *follower.saved() != saved;
        up.disk = saved;
        up.saving = false;
        let after = up.request;
        self.at(self.now, Event::Poll { gateway, after });
        if stale {
            self.save(gateway);
        }
    }

    /// The fence falls at a gateway, if it holds a rollout: saved first.
    pub(super) fn fence(&mut self, gateway: usize) {
        let up = &mut self.gateways[gateway];
        let Some(follower) = up.follower.as_mut() else { return };
        let Some(held) = follower.directive().map(|held| held.schedule.clone()) else { return };
        let Some(rollout) = held.rollout() else { return };
        let (rollout, generation) = (rollout.to_owned(), held.generation());
        let fence = Fence { rollout, generation, at: UnixNanos(self.now), cause: FenceCause::Verdict {} };
        up.disk.fence = Some(fence.clone());
        follower.fence(fence);
        up.fenced = follower.is_fenced();
        let boot = up.boot;
        self.change_route(gateway, boot);
    }
}
