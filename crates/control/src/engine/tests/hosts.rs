//! Environments that are somewhere else than the plan says.

use crossfade_rollout::Phase;
use crossfade_rollout::event::Event;

use super::rig::Rig;
use crate::api::ErrorCode;

/// Scenario: a plan is made; somebody writes another address of green into `crossfade.yaml`, and the control plane starts
/// again.
/// Guarantee: the plan is stale, and the refusal names the field and both values.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_another_host_is_refused() {
    let rig = Rig::start().await;
    let plan = rig.plan().await;
    rig.move_green();
    let rig = rig.killed().await;
    let refused = rig.begin_plan(plan).await.unwrap_err().0;
    assert_eq!(refused.code, ErrorCode::Refused);
    assert!(
        refused.message.contains("the plan is stale: otlp_endpoint of green was http://127"),
        "{}",
        refused.message
    );
    assert!(refused.message.contains("is http://127.0.0.1:9 now"), "{}", refused.message);
}

/// Scenario: the same while the rollout runs.
/// Guarantee: it goes back, and the record says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_does_not_go_on_with_another_host() {
    let mut rig = Rig::start().await;
    rig.begin().await;
    rig.until("10 %", |rig| rig.runs(2)).await;
    rig.move_green();
    let mut rig = rig.killed().await;
    rig.until("the end", |rig| rig.phase() == Some(Phase::RolledBack)).await;
    rig.stop().await;
    let reason = rig.events().into_iter().find_map(|event| match event {
        Event::RollbackStarted { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("changed since the plan: the address of green"));
    rig.verify();
}
