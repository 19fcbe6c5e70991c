//! Senders: the OpenTelemetry SDKs of two languages, which record what they did, and telemetrygen, which is only counted.

use super::record::Record;
use crate::peers::{NODE, PYTHON, TELEMETRYGEN};
use crate::rig::process::Process;
use crate::shell::root;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough for the last trace to end and for one full export timeout.
const GOODBYE: Duration = Duration::from_secs(120);

/// For a few dozen traces with calls of a tenth of a second, on a machine that is busy.
const CALLS: Duration = Duration::from_secs(240);

/// A running SDK client.
#[derive(Debug)]
pub(crate) struct Sdk {
    process: Process,
    record: PathBuf,
}

/// How a client sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Traces a second.
    pub(crate) rate: u32,
    /// Seconds from the first start in a trace to the last.
    pub(crate) longest: f32,
    pub(crate) seed: u32,
    /// Seconds that an export, with all its retries, may take. The SDKs' default is 10.
    pub(crate) timeout: u32,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { rate: 20, longest: 3.0, seed: 1, timeout: 10 }
    }
}

impl Sdk {
    /// The SDK for Python, over gRPC.
    pub(crate) fn python(port: u16, traffic: Traffic, dir: &Path) -> Result<Self> {
        let mut command = Command::new(PYTHON.program()?);
        command
            .arg(root().join("tests/e2e/python/client.py"))
            .arg("--endpoint")
            .arg(format!("127.0.0.1:{port}"));
        Self::start("python", command, traffic, dir)
    }

    /// The SDK for Node.js, over HTTP with protobuf bodies.
    pub(crate) fn node(port: u16, traffic: Traffic, dir: &Path) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg(root().join("tests/e2e/node/client.mjs")).env("E2E_PACKAGES", NODE.dir()?);
        command.arg("--endpoint").arg(format!("http://127.0.0.1:{port}"));
        Self::start("node", command, traffic, dir)
    }

    fn start(name: &str, mut command: Command, traffic: Traffic, dir: &Path) -> Result<Self> {
        let record = dir.join(format!("{name}.jsonl"));
        command.arg("--record").arg(&record);
        command.args(["--rate", &traffic.rate.to_string(), "--longest", &traffic.longest.to_string()]);
        command.args(["--seed", &traffic.seed.to_string(), "--timeout", &traffic.timeout.to_string()]);
        // The SDKs read their settings from the environment too; a test is what it says it is.
        for name in ["OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS"] {
            command.env_remove(name);
        }
        Ok(Self { process: Process::start(name, &command, dir)?, record })
    }

    /// Waits until the client has heard the answer to at least so many exports.
    pub(crate) fn until_exported(&mut self, exports: usize, limit: Duration) -> Result<()> {
        self.until("exports", limit, |record| record.exports >= exports)
    }

    /// Waits until what the client has recorded so far is as wanted.
    pub(crate) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        ready: impl Fn(&Record) -> bool,
    ) -> Result<()> {
        let path = self.record.clone();
        self.process.until(what, limit, || Record::read(&path).is_ok_and(|record| ready(&record)))
    }

    /// What it has recorded by now; nothing while its last line is half written.
    pub(crate) fn so_far(&self) -> Option<Record> {
        Record::read(&self.record).ok()
    }

    /// Lets it end its traces and flush, and returns what it recorded.
    pub(crate) fn finish(self) -> Result<Record> {
        let status = self.process.terminate(GOODBYE)?;
        let record = Record::read(&self.record)?;
        if !status.success() || !record.complete {
            bail!("the client of {} ended with {status} before it said good-bye", self.record.display());
        }
        Ok(record)
    }
}

/// Runs `calls.py`, which calls others by instrumented libraries, to its end. `conventions` are those of OTEL_SEMCONV_STABILITY_OPT_IN;
/// empty: the libraries' usual ones.
pub(crate) fn calls(name: &str, port: u16, more: &[&str], conventions: &str, dir: &Path) -> Result<()> {
    let mut process = calling(name, port, more, conventions, dir)?;
    let status = process.ended(CALLS)?;
    if !status.success() {
        bail!("{name} ended with {status}:\n{}", process.tail(5));
    }
    Ok(())
}

/// Starts it.
pub(crate) fn calling(
    name: &str,
    port: u16,
    more: &[&str],
    conventions: &str,
    dir: &Path,
) -> Result<Process> {
    let mut command = Command::new(PYTHON.program()?);
    command.arg(root().join("tests/e2e/python/calls.py")).args(["--endpoint", &format!("127.0.0.1:{port}")]);
    command.args(more).env("OTEL_SEMCONV_STABILITY_OPT_IN", conventions);
    for name in
        ["OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS", "http_proxy", "HTTP_PROXY"]
    {
        command.env_remove(name);
    }
    Process::start(name, &command, dir)
}

/// telemetrygen, again and again: it ends well however its exports went, and says only at its end how much it has sent. So it is left to end
/// each time, and what it has sent can be counted where it should be.
#[derive(Debug)]
pub(crate) struct Load {
    process: Process,
    log: PathBuf,
    stop: PathBuf,
}

/// What it sends in one round: traces of two spans, at twenty spans a second.
const ROUND: [&str; 4] = ["--traces", "30", "--rate", "20"];

impl Load {
    pub(crate) fn start(port: u16, dir: &Path) -> Result<Self> {
        let (name, stop) = ("telemetrygen", dir.join("telemetrygen.stop"));
        let mut command = Command::new("sh");
        // What runs dies with the shell, and the shell with us.
        command.arg("-c").arg("until test -e \"$0\"; do setpriv --pdeathsig KILL -- \"$@\" || exit; done");
        command.arg(&stop).arg(TELEMETRYGEN.program()?).arg("traces");
        command.args([
            "--otlp-insecure",
            "--otlp-endpoint",
            &format!("127.0.0.1:{port}"),
            "--service",
            "load",
        ]);
        // It tries again by itself for a minute. The SDK's own limits are no shorter than that.
        command.args(ROUND).args(["--timeout", "120s"]).env("OTEL_BSP_EXPORT_TIMEOUT", "120000");
        let process = Process::start(name, &command, dir)?;
        Ok(Self { process, log: dir.join(format!("{name}.log")), stop })
    }

    /// Lets the round end that runs, and starts no other.
    pub(crate) fn stop(&self) -> Result<()> {
        fs::write(&self.stop, "").with_context(|| format!("writing {}", self.stop.display()))
    }

    /// Lets it end, and returns how many traces it has sent, each of which was answered well.
    pub(crate) fn finish(mut self) -> Result<usize> {
        self.stop()?;
        let status = self.process.ended(GOODBYE)?;
        ensure!(status.success(), "telemetrygen ended with {status}:\n{}", self.process.tail(5));
        let log = fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))?;
        sent(&log).with_context(|| format!("reading {}", self.log.display()))
    }
}

fn sent(log: &str) -> Result<usize> {
    if let Some(failed) = log.lines().find(|line| line.contains("traces export: ")) {
        bail!("telemetrygen was refused: {failed}");
    }
    let rounds = log.lines().filter(|line| line.contains("traces generated"));
    let traces =
        rounds.map(|line| line.rsplit_once("\"traces\": ")?.1.trim_end_matches('}').parse::<usize>().ok());
    let traces: usize =
        traces.sum::<Option<usize>>().context("telemetrygen says how many traces it has generated")?;
    ensure!(traces > 0, "telemetrygen has sent nothing");
    Ok(traces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telemetrygen_sent_is_added_up_and_what_was_refused_is_told() {
        let round = "2026-11-22T07:10:41.007Z\tINFO\ttraces/worker.go:201\ttraces generated\t{\"worker\": 0, \"traces\": 30}\n";
        let stop = "2026-11-22T07:10:41.008Z\tINFO\ttraces/traces.go:76\tstop the batch span processor\n";
        assert_eq!(sent(&format!("{round}{stop}{round}")).unwrap(), 60);
        assert!(sent(stop).is_err());
        let refused =
            format!("{round}2026/11/22 07:10:48 traces export: exporter export timeout: rpc error\n");
        assert!(format!("{:#}", sent(&refused).unwrap_err()).contains("rpc error"));
    }
}
