//! Reading back, from the real ones.
//!
//! *Scenario.* Probe traces are written to a Jaeger behind a Collector, to a Tempo, and to one tenant of another Tempo; then
//! asked for through Crossfade's client: by id, by service, operation, time and attributes of every type; a trace that
//! nobody wrote, another tenant's, and without a tenant.
//! *Guarantee.* Every trace comes back as it was written, every search finds what it should and nothing else; and `crossfade
//! probe` passes on either kind of store.

use crate::e2e::Ground;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::shell::{capture, run as run_command, target};
use anyhow::{Context, Result};
use std::process::Command;

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    crate::e2e::crossfade::build()?;
    let blue = Environment::start("blue", dir, &[])?;
    let tempo = Tempo::start("tempo", dir, Tenancy::One)?;
    let tenants = Tempo::start("tempo-tenants", dir, Tenancy::ByHeader)?;

    ask("jaeger", blue.grpc, blue.query.port, &[])?;
    ask("tempo", tempo.grpc, tempo.query, &[])?;
    ask("tempo", tenants.grpc, tenants.query, &["--tenant", "bank"])?;
    probe(ground, "jaeger", ["grpc", &local(blue.grpc)], blue.query.port)?;
    probe(ground, "tempo", ["http/protobuf", &local(tempo.http)], tempo.query)?;
    Ok("a Jaeger, a Tempo and a tenant of a Tempo answer as they should".to_owned())
}

fn ask(kind: &str, otlp: u16, query: u16, more: &[&str]) -> Result<()> {
    let mut command = Command::new(target()?.join("debug/examples/stores"));
    command.arg(kind).args(["--otlp", &local(otlp), "--query", &local(query)]).args(more);
    run_command(&mut command)
}

fn probe(ground: &Ground, kind: &str, [protocol, otlp]: [&str; 2], query: u16) -> Result<()> {
    let mut command = Command::new(&ground.program);
    command.args(["probe", "--protocol", protocol, "--otlp", otlp]);
    command.args(["--kind", kind, "--query", &local(query)]);
    capture(&mut command).map(drop).with_context(|| format!("`crossfade probe --kind {kind}`"))
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
