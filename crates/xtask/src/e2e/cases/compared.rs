//! Parity and history, between real stores.
//!
//! *Scenario.* A Collector sends the same traces to a Jaeger behind a Collector, to a Tempo, and to a Jaeger behind a Collector that
//! drops client spans; then `crossfade parity` and `crossfade history` compare the first with each of the others. All of it once in plain
//! text, and once over TLS, where the first demands client certificates. Then, in plain text, with traces that are older than Tempo
//! believes: it stores them, and files them under the time at which they came.
//! *Guarantee.* Between Jaeger and Tempo nothing differs, and every search finds what it should; the Collector that drops spans is found
//! out, by the name of what is missing; and so is the Tempo whose searches do not find what it has. Who shows no certificate has no verdict.

use super::gates::{Gates, PASSED, REFUSED, UNREACHABLE};
use super::now;
use super::posture::certificates;
use crate::e2e::Ground;
use crate::e2e::stack::{self, Environment};
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::e2e::transport::Transport;
use crate::peers::COLLECTOR;
use crate::rig::process::Process;
use crate::rig::{http, ports};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Enough for a verdict on one in twenty, and on history.
const TRACES: u64 = 80;
const SECOND: u64 = 1_000_000_000;
/// From the last export until everything is found by a search in all of them.
const INDEXED: Duration = Duration::from_secs(180);
const PARITY: [&str; 5] = ["parity", "--differ-max", "5%", "--since", "1h"];
const HISTORY: [&str; 5] = ["history", "--since", "1h", "--traces", "80"];

pub(super) fn run(ground: &Ground) -> Result<String> {
    certificates(&ground.dir)?;
    let secure =
        Stores::start(ground, ["blue-tls", "green-tls", "tempo-tls"], [Transport::Mutual, Transport::Tls])?;
    secure.compare()?;
    // Nobody who shows no certificate is told anything.
    let site = secure.site.replace(Transport::Mutual.client(), Transport::Tls.client());
    fs::write(ground.dir.join("crossfade.yaml"), site).context("writing the site")?;
    for gate in [PARITY, HISTORY] {
        let refused = secure.gates.report(&[&gate[..], &["--to", "tempo"]].concat(), UNREACHABLE)?;
        let told = refused["findings"].to_string();
        ensure!(
            refused["verdict"] == "no_verdict" && told.contains("certificate"),
            "{}: {refused:#}",
            gate[0]
        );
    }
    drop(secure);

    let plain = Stores::start(ground, ["blue", "green", "tempo"], [Transport::Plain; 2])?;
    plain.compare()?;
    plain.write(600 * SECOND, 20 * SECOND)?;
    let old = ["--until", "8m", "--to", "tempo"];
    plain.until(&HISTORY, &old, REFUSED, &["80 old traces are readable and equal", "history_index_lags"])?;
    Ok("a Jaeger and a Tempo agree, in plain text and over TLS; what drops spans is found out, and what files old traces under today"
        .to_owned())
}

/// The three, and who sends to them.
struct Stores<'a> {
    gates: Gates<'a>,
    site: String,
    /// Where traces are taken that go to all of them.
    sender: u16,
    _running: (Environment, Environment, Tempo, Process),
}

impl<'a> Stores<'a> {
    /// Starts them, of which the first is spoken to in the first way, and the others in the second.
    fn start(
        ground: &'a Ground,
        [blue_is, green_is, tempo_is]: [&'static str; 3],
        [first, others]: [Transport; 2],
    ) -> Result<Self> {
        let dir = &*ground.dir;
        let blue = Environment::spoken_to(blue_is, dir, &[], first)?;
        let green = Environment::spoken_to(green_is, dir, &["drops-client.yaml"], others)?;
        let tempo = Tempo::spoken_to(tempo_is, dir, Tenancy::One, others)?;
        let row = |name: &str, kind: &str, transport: Transport, otlp: u16, query: u16| {
            let (otlp, query, tls) = (transport.url(otlp), transport.url(query), transport.client());
            format!(
                "  {name}:\n    otlp: {{ endpoint: \"{otlp}\", tls: {tls} }}\n    query: {{ kind: {kind}, endpoint: \"{query}\", tls: {tls} }}\n"
            )
        };
        let rows = [
            row("blue", "jaeger", first, blue.grpc, blue.query.port),
            row("green", "jaeger", others, green.grpc, green.query.port),
            row("tempo", "tempo", others, tempo.grpc, tempo.query),
        ];
        let site = format!("environments:\n{}", rows.concat());
        fs::write(dir.join("crossfade.yaml"), &site).context("writing the site")?;
        let sender = ports::free()?;
        let words = [
            ("http", sender.to_string()),
            ("blue", blue.grpc.to_string()),
            ("blue_tls", first.exporter().to_owned()),
            ("green", green.grpc.to_string()),
            ("green_tls", others.exporter().to_owned()),
            ("tempo", tempo.grpc.to_string()),
            ("tempo_tls", others.exporter().to_owned()),
        ];
        let sends =
            stack::start(&COLLECTOR, dir, &format!("to-{blue_is}"), ("sender.yaml", &words), &[sender])?;
        Ok(Self { gates: Gates { ground, dir }, site, sender, _running: (blue, green, tempo, sends) })
    }

    /// What is the same passes, what is not does not.
    fn compare(&self) -> Result<()> {
        self.write(SECOND, SECOND)?;
        self.until(&PARITY, &["--both-ways", "--to", "tempo"], PASSED, &[])?;
        self.until(&HISTORY, &["--to", "tempo"], PASSED, &[])?;
        self.until(&PARITY, &["--to", "green"], REFUSED, &["span_missing", "ask the ledger"])?;
        self.until(&HISTORY, &["--to", "green"], REFUSED, &["history_spans_lost"])
    }

    /// Sends all of them traces, the last of which began so long ago, at such distances.
    fn write(&self, ago: u64, distance: u64) -> Result<()> {
        let answer = http::post(self.sender, "/v1/traces", &traffic(ago, distance)?.to_string())?;
        ensure!(answer.status == 200, "the sender answers {}", answer.status);
        Ok(())
    }

    /// Runs a gate until it ends as it should and says what it should.
    fn until(&self, gate: &[&str], more: &[&str], code: i32, says: &[&str]) -> Result<()> {
        let says = |report: &Value| says.iter().all(|word| report.to_string().contains(word));
        self.gates.until(&[gate, more].concat(), code, INDEXED, says).map(drop)
    }
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
