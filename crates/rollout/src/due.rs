//! State and live inputs to effects.
//!
//! One call asks for at most one ordinary entry: what follows from it is found by the next call, on the state that has
//! it. Whatever is asked for is asked for again until the log says that it happened, so that a crash between any two
//! lines of an executor loses nothing but time.

mod cut;
mod ending;
mod fleet;
mod gates;
mod steps;
mod watch;
mod way_back;

use std::ops::ControlFlow;

use crossfade_routing::{Schedule, ScheduleError, UnixNanos};

use self::fleet::Fleet;
pub(crate) use self::steps::step_end;
pub(crate) use self::watch::looked_at;
use crate::event::{Event, GenerationCause};
use crate::observed::{DueReport, Effect, LogHealth, Observed, Urgency, Waiting};
use crate::state::{Phase, Rollout, State};

/// `Break`: something was asked for that has to be on the record before anything else is decided.
type Flow = ControlFlow<()>;
const NEXT: Flow = ControlFlow::Continue(());
const STOP: Flow = ControlFlow::Break(());

/// What is to be done now, and why nothing else happens.
#[must_use]
pub fn due(state: &State, observed: &Observed, now: UnixNanos) -> (Vec<Effect>, DueReport) {
    let fleet = Fleet::new(state, observed, now);
    let mut out = Out { effects: Vec::new(), report: DueReport::default(), log: &observed.log };
    if let Some(rollout) = &state.rollout {
        out.report.rollout = Some(rollout.id.clone());
        out.report.phase = Some(rollout.phase);
        out.report.step = Some(rollout.step).filter(|_| rollout.step().is_some());
    }
    // Whether the flow stopped is of no interest here: what it asked for says so.
    let _ = all(state, observed, &fleet, now, &mut out);
    (out.effects, out.report)
}

fn all(state: &State, observed: &Observed, fleet: &Fleet<'_>, now: UnixNanos, out: &mut Out<'_>) -> Flow {
    if state.genesis.is_none() {
        out.note(Waiting::Genesis {});
        return NEXT;
    }
    if let (LogHealth::Unwritable { detail }, Some(_)) = (&observed.log, state.current()) {
        out.note(Waiting::Log { detail: detail.clone() });
    }
    let Some(rollout) = state.current() else {
        fleet::keep(state, observed, fleet, now, out)?;
        out.note(if state.roster.is_empty() { Waiting::Gateway {} } else { Waiting::Rollout {} });
        return NEXT;
    };
    let cx = Cx { state, rollout, observed, fleet, now };
    way_back::reported(&cx, out)?;
    fleet::keep(state, observed, fleet, now, out)?;
    way_back::moved(&cx, out)?;
    match rollout.phase {
        Phase::Draft | Phase::Preflight | Phase::AwaitingApproval => gates::preflight(&cx, out),
        Phase::Mirroring | Phase::Shifting { .. } | Phase::Promoted => steps::go_on(&cx, out),
        Phase::RollingBack | Phase::Aborting | Phase::Finalizing => ending::end(&cx, out),
        Phase::RolledBack | Phase::Aborted | Phase::Finalized => NEXT,
    }
}

/// What the decisions about a rollout are made from.
struct Cx<'a> {
    state: &'a State,
    rollout: &'a Rollout,
    observed: &'a Observed,
    fleet: &'a Fleet<'a>,
    now: UnixNanos,
}

/// What is asked for.
struct Out<'a> {
    effects: Vec<Effect>,
    report: DueReport,
    log: &'a LogHealth,
}

impl Out<'_> {
    /// Asks for entries. While the log takes none, nothing that needs them goes on, but the rest does.
    fn record(&mut self, events: Vec<Event>) -> Flow {
        if *self.log != LogHealth::Writable {
            return NEXT;
        }
        self.effects.push(Effect::Record { events, urgency: Urgency::Ordinary });
        STOP
    }

    /// Asks for entries of a way back: if the log does not take them, the emergency file does.
    fn record_emergency(&mut self, events: Vec<Event>) -> Flow {
        self.effects.push(Effect::Record { events, urgency: Urgency::Emergency });
        STOP
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn note(&mut self, waiting: Waiting) {
        self.report.waiting.push(waiting);
    }

    fn wait(&mut self, waiting: Waiting) -> Flow {
        self.note(waiting);
        NEXT
    }

    /// Asks for a new generation.
    fn issue(
        &mut self,
        schedule: Result<Schedule, ScheduleError>,
        why: GenerationCause,
        now: UnixNanos,
        with: impl FnOnce(Event) -> Vec<Event>,
    ) -> Flow {
        match schedule {
            Ok(schedule) => {
                let issued = Event::GenerationIssued { schedule: Box::new(schedule), why, at: now };
                self.record(with(issued))
            }
            Err(error) => self.wait(Waiting::Schedule { why: error.to_string() }),
        }
    }
}

impl Cx<'_> {
    fn schedule(&self) -> Option<&Schedule> {
        self.state.schedule.as_ref()
    }

    /// Whether somebody, or something, has paused the rollout; says so.
    fn is_paused(&self, out: &mut Out<'_>) -> bool {
        if let Some(pause) = &self.rollout.paused {
            out.note(Waiting::Resume { by: pause.by.clone() });
        }
        self.rollout.paused.is_some()
    }
}
