//! What the engine shows: its status, and answers that change nothing.

use std::sync::Arc;

use crossfade_rollout::Rejection;
use crossfade_rollout::observed::LogHealth;
use crossfade_routing::sync::ClockHistogram;
use crossfade_routing::{Located, TraceId, UnixNanos, locate};

use super::{Baselined, Engine};
use crate::api::ApiError;
use crate::status::{GatewayStatus, LogStatus, STATUS_VERSION, Status};

/// The histogram of `a - e` over all gateways, from a status.
pub(crate) fn clock_histogram(status: &Status) -> ClockHistogram {
    let mut sum = ClockHistogram::default();
    for report in status.gateways.iter().filter_map(|gateway| gateway.report.as_ref()) {
        sum.add(&report.clock);
    }
    sum
}

impl Engine {
    pub(super) fn baseline(&self) -> Result<Baselined, ApiError> {
        let state = self.journal.state();
        let active = state.active.clone().ok_or(ApiError::from(Rejection::NotInitialised))?;
        Ok(Baselined {
            active,
            generation: state.schedule.as_ref().map(|schedule| schedule.generation()).unwrap_or_default(),
            ended: state.past.clone(),
            running: state.current().map(|rollout| rollout.id.clone()),
            log_size: self.journal.size(),
        })
    }

    pub(super) fn locate(&self, trace: &TraceId, start: UnixNanos) -> Result<Located, ApiError> {
        locate(&self.journal.schedules().cloned().collect::<Vec<_>>(), trace, start)
            .ok_or_else(|| ApiError::unavailable("no generation is issued yet"))
    }

    /// Makes the status what it is now; before that, puts the reads of an hour that is over on record. While the log takes
    /// nothing, they wait.
    pub(super) fn publish(&mut self) {
        for (actor, hour, count) in self.reads.due(self.time.now()) {
            match self.live.log {
                LogHealth::Writable => self.count_reads(actor, hour, count),
                LogHealth::Unwritable { .. } => self.reads.put_back(actor, hour, count),
            }
        }
        let roster = self.journal.state().roster.keys();
        let reports = roster.filter_map(|gateway| self.live.last(gateway)).map(|seen| &seen.report);
        self.meter.look(reports, self.time.now());
        let rate = self.meter.rate(self.time.now());
        self.jobs.note_live(rate.map(|rate| rate.spans_per_second()));
        self.status.send_replace(Arc::new(self.shown()));
    }

    fn shown(&self) -> Status {
        let state = self.journal.state();
        let gateways = state.roster.keys().map(|gateway| {
            let seen = self.live.last(gateway);
            GatewayStatus {
                gateway: gateway.clone(),
                last_seen: seen.map(|seen| seen.received_at),
                horizon: seen.map(|seen| seen.horizon),
                report: seen.map(|seen| seen.report.clone()),
            }
        });
        let mut waiting: Vec<String> = self.report.waiting.iter().map(ToString::to_string).collect();
        waiting.extend(self.held_up.clone());
        waiting.extend(self.refused.clone());
        waiting.extend(self.time.trouble());
        Status {
            schema_version: STATUS_VERSION,
            now: self.time.now(),
            origin: self.journal.origin().to_owned(),
            active: state.active.clone(),
            generation: state.schedule.as_ref().map(|schedule| schedule.generation()),
            log: LogStatus {
                size: self.journal.size(),
                unwritable: match &self.live.log {
                    LogHealth::Writable => None,
                    LogHealth::Unwritable { detail } => Some(detail.clone()),
                },
            },
            rollout: state.rollout.clone(),
            ending: self.journal.ending(),
            past: state.past.clone(),
            looking: self.jobs.looking(),
            waiting,
            readings: self.report.readings.clone(),
            gateways: gateways.collect(),
            traffic: self.meter.rate(self.time.now()),
            alerts: state.alerts.clone(),
        }
    }
}
