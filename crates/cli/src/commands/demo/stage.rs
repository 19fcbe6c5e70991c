//! One story, played: two simulated environments, a gateway and a control plane as `serve` runs them, traffic, a rollout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossfade_audit::show::{self, Filter};
use crossfade_control::Site;
use crossfade_control::api::{EventsReply, PlanRequest, Started, VerbRequest, read_token};
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_lab::environment::Environment;
use crossfade_lab::measure::{Found, LogFacts, RolloutFacts, Summary, measure};
use crossfade_lab::scenario::{ROLLOUT_PATH, SITE_PATH, Scenario, ScenarioFile, Stage};
use crossfade_lab::traffic::{self, Targets, Traffic};
use crossfade_rollout::event::{Event, Gate, Outcome as GateOutcome, PauseCause};
use crossfade_rollout::{Entry, PlanFile, RolloutId};
use crossfade_routing::{EnvironmentId, UnixNanos};

use super::findings;
use super::pulse::{self, Pulse};
use super::tell::Teller;
use crate::compose::{Running, Tuning};
use crate::exit::{Failure, OrExit};
use crate::ui;

/// The plan, as it was started.
const PLAN_PATH: &str = "plan.json";
/// Long enough for the longest trace of the story, and short enough that a restart would not be noticed.
const HORIZON: Duration = Duration::from_secs(60);
/// As long as the longest trace, and the batch that its last span waits for.
const TAP_SETTLE: Duration = Duration::from_secs(4);
/// Tells a demo's folder from any other.
const MARKER: &str = ".crossfade-demo";
/// No rollout of a story takes longer than this,
const STORY_MAX: Duration = Duration::from_secs(90);
/// and nothing else of it than this: what hangs must not hang the demo.
const PART_MAX: Duration = Duration::from_secs(45);

/// A story that was played.
pub(super) struct Played {
    pub(super) summary: Summary,
    /// When its stage was set.
    pub(super) began: UnixNanos,
    pub(super) pulse: Pulse,
    /// Where the reports are that the findings on the record are from, by gate.
    pub(super) evidence: BTreeMap<String, PathBuf>,
    /// And what the dry run found.
    pub(super) plan: PathBuf,
}

/// Plays a story, and says what came of it, as the two environments and the log have it.
pub(super) async fn play(scenario: &Scenario, dir: &Path, teller: &mut Teller) -> Result<Played, Failure> {
    let watch = pulse::Watch::start();
    let Stage { set_at: began, blue, green, files } =
        within(PART_MAX, "the stage was not set", &watch, Stage::set(scenario)).await?.or_usage()?;
    let site = set_up(&files, dir)?;
    let log_dir = site.log_dir.clone();
    let token = read_token(&site.token_file).or_usage()?;
    let tuning = Tuning { horizon: Some(HORIZON), tap_settle: Some(TAP_SETTLE) };
    let starting = Running::start(site, tuning);
    let running = within(PART_MAX, "gateway and control plane did not start", &watch, starting).await??;
    let client = Client::with_token(&format!("http://{}", running.control.address()), token)?;
    let traffic = start_traffic(scenario, &running)?;

    let story = follow(scenario, dir, &client, &green, teller);
    let (rollout, planned) = within(STORY_MAX, "the rollout did not end", &watch, story).await??;
    teller.settling();
    let record = within(PART_MAX, "the traffic did not end", &watch, traffic.stop()).await?;
    within(PART_MAX, "gateway and control plane did not stop", &watch, running.stop()).await?;

    let entries = entries(&log_dir)?;
    let facts = RolloutFacts::from_log(&rollout, &entries)
        .ok_or_else(|| Failure::refused(anyhow::anyhow!("the log does not know the rollout")))?;
    let measured = measure(&record, &facts, &blue.store(), &green.store());
    let log = LogFacts {
        entries: entries.len() as u64,
        verified: verified(&log_dir)?,
        dir: log_dir.display().to_string(),
    };
    let (mut findings, evidence) = findings::recorded(&rollout, &entries, &log_dir)?;
    findings.extend(planned);
    let summary = Summary::new(scenario.name, &measured, &facts, &green.observed(), log, findings);
    Ok(Played { summary, began, pulse: watch.stop(), evidence, plan: dir.join(PLAN_PATH) })
}

/// What comes of a part of a story, unless it takes too long.
async fn within<T>(
    limit: Duration,
    hung: &str,
    watch: &pulse::Watch,
    part: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, part).await.map_err(|_| {
        let busy = watch.so_far().words().map_or_else(String::new, |words| format!("; {words}"));
        Failure::refused(anyhow::anyhow!("the demo hangs: {hung} within {} s{busy}", limit.as_secs()))
    })
}

/// Writes the story's files into an empty folder and initialises the site, as a person would.
fn set_up(files: &[ScenarioFile], dir: &Path) -> Result<Site, Failure> {
    replace(dir)?;
    for file in files {
        let path = dir.join(file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).or_usage()?;
        }
        let mode = if file.private { 0o600 } else { 0o644 };
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).or_usage()?;
        opened.write_all(file.text.as_bytes()).or_usage()?;
    }
    let site = Site::load(&dir.join(SITE_PATH), &ui::variable).or_usage()?;
    let active = EnvironmentId::new("blue").or_usage()?;
    crossfade_control::init(&site, &active, crossfade_control::now()).or_usage()?;
    Ok(site)
}

/// Removes what an earlier demo left. A folder that is not a demo's is left alone.
fn replace(dir: &Path) -> Result<(), Failure> {
    let trouble = |error: std::io::Error| {
        Failure::usage(anyhow::anyhow!("{}: {error}; choose another folder with --dir", dir.display()))
    };
    if dir.exists() {
        let is_empty = std::fs::read_dir(dir).map_err(trouble)?.next().is_none();
        if !is_empty && !dir.join(MARKER).is_file() {
            let what =
                format!("{} is not an earlier demo's folder; choose another with --dir", dir.display());
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        std::fs::remove_dir_all(dir).map_err(trouble)?;
    }
    std::fs::create_dir_all(dir).map_err(trouble)?;
    std::fs::write(dir.join(MARKER), "Made by `crossfade demo`, which replaces this folder.\n")
        .map_err(trouble)
}

fn start_traffic(scenario: &Scenario, running: &Running) -> Result<Traffic, Failure> {
    let targets = Targets {
        grpc: running.gateway.grpc_addr().into_iter().collect(),
        http: running.gateway.http_addr().into_iter().collect(),
    };
    traffic::start(scenario.traffic.clone(), &targets).or_usage()
}

/// Plans and starts the rollout, lets the fault strike, and tells what the log says until the rollout has ended. Gives also what the
/// plan's dry run found.
async fn follow(
    scenario: &Scenario,
    dir: &Path,
    client: &Client,
    green: &Environment,
    teller: &mut Teller,
) -> Result<(RolloutId, Vec<Found>), Failure> {
    teller.begin(scenario);
    let (rollout, planned) = start_rollout(scenario, dir, client, teller).await?;
    let mut from = 0;
    let mut cut = None;
    let mut held = Held::default();
    loop {
        let asking = client.get::<EventsReply>(&format!("/v1/events?from={from}&wait_ms=200")).await?;
        let next = asking.next;
        for (_, entry) in asking.read().or_usage()? {
            teller.event(scenario, &entry);
            held.note(&entry.event);
            if let (Event::CutCommitted { schedule, .. }, Some(fault)) = (&entry.event, &scenario.fault) {
                cut = cut.or_else(|| {
                    schedule.cuts().last().filter(|cut| fault.follows(cut)).map(|cut| (*cut, fault))
                });
            }
        }
        from = next;
        if let Some((at, fault)) = cut
            && crossfade_control::now() >= at.at.plus(fault.after)
            && green.faults() != fault.faults
        {
            fault.strike(at, green).await;
        }
        let status: Status = client.get("/v1/status").await?;
        teller.status(&status);
        if from < status.log.size {
            continue;
        }
        if status.rollout.as_ref().is_some_and(|rollout| rollout.phase.is_final()) {
            return Ok((rollout, planned));
        }
        if let Some(reason) = held.is_over() {
            let request = VerbRequest { reason: Some(reason), full: false };
            let _: Started = client.post("/v1/rollouts/current/abort", &request).await?;
        }
    }
}

/// A rollout that holds because a gate failed waits for its operator, who hears the other gates out and gives it up.
#[derive(Default)]
struct Held {
    looking: BTreeSet<(Gate, u32)>,
    failed: BTreeSet<Gate>,
    is_held: bool,
}

impl Held {
    fn note(&mut self, event: &Event) {
        match event {
            Event::GateStarted { gate, run, .. } => drop(self.looking.insert((*gate, *run))),
            Event::GateFinished { gate, run, outcome, .. } => {
                self.looking.remove(&(*gate, *run));
                if *outcome != GateOutcome::Pass {
                    self.failed.insert(*gate);
                }
            }
            Event::Paused { by: PauseCause::Gate { .. }, .. } => self.is_held = true,
            Event::AbortStarted { .. } => self.is_held = false,
            _ => {}
        }
    }

    /// Why it is given up, once all have been heard.
    fn is_over(&mut self) -> Option<String> {
        let is_over = self.is_held && self.looking.is_empty();
        is_over.then(|| {
            self.is_held = false;
            let failed: Vec<&str> = self.failed.iter().map(|gate| gate.name()).collect();
            format!("{} did not pass", failed.join(" and "))
        })
    }
}

/// Plans, and starts whatever the dry run says: what it says has to be on the record.
async fn start_rollout(
    scenario: &Scenario,
    dir: &Path,
    client: &Client,
    teller: &mut Teller,
) -> Result<(RolloutId, Vec<Found>), Failure> {
    let source = dir.join(ROLLOUT_PATH).display().to_string();
    let request = PlanRequest { spec: scenario.rollout.to_owned(), source };
    let plan: PlanFile = client.post("/v1/plans", &request).await?;
    let text = serde_json::to_string_pretty(&plan).or_usage()?;
    std::fs::write(dir.join(PLAN_PATH), text + "\n").or_usage()?;
    teller.objections(&plan);
    let started: Started = client.post("/v1/rollouts?anyway=true", &plan).await?;
    Ok((started.rollout, findings::planned(&plan)))
}

fn entries(log_dir: &Path) -> Result<Vec<Entry>, Failure> {
    let leaves = show::entries(log_dir, Filter::default()).or_refused()?;
    leaves.map(|leaf| leaf.and_then(|leaf| leaf.entry()).or_refused()).collect()
}

fn verified(log_dir: &Path) -> Result<bool, Failure> {
    let key = crossfade_audit::keys::load_verifier(&log_dir.with_file_name("log.pub")).or_refused()?;
    let report = crossfade_audit::verify::verify(log_dir, &key).or_refused()?;
    if !report.intact {
        eprintln!("{report}");
    }
    Ok(report.intact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_hangs_is_told() {
        let watch = pulse::Watch::start();
        let hung = within(
            Duration::from_millis(20),
            "the traffic did not end",
            &watch,
            std::future::pending::<()>(),
        );
        let error = hung.await.expect_err("it never ends");
        let text = error.text();
        assert!(text.contains("the demo hangs: the traffic did not end within 0 s"), "{text}");
        assert_eq!(within(PART_MAX, "", &watch, async { 7 }).await.ok(), Some(7));
    }
}
