//! Parity and history, between real stores.
//!
//! *Scenario.* The same traces are written to a Jaeger behind a Collector, to a Tempo, and to a Jaeger behind a Collector that
//! drops client spans; then `crossfade parity` and `crossfade history` compare the first with each of the others. Then the same with
//! traces that are older than Tempo believes: it stores them, and files them under the time at which they came.
//! *Guarantee.* Between Jaeger and Tempo nothing differs, and every search finds what it should; the Collector that drops spans is found
//! out, by the name of what is missing; and so is the Tempo whose searches do not find what it has.

use crate::e2e::Ground;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::rig::{http, wait};
use crate::shell::output_within;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a gate's command ends with.
const PASSED: i32 = 0;
const REFUSED: i32 = 1;
/// Enough for a verdict on one in twenty, and on history.
const TRACES: u64 = 80;
const SECOND: u64 = 1_000_000_000;
/// From the last export until everything is found by a search in all of them.
const INDEXED: Duration = Duration::from_secs(90);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let blue = Environment::start("blue", dir, &[])?;
    let green = Environment::start("green", dir, &["drops-client.yaml"])?;
    let tempo = Tempo::start("tempo", dir, Tenancy::One)?;
    let site = dir.join("crossfade.yaml");
    let text = [
        ("blue", "jaeger", blue.grpc, blue.query.port),
        ("green", "jaeger", green.grpc, green.query.port),
        ("tempo", "tempo", tempo.grpc, tempo.query),
    ]
    .map(|(name, kind, otlp, query)| {
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"http://127.0.0.1:{otlp}\" }}\n    query: {{ kind: {kind}, endpoint: \"http://127.0.0.1:{query}\" }}\n"
        )
    });
    fs::write(&site, format!("environments:\n{}", text.concat())).context("writing the site")?;
    let write = |request: Value| -> Result<()> {
        for port in [blue.http, green.http, tempo.http] {
            let answer = http::post(port, "/v1/traces", &request.to_string())?;
            ensure!(answer.status == 200, "{port} answers {}", answer.status);
        }
        Ok(())
    };
    let parity = ["parity", "--differ-max", "5%", "--since", "1h"];
    let history = ["history", "--since", "1h", "--traces", "80"];
    let with = |args: &[&'static str], more: &[&'static str]| [args, more].concat();

    write(traffic(SECOND, SECOND)?)?;
    until(ground, &site, &with(&parity, &["--both-ways", "--to", "tempo"]), PASSED, &[])?;
    until(ground, &site, &with(&history, &["--to", "tempo"]), PASSED, &[])?;
    until(ground, &site, &with(&parity, &["--to", "green"]), REFUSED, &["span_missing", "ask the ledger"])?;
    until(ground, &site, &with(&history, &["--to", "green"]), REFUSED, &["history_spans_lost"])?;

    write(traffic(600 * SECOND, 20 * SECOND)?)?;
    let old = with(&history, &["--until", "8m", "--to", "tempo"]);
    until(ground, &site, &old, REFUSED, &["80 old traces are readable and equal", "history_index_lags"])?;
    Ok("a Jaeger and a Tempo agree; what drops spans is found out, and what files old traces under today"
        .to_owned())
}

/// Runs a command again and again until it ends as it should and says what it should: stores index what they are sent after a while.
fn until(ground: &Ground, site: &Path, args: &[&str], wanted: i32, says: &[&str]) -> Result<()> {
    let mut command = Command::new(&ground.program);
    command.args(args).arg("--config").arg(site);
    let mut last = String::new();
    let found = wait::until("a verdict", INDEXED, || {
        let output = output_within(INDEXED, &command)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        last =
            format!("`crossfade {}` ended with {:?}:\n{told}{errors}", args.join(" "), output.status.code());
        let is_wanted = output.status.code() == Some(wanted) && says.iter().all(|word| told.contains(word));
        Ok(is_wanted.then_some(()))
    });
    found.context(last)
}

/// Traces, the last of which began so long ago, at such distances: a shop asks its ledger, with attributes of several types and an event.
fn traffic(ago: u64, distance: u64) -> Result<Value> {
    let now = now()?;
    let mut parts = Vec::new();
    for nth in 1..=TRACES {
        let begin = now - 6 * SECOND - ago - nth * distance;
        let trace = format!("{:016x}{nth:016x}", now);
        let span = |id: u64, parent: u64, kind: u32, name: &str| {
            json!({
                "traceId": trace,
                "spanId": format!("{id:016x}"),
                "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
                "name": name,
                "kind": kind,
                "startTimeUnixNano": (begin + id * 1_000_123).to_string(),
                "endTimeUnixNano": (begin + SECOND - id * 1_000_457).to_string(),
                "status": { "code": 2, "message": "declined" },
                "attributes": [
                    { "key": "order.id", "value": { "stringValue": format!("order-{nth}-{id}") } },
                    { "key": "order.lines", "value": { "intValue": nth.to_string() } },
                    { "key": "order.total", "value": { "doubleValue": 12.5 } },
                    { "key": "order.paid", "value": { "boolValue": true } },
                    { "key": "order.tags", "value": { "arrayValue": { "values": [{ "stringValue": "größer" }] } } },
                ],
                "events": [{ "timeUnixNano": (begin + 2 * id * 1_000_123).to_string(), "name": "exception", "attributes": [
                    { "key": "exception.type", "value": { "stringValue": "Declined" } },
                ]}],
            })
        };
        let service = |name: &str, spans: Vec<Value>| {
            json!({
                "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": name } }] },
                "scopeSpans": [{ "scope": { "name": "e2e", "version": "1" }, "spans": spans }],
            })
        };
        parts.push(service("shop", vec![span(1, 0, 2, "POST /buy"), span(2, 1, 3, "ask the ledger")]));
        // Some as Zipkin writes a call: one id for both of its spans. Tempo gives one of them another when it answers.
        let served = if nth % 8 == 0 { span(2, 1, 2, "POST /charge") } else { span(3, 2, 2, "POST /charge") };
        parts.push(service("ledger", vec![served]));
    }
    Ok(json!({ "resourceSpans": parts }))
}

#[allow(clippy::disallowed_methods, reason = "stores are asked for traces of the last hour")]
fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
