//! Rounds of probe traces within a step: the limit that `probe_failures` sets.

use std::fs;

use crossfade_lab::environment::{Faults, SpanKind};
use crossfade_rollout::event::{Event, RollbackReason};
use crossfade_rollout::{Digest, Phase};
use serde_json::Value;

use crate::support::{House, SPEC, Syncing, control};

/// The shortest rollout, with two traces every 100 ms of its steps; with an hour at 10 %, if it is to stay there.
fn spec(stays: bool) -> String {
    let limit = "{ name: export_errors }, { name: probe_failures, max: 0, traces: 2, every: 100ms }";
    let spec = SPEC.replace("{ name: export_errors }", limit).replace("deadline: 60s", "deadline: 15s");
    assert!(spec.contains(limit) && spec.contains("deadline: 15s"));
    if stays {
        spec.replace("{ percent: 10, duration: 50ms }", "{ percent: 10, duration: 1h }")
    } else {
        spec
    }
}

/// Each round on record: its traces, how many failed, and the report that is its evidence.
fn rounds(house: &House) -> Vec<(u32, u32, Value)> {
    let report = |digest: Digest| {
        let hex = digest.to_string().trim_start_matches("sha256:").to_owned();
        let blob = fs::read(house.site().log_dir.join("evidence").join(&hex[..2]).join(hex)).unwrap();
        serde_json::from_slice(&blob).unwrap()
    };
    let recorded = house.events().into_iter().filter_map(|event| match event {
        Event::ProbeRecorded { traces, failed, evidence, .. } => {
            Some((traces, failed, report(evidence.expect("the report of each round"))))
        }
        _ => None,
    });
    recorded.collect()
}

/// Scenario: the candidate keeps all that is written to it, through every step.
/// Guarantee: each analysed step has a round at least, with its report as evidence, and the rollout is finalized.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_are_read_back_let_a_step_end() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.begin(&spec(false)).await;
    assert_eq!(operator.until_over().await, Phase::Finalized);
    gateway.end().await;
    control.stop().await;
    let rounds = rounds(&house);
    assert!(rounds.len() >= 3, "{rounds:?}");
    for (traces, failed, report) in rounds {
        assert_eq!((traces, failed), (2, 0));
        assert_eq!((&report["gate"], &report["facts"]["summary"]["whole"]), (&"probe".into(), &2.into()));
    }
    house.verify();
}

/// Scenario: while it owns 10 %, the candidate begins to accept spans of kind client and to keep none of them. Nothing else shows it:
/// every request is answered.
/// Guarantee: the limit fails, the rollout goes back by itself, and the record has the round, and which spans are missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_not_read_back_ends_the_rollout() {
    let house = House::new().await;
    let control = control(house.site()).await;
    let operator = house.operator(control.address());
    let gateway = Syncing::start(house.gateway("gw-1", "boot-1"), house.line(control.address()));
    operator.until("a gateway", |status| !status.gateways.is_empty()).await;
    operator.begin(&spec(true)).await;
    operator.until_step(1).await;
    house.environments[1].set_faults(Faults { drop_kind: Some(SpanKind::Client), ..Faults::none() });
    assert_eq!(operator.until_over().await, Phase::RolledBack);
    let ending = operator.status().await.ending.unwrap();
    assert!(ending.reason.contains("probe_failures: "), "{ending:?}");
    gateway.end().await;
    control.stop().await;
    let reasons = house.events().into_iter().filter_map(|event| match event {
        Event::RollbackStarted { reason, .. } => Some(reason),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert!(matches!(&reasons[..], [RollbackReason::Verdict { .. }]), "{reasons:?}");
    let rounds = rounds(&house);
    let (last, before) = rounds.split_last().unwrap();
    assert!(before.iter().all(|(traces, failed, _)| (*traces, *failed) == (2, 0)), "{before:?}");
    // One of them may have been on its way before.
    assert!(last.0 == 2 && last.1 >= 1, "{last:?}");
    let missing = &last.2["facts"]["summary"]["missing_kinds"];
    assert!(missing.as_object().unwrap().contains_key("CLIENT"), "{missing}");
    house.verify();
}
