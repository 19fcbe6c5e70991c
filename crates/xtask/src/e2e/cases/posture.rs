//! What is true on the wire.
//!
//! *Scenario.* Blue's Collector and Jaeger demand client certificates. Green's take anybody, and TLS from 1.0 on. A third
//! Collector speaks plain text. A Tempo keeps tenants apart by a header.
//! *Guarantee.* Crossfade exports to both and asks both, over mutual TLS where it is demanded. Blue passes by itself; green,
//! beside blue, is stopped for exactly what it is weaker in, each interface by its name; what is spoken is seen, whatever the address says.
//! That the Tempo lets in whoever names another tenant is said, and so are its own pages.

use super::gates::{Gates, PASSED, REFUSED, UNREACHABLE, rules};
use crate::e2e::Ground;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::e2e::transport::Transport;
use crate::rig::{ports, template};
use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use std::fs;
use std::path::Path;

const UNKNOWN: i32 = 3;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let gates = Gates { ground, dir };
    certificates(dir)?;
    let mut words = Vec::new();
    let mut running = Vec::new();
    for (colour, transport) in [("blue", Transport::Mutual), ("green", Transport::Old)] {
        let environment = start(dir, colour, transport)?;
        words.extend([
            (format!("{colour}_grpc"), environment.grpc),
            (format!("{colour}_query"), environment.query.port),
        ]);
        running.push(environment);
    }
    for own in ["grpc", "http", "control"] {
        words.push((own.to_owned(), ports::free()?));
    }
    let words: Vec<_> = words.iter().map(|(word, port)| (word.as_str(), port.to_string())).collect();
    let words: Vec<_> = words.iter().map(|(word, port)| (*word, port.as_str())).collect();
    template::write("tests/e2e/config/posture.yaml", &words, &dir.join("crossfade.yaml"))?;
    // Requests and questions, over TLS.
    gates.demand(&["init", "--active", "blue"], PASSED)?;
    gates.demand(&["check"], PASSED)?;
    let blue = gates.report(&["posture", "--environment", "blue"], PASSED)?;
    ensure!(rules(&blue).is_empty(), "blue: {:?}", rules(&blue));
    let green = gates.report(&["posture", "--environment", "green", "--against", "blue"], REFUSED)?;
    let wanted = ["admin_open", "no_authentication", "no_client_certificate", "old_tls"];
    ensure!(
        rules(&green).iter().eq(wanted.iter()),
        "green beside blue is held up by {:?}, not by {wanted:?}",
        rules(&green)
    );
    // The second port of Jaeger's queries is one of them: blue's demands a certificate.
    let open = parts(&green, "admin_open", false);
    ensure!(open == ["admin: openness"], "green has open: {open:?}");
    // What the file says is not asked: a plain text port behind https:// is no pass.
    let plain = start(dir, "plain", Transport::Plain)?;
    let otlp = Transport::Tls.url(plain.grpc);
    gates.report(&["posture", "--otlp", &otlp, "--ca-file", "ca.pem"], UNKNOWN)?;
    let otlp = Transport::Plain.url(plain.grpc);
    let open = gates.report(&["posture", "--otlp", &otlp], PASSED)?;
    ensure!(open.to_string().contains("CF-POSTURE-001"), "plain text on loopback is not even noted");
    // And nobody is no pass either.
    drop((running, plain));
    gates.report(&["posture", "--otlp", &otlp], UNREACHABLE)?;
    tenants(gates, dir)?;
    Ok(format!(
        "blue passes, green is held up by {} rules; a Tempo's tenants are not kept apart",
        wanted.len()
    ))
}

/// On loopback all of it is noted.
fn tenants(gates: Gates<'_>, dir: &Path) -> Result<()> {
    let tempo = Tempo::start("tenants", dir, Tenancy::ByHeader)?;
    let header = "headers: { X-Scope-OrgID: bank }";
    let (otlp, query) = (Transport::Plain.url(tempo.grpc), Transport::Plain.url(tempo.query));
    let site = format!(
        "environments:\n  bank:\n    otlp: {{ endpoint: \"{otlp}\", {header} }}\n    query: {{ kind: tempo, endpoint: \"{query}\", {header} }}\n  \
         other:\n    otlp: {{ endpoint: \"http://127.0.0.1:1\" }}\n"
    );
    fs::write(dir.join("tenants.yaml"), site).context("writing the site of the tenants")?;
    let report = gates.report(&["posture", "-c", "tenants.yaml", "--environment", "bank"], PASSED)?;
    let let_in = parts(&report, "other_tenant_taken", true);
    ensure!(let_in == ["otlp: other tenant", "query: other tenant"], "in another's name: {let_in:?}");
    let pages = parts(&report, "admin_open", true);
    let wanted = ["config", "metrics", "pprof", "status"].map(|page| format!("tempo {page}: openness"));
    ensure!(pages == wanted, "a Tempo's own pages: {pages:?}");
    Ok(())
}

/// Which parts a rule names in findings, notes or others.
fn parts<'a>(report: &'a Value, rule: &str, notes: bool) -> Vec<&'a str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let of = findings.filter(|finding| finding["rule"] == rule && (finding["severity"] == "note") == notes);
    let mut parts: Vec<&str> = of.filter_map(|finding| finding["where"]["component"].as_str()).collect();
    parts.sort_unstable();
    parts
}

/// An environment whose Collector says how it is.
fn start(dir: &Path, colour: &'static str, transport: Transport) -> Result<Environment> {
    Environment::set_up(colour, dir, &["health.yaml"], &[("health", ports::free()?)], transport)
}

/// A CA, and what it signs: one certificate for every server, one for the client.
pub(super) fn certificates(dir: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Whoever has the name of its own issuer is taken for self-signed by some.
    params.distinguished_name.push(DnType::CommonName, "e2e");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(dir.join("ca.pem"), authority.pem())?;
    for name in ["server", "client"] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority)?;
        fs::write(dir.join(format!("{name}.pem")), certificate.pem())?;
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}
