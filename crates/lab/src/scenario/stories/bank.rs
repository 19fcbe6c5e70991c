//! A bank's payments. The candidate takes clients without certificate, answers anybody's queries, and masks card numbers where it is too
//! late; once more as closed as what serves now.

use super::super::{Scenario, Side};
use crate::environment::Clients;
use crate::measure::{Expected, Must};
use crate::traffic::TrafficConfig;
use std::time::Duration;

const BLUE: &str = include_str!("../../../scenarios/bank-blue.yaml");
const OPEN: &str = include_str!("../../../scenarios/bank-green.yaml");
const CLOSED: &str = include_str!("../../../scenarios/bank-repaired.yaml");

const FINDINGS: &[Must] = &[
    // No client certificate asked for, no token, no mask.
    Must::recorded("drift", "CF-DRIFT-004"),
    Must::recorded("drift", "CF-DRIFT-006"),
    Must::recorded("drift", "CF-DRIFT-014"),
    // What the way of the masking looks like otherwise: another pipeline, and other exporters for each.
    Must::recorded("drift", "CF-DRIFT-010"),
    Must::recorded("drift", "CF-DRIFT-030"),
    Must::recorded("drift", "CF-DRIFT-032"),
    Must::recorded("drift", "CF-DRIFT-034"),
    Must::recorded("posture", "CF-POSTURE-013"),
    Must::recorded("posture", "CF-POSTURE-014"),
    // A rollout does not write to a candidate that is refused for what it is; the dry run asks everybody.
    Must::planned("probe", "CF-PROBE-010"),
    Must::planned("policy", "CF-POLICY-001"),
];

pub(super) fn stories() -> [Scenario; 2] {
    let closed = |collector| Side {
        tls: Some(Clients::WithCertificate),
        query_token: Some("demo-operators-5b1f"),
        redacts: true,
        ..Side::plain(collector)
    };
    let bank = Scenario {
        name: "bank",
        about: "the candidate takes clients without certificate, lets anybody query, and stores card numbers",
        unasked: false,
        expected: Expected::Stopped(FINDINGS),
        rollout: include_str!("../../../scenarios/bank.yaml"),
        blue: closed(BLUE),
        green: Side { tls: Some(Clients::Anyone), query_token: None, redacts: false, ..closed(OPEN) },
        past: Vec::new(),
        files: Vec::new(),
        traffic: TrafficConfig {
            traces_per_second: 150,
            longest_trace: Duration::from_secs(1),
            ..TrafficConfig::default()
        },
        fault: None,
    };
    let repaired = Scenario {
        name: "bank-repaired",
        about: "the same with the candidate as closed as what serves now: it is promoted",
        expected: Expected::Promoted,
        green: closed(CLOSED),
        ..bank.clone()
    };
    [bank, repaired]
}
