//! `crossfade gate`: the gates of a rollout, here and now; and what the gates' own commands share.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crossfade_control::gates::{Gates, drift, fitting};
use crossfade_control::site::Site;
use crossfade_gates::report::{Report, Verdict};
use crossfade_rollout::event::Gate as Name;
use crossfade_rollout::moments::{DEFAULTS, Unasked, moments, written_out};
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::{Gates as Settings, Moment};
use crossfade_rollout::{RolloutId, Spec};
use crossfade_routing::{EnvironmentId, Seed};

use super::ending::Ending;
use super::{block_on, interruptible, print_json, read_text, site};
use crate::args::{Format, Gate, GateList, GateRun};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::Paint;
use crate::ui::story::seconds;

pub(crate) fn run(command: &Gate) -> Outcome {
    match command {
        Gate::List(args) => list(args),
        Gate::Run(args) => run_gates(args),
    }
}

/// A rollout spec.
pub(super) fn spec(path: &Path) -> Result<Spec, Failure> {
    crossfade_control::spec::read(&read_text(path)?, &path.display().to_string()).or_usage()
}

/// The seed that was given, or one that nobody chose.
pub(super) fn seed(given: Option<u64>) -> Result<u64, Failure> {
    given.map_or_else(|| crossfade_audit::keys::random_u64().or_usage(), Ok)
}

/// What a flag's text says.
pub(super) fn parsed<T: FromStr<Err: Display>>(flag: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| anyhow::anyhow!("{flag}: {error}")).or_usage()
}

fn list(args: &GateList) -> Outcome {
    let settings = match &args.rollout {
        Some(path) => Some(spec(path)?.all_gates()),
        None => None,
    };
    let rows: Vec<Row> = DEFAULTS.iter().map(|known| Row::of(known.gate, settings.as_ref())).collect();
    match args.output {
        Format::Json => print_json(&serde_json::json!({ "schema_version": 1, "gates": rows }))?,
        Format::Text => rows.iter().for_each(|row| println!("{}", row.text())),
    }
    Ok(Exit::Passed)
}

/// What there is to say of a gate.
#[derive(Debug, serde::Serialize)]
struct Row {
    name: &'static str,
    asks: &'static str,
    /// When it looks unless the spec says otherwise.
    default_moments: &'static [Moment],
    /// Whether it looks if the spec says nothing of it.
    unasked: Unasked,
    /// When it looks under the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    moments: Option<Vec<Moment>>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    off: Option<String>,
}

impl Row {
    fn of(gate: Name, settings: Option<&Settings>) -> Row {
        let known = DEFAULTS.iter().find(|known| known.gate == gate);
        Row {
            name: gate.name(),
            asks: gate.asks(),
            default_moments: known.map_or(&[], |known| known.moments),
            unasked: known.map_or(Unasked::No, |known| known.unasked),
            moments: settings.map(|settings| moments(settings, gate).to_vec()),
            off: settings.and_then(|settings| settings.timing(gate).off).map(str::to_owned),
        }
    }

    fn text(&self) -> String {
        let names =
            |moments: &[Moment]| moments.iter().map(|moment| moment.name()).collect::<Vec<_>>().join(", ");
        let when = match (&self.moments, &self.off) {
            (_, Some(why)) => format!("off: {why}"),
            (Some(moments), None) if moments.is_empty() => "not in this spec".to_owned(),
            (Some(moments), None) => names(moments),
            (None, None) => {
                let names = names(self.default_moments);
                match self.unasked {
                    Unasked::Yes => names,
                    Unasked::WhereItFits => {
                        format!("where both environments can be asked and there is traffic enough: {names}")
                    }
                    Unasked::No => format!("if the spec names it: {names}"),
                }
            }
        };
        format!("{:<13} {}\n{:<13} {when}", self.name, self.asks, "")
    }
}

fn run_gates(args: &GateRun) -> Outcome {
    let ending = Ending::of(&args.results, Some(&args.rollout))?;
    let spec = spec(&args.rollout)?;
    let site = Arc::new(site(&args.site)?);
    for (field, id) in [("from", &spec.from), ("to", &spec.to)] {
        let named = site.wanted(id, field, &args.rollout.display().to_string());
        named.map_err(|what| Failure::usage(anyhow::anyhow!(what)))?;
    }
    let seed = seed(args.seed)?;
    let fitted = fitting(&spec, &site, None);
    let settings = written_out(fitted.gates);
    let wanted = wanted(&args.name, &settings)?;
    if wanted.contains(&Name::Drift) {
        [&spec.from, &spec.to].into_iter().try_for_each(|id| understood(&site, id))?;
    }
    let ending = match args.name == ALL {
        true => ending.without(left_out(&settings, fitted.left_out, &wanted)),
        false => ending,
    };
    let settings = wanted.iter().fold(settings, |settings, gate| settings.with(*gate));
    let rollout = RolloutId::attempt(&spec.name, 1).or_usage()?;
    let outline = Spec { gates: settings, ..spec }.outline(rollout, Seed(seed)).or_usage()?;
    let gates = Gates::with_key(Arc::clone(&site), redact_key(&site)?);
    eprintln!("seed {seed}");
    let reports = block_on(interruptible(
        async { Ok(look(&gates, &outline, &wanted, seed).await) },
        "every gate had looked",
    ))?;
    match reports.as_slice() {
        [report] if args.name != ALL => ending.one(report),
        reports => ending.all(reports),
    }
}

/// A configuration that is none is the operator's to mend, as for `crossfade drift`; one that is out of reach is for the gate to tell.
fn understood(site: &Site, id: &EnvironmentId) -> Result<(), Failure> {
    let Some(environment) = site.environment(id) else { return Ok(()) };
    environment.configs.keys().try_for_each(|name| match drift::readable(&environment.listed(name)) {
        Err(error) if !error.is_unreachable() => Err(Failure::usage(error)),
        _ => Ok(()),
    })
}

const ALL: &str = "all";

/// The gates that were asked for by name; of all, those that the spec runs at some moment.
fn wanted(name: &str, settings: &Settings) -> Result<Vec<Name>, Failure> {
    let all = Name::ALL.into_iter();
    let wanted: Vec<Name> = match name {
        ALL => all.filter(|gate| !moments(settings, *gate).is_empty()).collect(),
        _ => all.filter(|gate| gate.name() == name).collect(),
    };
    if wanted.is_empty() {
        let names: Vec<&str> = Name::ALL.iter().map(|gate| gate.name()).collect();
        let what = format!("`{name}` is no gate; there are {}, and all", names.join(", "));
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    Ok(wanted)
}

/// Of those that would look unasked, or that the spec names, who does not look: why.
fn left_out(
    settings: &Settings,
    fitted: BTreeMap<Name, String>,
    wanted: &[Name],
) -> BTreeMap<&'static str, String> {
    let off = Name::ALL.into_iter().filter_map(|gate| Some((gate, settings.timing(gate).off?.to_owned())));
    let all = fitted.into_iter().chain(off).filter(|(gate, _)| !wanted.contains(gate));
    all.map(|(gate, why)| (gate.name(), why)).collect()
}

async fn look(gates: &Gates, outline: &Outline, wanted: &[Name], seed: u64) -> Vec<Report> {
    let paint = Paint::stderr();
    let cx_of = |gate: Name| {
        eprintln!(
            "{} {:<13} looks; at most {}",
            paint.dim("·"),
            gate.name(),
            seconds(outline.gates.deadline(gate))
        );
        let first = moments(&outline.gates, gate).first().copied();
        crossfade_control::gates::Cx { moment: first.unwrap_or(Moment::Preflight), ..gates.cx(outline, seed) }
    };
    let each = |report: &Report| {
        let mark = match report.verdict() {
            Verdict::Pass => paint.good("✔"),
            Verdict::Fail => paint.bad("✘"),
            Verdict::NoVerdict => paint.warn("?"),
        };
        eprintln!("{mark} {:<13} {}", report.gate, seconds(report.took.unwrap_or_default()));
    };
    gates.look_at_all(wanted, cx_of, each).await
}

/// The site's key of redacted digests, so that a report may be held against its plans; before `init`, one for this run.
fn redact_key(site: &Site) -> Result<Vec<u8>, Failure> {
    match std::fs::read(site.redact_key_file()) {
        Ok(key) => Ok(key),
        Err(_) => Ok(crossfade_audit::keys::random().or_usage()?.to_vec()),
    }
}
