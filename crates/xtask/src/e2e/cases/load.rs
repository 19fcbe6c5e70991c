//! The load gate, against a real Collector in front of a real Jaeger.
//!
//! *Scenario.* A modest rate is offered over gRPC, and over HTTP with gzip; then to a Collector that drops client spans, to one that
//! is asked for more than it can do in the time allowed, and to one that is gone.
//! *Guarantee.* What keeps up passes, with the highest rate that met the objective, and a sample that is whole in the Jaeger; what
//! stores less than it accepts is found out; what is too slow fails; who is not there is no verdict.

use super::gates::{Gates, PASSED, REFUSED, UNREACHABLE};
use crate::e2e::Ground;
use crate::e2e::stack::{End, Environment};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Spans a second: 200 requests, little beside what a Collector can do.
const RATE: u64 = 2_000;
const TRACES: u64 = 60;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let mut blue = Environment::start("blue", dir, &[])?;
    let green = Environment::start("green", dir, &["drops-client.yaml"])?;
    let gates = Gates { ground, dir };
    let offer = |otlp: u16, query: u16, objective: &str, more: &[&str], code: i32| {
        let (otlp, query) = (format!("http://127.0.0.1:{otlp}"), format!("http://127.0.0.1:{query}"));
        let (rate, traces) = (RATE.to_string(), TRACES.to_string());
        let words = ["load", "--otlp", &otlp, "--query", &query, "--rate", &rate, "--traces", &traces];
        let phases = ["--ramp", "2s", "--ramp-steps", "2", "--hold", "3s", "--spike", "0s", "--seed", "7"];
        gates.report(&[&words[..], &phases, &["--objective", objective], more].concat(), code)
    };
    // Two cores are shared with everything else, so the objective is one that only a fault misses.
    let grpc = offer(blue.grpc, blue.query.port, "p99=8s", &[], PASSED)?;
    keeps_up(&grpc).with_context(|| format!("over gRPC: {grpc:#}"))?;
    let http = ["--protocol", "http/protobuf", "--compression", "gzip"];
    let http = offer(blue.http, blue.query.port, "p99=8s", &http, PASSED)?;
    keeps_up(&http).with_context(|| format!("over HTTP: {http:#}"))?;

    let torn = offer(green.grpc, green.query.port, "p99=8s", &["--read-back", "15s"], REFUSED)?;
    let read = &measured(&torn)?["read_back"]["traces"];
    ensure!(read["torn"] == TRACES && read["whole"] == 0, "a Collector drops client spans: {read}");

    let slow = offer(blue.grpc, blue.query.port, "p50=0.001ms", &[], REFUSED)?;
    ensure!(measured(&slow)?["highest_rate_met"].is_null(), "no Collector answers in a microsecond");

    blue.end_collector(End::Killed)?;
    offer(blue.grpc, blue.query.port, "p99=8s", &[], UNREACHABLE)?;
    Ok(format!(
        "{RATE} spans/s pass over gRPC and HTTP, {TRACES} traces whole; what drops, is slow or gone does not"
    ))
}

/// Everything was accepted, the highest rate is the one that was held, and the sample is whole.
fn keeps_up(report: &Value) -> Result<()> {
    let measured = measured(report)?;
    ensure!(measured["highest_rate_met"] == RATE, "the highest rate is {}", measured["highest_rate_met"]);
    let phases = measured["phases"].as_array().context("phases")?;
    ensure!(phases.len() == 3, "{} phases", phases.len());
    let number = |phase: &Value, key: &str| phase[key].as_u64().with_context(|| format!("{key} is a number"));
    for phase in phases {
        ensure!(number(phase, "offered")? > 0 && phase["offered"] == phase["accepted"], "{phase}");
    }
    let read = &measured["read_back"]["traces"];
    ensure!(read["whole"] == TRACES && read["asked"] == TRACES, "read back: {read}");
    Ok(())
}

fn measured(report: &Value) -> Result<&Value> {
    let environments = report["facts"]["environments"].as_object().context("facts of environments")?;
    let receivers = environments.values().next().context("one environment")?["receivers"].as_array();
    receivers.and_then(|receivers| receivers.first()).context("one receiver")
}
