//! The gates' commands, run in a folder, and what they say.

use crate::e2e::Ground;
use crate::rig::wait;
use crate::shell::output_within;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// What a gate's command ends with.
pub(super) const PASSED: i32 = 0;
pub(super) const REFUSED: i32 = 1;
pub(super) const UNUSABLE: i32 = 2;
pub(super) const UNREACHABLE: i32 = 5;

/// No gate looks for so long here: one that does, hangs.
const LONGEST: Duration = Duration::from_secs(240);

/// Runs commands of the program in a folder.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a> {
    pub(super) ground: &'a Ground,
    pub(super) dir: &'a Path,
}

impl Gates<'_> {
    /// However it ends.
    pub(super) fn run(self, words: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.ground.program);
        command.args(words).current_dir(self.dir).env("NO_COLOR", "1");
        for name in ["CROSSFADE_CONFIG", "CROSSFADE_CONTROL", "CROSSFADE_TOKEN_FILE"] {
            command.env_remove(name);
        }
        output_within(LONGEST, &command)
    }

    /// Which must end with this code.
    pub(super) fn demand(self, words: &[&str], code: i32) -> Result<Output> {
        let output = self.run(words)?;
        if output.status.code() != Some(code) {
            bail!("{}, not with {code}", told(words, &output));
        }
        Ok(output)
    }

    /// A gate's report, as JSON.
    pub(super) fn report(self, words: &[&str], code: i32) -> Result<Value> {
        let output = self.demand(&[words, &["-o", "json"]].concat(), code)?;
        read(words, &output)
    }

    /// Runs a gate until it ends with this code and its report is as wanted: stores index what they are sent after a while.
    pub(super) fn until(
        self,
        words: &[&str],
        code: i32,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let words = [words, &["-o", "json"]].concat();
        let mut last = String::new();
        let found = wait::until("a gate's verdict", limit, || {
            let output = self.run(&words)?;
            last = told(&words, &output);
            if output.status.code() != Some(code) {
                return Ok(None);
            }
            Ok(Some(read(&words, &output)?).filter(|report| wanted(report)))
        });
        found.context(last)
    }
}

fn read(words: &[&str], output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reading the report: {}", told(words, output)))
}

fn told(words: &[&str], output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("`crossfade {}`:\n{}{}\nended with {}", words.join(" "), text[0], text[1], output.status)
}

/// The rules of the findings that weigh something.
pub(super) fn rules(report: &Value) -> BTreeSet<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let weighty = findings.filter(|finding| finding["severity"] != "note" && finding["accepted"].is_null());
    weighty.filter_map(|finding| finding["rule"].as_str()).collect()
}

/// Each finding that weighs something, by its id and the part that it names: `CF-DEPS-001 intake -> http lab.example`. One that is there
/// twice is told twice.
pub(super) fn named(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let weighty = findings.filter(|finding| finding["severity"] != "note" && finding["accepted"].is_null());
    let part = |finding: &Value| finding["where"]["component"].as_str().unwrap_or_default().to_owned();
    let name = |finding: &Value| {
        format!("{} {}", finding["id"].as_str().unwrap_or_default(), part(finding)).trim_end().to_owned()
    };
    let mut named: Vec<String> = weighty.map(name).collect();
    named.sort();
    named
}

/// Demands this verdict, for exactly these findings, in the order of [`named`].
pub(super) fn exactly(report: &Value, verdict: &str, wanted: &[&str]) -> Result<()> {
    let named = named(report);
    ensure!(
        report["verdict"] == verdict && named.iter().eq(wanted.iter()),
        "{} for {named:#?}, not {verdict} for {wanted:#?}",
        report["verdict"]
    );
    Ok(())
}

/// Demands that blue's and green's stores were looked for in each other, and that every look says the same: `no` of two, `yes` of one.
pub(super) fn separation(report: &Value, seen: &str) -> Result<()> {
    let looks: Vec<&Value> = report["facts"]["separation"].as_array().into_iter().flatten().collect();
    let from = |environment: &str| looks.iter().filter(|look| look["written_to"] == environment).count();
    ensure!(
        from("blue") > 0 && from("green") > 0 && looks.iter().all(|look| look["seen"] == seen),
        "separation: {looks:#?}"
    );
    Ok(())
}
