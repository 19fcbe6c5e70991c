//! The dependencies gate's inputs: whom live traces call, and whom those of the test run did.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crossfade_backends::coverage::{CoverageConfig, from_json, look};
use crossfade_backends::query::{Query, Wanted};
use crossfade_gates::Report;
use crossfade_gates::coverage::{Recorded, Trouble, Window};
use crossfade_gates::dependencies::{Inputs, Limits, judge};
use crossfade_rollout::spec;
use crossfade_routing::UnixNanos;
use tokio::time::Instant;

use super::Cx;
use super::coverage::Asked;

/// Whom to ask, and for what.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The environment that has the live traces.
    pub live: Asked,
    /// Where those of the test run are.
    pub tests: Tests,
    /// Now.
    pub now: UnixNanos,
    /// What is looked at, and tolerated.
    pub settings: spec::Dependencies,
}

/// Where the traces of the test run are.
#[derive(Debug, Clone)]
pub enum Tests {
    /// In files of OTLP/JSON.
    Files(Vec<PathBuf>),
    /// In an environment, marked by attributes.
    Recorded(Asked),
}

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Runs the gate: live is the active environment, and the candidate has the traces of its tests.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    report(&Ask {
        live: Asked::of(cx.from, cx.active()),
        tests: Tests::Recorded(Asked::of(cx.to, cx.candidate())),
        now: cx.now,
        settings: cx.settings.dependencies.clone().unwrap_or_default(),
    })
    .await
}

/// Asks, and judges.
pub async fn report(ask: &Ask) -> Report {
    let settings = &ask.settings;
    let deadline = Instant::now() + settings.deadline.0.mul_f64(0.9);
    let window = Window { from: ask.now.minus(settings.window.0).0, until: ask.now.0 };
    let config = CoverageConfig::new(window, deadline);
    let (mut live, (source, tests)) = tokio::join!(ask.live.side(&config), tests(ask, config.clone()));
    // The tests of an environment that is live as well are not live.
    if let (Ok(recorded), Tests::Recorded(asked)) = (&mut live.recorded, &ask.tests)
        && asked.name == ask.live.name
    {
        let what =
            "live traces and those of the test run cannot be told apart: they are of the same environment"
                .to_owned();
        recorded.troubles.push(Trouble { what, answered: true });
    }
    let limits = Limits {
        simulated: settings.simulated.clone(),
        slower_max: f64::from(settings.slower_max),
        ..Limits::default()
    };
    judge(&Inputs { live, source, tests }, &limits)
}

async fn tests(ask: &Ask, config: CoverageConfig) -> (String, Result<Recorded, Trouble>) {
    match &ask.tests {
        Tests::Files(files) => {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let (source, files) = (names.join(", "), files.clone());
            let read = tokio::task::spawn_blocking(move || read_all(&files)).await;
            (source, read.unwrap_or_else(|error| Err(trouble(error.to_string()))))
        }
        Tests::Recorded(asked) => {
            let marks: Vec<String> =
                ask.settings.tests.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let source = format!("traces of {} with {}", asked.name, marks.join(" "));
            (source, recorded(asked, &ask.settings.tests, config).await)
        }
    }
}

async fn recorded(
    asked: &Asked,
    marks: &BTreeMap<String, String>,
    mut config: CoverageConfig,
) -> Result<Recorded, Trouble> {
    let query: &Query = asked.query.as_ref().map_err(|why| trouble(why.clone()))?;
    config.attributes =
        marks.iter().map(|(key, value)| (key.clone(), Wanted::from(value.as_str()))).collect();
    // A test run may be short: one slice, so that none of it is cut off by a limit that was meant for a part of the time.
    config.slices = 1;
    look(query, &config).await
}

fn read_all(files: &[PathBuf]) -> Result<Recorded, Trouble> {
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend(read(file).map_err(|why| trouble(format!("{}: {why}", file.display())))?);
        bytes.push(b'\n');
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    from_json(&bytes).map_err(|why| trouble(format!("{}: {why}; OTLP/JSON is needed", names.join(", "))))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("more than {} MiB; export fewer traces", FILE_BYTES_MAX >> 20));
    }
    Ok(bytes)
}

fn trouble(what: String) -> Trouble {
    Trouble { what, answered: true }
}
