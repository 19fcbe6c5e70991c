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
//! | [`transport`] | in plain text or over TLS |
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
mod transport;
mod whole;

use crate::peers::{self, TESTS};
use crate::rig::process;
use crate::shell::{say, seconds, stage, target};
use crate::suite::Tally;
use anyhow::{Context, Result};
use cases::CASES;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
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
    /// Whether it judges how quick something is, so that nothing else may run beside it. The others wait most of their time.
    alone: bool,
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

/// How many cases run side by side.
const LANES: usize = 2;

/// Runs the named cases, or all, each so many times, whatever the others do: first those that may run side by side, then one by one those
/// that may not.
pub(crate) fn run_cases(names: &[String], times: u32, program: Option<PathBuf>) -> Result<Tally> {
    peers::ensure(&TESTS)?;
    let program = match program {
        Some(program) => program.canonicalize().with_context(|| format!("finding {}", program.display()))?,
        None => stage("build crossfade", crossfade::build)?,
    };
    let work = target()?.join("e2e");
    let wanted = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
    let rounds = (1..=times).flat_map(|round| CASES.iter().filter(wanted).map(move |case| (round, case)));
    let (alone, together): (Vec<_>, Vec<_>) = rounds.partition(|(_, case)| case.alone);
    let run = |(round, case): (u32, &Case)| {
        let dir = work.join(format!("{}-{round}", case.name));
        run_case(case, &Ground { dir, program: program.clone() }).is_ok()
    };
    let mut tally = Tally::default();
    in_lanes(LANES, together, &run).into_iter().for_each(|passed| tally.count(passed));
    in_lanes(1, alone, &run).into_iter().for_each(|passed| tally.count(passed));
    Ok(tally)
}

/// Does each of these on one of so many threads, in order as far as there is a thread. What a case starts dies with its thread, which
/// lives until there is nothing left to do.
fn in_lanes<T: Send, R: Send>(lanes: usize, todo: Vec<T>, work: &(impl Fn(T) -> R + Sync)) -> Vec<R> {
    let todo = Mutex::new(todo.into_iter());
    let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || std::iter::from_fn(next).map(work).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let done = lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.flatten().collect()
    })
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
        Err(error) => println!(
            "test e2e::{} ... FAILED ({time})\n{error:#}\n{}files of the run: {}",
            case.name,
            process::logs(dir, 6),
            dir.display()
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// Guarantee: two lanes do two things at once, everything is done once, and what fails takes nothing with it.
    #[test]
    fn lanes_work_side_by_side() {
        let both = Barrier::new(2);
        let work = |nth: u32| {
            if nth < 2 {
                both.wait();
            }
            !nth.is_multiple_of(3)
        };
        let done = in_lanes(2, (0..7).collect(), &work);
        assert_eq!((done.len(), done.iter().filter(|passed| **passed).count()), (7, 4));
        assert_eq!(in_lanes(1, vec![5, 6], &|nth: u32| nth), [5, 6]);
    }
}
