use super::*;
pub(super) async fn run(_: &Environment, _: u32, _: Duration, _: u64) -> GateReport { GateReport { outcome: Outcome::Pass, summary: "temporary".into(), details: vec![], evidence: Some(b"{}".to_vec()) } }
pub(super) async fn round(_: &Environment, t: u32, _: Duration, _: u64) -> (u32, Option<Vec<u8>>) { (t, None) }
pub(super) async fn start_spread(_: &str) -> Result<Option<Spread>, String> { Ok(None) }
