//! A gateway that follows directives and counts; it routes nothing. It believes a directive only with its proof, and holds
//! the real follower of `routing`.

#![allow(dead_code, reason = "a fixture: the engine's own tests and those from outside use each their part")]

use std::collections::BTreeMap;

use crossfade_routing::sync::{
    ArmCounts, ClockHistogram, EnvironmentHealth, Fence, FenceCause, LATENCY_BUCKETS, LedgerRow, Reply,
    Report, latency_bucket,
};
use crossfade_routing::{
    Accepted, BootId, EnvironmentId, Follower, GatewayId, Generation, Refusal, Saved, Schedule, Stage,
    UnixNanos, Weight,
};
use crossfade_tlog::{Hash, VerifierKey, verify_entry};

/// How often a second it is asked for something, and how that ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Requests of the active for each report.
    pub(crate) requests: u64,
    /// Of a thousand requests of the candidate, how many fail.
    pub(crate) to_fails: u64,
}

pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(crate) boot: BootId,
    pub(crate) weather: Weather,
    pub(crate) drained: bool,
    pub(crate) follower: Follower,
    key: VerifierKey,
    sequence: u64,
    log_size: u64,
    arms: BTreeMap<(Generation, bool), ArmCounts>,
}

impl Gateway {
    pub(crate) fn new(id: &str, boot: &str, key: &VerifierKey) -> Gateway {
        Gateway {
            id: id.parse().unwrap(),
            boot: boot.parse().unwrap(),
            weather: Weather { requests: 40, to_fails: 0 },
            drained: false,
            follower: Follower::new(),
            key: key.clone(),
            sequence: 0,
            log_size: 0,
            arms: BTreeMap::new(),
        }
    }

    /// The process dies and another one starts from what was saved: counts begin at zero.
    pub(crate) fn restarted(&self, boot: &str) -> Gateway {
        let saved: Saved = self.follower.saved().clone();
        let fresh = Gateway::new(self.id.as_str(), boot, &self.key);
        Gateway {
            follower: Follower::restore(saved),
            weather: self.weather,
            log_size: self.log_size,
            ..fresh
        }
    }

    pub(crate) fn schedule(&self) -> Option<&Schedule> {
        self.follower.directive().map(|directive| &directive.schedule)
    }

    pub(crate) fn weight(&self) -> Weight {
        self.schedule().map_or(Weight::ZERO, Schedule::weight)
    }

    /// Its breaker opens.
    pub(crate) fn trip(&mut self, now: UnixNanos) {
        let schedule = self.schedule().expect("a schedule is held").clone();
        let rollout = schedule.rollout().expect("a rollout runs").to_owned();
        let cause = FenceCause::Breaker { detail: "9 of 9 requests unanswered".to_owned() };
        self.follower.fence(Fence { rollout, generation: schedule.generation(), at: now, cause });
    }

    /// Some traffic passes, and the gateway says so.
    pub(crate) fn report(&mut self, now: UnixNanos, wait_ms: u32) -> Report {
        self.count();
        self.sequence += 1;
        Report {
            gateway: self.id.clone(),
            boot: self.boot.clone(),
            sequence: self.sequence,
            now,
            ack: self.follower.ack(),
            fence: self.follower.fence_held().cloned(),
            health: ["blue", "green"].map(|name| healthy(name, now)).to_vec(),
            ledger: self.arms.values().map(balanced).collect(),
            arms: self.arms.values().cloned().collect(),
            clock: ClockHistogram::default(),
            wait_ms,
            drained: self.drained,
        }
    }

    fn count(&mut self) {
        let Some(schedule) = self.schedule().cloned() else { return };
        let fenced = self.follower.is_fenced() || schedule.stage() == (Stage::Fenced {});
        let Some(to) = schedule.to().filter(|_| !fenced) else { return };
        let share = u64::from(schedule.weight().max(schedule.mirror()).ppm());
        let Weather { requests, to_fails } = self.weather;
        let of_to = (requests * share / 1_000_000).max(u64::from(share > 0));
        self.arm(&schedule, false, schedule.from(), requests, 0);
        self.arm(&schedule, true, to, of_to, to_fails);
    }

    fn arm(
        &mut self,
        schedule: &Schedule,
        is_to: bool,
        environment: &EnvironmentId,
        requests: u64,
        fails: u64,
    ) {
        let generation = schedule.generation();
        let empty = || ArmCounts {
            environment: environment.clone(),
            generation,
            requests: 0,
            failed: 0,
            latency: vec![0; LATENCY_BUCKETS],
            untrusted_spans: 0,
            spans: 0,
            first_failure: None,
        };
        let arm = self.arms.entry((generation, is_to)).or_insert_with(empty);
        arm.requests += requests;
        arm.latency[latency_bucket(3_000)] += requests;
        arm.failed += (requests * fails).div_ceil(1_000);
        if arm.failed > 0 {
            arm.first_failure.get_or_insert(UnixNanos(1));
        }
    }

    /// Takes an answer as a real gateway does: the fence first, the directive only with its proof.
    pub(crate) fn hear(&mut self, reply: &Reply) -> Result<Accepted, Refusal> {
        if let Some(fence) = &reply.fence {
            self.follower.fence(fence.clone());
        }
        self.check(reply);
        let taken = self.follower.accept(reply.directive.clone());
        let saved = self.follower.saved().clone();
        self.follower.mark_saved(&saved);
        taken
    }

    fn check(&mut self, reply: &Reply) {
        let proof: Vec<Hash> = reply.entry.proof.iter().map(|hash| hash.parse().unwrap()).collect();
        let (note, leaf) = (reply.entry.checkpoint.as_bytes(), reply.entry.entry.as_bytes());
        let checkpoint =
            verify_entry(&self.key, note, reply.entry.index, leaf, &proof).expect("the entry is in the log");
        assert!(checkpoint.size >= self.log_size, "the log never shrinks");
        self.log_size = checkpoint.size;
        let leaf: serde_json::Value = serde_json::from_str(&reply.entry.entry).unwrap();
        let issued: Schedule = serde_json::from_value(leaf["event"]["schedule"].clone()).unwrap();
        assert_eq!(issued, reply.directive.schedule, "the entry issued this schedule");
    }
}

fn healthy(name: &str, now: UnixNanos) -> EnvironmentHealth {
    EnvironmentHealth {
        environment: name.parse().unwrap(),
        reachable: true,
        detail: String::new(),
        last_ok: Some(now),
        last_sent: Some(now),
    }
}

/// Ten spans a request, all of them delivered.
fn balanced(arm: &ArmCounts) -> LedgerRow {
    LedgerRow {
        received: arm.requests * 10,
        delivered: arm.requests * 10,
        ..LedgerRow::empty(arm.environment.clone(), arm.generation)
    }
}
