//! One supervised child: its output in a file, its end certain. A child is killed when its handle is dropped, and also
//! when this process dies without dropping anything.

use crate::rig::wait;
use crate::shell::behind;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// What is shown of a line of a log; some programs put a whole JSON object on each.
const LONGEST_LINE: usize = 240;

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output going to `<dir>/<name>.log`; a log of the same name is kept, and added to.
    pub(crate) fn start(name: &str, command: &Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("creating {}", log.display()))?;
        let child = leashed(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("sharing the log between stdout and stderr")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says yes; a child that ends meanwhile is an error, with the end of its log.
    pub(crate) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let what = format!("{}: {what}", self.name);
        wait::until(&what, limit, || {
            if let Some(status) = self.child.try_wait().context("looking after a child")? {
                bail!("{} ended with {status}; {}:\n{}", self.name, self.log.display(), self.tail(20));
            }
            Ok(ready().then_some(()))
        })
        .with_context(|| format!("{}:\n{}", self.log.display(), self.tail(20)))
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended(limit)
    }

    /// Waits for it to end by itself.
    pub(crate) fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait::until(&format!("{} to end", self.name), limit, || Ok(self.child.try_wait()?))
    }

    /// Kills it as a crash would: no signal that it could catch.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status()?;
        if !status.success() {
            bail!("sending {signal} to {} ended with {status}", self.name);
        }
        Ok(())
    }

    /// The last lines that it wrote.
    pub(crate) fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of every log in `dir`, for a person who wants to know why a case failed.
pub(crate) fn logs(dir: &Path, lines: usize) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut logs: Vec<_> = entries.filter(|path| path.extension() == Some(OsStr::new("log"))).collect();
    logs.sort();
    logs.iter().map(|log| format!("--- {}\n{}\n", log.display(), tail(log, lines))).collect()
}

fn tail(log: &Path, lines: usize) -> String {
    let text =
        fs::read(log).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let all: Vec<&str> = text.lines().collect();
    let last = all[all.len().saturating_sub(lines)..].iter();
    last.map(|line| line.chars().take(LONGEST_LINE).collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// The same command, but the kernel kills it when the thread that started it ends. (So children are started from a
/// thread that outlives them.)
fn leashed(command: &Command) -> Command {
    behind(Command::new("setpriv").args(["--pdeathsig", "KILL", "--"]), command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str, dir: &Path) -> Process {
        Process::start("child", Command::new("sh").args(["-c", script]), dir).unwrap()
    }

    fn runs(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell("exec sleep 60", dir.path());
        let id = child.id();
        assert!(runs(id));
        drop(child);
        assert!(!runs(id));
    }

    #[test]
    fn output_is_kept_and_an_early_end_is_told_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell("echo cannot bind >&2; exit 7", dir.path());
        let error = child.until("ready", LIMIT, || false).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 7") && text.contains("cannot bind"), "{text}");
    }

    #[test]
    fn term_is_delivered_and_the_status_returned() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done", dir.path());
        let log = dir.path().join("child.log");
        child.until("up", LIMIT, || fs::read_to_string(&log).is_ok_and(|text| text.contains("up"))).unwrap();
        assert_eq!(child.terminate(LIMIT).unwrap().code(), Some(3));
    }
}
