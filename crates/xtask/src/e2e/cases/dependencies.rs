//! Dependencies, by the attributes that real instrumentation writes.
//!
//! *Scenario.* A program instrumented by OpenTelemetry's own libraries calls an insurer, a laboratory and a database. Live, both answer
//! slowly; its tests called a mock of the insurer, which answers at once, and no laboratory. Live traces are in a Jaeger by the older
//! semantic conventions and in a Tempo by the newer ones; those of the tests in a Jaeger, marked, and in the Collector's file. Then
//! the tests call the real ones.
//! *Guarantee.* Whatever the conventions and wherever the traces are: what is untested, simulated or slower is named, and nothing else; and
//! tests that call everything pass.

use super::gates::{Gates, PASSED, REFUSED, exactly};
use crate::e2e::Ground;
use crate::e2e::client::calls;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::rig::ports;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// From the last export until a search finds everything.
const INDEXED: Duration = Duration::from_secs(180);
const TRACES: &str = "30";
/// Much longer than what a starved machine adds to any answer.
const SLOW: [&str; 2] = ["--delay-ms", "300"];
const MARK: [&str; 2] = ["--resource", "deployment.environment.name=test"];

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let blue = Environment::start("blue", dir, &[])?;
    let green = Environment::start("green", dir, &["also-file.yaml"])?;
    let tempo = Tempo::start("tempo", dir, Tenancy::One)?;
    let rows = [
        ("blue", "jaeger", blue.grpc, blue.query.port),
        ("green", "jaeger", green.grpc, green.query.port),
        ("tempo", "tempo", tempo.grpc, tempo.query),
    ];
    let row = |(name, kind, otlp, query)| {
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"http://127.0.0.1:{otlp}\" }}\n    query: {{ kind: {kind}, endpoint: \"http://127.0.0.1:{query}\" }}\n"
        )
    };
    fs::write(dir.join("crossfade.yaml"), format!("environments:\n{}", rows.map(row).concat()))
        .context("writing the site")?;
    let port = ports::free()?.to_string();
    let intake = |name: &str, otlp: u16, more: &[&str], conventions: &str| {
        calls(name, otlp, &[&["--traces", TRACES, "--port", &port], more].concat(), conventions, dir)
    };
    intake("live-older", blue.grpc, &SLOW, "")?;
    intake("live-newer", tempo.grpc, &SLOW, "http,database")?;
    intake(
        "tests-mocked",
        green.grpc,
        &[&["--insurer", "insurer-mock", "--laboratory", ""], &MARK[..]].concat(),
        "",
    )?;

    let gates = Gates { ground, dir };
    let wanted = [
        ("CF-DEPS-001", "lab.example"),
        ("CF-DEPS-002", "api.insurer.example"),
        ("CF-DEPS-003", "api.insurer.example"),
    ];
    let wanted = wanted.map(|(id, host)| format!("{id} intake -> http {host}:{port}"));
    let wanted = wanted.each_ref().map(String::as_str);
    let look = |more: &[&str]| {
        let words = [&["dependencies", "--window", "10m"], more].concat();
        let found = |report: &Value| exactly(report, "fail", &wanted).is_ok();
        let report = gates.until(&words, REFUSED, INDEXED, found)?;
        let findings = report["findings"].as_array().into_iter().flatten();
        let simulated =
            findings.filter(|finding| finding["id"] == "CF-DEPS-002").map(|finding| &finding["seen"]);
        ensure!(simulated.eq([&format!("http insurer-mock:{port}")]), "{report:#}");
        Ok::<_, anyhow::Error>(())
    };
    look(&["--from", "blue", "--to", "green"])?;
    look(&["--from", "tempo", "--to", "green"])?;
    look(&["--from", "blue", "--tests", "spans.json"])?;

    let nightly = [&SLOW[..], &MARK, &["--resource", "test.run=nightly"]].concat();
    intake("tests-real", green.grpc, &nightly, "http,database")?;
    for from in ["blue", "tempo"] {
        let words = ["dependencies", "--window", "10m", "--from", from, "--to", "green"];
        let words = [&words[..], &["--tests-attribute", "test.run=nightly"]].concat();
        gates.until(&words, PASSED, INDEXED, |report| exactly(report, "pass", &[]).is_ok())?;
    }
    Ok("untested, simulated and slower by either conventions, from a Jaeger, a Tempo and a file; tests of the real ones pass".to_owned())
}
