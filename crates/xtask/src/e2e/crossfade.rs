//! Crossfade itself, as its users run it: a program with a configuration file, `serve` in one process and every command in
//! another.

use super::Ground;
use super::stack::Environment;
use crate::rig::process::Process;
use crate::rig::{listens, ports, template, wait};
use crate::shell::{cargo, run as run_command, target};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(120);
const LOG_DIR: &str = "crossfade-data/audit";

/// A site between a blue and a green environment, in a folder of its own.
#[derive(Debug)]
pub(crate) struct Site {
    program: PathBuf,
    dir: PathBuf,
    /// OTLP/gRPC of the gateway.
    pub(crate) grpc: u16,
    /// OTLP/HTTP of the gateway.
    pub(crate) http: u16,
    control: u16,
}

/// An entry of the audit log, with its number.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) event: Value,
}

/// Builds the program, and the example that the cases need, as `cargo test --workspace` does. A package by itself, without what its tests
/// and examples need, would have its dependencies with other features: a quarter of all would be compiled once more.
pub(crate) fn build() -> Result<PathBuf> {
    let what = ["--workspace", "--bin", "crossfade", "--example", "stores"];
    run_command(cargo().args(["build", "--quiet", "--locked"]).args(what))?;
    Ok(target()?.join("debug/crossfade"))
}

impl Site {
    /// Writes the configuration and makes keys and log; blue is active.
    pub(crate) fn init(blue: &Environment, green: &Environment, ground: &Ground) -> Result<Self> {
        let mut words = Vec::new();
        words.extend(blue.words(["blue_grpc", "blue_http", "blue_query", "blue_jaeger", "blue_configs"]));
        words.extend(green.words([
            "green_grpc",
            "green_http",
            "green_query",
            "green_jaeger",
            "green_configs",
        ]));
        Self::of("crossfade.yaml", words, ground)
    }

    /// Likewise, of a template of `tests/e2e/config/` and its words, but for those of its own ports.
    pub(crate) fn of(
        template: &str,
        mut words: Vec<(&'static str, String)>,
        ground: &Ground,
    ) -> Result<Self> {
        let Ground { dir, program } = ground;
        let [grpc, http, control] = [ports::free()?, ports::free()?, ports::free()?];
        words.extend(
            [("grpc", grpc), ("http", http), ("control", control)]
                .map(|(word, port)| (word, port.to_string())),
        );
        let words: Vec<_> = words.iter().map(|(word, value)| (*word, &**value)).collect();
        template::write(&format!("tests/e2e/config/{template}"), &words, &dir.join("crossfade.yaml"))?;
        let site = Self { program: program.clone(), dir: dir.clone(), grpc, http, control };
        site.demand(&["init", "--active", "blue"])?;
        Ok(site)
    }

    /// Starts `serve`, and waits until it receives and answers.
    pub(crate) fn serve(&self) -> Result<Process> {
        let mut command = self.command(&["serve"]);
        command.env("CROSSFADE_LOG", "info");
        let mut process = Process::start("serve", &command, &self.dir)?;
        let ports = [self.grpc, self.http, self.control];
        process.until("its ports", STARTUP, || ports.iter().all(|port| listens(*port)))?;
        process.until("its control plane", STARTUP, || self.status().is_ok())?;
        Ok(process)
    }

    /// Plans a rollout from a spec of `tests/e2e/config/` and starts it.
    pub(crate) fn start(&self, spec: &str) -> Result<()> {
        self.start_with(spec, &[])
    }

    /// Likewise, with words for the spec.
    pub(crate) fn start_with(&self, spec: &str, words: &[(&str, &str)]) -> Result<()> {
        template::write(&format!("tests/e2e/config/{spec}"), words, &self.dir.join(spec))?;
        // The plan's dry run is advice: what it says of the gates is not asked here.
        let planned = self.run(&["rollout", "plan", spec, "--out", "plan.json"])?;
        ensure!(self.dir.join("plan.json").exists(), "no plan was written:\n{}", shown(&planned));
        self.demand(&["rollout", "start", "plan.json", "--anyway"]).map(drop)
    }

    /// Waits until the rollout has ended, and returns how, in the words of the log: `Finalized`, `RolledBack`, `Aborted`.
    pub(crate) fn ended(&self, limit: Duration) -> Result<String> {
        let ends = ["Finalized", "RolledBack", "Aborted"];
        let end = self.entry(limit, &ends.join(" or "), |entry| ends.contains(&&*entry.kind));
        Ok(end.with_context(|| self.told())?.kind)
    }

    /// Waits for an entry of the log.
    pub(crate) fn entry(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Entry> {
        wait::until(what, limit, || Ok(self.log()?.into_iter().find(&wanted)))
    }

    /// Every entry of the log, read offline.
    pub(crate) fn log(&self) -> Result<Vec<Entry>> {
        let shown = self.demand(&["audit", "show", LOG_DIR, "-o", "json"])?;
        shown.lines().map(parse_entry).collect()
    }

    /// What a gate reported, as the evidence of its entry has it.
    pub(crate) fn report(&self, finished: &Entry) -> Result<Value> {
        let digest = finished.event["evidence"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        let digest =
            digest.filter(|digest| digest.len() == 64).context("a gate that finished has evidence")?;
        let path = self.dir.join(LOG_DIR).join("evidence").join(&digest[..2]).join(digest);
        let report = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&report).with_context(|| format!("reading {}", path.display()))
    }

    /// Checks the whole log offline.
    pub(crate) fn verify(&self) -> Result<()> {
        self.demand(&["audit", "verify", LOG_DIR, "--key", "crossfade-data/log.pub"]).map(drop)
    }

    /// The environment that owns a trace, as the program says.
    pub(crate) fn locate(&self, trace: &str, start: u64) -> Result<String> {
        let start = format!("{}.{:09}", start / 1_000_000_000, start % 1_000_000_000);
        let date = ["-u", "-d", &format!("@{start}"), "+%Y-%m-%dT%H:%M:%S.%NZ"].map(str::to_owned);
        let start = crate::shell::capture(Command::new("date").args(date))?;
        let told = self.demand(&["trace", "locate", trace, "--start", start.trim(), "-o", "json"])?;
        let told: Value = serde_json::from_str(&told).context("what `trace locate` says")?;
        Ok(told["owner"].as_str().context("`trace locate` names an owner")?.to_owned())
    }

    pub(crate) fn status(&self) -> Result<Value> {
        let told = self.demand(&["rollout", "status", "-o", "json"])?;
        serde_json::from_str(&told).context("what `rollout status` says")
    }

    /// Runs a command that must end well, and returns what it printed.
    pub(crate) fn demand(&self, words: &[&str]) -> Result<String> {
        let output = self.run(words)?;
        if !output.status.success() {
            bail!("`crossfade {}`: {}", words.join(" "), shown(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command, however it ends.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Output> {
        self.command(words).output().with_context(|| format!("starting `crossfade {}`", words.join(" ")))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&self.dir).env("NO_COLOR", "1");
        for name in ["CROSSFADE_CONFIG", "CROSSFADE_CONTROL", "CROSSFADE_TOKEN_FILE"] {
            command.env_remove(name);
        }
        command
    }

    /// What a person would look at: where it stands, and the end of the log.
    pub(crate) fn told(&self) -> String {
        let status =
            self.run(&["rollout", "status"]).map_or_else(|error| error.to_string(), |output| shown(&output));
        let log = self
            .run(&["audit", "show", LOG_DIR])
            .map_or_else(|error| error.to_string(), |output| shown(&output));
        let lines: Vec<_> = log.lines().collect();
        format!("{status}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"))
    }
}

fn parse_entry(line: &str) -> Result<Entry> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("an entry of the log: {line}"))?;
    let event = value["entry"]["event"].clone();
    let kind = event["type"].as_str().context("an event has a type")?.to_owned();
    Ok(Entry { kind, event })
}

fn shown(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{}\n{}{}", output.status, text[0], text[1])
}
