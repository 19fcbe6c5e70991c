//! What a worker routes by, and the cell in which it finds it.

use std::sync::{Arc, Mutex};

use crossfade_routing::{Decision, Destinations, EnvironmentId, Generation, Protection, Router, Stage};

use crate::books::Place;
use crate::breaker::Side;
use crate::dispatch::{FROM, SPARE};

/// A compiled schedule, with its two sides resolved to places.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) router: Router,
    pub(crate) from: Place,
    pub(crate) to: Option<Place>,
    /// The side whose answer the client hears.
    pub(crate) answers: Side,
}

impl Route {
    /// Fails with the name of an environment that is not configured.
    pub(crate) fn new(router: Router, environments: &[EnvironmentId]) -> Result<Route, EnvironmentId> {
        let place = |wanted: &EnvironmentId| {
            environments.iter().position(|environment| environment == wanted).ok_or_else(|| wanted.clone())
        };
        let schedule = router.schedule();
        let from = place(schedule.from())?;
        let to = schedule.to().map(place).transpose()?;
        let answers = if schedule.answering() == Destinations::TO { Side::To } else { Side::From };
        Ok(Route { from, to, answers, router })
    }

    pub(crate) fn generation(&self) -> Generation {
        self.router.generation()
    }

    /// Whether the client's answer waits for this environment.
    pub(crate) fn is_awaited(&self, place: Place) -> bool {
        let answers = match self.answers {
            Side::From => self.from,
            Side::To => self.to.unwrap_or(self.from),
        };
        self.router.protection() == Protection::Split || answers == place
    }

    /// The parts of a split that a span belongs to (see `dispatch`).
    pub(crate) fn parts(&self, decision: &Decision) -> u8 {
        const SPARE_PART: u8 = 1 << SPARE;
        let set = decision.set.bits();
        match (self.to, self.router.protection(), decision.spare.bits()) {
            (None, _, _) => 1 << FROM,
            (Some(_), Protection::Split, _) | (Some(_), Protection::Copy, 0) => set,
            (Some(_), Protection::Copy, spare) => set & !spare | SPARE_PART,
        }
    }

    /// The two sides, while there are two and they may both be sent to.
    pub(crate) fn sides(&self) -> Option<(Place, Place)> {
        let fenced = matches!(self.router.schedule().stage(), Stage::Fenced {});
        self.to.filter(|_| !fenced).map(|to| (self.from, to))
    }
}

/// Holds a worker's route. Only the worker's own thread changes it, so that between two awaits it stays the same.
#[derive(Debug, Default)]
pub(crate) struct RouteCell {
    route: Mutex<Option<Arc<Route>>>,
}

impl RouteCell {
    pub(crate) fn get(&self) -> Option<Arc<Route>> {
        self.lock().clone()
    }

    pub(crate) fn set(&self, route: Arc<Route>) {
        *self.lock() = Some(route);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Route>>> {
        self.route.lock().expect("nothing panics while it holds this lock")
    }
}
