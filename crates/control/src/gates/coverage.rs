//! The coverage gate's inputs: what both environments record, what was sent, and how much of it the candidate should have.

use std::time::Duration;

use crossfade_backends::coverage::{CoverageConfig, count, look};
use crossfade_backends::query::Query;
use crossfade_gates::Report;
use crossfade_gates::coverage::{
    GATE, Inputs, Limits, NoShare, Past, Side, Trouble, Window, is_too_little, judge, to_count,
};
use crossfade_gates::inventory::Sent;
use crossfade_rollout::{rfc3339, spec};
use crossfade_routing::{EnvironmentId, Schedule, Stage, UnixNanos, Weight};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Cx, enough};
use crate::api::ErrorCode;
use crate::client::Client;
use crate::site::{Environment, Site};
use crate::status;

/// Whom to ask, and for what.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The active environment.
    pub blue: Asked,
    /// The candidate.
    pub green: Asked,
    /// The gateway that was there; its words if it cannot be asked.
    pub gateway: Result<Client, String>,
    /// The candidate's share of traffic, if it is known otherwise than by the gateway.
    pub share: Option<f64>,
    /// Now.
    pub now: UnixNanos,
    /// Since when traffic is as it is.
    pub since: Option<UnixNanos>,
    /// What is looked at, and tolerated.
    pub settings: spec::Coverage,
}

/// One environment that is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its query endpoint; in words, why there is none.
    pub query: Result<Query, String>,
}

impl Asked {
    /// An environment of a site.
    pub(super) fn of(id: &EnvironmentId, environment: Result<&Environment, String>) -> Asked {
        let query = environment.and_then(|environment| environment.query_client(id));
        Asked { name: id.to_string(), query }
    }

    fn url(&self) -> String {
        self.query.as_ref().map(|query| query.endpoint().to_string()).unwrap_or_default()
    }

    pub(super) async fn side(&self, config: &CoverageConfig) -> Side {
        let recorded = match &self.query {
            Ok(query) => look(query, config).await,
            Err(why) => Err(Trouble { what: why.clone(), answered: true }),
        };
        Side { name: self.name.clone(), url: self.url(), recorded }
    }
}

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let settings = cx.settings.coverage.clone().unwrap_or_default();
    let (blue, green) = (Asked::of(cx.from, cx.active()), Asked::of(cx.to, cx.candidate()));
    let gateway = gateway(cx.site);
    let (settings, blue, green, gateway) = (&settings, &blue, &green, &gateway);
    let look = |now: UnixNanos, at_most: Duration| async move {
        // What is looked at begins with the step, and ends once traces have settled.
        let from = beginning(settings, now, cx.since);
        report(&Ask {
            blue: blue.clone(),
            green: green.clone(),
            gateway: gateway.clone(),
            share: cx.schedule.map(|schedule| share_of(schedule, from)),
            now,
            since: cx.since,
            settings: spec::Coverage { deadline: crossfade_yaml::Duration(at_most), ..settings.clone() },
        })
        .await
    };
    enough::traffic(cx, settings.deadline.0, is_too_little, look).await
}

/// From when on it is looked at.
fn beginning(settings: &spec::Coverage, now: UnixNanos, since: Option<UnixNanos>) -> UnixNanos {
    let until = now.minus(settings.settle.0);
    until.minus(settings.window.0).max(since.unwrap_or(UnixNanos::ZERO)).min(until)
}

/// The gateway's own routes, which are on the control plane's address.
///
/// # Errors
/// In words: there is no token.
pub fn gateway(site: &Site) -> Result<Client, String> {
    Client::new(&format!("http://{}", site.control), &site.token_file).map_err(|error| error.to_string())
}

/// Asks, and judges.
pub async fn report(ask: &Ask) -> Report {
    let settings = &ask.settings;
    // Some of the time is left for judging and for what was not foreseen.
    let deadline = Instant::now() + settings.deadline.0.mul_f64(0.9);
    let until = ask.now.minus(settings.settle.0);
    let due =
        due(ask, Window { from: beginning(settings, ask.now, ask.since).0, until: until.0 }, deadline).await;
    let (from, window) = (UnixNanos(due.window.from), due.window);
    let earlier = Window { from: from.minus(settings.before.0).0, until: from.0 };
    let config = |window| CoverageConfig::new(window, deadline);
    let (now, past) = (config(window), config(earlier));
    let before = async {
        match &ask.blue.query {
            Ok(query) => Some(Past { window: earlier, recorded: look(query, &past).await }),
            // That is said of the active environment already.
            Err(_) => None,
        }
    };
    let (mut blue, green, before, sent) =
        tokio::join!(ask.blue.side(&now), ask.green.side(&now), before, sent(&ask.gateway, deadline));
    let Due { share, none: no_share, .. } = due;
    if let (Ok(query), Ok(ours), Ok(theirs)) = (&ask.blue.query, &mut blue.recorded, &green.recorded)
        && share > 0.0
    {
        let services = to_count(ours, theirs);
        count(query, &now, services, ours).await;
    }
    let inputs = Inputs { blue, green, before, sent: sent.map(|sent| vec![sent]), window, share, no_share };
    let limits =
        Limits { alpha: settings.alpha.as_f64(), ignore: settings.ignore.clone(), ..Limits::default() };
    let report = judge(&inputs, &limits);
    debug_assert_eq!(report.gate, GATE);
    report
}

/// A gateway that does not answer must not use up the time for everything else.
const PATIENCE: Duration = Duration::from_secs(10);

async fn sent(gateway: &Result<Client, String>, deadline: Instant) -> Result<Sent, String> {
    let sent: Sent =
        asked(gateway, "/v1/gateway/inventory", deadline).await.map_err(|trouble| trouble.what)?;
    if sent.tap.enabled { Ok(sent) } else { Err("the gateway's tap is off".to_owned()) }
}

pub(super) async fn asked<T: serde::de::DeserializeOwned>(
    gateway: &Result<Client, String>,
    path: &str,
    deadline: Instant,
) -> Result<T, Trouble> {
    let client = gateway.as_ref().map_err(|why| Trouble { what: why.clone(), answered: true })?;
    let until = deadline.min(Instant::now() + PATIENCE);
    match tokio::time::timeout_at(until, client.get(path)).await {
        Ok(answer) => answer.map_err(|error| Trouble {
            what: error.to_string(),
            answered: error.0.code != ErrorCode::Unreachable,
        }),
        Err(_) => Err(Trouble {
            what: format!("the gateway has not answered within {} s", PATIENCE.as_secs()),
            answered: false,
        }),
    }
}

/// The part of the gateway's status that is of use here.
#[derive(Deserialize)]
struct Status {
    schedule: Option<Schedule>,
    #[serde(default)]
    fenced: bool,
}

/// The schedule that the gateway follows, and whether the candidate is fenced off there.
///
/// # Errors
/// It cannot be asked, or has none.
pub async fn followed(
    gateway: &Result<Client, String>,
    deadline: Instant,
) -> Result<(Schedule, bool), Trouble> {
    let status: Status = asked(gateway, "/v1/gateway", deadline).await?;
    let none = || Trouble { what: "the gateway has no schedule".to_owned(), answered: true };
    Ok((status.schedule.ok_or_else(none)?, status.fenced))
}

/// As [`followed`], for whom a fence makes no difference.
pub(super) async fn schedule(gateway: &Result<Client, String>) -> Result<Schedule, String> {
    let followed = followed(gateway, Instant::now() + PATIENCE).await;
    followed.map(|(schedule, _)| schedule).map_err(|trouble| trouble.what)
}

/// What the candidate should have, and when.
#[derive(Debug, PartialEq)]
struct Due {
    window: Window,
    /// The share of whole traces that it has had all that time.
    share: f64,
    none: Option<NoShare>,
}

/// What the candidate should have of the window.
async fn due(ask: &Ask, window: Window, deadline: Instant) -> Due {
    let settle = ask.settings.settle.0;
    if let Some(share) = ask.share {
        let early = ask.since.filter(|since| since.0 >= window.until);
        return early.map_or(Due { window, share, none: None }, |since| {
            too_early(&ask.green.name, since, settle, window)
        });
    }
    let asked = async {
        let (schedule, fenced) = followed(&ask.gateway, deadline).await?;
        // A schedule has the times of cuts, and none of a mirror.
        let mirrored = match schedule.mirror() > schedule.weight_at(UnixNanos(window.from)) {
            true => mirrored_since(&ask.gateway, &schedule, deadline).await?,
            false => None,
        };
        Ok((schedule, fenced, mirrored))
    };
    match asked.await {
        Ok((schedule, fenced, mirrored)) => {
            due_by(&schedule, fenced, mirrored, (&ask.blue.name, &ask.green.name), settle, window)
        }
        Err(Trouble { what, answered }) => {
            let what = format!("the share of traffic that {} receives is not known: {what}", ask.green.name);
            Due { window, share: 0.0, none: Some(NoShare::Unknown(Trouble { what, answered })) }
        }
    }
}

/// Since when the candidate is mirrored to as it is now, by the control plane's state; `None` if that is just beginning.
async fn mirrored_since(
    gateway: &Result<Client, String>,
    schedule: &Schedule,
    deadline: Instant,
) -> Result<Option<UnixNanos>, Trouble> {
    let status: status::Status = asked(gateway, "/v1/status", deadline).await?;
    let rollout = status.rollout.filter(|rollout| rollout.begun == Some(schedule.begun()));
    Ok(rollout.and_then(|rollout| rollout.mirrored_since()))
}

/// All that the candidate has as it has it now began after what is looked at.
fn too_early(green: &str, since: UnixNanos, settle: Duration, window: Window) -> Due {
    let (at, then) = (rfc3339::format(since), rfc3339::format(since.plus(settle)));
    let why = format!(
        "{green} receives its share of the traffic since {at} only, and what began after that has not settled before {then}; look again after that"
    );
    Due { window, share: 0.0, none: Some(NoShare::Idle(why)) }
}

/// Where the candidate did not have its share yet when the window begins, that begins with the first cut in it, or with the mirror.
fn due_by(
    schedule: &Schedule,
    fenced: bool,
    mirrored: Option<UnixNanos>,
    (blue, green): (&str, &str),
    settle: Duration,
    window: Window,
) -> Due {
    let from = UnixNanos(window.from);
    let share = share_of(schedule, from);
    let idle = |why: String| Due { window, share: 0.0, none: Some(NoShare::Idle(why)) };
    let since = |since: UnixNanos| match since.0 {
        since if since <= window.from => Due { window, share, none: None },
        at if at >= window.until => too_early(green, since, settle, window),
        at => Due { window: Window { from: at, ..window }, share: share_of(schedule, since), none: None },
    };
    let fenced = fenced || matches!(schedule.stage(), Stage::Fenced {});
    let is_candidate = schedule.to().is_some_and(|to| to.as_str() == green);
    match (schedule.stage(), schedule.past()) {
        _ if fenced => {
            idle(format!("{green} is fenced off and receives nothing, so there is nothing to compare"))
        }
        (Stage::Single {}, Some(past)) if schedule.from().as_str() == green && past.to.as_str() == green => {
            idle(format!(
                "{} is finalized: {green} serves alone, and {blue} receives nothing any more, so there is nothing to compare",
                past.rollout
            ))
        }
        (Stage::Candidate {} | Stage::Promoted { .. }, _) if !is_candidate => {
            idle(format!("the rollout under way sends nothing to {green}, so there is nothing to compare"))
        }
        _ if schedule.mirror() > schedule.weight_at(from) => match mirrored {
            Some(mirrored) => since(mirrored),
            None => idle(format!(
                "traffic to {green} is just beginning, so there is nothing to compare; look again soon"
            )),
        },
        _ if share > 0.0 => since(from),
        _ => match schedule.cuts().iter().find(|cut| cut.at > from && cut.weight > Weight::ZERO) {
            Some(cut) => since(cut.at),
            None => Due { window, share: 0.0, none: None },
        },
    }
}

fn share_of(schedule: &Schedule, from: UnixNanos) -> f64 {
    match schedule.stage() {
        // Traces that began before the last cut are as whole as they were then.
        Stage::Candidate { .. } | Stage::Promoted { .. } => {
            let share = schedule.mirror().max(schedule.weight_at(from));
            f64::from(share.ppm()) / 1e6
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use crossfade_routing::{Begin, Cut, Seed, Window as Times};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What the candidate is asked for is what it has had all the time, promoted or not.
    #[test]
    fn the_share_is_that_of_the_beginning() {
        let id = |name| EnvironmentId::new(name).unwrap();
        let window = Times::new(SECOND, SECOND, SECOND / 10).unwrap();
        let begin = Begin { rollout: "r".into(), to: id("green"), seed: Seed(5), window };
        let at = |seconds: u32| UnixNanos(1_800_000_000_000_000_000).plus(SECOND * seconds);
        let weight = |ppm| Weight::from_ppm(ppm).unwrap();
        let cut = Schedule::genesis(id("blue"))
            .begin(begin)
            .and_then(|begun| begun.cut(Cut { at: at(100), weight: weight(100_000) }))
            .and_then(|cut| cut.cut(Cut { at: at(300), weight: Weight::FULL }))
            .unwrap();
        let promoted = cut.promoted(true).unwrap();
        let due_mirrored = |schedule: &Schedule, mirrored, from, until| {
            let window = Window { from: at(from).0, until: at(until).0 };
            due_by(schedule, false, mirrored, ("blue", "green"), SECOND * 30, window)
        };
        // A window that begins before the first cut is looked at from that cut on.
        let due = |schedule: &Schedule, from, until| due_mirrored(schedule, None, from, until);
        let since_cut = Due { window: Window { from: at(100).0, until: at(400).0 }, share: 0.1, none: None };
        assert_eq!(due(&promoted, 50, 400), since_cut);
        let why = |due: Due| match due.none {
            Some(NoShare::Idle(why)) => why,
            other => panic!("{other:?}"),
        };
        let early = "green receives its share of the traffic since ";
        assert!(why(due(&cut, 50, 99)).starts_with(early));
        // So is one that begins before the mirror does, of which the schedule has no time.
        let begin = Begin { rollout: "r".into(), to: id("green"), seed: Seed(5), window };
        let mirrored = Schedule::genesis(id("blue")).begin(begin).unwrap().mirrored(weight(300_000)).unwrap();
        let since = |from: u32| Due {
            window: Window { from: at(from).0, until: at(400).0 },
            share: f64::from(300_000) / 1e6,
            none: None,
        };
        assert_eq!(due_mirrored(&mirrored, Some(at(100)), 50, 400), since(100));
        assert_eq!(due_mirrored(&mirrored, Some(at(100)), 150, 400), since(150));
        let told = why(due_mirrored(&mirrored, Some(at(100)), 50, 99));
        let then = rfc3339::format(at(130));
        assert!(
            told.starts_with(early) && told.contains(&format!("has not settled before {then}")),
            "{told}"
        );
        assert!(why(due(&mirrored, 50, 400)).starts_with("traffic to green is just beginning"));
        let finalized = promoted.finalized().unwrap();
        assert!(why(due(&finalized, 50, 400)).starts_with("r is finalized: green serves alone"));
        assert!(why(due(&cut.fenced().unwrap(), 50, 400)).starts_with("green is fenced off"));
        assert_eq!(due(&Schedule::genesis(id("blue")), 50, 400).none, None);
        for schedule in [&cut, &promoted] {
            let share = [50, 200, 400].map(|seconds| share_of(schedule, at(seconds)));
            assert!(
                share.iter().zip([0.0, 0.1, 1.0]).all(|(is, should)| (is - should).abs() < 1e-9),
                "{share:?}"
            );
        }
    }
}
