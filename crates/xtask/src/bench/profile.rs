//! Where the gateway's time goes: `perf`, attached to the gateway while a load runs; by crate, and by function.

use crate::shell::capture;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Functions that are listed.
const FUNCTIONS: usize = 14;
/// Samples a second. No round number, so that nothing periodic hides between them.
const FREQUENCY: &str = "1997";

/// A recording that runs.
pub(crate) struct Recording {
    perf: Child,
    file: PathBuf,
}

/// Where the samples fell, in per cent of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Profile {
    origins: BTreeMap<String, f64>,
    functions: Vec<(f64, String)>,
}

impl Recording {
    pub(crate) fn start(process: u32, dir: &Path) -> Result<Self> {
        let file = dir.join("perf.data");
        let perf = Command::new("perf")
            .args(["record", "-q", "-F", FREQUENCY, "-p", &process.to_string(), "-o"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting `perf`, which a profile needs (Debian: linux-perf)")?;
        Ok(Self { perf, file })
    }

    /// Ends it as Ctrl-C would, so that the file is written to its end.
    pub(crate) fn stop(mut self) -> Result<Profile> {
        capture(Command::new("kill").args(["-INT", &self.perf.id().to_string()]))?;
        self.perf.wait().context("waiting for `perf`")?;
        let report = capture(
            Command::new("perf")
                .args([
                    "report",
                    "--stdio",
                    "--no-children",
                    "-q",
                    "-F",
                    "overhead,dso,symbol",
                    "-t",
                    "\t",
                    "-i",
                ])
                .arg(&self.file),
        )?;
        Ok(Profile::read(&report))
    }
}

impl Profile {
    /// Reads lines of `12.34%<tab>object<tab>[.] symbol`.
    fn read(report: &str) -> Self {
        let mut profile = Self::default();
        for line in report.lines() {
            let mut fields = line.split('\t').map(str::trim);
            let (Some(share), Some(object), Some(symbol)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Some(share) = share.strip_suffix('%').and_then(|share| share.parse::<f64>().ok()) else {
                continue;
            };
            let (mark, name) = symbol.split_once(' ').unwrap_or(("", symbol));
            let origin = origin(mark, object, name);
            *profile.origins.entry(origin.clone()).or_default() += share;
            profile.functions.push((share, format!("`{}` ({origin})", short(name))));
        }
        profile.functions.sort_by(|one, other| other.0.total_cmp(&one.0));
        profile.functions.truncate(FUNCTIONS);
        profile
    }

    pub(crate) fn table(&self, title: &str) -> String {
        let mut text = format!("#### {title}\n\n| where | share |\n|---|---:|\n");
        let mut origins: Vec<_> = self.origins.iter().collect();
        origins.sort_by(|one, other| other.1.total_cmp(one.1));
        for (origin, share) in origins.into_iter().filter(|(_, share)| **share >= 0.5) {
            let _ = writeln!(text, "| {origin} | {share:.1} % |");
        }
        text.push_str("\n| function | share |\n|---|---:|\n");
        for (share, function) in &self.functions {
            let _ = writeln!(text, "| {function} | {share:.1} % |");
        }
        text
    }
}

/// The kernel, a library, or the crate that a function is of. A method of a trait counts as its type's.
fn origin(mark: &str, object: &str, name: &str) -> String {
    if mark == "[k]" {
        return "kernel".to_owned();
    }
    let bare = name.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    match bare.split_once("::") {
        Some((first, _)) if first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            first.to_owned()
        }
        _ if object.starts_with("libc") => "libc".to_owned(),
        _ => "C: allocator, inflate".to_owned(),
    }
}

/// Without hashes, and not longer than a table takes.
fn short(name: &str) -> String {
    const LONGEST: usize = 90;
    let name = match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name,
        _ => name,
    };
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_by_origin_and_function() {
        let report = concat!(
            "    30.50%\tbench\t[.] crossfade_otlp::scan::Scan::next::h0123456789abcdef\n",
            "    20.00%\t[kernel.kallsyms]\t[k] copy_user_generic_string\n",
            "    10.25%\tbench\t[.] <crossfade_otlp::walk::Walk as core::iter::Iterator>::next\n",
            "     9.00%\tlibc.so.6\t[.] __memmove_avx_unaligned_erms\n",
            "     1.00%\tbench\t[.] mi_malloc\n",
            "# a comment\n",
        );
        let profile = Profile::read(report);
        assert_eq!(profile.origins["crossfade_otlp"], 40.75);
        assert_eq!(profile.origins["kernel"], 20.0);
        assert_eq!(profile.origins["libc"], 9.0);
        assert_eq!(profile.origins["C: allocator, inflate"], 1.0);
        assert_eq!(
            profile.functions[0],
            (30.5, "`crossfade_otlp::scan::Scan::next` (crossfade_otlp)".to_owned())
        );
        assert!(profile.table("x").contains("| crossfade_otlp | 40.8 % |"), "{}", profile.table("x"));
    }
}
