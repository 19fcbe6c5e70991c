//! An application moves to another platform: once with the tracing configuration of before, so that one service exports to an address
//! where nobody listens any more, and another does not understand in which trace it is called; once with the right one.

use super::super::{Scenario, Side};
use super::shop::{BLUE, GREEN};
use crate::environment::Faults;
use crate::measure::{Expected, Must};
use crate::traffic::TrafficConfig;
use std::time::Duration;

const FINDINGS: &[Must] = &[
    // All of `payment`, and the calls that led to `inventory`; and what operations would have taken it for.
    Must::recorded(
        "coverage",
        "CF-COVERAGE-001",
        &["green payment", "A failure of `payment` would have been read as less traffic"],
    ),
    Must::recorded(
        "coverage",
        "CF-COVERAGE-006",
        &["green inventory", "between `frontend` and `inventory`", "would have been read as one of"],
    ),
    // Spans that are missing; traces that only green knows; requests that were one trace and are two.
    Must::recorded("parity", "CF-PARITY-004", &["of payment", "of inventory"]),
    Must::recorded("parity", "CF-PARITY-002", &["green inventory: inventory.Catalog/List"]),
    Must::recorded("parity", "CF-PARITY-027", &["green frontend -> inventory: inventory.Catalog/List"]),
];

pub(super) fn stories() -> [Scenario; 2] {
    let cloud = Scenario {
        name: "cloud",
        about: "an application moves with its old tracing configuration: a service is lost, traces break",
        unasked: false,
        expected: Expected::Stopped(FINDINGS),
        rollout: include_str!("../../../scenarios/cloud.yaml"),
        blue: Side::plain(BLUE),
        green: Side {
            faults: Faults { lose_service: Some("payment"), break_at: Some("inventory"), ..Faults::none() },
            ..Side::plain(GREEN)
        },
        past: Vec::new(),
        // Short traces leave more of the window to late spans: gates look while the traffic runs, on the same machine.
        traffic: TrafficConfig {
            traces_per_second: 120,
            longest_trace: Duration::from_millis(1_200),
            ..TrafficConfig::default()
        },
        fault: None,
    };
    let repaired = Scenario {
        name: "cloud-repaired",
        about: "the same with the new configuration everywhere: it is promoted",
        expected: Expected::Promoted,
        green: Side::plain(GREEN),
        ..cloud.clone()
    };
    [cloud, repaired]
}
