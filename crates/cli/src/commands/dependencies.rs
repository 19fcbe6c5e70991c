//! `crossfade dependencies`: the dependencies gate by itself.

use std::path::Path;

use crossfade_control::gates::dependencies::{Ask, Tests, report};
use crossfade_rollout::event::Gate;

use super::coverage::{asked, duration, site};
use super::ending::{Ending, gates_of, look};
use crate::args::Dependencies;
use crate::exit::{Failure, Outcome};

pub(crate) fn run(args: &Dependencies) -> Outcome {
    let ending = Ending::of(&args.inputs.results, args.inputs.spec.as_deref())?;
    args.tests.iter().try_for_each(|file| is_there(file))?;
    let site =
        site(&args.inputs, args.live.is_none() || args.tests.is_empty() && args.tests_query.is_none())?;
    let gates = gates_of(args.inputs.spec.as_deref())?;
    let mut settings = gates.dependencies.unwrap_or_default();
    duration(args.window.as_deref(), &mut settings.window, "--window")?;
    duration(args.inputs.deadline.as_deref(), &mut settings.deadline, "--deadline")?;
    settings.simulated.extend(args.simulated.iter().cloned());
    if !args.tests_attribute.is_empty() {
        settings.tests.clear();
    }
    for mark in &args.tests_attribute {
        let Some((key, value)) = mark.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(anyhow::anyhow!("--tests-attribute: `{mark}`: write key=value")));
        };
        settings.tests.insert(key.to_owned(), value.to_owned());
    }
    let kind = args.inputs.kind;
    let live = asked(&site, &args.from, args.live.as_deref(), kind, "--live")?;
    let tests = if args.tests.is_empty() {
        Tests::Recorded(asked(&site, &args.to, args.tests_query.as_deref(), kind, "--tests-query")?)
    } else {
        Tests::Files(args.tests.clone())
    };
    let ask = Ask { live, tests, now: crossfade_control::now(), settings };
    let work = async { Ok(report(&ask).await) };
    ending.one(&look(Gate::Dependencies, ask.settings.deadline.0, &gates.waivers, work)?)
}

/// A file that is named and not there is a slip, and no lack of data.
fn is_there(file: &Path) -> Result<(), Failure> {
    let about = std::fs::File::open(file).and_then(|file| file.metadata());
    let why = match about {
        Ok(about) if about.is_dir() => "this is a folder".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let what = format!("--tests: cannot read {}: {why}; check the path", file.display());
    Err(Failure::usage(anyhow::anyhow!(what)))
}
