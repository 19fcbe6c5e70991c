//! What the engine has seen since it started: reports, job results, the log's health. All of it may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_rollout::observed::{
    CutSeen, GateSeen, GatewaySeen, LogHealth, Observed, ProbeSeen, SnapshotsSeen,
};
use crossfade_routing::sync::Report;
use crossfade_routing::{BootId, Conductor, GatewayId, UnixNanos};

/// How long the log rests before it is tried again.
const LOG_RETRY: Duration = Duration::from_millis(500);
/// How many boots of a gateway are remembered: one that crashes again and again is no reason to run out of memory.
const BOOTS_MAX: usize = 16;

/// How many results of gates are remembered: those of the rollout that runs, and a few that came late.
const GATES_MAX: usize = 32;

/// Live inputs of `due`.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) log: LogHealth,
    pub(crate) snapshots: Option<SnapshotsSeen>,
    pub(crate) probe: Option<ProbeSeen>,
    gates: Vec<GateSeen>,
    seen: BTreeMap<GatewayId, Boots>,
    log_tried: Option<UnixNanos>,
}

/// The last report of every boot of one gateway.
#[derive(Debug, Default)]
struct Boots {
    /// The boot that speaks for the gateway.
    last: Option<BootId>,
    /// The latest horizon that any of them was granted.
    horizon: UnixNanos,
    reports: BTreeMap<BootId, GatewaySeen>,
}

impl Boots {
    fn take(&mut self, report: Report, received_at: UnixNanos) -> bool {
        let boot = report.boot.clone();
        if self.reports.get(&boot).is_some_and(|seen| seen.report.sequence >= report.sequence) {
            return false;
        }
        self.reports.insert(boot, GatewaySeen { report, received_at, horizon: self.horizon });
        if self.reports.len() > BOOTS_MAX {
            let oldest = self.reports.iter().min_by_key(|(_, seen)| seen.received_at);
            let oldest = oldest.map(|(boot, _)| boot.clone());
            oldest.and_then(|boot| self.reports.remove(&boot));
        }
        true
    }
}

impl Live {
    /// Takes a report, unless it is not newer than the last of its boot; says whether it did.
    pub(crate) fn heard(&mut self, report: Report, received_at: UnixNanos) -> bool {
        let boots = self.seen.entry(report.gateway.clone()).or_default();
        let boot = report.boot.clone();
        let fresh = boots.take(report, received_at);
        if fresh {
            boots.last = Some(boot);
        }
        fresh
    }

    /// Takes a report of a boot that another one has replaced: for its accounts.
    pub(crate) fn heard_of_old(&mut self, report: Report, received_at: UnixNanos) {
        self.seen.entry(report.gateway.clone()).or_default().take(report, received_at);
    }

    /// Notes the horizon that a gateway was granted.
    pub(crate) fn granted(&mut self, gateway: &GatewayId, horizon: UnixNanos) {
        let Some(boots) = self.seen.get_mut(gateway) else { return };
        boots.horizon = boots.horizon.max(horizon);
        if let Some(seen) = boots.last.as_ref().and_then(|boot| boots.reports.get_mut(boot)) {
            seen.horizon = boots.horizon;
        }
    }

    /// The last report of a gateway.
    pub(crate) fn last(&self, gateway: &GatewayId) -> Option<&GatewaySeen> {
        let boots = self.seen.get(gateway)?;
        boots.reports.get(boots.last.as_ref()?)
    }

    /// Forgets a gateway that is no longer on the roster.
    pub(crate) fn strike(&mut self, gateway: &GatewayId) {
        self.seen.remove(gateway);
    }

    /// Keeps the result of a gate's run. One that comes late displaces no other: each is of its own rollout, gate and run.
    pub(crate) fn gate(&mut self, seen: GateSeen) {
        let same = |known: &GateSeen| {
            (&known.rollout, known.gate, known.step, known.run)
                == (&seen.rollout, seen.gate, seen.step, seen.run)
        };
        self.gates.retain(|known| !same(known));
        self.gates.push(seen);
        self.gates.drain(..self.gates.len().saturating_sub(GATES_MAX));
    }

    /// Whether the log has rested long enough, by the host's clock: should that go back, it is tried at once.
    pub(crate) fn retry_log(&mut self, host: UnixNanos) -> bool {
        let rests = |tried: UnixNanos| host.since(tried).is_some_and(|rested| rested < LOG_RETRY);
        let rested = !self.log_tried.is_some_and(rests);
        if rested {
            self.log_tried = Some(host);
        }
        rested
    }

    /// The inputs of `due` at `now`.
    pub(crate) fn observed(&self, conductor: Option<&Conductor>, now: UnixNanos) -> Observed {
        Observed {
            log: self.log.clone(),
            gateways: self.seen.values().flat_map(|boots| boots.reports.values().cloned()).collect(),
            cut: conductor.and_then(|conductor| cut_seen(conductor, now)),
            wants_watermark: conductor.and_then(|conductor| conductor.wants_watermark(now)),
            gates: self.gates.clone(),
            snapshots: self.snapshots.clone(),
            probe: self.probe.clone(),
        }
    }
}

fn cut_seen(conductor: &Conductor, now: UnixNanos) -> Option<CutSeen> {
    Some(CutSeen { cut_at: conductor.announced()?, verdict: conductor.verdict(now) })
}

#[cfg(test)]
mod tests {
    use crossfade_rollout::event::{Gate, Outcome};

    use super::*;

    /// Scenario: a run was voided, the gate has run again, and only now the old run comes back.
    /// Guarantee: the result of the new one is still there.
    #[test]
    fn a_late_result_displaces_no_other() {
        let seen = |rollout: &str, run, outcome| GateSeen {
            rollout: rollout.parse().unwrap(),
            gate: Gate::Probe,
            step: None,
            run,
            outcome,
            summary: String::new(),
            evidence: None,
            seed: None,
        };
        let mut live = Live::default();
        live.gate(seen("move.2", 1, Outcome::Pass));
        live.gate(seen("move", 1, Outcome::Fail));
        live.gate(seen("move.2", 2, Outcome::NoVerdict));
        live.gate(seen("move.2", 1, Outcome::Fail));
        let known = live.observed(None, UnixNanos(0)).gates;
        let known: Vec<_> =
            known.iter().map(|seen| (seen.rollout.as_str(), seen.run, seen.outcome)).collect();
        assert_eq!(
            known,
            [("move", 1, Outcome::Fail), ("move.2", 2, Outcome::NoVerdict), ("move.2", 1, Outcome::Fail)]
        );
        (0..100).for_each(|run| live.gate(seen("move.3", run, Outcome::Pass)));
        assert_eq!(live.observed(None, UnixNanos(0)).gates.len(), GATES_MAX);
    }
}
