//! Running commands. Each one is printed before it runs, so that a person can repeat it by hand, and an error names the
//! command that failed.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The root of the working tree.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("xtask lies two folders below the root").to_path_buf()
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The target folder that cargo really uses.
pub(crate) fn target() -> Result<PathBuf> {
    let described = capture(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: cargo_metadata::Metadata =
        serde_json::from_str(&described).context("reading cargo metadata")?;
    Ok(metadata.target_directory.into_std_path_buf())
}

/// An environment variable, or nothing where it is unset, empty or not text.
#[allow(
    clippy::disallowed_methods,
    reason = "a chore runs in the developer's own environment; this is its one reader"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs `command` with its output on ours; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(&format!("$ {}", shown(command)));
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` quietly and returns what it printed; an error carries its stderr.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}\n{}", shown(command), output.status, stderr.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command`, however it ends; one that has not ended by then is killed, with an error that says so.
pub(crate) fn output_within(limit: Duration, command: &Command) -> Result<Output> {
    let seconds_max = limit.as_secs_f64().to_string();
    let mut limited = behind(Command::new("timeout").args(["--signal=KILL", &seconds_max]), command);
    let output = limited.output().with_context(|| cannot_start(&limited))?;
    // `timeout` kills itself the same way: a shell would say 137.
    if output.status.signal() == Some(KILL) || output.status.code() == Some(128 + KILL) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` hung: killed after {}\n{}", shown(command), seconds(limit), stderr.trim_end());
    }
    Ok(output)
}

const KILL: i32 = 9;

/// The same command as an argument of `wrapper`, with its folder and environment.
pub(crate) fn behind(wrapper: &Command, command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper.get_program());
    wrapped.args(wrapper.get_args()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

/// Runs `work` as a named stage and says how long it took.
pub(crate) fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    stage_judged(name, |_| true, work)
}

/// As [`stage`], for work whose outcome may be a failure by itself.
pub(crate) fn stage_judged<T>(
    name: &str,
    is_good: impl FnOnce(&T) -> bool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    say(&format!("== {name}"));
    let start = Instant::now();
    let outcome = work();
    let verdict = if outcome.as_ref().is_ok_and(is_good) { "ok" } else { "FAILED" };
    say(&format!("== {name}: {verdict}, {}", seconds(start.elapsed())));
    outcome
}

/// One line of progress, on stderr.
pub(crate) fn say(line: &str) {
    // Progress that cannot be written (a closed pipe) must not fail the work itself.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// `12.3 s`, or `3 min 05 s` from two minutes on.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        whole @ 120.. => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed and on PATH?", shown(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_stderr() {
        let error = capture(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c") && text.contains("exit status: 3") && text.contains("broken"),
            "{text}"
        );
    }

    #[test]
    fn a_command_that_hangs_is_killed_and_told() {
        let hung = |seconds: u64, script: &str| {
            output_within(Duration::from_secs(seconds), Command::new("sh").args(["-c", script]))
        };
        let error = hung(1, "echo half >&2; exec sleep 600").unwrap_err().to_string();
        assert!(error.contains("hung: killed after 1.0 s") && error.contains("half"), "{error}");
        assert_eq!(hung(60, "exit 3").unwrap().status.code(), Some(3));
        let mut placed = Command::new("sh");
        placed.args(["-c", "pwd; echo $WORD"]).current_dir("/").env("WORD", "told");
        let output = output_within(Duration::from_secs(60), &placed).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/\ntold\n");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
