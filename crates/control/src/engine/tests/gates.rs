//! What gates find, where the log does not take it.

use crossfade_rollout::Phase;
use crossfade_rollout::event::{Event, Gate, Outcome, RollbackReason};
use crossfade_rollout::observed::GateSeen;
use tokio::sync::oneshot;

use super::super::Message;
use super::rig::{Rig, SPEC, WELL, full};
use crate::journal::faulty::Faults;

/// Scenario: the disk is full from the moment at which a gate has begun to look in the step of 10 %; it fails, and the process
/// is killed.
/// Guarantee: the way back is known after the restart, with what the gate found; with room again both are in the log, which
/// verifies.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_goes_back_on_a_full_disk() {
    let mut rig = Rig::start().await;
    let plan = rig.plan_of(&SPEC.replace("gates: {", "gates: { coverage: { when: [weight] },")).await;
    let (reply, stored) = oneshot::channel();
    rig.handle.send(Message::Evidence { bytes: b"a report".to_vec(), reply });
    rig.handle.send(Message::Gate(GateSeen {
        rollout: "move".parse().unwrap(),
        gate: Gate::Coverage,
        step: Some(1),
        run: 1,
        outcome: Outcome::Fail,
        summary: "an operation is gone".to_owned(),
        evidence: Some(stored.await.unwrap().unwrap()),
        seed: None,
    }));
    rig.disk.set(Faults { full_after: Some("\"gate\":\"coverage\",\"rollout\":\"move\",\"run\":1"), ..WELL });
    rig.begin_plan(plan).await.unwrap();
    rig.until("the fence", |rig| rig.gateways.iter().all(|gateway| gateway.follower.is_fenced())).await;
    assert!(!rig.events().iter().any(|event| matches!(event, Event::RollbackStarted { .. })));

    let mut rig = rig.killed_on(full()).await;
    let status = rig.status();
    let rollout = status.rollout.as_ref().unwrap();
    let why = RollbackReason::Gate { gate: Gate::Coverage, outcome: Outcome::Fail };
    assert_eq!((rollout.phase, rollout.rollback.as_ref()), (Phase::RollingBack, Some(&why)));
    assert_eq!(rollout.gates_at(Some(1))[&Gate::Coverage].summary, "an operation is gone");
    rig.disk.set(WELL);
    rig.until("the end", |rig| rig.phase() == Some(Phase::RolledBack)).await;
    rig.stop().await;
    let finished = rig.events().into_iter().find_map(|event| match event {
        Event::GateFinished { gate: Gate::Coverage, outcome, evidence, .. } => Some((outcome, evidence)),
        _ => None,
    });
    assert_eq!(finished, Some((Outcome::Fail, None)));
    rig.verify();
}
