//! The load gate's generator by itself: driven up in steps on one core, against a sink on the other.

use super::{Frames, Ports};
use crate::rig::listens;
use crate::rig::process::Process;
use crate::shell::capture;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The name that `--only` knows it by.
pub(crate) const NAME: &str = "load";
/// What it has to reach, from one core.
const WANTED: u64 = 200_000;
/// Thousands of spans a second, one step after the other.
const STEPS: [u64; 9] = [100, 200, 400, 600, 800, 1_000, 1_300, 1_600, 2_000];
const SECONDS: u64 = 4;
/// A step counts if every request of a hundred but one was sent within this time of when it was due.
const PUNCTUAL_US: u64 = 10_000;

const SHAPES: [(&str, bool, bool); 4] = [
    ("gRPC", false, false),
    ("gRPC, gzip", false, true),
    ("HTTP/protobuf", true, false),
    ("HTTP/protobuf, gzip", true, true),
];

/// What one step came to.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Step {
    rate: u64,
    offered: u64,
    accepted: u64,
    held: u64,
    bytes: u64,
    seconds: u64,
    p99_us: u64,
    lag_p99_us: u64,
    /// Of all steps of the run.
    cpu_nanos: u64,
}

impl Step {
    fn is_driven(&self) -> bool {
        self.accepted == self.offered && self.held == 0 && self.lag_p99_us <= PUNCTUAL_US
    }

    fn line(&self, name: &str, highest: u64) -> String {
        format!(
            "| {name} | {} | {:.0} % | {} | {:.1} ms | {:.1} ms | {} k |",
            self.cpu_nanos / self.offered.max(1),
            self.cpu_nanos as f64 / (self.seconds as f64 * 1e7),
            self.bytes / self.offered.max(1),
            self.lag_p99_us as f64 / 1e3,
            self.p99_us as f64 / 1e3,
            highest / 1_000,
        )
    }
}

/// Measures every shape, and reports it in markdown.
pub(crate) fn report(programs: &Path, dir: &Path) -> Result<String> {
    let mut text = format!(
        "\n### The load gate's generator, on one core\n\nSteps of {SECONDS} s, requests of 512 spans of 685 B, a sink that reads and \
         counts every span on the other core. CPU of the process, lag and latency at {} k spans/s; the highest step in which all was \
         accepted, and 99 % of the requests were sent within {} ms of when they were due.\n\n\
         | | CPU ns a span | of one core | bytes a span sent | own lag, p99 | latency from due, p99 | highest step |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        WANTED / 1_000,
        PUNCTUAL_US / 1_000,
    );
    for (name, http, gzip) in SHAPES {
        let drive = |steps: &[u64], seconds| {
            measure(programs, http, gzip, steps, seconds, dir).with_context(|| format!("driving {name}"))
        };
        let wanted = drive(&[WANTED / 1_000], 2 * SECONDS)?;
        let wanted = wanted.first().context("the generator has told nothing")?;
        let steps = drive(&STEPS, SECONDS)?;
        let highest = steps.iter().filter(|step| step.is_driven()).map(|step| step.rate).max().unwrap_or(0);
        let _ = writeln!(text, "{}", wanted.line(name, highest));
    }
    Ok(text)
}

fn measure(
    programs: &Path,
    http: bool,
    gzip: bool,
    steps: &[u64],
    seconds: u64,
    dir: &Path,
) -> Result<Vec<Step>> {
    super::emptied(dir)?;
    let ports = Ports::free()?;
    let mut command = Command::new(programs);
    command.args(["sink", "--port", &ports.blue.to_string(), "--counts", &ports.counts.to_string()]);
    command.args(["--frame", &Frames::Large.bytes().to_string()]);
    command.args(http.then_some("--http"));
    let mut sink = Process::start("sink", &super::measure::pinned("1", &command), dir)?;
    sink.until("its port", Duration::from_secs(20), || listens(ports.blue))?;

    let rates: Vec<String> = steps.iter().map(|thousands| (thousands * 1_000).to_string()).collect();
    let mut command = Command::new(programs);
    command.args(["drive", "--target", &format!("http://127.0.0.1:{}", ports.blue)]);
    command.args(["--rates", &rates.join(","), "--seconds", &seconds.to_string()]);
    command.args(http.then_some("--http")).args(gzip.then_some("--gzip"));
    let told = capture(&mut super::measure::pinned("0", &command))?;
    told.lines().map(|line| serde_json::from_str(line).context("reading what the generator tells")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_was_late_or_lost_something_does_not_count() {
        let step = Step {
            rate: WANTED,
            offered: 800_000,
            accepted: 800_000,
            held: 0,
            bytes: 800_000 * 685,
            seconds: SECONDS,
            p99_us: 2_500,
            lag_p99_us: 1_100,
            cpu_nanos: 400_000_000,
        };
        assert!(step.is_driven());
        assert!(!Step { accepted: 799_488, ..step }.is_driven());
        assert!(!Step { lag_p99_us: 20_000, ..step }.is_driven());
        assert!(!Step { held: 1, ..step }.is_driven());
        let line = step.line("gRPC", 1_000_000);
        assert_eq!(line, "| gRPC | 500 | 10 % | 685 | 1.1 ms | 2.5 ms | 1000 k |");
    }
}
