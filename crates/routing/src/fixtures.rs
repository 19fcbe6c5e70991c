//! What the tests of this crate begin with.

use std::time::Duration;

use crate::{Begin, Cut, EnvironmentId, GatewayId, Schedule, Seed, UnixNanos, Weight, Window};

pub(crate) fn environment(name: &str) -> EnvironmentId {
    EnvironmentId::new(name).unwrap()
}

pub(crate) fn gateway(name: &str) -> GatewayId {
    GatewayId::new(name).unwrap()
}

pub(crate) fn percent(text: &str) -> Weight {
    Weight::from_percent_str(text).unwrap()
}

pub(crate) fn ticks(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// overlap 100, skew 30, gamma 2
pub(crate) fn window() -> Window {
    Window::new(ticks(100), ticks(30), ticks(2)).unwrap()
}

pub(crate) fn cut(at: u64, weight: &str) -> Cut {
    Cut { at: UnixNanos(at), weight: percent(weight) }
}

/// blue -> green, before the first cut: generation 2.
pub(crate) fn candidate() -> Schedule {
    let begin =
        Begin { rollout: "tempo-3".to_owned(), to: environment("green"), seed: Seed(42), window: window() };
    Schedule::genesis(environment("blue")).begin(begin).unwrap()
}

/// blue -> green with these cuts.
pub(crate) fn with_cuts(cuts: &[(u64, &str)]) -> Schedule {
    cuts.iter().fold(candidate(), |schedule, (at, weight)| schedule.cut(cut(*at, weight)).unwrap())
}
