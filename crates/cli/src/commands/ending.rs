//! What every gate's command has: an end, a report even if the gate breaks, the waivers of the spec; and a place for the result that
//! is made sure of before the work begins, since what took long to find out must not be lost.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crossfade_control::gates::guarded;
use crossfade_gates::render;
use crossfade_gates::report::{Report, Verdict};
use crossfade_rollout::Digest;
use crossfade_rollout::event::Gate;
use crossfade_rollout::spec::{Gates, Waiver};

use super::{block_on, gate, interruptible};
use crate::args::{GateFormat, Results};
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// The spec's `gates`, if a spec is named.
pub(super) fn gates_of(spec: Option<&Path>) -> Result<Gates, Failure> {
    Ok(spec.map(gate::spec).transpose()?.map(|spec| spec.gates).unwrap_or_default())
}

/// One gate, by itself, until Ctrl-C.
pub(super) fn look(
    gate: Gate,
    deadline: Duration,
    waivers: &[Waiver],
    work: impl Future<Output = Result<Report, Failure>>,
) -> Result<Report, Failure> {
    let guarded = guarded(gate, deadline, waivers, crossfade_control::now(), work);
    block_on(interruptible(guarded, "the gate was done"))
}

/// Where results go.
pub(super) struct Ending<'a> {
    results: &'a Results,
    /// The file that told the gates where to look.
    asked_in: String,
    /// Gates that did not look: why.
    left_out: BTreeMap<&'static str, String>,
}

impl<'a> Ending<'a> {
    /// Makes sure that results can be written where they are wanted.
    pub(super) fn of(results: &'a Results, asked_in: Option<&Path>) -> Result<Ending<'a>, Failure> {
        results.out.as_deref().map(|out| can_write(out, asked_in)).transpose()?;
        results.evidence.as_deref().map(can_keep).transpose()?;
        let asked_in = asked_in.map_or(render::USUAL_SITE.into(), Path::to_string_lossy).into_owned();
        Ok(Ending { results, asked_in, left_out: BTreeMap::new() })
    }

    /// Names gates that did not look, with the reason.
    pub(super) fn without(self, left_out: BTreeMap<&'static str, String>) -> Self {
        Ending { left_out, ..self }
    }

    /// How results are wanted.
    pub(super) fn format(&self) -> GateFormat {
        self.results.output
    }

    /// Ends with one gate's report.
    pub(super) fn one(&self, report: &Report) -> Outcome {
        self.put(std::slice::from_ref(report), false, None)
    }

    /// Ends with one gate's report, for people in words of its own.
    pub(super) fn told(&self, report: &Report, text: String) -> Outcome {
        self.put(std::slice::from_ref(report), false, Some(text))
    }

    /// Ends with the reports of several.
    pub(super) fn all(&self, reports: &[Report]) -> Outcome {
        self.put(reports, true, None)
    }

    fn put(&self, reports: &[Report], all: bool, text: Option<String>) -> Outcome {
        let shown = match text.filter(|_| self.format() == GateFormat::Text) {
            Some(text) => text,
            None => self.shown(reports, all),
        };
        let kept = match &self.results.evidence {
            Some(folder) => reports.iter().try_for_each(|report| keep(folder, report)),
            None => Ok(()),
        };
        let written = match &self.results.out {
            Some(path) => write(path, shown.as_bytes()),
            None => Ok(()),
        };
        // What was asked for is lost to nobody.
        if self.results.out.is_none() || written.is_err() {
            std::io::stdout().write_all(shown.as_bytes()).or_unreachable()?;
        }
        let worst = worst(reports);
        let lost = [kept, written].into_iter().filter_map(Result::err).next();
        lost.map_or(Ok(worst), |lost| Err(if worst == Exit::Passed { lost } else { lost.ending(worst) }))
    }

    fn shown(&self, reports: &[Report], all: bool) -> String {
        match (self.format(), reports) {
            (GateFormat::Text, _) => {
                let left_out = self.left_out.iter().map(|(gate, why)| render::left_out(gate, why));
                reports.iter().map(render::text).chain(left_out).collect()
            }
            (GateFormat::Json, [report]) if !all => render::json(report) + "\n",
            (GateFormat::Json, _) => render::json_all(reports, &self.left_out) + "\n",
            (GateFormat::Junit, _) => render::junit(reports),
            (GateFormat::Sarif, _) => sarif(reports, &self.asked_in) + "\n",
        }
    }
}

fn keep(folder: &Path, report: &Report) -> Result<(), Failure> {
    let evidence = report.evidence();
    let digest = Digest::from_bytes(crossfade_tlog::sha256(&evidence)).to_string();
    let path = folder.join(format!("{}-{}.json", report.gate, digest.trim_start_matches("sha256:")));
    write(&path, &evidence)?;
    eprintln!("evidence {digest}  {}", path.display());
    Ok(())
}

/// That a file can be written, and is neither `source`, which was read, nor named in another place of the command line; it is left
/// as it is.
pub(super) fn can_write(path: &Path, source: Option<&Path>) -> Result<(), Failure> {
    if source.is_some_and(|source| are_one(path, source)) || is_named_twice(path) {
        let what = format!("--out {} was read; write the result to another file", path.display());
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    // To open a pipe is to wait for whoever reads it.
    if path.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return Ok(());
    }
    let is_new = path.symlink_metadata().is_err();
    let opened = std::fs::File::options().append(true).create(true).open(path);
    opened.map_err(|error| cannot_write(path, &error))?;
    if is_new {
        std::fs::remove_file(path).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

/// That files can be put into a folder, which is made if there is none.
fn can_keep(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    can_write(&folder.join(format!(".crossfade-{}", std::process::id())), None)
}

/// Whether the command line names a file that is there as its result, and for something else.
fn is_named_twice(path: &Path) -> bool {
    let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
    let is_it = |word: &String| {
        let value =
            word.split_once('=').filter(|_| word.starts_with('-')).map_or(&**word, |(_, value)| value);
        are_one(path, Path::new(value))
    };
    words.filter(is_it).count() > 1
}

/// Whether two paths lead to one file that is there.
fn are_one(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Writes a result.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(anyhow::anyhow!("cannot write {}: {error}; check the path", path.display()))
}

/// A gate that fails counts for more than one that could not look.
fn worst(reports: &[Report]) -> Exit {
    let exits: Vec<Exit> = reports.iter().map(exit).collect();
    let grave = [Exit::Refused, Exit::Unreachable, Exit::NoVerdict];
    grave.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Passed)
}

/// Reports as SARIF of this program.
fn sarif(reports: &[Report], asked_in: &str) -> String {
    render::sarif(reports, env!("CARGO_PKG_VERSION"), asked_in)
}

/// How a gate's command ends.
fn exit(report: &Report) -> Exit {
    match report.verdict() {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail => Exit::Refused,
        Verdict::NoVerdict if report.unreachable => Exit::Unreachable,
        Verdict::NoVerdict => Exit::NoVerdict,
    }
}
