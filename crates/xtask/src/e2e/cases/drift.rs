//! Drift, over what real Collectors, Jaegers and Tempos run with.
//!
//! *Scenario.* The configuration of an environment as it was written, and as the running program's own `print-config` fills it in,
//! is read from files and from a URL; then the two environments, of which green drops spans. Likewise with two Tempos, as written and as
//! the running ones serve it: one keeps less, takes another form, and stores elsewhere. Besides, configurations in many forms that the real
//! Collector accepts, and some that it refuses.
//! *Guarantee.* What Collector and Tempo fill in is no difference; what green does otherwise is found, with its class, in the effective
//! configuration as in the written one; and whatever the Collector accepts is read without an error.

use super::gates::{Gates, PASSED, REFUSED, UNUSABLE, exactly};
use crate::e2e::Ground;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Settings, Tempo};
use crate::peers::{COLLECTOR, JAEGER, Peer};
use crate::rig::pages::Pages;
use crate::shell::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a Collector prints of a setting that it does not have may stand for one that is switched on where a person writes it; and
/// its own telemetry names a schema of its release.
const PRINTED: [&str; 3] =
    ["sending_queue.batch", "service.telemetry.metrics.readers", "service.telemetry.resource.schema_url"];
const VERSIONS: [&str; 4] = ["--blue-version", "0.158", "--green-version", "0.158"];

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let gates = Gates { ground, dir };
    let blue = Environment::start("blue", dir, &[])?;
    let green = Environment::start("green", dir, &["drops-client.yaml"])?;
    let (of_blue, of_green) = (printed(&COLLECTOR, &blue.configs)?, printed(&COLLECTOR, &green.configs)?);
    let jaeger = |name: &str| printed(&JAEGER, &[dir.join(name)]);
    let pages = Pages::serve(vec![
        ("/blue", of_blue),
        ("/green", of_green),
        ("/jaeger-blue", jaeger("blue-jaeger.yaml")?),
        ("/jaeger-green", jaeger("green-jaeger.yaml")?),
        ("/jaeger-short", jaeger("green-jaeger.yaml")?.replace("500000", "50000")),
    ])?;

    // As written, and as filled in.
    for (written, page) in [(&blue.configs, "/blue"), (&green.configs, "/green")] {
        let written = joined(written);
        let report = compare(gates, &written, &pages.url(page), &VERSIONS)?;
        let paths = paths(&report);
        let left = paths.iter().filter(|path| !PRINTED.iter().any(|known| path.contains(known)));
        let left: Vec<_> = left.collect();
        ensure!(left.is_empty(), "what the Collector fills in differs from what was written: {left:?}");
    }
    // The two sides: their own addresses aside, it is the filter alone.
    let own = [blue.endpoints(), green.endpoints()];
    let own = ["--blue-endpoints", &own[0], "--green-endpoints", &own[1]];
    for (blue, green) in
        [(pages.url("/blue"), pages.url("/green")), (joined(&blue.configs), joined(&green.configs))]
    {
        let report =
            gates.report(&[&["drift", "--blue", &blue, "--green", &green], &own[..]].concat(), REFUSED)?;
        exactly(&report, "fail", &["CF-DRIFT-023 collector:service.pipelines.traces.processors"])?;
        ensure!(report.to_string().contains("filter/client"), "the filter is not named: {report:#}");
    }
    // Two Jaegers differ in their own ports alone; one that keeps less does not pass.
    let urls = ["/jaeger-blue", "/jaeger-green", "/jaeger-short"].map(|page| pages.url(page));
    let alike = gates.report(&["drift", "--blue", &urls[0], "--green", &urls[1]], PASSED)?;
    exactly(&alike, "pass", &[])?;
    let short = gates.report(&["drift", "--blue", &urls[0], "--green", &urls[2]], REFUSED)?;
    exactly(
        &short,
        "fail",
        &["CF-DRIFT-035 collector:extensions.jaeger_storage.backends.memory.memory.max_traces"],
    )?;
    let kept = [&short["findings"][0]["expected"], &short["findings"][0]["seen"]];
    ensure!(kept == ["500000", "50000"], "{kept:?}");
    // A page that is not there.
    let missing = pages.url("/missing");
    let output = gates.demand(&["drift", "--blue", &urls[0], "--green", &missing], UNUSABLE)?;
    ensure!(shown(&output).contains(&missing), "the page is not named: {}", shown(&output));

    tempos(gates)?;
    let (accepted, refused) = validated(gates)?;
    Ok(format!(
        "effective configurations say the same; {accepted} files that the Collector accepts are read, {refused} are refused by both"
    ))
}

/// A Tempo serves some thousand settings, of which a person has written twenty.
fn tempos(gates: Gates<'_>) -> Result<()> {
    let blue = Tempo::set_up("tempo-blue", gates.dir, Settings::default())?;
    let other = Settings { retention: "24h", zipkin: true, ..Settings::default() };
    let green = Tempo::set_up("tempo-green", gates.dir, other)?;
    let written = |tempo: &Tempo| tempo.config.to_string_lossy().into_owned();
    let served = |tempo: &Tempo| format!("http://127.0.0.1:{}/status/config", tempo.query);
    for tempo in [&blue, &green] {
        let same = gates.report(&["drift", "--blue", &written(tempo), "--green", &served(tempo)], PASSED)?;
        exactly(&same, "pass", &[])?;
    }
    for (blue, green) in [
        (served(&blue), served(&green)),
        (written(&blue), written(&green)),
        (written(&blue), served(&green)),
        (served(&blue), written(&green)),
    ] {
        let report = gates.report(&["drift", "--blue", &blue, "--green", &green], REFUSED)?;
        let wanted = [
            "CF-DRIFT-002 collector:distributor.receivers.zipkin",
            "CF-DRIFT-035 collector:compactor.compaction.block_retention",
            "CF-DRIFT-036 collector:storage.trace.local.path",
            "CF-DRIFT-036 collector:storage.trace.wal.path",
        ];
        exactly(&report, "fail", &wanted).with_context(|| format!("{blue} and {green}"))?;
        let classes = report["findings"].as_array().into_iter().flatten().map(|finding| &finding["class"]);
        let classes: Vec<_> = classes.collect();
        ensure!(classes.iter().all(|class| *class == "security" || *class == "data"), "classes: {classes:?}");
    }
    Ok(())
}

/// Compares and demands a verdict, whichever.
fn compare(gates: Gates<'_>, blue: &str, green: &str, more: &[&str]) -> Result<Value> {
    let words = [&["drift", "--blue", blue, "--green", green, "-o", "json"], more].concat();
    let output = gates.run(&words)?;
    ensure!(matches!(output.status.code(), Some(PASSED | REFUSED)), "{}", shown(&output));
    serde_json::from_slice(&output.stdout).context("reading the report")
}

/// Where something is found.
fn paths(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let weighty = findings.filter(|finding| finding["severity"] != "note");
    weighty.filter_map(|finding| finding["where"]["component"].as_str()).collect()
}

/// What lies below `tests/e2e/config/accepted` is accepted by the real Collector, and read here; what lies below `refused`, none of it
/// usable YAML, is refused there, and here with its place.
fn validated(gates: Gates<'_>) -> Result<(usize, usize)> {
    let files = |folder: &str| -> Result<Vec<PathBuf>> {
        let folder = root().join("tests/e2e/config").join(folder);
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            files.push(entry?.path());
        }
        files.sort();
        Ok(files)
    };
    let accepted = files("accepted")?;
    for file in &accepted {
        let output = validate(file)?;
        ensure!(output.status.success(), "{}: the Collector refuses it: {}", file.display(), shown(&output));
        let file = file.to_string_lossy();
        let env = root().join("tests/e2e/config/accepted.env");
        let env = env.to_string_lossy();
        let sides = ["drift", "--blue", &file, "--green", &file, "--blue-env", &env, "--green-env", &env];
        gates.demand(&sides, PASSED)?;
    }
    let refused = files("refused")?;
    for file in &refused {
        let output = validate(file)?;
        if output.status.success() {
            bail!("{}: the Collector accepts it", file.display());
        }
        let name = file.to_string_lossy();
        let output = gates.demand(&["drift", "--blue", &name, "--green", &name], UNUSABLE)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(told.contains(&format!("{name}:")), "no place: {told}");
    }
    Ok((accepted.len(), refused.len()))
}

fn validate(file: &Path) -> Result<Output> {
    let mut command = Command::new(COLLECTOR.program()?);
    let env =
        fs::read_to_string(root().join("tests/e2e/config/accepted.env")).context("reading the words")?;
    command.envs(env.lines().filter_map(|line| line.split_once('=')));
    command.arg("validate").arg("--config").arg(file).output().context("running the Collector")
}

/// The configuration as the program itself fills it in.
fn printed(peer: &Peer, files: &[PathBuf]) -> Result<String> {
    let mut command = Command::new(peer.program()?);
    command.args(["print-config", "--mode", "unredacted"]);
    files.iter().for_each(|file| _ = command.arg("--config").arg(file));
    let output = command.output().with_context(|| format!("running {}", peer.name))?;
    ensure!(output.status.success(), "{} prints no configuration: {}", peer.name, shown(&output));
    String::from_utf8(output.stdout).context("a configuration is text")
}

fn joined(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.to_string_lossy().into_owned()).collect::<Vec<_>>().join(",")
}

fn shown(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{}\n{}{}", output.status, text[0], text[1])
}
