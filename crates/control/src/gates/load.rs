//! The load gate's inputs: which environments are driven how, and at which multiple of the live rate.

use std::time::Duration;

use crossfade_backends::load::{LoadConfig, LoadError, Progress, Reins, run as drive};
use crossfade_backends::otlp::{ClientConfig, Coding};
use crossfade_backends::query::Query;
use crossfade_gates::load::{Limits, Measured, Profile, Run, Schedule, Side, Unmeasured, judge};
use crossfade_gates::report::Report;
use crossfade_rollout::spec;
use tokio::sync::watch;

use super::Cx;
use crate::site::{Compression, Environment};

/// An environment that is driven.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Where spans are sent.
    pub otlp: ClientConfig,
    /// Where they are read back, if anywhere.
    pub query: Option<Query>,
    /// How requests are coded.
    pub coding: Coding,
}

impl Target {
    /// An environment of the site, as its gateways are to send to it. What is passed on as it comes is sent uncompressed.
    ///
    /// # Errors
    /// An address or a header that is none.
    pub fn of(name: &str, environment: &Environment) -> Result<Target, String> {
        let endpoint = environment.endpoint().map_err(|error| error.to_string())?;
        let headers = environment.header_map()?;
        let query = environment.query.as_ref().map(|query| query.client()).transpose()?;
        let coding = match environment.compression {
            Compression::Gzip => Coding::Gzip,
            Compression::Preserve | Compression::None => Coding::Identity,
        };
        let otlp = ClientConfig::new(endpoint, headers);
        Ok(Target { name: name.to_owned(), otlp, query, coding })
    }
}

/// A load to come.
#[derive(Debug, Clone)]
pub struct Load {
    /// The environment that is judged.
    pub candidate: Target,
    /// The one that it is compared with; it is driven first.
    pub active: Option<Target>,
    /// What is asked of them.
    pub limits: Limits,
    /// What they are offered, and how; `coding` is each environment's own.
    pub config: LoadConfig,
}

impl Load {
    /// How long offering takes, for all environments.
    pub fn length(&self) -> Duration {
        self.config.schedule.length() * if self.active.is_some() { 2 } else { 1 }
    }
}

/// Offers the load, first to the active environment, then to the candidate. `look` hears how it goes, and of which
/// environment.
pub async fn measure(load: &Load, stop: watch::Receiver<bool>, look: impl Fn(&str, &Progress)) -> Run {
    let active = match &load.active {
        Some(target) => Some(side(load, target, &stop, &look).await),
        None => None,
    };
    let Target { otlp, coding, .. } = &load.candidate;
    Run {
        candidate: side(load, &load.candidate, &stop, &look).await,
        active,
        limits: load.limits.clone(),
        read_back: load.config.read_back > 0,
        transport: format!("{}, {}", otlp.endpoint.protocol().name(), coding.name()),
    }
}

async fn side(
    load: &Load,
    target: &Target,
    stop: &watch::Receiver<bool>,
    look: &impl Fn(&str, &Progress),
) -> Side {
    let side = |measured| Side { environment: target.name.clone(), measured };
    if *stop.borrow() {
        return side(Ok(Measured { interrupted: true, ..Measured::default() }));
    }
    let (progress, mut seen) = watch::channel(None);
    let config = LoadConfig { coding: target.coding, ..load.config.clone() };
    let query = target.query.as_ref().filter(|_| config.read_back > 0);
    let driving = drive(target.otlp.clone(), query, &config, Reins { stop: stop.clone(), progress });
    tokio::pin!(driving);
    let driven = loop {
        tokio::select! {
            driven = &mut driving => break driven,
            Ok(()) = seen.changed() => {
                if let Some(progress) = &*seen.borrow_and_update() {
                    look(&target.name, progress);
                }
            }
        }
    };
    side(driven.map_err(|error| match error {
        LoadError::Unreachable(why) => Unmeasured::Unreachable(why),
        LoadError::Refused(why) => Unmeasured::Refused(why),
        LoadError::Thread(_) => Unmeasured::Unable(error.to_string()),
    }))
}

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let load = match load(cx) {
        Ok(load) => load,
        Err(why) => return judge(&unable(cx, why)),
    };
    // Nobody stops it but by letting go of it.
    let (_stop, stopped) = watch::channel(false);
    let total = load.length().as_secs();
    let first = load.active.as_ref().map(|active| active.name.clone());
    let run = measure(&load, stopped, |environment, progress| {
        let before = if first.as_deref().is_some_and(|first| first != environment) { total / 2 } else { 0 };
        let phase = progress.counts.as_ref().map_or_else(String::new, |c| c.phase.part.name());
        let done = usize::try_from(before + progress.elapsed.as_secs()).unwrap_or(usize::MAX);
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        cx.gauge.set(done.min(total), total, &format!("seconds of load: {environment}, {phase}"));
    })
    .await;
    judge(&run)
}

/// What the spec asks for.
fn load(cx: &Cx<'_>) -> Result<Load, String> {
    let settings = cx.settings.load.clone().unwrap_or_default();
    let candidate = Target::of(cx.to.as_str(), cx.candidate()?)?;
    let active = if settings.compare { Some(Target::of(cx.from.as_str(), cx.active()?)?) } else { None };
    let profile = profile(&settings, cx.live)?;
    let spans = settings.spans_per_request.unwrap_or_else(|| Profile::spans_per_request(profile.rate));
    let limits = Limits {
        worse_max: settings.compare.then(|| settings.worse_max.as_f64()),
        errors_max: settings.errors_max.as_f64(),
        ..Limits::new(settings.p99_max.0)
    };
    let config = LoadConfig {
        read_back: usize::try_from(settings.traces).unwrap_or(usize::MAX),
        read_back_deadline: settings.read_back.0,
        ..LoadConfig::new(Schedule::new(&profile.phases(), spans), cx.seed)
    };
    Ok(Load { candidate, active, limits, config })
}

fn profile(settings: &spec::Load, live: Option<u64>) -> Result<Profile, String> {
    let rate = match (settings.rate, live) {
        (Some(rate), _) => u64::from(rate),
        (None, Some(live)) => of_live(live, settings.multiple.as_f64()),
        (None, None) => {
            return Err(
                "the live rate is not known: no gateway has reported for long enough; set gates.load.rate"
                    .to_owned(),
            );
        }
    };
    Ok(Profile {
        ramp: settings.ramp.0,
        hold: settings.hold.0,
        spike: settings.spike.0,
        spike_factor: settings.spike_multiple.as_f64(),
        ..Profile::new(rate)
    })
}

/// A multiple of the live rate; at least a span a second.
pub fn of_live(live: u64, multiple: f64) -> u64 {
    ((live as f64 * multiple).round() as u64).max(1)
}

fn unable(cx: &Cx<'_>, why: String) -> Run {
    let candidate = Side { environment: cx.to.to_string(), measured: Err(Unmeasured::Unable(why)) };
    let limits = Limits::new(cx.settings.load.clone().unwrap_or_default().p99_max.0);
    Run { candidate, active: None, limits, read_back: false, transport: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::LiveRate;

    #[test]
    fn the_rate_is_the_one_that_is_given_or_a_multiple_of_what_is_live() {
        let settings = spec::Load::default();
        let rate = |settings: &spec::Load, live| profile(settings, live).map(|profile| profile.rate);
        assert_eq!(rate(&settings, Some(40_000)), Ok(60_000), "150 % unless the spec says otherwise");
        assert_eq!(
            rate(&settings, Some(0)),
            Ok(1),
            "nothing is sent now, and something is offered all the same"
        );
        let given = spec::Load { rate: Some(500), ..settings.clone() };
        assert_eq!(rate(&given, Some(40_000)), Ok(500));
        assert_eq!(rate(&given, None), Ok(500));
        let why = rate(&settings, None).unwrap_err();
        assert!(why.contains("gates.load.rate"), "{why}");
    }

    #[test]
    fn nothing_known_is_not_nothing_sent() {
        let (live, copy) = (LiveRate::default(), LiveRate::default());
        assert_eq!(live.get(), None);
        for rate in [Some(0), Some(70_000), None] {
            live.set(rate);
            assert_eq!((live.get(), live.clone().get(), copy.get()), (rate, rate, None));
        }
    }
}
