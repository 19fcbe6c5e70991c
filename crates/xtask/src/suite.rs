//! `cargo xtask test`: everything, and a closing summary. A failing part does not keep the others from running, so that
//! one run tells all that is wrong.

use crate::peers::{self, TESTS};
use crate::shell::{cargo, say, seconds, stage_judged, variable};
use crate::{e2e, fuzz, stories};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::time::Instant;

/// For each target: enough to see that it builds, runs and finds nothing at once.
const FUZZ_SECONDS: u32 = 5;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the end-to-end part, the stories and fuzzing, and what only they need
    #[arg(long)]
    fast: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    if !args.fast {
        peers::ensure(&TESTS)?;
    }
    let tests = stage_judged(
        "cargo test --workspace",
        |tests: &Tests| tests.failed == 0 && !tests.broken,
        || {
            let mut command = cargo();
            command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
            cargo_test(command.env(THREADS, threads()))
        },
    )?;
    let (mut passed, mut failed) = (tests.passed, tests.failed);
    let mut rest = Vec::new();
    if !args.fast {
        let good = |tally: &Tally| tally.failed == 0;
        let cases = stage_judged("end to end", good, || e2e::run_cases(&[], 1, None))?;
        let targets = stage_judged("fuzz, a smoke run", good, || fuzz::run_targets(&[], FUZZ_SECONDS))?;
        let stories = stage_judged("stories", good, stories::tell_all)?;
        rest = vec![("end to end", cases), ("stories", stories), ("fuzz", targets)];
    }
    say("");
    for name in &tests.failed_names {
        println!("failed: {name}");
    }
    println!("{:<12}{passed} passed, {failed} failed, {} ignored", "tests", tests.ignored);
    for (name, tally) in rest {
        println!("{name:<12}{tally}");
        passed += tally.passed;
        failed += tally.failed;
    }
    if args.fast {
        println!("end to end, stories and fuzz were left out by --fast");
    }
    println!("{:<12}{}", "time", seconds(start.elapsed()));
    println!("{}", Tally { passed, failed });
    if failed > 0 || tests.broken {
        bail!("the tests failed");
    }
    Ok(())
}

const THREADS: &str = "RUST_TEST_THREADS";

/// How many tests of a program run at once, unless somebody says: the slow ones wait, for gates that make sure of what is not there and
/// for steps to take their time, so that there is room for twice as many as there are processors.
fn threads() -> String {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    variable(THREADS).unwrap_or_else(|| (processors * 2).to_string())
}

/// What a part of the tests came to. Shown as other test runners close.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, passed: bool) {
        self.passed += usize::from(passed);
        self.failed += usize::from(!passed);
    }

    /// Closes a chore of its own: says the counts, and any failure is its failure.
    pub(crate) fn close(self) -> Result<()> {
        println!("{self}");
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} of {} failed", failed + self.passed),
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// What `cargo test` came to, over all its programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: usize,
    failed: usize,
    ignored: usize,
    failed_names: Vec<String>,
    /// It failed, be it that something did not compile.
    broken: bool,
}

/// Runs `cargo test`, shows what it prints as it prints it, and counts.
fn cargo_test(command: &mut Command) -> Result<Tests> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let output = child.stdout.take().context("the output was asked for")?;
    let mut tests = Tests::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what cargo test prints")?;
        println!("{line}");
        tests.count(&line);
    }
    tests.broken = !child.wait().context("waiting for cargo test")?.success();
    Ok(tests)
}

impl Tests {
    /// Takes in one line, such as `test result: ok. 3 passed; 0 failed; 1 ignored; …` or `test a::b ... FAILED`.
    fn count(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failed_names.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let number = |word: &str| {
            let before = result.split(word).next().unwrap_or("").trim_end();
            before.rsplit(' ').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0)
        };
        self.passed += number("passed;");
        self.failed += number("failed;");
        self.ignored += number("ignored;");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_add_up() {
        let mut tests = Tests::default();
        for line in [
            "running 3 tests",
            "test a::works ... ok",
            "test a::breaks ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            tests.count(line);
        }
        assert_eq!((tests.passed, tests.failed, tests.ignored), (42, 1, 4));
        assert_eq!(tests.failed_names, ["a::breaks"]);
    }

    #[test]
    fn a_run_that_prints_no_result_is_still_broken() {
        let tests = cargo_test(Command::new("sh").args(["-c", "echo compiling; exit 101"])).unwrap();
        assert!(tests.broken && tests.passed == 0);
    }
}
