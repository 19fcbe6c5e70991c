//! `crossfade parity` and `crossfade history`: two environments of a site compared by what they have recorded.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossfade_backends::sample::Window;
use crossfade_control::gates::coverage::{followed, gateway};
use crossfade_control::gates::history::{Looked, look as look_at_history};
use crossfade_control::gates::parity::{Comparison, compare};
use crossfade_control::gates::{Gauge, Reading};
use crossfade_gates::report::{Report, Verdict};
use crossfade_rollout::event::Gate;
use crossfade_rollout::rfc3339;
use crossfade_rollout::spec::{History, Ignore, Parity, Waiver};
use crossfade_rollout::units::Share;
use crossfade_routing::{EnvironmentId, Schedule, UnixNanos};

use super::ending::{Ending, gates_of, look};
use super::gate::{self, parsed};
use super::{block_on, site};
use crate::args::{Between, HistoryArgs, ParityArgs};
use crate::exit::{Failure, OrExit, Outcome};

/// A gateway that is asked for no more than a hint.
const PATIENCE: Duration = Duration::from_secs(2);
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
    })?;
    if report.verdict() != Verdict::Pass
        && let Some(hint) = block_on(async { Ok(hint(&between, window).await) })?
    {
        eprintln!("{hint}");
    }
    ending.one(&report)
}

/// What explains differences in a time in which the candidate's share was not always the same.
async fn hint(between: &Sides, window: Window) -> Option<String> {
    let asked = followed(&gateway(&between.site), tokio::time::Instant::now() + PATIENCE).await;
    hint_of(&asked.ok()?.0, &between.from, &between.to, window)
}

fn hint_of(schedule: &Schedule, from: &EnvironmentId, to: &EnvironmentId, window: Window) -> Option<String> {
    if let Some(past) = schedule.past().filter(|past| past.to == *to && schedule.from() == to) {
        return Some(format!(
            "{} is finalized, and {from} receives nothing any more: what began since then is in {to} alone; --until names an earlier time",
            past.rollout
        ));
    }
    let cut = schedule.cuts().iter().rfind(|_| schedule.to() == Some(to))?;
    let at = rfc3339::format(cut.at);
    (window.from < cut.at.0).then(|| {
        format!(
            "{to} has {} of the traces since {at} only: of what began before that it may have parts; compare with --since {at}",
            Share::from_ppm(cut.weight.ppm())
        )
    })
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

#[cfg(test)]
mod tests {
    use crossfade_routing::{Begin, Cut, Seed, Weight, Window as Times};

    use super::*;

    /// Scenario: the time that is compared reaches back beyond a cut, or the rollout is over.
    /// Guarantee: differences are explained, with what to say instead; otherwise nothing is.
    #[test]
    fn a_time_across_a_cut_is_told() {
        let id = |name| EnvironmentId::new(name).unwrap();
        let (blue, green) = (id("blue"), id("green"));
        let second = Duration::from_secs(1);
        let at = |seconds: u32| UnixNanos(1_800_000_000_000_000_000).plus(second * seconds);
        let window = Times::new(second, second, second / 10).unwrap();
        let begin = Begin { rollout: "r".into(), to: green.clone(), seed: Seed(5), window };
        let cut = Schedule::genesis(blue.clone())
            .begin(begin)
            .and_then(|begun| begun.cut(Cut { at: at(100), weight: Weight::FULL }))
            .unwrap();
        let hint = |schedule: &Schedule, from| {
            hint_of(schedule, &blue, &green, Window { from: at(from).0, until: at(900).0 })
        };
        let across = hint(&cut, 50).unwrap();
        let time = rfc3339::format(at(100));
        assert!(
            across.starts_with("green has 100% of the traces since ")
                && across.ends_with(&format!("--since {time}")),
            "{across}"
        );
        assert_eq!(hint(&cut, 101), None);
        assert_eq!(hint(&Schedule::genesis(blue.clone()), 50), None);
        let finalized = cut.promoted(false).and_then(|promoted| promoted.finalized()).unwrap();
        assert!(
            hint(&finalized, 500).unwrap().starts_with("r is finalized, and blue receives nothing any more")
        );
    }
}
