//! A world to run rollouts in: an executor as small as one can be, the real conductor and followers of `routing`, gateways
//! that only count, and a clock that is a number. Every event goes through JSON before it is folded.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a fixture: each test binary uses its part, and a panic is its failure"
)]

mod gateway;

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_rollout::event::{Event, Gate, GenerationCause, Outcome, SeedSource};
use crossfade_rollout::observed::{
    CutSeen, GateSeen, GatewaySeen, LogHealth, Observed, ProbeSeen, SnapshotsSeen, Urgency,
};
use crossfade_rollout::plan::{Baseline, EnvironmentFacts, Environments, PLAN_VERSION, Plan};
use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{
    Actor, Command, Digest, DueReport, Effect, Entry, Phase, Rejection, RolloutId, Spec, State, decide, due,
    evolve,
};
use crossfade_routing::sync::{
    ArmCounts, ClockHistogram, EnvironmentHealth, Fence, FenceCause, LATENCY_BUCKETS, LedgerRow, Report,
    latency_bucket,
};
use crossfade_routing::{
    BootId, Conductor, Follower, GatewayId, Generation, Saved, Seed, Stage, UnixNanos, Weight,
};
use crossfade_yaml::{Resolution, Resolve};

pub(crate) use gateway::{Gateway, Weather};

/// 2026-11-21T12:00:00Z.
pub(crate) const START: u64 = 1_795_262_400_000_000_000;

pub(crate) const ORIGIN: &str = "crossfade.test/log";

pub(crate) const SPEC: &str = "
name: tempo-3
from: blue
to: green
change: { ticket: CHG-20418, reason: Tempo 2 to 3 }
routing: { overlap: 10s, skew: 2s, gamma: 100ms }
steps:
  - mirror: { percent: 5, duration: 30s }
  - weight: { percent: 10, duration: 30s }
  - pause: { duration: 10s }
  - weight: { percent: 100, duration: 30s }
  - promote: {}
  - bake: { duration: 60s }
  - finalize: {}
analysis: { no_verdict_max: 60s }
";

struct NoVariables;

impl Resolve for NoVariables {
    fn resolve(&self, _: &str, _: &str) -> Resolution {
        Resolution::Unset
    }
}

pub(crate) fn spec(text: &str) -> Spec {
    Spec::parse(text, "rollout.yaml", &NoVariables).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) struct World {
    pub(crate) now: UnixNanos,
    pub(crate) state: State,
    pub(crate) log: Vec<Entry>,
    pub(crate) emergency: Vec<Entry>,
    pub(crate) health: LogHealth,
    pub(crate) conductor: Option<Conductor>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) weather: Weather,
    seen: BTreeMap<(GatewayId, BootId), GatewaySeen>,
    /// What gates say: by name, or in a step by name and step, `probe@6`; a gate that is not here does not answer.
    pub(crate) gates: BTreeMap<String, Outcome>,
    /// How long gates take.
    pub(crate) gates_take: Duration,
    /// Runs that are under way, and since when.
    pub(crate) looking: BTreeMap<Asked, UnixNanos>,
    /// Runs that were stopped, since nobody asked for them any more.
    pub(crate) cancelled: Vec<Asked>,
    gate_results: Vec<GateSeen>,
    snapshots: Option<SnapshotsSeen>,
    pub(crate) now_snapshots: Snapshots,
    /// Where the site's configuration says that the environments are; a control plane reads it when it starts.
    pub(crate) site: Environments,
    planned: Snapshots,
    /// When this life of the control plane digested the configurations last.
    looked: Option<UnixNanos>,
    probe: Option<ProbeSeen>,
    pub(crate) probe_failures: u32,
    pub(crate) report: DueReport,
    pub(crate) effects: Vec<Effect>,
    controls: u32,
    pub(crate) story: Vec<String>,
    /// Do each effect twice.
    pub(crate) twice: bool,
}

/// A gate's run, where it looks, and which it is.
pub(crate) type Asked = (Gate, Option<u32>, u32);

pub(crate) fn gateway_id(name: &str) -> GatewayId {
    name.parse().unwrap()
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn facts(name: &str) -> EnvironmentFacts {
    EnvironmentFacts {
        otlp_endpoint: format!("http://{name}:4317"),
        otlp_protocol: "grpc".to_owned(),
        query_kind: Some("jaeger".to_owned()),
        query_endpoint: Some(format!("http://{name}:16686")),
    }
}

/// Not a real digest, but another one for other facts.
fn digest_of(facts: &EnvironmentFacts) -> Digest {
    let mut bytes = [0_u8; 32];
    for (index, byte) in facts.otlp_endpoint.bytes().enumerate() {
        bytes[index % 32] = bytes[index % 32].wrapping_mul(31).wrapping_add(byte);
    }
    Digest::from_bytes(bytes)
}

impl World {
    /// A log with its genesis, a control plane, and two gateways that report.
    pub(crate) fn new() -> Self {
        let snapshots: Snapshots = [("green/collector.yaml".to_owned(), digest(1))].into();
        let mut world = Self {
            now: UnixNanos(START),
            state: State::default(),
            log: Vec::new(),
            emergency: Vec::new(),
            health: LogHealth::Writable,
            conductor: None,
            gateways: vec![Gateway::new("gw-1"), Gateway::new("gw-2")],
            weather: Weather::default(),
            seen: BTreeMap::new(),
            gates: ["drift", "posture", "probe"].map(|gate| (gate.to_owned(), Outcome::Pass)).into(),
            gates_take: Duration::ZERO,
            looking: BTreeMap::new(),
            cancelled: Vec::new(),
            gate_results: Vec::new(),
            snapshots: None,
            now_snapshots: snapshots.clone(),
            site: ["blue", "green"].map(|name| (name.parse().unwrap(), facts(name))).into(),
            planned: snapshots,
            looked: None,
            probe: None,
            probe_failures: 0,
            report: DueReport::default(),
            effects: Vec::new(),
            controls: 0,
            story: Vec::new(),
            twice: false,
        };
        let genesis = Command::Initialise {
            origin: ORIGIN.to_owned(),
            active: "blue".parse().unwrap(),
            site: digest(9),
        };
        world.command(genesis).unwrap();
        world.start_control();
        world.run(Duration::from_secs(1));
        world
    }

    /// Begins to write the story down: what came before is not told.
    pub(crate) fn told(mut self) -> Self {
        self.story.clear();
        self
    }

    fn start_control(&mut self) {
        self.controls += 1;
        let boot = format!("control-{}", self.controls).parse().unwrap();
        let environments = self.site.iter().map(|(id, facts)| (id.clone(), digest_of(facts))).collect();
        let (version, reads_unknown_since) = ("0.1.0".to_owned(), self.now);
        let start = Command::StartControl { boot, version, environments, reads_unknown_since };
        self.command(start).unwrap();
    }

    pub(crate) fn plan(&self, spec: Spec) -> Plan {
        let attempt = self.state.attempts(&spec.name) + 1;
        let rollout = RolloutId::attempt(&spec.name, attempt).unwrap();
        let outline = spec.outline(rollout, Seed(42)).unwrap();
        Plan {
            schema_version: PLAN_VERSION,
            baseline: Baseline {
                generation: self.state.generation(),
                active: self.state.active.clone().unwrap(),
                rollouts: self.state.past.len().try_into().unwrap(),
                log_size: self.log.len() as u64,
            },
            environments: self.site.clone(),
            snapshots: self.planned.clone(),
            spec: digest(3),
            planned_at: self.now,
            outline,
        }
    }

    pub(crate) fn start(&mut self, text: &str) -> Result<(), Rejection> {
        self.start_plan(self.plan(spec(text)))
    }

    pub(crate) fn start_plan(&mut self, plan: Plan) -> Result<(), Rejection> {
        let (plan, digest) = (Box::new(plan), digest(2));
        let (snapshots, environments) = (self.now_snapshots.clone(), self.site.clone());
        self.command(Command::Start { plan, digest, snapshots, environments })
    }

    /// What an API would do with a call.
    pub(crate) fn command(&mut self, command: Command) -> Result<(), Rejection> {
        let events = decide(&self.state, command, self.now)?;
        let urgency =
            if events.iter().all(Event::is_way_back) { Urgency::Emergency } else { Urgency::Ordinary };
        self.append("operator:1".parse().unwrap(), events, urgency);
        self.look();
        Ok(())
    }

    /// Append, and only then fold. Each event goes through JSON.
    fn append(&mut self, actor: Actor, events: Vec<Event>, urgency: Urgency) -> bool {
        let writable = self.health == LogHealth::Writable;
        if !writable && urgency == Urgency::Ordinary {
            return false;
        }
        for event in events {
            let looked_at = matches!(
                event,
                Event::CutAnnounced { attempt: 1, .. }
                    | Event::GenerationIssued { why: GenerationCause::Promotion, .. }
            );
            if looked_at {
                let fresh = self.looked.is_some_and(|at| at.plus(Duration::from_secs(1)) >= self.now);
                assert!(fresh, "the configurations were digested in this life, just before: {event}");
            }
            let entry = Entry::new(actor.clone(), self.now, event);
            let json = serde_json::to_string(&entry).unwrap();
            assert!(json.len() < 65_536, "an entry is at most 65,535 bytes");
            let read: Entry = serde_json::from_str(&json).unwrap();
            assert_eq!(read, entry, "{json}");
            self.tell(&entry, writable);
            self.state = evolve(std::mem::take(&mut self.state), &read.event);
            if writable { &mut self.log } else { &mut self.emergency }.push(entry);
        }
        self.conduct();
        true
    }

    fn tell(&mut self, entry: &Entry, writable: bool) {
        let quiet = matches!(
            entry.event,
            Event::AnalysisRecorded { .. }
                | Event::LedgerNoted { .. }
                | Event::HorizonWatermark { .. }
                | Event::GenerationAcknowledged { .. }
        );
        if !quiet {
            let actor = if entry.actor == Actor::control() { "" } else { "> " };
            let kept = if writable { "" } else { "  (emergency file)" };
            self.story.push(format!("{}  {actor}{}{kept}", self.clock(), entry.event));
        }
    }

    pub(crate) fn clock(&self) -> String {
        let secs = (self.now.0 - START) / 1_000_000_000;
        format!("{:>2}:{:02}", secs / 60, secs % 60)
    }

    /// The conductor follows the log.
    fn conduct(&mut self) {
        let Some(schedule) = self.state.schedule.clone() else { return };
        let roster = self.state.roster.keys().map(|gateway| (gateway.clone(), None)).collect();
        let watermark = self.state.watermark.unwrap_or_default();
        let now = self.now;
        let conductor = self.conductor.get_or_insert_with(|| {
            Conductor::new(schedule.clone(), roster, watermark, now).with_horizon(Duration::from_secs(30))
        });
        if schedule.generation() > conductor.schedule().generation() {
            conductor.issue(schedule).unwrap();
        }
        for gateway in self.state.roster.keys() {
            conductor.enlist(gateway.clone());
        }
        for gateway in
            conductor.roster().into_keys().filter(|gateway| !self.state.roster.contains_key(gateway))
        {
            conductor.strike(&gateway);
        }
        conductor.watermark_is_durable(watermark);
    }

    pub(crate) fn observed(&self) -> Observed {
        let conductor = self.conductor.as_ref();
        Observed {
            log: self.health.clone(),
            gateways: self.seen.values().cloned().collect(),
            cut: conductor
                .and_then(|c| Some(CutSeen { cut_at: c.announced()?, verdict: c.verdict(self.now) })),
            wants_watermark: conductor.and_then(|c| c.wants_watermark(self.now)),
            gates: self.gate_results.clone(),
            snapshots: self.snapshots.clone(),
            probe: self.probe.clone(),
        }
    }

    /// Asks `due` until it has no more entries to write.
    pub(crate) fn look(&mut self) {
        for round in 0.. {
            assert!(round < 50, "due does not come to rest: {:?}", self.effects);
            let (effects, report) = due(&self.state, &self.observed(), self.now);
            self.report = report;
            self.effects = effects.clone();
            if !effects.iter().any(|effect| matches!(effect, Effect::Resnapshot { .. })) {
                self.snapshots = None;
            }
            let mut recorded = false;
            for effect in effects {
                recorded |= self.perform(&effect);
                if self.twice && !matches!(effect, Effect::Record { .. }) {
                    self.perform(&effect);
                }
            }
            if !recorded {
                return self.cancel();
            }
        }
    }

    /// Stops gates that nobody asks for any more. A result that comes all the same is nobody's.
    fn cancel(&mut self) {
        let asked = |effect: &Effect| match effect {
            Effect::RunGate { gate, step, run, .. } => Some((*gate, *step, *run)),
            _ => None,
        };
        let asked: Vec<Asked> = self.effects.iter().filter_map(asked).collect();
        let done =
            |run: &Asked| self.gate_results.iter().any(|seen| (seen.gate, seen.step, seen.run) == *run);
        let stopped: Vec<Asked> =
            self.looking.keys().filter(|run| !asked.contains(run) && !done(run)).copied().collect();
        self.looking.retain(|run, _| asked.contains(run));
        self.cancelled.extend(stopped);
    }

    fn perform(&mut self, effect: &Effect) -> bool {
        match effect {
            Effect::Record { events, urgency } => {
                return self.append(Actor::control(), events.clone(), *urgency);
            }
            Effect::RunGate { rollout, gate, step, run } => {
                let asked = (*gate, *step, *run);
                let began = *self.looking.entry(asked).or_insert(self.now);
                let here = step.map(|step| format!("{gate}@{step}"));
                let says = here.and_then(|here| self.gates.get(&here)).or(self.gates.get(&gate.to_string()));
                if let Some(outcome) = says.filter(|_| self.now >= began.plus(self.gates_take)) {
                    self.gate_results.push(GateSeen {
                        rollout: rollout.clone(),
                        gate: *gate,
                        step: *step,
                        run: *run,
                        outcome: *outcome,
                        summary: "as told".to_owned(),
                        evidence: Some(digest(4)),
                        seed: Some(SeedSource { size: self.log.len() as u64, root: "as told".to_owned() }),
                    });
                }
            }
            Effect::Resnapshot { rollout, step } => {
                let (planned, now) = (self.planned.clone(), self.now_snapshots.clone());
                self.looked = Some(self.now);
                self.snapshots = Some(SnapshotsSeen { rollout: rollout.clone(), step: *step, planned, now });
            }
            Effect::Probe { rollout, step, round, traces } => {
                let (rollout, step, round, traces) = (rollout.clone(), *step, *round, *traces);
                let failed = self.probe_failures;
                self.probe = Some(ProbeSeen { rollout, step, round, traces, failed, evidence: None });
            }
            Effect::AnnounceCut { cut_at, .. } => {
                let conductor = self.conductor.as_mut().unwrap();
                if conductor.announced() != Some(*cut_at) {
                    // Refused while a gateway has not told this control plane what it knows; said again until then.
                    let _ = conductor.announce(*cut_at);
                }
            }
            Effect::IssueGeneration { .. } | Effect::Fence { .. } | Effect::CloseLedgers { .. } => {}
        }
        false
    }

    /// Every gateway that is not silent reports and hears.
    fn sync(&mut self) {
        for gateway in self.gateways.iter_mut().filter(|gateway| !gateway.silent) {
            let report = gateway.report(self.now);
            let (id, boot, ack) = (report.gateway.clone(), report.boot.clone(), report.ack);
            let mut horizon = UnixNanos::ZERO;
            let rostered = self.state.roster.contains_key(&id);
            if let Some(conductor) = self.conductor.as_mut().filter(|_| rostered) {
                conductor.report(&id, ack, self.now).unwrap();
                if let Some(fence) = self.state.directions().and_then(|directions| directions.fence) {
                    gateway.fence = Some(fence.clone());
                    gateway.follower.fence(fence.clone());
                }
                let directive = conductor.directive(&id, self.now).unwrap();
                horizon = directive.horizon;
                // A gateway that is fenced refuses the rollout's generations.
                let _ = gateway.follower.accept(directive);
                let saved = gateway.follower.saved().clone();
                gateway.follower.mark_saved(&saved);
            }
            self.seen.insert((id, boot), GatewaySeen { report, received_at: self.now, horizon });
        }
    }

    /// Half a second passes.
    pub(crate) fn tick(&mut self) {
        let tick = Duration::from_millis(500);
        self.now = self.now.plus(tick);
        for gateway in &mut self.gateways {
            gateway.count(self.now, tick.as_secs_f64(), &self.weather);
        }
        self.sync();
        self.look();
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while self.now < until {
            self.tick();
        }
    }

    /// Runs until the story has a line with `text`, for at most ten minutes.
    pub(crate) fn until(&mut self, text: &str) {
        for _ in 0..1200 {
            if self.story.iter().any(|line| line.contains(text)) {
                return;
            }
            self.tick();
        }
        panic!("`{text}` does not happen; {}\n{}", self.waits(), self.story.join("\n"));
    }

    /// Runs until the rollout has ended.
    pub(crate) fn finish(&mut self) -> Phase {
        for _ in 0..2400 {
            if let Some(phase) = self.phase().filter(|phase| phase.is_final()) {
                return phase;
            }
            self.tick();
        }
        panic!("no end; {}\n{}", self.waits(), self.story.join("\n"));
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.state.rollout.as_ref().map(|rollout| rollout.phase)
    }

    pub(crate) fn weight(&self) -> Weight {
        self.state.schedule.as_ref().unwrap().weight()
    }

    pub(crate) fn cuts(&self) -> usize {
        self.log.iter().filter(|entry| matches!(entry.event, Event::CutCommitted { .. })).count()
    }

    pub(crate) fn waits(&self) -> String {
        let waits: Vec<String> = self.report.waiting.iter().map(ToString::to_string).collect();
        format!("waiting for {}", waits.join("; "))
    }

    /// Writes down why nothing happens.
    pub(crate) fn why(&mut self) {
        let line = format!("{}  ... {}", self.clock(), self.waits());
        self.story.push(line);
    }

    pub(crate) fn say(&mut self, text: &str) {
        let line = format!("{}  -- {text}", self.clock());
        self.story.push(line);
    }

    /// Somebody edits the site's configuration. The control plane reads it when it starts again.
    pub(crate) fn move_green(&mut self, endpoint: &str) {
        let facts = self.site.get_mut(&"green".parse().unwrap()).unwrap();
        facts.otlp_endpoint = endpoint.to_owned();
    }

    /// `kill -9` of the control plane: only the log is left.
    pub(crate) fn kill_control(&mut self) {
        self.say("kill -9, and start again");
        self.control_again();
    }

    fn control_again(&mut self) {
        self.conductor = None;
        self.seen.clear();
        self.gate_results.clear();
        self.looking.clear();
        self.snapshots = None;
        self.looked = None;
        self.probe = None;
        let events = self.log.iter().map(|entry| &entry.event);
        let replayed = crossfade_rollout::replay(events);
        if self.emergency.is_empty() {
            assert_eq!(replayed, self.state, "the log is all there is");
        }
        self.state = replayed;
        self.conduct();
        self.start_control();
    }

    /// The whole process dies: gateways too.
    pub(crate) fn kill_all(&mut self) {
        self.gateways.iter_mut().for_each(|gateway| gateway.restart());
        self.kill_control();
    }

    /// The whole process ends in order, and starts again: gateways report their closing accounts before control ends.
    pub(crate) fn restart_all(&mut self) {
        self.say("stopped in order, and started again");
        self.gateways.iter_mut().for_each(Gateway::drain);
        self.sync();
        self.look();
        let boot = self.state.control.clone().unwrap();
        self.command(Command::StopControl { boot }).unwrap();
        self.gateways.iter_mut().for_each(Gateway::restart);
        self.control_again();
    }

    pub(crate) fn kill_gateway(&mut self, index: usize) {
        let line = format!("{} is killed, and started again", self.gateways[index].id);
        self.say(&line);
        self.gateways[index].restart();
    }

    /// A gateway's breaker opens.
    pub(crate) fn trip_breaker(&mut self, index: usize) {
        self.fence(index, FenceCause::Breaker { detail: "9 of 9 requests unanswered".to_owned() });
    }

    /// A gateway fences by itself.
    pub(crate) fn fence(&mut self, index: usize, cause: FenceCause) {
        let schedule = self.state.schedule.clone().unwrap();
        let fence = Fence {
            rollout: schedule.rollout().unwrap_or("none").to_owned(),
            generation: schedule.generation(),
            at: self.now,
            cause,
        };
        self.gateways[index].fence = Some(fence.clone());
        self.gateways[index].follower.fence(fence);
    }

    /// The log takes entries again; those of the emergency file are merged.
    pub(crate) fn mend_log(&mut self) {
        self.health = LogHealth::Writable;
        let kept = std::mem::take(&mut self.emergency);
        let (entries, since) =
            (kept.len().try_into().unwrap(), kept.first().map_or(self.now, |entry| entry.time));
        self.append(
            Actor::control(),
            vec![Event::EmergencyMerged { entries, since, at: self.now }],
            Urgency::Ordinary,
        );
        self.log.extend(kept);
        self.look();
    }

    pub(crate) fn entries_of(&self, cause: GenerationCause) -> usize {
        let why = |entry: &&Entry| matches!(entry.event, Event::GenerationIssued { why, .. } if why == cause);
        self.log.iter().filter(why).count()
    }

    pub(crate) fn told_story(&self) -> String {
        self.story.join("\n")
    }
}
