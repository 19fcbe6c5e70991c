//! `cargo xtask e2e`: the real thing. Real SDKs send to real Collectors in front of real Jaegers, and what arrived is read
//! back and compared with what the SDKs recorded.
//!
//! | module | holds |
//! |---|---|
//! | [`cases`] | the cases, one function each |
//! | [`stack`] | an environment: a Collector in front of a Jaeger |
//! | [`client`] | SDK clients in two languages, and telemetrygen |
//! | [`record`] | what a client recorded |
//! | [`jaeger`] | reading a trace back |
//! | [`whole`] | is every recorded trace whole in a store? |

mod cases;
mod client;
mod jaeger;
mod record;
mod stack;
mod whole;

use crate::peers::{self, TESTS};
use crate::rig::process;
use crate::shell::{say, seconds, target};
use crate::suite::Tally;
use anyhow::{Context, Result};
use cases::CASES;
use std::fs;
use std::path::Path;
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these; without a name, all
    #[arg(value_parser = case_name)]
    cases: Vec<String>,
    /// How often each runs
    #[arg(long, default_value_t = 1)]
    times: u32,
}

/// One case: its name, what it shows, and how.
pub(crate) struct Case {
    name: &'static str,
    shows: &'static str,
    run: fn(&Path) -> Result<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    run_cases(&args.cases, args.times)?.close()
}

/// Runs the named cases, or all, each so many times, whatever the others do.
pub(crate) fn run_cases(names: &[String], times: u32) -> Result<Tally> {
    peers::ensure(&TESTS)?;
    let work = target()?.join("e2e");
    let mut tally = Tally::default();
    for round in 1..=times {
        for case in CASES.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name))
        {
            let outcome = run_case(case, &work.join(format!("{}-{round}", case.name)));
            tally.count(outcome.is_ok());
        }
    }
    Ok(tally)
}

/// Runs one case in a fresh folder, which stays for a person to look at.
fn run_case(case: &Case, dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    say(&format!("== e2e {}: {}", case.name, case.shows));
    let start = Instant::now();
    let outcome = (case.run)(dir);
    let time = seconds(start.elapsed());
    match &outcome {
        Ok(told) => println!("test e2e::{} ... ok ({time}; {told})", case.name),
        Err(error) => {
            process::show_logs(dir, 15);
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
