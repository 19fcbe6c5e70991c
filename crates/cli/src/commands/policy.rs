//! `crossfade policy`: rules in Rego, checked, shown, or asked about a rollout and what gates have found.

use std::collections::BTreeMap;
use std::path::Path;

use crossfade_control::gates::policy::{About, check, named_by, ready, report};
use crossfade_control::gates::{Fitted, fitting};
use crossfade_gates::policy::Source;
use crossfade_gates::report::Report;
use crossfade_rollout::event::Gate;
use crossfade_rollout::moments::written_out;
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::{Moment, Standard};
use crossfade_rollout::{RolloutId, Spec};
use crossfade_routing::Seed;
use serde_json::Value;

use super::ending::{Ending, look};
use super::{gate, read_text};
use crate::args::{Policy, PolicyStandard};
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// Said where no policy is named at all.
const NOTHING: &str =
    "no policy to ask: name a file or --standard, or a spec with gates.policy: --rollout rollout.yaml";

pub(crate) fn run(args: &Policy) -> Outcome {
    let named = args.standards.iter().map(|standard| Ok(ready(Standard::from(standard))));
    let files = args.files.iter().map(|path| source(path));
    let policies: Vec<Source> = named.chain(files).collect::<Result<_, Failure>>()?;
    if args.show {
        if policies.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!(NOTHING)));
        }
        policies.iter().for_each(|policy| println!("{}", policy.text.trim_end()));
        return Ok(Exit::Passed);
    }
    policies.iter().try_for_each(check).or_usage()?;
    let Some(rollout) = &args.rollout else {
        if policies.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!(NOTHING)));
        }
        policies.iter().for_each(|policy| println!("✔ {}", policy.name));
        return Ok(Exit::Passed);
    };
    let found = args.findings.iter().map(|path| reports(path)).collect::<Result<Vec<_>, Failure>>()?;
    let found: Vec<Value> = found.into_iter().flatten().collect();
    let ending = Ending::of(&args.results, Some(rollout))?;
    let report = asked(rollout, &args.site.config, policies, &found)?;
    ending.one(&report)
}

/// The policies that are named here, or else those of the spec, asked about the spec's plan.
fn asked(rollout: &Path, site: &Path, mut policies: Vec<Source>, found: &[Value]) -> Result<Report, Failure> {
    let spec = gate::spec(rollout)?;
    // As the plan would have them, if there is a site to plan for.
    let Fitted { gates, left_out } = match site.is_file() {
        true => fitting(&spec, &super::site(&crate::args::Site { config: site.to_owned() })?, None),
        false => Fitted { gates: spec.all_gates(), left_out: BTreeMap::new() },
    };
    let gates = written_out(gates);
    if policies.is_empty()
        && let Some(settings) = &gates.policy
    {
        policies = named_by(settings, site).or_usage()?;
    }
    if policies.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(NOTHING)));
    }
    let id = RolloutId::attempt(&spec.name, 1).or_usage()?;
    let spec = Spec { gates: gates.clone(), ..spec };
    let outline = Outline { left_out, ..spec.outline(id, Seed(0)).or_usage()? };
    let now = crossfade_control::now();
    let about = About { found, moment: Moment::Preflight, course: None, now };
    let work = async { report(&outline, &policies, about).or_usage() };
    look(Gate::Policy, gates.deadline(Gate::Policy), &gates.waivers, work)
}

fn source(path: &Path) -> Result<Source, Failure> {
    crossfade_control::gates::policy::source(&path.display().to_string(), path).or_usage()
}

/// The reports of a file: one, or all of a `gate run all`.
fn reports(path: &Path) -> Result<Vec<Value>, Failure> {
    let wrong = |why: String| {
        Failure::usage(anyhow::anyhow!(
            "{}: {why}; give what `crossfade gate run -o json` prints",
            path.display()
        ))
    };
    let value: Value = serde_json::from_str(&read_text(path)?).map_err(|error| wrong(error.to_string()))?;
    match (value["gates"].as_array(), value["gate"].as_str()) {
        (Some(all), _) => Ok(all.clone()),
        (None, Some(_)) => Ok(vec![value]),
        (None, None) => Err(wrong("no report of a gate".to_owned())),
    }
}

impl From<&PolicyStandard> for Standard {
    fn from(standard: &PolicyStandard) -> Standard {
        match standard {
            PolicyStandard::Pci => Standard::Pci,
            PolicyStandard::Hipaa => Standard::Hipaa,
            PolicyStandard::Gdpr => Standard::Gdpr,
            PolicyStandard::Soc2 => Standard::Soc2,
            PolicyStandard::Nist => Standard::Nist,
            PolicyStandard::Staged => Standard::Staged,
        }
    }
}
