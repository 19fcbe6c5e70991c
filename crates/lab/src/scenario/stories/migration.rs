//! A store is replaced by its next version, and what the old one has recorded was migrated: once with a hole, and into an index that
//! lags; once all of it.

use super::super::{Past, Scenario, Side};
use super::shop::{BLUE, GREEN};
use crate::measure::{Expected, Must};
use crate::traffic::TrafficConfig;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// Within what the spec's `reach` asks for.
const OLDEST: Duration = Duration::from_secs(71 * 3_600);

/// What the migration left out, in hours ago.
const HOLE: (u32, u32) = (50, 41);
/// And what the index lacks.
const UNINDEXED: (u32, u32) = (20, 1);

const FINDINGS: &[Must] = &[
    Must::recorded("history", "CF-HISTORY-001", &["green", "cannot be read"]).between(HOLE.0, HOLE.1),
    Must::recorded("history", "CF-HISTORY-008", &["green", "not found by service"])
        .between(UNINDEXED.0, UNINDEXED.1),
    Must::recorded("history", "CF-HISTORY-008", &["green", "not found by operation"])
        .between(UNINDEXED.0, UNINDEXED.1),
    Must::recorded("history", "CF-HISTORY-008", &["green", "not found by attribute"])
        .between(UNINDEXED.0, UNINDEXED.1),
    Must::recorded("history", "CF-HISTORY-009", &["green"]).between(HOLE.0, HOLE.1),
    Must::recorded("history", "CF-HISTORY-009", &["green"]).between(UNINDEXED.0, UNINDEXED.1),
];

pub(super) fn stories() -> [Scenario; 2] {
    let whole = Past::whole(OLDEST..HOUR, 480);
    let migration = Scenario {
        name: "migration",
        about: "a store moves to its next version; its history has a hole, and its search index lags",
        unasked: false,
        expected: Expected::Stopped(FINDINGS),
        rollout: include_str!("../../../scenarios/migration.yaml"),
        blue: Side::plain(BLUE),
        green: Side::plain(GREEN),
        past: vec![Past {
            hole: Some(HOUR * HOLE.0..HOUR * HOLE.1),
            unindexed: Some(HOUR * UNINDEXED.0..HOUR * UNINDEXED.1),
            ..whole.clone()
        }],
        // Short traces leave more of the window to late spans: gates look while the traffic runs, on the same machine.
        traffic: TrafficConfig {
            traces_per_second: 200,
            longest_trace: Duration::from_millis(1_200),
            ..TrafficConfig::default()
        },
        fault: None,
    };
    let repaired = Scenario {
        name: "migration-repaired",
        about: "the same with its history migrated again and indexed: it is promoted",
        expected: Expected::Promoted,
        past: vec![whole],
        ..migration.clone()
    };
    [migration, repaired]
}
