//! A world: gateways and control as they are ([`Follower`](crate::Follower), [`Conductor`]), messages that are late, lost or overtaken,
//! processes that die, clocks that are wrong, and clients that send traces through all of it.

mod clients;
mod control;
mod fleet;

use std::collections::BTreeMap;

use super::clauses::Missing;
use super::rng::Rng;
use super::scenario::{DAWN, Mishap, Scenario};
use super::traffic::{Trace, ticks};
use crate::sync::Fence;
use crate::{
    Ack, Conductor, Destinations, Directive, EnvironmentId, Generation, Saved, Schedule, Stage, UnixNanos,
    fraction,
};
use control::Log;
use fleet::Gateway;

/// What happens at a tick.
#[derive(Clone, Debug)]
enum Event {
    Mishap(Mishap),
    /// A gateway sends a report, unless it has already sent a later one than `after`.
    Poll {
        gateway: usize,
        after: u64,
    },
    Report {
        gateway: usize,
        request: u64,
        ack: Option<Ack>,
        fence: Option<Fence>,
    },
    Reply {
        gateway: usize,
        request: u64,
        directive: Directive,
    },
    Reroute {
        gateway: usize,
        boot: u64,
    },
    Saved {
        gateway: usize,
        boot: u64,
        saved: Saved,
    },
    GatewayBack {
        gateway: usize,
    },
    ControlBack,
    Control {
        life: u64,
    },
    Send {
        trace: usize,
        span: usize,
    },
}

/// A span that reached a gateway that took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) trace: usize,
    pub(crate) span: usize,
    pub(crate) gateway: usize,
    pub(crate) at: u64,
    pub(crate) generation: Generation,
    pub(crate) edge: UnixNanos,
    pub(crate) rule: Destinations,
    pub(crate) set: Destinations,
    pub(crate) stage: Stage,
}

/// How often what is interesting happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) cuts: usize,
    /// Cuts that were committed without a word from some gateway.
    pub(crate) cuts_past_the_silent: usize,
    pub(crate) reannouncements: usize,
    pub(crate) restarts: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.cuts += more.cuts;
        self.cuts_past_the_silent += more.cuts_past_the_silent;
        self.reannouncements += more.reannouncements;
        self.restarts += more.restarts;
    }
}

pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    missing: Missing,
    rng: Rng,
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    gateways: Vec<Gateway>,
    log: Log,
    /// `None` while the process is dead.
    conductor: Option<Conductor>,
    life: u64,
    /// How many cuts of the scenario are committed, and when the next may be announced.
    committed: usize,
    next_cut_at: u64,
    pub(crate) traces: Vec<Trace>,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) tally: Tally,
}

const END: u64 = DAWN + 1_600;

/// Lets a world run from dawn to end.
pub(crate) fn run(scenario: &Scenario, missing: Missing) -> World<'_> {
    let mut world = World::new(scenario, missing);
    while let Some(((at, _), event)) = world.queue.pop_first().filter(|((at, _), _)| *at <= END) {
        world.now = at;
        world.handle(event);
    }
    world
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, missing: Missing) -> World<'a> {
        let active = Schedule::genesis(EnvironmentId::new("blue").expect("a name"));
        let mut world = World {
            scenario,
            missing,
            rng: Rng(scenario.seed),
            now: DAWN,
            queue: BTreeMap::new(),
            sequence: 0,
            gateways: Vec::new(),
            log: Log::new(active),
            conductor: None,
            life: 0,
            committed: 0,
            next_cut_at: 0,
            traces: Vec::new(),
            arrivals: Vec::new(),
            tally: Tally::default(),
        };
        for _ in 0..scenario.gateways {
            world.add_gateway();
        }
        world.control_comes_up();
        for mishap in &scenario.mishaps {
            world.at(DAWN + mishap.at(), Event::Mishap(mishap.clone()));
        }
        for _ in 0..scenario.traces {
            let root = DAWN + world.rng.up_to(1_000);
            world.start_trace(root);
        }
        world
    }

    fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), event);
    }

    /// A clock of a gateway or of control.
    fn clock(&mut self) -> UnixNanos {
        let error = self.rng.either_way(ticks(self.scenario.window.gamma()));
        UnixNanos(self.now.checked_add_signed(error).expect("the world begins long after zero"))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Mishap(mishap) => self.mishap(&mishap),
            Event::Poll { gateway, after } => self.poll(gateway, after),
            Event::Report { gateway, request, ack, fence } => self.report(gateway, request, ack, fence),
            Event::Reply { gateway, request, directive } => self.reply(gateway, request, directive),
            Event::Reroute { gateway, boot } => self.change_route(gateway, boot),
            Event::Saved { gateway, boot, saved } => self.saved(gateway, boot, saved),
            Event::GatewayBack { gateway } => self.gateway_comes_up(gateway),
            Event::ControlBack => self.control_comes_up(),
            Event::Control { life } => self.control(life),
            Event::Send { trace, span } => self.send(trace, span),
        }
    }

    fn mishap(&mut self, mishap: &Mishap) {
        let count = self.gateways.len();
        match *mishap {
            Mishap::GatewayDies { gateway, back_after, .. } => self.gateway_dies(gateway % count, back_after),
            Mishap::GatewayDiesSaving { gateway, back_after, .. } => {
                self.gateways[gateway % count].dies_saving = Some(back_after);
            }
            Mishap::Fence { gateway, .. } => self.fence(gateway % count),
            Mishap::CutOff { gateway, at, until } => {
                self.gateways[gateway % count].cut_off.push((DAWN + at, DAWN + until));
            }
            Mishap::ControlDies { back_after, .. } => self.control_dies(back_after),
            Mishap::Withdrawal { .. } => self.withdraw(),
            Mishap::Newcomer { .. } => self.add_gateway(),
        }
    }
}

/// What came of it.
impl World<'_> {
    /// The last schedule in the log: it has every cut that was committed.
    pub(crate) fn schedule(&self) -> &Schedule {
        self.log.schedules.last().expect("a log begins with a schedule")
    }

    /// Whether the fence fell anywhere.
    pub(crate) fn is_fenced(&self) -> bool {
        self.gateways.iter().any(|gateway| gateway.fenced)
    }

    pub(crate) fn owner(&self, trace: &Trace) -> Destinations {
        let schedule = self.schedule();
        let u = fraction(schedule.seed(), &trace.id);
        if self.is_fenced() { Destinations::FROM } else { schedule.owner(u, UnixNanos(trace.root)) }
    }

    /// What the promise is about: the rule alone while a rollout goes on; after a fence, what protection adds to it.
    fn promised(&self, arrival: &Arrival) -> Destinations {
        if self.is_fenced() { arrival.set } else { arrival.rule }
    }

    /// Whether the way back was given up with `mirror_back`, and gone all the same. Then nothing is promised for what a
    /// promoted gateway took.
    fn is_given_up(&self) -> bool {
        self.is_fenced() && !self.scenario.mirror_back
    }

    /// The first span that a gateway took and did not send to the owner of its trace.
    pub(crate) fn unowned(&self) -> Option<&Arrival> {
        let outside =
            |arrival: &Arrival| self.is_given_up() && matches!(arrival.stage, Stage::Promoted { .. });
        let owner = |arrival: &Arrival| self.owner(&self.traces[arrival.trace]);
        let lacks = |arrival: &Arrival| !self.promised(arrival).contains(owner(arrival));
        self.arrivals.iter().find(|arrival| !outside(arrival) && lacks(arrival))
    }

    /// The first trace of which every span was taken, and that is whole nowhere.
    pub(crate) fn torn(&self) -> Option<usize> {
        let mut stored: BTreeMap<(usize, usize), Destinations> = BTreeMap::new();
        for arrival in &self.arrivals {
            let sides = stored.entry((arrival.trace, arrival.span)).or_default();
            *sides = *sides | self.promised(arrival);
        }
        let traces = if self.is_given_up() { 0 } else { self.traces.len() };
        (0..traces).find(|index| {
            let spans = 0..self.traces[*index].spans.len();
            let sides: Option<Vec<_>> = spans.map(|span| stored.get(&(*index, span)).copied()).collect();
            let whole_in = |side| sides.iter().flatten().all(|stored: &Destinations| stored.contains(side));
            sides.is_some() && !whole_in(Destinations::FROM) && !whole_in(Destinations::TO)
        })
    }
}
