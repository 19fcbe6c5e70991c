//! One measurement: a proxy alone on the first core; the load and the sink on the second.

use super::proc::{cpu_nanos, peak_kib};
use super::profile::{Profile, Recording};
use super::variant::Variant;
use super::{Frames, Ports, Settings};
use crate::rig::process::Process;
use crate::rig::{http, listens, wait};
use crate::shell::capture;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(20);
const PROXY_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// What one run of one proxy came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) cpu_nanos_per_span: f64,
    pub(crate) spans_per_second: f64,
    pub(crate) peak_kib: u64,
    pub(crate) p99_us: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Sent {
    spans: u64,
    nanos: u64,
    p99_us: u64,
}

/// What came to one port of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Came {
    requests: u64,
    spans: u64,
    broken: u64,
}

/// A sink and a proxy that listen; they end with this.
struct Bench {
    ports: Ports,
    _sink: Process,
    proxy: Process,
}

fn set_up(variant: &Variant, frames: Frames, settings: &Settings, dir: &Path) -> Result<Bench> {
    let ports = Ports::free()?;
    let mut sink = start_sink(&settings.programs, frames, &ports, dir)?;
    sink.until("its ports", STARTUP, || {
        [ports.blue, ports.green, ports.counts].iter().all(|port| listens(*port))
    })?;
    let command = pinned(PROXY_CORE, &variant.command(&settings.programs, &ports, dir)?);
    let mut proxy = Process::start("proxy", &command, dir)?;
    proxy.until("its port", STARTUP, || listens(ports.proxy))?;
    Ok(Bench { ports, _sink: sink, proxy })
}

/// Where the proxy's time goes under the load.
pub(crate) fn profile(variant: &Variant, frames: Frames, settings: &Settings, dir: &Path) -> Result<Profile> {
    let bench = set_up(variant, frames, settings, dir)?;
    load(variant, frames, settings, settings.requests / 10, &bench.ports)?;
    let recording = Recording::start(bench.proxy.id(), dir)?;
    // A span costs some hundred nanoseconds: enough of them for a few thousand samples.
    load(variant, frames, settings, settings.requests * 5, &bench.ports)?;
    recording.stop()
}

pub(crate) fn measure(variant: &Variant, frames: Frames, settings: &Settings, dir: &Path) -> Result<Sample> {
    let Bench { ports, proxy, .. } = &set_up(variant, frames, settings, dir)?;
    load(variant, frames, settings, settings.requests / 10, ports)?;
    let [blue_before, green_before] = settled(ports.counts)?;
    let before = cpu_nanos(proxy.id())?;
    let sent = load(variant, frames, settings, settings.requests, ports)?;
    // Copies may still be on their way when the client has its answers; their cost counts too.
    let [blue, green] = settled(ports.counts)?;
    let spent = cpu_nanos(proxy.id())? - before;
    let peak_kib = peak_kib(proxy.id())?;

    let (to_blue, to_green) = (blue.spans - blue_before.spans, green.spans - green_before.spans);
    ensure!(blue.broken + green.broken == 0, "the sink could not read what {} sent", variant.name);
    ensure!(
        variant.delivers.holds(sent.spans, to_blue, to_green),
        "{} was sent {} spans and delivered {to_blue} and {to_green}, which is not {:?}",
        variant.name,
        sent.spans,
        variant.delivers
    );
    let spans = sent.spans as f64;
    Ok(Sample {
        cpu_nanos_per_span: spent as f64 / spans,
        spans_per_second: spans * 1e9 / sent.nanos as f64,
        peak_kib,
        p99_us: sent.p99_us,
    })
}

fn start_sink(programs: &Path, frames: Frames, ports: &Ports, dir: &Path) -> Result<Process> {
    let mut command = Command::new(programs);
    command.arg("sink").args(["--port", &ports.blue.to_string(), "--port", &ports.green.to_string()]);
    command.args(["--counts", &ports.counts.to_string(), "--frame", &frames.bytes().to_string()]);
    Process::start("sink", &pinned(LOAD_CORE, &command), dir)
}

fn load(
    variant: &Variant,
    frames: Frames,
    settings: &Settings,
    requests: usize,
    ports: &Ports,
) -> Result<Sent> {
    let mut command = Command::new(&settings.programs);
    command.args(["load", "--target", &format!("127.0.0.1:{}", ports.proxy)]);
    command.args(["--requests", &requests.to_string(), "--in-flight", &settings.in_flight.to_string()]);
    command.args(["--frame", &frames.bytes().to_string()]);
    if variant.gzip {
        command.arg("--gzip");
    }
    let told =
        capture(&mut pinned(LOAD_CORE, &command)).with_context(|| format!("loading {}", variant.name))?;
    serde_json::from_str(&told).context("reading what the load tells")
}

/// The counts of both ports, once three looks in a row have seen the same.
fn settled(port: u16) -> Result<[Came; 2]> {
    let mut last: Option<[Came; 2]> = None;
    let mut same = 0;
    wait::until("the sink to have everything", Duration::from_secs(30), || {
        let counts: [Came; 2] =
            serde_json::from_slice(&http::get(port, "/")?.body).context("the sink's counts")?;
        same = if last.replace(counts) == Some(counts) { same + 1 } else { 0 };
        Ok((same == 2).then_some(counts))
    })
}

pub(super) fn pinned(core: &str, command: &Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", core]).arg(command.get_program()).args(command.get_args());
    pinned
}
