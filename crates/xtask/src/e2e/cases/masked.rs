//! The probe's whole suite, on real stores behind real Collectors.
//!
//! *Scenario.* A Jaeger and a Tempo, in plain text and with TLS, each behind three Collectors: one masks in attribute values, one wherever
//! a Collector can look, and one in a pipeline of its own, past which everything goes out. Then two environments that share a Jaeger by
//! mistake, and two tenants of a Tempo that cuts long values, as it does unless it is told otherwise.
//! *Guarantee.* Of every Collector exactly those fields are named that it leaks, whatever store and receiver; what leaks can be waived, and
//! the gate then passes; a shared store is found; cut values are a finding, and a note beside an environment that cuts them too. What the
//! probe left behind is listed, and not claimed to be removed.

use super::gates::{Gates, PASSED, REFUSED, exactly, separation};
use super::posture::certificates;
use crate::e2e::Ground;
use crate::e2e::stack::start;
use crate::e2e::tempo::{Settings, Tempo, Tenancy};
use crate::e2e::transport::Transport;
use crate::peers::{COLLECTOR, JAEGER};
use crate::rig::ports;
use crate::rig::process::Process;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What is masked, as RE2 has it.
const SENSITIVE: &str = "4[0-9]{15}|5[0-9]{3}( [0-9]{4}){3}|MRN-[0-9]{8}|[a-z.]+@[a-z.]+|eyJ[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)+|[0-9]{3}-[0-9]{2}-[0-9]{4}";
/// The same in hexadecimal, which is how bytes are matched.
const SENSITIVE_HEX: &str = "(3[0-9]){16}|(3[0-9]){4}(20(3[0-9]){4}){3}|4d524e2d(3[0-9]){8}|(6[1-9a-f]|7[0-9a]|2e){5,}40(6[1-9a-f]|7[0-9a]|2e){5,}|65794a|(3[0-9]){3}2d(3[0-9]){2}2d(3[0-9]){4}";
/// Nothing in a Collector looks there.
const LINKS: [&str; 4] =
    ["link attribute", "link attribute, its key", "link attribute, nested", "trace state of a link"];
/// What masking in values does not see.
const BESIDE_VALUES: [&str; 21] = [
    "attribute key",
    "event attribute, its key",
    "event attribute, nested",
    "event name",
    "link attribute",
    "link attribute, its key",
    "link attribute, nested",
    "resource attribute, its key",
    "resource attribute, nested",
    "scope attribute, its key",
    "scope attribute, nested",
    "scope name",
    "scope version",
    "span attribute, as bytes",
    "span attribute, in a list",
    "span attribute, in a map",
    "span attribute, in a map in a list in a map",
    "span name",
    "status message",
    "trace state",
    "trace state of a link",
];
/// What it does.
const VALUES: [&str; 5] = [
    "event attribute",
    "resource attribute",
    "scope attribute",
    "span attribute",
    "span attribute with a telling key",
];

/// How a Collector masks: its name, its processors, and the fields that leak.
type Masker = (&'static str, &'static str, Vec<&'static str>);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    certificates(dir)?;
    let maskers: [Masker; 3] = [
        ("careful", "redaction/careful, transform/careful", LINKS.to_vec()),
        ("values", "redaction/values", BESIDE_VALUES.to_vec()),
        ("elsewhere", "", [&BESIDE_VALUES[..], &VALUES].concat()),
    ];
    let mut suites = 0;
    for transport in [Transport::Plain, Transport::Tls] {
        let jaeger = Store::jaeger(dir, transport)?;
        let tempo = Store::tempo(dir, transport)?;
        for store in [&jaeger, &tempo] {
            for (name, processors, leaks) in &maskers {
                let collector = Masking::start(dir, &format!("{}-{name}", store.name), processors, store)?;
                let flags = collector.flags(store);
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                let report = probe(ground, &[&flags[..], &["--masks", "all"]].concat(), REFUSED)?;
                let told = findings(&report, "CF-PROBE-010");
                let wanted: BTreeSet<String> = leaks.iter().map(|field| (*field).to_owned()).collect();
                ensure!(
                    told == wanted && others(&report, "CF-PROBE-010").is_empty(),
                    "{} behind `{name}`: leaks {told:?}, not {wanted:?}; and {:?}",
                    store.name,
                    others(&report, "CF-PROBE-010")
                );
                suites += 1;
            }
        }
        if transport == Transport::Tls {
            waived(ground, &jaeger, &tempo, maskers[0].1)?;
        } else {
            shared(ground, &jaeger, maskers[0].1)?;
        }
    }
    cut(ground)?;
    Ok(format!("{suites} suites name what leaks and nothing else; a shared store and cut values are found"))
}

/// A store and where it is asked.
struct Store {
    name: String,
    kind: &'static str,
    /// OTLP/gRPC, for Collectors.
    otlp: u16,
    query: u16,
    transport: Transport,
    _process: Held,
}

/// For its life alone.
enum Held {
    Jaeger { _process: Process },
    Tempo { _tempo: Tempo },
}

impl Store {
    fn jaeger(dir: &Path, transport: Transport) -> Result<Self> {
        let name = named("jaeger", transport);
        let [otlp, query, query_grpc] = [ports::free()?, ports::free()?, ports::free()?];
        let words = [
            ("jaeger", otlp.to_string()),
            ("query", query.to_string()),
            ("query_grpc", query_grpc.to_string()),
            ("tls", transport.server().to_owned()),
        ];
        let process = start(&JAEGER, dir, &name, ("jaeger.yaml", &words), &[query, otlp])?;
        Ok(Self {
            name,
            kind: "jaeger",
            otlp,
            query,
            transport,
            _process: Held::Jaeger { _process: process },
        })
    }

    fn tempo(dir: &Path, transport: Transport) -> Result<Self> {
        let name = named("tempo", transport);
        let tempo = Tempo::spoken_to(&name, dir, Tenancy::One, transport)?;
        let (otlp, query) = (tempo.grpc, tempo.query);
        Ok(Self { name, kind: "tempo", otlp, query, transport, _process: Held::Tempo { _tempo: tempo } })
    }

    fn url(&self) -> String {
        self.transport.url(self.query)
    }
}

/// A Collector that masks, or does not.
struct Masking {
    grpc: u16,
    http: u16,
    transport: Transport,
    _process: Process,
}

impl Masking {
    fn start(dir: &Path, name: &str, processors: &str, store: &Store) -> Result<Self> {
        let [grpc, http] = [ports::free()?, ports::free()?];
        let words = [
            ("grpc", grpc.to_string()),
            ("http", http.to_string()),
            ("store", store.otlp.to_string()),
            ("tls", store.transport.server().to_owned()),
            ("client_tls", store.transport.exporter().to_owned()),
            ("processors", processors.to_owned()),
            ("sensitive", SENSITIVE.to_owned()),
            ("sensitive_hex", SENSITIVE_HEX.to_owned()),
        ];
        let process = start(
            &COLLECTOR,
            dir,
            &format!("{name}-collector"),
            ("masking-collector.yaml", &words),
            &[grpc, http],
        )?;
        Ok(Self { grpc, http, transport: store.transport, _process: process })
    }

    /// Every receiver, and the store.
    fn flags(&self, store: &Store) -> Vec<String> {
        let (grpc, http) = (self.transport.url(self.grpc), self.transport.url(self.http));
        let mut flags = vec!["--otlp".to_owned(), grpc, "--query".to_owned(), store.url()];
        flags.extend(["--kind".to_owned(), store.kind.to_owned()]);
        flags.extend(["http/protobuf", "http/json"].map(|protocol| format!("--receiver={protocol}={http}")));
        if self.transport == Transport::Tls {
            flags.push("--ca-file=ca.pem".to_owned());
        }
        flags
    }

    /// As a site says it.
    fn environment(&self, name: &str, store: &Store, headers: &str) -> String {
        let (grpc, http, query) = (self.transport.url(self.grpc), self.transport.url(self.http), store.url());
        let tls = format!(", tls: {}", self.transport.client());
        let kind = store.kind;
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"{grpc}\"{tls} }}\n    \
             receivers: [{{ endpoint: \"{http}\", protocol: http/json }}, {{ endpoint: \"{http}\", protocol: http/protobuf }}]\n    \
             query: {{ kind: {kind}, endpoint: \"{query}\"{tls}{headers} }}\n"
        )
    }
}

/// What leaks is accepted, with reason and owner, and the gate of a rollout passes; without that it does not.
fn waived(ground: &Ground, jaeger: &Store, tempo: &Store, processors: &str) -> Result<()> {
    let dir = &*ground.dir;
    let blue = Masking::start(dir, "waived-blue", processors, jaeger)?;
    let green = Masking::start(dir, "waived-green", processors, tempo)?;
    site(dir, &[blue.environment("blue", jaeger, ""), green.environment("green", tempo, "")])?;
    let waivers = LINKS.map(|place| {
        format!("    - {{ finding: CF-PROBE-010, where: \"{place}\", reason: links carry no texts here, owner: e2e, expires: 2500-01-01 }}\n")
    });
    for (waivers, code) in [(waivers.concat(), PASSED), (String::new(), REFUSED)] {
        let waivers = if waivers.is_empty() { waivers } else { format!("  waivers:\n{waivers}") };
        let rollout = format!(
            "name: masked\nfrom: blue\nto: green\nsteps:\n  - weight: {{ percent: 100, duration: 1m }}\n  - promote: {{}}\n  - finalize: {{}}\n\
             gates:\n  probe: {{ traces: 20, masks: [card, card_in_groups, patient, email, token, national_id] }}\n{waivers}"
        );
        fs::write(dir.join("rollout.yaml"), rollout).context("writing the rollout")?;
        let report = report(ground, &["gate", "run", "probe", "--rollout", "rollout.yaml"], code)?;
        let verdict = if code == PASSED { "pass" } else { "fail" };
        let leaks = LINKS.map(|field| format!("CF-PROBE-010 {field}"));
        let mut leaks: Vec<&str> = leaks.iter().map(String::as_str).filter(|_| code != PASSED).collect();
        leaks.sort_unstable();
        exactly(&report, verdict, &leaks)?;
        let apart: Vec<&Value> = report["facts"]["separation"].as_array().into_iter().flatten().collect();
        // Each through three receivers.
        ensure!(apart.len() == 6 && apart.iter().all(|one| one["seen"] == "no"), "separation: {apart:?}");
        ensure!(report["facts"]["canaries"]["planted"] == 468, "{}", report["facts"]["canaries"]);
    }
    Ok(())
}

/// Two Collectors that lead to one Jaeger: the site takes them for two, because of a header that Jaeger does not know.
fn shared(ground: &Ground, jaeger: &Store, processors: &str) -> Result<()> {
    let dir = &*ground.dir;
    let blue = Masking::start(dir, "shared-blue", processors, jaeger)?;
    let green = Masking::start(dir, "shared-green", processors, jaeger)?;
    let tenant = |name: &str| format!(", headers: {{ x-tenant: {name} }}");
    let both = [
        blue.environment("blue", jaeger, &tenant("blue")),
        green.environment("green", jaeger, &tenant("green")),
    ];
    site(dir, &both)?;
    let report = probe(ground, &["--environment", "green", "--against", "blue"], REFUSED)?;
    // What was written to each of them is found in the other.
    exactly(&report, "fail", &["CF-PROBE-011"; 2])?;
    separation(&report, "yes")?;
    Ok(())
}

/// Two tenants of a Tempo with the limits that it has of itself.
fn cut(ground: &Ground) -> Result<()> {
    let dir = &*ground.dir;
    let settings = Settings { tenancy: Tenancy::ByHeader, attribute_bytes: 2_048, ..Settings::default() };
    let tempo = Tempo::set_up("tempo-stock", dir, settings)?;
    let (otlp, query) = (Transport::Plain.url(tempo.grpc), Transport::Plain.url(tempo.query));
    let tenant = |name: &str| {
        let header = format!("headers: {{ X-Scope-OrgID: {name} }}");
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"{otlp}\", {header} }}\n    query: {{ kind: tempo, endpoint: \"{query}\", {header} }}\n"
        )
    };
    site(dir, &[tenant("blue"), tenant("green")])?;
    let purge = ["probe", "purge", "--environment", "green"];
    let before = report(ground, &purge, PASSED)?;
    ensure!(before["traces"] == 0, "nobody has written yet: {before}");

    let header = "X-Scope-OrgID=green";
    let alone =
        ["--otlp", &otlp, "--header", header, "--kind", "tempo", "--query", &query, "--query-header", header];
    let alone = probe(ground, &alone, REFUSED)?;
    exactly(
        &alone,
        "fail",
        &["CF-PROBE-008 attributes[probe.large]", "CF-PROBE-008 attributes[probe.long]"],
    )?;
    let remedy = alone["findings"][0]["remedy"].as_str().unwrap_or_default();
    ensure!(remedy.contains("max_attribute_bytes"), "a Tempo with its own limits: {}", alone["findings"]);
    let beside = probe(ground, &["--environment", "green", "--against", "blue"], PASSED)?;
    exactly(&beside, "pass", &[])?;
    ensure!(
        beside["findings"][0]["id"] == "CF-PROBE-008" && beside["findings"][0]["severity"] == "note",
        "beside a tenant of the same Tempo: {}",
        beside["findings"]
    );

    let after = report(ground, &purge, REFUSED)?;
    let traces = after["traces"].as_u64().unwrap_or_default();
    ensure!(traces >= 40 && after["removed"] == 0 && after["complete"] == true, "{after}");
    Ok(())
}

fn site(dir: &Path, environments: &[String]) -> Result<()> {
    // Nothing listens there: only the gates are tried.
    let own = "gateway:\n  grpc: { endpoint: \"127.0.0.1:0\" }\n  http: { endpoint: \"127.0.0.1:0\" }\ncontrol: { endpoint: \"127.0.0.1:0\" }\n";
    let text = format!("environments:\n{}{own}", environments.concat());
    fs::write(dir.join("crossfade.yaml"), text).context("writing the site")
}

fn probe(ground: &Ground, flags: &[&str], code: i32) -> Result<Value> {
    let report = report(ground, &[&["probe", "--deadline", "60s"], flags].concat(), code)?;
    ensure!(
        report["summary"].as_str().is_some_and(|line| line.starts_with("20/20 read back")
            && line.contains("10/10 found by search")),
        "the traces themselves: {}",
        report
    );
    Ok(report)
}

fn report(ground: &Ground, words: &[&str], code: i32) -> Result<Value> {
    Gates { ground, dir: &ground.dir }.report(words, code)
}

/// Where findings of a kind were made.
fn findings(report: &Value, id: &str) -> BTreeSet<String> {
    let findings = report["findings"].as_array().into_iter().flatten().filter(|finding| finding["id"] == id);
    findings.map(|finding| finding["where"]["component"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Findings of other kinds.
fn others<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.filter(|finding| finding["id"] != id).collect()
}

fn named(store: &str, transport: Transport) -> String {
    format!("{store}-{}", if transport == Transport::Plain { "plain" } else { "tls" })
}
