//! `cargo xtask test`: everything, and a closing summary. A failing part does not keep the others from running, so that
//! one run tells all that is wrong.

use crate::e2e;
use crate::peers::{self, TESTS};
use crate::shell::{cargo, say, seconds, stage};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the end-to-end part, and what only it needs
    #[arg(long)]
    fast: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    if !args.fast {
        peers::ensure(&TESTS)?;
    }
    let tests = stage("cargo test --workspace", || {
        cargo_test(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    })?;
    let cases =
        if args.fast { e2e::Tally::default() } else { stage("end to end", || e2e::run_cases(&[], 1))? };
    say("");
    for name in &tests.failed_names {
        println!("failed: {name}");
    }
    println!("tests       {} passed, {} failed, {} ignored", tests.passed, tests.failed, tests.ignored);
    match args.fast {
        true => println!("end to end  left out by --fast"),
        false => println!("end to end  {} passed, {} failed", cases.passed, cases.failed),
    }
    println!("time        {}", seconds(start.elapsed()));
    let failed = tests.failed + cases.failed;
    println!("{} passed, {failed} failed", tests.passed + cases.passed);
    if failed > 0 || tests.broken {
        bail!("the tests failed");
    }
    Ok(())
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
