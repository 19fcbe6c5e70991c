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

/// Live inputs of `due`.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) log: LogHealth,
    pub(crate) snapshots: Option<SnapshotsSeen>,
    pub(crate) probe: Option<ProbeSeen>,
    gates: Vec<GateSeen>,
    /// The last report of every boot, and which boot spoke last.
    seen: BTreeMap<GatewayId, (BootId, BTreeMap<BootId, GatewaySeen>)>,
    log_tried: Option<UnixNanos>,
}

impl Live {
    /// Takes a report, unless it is not newer than the last of its boot; says whether it did.
    pub(crate) fn heard(&mut self, report: Report, received_at: UnixNanos) -> Option<&Report> {
        let (gateway, boot) = (report.gateway.clone(), report.boot.clone());
        let (last, boots) = self.seen.entry(gateway).or_insert_with(|| (boot.clone(), BTreeMap::new()));
        let horizon = boots.get(last).map(|seen| seen.horizon).unwrap_or_default();
        if boots.get(&boot).is_some_and(|seen| seen.report.sequence >= report.sequence) {
            return None;
        }
        *last = boot.clone();
        boots.insert(boot.clone(), GatewaySeen { report, received_at, horizon });
        boots.get(&boot).map(|seen| &seen.report)
    }

    /// Notes the horizon that a gateway was granted.
    pub(crate) fn granted(&mut self, gateway: &GatewayId, horizon: UnixNanos) {
        let Some((boot, boots)) = self.seen.get_mut(gateway) else { return };
        if let Some(seen) = boots.get_mut(boot) {
            seen.horizon = seen.horizon.max(horizon);
        }
    }

    /// The last report of a gateway.
    pub(crate) fn last(&self, gateway: &GatewayId) -> Option<&GatewaySeen> {
        self.seen.get(gateway).and_then(|(boot, boots)| boots.get(boot))
    }

    /// Forgets a gateway that is no longer on the roster.
    pub(crate) fn strike(&mut self, gateway: &GatewayId) {
        self.seen.remove(gateway);
    }

    /// Keeps the newest result of each gate.
    pub(crate) fn gate(&mut self, seen: GateSeen) {
        self.gates.retain(|known| known.gate != seen.gate);
        self.gates.push(seen);
    }

    /// Whether the log has rested long enough.
    pub(crate) fn retry_log(&mut self, now: UnixNanos) -> bool {
        let rested = self.log_tried.is_none_or(|tried| now >= tried.plus(LOG_RETRY));
        if rested {
            self.log_tried = Some(now);
        }
        rested
    }

    /// The inputs of `due` at `now`.
    pub(crate) fn observed(&self, conductor: Option<&Conductor>, now: UnixNanos) -> Observed {
        Observed {
            log: self.log.clone(),
            gateways: self.seen.values().flat_map(|(_, boots)| boots.values().cloned()).collect(),
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
