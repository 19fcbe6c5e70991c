//! `cargo xtask bench`: CPU a span of the gateway and of its peers, under the same load, in one run, taking turns, so that
//! the machine's noise falls on all alike. A benchmark, never a test: nothing here fails because something is slow.
//!
//! | module | holds |
//! |---|---|
//! | [`variant`] | what is measured, and the ratios that are to be reached |
//! | [`measure`] | one measurement |
//! | [`generator`] | the load gate's generator, by itself |
//! | [`checks`] | what drift and parity take |
//! | [`profile`] | where the gateway's time goes, by crate and function |
//! | [`proc`] | CPU time and memory of a process |
//! | [`table`] | the report |
//!
//! The load, the sink and the host of the gateway are one program: the example `bench` of this package.

mod checks;
mod generator;
mod measure;
mod proc;
mod profile;
mod table;
mod variant;

use crate::peers::{self, COLLECTOR, ENVOY, NGINX};
use crate::rig::ports;
use crate::shell::{capture, cargo, run as run_command, say, stage, target};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use table::Row;
use variant::{VARIANTS, Variant};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests of 512 spans in one measurement, after a tenth as many to warm up
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
    /// Requests in flight
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    /// Only those whose name contains this; `load` is the load gate's generator alone, `gates` are drift and parity
    #[arg(long)]
    only: Option<String>,
    /// Only these HTTP/2 frames
    #[arg(long)]
    frames: Option<Frames>,
    /// Then profile the gateway in each of its shapes, with `perf`
    #[arg(long)]
    profile: bool,
    /// Write the report here too
    #[arg(long)]
    out: Option<PathBuf>,
}

/// How large the DATA frames are, on both sides of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Frames {
    /// As large as the peer takes, up to 1 MiB
    Large,
    /// 16 KiB, as Go and Java clients send them, and as their servers ask for
    Small,
}

/// What every measurement is made with.
struct Settings {
    programs: PathBuf,
    requests: usize,
    in_flight: usize,
}

/// Where the parts of one measurement meet.
#[derive(Debug, Clone, Copy)]
struct Ports {
    proxy: u16,
    blue: u16,
    green: u16,
    counts: u16,
    admin: u16,
}

impl Frames {
    fn bytes(self) -> u32 {
        match self {
            Self::Large => 1 << 20,
            Self::Small => 16_384,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Large => "Large HTTP/2 frames",
            Self::Small => "Frames of 16 KiB, as Go and Java clients send",
        }
    }
}

impl Ports {
    fn free() -> Result<Self> {
        let [proxy, blue, green] = [ports::free()?, ports::free()?, ports::free()?];
        Ok(Self { proxy, blue, green, counts: ports::free()?, admin: ports::free()? })
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        bail!("one core is too few: the proxy has one for itself, the load and the sink another");
    }
    if args.only.as_deref() == Some(generator::NAME) {
        let programs = build()?;
        let text =
            stage("the load gate's generator", || generator::report(&programs, &target()?.join("bench")))?;
        return tell(args, &format!("{}\n{text}", machine(args)?));
    }
    if args.only.as_deref() == Some(checks::NAME) {
        let text = stage("drift and parity", checks::report)?;
        return tell(args, &format!("{}\n{text}", machine(args)?));
    }
    let mut rows = chosen(args)?;
    peers::ensure(&[&COLLECTOR, &NGINX, &ENVOY])?;
    let settings = Settings { programs: build()?, requests: args.requests, in_flight: args.in_flight };
    let dir = target()?.join("bench");
    for round in 1..=args.rounds {
        stage(&format!("round {round} of {}", args.rounds), || {
            rows.iter_mut().try_for_each(|row| measure_row(row, &settings, &dir))
        })?;
    }
    let mut report = table::report(&rows, &machine(args)?);
    if args.profile {
        let shapes = rows.iter().filter(|row| row.variant.is_crossfade());
        let profiles: Vec<String> =
            stage("profile", || shapes.map(|row| profile_row(row, &settings, &dir)).collect())?;
        report.push_str("\n### Where the time goes\n\n");
        report.push_str(&profiles.join("\n"));
    }
    if args.only.is_none() {
        report.push_str(&stage("the load gate's generator", || generator::report(&settings.programs, &dir))?);
        report.push_str(&stage("drift and parity", checks::report)?);
    }
    tell(args, &report)
}

fn tell(args: &Args, report: &str) -> Result<()> {
    println!("{report}");
    if let Some(out) = &args.out {
        fs::write(out, report).with_context(|| format!("writing {}", out.display()))?;
    }
    Ok(())
}

/// One more sample for a row.
fn measure_row(row: &mut Row, settings: &Settings, dir: &Path) -> Result<()> {
    emptied(dir)?;
    let sample = measure::measure(&row.variant, row.frames, settings, dir)
        .inspect_err(|_| crate::shell::say(&crate::rig::process::logs(dir, 15)))
        .with_context(|| format!("measuring {} with {:?} frames", row.variant.name, row.frames))?;
    say(&format!("{:<34} {:?}: {:.0} ns a span", row.variant.name, row.frames, sample.cpu_nanos_per_span));
    row.samples.push(sample);
    Ok(())
}

fn profile_row(row: &Row, settings: &Settings, dir: &Path) -> Result<String> {
    emptied(dir)?;
    let profile = measure::profile(&row.variant, row.frames, settings, dir)
        .with_context(|| format!("profiling {} with {:?} frames", row.variant.name, row.frames))?;
    Ok(profile.table(&format!("{}: {}", row.variant.name, row.frames.title())))
}

fn emptied(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))
}

fn chosen(args: &Args) -> Result<Vec<Row>> {
    let wanted =
        |variant: &&Variant| args.only.as_ref().is_none_or(|part| variant.name.contains(part.as_str()));
    let frames = args.frames.map_or_else(|| vec![Frames::Large, Frames::Small], |frames| vec![frames]);
    let variants: Vec<_> = VARIANTS.iter().filter(wanted).collect();
    if variants.is_empty() {
        let names: Vec<_> = VARIANTS.iter().map(|variant| variant.name).collect();
        bail!("nothing is called like that; there are: {}", names.join("; "));
    }
    let of_frames = |frames: Frames| {
        variants
            .iter()
            .map(move |variant| Row { variant: **variant, frames, samples: Vec::new() })
            .collect::<Vec<_>>()
    };
    Ok(frames.into_iter().flat_map(of_frames).collect())
}

/// Builds load, sink and gateway as they would ship.
fn build() -> Result<PathBuf> {
    let build = ["build", "--release", "--locked", "--package", "xtask", "--example", "bench"];
    stage("build the load, the sink and the gateway", || run_command(cargo().args(build)))?;
    Ok(target()?.join("release/examples/bench"))
}

/// One line on when and where.
fn machine(args: &Args) -> Result<String> {
    let date = capture(Command::new("date").args(["-u", "+%F"]))?;
    let rust = capture(Command::new("rustc").arg("--version"))?;
    let processors = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let models = processors.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let models: Vec<_> = models.collect();
    Ok(format!(
        "{}; {} x {}; {}; {} rounds of {} requests of 512 spans, {} in flight; the proxy alone on one core, load and sink on another.",
        date.trim(),
        models.len(),
        models.first().copied().unwrap_or("a processor"),
        rust.trim(),
        args.rounds,
        args.requests,
        args.in_flight,
    ))
}
