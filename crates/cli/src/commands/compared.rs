//! `crossfade parity` and `crossfade history`: two environments of a site compared by what they have recorded.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossfade_backends::sample::Window;
use crossfade_control::gates::history::{Looked, look};
use crossfade_control::gates::parity::{Comparison, compare};
use crossfade_control::gates::{Gauge, Reading, guarded};
use crossfade_gates::report::Report;
use crossfade_rollout::event::Gate;
use crossfade_rollout::rfc3339;
use crossfade_rollout::spec::{History, Ignore, Parity};
use crossfade_rollout::units::Share;
use crossfade_routing::{EnvironmentId, UnixNanos};

use super::gate::{self, parsed};
use super::{block_on, site};
use crate::args::{Between, HistoryArgs, ParityArgs};
use crate::exit::{Failure, Outcome};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// Traces that began less long ago are left to settle.
const SETTLE: Duration = Duration::from_secs(5);

/// `crossfade parity`.
pub(crate) fn parity(args: &ParityArgs) -> Outcome {
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
    run(&args.between, Gate::Parity, settings.deadline.0, |gauge| {
        let (between, settings) = (&between, &settings);
        async move {
            let comparison = Comparison {
                site: &between.site,
                from: &between.from,
                to: &between.to,
                settings,
                window,
                seed: between.seed,
                both_ways: args.both_ways,
                owns: None,
            };
            compare(&comparison, &gauge).await
        }
    })
}

/// `crossfade history`.
pub(crate) fn history(args: &HistoryArgs) -> Outcome {
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
    run(&args.between, Gate::History, settings.deadline.0, |gauge| {
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
            };
            look(&looked, &gauge).await
        }
    })
}

/// What both commands are told.
struct Sides {
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

/// Runs a gate, shows how far it is, and prints its report.
fn run<F>(args: &Between, gate: Gate, deadline: Duration, gate_of: impl FnOnce(Gauge) -> F) -> Outcome
where
    F: Future<Output = Result<Report, String>>,
{
    let gauge = Gauge::default();
    let work = guarded(gate, deadline, &[], crossfade_control::now(), gate_of(gauge.clone()));
    let report = block_on(async {
        tokio::select! {
            report = work => report.map_err(|what| Failure::usage(anyhow::anyhow!(what))),
            () = show(&gauge) => Err(Failure::refused(anyhow::anyhow!("stopped"))),
            _ = tokio::signal::ctrl_c() => Err(Failure::refused(anyhow::anyhow!("stopped before all was compared"))),
        }
    });
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K");
    }
    Ok(gate::print(&report?, args.output))
}

/// On a terminal one line that changes; elsewhere one line for each thing that it is at.
async fn show(gauge: &Gauge) {
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
