//! `crossfade drift`: two Collector configurations, compared by what they mean.

use crossfade_control::files::lenient;
use crossfade_control::gates::drift::{Files, declarations, report};
use crossfade_gates::drift::{Context, OwnEndpoints, render};
use crossfade_rollout::Spec;

use crate::args::{Drift, DriftFormat};
use crate::exit::{Exit, OrExit, Outcome};
use crate::ui;

pub(crate) fn run(args: &Drift) -> Outcome {
    let allow = match &args.spec {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| anyhow::anyhow!("cannot read {}: {error}; check the path", path.display()))
                .or_usage()?;
            let spec =
                Spec::parse(&text, &path.display().to_string(), &lenient(path, &ui::variable)).or_usage()?;
            declarations(&spec.gates)
        }
    };
    let context = Context {
        blue: OwnEndpoints::new(&args.blue_endpoints),
        green: OwnEndpoints::new(&args.green_endpoints),
    };
    let files = Files { name: args.name.clone(), blue: args.blue.clone(), green: args.green.clone() };
    // Nothing is compared with an earlier report, so the key needs to last no longer than this one.
    let key = crossfade_audit::keys::random().or_usage()?;
    let report = report(&[files], &allow, &context, &ui::variable, &key).or_usage()?;
    if args.suggest {
        print!("{}", render::suggest(&report));
        return Ok(Exit::Passed);
    }
    match args.output {
        DriftFormat::Text => {
            let detail = if args.all { render::Detail::All } else { render::Detail::Differences };
            print!("{}", render::text(&report, detail));
        }
        DriftFormat::Json => println!("{}", render::json(&report)),
        DriftFormat::Sarif => println!("{}", render::sarif(&report, env!("CARGO_PKG_VERSION"))),
    }
    Ok(if report.passed() { Exit::Passed } else { Exit::Refused })
}
