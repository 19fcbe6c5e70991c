//! Coverage, of what real SDKs send through the gateway and real stores hold.
//!
//! *Scenario.* Both SDKs and telemetrygen send through the gateway, each as a service of its own. Blue is a Jaeger, whose Collector hands on
//! to a Tempo, too; green, which is sent everything as a mirror, is a Jaeger behind a Collector that drops one service. Then that
//! service falls silent.
//! *Guarantee.* The inventories are right, and between Jaeger and Tempo nothing is missing; the service that green loses is named, and no
//! other; and so is the one that stopped.

use super::gates::{Gates, PASSED, REFUSED, rules};
use crate::e2e::Ground;
use crate::e2e::client::{Load, Sdk, Traffic};
use crate::e2e::crossfade::Site;
use crate::e2e::stack::Environment;
use crate::e2e::tempo::{Tempo, Tenancy};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(120);
/// Until the window holds nothing from before, and the stores have indexed what is in it.
const SETTLED: Duration = Duration::from_secs(240);
const SERVICES: [&str; 3] = ["checkout", "inventory", "load"];
/// What telemetrygen sends as.
const LOST: &str = "load";

pub(super) fn run(ground: &Ground) -> Result<String> {
    let dir = &*ground.dir;
    let tempo = Tempo::start("tempo", dir, Tenancy::One)?;
    let blue = Environment::beside("blue", dir, &["also-tempo.yaml"], &[("tempo", tempo.grpc)])?;
    let green = Environment::start("green", dir, &["drops-load.yaml"])?;
    let mut words =
        blue.words(["blue_grpc", "blue_http", "blue_query", "blue_jaeger", "blue_configs"]).to_vec();
    words.extend(green.words(["green_grpc", "green_http", "green_query", "green_jaeger", "green_configs"]));
    words.extend([("tempo_grpc", tempo.grpc.to_string()), ("tempo_query", tempo.query.to_string())]);
    let site = Site::of("coverage.yaml", words, ground)?;
    let _serve = site.serve()?;
    site.start("rollout-mirrored.yaml")?;
    let traffic = Traffic { longest: 0.5, ..Traffic::default() };
    let mut sdks = [Sdk::python(site.grpc, traffic, dir)?, Sdk::node(site.http, traffic, dir)?];
    let load = Load::start(site.grpc, dir)?;
    sdks.iter_mut().try_for_each(|sdk| sdk.until_exported(3, STARTUP))?;

    let gates = Gates { ground, dir };
    let look = ["coverage", "--window", "12s", "--settle", "6s"];
    let beside = [&look[..], &["--to", "tempo", "--share", "100"]].concat();
    let same =
        gates.until(&beside, PASSED, SETTLED, |report| SERVICES.iter().all(|name| is_whole(report, name)))?;
    let tapped = same["facts"]["taps"][0]["tap"]["spans"].as_str().unwrap_or("0");
    ensure!(tapped != "0", "the gateway's tap has seen nothing: {}", same["facts"]["taps"]);
    let known = same["facts"]["services"].as_array().context("services")?.len();
    ensure!(known == SERVICES.len(), "{known} services, sent were {}", SERVICES.len());

    // While the window begins before the mirror did, green lacks more.
    let missing = |report: &Value| {
        rules(report).iter().eq(["coverage_service_missing"].iter()) && weighty(report).len() == 1
    };
    let lost = gates.until(&look, REFUSED, SETTLED, missing)?;
    let named = weighty(&lost);
    ensure!(named.len() == 1 && named[0].contains(LOST), "lost is {LOST}, named are {named:?}");

    drop(load);
    // Whether it is still sent the gateway's tap knows by minutes, and this does not wait for one.
    let stopped = |report: &Value| {
        let told = ["coverage_service_stopped", "coverage_application_silent"];
        rules(report).len() == 1 && rules(report).iter().all(|rule| told.contains(rule))
    };
    let recent = [&beside[..], &["--before", "30s"]].concat();
    let stopped = gates.until(&recent, REFUSED, SETTLED, stopped)?;
    let named = weighty(&stopped);
    ensure!(named.len() == 1 && named[0].contains(LOST), "{LOST} has stopped, named are {named:?}");
    Ok("a Jaeger and a Tempo cover the same; the service that green drops is named, and so is the one that fell silent".to_owned())
}

/// Whether the service is recorded on both sides, and it is known what was sent of it.
fn is_whole(report: &Value, service: &str) -> bool {
    let rows = report["facts"]["services"].as_array().into_iter().flatten();
    let counted = |value: &Value| value.as_u64().is_some_and(|traces| traces > 0);
    rows.filter(|row| row["service"] == service).any(|row| {
        row["sent"].is_u64() && counted(&row["blue"]["traces"]) && counted(&row["green"]["traces"])
    })
}

/// What the findings that weigh something say, each with its place.
fn weighty(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let weighty = findings.filter(|finding| finding["severity"] != "note");
    weighty.map(|finding| format!("{} {}", finding["where"]["component"], finding["detail"])).collect()
}
