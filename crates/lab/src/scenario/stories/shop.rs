//! A larger queue in front of storage: once all is well, once the candidate begins to fail when it owns a quarter.

use super::super::{Scenario, Side, TimedFault};
use crate::environment::{Faults, Refusal, Share};
use crate::measure::Expected;
use crate::traffic::TrafficConfig;
use crossfade_routing::Weight;
use std::time::Duration;

/// What serves now.
pub(super) const BLUE: &str = include_str!("../../../scenarios/blue.yaml");
/// The same with a larger queue: what every story declares.
pub(super) const GREEN: &str = include_str!("../../../scenarios/green.yaml");

pub(super) fn stories() -> [Scenario; 2] {
    let good = Scenario {
        name: "good",
        about: "a new version with a declared change works, and is promoted",
        unasked: true,
        expected: Expected::Promoted,
        rollout: include_str!("../../../scenarios/good.yaml"),
        blue: Side::plain(BLUE),
        green: Side::plain(GREEN),
        past: Vec::new(),
        traffic: TrafficConfig::default(),
        fault: None,
    };
    let bad = Scenario {
        name: "bad",
        about: "a candidate that owns 25 % begins to refuse requests, and is rolled back by the analysis",
        expected: Expected::RolledBack,
        rollout: include_str!("../../../scenarios/bad.yaml"),
        fault: Some(TimedFault {
            weight: Weight::from_ppm(250_000).expect("a quarter"),
            after: Duration::from_secs(7),
            // Far too few for a breaker, which looks for a candidate that is gone.
            faults: Faults { refuse: Some(Refusal::unavailable(Share::percent(20))), ..Faults::default() },
        }),
        ..good.clone()
    };
    [good, bad]
}
