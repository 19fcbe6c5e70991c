//! Gateways of the world: they follow directives and count, and the weather says what they count.

use super::*;

/// A gateway that follows directives and counts; it routes nothing.
pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(super) boots: u32,
    pub(super) follower: Follower,
    /// Reports nothing, hears nothing, goes on routing.
    pub(crate) silent: bool,
    pub(super) sequence: u64,
    pub(super) arms: BTreeMap<(Generation, bool), ArmCounts>,
    pub(super) rows: BTreeMap<(Generation, bool), LedgerRow>,
    pub(crate) fence: Option<Fence>,
    pub(super) drained: bool,
    /// What it finds of both environments; `None`: it has not looked yet.
    pub(crate) reaches: Option<bool>,
    /// How far its clock leads, in nanoseconds; it lags if that is negative.
    pub(crate) clock_leads: i64,
    pub(super) owed: [f64; 5],
}

/// How the environments behave.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Requests a second, of each gateway.
    pub(crate) requests: f64,
    /// Shares of requests that fail.
    pub(crate) from_fails: f64,
    pub(crate) to_fails: f64,
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
    /// Spans a second that the candidate's queue drops.
    pub(crate) shed: f64,
    /// Spans that stay queued before the candidate, until the rollout ends.
    pub(crate) stuck: u64,
    /// The share of traffic that straddles: while the window of a cut is open, it goes to both environments.
    pub(crate) straddles: f64,
    /// What befalls the accounts of what the active environment is sent.
    pub(crate) copies: fn(&mut LedgerRow),
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            requests: 100.0,
            from_fails: 0.0,
            to_fails: 0.0,
            from_us: 3_000,
            to_us: 3_100,
            shed: 0.0,
            stuck: 0,
            straddles: 0.0,
            copies: |_| {},
        }
    }
}

impl Gateway {
    pub(super) fn new(name: &str) -> Self {
        Self {
            id: gateway_id(name),
            boots: 1,
            follower: Follower::new(),
            silent: false,
            sequence: 0,
            arms: BTreeMap::new(),
            rows: BTreeMap::new(),
            fence: None,
            drained: false,
            reaches: Some(true),
            clock_leads: 0,
            owed: [0.0; 5],
        }
    }

    pub(super) fn boot(&self) -> BootId {
        format!("boot-{}", self.boots).parse().unwrap()
    }

    pub(super) fn count(&mut self, now: UnixNanos, secs: f64, weather: &Weather) {
        let Some(directive) = self.follower.directive() else { return };
        let schedule = &directive.schedule;
        let generation = schedule.generation();
        let fenced = self.follower.is_fenced() || schedule.stage() == (Stage::Fenced {});
        let Some(to) = schedule.to().filter(|_| !fenced).cloned() else { return };
        let from = schedule.from().clone();
        let share = f64::from(schedule.weight().max(schedule.mirror()).ppm()) / 1e6;
        let open = schedule.cuts().last().is_some_and(|cut| cut.at <= now) && now < schedule.settled_at();
        let share = if open { share + (1.0 - share) * weather.straddles } else { share };
        let mut arm = |index: usize, is_to: bool, environment, rate: f64, fails: f64, us| {
            self.owed[index] += rate * secs;
            let requests = self.owed[index].floor();
            self.owed[index] -= requests;
            let counts =
                self.arms.entry((generation, is_to)).or_insert_with(|| empty_arm(environment, generation));
            counts.requests += requests as u64;
            self.owed[index + 3] += requests * fails;
            let failed = self.owed[index + 3].floor();
            self.owed[index + 3] -= failed;
            counts.failed += failed as u64;
            counts.latency[latency_bucket(us)] += requests as u64;
            if counts.failed > 0 {
                counts.first_failure.get_or_insert(UnixNanos(START));
            }
            let row = self
                .rows
                .entry((generation, is_to))
                .or_insert_with(|| LedgerRow::empty(counts.environment.clone(), counts.generation));
            row.received += requests as u64 * 10;
            row.delivered += requests as u64 * 10;
        };
        arm(0, false, from, weather.requests, weather.from_fails, weather.from_us);
        arm(1, true, to, weather.requests * share, weather.to_fails, weather.to_us);
        (weather.copies)(self.rows.get_mut(&(generation, false)).unwrap());
        let row = self.rows.get_mut(&(generation, true)).unwrap();
        self.owed[2] += weather.shed * secs;
        let shed = self.owed[2].floor();
        self.owed[2] -= shed;
        row.shed += shed as u64;
        row.received += shed as u64;
        if row.queued < weather.stuck && share > 0.0 {
            row.received += weather.stuck - row.queued;
            row.queued = weather.stuck;
        }
    }

    pub(super) fn report(&mut self, now: UnixNanos) -> Report {
        self.sequence += 1;
        Report {
            gateway: self.id.clone(),
            boot: self.boot(),
            sequence: self.sequence,
            now: UnixNanos(now.0.saturating_add_signed(self.clock_leads)),
            ack: self.follower.ack(),
            fence: self.fence.clone(),
            health: self.reaches.map(|reaches| health(reaches, now)).into_iter().flatten().collect(),
            ledger: self.rows.values().cloned().collect(),
            arms: self.arms.values().cloned().collect(),
            clock: ClockHistogram::default(),
            wait_ms: 100,
            drained: self.drained,
        }
    }

    /// Everything is delivered, and nothing new is taken: the next report closes the accounts.
    pub(super) fn drain(&mut self) {
        for row in self.rows.values_mut() {
            row.delivered += std::mem::take(&mut row.queued);
        }
        self.drained = true;
    }

    /// The process is gone and another one starts from what was saved: counts begin at zero.
    pub(super) fn restart(&mut self) {
        self.boots += 1;
        let saved: Saved = self.follower.saved().clone();
        self.follower = Follower::restore(saved);
        self.arms.clear();
        self.rows.clear();
        self.sequence = 0;
        self.drained = false;
    }
}

fn health(reachable: bool, now: UnixNanos) -> [EnvironmentHealth; 2] {
    ["blue", "green"].map(|environment| EnvironmentHealth {
        environment: environment.parse().unwrap(),
        reachable,
        detail: String::new(),
        last_ok: reachable.then_some(now),
        last_sent: reachable.then_some(now),
    })
}

fn empty_arm(environment: crossfade_routing::EnvironmentId, generation: Generation) -> ArmCounts {
    ArmCounts {
        environment,
        generation,
        requests: 0,
        failed: 0,
        latency: vec![0; LATENCY_BUCKETS],
        untrusted_spans: 0,
        spans: 0,
        first_failure: None,
    }
}
