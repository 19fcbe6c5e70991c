//! How the environments are: what the workers' requests tell of them, for the breaker and for people.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crossfade_backends::otlp::{Outcome, Silence};
use crossfade_routing::UnixNanos;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::books::Place;
use crate::breaker::{Breaker, Evidence, Side};
use crate::clock;
use crate::config::BreakerConfig;
use crate::status::BreakerStatus;

/// Shared by all workers; every lock in it is held only while something is noted in memory.
#[derive(Debug)]
pub(crate) struct Vitals {
    signs: Vec<Sign>,
    watch: Mutex<Watch>,
    tripped: UnboundedSender<Tripped>,
}

/// The breaker tripped.
#[derive(Debug)]
pub(crate) struct Tripped {
    /// Which pair of environments it watched.
    pub(crate) watch: u64,
    /// What is wrong with `to`.
    pub(crate) detail: String,
}

/// One environment.
#[derive(Debug)]
struct Sign {
    /// By the last look; an answer counts as one. [`UNKNOWN`], [`REACHABLE`] or [`AWAY`].
    found: AtomicU8,
    /// Unix nanoseconds; 0 = never.
    last_ok: AtomicU64,
    detail: Mutex<String>,
}

const UNKNOWN: u8 = 0;
const REACHABLE: u8 = 1;
const AWAY: u8 = 2;

#[derive(Debug)]
struct Watch {
    breaker: Breaker,
    /// The two sides of the rollout that the breaker watches.
    sides: Option<(Place, Place)>,
    /// Grows whenever that changes.
    number: u64,
}

/// What is known of one environment.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// `None` until the first look, or the first answer.
    pub(crate) reachable: Option<bool>,
    pub(crate) last_ok: Option<UnixNanos>,
    pub(crate) detail: String,
}

impl Vitals {
    pub(crate) fn new(
        environments: usize,
        config: BreakerConfig,
        tripped: UnboundedSender<Tripped>,
    ) -> Vitals {
        let sign = || Sign {
            found: AtomicU8::new(UNKNOWN),
            last_ok: AtomicU64::new(0),
            detail: Mutex::new("not looked at yet".to_owned()),
        };
        let watch = Mutex::new(Watch { breaker: Breaker::new(config), sides: None, number: 0 });
        Vitals { signs: (0..environments).map(|_| sign()).collect(), watch, tripped }
    }

    /// A rollout began or ended: the breaker watches these two from now on, and knows nothing of them yet.
    pub(crate) fn watch(&self, sides: Option<(Place, Place)>) {
        let mut watch = self.lock();
        watch.breaker.reset();
        watch.sides = sides;
        watch.number += 1;
    }

    pub(crate) fn current_watch(&self) -> u64 {
        self.lock().number
    }

    pub(crate) fn breaker(&self) -> BreakerStatus {
        self.lock().breaker.status()
    }

    /// Hears what became of a request. `first`: its first attempt.
    pub(crate) fn hear(&self, place: Place, outcome: &Outcome, first: bool) {
        let evidence = match outcome {
            Outcome::Accepted { .. } => Evidence::Worked,
            Outcome::Unanswered { silence: Silence::Severed, .. } => return,
            Outcome::Unanswered { silence: Silence::Unreachable, .. } => Evidence::Failed,
            _ if first => Evidence::Failed,
            _ => return,
        };
        self.note(place, outcome);
        let mut watch = self.lock();
        let side = match watch.sides {
            Some((from, _)) if from == place => Side::From,
            Some((_, to)) if to == place => Side::To,
            _ => return,
        };
        let from_reachable =
            watch.sides.is_some_and(|(from, _)| self.condition_of(from).reachable == Some(true));
        if let Some(detail) = watch.breaker.hear(side, evidence, Instant::now(), from_reachable) {
            // The steward is gone only when the gateway is.
            let detail = format!("{detail}; the last: {}", outcome.describe());
            let _ = self.tripped.send(Tripped { watch: watch.number, detail });
        }
    }

    /// Hears whether an environment could be connected to.
    pub(crate) fn looked(&self, place: Place, found: Result<(), String>) {
        let Some(sign) = self.signs.get(place) else { return };
        sign.found.store(if found.is_ok() { REACHABLE } else { AWAY }, Ordering::Relaxed);
        sign.say(found.err().unwrap_or_else(|| "reachable".to_owned()));
    }

    pub(crate) fn condition(&self, place: Place) -> Condition {
        let condition = self.condition_of(place);
        let detail = self.signs.get(place).map(|sign| sign.detail.lock().expect("a short lock").clone());
        Condition { detail: detail.unwrap_or_default(), ..condition }
    }

    fn condition_of(&self, place: Place) -> Condition {
        let sign = self.signs.get(place);
        let last_ok = sign.map_or(0, |sign| sign.last_ok.load(Ordering::Relaxed));
        Condition {
            reachable: match sign.map_or(UNKNOWN, |sign| sign.found.load(Ordering::Relaxed)) {
                UNKNOWN => None,
                found => Some(found == REACHABLE),
            },
            last_ok: (last_ok > 0).then_some(UnixNanos(last_ok)),
            detail: String::new(),
        }
    }

    fn note(&self, place: Place, outcome: &Outcome) {
        let Some(sign) = self.signs.get(place) else { return };
        let unreachable = matches!(outcome, Outcome::Unanswered { silence: Silence::Unreachable, .. });
        let found = if unreachable { AWAY } else { REACHABLE };
        let was_reachable = sign.found.swap(found, Ordering::Relaxed) == REACHABLE;
        if outcome.is_clean() {
            sign.last_ok.store(clock::now().0, Ordering::Relaxed);
            if !was_reachable {
                sign.say("reachable".to_owned());
            }
        } else {
            sign.say(outcome.describe());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("nothing panics while it holds this lock")
    }
}

impl Sign {
    fn say(&self, detail: String) {
        *self.detail.lock().expect("a short lock") = detail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_look_nothing_is_known() {
        let (tripped, _trips) = tokio::sync::mpsc::unbounded_channel();
        let vitals = Vitals::new(2, BreakerConfig::default(), tripped);
        let reachable = || [vitals.condition(0).reachable, vitals.condition(1).reachable];
        assert_eq!(reachable(), [None, None]);
        vitals.looked(0, Err("connection refused".to_owned()));
        assert_eq!(reachable(), [Some(false), None]);
        vitals.hear(1, &Outcome::Accepted { rejected_spans: 0, message: String::new() }, true);
        vitals.looked(0, Ok(()));
        assert_eq!(reachable(), [Some(true), Some(true)]);
        assert_eq!(vitals.condition(2).reachable, None, "no such environment");
    }
}
