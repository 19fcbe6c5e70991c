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
    Must::recorded(
        "drift",
        "CF-DRIFT-004",
        &["green/collector.yaml:", "receivers.otlp.protocols.grpc.tls.client_ca_file", "tls/clients.pem"],
    ),
    Must::recorded(
        "drift",
        "CF-DRIFT-006",
        &["extensions.jaeger_query.http.auth.authenticator", "bearertokenauth/operators"],
    ),
    Must::recorded("drift", "CF-DRIFT-006", &["service.extensions", "bearertokenauth/operators"]),
    Must::recorded(
        "drift",
        "CF-DRIFT-014",
        &["service.pipelines.traces.processors", "redaction/cards", "jaeger_storage_exporter"],
    ),
    // What the way of the masking looks like otherwise: another pipeline, and other exporters for each.
    Must::recorded("drift", "CF-DRIFT-010", &["service.pipelines.traces/masked", "otlp/archive"]),
    Must::recorded("drift", "CF-DRIFT-030", &["service.pipelines.traces/masked"]),
    Must::recorded("drift", "CF-DRIFT-032", &["service.pipelines.traces.exporters", "otlp/archive"]),
    Must::recorded("drift", "CF-DRIFT-034", &["service.pipelines.traces.exporters", "forward/masked"]),
    Must::recorded("posture", "CF-POSTURE-013", &["green", "otlp: client certificate"]),
    Must::recorded("posture", "CF-POSTURE-014", &["green", "otlp: authentication"]),
    Must::recorded("posture", "CF-POSTURE-014", &["green", "query: authentication"]),
    // A rollout does not write to a candidate that is refused for what it is; the dry run asks everybody. Every field leaks: these among
    // them.
    Must::planned("probe", "CF-PROBE-010", &["green span attribute", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green resource attribute", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green event attribute", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green link attribute", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green span name", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green status message", "card"]),
    Must::planned("probe", "CF-PROBE-010", &["green"]),
    // Each requirement, with a finding that it is denied for.
    Must::planned(
        "policy",
        "CF-POLICY-001",
        &["crossfade:pci.rego", "PCI DSS 3.5.1", "CF-DRIFT-014", "CF-PROBE-010"],
    ),
    Must::planned("policy", "CF-POLICY-001", &["crossfade:pci.rego", "PCI DSS 6.5.5", "CF-PROBE-010"]),
    Must::planned("policy", "CF-POLICY-001", &["crossfade:pci.rego", "PCI DSS 7.2.1", "CF-POSTURE-014"]),
    Must::planned("policy", "CF-POLICY-001", &["crossfade:pci.rego", "PCI DSS 8.3.1", "CF-DRIFT-004"]),
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
