//! The coverage gate's inputs: what both environments record, what was sent, and how much of it the candidate should have.

use std::time::Duration;

use crossfade_backends::coverage::{CoverageConfig, count, look};
use crossfade_backends::query::Query;
use crossfade_gates::Report;
use crossfade_gates::coverage::{
    GATE, Inputs, Limits, Past, Recorded, Side, Trouble, Window, is_too_little, judge, to_count,
};
use crossfade_gates::inventory::Sent;
use crossfade_rollout::spec;
use crossfade_routing::{EnvironmentId, Schedule, Stage, UnixNanos};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Cx, enough};
use crate::client::Client;
use crate::site::{Environment, Site};

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
    let from = beginning(settings, ask.now, ask.since);
    let window = Window { from: from.0, until: until.0 };
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
    let (mut blue, mut green, before, sent, share) = tokio::join!(
        ask.blue.side(&now),
        ask.green.side(&now),
        before,
        sent(&ask.gateway, deadline),
        share(ask, from, deadline),
    );
    let share = share.unwrap_or_else(|why| {
        if let Ok(Recorded { troubles, .. }) = &mut green.recorded {
            let what = format!("the candidate's share of traffic is not known: {why}");
            troubles.push(Trouble { what, answered: true });
        }
        0.0
    });
    if let (Ok(query), Ok(ours), Ok(theirs)) = (&ask.blue.query, &mut blue.recorded, &green.recorded)
        && share > 0.0
    {
        let services = to_count(ours, theirs);
        count(query, &now, services, ours).await;
    }
    let inputs = Inputs { blue, green, before, sent: sent.map(|sent| vec![sent]), window, share };
    let limits =
        Limits { alpha: settings.alpha.as_f64(), ignore: settings.ignore.clone(), ..Limits::default() };
    let report = judge(&inputs, &limits);
    debug_assert_eq!(report.gate, GATE);
    report
}

const NO_SCHEDULE: &str = "the gateway has no schedule";
/// A gateway that does not answer must not use up the time for everything else.
const PATIENCE: Duration = Duration::from_secs(10);

async fn sent(gateway: &Result<Client, String>, deadline: Instant) -> Result<Sent, String> {
    let client = gateway.as_ref().map_err(Clone::clone)?;
    let sent: Sent = asked(client, "/v1/gateway/inventory", deadline).await?;
    if sent.tap.enabled { Ok(sent) } else { Err("the gateway's tap is off".to_owned()) }
}

async fn asked<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    deadline: Instant,
) -> Result<T, String> {
    let until = deadline.min(Instant::now() + PATIENCE);
    match tokio::time::timeout_at(until, client.get(path)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the gateway has not answered within {} s", PATIENCE.as_secs())),
    }
}

/// The part of the gateway's status that is of use here.
#[derive(Deserialize)]
struct Status {
    schedule: Option<Schedule>,
    #[serde(default)]
    fenced: bool,
}

/// The share of whole traces that the candidate has had all the time since `from`.
async fn share(ask: &Ask, from: UnixNanos, deadline: Instant) -> Result<f64, String> {
    if let Some(share) = ask.share {
        return Ok(share);
    }
    let client = ask.gateway.as_ref().map_err(Clone::clone)?;
    let status: Status = asked(client, "/v1/gateway", deadline).await?;
    let schedule = status.schedule.ok_or(NO_SCHEDULE)?;
    Ok(if status.fenced { 0.0 } else { share_of(&schedule, from) })
}

/// The schedule that the gateway follows.
pub(super) async fn schedule(gateway: &Result<Client, String>) -> Result<Schedule, String> {
    let client = gateway.as_ref().map_err(Clone::clone)?;
    let status: Status = asked(client, "/v1/gateway", Instant::now() + PATIENCE).await?;
    Ok(status.schedule.ok_or(NO_SCHEDULE)?)
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
    use crossfade_routing::{Begin, Cut, Seed, Weight, Window as Times};

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
        for schedule in [&cut, &promoted] {
            let share = [50, 200, 400].map(|seconds| share_of(schedule, at(seconds)));
            assert!(
                share.iter().zip([0.0, 0.1, 1.0]).all(|(is, should)| (is - should).abs() < 1e-9),
                "{share:?}"
            );
        }
    }
}
