//! Control: it hears reports, hands out directives, announces, commits, dies and comes back with its log.

use std::collections::BTreeMap;

use super::{Event, World};
use crate::sync::Fence;
use crate::theorem::clauses::Missing;
use crate::theorem::scenario::DAWN;
use crate::theorem::traffic::ticks;
use crate::{
    Ack, Begin, Conductor, ConductorError, Cut, EnvironmentId, GatewayId, Generation, Schedule, Seed, Stage,
    UnixNanos, Verdict, Weight,
};

/// What survives control.
pub(super) struct Log {
    pub(super) schedules: Vec<Schedule>,
    roster: BTreeMap<GatewayId, Option<Generation>>,
    watermark: UnixNanos,
}

impl Log {
    pub(super) fn new(genesis: Schedule) -> Log {
        Log { schedules: vec![genesis], roster: BTreeMap::new(), watermark: UnixNanos::ZERO }
    }
}

impl World<'_> {
    pub(super) fn control_dies(&mut self, back_after: u64) {
        self.conductor = None;
        self.life += 1;
        self.tally.restarts += 1;
        self.at(self.now + back_after, Event::ControlBack);
    }

    pub(super) fn control_comes_up(&mut self) {
        let now = self.clock();
        let schedule = self.schedule().clone();
        let conductor = Conductor::new(schedule, self.log.roster.clone(), self.log.watermark, now);
        self.conductor = Some(conductor.with_horizon(self.scenario.horizon));
        self.life += 1;
        self.at(self.now, Event::Control { life: self.life });
    }

    pub(super) fn report(&mut self, gateway: usize, request: u64, ack: Option<Ack>, fence: Option<Fence>) {
        let received_at = self.clock();
        let believed = match self.missing {
            Missing::CommitGamma => received_at.minus(self.scenario.window.gamma()),
            Missing::CommitBeforeCut => UnixNanos::ZERO,
            _ => received_at,
        };
        let id = self.gateways[gateway].id.clone();
        let Some(control) = &mut self.conductor else { return };
        if !self.log.roster.contains_key(&id) {
            self.log.roster.insert(id.clone(), None);
            control.enlist(id.clone());
        }
        control.report(&id, ack, believed).expect("on the roster");
        if fence.is_some_and(|fence| fence.applies_to(control.schedule())) {
            let fenced = control.schedule().fenced().expect("a rollout is in progress");
            if !matches!(control.schedule().stage(), Stage::Fenced {}) {
                self.issue(fenced);
            }
        }
        let Some(control) = &mut self.conductor else { return };
        let directive = control.directive(&id, received_at).expect("on the roster");
        self.transmit(gateway, Event::Reply { gateway, request, directive });
    }

    /// What control does every few ticks: one thing at a time.
    pub(super) fn control(&mut self, life: u64) {
        if life != self.life {
            return;
        }
        self.at(self.now + self.scenario.control_every, Event::Control { life });
        let now = self.clock();
        let Some(control) = &mut self.conductor else { return };
        if let Some(watermark) = control.wants_watermark(now) {
            if self.missing != Missing::Watermark {
                self.log.watermark = watermark;
            }
            control.watermark_is_durable(watermark);
        }
        match control.verdict(now) {
            Verdict::Idle => self.next_step(now),
            Verdict::Commit { at } => self.commit(at),
            Verdict::WaitFor { .. } if self.missing == Missing::Acknowledgements => {
                let at = control.announced().expect("something is waited for");
                self.commit(at);
            }
            Verdict::WaitFor { .. } => {}
            Verdict::Reannounce { not_before, sure, .. } => {
                self.tally.reannouncements += 1;
                let soon = not_before.max(UnixNanos(now.0 + self.scenario.lead));
                let at = if self.scenario.patient { sure.unwrap_or(soon).max(soon) } else { soon };
                self.announce(at);
            }
        }
    }

    fn next_step(&mut self, now: UnixNanos) {
        match self.schedule().stage() {
            Stage::Single {} if self.now >= DAWN + self.scenario.begin_after => self.begin(),
            Stage::Candidate {} if self.committed < self.scenario.cuts.len() => self.next_cut(now),
            Stage::Candidate {} if self.schedule().weight() == Weight::FULL => {
                let promoted = self.schedule().promoted(self.scenario.mirror_back);
                self.issue(promoted.expect("a candidate with the full weight"));
            }
            _ => {}
        }
    }

    fn next_cut(&mut self, now: UnixNanos) {
        if self.now >= self.next_cut_at {
            self.announce(UnixNanos(now.0 + self.scenario.lead));
        }
    }

    fn begin(&mut self) {
        let begin = Begin {
            rollout: "rollout".to_owned(),
            to: EnvironmentId::new("green").expect("a name"),
            seed: Seed(self.scenario.seed),
            window: self.scenario.window,
        };
        let schedule = self.schedule().begin(begin).expect("no rollout is in progress");
        self.next_cut_at = self.now + self.scenario.cuts[0].0;
        self.issue(schedule);
    }

    fn announce(&mut self, at: UnixNanos) {
        self.pretend_that_the_candidate_is_known();
        let Some(control) = &mut self.conductor else { return };
        match control.announce(at) {
            Ok(()) => self.start_traces_about(at.0),
            Err(ConductorError::Inherited { .. }) => self.withdraw(),
            Err(ConductorError::CutTooEarly { earliest, .. }) => self.announce(earliest),
            Err(ConductorError::CandidateUnknown { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn pretend_that_the_candidate_is_known(&mut self) {
        if let Some(control) = self.conductor.as_mut().filter(|_| self.missing == Missing::CandidateKnown) {
            let ack = Ack { generation: control.schedule().begun(), announced: None };
            for gateway in self.log.roster.keys() {
                control.report(gateway, Some(ack), UnixNanos::ZERO).expect("on the roster");
            }
        }
    }

    /// What starts about a cut, and what may belong to it, is what the rule is for.
    fn start_traces_about(&mut self, cut: u64) {
        let far = ticks(self.scenario.window.overlap() + self.scenario.window.skew());
        for root in [cut - 1, cut, cut + 1, cut - self.rng.up_to(far), cut + self.rng.up_to(far)] {
            self.start_trace(root.max(self.now));
        }
    }

    fn commit(&mut self, at: UnixNanos) {
        let (_, weight) = self.scenario.cuts[self.committed];
        let control = self.conductor.as_ref().expect("called by control");
        let schedule = control.schedule().cut(Cut { at, weight }).expect("the scenario's cuts grow");
        self.tally.cuts += 1;
        let ack = Ack { generation: control.schedule().generation(), announced: Some(at) };
        let silent = |id: &GatewayId| {
            let followers = self.gateways.iter().filter(|gateway| gateway.id == *id);
            followers.into_iter().all(|gateway| gateway.follower.as_ref().and_then(|f| f.ack()) < Some(ack))
        };
        self.tally.cuts_past_the_silent += usize::from(self.log.roster.keys().any(silent));
        self.committed += 1;
        self.next_cut_at = self.now + self.scenario.cuts.get(self.committed).map_or(0, |(wait, _)| *wait);
        self.issue(schedule);
    }

    /// Takes an announcement back.
    pub(super) fn withdraw(&mut self) {
        if self.conductor.is_some() {
            self.issue(self.schedule().reissued());
        }
    }

    /// The commit point: the schedule is in the log. Now and then control dies before it can act on it.
    fn issue(&mut self, schedule: Schedule) {
        self.log.schedules.push(schedule.clone());
        self.log.roster = self.conductor.as_ref().expect("called by control").roster();
        if self.rng.percent(5) {
            return self.control_dies(30);
        }
        let control = self.conductor.as_mut().expect("called by control");
        control.issue(schedule).expect("follows the one before");
    }
}
