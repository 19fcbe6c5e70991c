//! Control's side of announce, acknowledge, commit: who is on the roster, what each has been promised, and whether an
//! announced cut may be committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::directive::{Ack, Directive};
use crate::id::GatewayId;
use crate::schedule::{Generation, Schedule, Stage};
use crate::time::UnixNanos;

/// The state machine of the control plane. Pure: the caller logs, sends and reads the clock.
#[derive(Clone, Debug)]
pub struct Conductor {
    schedule: Schedule,
    /// Whether this conductor issued the schedule, so that all announcements under it are its own.
    own: bool,
    announced: Option<UnixNanos>,
    members: BTreeMap<GatewayId, Member>,
    /// No horizon beyond it has been granted, or will be before a later one is durable.
    watermark: UnixNanos,
    horizon: Duration,
}

/// What control knows of one gateway. Whatever is not known is assumed at its worst.
#[derive(Clone, Debug)]
struct Member {
    /// The newest generation that it is known to have taken.
    generation: Option<Generation>,
    /// Control's clock as it first knew that the gateway has taken a generation that names the candidate.
    aware_at: Option<UnixNanos>,
    /// Control's clock as it first heard an acknowledgement of an announcement under the current generation. That of an
    /// earlier announcement counts for a later one: the edge lies before both.
    acknowledged_at: Option<UnixNanos>,
    /// The latest horizon that it may hold.
    horizon: UnixNanos,
    /// The generation that it was last sent.
    offered: Option<Generation>,
}

/// Where one gateway stands towards an announced cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing that it has routed or can route contradicts the cut.
    Ready,
    /// Not known to have taken the generation that names the candidate.
    Unaware,
    /// Its horizon lies past the cut, and it has not acknowledged.
    Silent,
    /// It acknowledged too late for this cut.
    Late,
}

impl Member {
    /// It may have been granted anything up to the watermark, by an earlier control plane or before it was struck.
    fn unknown(watermark: UnixNanos) -> Member {
        Member { generation: None, aware_at: None, acknowledged_at: None, horizon: watermark, offered: None }
    }

    fn standing(&self, cut: UnixNanos, gamma: Duration) -> Standing {
        let in_time = |received_at: UnixNanos| received_at.plus(gamma) < cut;
        match (self.aware_at, self.acknowledged_at) {
            (None, _) => Standing::Unaware,
            (Some(aware_at), _) if !in_time(aware_at) => Standing::Late,
            (Some(_), _) if self.horizon <= cut => Standing::Ready,
            (Some(_), None) => Standing::Silent,
            (Some(_), Some(acknowledged_at)) if in_time(acknowledged_at) => Standing::Ready,
            (Some(_), Some(_)) => Standing::Late,
        }
    }

    /// The moment that a cut must lie after, so that this gateway is not late for it again.
    fn late_until(&self, gamma: Duration) -> UnixNanos {
        self.aware_at.max(self.acknowledged_at).unwrap_or_default().plus(gamma)
    }
}

/// Whether the announced cut may be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is announced.
    Idle,
    /// No gateway can ever contradict the cut: log it, then [`Conductor::issue`] the schedule that has it.
    Commit { at: UnixNanos },
    /// These gateways have not acknowledged yet. At `until` it is too late for them to.
    WaitFor { gateways: BTreeSet<GatewayId>, until: UnixNanos },
    /// The announced time can no longer be committed because of these gateways. Announce a later one, not before
    /// `not_before`; at `sure` it needs no word from those of them that are silent.
    Reannounce { gateways: BTreeSet<GatewayId>, not_before: UnixNanos, sure: Option<UnixNanos> },
}

/// Why the conductor refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConductorError {
    #[error("gateway {gateway} is not on the roster")]
    NotOnRoster { gateway: GatewayId },
    #[error("generation {offered} does not follow {held}")]
    GenerationNotNewer { held: Generation, offered: Generation },
    #[error("a cut at {at} was not announced")]
    CutNotAnnounced { at: UnixNanos },
    #[error("generation {generation} has no candidate to shift to")]
    NoCandidate { generation: Generation },
    #[error(
        "generation {generation} was issued by an earlier control plane; issue the next one before a cut is announced"
    )]
    Inherited { generation: Generation },
    #[error("a cut cannot be announced at {at}, only from {earliest} on")]
    CutTooEarly { at: UnixNanos, earliest: UnixNanos },
    #[error("these gateways have not acknowledged generation {begun}, which names the candidate: {}", list(.gateways))]
    CandidateUnknown { begun: Generation, gateways: BTreeSet<GatewayId> },
}

fn list(gateways: &BTreeSet<GatewayId>) -> String {
    let names: Vec<&str> = gateways.iter().map(GatewayId::as_str).collect();
    names.join(", ")
}

impl Conductor {
    /// How far ahead a gateway in touch may rely on its schedule, unless the skew asks for more.
    pub const HORIZON: Duration = Duration::from_secs(600);

    /// As the log says it is. `roster`: every gateway that was not struck, with the newest generation that it is on
    /// record to have acknowledged, if any. `watermark`: the last durable one; zero if there is none. Acknowledgements of
    /// announcements are not on record: they are heard again.
    #[must_use]
    pub fn new(
        schedule: Schedule,
        roster: BTreeMap<GatewayId, Option<Generation>>,
        watermark: UnixNanos,
        now: UnixNanos,
    ) -> Conductor {
        let begun = schedule.begun();
        let member = |generation| Member {
            generation,
            aware_at: (generation >= Some(begun)).then_some(now),
            ..Member::unknown(watermark)
        };
        let members = roster.into_iter().map(|(gateway, known)| (gateway, member(known))).collect();
        Conductor { schedule, own: false, announced: None, members, watermark, horizon: Conductor::HORIZON }
    }

    /// Another length of horizons than [`Conductor::HORIZON`]. Whatever is set, they have at least four times the skew:
    /// of a shorter one hardly a span would lie within the horizon less skew.
    #[must_use]
    pub fn with_horizon(self, horizon: Duration) -> Conductor {
        Conductor { horizon, ..self }
    }

    /// As if an inherited generation were its own, to see what goes wrong.
    #[cfg(test)]
    pub(crate) fn pretend_own(&mut self) {
        self.own = true;
    }

    fn horizon(&self) -> Duration {
        self.horizon.max(self.schedule.window().skew() * 4)
    }

    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    #[must_use]
    pub fn announced(&self) -> Option<UnixNanos> {
        self.announced
    }

    #[must_use]
    pub fn watermark(&self) -> UnixNanos {
        self.watermark
    }

    /// Every gateway on the roster, with the newest generation that it is known to have acknowledged.
    #[must_use]
    pub fn roster(&self) -> BTreeMap<GatewayId, Option<Generation>> {
        self.members.iter().map(|(gateway, member)| (gateway.clone(), member.generation)).collect()
    }

    /// Puts a gateway on the roster. The caller has logged it, and answers the gateway only from now on.
    pub fn enlist(&mut self, gateway: GatewayId) {
        let unknown = Member::unknown(self.watermark);
        self.members.entry(gateway).or_insert(unknown);
    }

    /// Takes a gateway off the roster. The caller has logged it: nobody waits for that gateway again, and what it
    /// still routes is outside the promise.
    pub fn strike(&mut self, gateway: &GatewayId) {
        self.members.remove(gateway);
    }

    /// Hears what a gateway has durably taken. `received_at` is control's clock.
    pub fn report(
        &mut self,
        gateway: &GatewayId,
        ack: Option<Ack>,
        received_at: UnixNanos,
    ) -> Result<(), ConductorError> {
        let (begun, current, latest) = (self.schedule.begun(), self.schedule.generation(), self.announced);
        let member = self.member(gateway)?;
        let Some(ack) = ack else { return Ok(()) };
        member.generation = member.generation.max(Some(ack.generation));
        if ack.generation >= begun {
            member.aware_at = member.aware_at.or(Some(received_at));
        }
        // An announcement that was never made comes from nowhere, and counts for nothing.
        let announced = ack.announced.is_some() && ack.announced <= latest;
        if ack.generation == current && announced {
            member.acknowledged_at = member.acknowledged_at.or(Some(received_at));
        }
        Ok(())
    }

    fn member(&mut self, gateway: &GatewayId) -> Result<&mut Member, ConductorError> {
        let unknown = || ConductorError::NotOnRoster { gateway: gateway.clone() };
        self.members.get_mut(gateway).ok_or_else(unknown)
    }

    /// Those on the roster that are not known to have taken `generation` or a later one.
    #[must_use]
    pub fn behind(&self, generation: Generation) -> BTreeSet<GatewayId> {
        let behind = self.members.iter().filter(|(_, member)| member.generation < Some(generation));
        behind.map(|(gateway, _)| gateway.clone()).collect()
    }

    /// Announces a cut at `at`, or announces it again, later.
    ///
    /// Refused while any gateway on the roster may not know the candidate: past its horizon it would send "both" to one.
    /// Refused under a generation of an earlier control plane, whose announcements may still be on their way, both to
    /// gateways and back: [`Conductor::issue`] the [`reissued`](Schedule::reissued) schedule first.
    pub fn announce(&mut self, at: UnixNanos) -> Result<(), ConductorError> {
        let generation = self.schedule.generation();
        if !matches!(self.schedule.stage(), Stage::Candidate {}) {
            return Err(ConductorError::NoCandidate { generation });
        }
        if !self.own {
            return Err(ConductorError::Inherited { generation });
        }
        let begun = self.schedule.begun();
        let gateways = self.behind(begun);
        if !gateways.is_empty() {
            return Err(ConductorError::CandidateUnknown { begun, gateways });
        }
        let committed = self.schedule.cuts().last().map(|cut| cut.at.plus(Duration::from_nanos(1)));
        let earliest = self.announced.max(committed).unwrap_or_default().max(self.schedule.earliest_cut());
        if at < earliest {
            return Err(ConductorError::CutTooEarly { at, earliest });
        }
        self.announced = Some(at);
        Ok(())
    }

    /// Whether the announced cut may be committed.
    ///
    /// It may once each gateway either has acknowledged in time (receipt + gamma < cut: all that it routed
    /// under a later edge had started before the cut), or holds no horizon past the cut (what starts after it goes to both).
    #[must_use]
    pub fn verdict(&self, now: UnixNanos) -> Verdict {
        let Some(cut) = self.announced else { return Verdict::Idle };
        let gamma = self.schedule.window().gamma();
        let standings = self.members.iter().map(|(id, member)| (id, member, member.standing(cut, gamma)));
        let blocking: Vec<_> = standings.filter(|(.., standing)| *standing != Standing::Ready).collect();
        if blocking.is_empty() {
            return Verdict::Commit { at: cut };
        }
        let gateways = blocking.iter().map(|(gateway, ..)| (*gateway).clone()).collect();
        if now.plus(gamma) < cut {
            return Verdict::WaitFor { gateways, until: cut.minus(gamma) };
        }
        let late_until = blocking.iter().map(|(_, member, _)| member.late_until(gamma)).max();
        let late_until = late_until.unwrap_or_default().max(now.plus(gamma));
        let not_before = late_until.plus(Duration::from_nanos(1));
        let needs = |(_, member, standing): &(_, &Member, Standing)| match standing {
            Standing::Ready | Standing::Late => Some(not_before),
            Standing::Silent => Some(member.horizon.max(not_before)),
            Standing::Unaware => None,
        };
        let sure =
            blocking.iter().map(needs).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        Verdict::Reannounce { gateways, not_before, sure }
    }

    /// Goes over to a schedule that is durable in the log. What was announced under the old one is void.
    pub fn issue(&mut self, schedule: Schedule) -> Result<(), ConductorError> {
        let (held, offered) = (self.schedule.generation(), schedule.generation());
        if offered <= held {
            return Err(ConductorError::GenerationNotNewer { held, offered });
        }
        let same = schedule.begun() == self.schedule.begun();
        let known = if same { self.schedule.cuts() } else { &[] };
        if let Some(cut) =
            schedule.cuts().iter().find(|cut| !known.contains(cut) && Some(cut.at) != self.announced)
        {
            return Err(ConductorError::CutNotAnnounced { at: cut.at });
        }
        self.schedule = schedule;
        self.own = true;
        self.announced = None;
        for member in self.members.values_mut() {
            member.acknowledged_at = None;
            member.aware_at = member.aware_at.filter(|_| same);
        }
        Ok(())
    }

    /// What a gateway is told now, with as long a horizon as it may be granted.
    pub fn directive(&mut self, gateway: &GatewayId, now: UnixNanos) -> Result<Directive, ConductorError> {
        let horizon = self.grant(gateway, now)?;
        Ok(Directive { schedule: self.schedule.clone(), announced: self.announced, horizon })
    }

    /// Never past the watermark; never past the announced cut, where the edge lies anyway; and no further to a gateway
    /// that was sent this generation and has not taken it, so that one that refuses runs out of its horizon.
    fn grant(&mut self, gateway: &GatewayId, now: UnixNanos) -> Result<UnixNanos, ConductorError> {
        let wanted = now.plus(self.horizon()).min(self.announced.unwrap_or(UnixNanos::MAX));
        let (watermark, current) = (self.watermark, Some(self.schedule.generation()));
        let member = self.member(gateway)?;
        let refused = member.offered == current && member.generation < current;
        let granted = wanted.min(if refused { member.horizon } else { watermark });
        member.offered = current;
        member.horizon = member.horizon.max(granted);
        Ok(granted)
    }

    /// The watermark to make durable next, if the one there is no longer allows full horizons.
    #[must_use]
    pub fn wants_watermark(&self, now: UnixNanos) -> Option<UnixNanos> {
        let shifting = !matches!(self.schedule.stage(), Stage::Single {} | Stage::Fenced {});
        (shifting && self.watermark < now.plus(self.horizon())).then(|| self.next_watermark(now))
    }

    /// Two horizons ahead: a log entry for each horizon that passes.
    #[must_use]
    pub fn next_watermark(&self, now: UnixNanos) -> UnixNanos {
        now.plus(self.horizon() * 2)
    }

    /// `watermark` is durable in the log.
    pub fn watermark_is_durable(&mut self, watermark: UnixNanos) {
        self.watermark = self.watermark.max(watermark);
    }
}

#[cfg(test)]
mod tests;
