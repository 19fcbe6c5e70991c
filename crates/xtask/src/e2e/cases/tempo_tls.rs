//! Tempo over TLS.
//!
//! *Scenario.* Two Tempos take OTLP and answer queries over TLS; one of them demands client certificates for both. Then the site shows it
//! none.
//! *Guarantee.* The probe writes to each and reads back, and the two are told to be separate; posture sees what the one demands and the
//! other does not; without a certificate there is no verdict, and the reason is named.

use super::gates::{Gates, PASSED, REFUSED, UNREACHABLE, exactly, named, separation};
use super::posture::certificates;
use crate::e2e::Ground;
use crate::e2e::tempo::{Tempo, Tenancy};
use crate::e2e::transport::Transport;
use crate::rig::{ports, template};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// From the start of a Tempo until it takes and gives back traces.
const READY: Duration = Duration::from_secs(120);

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    certificates(dir)?;
    let blue = Tempo::spoken_to("blue", dir, Tenancy::One, Transport::Mutual)?;
    let green = Tempo::spoken_to("green", dir, Tenancy::One, Transport::Tls)?;
    site(ground, [&blue, &green], Transport::Mutual)?;
    for spec in ["rollout-to-blue.yaml", "rollout-to-green.yaml"] {
        template::write(&format!("tests/e2e/config/{spec}"), &[], &dir.join(spec))?;
    }
    let gates = Gates { ground, dir };
    for spec in ["rollout-to-blue.yaml", "rollout-to-green.yaml"] {
        let report = gates.until(&["gate", "run", "probe", "--rollout", spec], PASSED, READY, |_| true)?;
        exactly(&report, "pass", &[])?;
        let summary = report["summary"].as_str().unwrap_or_default();
        ensure!(summary.starts_with("10/10 read back"), "{spec}: {summary}");
        separation(&report, "no")?;
    }

    let alone = gates.report(&["posture", "--environment", "blue"], PASSED)?;
    exactly(&alone, "pass", &[])?;
    let beside = gates.report(&["posture", "--environment", "green", "--against", "blue"], REFUSED)?;
    let wanted = [
        "CF-POSTURE-013 otlp: client certificate",
        "CF-POSTURE-013 query: client certificate",
        "CF-POSTURE-014 otlp: authentication",
        "CF-POSTURE-014 query: authentication",
        "CF-POSTURE-017 tempo config: openness",
        "CF-POSTURE-017 tempo metrics: openness",
        "CF-POSTURE-017 tempo pprof: openness",
        "CF-POSTURE-017 tempo status: openness",
    ];
    exactly(&beside, "fail", &wanted)?;

    site(ground, [&blue, &green], Transport::Tls)?;
    let refused =
        gates.report(&["gate", "run", "probe", "--rollout", "rollout-to-blue.yaml"], UNREACHABLE)?;
    let (verdict, mut ids) = (&refused["verdict"], named(&refused));
    ids.dedup();
    ensure!(verdict == "no_verdict" && ids == ["CF-PROBE-005", "CF-PROBE-012"], "{verdict} for {ids:?}");
    ensure!(told(&refused).contains("certificate"), "nothing is said of certificates: {refused:#}");
    Ok("the probe passes over TLS, with a client certificate where one is demanded; posture tells the two apart".to_owned())
}

fn site(ground: &Ground, [blue, green]: [&Tempo; 2], shown: Transport) -> Result<()> {
    let mut words = vec![("client", shown.client().to_owned())];
    for (word, port) in [
        ("blue_grpc", blue.grpc),
        ("blue_http", blue.http),
        ("blue_query", blue.query),
        ("green_grpc", green.grpc),
        ("green_query", green.query),
        ("grpc", ports::free()?),
        ("http", ports::free()?),
        ("control", ports::free()?),
    ] {
        words.push((word, port.to_string()));
    }
    let words: Vec<_> = words.iter().map(|(word, value)| (*word, value.as_str())).collect();
    template::write("tests/e2e/config/tempo-tls.yaml", &words, &ground.dir.join("crossfade.yaml"))
}

fn told(report: &Value) -> String {
    report["findings"].to_string()
}
