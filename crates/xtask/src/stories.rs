//! `cargo xtask stories`: every story of `crossfade demo`, told by the built program, and held against what its name promises: exit
//! code, JSON, and a log that verifies in a process of its own.

use crate::e2e::crossfade;
use crate::shell::{capture, output_within, say, seconds, stage, target};
use crate::suite::Tally;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often a story is told of which nothing is wrong but that clocks were not trusted: they are real, and a busy machine delays them.
const ATTEMPTS: u32 = 3;
/// No story takes longer; the program gives up by itself before.
const STORY_MAX: Duration = Duration::from_secs(300);
const VERIFY_MAX: Duration = Duration::from_secs(180);
/// What coverage notes where no gateway told it what was sent: a story has one that does.
const SENT_UNKNOWN: &str = "CF-COVERAGE-015";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these; without a name, all
    stories: Vec<String>,
    /// The first seed of traffic and faults
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// A `crossfade` that is built already
    #[arg(long)]
    program: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let program = match &args.program {
        Some(program) => program.canonicalize().with_context(|| format!("finding {}", program.display()))?,
        None => stage("build crossfade", crossfade::build)?,
    };
    tell(&program, &args.stories, args.seed..args.seed + args.seeds)?.close()
}

/// All stories once.
pub(crate) fn tell_all() -> Result<Tally> {
    let program = stage("build crossfade", crossfade::build)?;
    tell(&program, &[], 42..43)
}

fn tell(program: &Path, wanted: &[String], seeds: std::ops::Range<u64>) -> Result<Tally> {
    let listed = capture(Command::new(program).args(["demo", "--list"]))?;
    let known: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no story called `{unknown}`; there are {}", known.join(", "));
    }
    let work = target()?.join("stories");
    let mut tally = Tally::default();
    for seed in seeds {
        for name in known.iter().filter(|name| wanted.is_empty() || wanted.iter().any(|one| one == *name)) {
            let start = Instant::now();
            let told = one(program, name, seed, &work.join(seed.to_string()));
            let time = seconds(start.elapsed());
            match &told {
                Ok(what) => println!("test stories::{name} ... ok (seed {seed}, {time}; {what})"),
                Err(error) => println!("test stories::{name} ... FAILED (seed {seed}, {time})\n{error:#}"),
            }
            tally.count(told.is_ok());
        }
    }
    Ok(tally)
}

/// Tells one story, and says why if it tells it again.
fn one(program: &Path, name: &str, seed: u64, dir: &Path) -> Result<String> {
    for attempt in 1.. {
        let mut command = Command::new(program);
        command.args(["demo", name, "--json", "--seed", &seed.to_string(), "--dir"]).arg(dir);
        let output = output_within(STORY_MAX, &command)?;
        let told = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        let checked = check(name, output.status.code(), &told)
            .and_then(|what| verify(program, &dir.join(name)).map(|()| what))
            .with_context(|| said.trim_end().to_owned());
        let is_last = attempt == ATTEMPTS || !only_clocks(&told);
        match checked {
            Ok(what) if attempt == 1 => return Ok(what),
            Ok(what) => return Ok(format!("{what}; at attempt {attempt} of {ATTEMPTS}")),
            Err(error) if is_last => return Err(error.context(format!("attempt {attempt} of {ATTEMPTS}"))),
            Err(error) => {
                say(&format!("{name}, attempt {attempt} of {ATTEMPTS}: {error:#}; clocks alone: again"))
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// Whether the story itself says that nothing is wrong but that clocks were not trusted.
fn only_clocks(stdout: &str) -> bool {
    let summary = stdout.lines().next_back().and_then(|line| serde_json::from_str::<Value>(line).ok());
    summary.is_some_and(|summary| summary["only_clocks"] == true)
}

/// What a story's name promises: repaired twins and `good` are promoted, `bad` is rolled back, everything else is stopped.
fn promised(name: &str) -> (&'static str, i32) {
    match name {
        "bad" => ("rolled_back", 4),
        "good" => ("promoted", 0),
        name if name.ends_with("-repaired") => ("promoted", 0),
        _ => ("stopped", 1),
    }
}

/// Holds an exit code and the last line of JSON against what is promised.
fn check(name: &str, code: Option<i32>, stdout: &str) -> Result<String> {
    let summary = stdout.lines().next_back().context("no line of JSON")?;
    let summary: Value = serde_json::from_str(summary).context("the last line is no JSON")?;
    ensure!(
        summary["event"] == "summary" && summary["story"] == name,
        "the last line is no summary of {name}"
    );
    let flaws = summary["flaws"].as_array().context("no flaws, not even none")?;
    ensure!(flaws.is_empty(), "{}", summary["flaws"]);
    let (outcome, promised_code) = promised(name);
    ensure!(summary["outcome"] == outcome, "{} instead of {outcome}", summary["outcome"]);
    ensure!(code == Some(promised_code), "exit code {code:?} instead of {promised_code}");
    for nothing in ["torn", "spans_lost"] {
        ensure!(summary[nothing] == 0, "{nothing}: {}", summary[nothing]);
    }
    ensure!(summary["log_verified"] == true, "the log does not verify");
    let ids: std::collections::BTreeSet<&str> = summary["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["finding"].as_str())
        .collect();
    ensure!((outcome == "stopped") != ids.is_empty(), "{outcome} with the findings {ids:?}");
    if outcome == "stopped" {
        ensure!(summary["green_owned"] == 0, "green owned traces");
        return Ok(format!("stopped by {}", ids.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("{outcome}, {} traces whole", summary["traces"]))
}

/// By a process that knows the log's folder and key only.
fn verify(program: &Path, dir: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["audit", "verify"]).arg(dir.join("audit")).arg("--key").arg(dir.join("log.pub"));
    let output = output_within(VERIFY_MAX, &command)?;
    ensure!(output.status.success(), "the log: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    let evidence = read_all(&dir.join("audit").join("evidence"))?;
    ensure!(!evidence.is_empty(), "no evidence in {}", dir.display());
    let asked_nobody = evidence.iter().find(|(_, report)| report.contains(SENT_UNKNOWN));
    ensure!(asked_nobody.is_none(), "{SENT_UNKNOWN} in {}", asked_nobody.map_or("", |(path, _)| path));
    Ok(())
}

/// The files below a folder, with what they say.
fn read_all(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(read_all(&path)?);
        } else {
            let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            all.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(change: impl FnOnce(&mut Value)) -> String {
        let mut summary = json!({ "event": "summary", "story": "cloud", "outcome": "stopped", "torn": 0,
            "spans_lost": 0, "green_owned": 0, "log_verified": true, "flaws": [],
            "findings": [{ "finding": "CF-COVERAGE-001" }] });
        change(&mut summary);
        format!("{{\"event\":\"entry\"}}\n{summary}\n")
    }

    /// Guarantee: a story is told again for its clocks, and for nothing that it says beside or instead.
    #[test]
    fn only_clocks_are_excused() {
        assert!(only_clocks(&line(|summary| summary["only_clocks"] = json!(true))));
        assert!(!only_clocks(&line(
            |summary| summary["flaws"] = json!(["this machine was too busy for the demo"])
        )));
        assert!(!only_clocks("") && !only_clocks("too busy for the demo"));
    }

    #[test]
    fn a_story_must_keep_what_its_name_promises() {
        let of = |change: fn(&mut Value), code| check("cloud", Some(code), &line(change));
        assert_eq!(of(|_| {}, 1).unwrap(), "stopped by CF-COVERAGE-001");
        for (change, code) in [
            ((|_| {}) as fn(&mut Value), 0),
            (|summary| summary["outcome"] = json!("promoted"), 1),
            (|summary| summary["flaws"] = json!(["something"]), 1),
            (|summary| summary["findings"] = json!([]), 1),
            (|summary| summary["green_owned"] = json!(1), 1),
            (|summary| summary["torn"] = json!(1), 1),
            (|summary| summary["story"] = json!("bank"), 1),
            (|summary| drop(summary.as_object_mut().unwrap().remove("flaws")), 1),
        ] {
            assert!(of(change, code).is_err());
        }
        let promoted = |summary: &mut Value| {
            *summary = json!({ "event": "summary", "story": "cloud-repaired", "outcome": "promoted", "torn": 0,
                "spans_lost": 0, "log_verified": true, "flaws": [], "traces": 7 });
        };
        assert_eq!(check("cloud-repaired", Some(0), &line(promoted)).unwrap(), "promoted, 7 traces whole");
        assert!(check("cloud", Some(0), "").is_err());
    }
}
