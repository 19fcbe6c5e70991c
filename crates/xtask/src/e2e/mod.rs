//! `cargo xtask e2e`: the real thing. Real SDKs send to real Collectors in front of real Jaegers, and what arrived is read
//! back and compared with what the SDKs recorded.
//!
//! | module | holds |
//! |---|---|
//! | [`cases`] | the cases, one function each |
//! | [`stack`] | an environment: a Collector in front of a Jaeger |
//! | [`crossfade`] | the program as its users run it |
//! | [`client`] | SDK clients in two languages, and telemetrygen |
//! | [`record`] | what a client recorded |
//! | [`jaeger`] | reading a trace back |
//! | [`tempo`] | a Tempo by itself |
//! | [`owner`] | who owns a trace, worked out anew from the log's cuts |
//! | [`whole`] | is every recorded trace whole in a store? |

mod cases;
mod client;
pub(crate) mod crossfade;
mod jaeger;
mod owner;
mod record;
mod stack;
mod tempo;
mod whole;

use crate::peers::{self, TESTS};
use crate::rig::process;
use crate::shell::{say, seconds, stage, target};
use crate::suite::Tally;
use anyhow::{Context, Result};
use cases::CASES;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these; without a name, all
    #[arg(value_parser = case_name)]
    cases: Vec<String>,
    /// How often each runs
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// A `crossfade` that is built already
    #[arg(long)]
    program: Option<PathBuf>,
}

/// One case: its name, what it shows, and how.
pub(crate) struct Case {
    name: &'static str,
    shows: &'static str,
    run: fn(&Ground) -> Result<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    run_cases(&args.cases, args.times, args.program.clone())?.close()
}

/// What a case stands on.
pub(crate) struct Ground {
    /// A folder of its own, empty at first.
    dir: PathBuf,
    /// The `crossfade` that is tried.
    program: PathBuf,
}

/// Runs the named cases, or all, each so many times, whatever the others do.
pub(crate) fn run_cases(names: &[String], times: u32, program: Option<PathBuf>) -> Result<Tally> {
    peers::ensure(&TESTS)?;
    let program = match program {
        Some(program) => program.canonicalize().with_context(|| format!("finding {}", program.display()))?,
        None => stage("build crossfade", crossfade::build)?,
    };
    let work = target()?.join("e2e");
    let mut tally = Tally::default();
    for round in 1..=times {
        for case in CASES.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name))
        {
            let dir = work.join(format!("{}-{round}", case.name));
            let outcome = run_case(case, &Ground { dir, program: program.clone() });
            tally.count(outcome.is_ok());
        }
    }
    Ok(tally)
}

/// Runs one case in a fresh folder, which stays for a person to look at.
fn run_case(case: &Case, ground: &Ground) -> Result<()> {
    let dir: &Path = &ground.dir;
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    say(&format!("== e2e {}: {}", case.name, case.shows));
    let start = Instant::now();
    let outcome = (case.run)(ground);
    let time = seconds(start.elapsed());
    match &outcome {
        Ok(told) => println!("test e2e::{} ... ok ({time}; {told})", case.name),
        Err(error) => {
            process::show_logs(dir, 6);
            println!(
                "test e2e::{} ... FAILED ({time})\n{error:#}\nfiles of the run: {}",
                case.name,
                dir.display()
            );
        }
    }
    outcome.map(drop)
}

fn case_name(name: &str) -> Result<String, String> {
    if CASES.iter().any(|case| case.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    Err(format!("there are {}", names.join(", ")))
}
