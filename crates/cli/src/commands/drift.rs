//! `crossfade drift`: two Collector configurations, compared by what they mean.

use std::path::Path;

use crossfade_control::gates::drift::{Files, Listed, Source, declarations, report};
use crossfade_control::site::Site;
use crossfade_gates::drift::{Context, OwnEndpoints, Versions, render};
use crossfade_rollout::event::Gate;

use super::ending::{Ending, gates_of, look};
use crate::args::Drift;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui;

pub(crate) fn run(args: &Drift) -> Outcome {
    let ending = Ending::of(&args.results, args.spec.as_deref())?;
    let gates = gates_of(args.spec.as_deref())?;
    let allow = declarations(&gates);
    let context = Context {
        blue: OwnEndpoints::new(&args.blue_endpoints),
        green: OwnEndpoints::new(&args.green_endpoints),
    };
    let files = Files {
        name: args.name.clone(),
        blue: listed(&args.blue, args.blue_env.as_deref()),
        green: listed(&args.green, args.green_env.as_deref()),
        versions: Versions { blue: args.blue_version, green: args.green_version },
    };
    let key = redact_key(args.config.as_deref())?;
    let mut found = None;
    let work = async {
        // Files are read, and URLs waited for.
        let compared = move || report(&[files], &allow, &context, &key, &[]);
        let compared = tokio::task::spawn_blocking(compared).await;
        let compared = compared.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
        let compared = compared.map_err(|error| match error.is_unreachable() {
            true => Failure::unreachable(error),
            false => Failure::usage(error),
        })?;
        Ok(found.insert(compared).report())
    };
    let report = look(Gate::Drift, gates.deadline(Gate::Drift), &gates.waivers, work)?;
    let Some(found) = found else { return ending.one(&report) };
    if args.suggest {
        let suggested = render::suggest(&found);
        if args.config.is_none() && suggested.contains("<redacted ") {
            eprintln!(
                "the digests of secrets hold for this run alone; with -c crossfade.yaml they are those of its plans"
            );
        }
        print!("{suggested}");
        return Ok(Exit::Passed);
    }
    let detail = if args.all { render::Detail::All } else { render::Detail::Differences };
    ending.told(&report, render::text_with(&found, &report, detail))
}

fn listed(sources: &[String], env_file: Option<&Path>) -> Listed {
    let sources = sources.iter().map(|text| Source::read_name(text, |path| path.into())).collect();
    Listed { sources, env_file: env_file.map(Path::to_owned) }
}

/// The site's key of redacted digests, so that a report may be held against its plans; without a site, one for this report.
fn redact_key(config: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let Some(config) = config else { return Ok(crossfade_audit::keys::random().or_usage()?.to_vec()) };
    let path = Site::load(config, &ui::variable).or_usage()?.redact_key_file();
    std::fs::read(&path)
        .map_err(|error| {
            anyhow::anyhow!(
                "cannot read {}: {error}; run `crossfade init` first, or leave out -c",
                path.display()
            )
        })
        .or_usage()
}
