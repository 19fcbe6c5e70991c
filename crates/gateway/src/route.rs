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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossfade_routing::{Begin, Cut, Schedule, Seed, TraceId, UnixNanos, Weight, Window};
    use proptest::prelude::*;

    use super::*;
    use crate::dispatch::TO;

    const OVERLAP: Duration = Duration::from_nanos(100);
    const SKEW: Duration = Duration::from_nanos(30);

    fn share(ppm: u32) -> Weight {
        Weight::from_ppm(ppm).unwrap()
    }

    /// One of each stage; cuts between 1,000 and 2,000.
    fn schedules() -> impl Strategy<Value = Schedule> {
        let cuts = prop::collection::btree_map(1_000..2_000_u64, 1..1_000_000_u32, 0..4);
        (cuts, 0..=1_000_000_u32, 0..6_u8, any::<u64>()).prop_map(|(cuts, mirror, stage, seed)| {
            let single = Schedule::genesis(EnvironmentId::new("blue").unwrap());
            let to = EnvironmentId::new("green").unwrap();
            let window = Window::new(OVERLAP, SKEW, Duration::from_nanos(2)).unwrap();
            let begin = Begin { rollout: "r".to_owned(), to, seed: Seed(seed), window };
            let begun = single.begin(begin).unwrap();
            let add = |schedule: Schedule, (at, ppm): (u64, u32)| {
                schedule.cut(Cut { at: UnixNanos(at), weight: share(ppm) }).unwrap_or(schedule)
            };
            let shifted = cuts.into_iter().fold(begun, add);
            let full = || shifted.cut(Cut { at: UnixNanos(2_000), weight: Weight::FULL }).unwrap();
            match stage {
                0 => single,
                1 => shifted.fenced().unwrap(),
                2 => full().promoted(true).unwrap(),
                3 => full().promoted(false).unwrap(),
                4 => shifted.mirrored(share(mirror)).unwrap(),
                _ => shifted,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Scenario: any schedule, any span, clocks that are wrong among them. Guarantee: the parts of a split, each to the side
        /// that it is sent to, are what was decided, no more and no less; and what may be shed first is never what answers.
        #[test]
        fn the_parts_are_what_was_decided(
            schedule in schedules(), trace: [u8; 16], edge in 900..3_000_u64, start in 0..2_500_u64,
            length in 0..100_u64, age in 0..60_u64, split: bool,
        ) {
            let protection = if split { Protection::Split } else { Protection::Copy };
            let router = Router::new(&schedule, UnixNanos(edge), protection);
            let names = ["blue", "green"].map(|name| EnvironmentId::new(name).unwrap());
            let route = Route::new(router, &names).unwrap();
            let [end, arrival] = [start + length, start + length + age].map(UnixNanos);
            let decision = route.router.route(&TraceId(trace), UnixNanos(start), end, arrival);
            let parts = route.parts(&decision);
            let has = |part: usize| parts >> part & 1 == 1;
            let is_sent = |side: usize, place: Option<Place>| {
                let spare = has(SPARE) && place.is_some_and(|place| !route.is_awaited(place));
                place.is_some() && (has(side) || spare)
            };
            let sent = [is_sent(FROM, Some(route.from)), is_sent(TO, route.to)];
            prop_assert_eq!(sent, [Destinations::FROM, Destinations::TO].map(|side| decision.set.contains(side)));
            let answers = if route.answers == Side::From { FROM } else { TO };
            prop_assert!(split || has(answers), "the side that answers has everything");
            prop_assert!(!has(SPARE) || !split && route.to.is_some() && !has(FROM + TO - answers), "once, beside the answer");
            prop_assert!(parts < 1 << (SPARE + 1));
        }
    }
}
