//! Every gate there is, as a rollout runs them, over TLS with client certificates.
//!
//! *Scenario.* Blue is a Jaeger behind a Collector, green a Tempo behind a Collector; OTLP and queries go over mutual TLS everywhere. An
//! instrumented program sends through the gateway, which mirrors everything to green; its tests have sent to green alone. Then `crossfade gate run all`.
//! *Guarantee.* Each of the nine gates looks at the real ones and passes; with green's Tempo gone none of those that read it passes, and that
//! is told apart from what is wrong.

use super::gates::{Gates, PASSED, UNREACHABLE};
use crate::e2e::Ground;
use crate::e2e::client::{calling, calls};
use crate::e2e::crossfade::Site;
use crate::e2e::stack::{self, Environment};
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::e2e::transport::Transport;
use crate::peers::COLLECTOR;
use crate::rig::{ports, template};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const GATES: [&str; 9] =
    ["coverage", "dependencies", "drift", "history", "load", "parity", "policy", "posture", "probe"];
/// Those that have no verdict without green's store.
const READERS: [&str; 6] = ["coverage", "dependencies", "history", "load", "parity", "probe"];
/// Until green has what is sent, and the windows hold nothing from before.
const SETTLED: Duration = Duration::from_secs(360);
const MIRRORED: Duration = Duration::from_secs(120);
const SLOW: [&str; 2] = ["--delay-ms", "50"];

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    super::posture::certificates(dir)?;
    let mutual = Transport::Mutual;
    let blue = Environment::spoken_to("blue", dir, &[], mutual)?;
    let tempo = Tempo::spoken_to("tempo", dir, Tenancy::One, mutual)?;
    let [grpc, http] = [ports::free()?, ports::free()?];
    let words = [
        ("grpc", grpc.to_string()),
        ("http", http.to_string()),
        ("jaeger", tempo.grpc.to_string()),
        ("tls", mutual.server().to_owned()),
        ("store_tls", mutual.exporter().to_owned()),
    ];
    let _green = stack::start(&COLLECTOR, dir, "green", ("collector.yaml", &words), &[grpc, http])?;
    let mut words =
        blue.words(["blue_grpc", "blue_http", "blue_query", "blue_store", "blue_configs"]).to_vec();
    words.extend([
        ("green_grpc", grpc.to_string()),
        ("green_http", http.to_string()),
        ("green_query", tempo.query.to_string()),
        ("green_store", tempo.grpc.to_string()),
    ]);
    let site = Site::of("all.yaml", words, ground)?;
    let folder = dir.to_string_lossy();
    let port = ports::free()?.to_string();
    let tests = ["--traces", "30", "--port", &port, "--tls", &folder];
    let mark = ["--resource", "deployment.environment.name=test"];
    calls("tests", grpc, &[&tests[..], &SLOW, &mark].concat(), "", dir)?;

    let _serve = site.serve()?;
    site.start("rollout-mirrored.yaml")?;
    site.entry(MIRRORED, "the mirror", |entry| entry.kind == "StepStarted")?;
    let live = [&["--traces", "1000000", "--port", &port], &SLOW[..]].concat();
    let _live = calling("live", site.grpc, &live, "", dir)?;

    template::write("tests/e2e/config/rollout-all.yaml", &[], &dir.join("rollout-all.yaml"))?;
    let gates = Gates { ground, dir };
    let all = ["gate", "run", "all", "--rollout", "rollout-all.yaml"];
    let passed = gates.until(&all, PASSED, SETTLED, |_| true)?;
    let verdicts = verdicts(&passed);
    ensure!(
        verdicts.keys().eq(GATES.iter()) && verdicts.values().all(|verdict| *verdict == "pass"),
        "{verdicts:?}"
    );

    drop(tempo);
    let silent = gates.report(&all, UNREACHABLE)?;
    let verdicts = self::verdicts(&silent);
    ensure!(
        verdicts.keys().eq(GATES.iter()) && READERS.iter().all(|gate| verdicts[gate] == "no_verdict"),
        "without green's store: {verdicts:?}"
    );
    Ok("all nine gates pass between a Jaeger and a Tempo over mutual TLS; without the Tempo those that read it have no verdict"
        .to_owned())
}

/// What each gate says.
fn verdicts(report: &Value) -> BTreeMap<&str, &str> {
    let gates = report["gates"].as_array().into_iter().flatten();
    gates.filter_map(|gate| Some((gate["gate"].as_str()?, gate["verdict"].as_str()?))).collect()
}
