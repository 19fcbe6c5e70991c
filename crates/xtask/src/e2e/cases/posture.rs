//! What is true on the wire.
//!
//! *Scenario.* Blue's Collector and Jaeger demand client certificates. Green's take anybody, and TLS from 1.0 on. A third
//! Collector speaks plain text.
//! *Guarantee.* Crossfade exports to both and asks both, over mutual TLS where it is demanded. Blue passes by itself; green,
//! beside blue, is stopped for exactly what it is weaker in; what is spoken is seen, whatever the address says.

use crate::e2e::Ground;
use crate::e2e::stack::Environment;
use crate::e2e::transport::Transport;
use crate::rig::{ports, template};
use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
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
    demand(ground, &["init", "--active", "blue"], 0)?;
    demand(ground, &["check"], 0)?;
    let blue = report(ground, &["posture", "--environment", "blue"], 0)?;
    ensure!(rules(&blue).is_empty(), "blue: {:?}", rules(&blue));
    let green = report(ground, &["posture", "--environment", "green", "--against", "blue"], 1)?;
    let wanted = ["no_authentication", "no_client_certificate", "old_tls"];
    ensure!(
        rules(&green).iter().eq(wanted.iter()),
        "green beside blue is held up by {:?}, not by {wanted:?}",
        rules(&green)
    );
    // What the file says is not asked: a plain text port behind https:// is no pass.
    let plain = start(dir, "plain", Transport::Plain)?;
    let otlp = Transport::Tls.url(plain.grpc);
    report(ground, &["posture", "--otlp", &otlp, "--ca-file", "ca.pem"], 3)?;
    let otlp = Transport::Plain.url(plain.grpc);
    let open = report(ground, &["posture", "--otlp", &otlp], 0)?;
    ensure!(open.to_string().contains("CF-POSTURE-001"), "plain text on loopback is not even noted");
    // And nobody is no pass either.
    drop((running, plain));
    report(ground, &["posture", "--otlp", &otlp], 5)?;
    Ok(format!("blue passes, green is held up by {} rules", wanted.len()))
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

fn demand(ground: &Ground, arguments: &[&str], code: i32) -> Result<Output> {
    let output = Command::new(&ground.program).args(arguments).current_dir(&ground.dir).output();
    let output = output.with_context(|| format!("running crossfade {}", arguments.join(" ")))?;
    ensure!(
        output.status.code() == Some(code),
        "crossfade {} ended with {:?}, not {code}:\n{}{}",
        arguments.join(" "),
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

fn report(ground: &Ground, arguments: &[&str], code: i32) -> Result<Value> {
    let output = demand(ground, &[arguments, &["-o", "json"]].concat(), code)?;
    serde_json::from_slice(&output.stdout).context("reading the report")
}

/// The rules that weigh something.
fn rules(report: &Value) -> BTreeSet<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .filter(|finding| finding["severity"] != "note")
        .filter_map(|finding| finding["rule"].as_str())
        .collect()
}
