//! `crossfade parity` and `crossfade history`: two environments of a site compared by what they have recorded.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossfade_backends::sample::Window;
use crossfade_control::gates::history::{Looked, look as look_at_history};
use crossfade_control::gates::parity::{Comparison, compare};
use crossfade_control::gates::shared;
use crossfade_control::gates::{Gauge, Reading};
use crossfade_gates::look::cannot_look;
use crossfade_gates::report::Report;
use crossfade_rollout::event::Gate;
use crossfade_rollout::rfc3339;
use crossfade_rollout::spec::{History, Ignore, Parity, Waiver};
use crossfade_rollout::units::Share;
use crossfade_routing::{EnvironmentId, UnixNanos};

use super::ending::{Ending, gates_of, look};
use super::gate::{self, parsed};
use super::site;
use crate::args::{Between, HistoryArgs, ParityArgs};
use crate::exit::{Failure, OrExit, Outcome};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// Traces that began less long ago are left to settle.
const SETTLE: Duration = Duration::from_secs(5);

/// `crossfade parity`.
pub(crate) fn parity(args: &ParityArgs) -> Outcome {
    let ending = Ending::of(&args.between.results, args.between.spec.as_deref())?;
    let between = Sides::of(&args.between)?;
    let usual = Parity::default();
    let settings = Parity {
        traces: args.traces.unwrap_or(usual.traces),
        differ_max: parsed("--differ-max", &args.differ_max)?,
        confidence: parsed("--confidence", &args.confidence)?,
        deadline: parsed("--deadline", &args.between.deadline)?,
        ignore: between.ignore.clone(),
        ..usual
    };
    if settings.traces == 0 {
        return Err(Failure::usage(anyhow::anyhow!("--traces: nothing to compare; use 1 or more")));
    }
    if settings.differ_max == Share::from_ppm(0) {
        let what = "--differ-max: no number of equal traces proves that none differs; write for instance 1%";
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    let now = crossfade_control::now();
    let window = window(&args.between, now, now.minus(SETTLE))?;
    eprintln!("seed {}", between.seed);
    let report = run(&between, Gate::Parity, settings.deadline.0, |gauge| {
        let (between, settings) = (&between, &settings);
        async move {
            let Sides { site, from, to, seed, .. } = between;
            let shared = shared::ask(site, from, to).await.unwrap_or_default();
            let until = shared.until(UnixNanos(window.until)).0;
            if let Some(why) = shared.why().filter(|_| until < window.until) {
                if until <= window.from {
                    return Ok(cannot_look(Gate::Parity.name(), why));
                }
                eprintln!("left out: {why}");
            }
            let comparison = Comparison {
                site,
                from,
                to,
                settings,
                window: Window { until, ..window },
                seed: *seed,
                both_ways: args.both_ways,
                owns: shared.owns,
            };
            compare(&comparison, &gauge).await
        }
    })?;
    ending.one(&report)
}

/// `crossfade history`.
pub(crate) fn history(args: &HistoryArgs) -> Outcome {
    let ending = Ending::of(&args.between.results, args.between.spec.as_deref())?;
    let between = Sides::of(&args.between)?;
    let usual = History::default();
    let kept_for = args.kept_for.as_deref().map(|text| parsed("--kept-for", text)).transpose()?;
    let settings = History {
        traces: args.traces.unwrap_or(usual.traces),
        deadline: parsed("--deadline", &args.between.deadline)?,
        kept_for,
        ignore: between.ignore.clone(),
        ..usual
    };
    if settings.traces == 0 {
        return Err(Failure::usage(anyhow::anyhow!("--traces: nothing to look at; use 1 or more")));
    }
    let now = crossfade_control::now();
    let window = window(&args.between, now, now)?;
    eprintln!("seed {}", between.seed);
    let report = run(&between, Gate::History, settings.deadline.0, |gauge| {
        let (between, settings) = (&between, &settings);
        async move {
            let looked = Looked {
                site: &between.site,
                from: &between.from,
                to: &between.to,
                settings,
                window,
                seed: between.seed,
                now,
                earlier: None,
            };
            look_at_history(&looked, &gauge).await
        }
    })?;
    ending.one(&report)
}

/// What both commands are told.
struct Sides {
    waivers: Vec<Waiver>,
    site: crossfade_control::site::Site,
    from: EnvironmentId,
    to: EnvironmentId,
    seed: u64,
    ignore: Vec<Ignore>,
}

impl Sides {
    fn of(args: &Between) -> Result<Sides, Failure> {
        let id = |flag: &str, text: &str| {
            EnvironmentId::new(text).map_err(|error| Failure::usage(anyhow::anyhow!("{flag}: {error}")))
        };
        let (from, to) = (id("--from", &args.from)?, id("--to", &args.to)?);
        if from == to {
            return Err(Failure::usage(anyhow::anyhow!(
                "--from and --to are the same: name two environments"
            )));
        }
        let ignore =
            args.ignore.iter().map(|key| Ignore { attribute: key.clone(), reason: "--ignore".to_owned() });
        Ok(Sides {
            waivers: gates_of(args.spec.as_deref())?.waivers,
            site: site(&args.site)?,
            from,
            to,
            seed: gate::seed(args.seed)?,
            ignore: ignore.collect(),
        })
    }
}

/// When the traces began.
fn window(args: &Between, now: UnixNanos, latest: UnixNanos) -> Result<Window, Failure> {
    let from = moment("--since", &args.since, now)?;
    let until = args.until.as_deref().map_or(Ok(latest), |text| moment("--until", text, now))?;
    if from >= until {
        return Err(Failure::usage(anyhow::anyhow!(
            "--since lies after --until: there is no time between them"
        )));
    }
    Ok(Window { from: from.0, until: until.0 })
}

/// A time, or how long ago.
pub(super) fn moment(flag: &str, text: &str, now: UnixNanos) -> Result<UnixNanos, Failure> {
    if let Some(time) = rfc3339::read(text) {
        return Ok(time);
    }
    let ago: Result<crossfade_yaml::Duration, _> = text.parse();
    let what = || {
        anyhow::anyhow!("{flag}: `{text}` is neither a time like 2026-11-21T10:00:00Z nor a duration like 1h")
    };
    ago.map(|ago| now.minus(ago.0)).map_err(|_| Failure::usage(what()))
}

/// Runs a gate, and shows how far it is.
fn run<F>(
    between: &Sides,
    gate: Gate,
    deadline: Duration,
    gate_of: impl FnOnce(Gauge) -> F,
) -> Result<Report, Failure>
where
    F: Future<Output = Result<Report, String>>,
{
    let gauge = Gauge::default();
    let work = gate_of(gauge.clone());
    let shown = async {
        tokio::select! {
            report = work => report.map_err(anyhow::Error::msg).or_usage(),
            never = show(&gauge) => match never {},
        }
    };
    let report = look(gate, deadline, &between.waivers, shown);
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K");
    }
    report
}

/// On a terminal one line that changes; elsewhere one line for each thing that it is at.
async fn show(gauge: &Gauge) -> Infallible {
    let is_terminal = std::io::stderr().is_terminal();
    let mut last = Reading::default();
    loop {
        tokio::time::sleep(SHOWN_EVERY).await;
        let reading = gauge.reading();
        if is_terminal && reading != last {
            eprint!("\r\u{1b}[K{reading}");
            let _ = std::io::stderr().flush();
        } else if reading.line != last.line {
            eprintln!("{}", reading.line);
        }
        last = reading;
    }
}
