//! `crossfade dependencies`: the dependencies gate by itself.

use crossfade_control::gates::dependencies::{Ask, Tests, report};
use crossfade_control::gates::guarded;
use crossfade_rollout::event::Gate;

use super::coverage::{asked, duration, interruptible, site, spec_of};
use super::{block_on, gate};
use crate::args::Dependencies;
use crate::exit::{Failure, Outcome};

pub(crate) fn run(args: &Dependencies) -> Outcome {
    let site =
        site(&args.inputs, args.live.is_none() || args.tests.is_empty() && args.tests_query.is_none())?;
    let gates = spec_of(&args.inputs)?.map(|spec| spec.gates).unwrap_or_default();
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
    let (deadline, now) = (ask.settings.deadline.0, ask.now);
    let work = async { Ok::<_, Failure>(report(&ask).await) };
    let report = block_on(interruptible(guarded(Gate::Dependencies, deadline, &gates.waivers, now, work)))??;
    Ok(gate::print(&report, args.inputs.output))
}
