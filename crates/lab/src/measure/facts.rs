//! What the log says about a rollout, as far as routing goes.

use super::{Cause, Outcome};
use crossfade_rollout::event::{GenerationCause, Outcome as GateOutcome, RollbackReason};
use crossfade_rollout::{Entry, Event, RolloutId};
use crossfade_routing::{Cut, Schedule, Seed, UnixNanos, Weight, Window};

/// When which traces were whose.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutFacts {
    /// Of the rollout's hash.
    pub seed: Seed,
    /// Overlap, skew and gamma of the schedule.
    pub window: Window,
    /// When the first mirror took effect, and its share.
    pub mirror: Option<(UnixNanos, Weight)>,
    /// The committed cuts, in order.
    pub cuts: Vec<AnnouncedCut>,
    /// When it was decided to roll back or to give up, if it was: the verdict, or the command, gate or fence where there was none.
    pub verdict: Option<UnixNanos>,
    /// What it was rolled back for, if it was.
    pub cause: Option<Cause>,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
}

/// A committed cut, with the time of its first announcement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnnouncedCut {
    /// When gateways were first told of a cut to this weight.
    pub announced: UnixNanos,
    /// The cut as committed.
    pub cut: Cut,
}

impl RolloutFacts {
    fn new(seed: Seed, window: Window) -> RolloutFacts {
        RolloutFacts {
            seed,
            window,
            mirror: None,
            cuts: Vec::new(),
            verdict: None,
            cause: None,
            outcome: None,
        }
    }

    /// Reads them from the entries of a log. `None` if the log does not know the rollout.
    pub fn from_log<'a>(
        rollout: &RolloutId,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Option<RolloutFacts> {
        let mut reader = Reader { rollout, facts: None, announced: Vec::new(), failed: None };
        entries.into_iter().for_each(|entry| reader.read(&entry.event));
        reader.facts
    }
}

/// A log that is being read.
struct Reader<'a> {
    rollout: &'a RolloutId,
    facts: Option<RolloutFacts>,
    /// Every announcement, in order: the first one of a weight is found first.
    announced: Vec<(Weight, UnixNanos)>,
    /// The last verdict that failed it.
    failed: Option<UnixNanos>,
}

impl Reader<'_> {
    fn read(&mut self, event: &Event) {
        if let Some(schedule) = event.schedule() {
            self.route(schedule, event);
        } else if event.rollout() == Some(self.rollout) {
            self.happen(event);
        }
    }

    fn route(&mut self, schedule: &Schedule, event: &Event) {
        if schedule.rollout() != Some(self.rollout.as_str()) {
            return;
        }
        let facts = self.facts.get_or_insert_with(|| RolloutFacts::new(schedule.seed(), *schedule.window()));
        match event {
            Event::GenerationIssued { why: GenerationCause::Mirror, at, .. } => {
                facts.mirror.get_or_insert((*at, schedule.mirror()));
            }
            Event::CutCommitted { at, .. } => {
                let Some(cut) = schedule.cuts().last().copied() else { return };
                let first = self.announced.iter().find(|(weight, _)| *weight == cut.weight);
                facts.cuts.push(AnnouncedCut { announced: first.map_or(*at, |(_, at)| *at), cut });
            }
            _ => {}
        }
    }

    fn happen(&mut self, event: &Event) {
        if let Event::CutAnnounced { weight, at, .. } = event {
            self.announced.push((*weight, *at));
        }
        if let Event::VerdictReached { outcome: GateOutcome::Fail, at, .. } = event {
            self.failed = Some(*at);
        }
        if let Event::RolloutDrafted { outline, .. } = event {
            // One that is stopped by its first gates is never named to a gateway.
            self.facts.get_or_insert_with(|| RolloutFacts::new(outline.seed, outline.window));
        }
        let Some(facts) = &mut self.facts else { return };
        if let Event::RollbackStarted { reason, .. } = event {
            facts.cause = Some(match reason {
                RollbackReason::Verdict { .. } => Cause::Verdict,
                RollbackReason::Fence { .. } => Cause::Fence,
                RollbackReason::Gate { .. } => Cause::Gate,
                RollbackReason::Command { .. } => Cause::Command,
                RollbackReason::Snapshots { .. } => Cause::Snapshots,
            });
        }
        match event {
            Event::RollbackStarted { reason: RollbackReason::Verdict { .. }, at, .. } => {
                facts.verdict = Some(self.failed.unwrap_or(*at));
            }
            Event::RollbackStarted { at, .. } | Event::AbortStarted { at, .. } => facts.verdict = Some(*at),
            Event::Finalized { .. } => facts.outcome = Some(Outcome::Promoted),
            Event::RolledBack { .. } => facts.outcome = Some(Outcome::RolledBack),
            Event::Aborted { .. } => facts.outcome = Some(Outcome::Stopped),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossfade_rollout::Actor;
    use crossfade_routing::{Begin, EnvironmentId};

    const MIRRORED: u64 = 20;

    fn percent(percent: u32) -> Weight {
        Weight::from_ppm(percent * 10_000).unwrap()
    }

    fn candidate(rollout: &str) -> Schedule {
        let name = |name| EnvironmentId::new(name).unwrap();
        let begin =
            Begin { rollout: rollout.into(), to: name("green"), seed: Seed(9), window: Window::default() };
        Schedule::genesis(name("blue")).begin(begin).unwrap()
    }

    fn issued(schedule: &Schedule, why: GenerationCause, at: u64) -> Event {
        Event::GenerationIssued { schedule: Box::new(schedule.clone()), why, at: UnixNanos(at) }
    }

    /// An announcement, and with a schedule the commit of it.
    fn cut(
        rollout: &RolloutId,
        before: &Schedule,
        weight: Weight,
        times: [u64; 3],
        attempts: u32,
    ) -> (Schedule, Vec<Event>) {
        let [announced, cut_at, committed] = times;
        let (step, rollout) = (1, rollout.clone());
        let announce = |attempt| Event::CutAnnounced {
            rollout: rollout.clone(),
            step,
            generation: before.generation(),
            attempt,
            cut_at: UnixNanos(cut_at),
            weight,
            at: UnixNanos(announced + u64::from(attempt)),
        };
        let mut events: Vec<_> = (1..=attempts).map(announce).collect();
        let after = before.cut(Cut { at: UnixNanos(cut_at), weight }).unwrap();
        let (schedule, at) = (Box::new(after.clone()), UnixNanos(committed));
        events.push(Event::CutCommitted { rollout, step, schedule, at });
        (after, events)
    }

    /// Scenario: a rollout is mirrored, cut twice (the second cut is announced twice) and fails; another one came before.
    /// Guarantee: the facts are those of the rollout that was asked for, with the first announcement of each cut.
    #[test]
    fn they_are_read_from_the_log() {
        let (other, rollout): (RolloutId, RolloutId) = ("before".parse().unwrap(), "it".parse().unwrap());
        let begun = candidate("it");
        let mirrored = begun.mirrored(percent(5)).unwrap();
        let (first, first_cut) = cut(&rollout, &mirrored, percent(25), [30, 40, 35], 1);
        let (_, second_cut) = cut(&rollout, &first, percent(50), [60, 80, 75], 2);
        let (_, foreign_cut) = cut(&other, &candidate("before"), percent(50), [1, 3, 2], 1);
        let started = vec![
            issued(&begun, GenerationCause::CandidateNamed, 10),
            issued(&mirrored, GenerationCause::Mirror, MIRRORED),
        ];
        let events = [foreign_cut, started, first_cut, second_cut, way_back(&rollout)].concat();
        let entry = |event| Entry::new(Actor::control(), UnixNanos(0), event);
        let entries: Vec<_> = events.into_iter().map(entry).collect();

        let facts = RolloutFacts::from_log(&rollout, &entries).unwrap();
        let expected = |announced, at, weight| AnnouncedCut {
            announced: UnixNanos(announced),
            cut: Cut { at: UnixNanos(at), weight },
        };
        assert_eq!(facts.cuts, [expected(31, 40, percent(25)), expected(61, 80, percent(50))]);
        assert_eq!(facts.mirror, Some((UnixNanos(MIRRORED), percent(5))));
        assert_eq!((facts.seed, facts.window), (Seed(9), Window::default()));
        assert_eq!((facts.verdict, facts.outcome), (Some(UnixNanos(90)), Some(Outcome::RolledBack)));
        assert_eq!(facts.cause, Some(Cause::Verdict));

        let count = entries.len();
        let by_command = [&entries[..count - 3], &entries[count - 2..]].concat();
        let facts = RolloutFacts::from_log(&rollout, &by_command).unwrap();
        assert_eq!(facts.verdict, Some(UnixNanos(91)), "without a verdict it is the decision to go back");
        let held = RolloutFacts::from_log(&rollout, &entries[..count - 2]).unwrap();
        assert_eq!((held.verdict, held.outcome), (None, None), "a verdict alone takes nothing back");
        assert_eq!(RolloutFacts::from_log(&"never".parse().unwrap(), &entries), None);
    }

    /// A failing verdict, the rollback that follows, and its end.
    fn way_back(rollout: &RolloutId) -> Vec<Event> {
        let verdict = Event::VerdictReached {
            rollout: rollout.clone(),
            step: 1,
            outcome: GateOutcome::Fail,
            why: "it refuses".into(),
            readings: Vec::new(),
            first_failure: Some(UnixNanos(85)),
            at: UnixNanos(90),
        };
        let started = Event::RollbackStarted {
            rollout: rollout.clone(),
            reason: RollbackReason::Verdict { why: "it refuses".into() },
            lossless: true,
            at: UnixNanos(91),
        };
        vec![verdict, started, Event::RolledBack { rollout: rollout.clone(), at: UnixNanos(95) }]
    }
}
