//! `cargo xtask fuzz`: every target below `fuzz/` for a while, on the installed stable toolchain.
//!
//! Without a sanitizer cargo-fuzz passes only flags that a stable compiler takes. What it finds beside crashes are failed
//! assertions and overflows, which debug assertions turn into crashes; memory errors cannot be, since nothing here is
//! unsafe.

use crate::peers::{self, CARGO_FUZZ};
use crate::shell::{capture, cargo, root, run as run_command, say, stage, target, variable};
use crate::suite::Tally;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these; without a name, all
    targets: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    run_targets(&args.targets, args.seconds)?.close()
}

/// Runs the named targets, or all, each for so long, whatever the others find.
pub(crate) fn run_targets(names: &[String], seconds: u32) -> Result<Tally> {
    peers::ensure(&[&CARGO_FUZZ])?;
    let targets = capture(cargo_fuzz()?.arg("list"))?;
    let targets: Vec<&str> = targets.lines().collect();
    if let Some(unknown) = names.iter().find(|name| !targets.contains(&name.as_str())) {
        bail!("there is no fuzz target `{unknown}`; there are {}", targets.join(", "));
    }
    let mut tally = Tally::default();
    for name in targets.iter().filter(|name| names.is_empty() || names.iter().any(|wanted| wanted == *name)) {
        let outcome = stage(&format!("fuzz {name} for {seconds} s"), || run_target(name, seconds));
        tally.count(outcome.is_ok());
        if let Err(error) = outcome {
            println!("test fuzz::{name} ... FAILED\n{error:#}\nthe input lies in fuzz/artifacts/{name}/");
        }
    }
    Ok(tally)
}

fn run_target(name: &str, seconds: u32) -> Result<()> {
    // New inputs go into the first folder, which git ignores; the committed seeds are only read.
    let corpus = root().join("fuzz/corpus").join(name);
    fs::create_dir_all(&corpus).with_context(|| format!("creating {}", corpus.display()))?;
    let seeds = root().join("fuzz/seeds").join(name);
    let mut command = cargo_fuzz()?;
    command.args(["run", "--sanitizer", "none", "--debug-assertions", name]).arg(corpus);
    if seeds.exists() {
        command.arg(seeds);
    }
    let limit = format!("-max_total_time={seconds}");
    run_command(command.args(["--", &limit, "-max_len=4096", "-print_final_stats=1", "-verbosity=0"]))?;
    say(&format!("fuzz {name}: nothing found"));
    Ok(())
}

/// `cargo fuzz`, with a target folder of its own: it passes flags that would make ordinary builds start again.
fn cargo_fuzz() -> Result<Command> {
    let bin = CARGO_FUZZ.dir()?.join("bin");
    let path = variable("PATH").context("PATH is not set")?;
    let mut command = cargo();
    command.arg("fuzz").env("PATH", format!("{}:{path}", bin.display()));
    command.env("CARGO_TARGET_DIR", target()?.join("fuzz"));
    Ok(command)
}
