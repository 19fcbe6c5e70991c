//! The load gate's inputs: which environments are driven how, and at which multiple of the live rate.

use std::time::Duration;

use crossfade_backends::load::{LoadConfig, LoadError, Progress, Receiver, Reins, run as drive};
use crossfade_backends::otlp::{ClientConfig, Coding, Protocol};
use crossfade_backends::query::Query;
use crossfade_gates::load::{Lane, Limits, Profile, Run, Schedule, Side, Unmeasured, judge};
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
    /// Where spans are sent: one receiver of each protocol, which take turns.
    pub receivers: Vec<Receiver>,
    /// Where they are read back, if anywhere.
    pub query: Option<Query>,
}

impl Target {
    /// An environment of the site, as its gateways and its other clients are to send to it: through the first receiver of each
    /// protocol. What is passed on as it comes is sent uncompressed. No JSON is made: who takes that takes protobuf at
    /// the same address.
    ///
    /// # Errors
    /// An address or a header that is none.
    pub fn of(name: &str, environment: &Environment) -> Result<Target, String> {
        let headers = environment.header_map()?;
        let query = environment.query.as_ref().map(|query| query.client()).transpose()?;
        let coding = match environment.compression {
            Compression::Gzip => Coding::Gzip,
            Compression::Preserve | Compression::None => Coding::Identity,
        };
        let mut receivers: Vec<Receiver> = Vec::new();
        for endpoint in environment.receivers().map_err(|error| error.to_string())? {
            let protocol = endpoint.protocol();
            if protocol != Protocol::HttpJson && receivers.iter().all(|one| speaks(one) != protocol) {
                receivers.push(Receiver { otlp: ClientConfig::new(endpoint, headers.clone()), coding });
            }
        }
        Ok(Target { name: name.to_owned(), receivers, query })
    }

    /// Spans in a request: so few that every receiver has requests enough in its share of the time.
    pub fn spans_per_request(&self, rate: u64) -> u32 {
        Profile::spans_per_request(rate / (self.receivers.len() as u64).max(1))
    }
}

fn speaks(receiver: &Receiver) -> Protocol {
    receiver.otlp.endpoint.protocol()
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
    /// What they are offered, and how: so much time each environment has, which its receivers share.
    pub config: LoadConfig,
}

impl Load {
    /// How long offering takes, for all environments.
    pub fn length(&self) -> Duration {
        self.config.schedule.length() * if self.active.is_some() { 2 } else { 1 }
    }
}

/// How a load goes.
#[derive(Debug)]
pub struct Going<'a> {
    /// The environment, and the protocol where there are several.
    pub target: &'a str,
    /// Since the load began.
    pub elapsed: Duration,
    /// The receiver whose turn it is.
    pub progress: &'a Progress,
}

/// Offers the load, first to the active environment, then to the candidate. `look` hears how it goes.
pub async fn measure(load: &Load, stop: watch::Receiver<bool>, look: impl Fn(Going<'_>)) -> Run {
    let receivers = &load.candidate.receivers;
    let length = load.config.schedule.length();
    let mut began = Duration::ZERO;
    let active = match &load.active {
        Some(target) => {
            // Through what the candidate is driven, and for as long.
            let alike =
                |ours: &Receiver| target.receivers.iter().find(|theirs| speaks(theirs) == speaks(ours));
            let alike: Vec<Receiver> = receivers.iter().filter_map(alike).cloned().collect();
            began = length;
            Some(side(load, target, &alike, Duration::ZERO, &stop, &look).await)
        }
        None => None,
    };
    Run {
        candidate: side(load, &load.candidate, receivers, began, &stop, &look).await,
        active,
        limits: load.limits.clone(),
        read_back: load.config.read_back > 0,
    }
}

async fn side(
    load: &Load,
    target: &Target,
    receivers: &[Receiver],
    began: Duration,
    stop: &watch::Receiver<bool>,
    look: &impl Fn(Going<'_>),
) -> Side {
    let schedule = load.config.schedule.turn(load.candidate.receivers.len());
    let turn = schedule.length();
    let (progress, mut seen) = watch::channel(None);
    let config = LoadConfig { schedule, ..load.config.clone() };
    let query = target.query.as_ref().filter(|_| config.read_back > 0);
    let driving = drive(receivers, query, &config, Reins { stop: stop.clone(), progress });
    tokio::pin!(driving);
    let driven = loop {
        tokio::select! {
            driven = &mut driving => break driven,
            Ok(()) = seen.changed() => {
                if let Some(progress) = &*seen.borrow_and_update() {
                    let before = turn * u32::try_from(progress.receiver).unwrap_or(u32::MAX);
                    let name = match receivers.get(progress.receiver).filter(|_| receivers.len() > 1) {
                        Some(receiver) => format!("{} over {}", target.name, speaks(receiver).name()),
                        None => target.name.clone(),
                    };
                    look(Going { target: &name, elapsed: began + before + progress.elapsed, progress });
                }
            }
        }
    };
    let lanes = receivers.iter().zip(driven).map(|(receiver, measured)| Lane {
        protocol: speaks(receiver).name(),
        coding: receiver.coding.name(),
        measured: measured.map_err(|error| match error {
            LoadError::Unreachable(why) => Unmeasured::Unreachable(why),
            LoadError::Refused(why) => Unmeasured::Refused(why),
            LoadError::Thread(_) => Unmeasured::Unable(error.to_string()),
        }),
    });
    Side { environment: target.name.clone(), lanes: lanes.collect() }
}

/// Runs the gate.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let load = match load(cx) {
        Ok(load) => load,
        Err(why) => return judge(&unable(cx, why)),
    };
    // Nobody stops it but by letting go of it.
    let (_stop, stopped) = watch::channel(false);
    let wide = |time: Duration| usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
    let total = wide(load.length());
    let run = measure(&load, stopped, |going| {
        let phase = going.progress.counts.as_ref().map_or_else(String::new, |c| c.phase.part.name());
        let what = format!("seconds of load: {}, {phase}", going.target);
        cx.gauge.set(wide(going.elapsed).min(total), total, &what);
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
    let spans = settings.spans_per_request.unwrap_or_else(|| candidate.spans_per_request(profile.rate));
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
    let candidate = Side::undriven(cx.to.as_str(), Unmeasured::Unable(why));
    let limits = Limits::new(cx.settings.load.clone().unwrap_or_default().p99_max.0);
    Run { candidate, active: None, limits, read_back: false }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossfade_gates::report::Verdict;
    use crossfade_lab::environment::Environment as Simulated;
    use crossfade_rollout::event::Gate;
    use crossfade_routing::Seed;

    use super::*;
    use crate::gates::{Gates, LiveRate};
    use crate::site::Site;

    const ROLLOUT: &str = "name: move\nfrom: blue\nto: green\nsteps: [{ weight: { percent: 100, duration: 1h } }, { promote: {} }, { finalize: {} }]\n";

    /// Four seconds of load on `green`, which has these further receivers.
    async fn look(blue: &Simulated, green: &Simulated, receivers: &str) -> Report {
        let environment = |name: &str, simulated: &Simulated, more: &str| {
            let (otlp, query) = (simulated.grpc_addr(), simulated.query_addr());
            format!(
                "  {name}:\n    otlp: {{ endpoint: \"http://{otlp}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{query}\" }}\n{more}"
            )
        };
        let site = format!(
            "environments:\n{}{}",
            environment("blue", blue, ""),
            environment("green", green, receivers)
        );
        let folder = tempfile::tempdir().unwrap();
        let site = Site::parse(&site, &folder.path().join("crossfade.yaml"), &|_: &str| None).unwrap();
        let load = "{ rate: 1000, ramp: 1s, hold: 3s, spike: 0s, p99_max: 30s, compare: true, worse_max: 100000%, traces: 20 }";
        let spec =
            crate::spec::read(&format!("{ROLLOUT}gates: {{ load: {load} }}\n"), "rollout.yaml").unwrap();
        let outline = spec.outline("move".parse().unwrap(), Seed(7)).unwrap();
        let gates = Gates::with_key(Arc::new(site), vec![0; 32]);
        gates.look(Gate::Load, &gates.cx(&outline, 7)).await
    }

    /// Scenario: green takes spans over gRPC, HTTP with protobuf and HTTP with JSON, and blue over gRPC; then nobody is at green's HTTP
    /// receiver.
    /// Guarantee: gRPC and HTTP are driven for a half of the time each and read back, blue over gRPC for as long; the one
    /// that is gone is named, and out of reach.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_protocol_has_its_turn() {
        let (blue, green) = (Simulated::start(1).await.unwrap(), Simulated::start(2).await.unwrap());
        let http = |address: &str| {
            format!(
                "    receivers: [{{ endpoint: \"http://{address}\", protocol: http/protobuf }}, {{ endpoint: \"http://{address}\", protocol: http/json }}]\n"
            )
        };
        let report = look(&blue, &green, &http(&green.http_addr().to_string())).await;
        let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(
            (report.verdict(), rules.as_slice()),
            (Verdict::Pass, &["nothing_beside"][..]),
            "{report:#?}"
        );
        let of = |name: &str| report.facts["environments"][name]["receivers"].as_array().unwrap().clone();
        let told = |name| -> Vec<_> {
            let receivers = of(name).into_iter();
            let accepted = |phase: &serde_json::Value| phase["accepted"].as_u64().unwrap();
            let sum =
                |phases: &serde_json::Value| phases.as_array().unwrap().iter().map(accepted).sum::<u64>();
            receivers.map(|one| (one["protocol"].clone(), sum(&one["phases"]))).collect()
        };
        assert_eq!(told("green"), [("grpc".into(), 1_750), ("http/protobuf".into(), 1_750)]);
        assert_eq!(told("blue"), [("grpc".into(), 1_750)]);
        assert!(of("green").iter().all(|one| one["read_back"]["traces"]["whole"] == 10), "{report:#?}");
        assert_eq!(green.store().span_count(), 3_500);

        let report = look(&blue, &green, &http("127.0.0.1:1")).await;
        let gone = report.findings.iter().find(|finding| finding.rule == "load_unreachable").unwrap();
        assert_eq!(gone.place.component.as_deref(), Some("http/protobuf"));
        assert_eq!((report.verdict(), report.unreachable), (Verdict::NoVerdict, true), "{report:#?}");
        assert_eq!(green.store().span_count(), 5_250);
    }

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
