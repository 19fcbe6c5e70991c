//! A clinic's patient management. Its tests met a simulator of the insurer, which answers at once where the real one is slow, and never the
//! laboratory; and nobody asked how the candidate does under load; once more with tests that call the real ones, and a candidate that is quick enough.

use super::super::{Past, Scenario, Side};
use super::shop::{BLUE, GREEN};
use crate::environment::Faults;
use crate::measure::{Expected, Must};
use crate::traffic::{Business, TrafficConfig};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// More than the spec allows.
const SLOW: Duration = Duration::from_millis(1_500);
/// What tells traces of the test run from others.
const TESTS: &[(&str, &str)] = &[("deployment.environment.name", "test")];

const FINDINGS: &[Must] = &[
    Must::recorded("dependencies", "CF-DEPS-001", &["laboratory -> http lims.laboratory.example"]),
    Must::recorded(
        "dependencies",
        "CF-DEPS-002",
        &["billing -> http api.insurer.example", "http insurer-mock:8080"],
    ),
    Must::recorded(
        "dependencies",
        "CF-DEPS-003",
        &[
            "billing -> http api.insurer.example",
            "live than it ever did in tests",
            "against 95th percentile 2.0 ms",
        ],
    ),
    Must::planned("load", "CF-LOAD-001", &["green hold", "p99", "800 spans/s"]),
];

pub(super) fn stories() -> [Scenario; 2] {
    let live = Past { in_green: false, ..Past::whole(120 * MINUTE..10 * MINUTE, 300) };
    // Of the insurer's calls, three in ten, a 95th percentile must have a bound.
    let tests = Past { in_blue: false, marks: TESTS, ..Past::whole(60 * MINUTE..40 * MINUTE, 600) };
    let simulated = Past { business: Some(Business::ClinicSimulated), ..tests.clone() };
    let clinic = Scenario {
        name: "clinic",
        about: "tests met a simulator of the slow insurer and never the laboratory, and the candidate is slow under load",
        unasked: false,
        expected: Expected::Stopped(FINDINGS),
        rollout: include_str!("../../../scenarios/clinic.yaml"),
        blue: Side::plain(BLUE),
        green: Side { faults: Faults { delay: SLOW, ..Faults::none() }, ..Side::plain(GREEN) },
        past: vec![live.clone(), simulated],
        traffic: TrafficConfig {
            business: Business::Clinic,
            traces_per_second: 150,
            longest_trace: Duration::from_secs(1),
            ..TrafficConfig::default()
        },
        fault: None,
    };
    let repaired = Scenario {
        name: "clinic-repaired",
        about: "the same with tests that call the real ones, and a candidate that is quick: it is promoted",
        expected: Expected::Promoted,
        green: Side::plain(GREEN),
        past: vec![live, tests],
        ..clinic.clone()
    };
    [clinic, repaired]
}
