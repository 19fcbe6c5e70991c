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

    /// Keeps the newest result of each gate.
    pub(crate) fn gate(&mut self, seen: GateSeen) {
        self.gates.retain(|known| known.gate != seen.gate);
        self.gates.push(seen);
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
