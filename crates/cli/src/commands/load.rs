//! `crossfade load`: the load gate by itself, for any OTLP endpoint, or for environments of a site.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossfade_backends::load::{LoadConfig, Progress, Receiver};
use crossfade_backends::otlp::{ClientConfig, Coding, Endpoint, Protocol};
use crossfade_backends::query::{Query, QueryConfig};
use crossfade_control::gates::guarded;
use crossfade_control::gates::load::{Load, Target, measure, of_live};
use crossfade_control::site::Site;
use crossfade_control::status::Status;
use crossfade_gates::load::{Limits, Profile, Run, Schedule, judge, table};
use crossfade_gates::render;
use crossfade_rollout::event::Gate;
use tokio::sync::watch;

use super::ending::{Ending, gates_of};
use super::{block_on, client, environment, gate, query_endpoint};
use crate::args::{Compression, Control, Load as Args};
use crate::exit::{Failure, OrExit, Outcome};

/// No run of this command is longer.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// What a run may take beyond all that it says of itself.
const SPARE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Args) -> Outcome {
    let ending = Ending::of(&args.results, args.spec.as_deref())?;
    let waivers = gates_of(args.spec.as_deref())?.waivers;
    let (candidate, active) = targets(args)?;
    let rate = rate(args)?;
    let load = load(args, rate, candidate, active)?;
    // Its phases end by themselves; what may still hang is given time enough.
    let rest = (load.config.timeout + load.config.read_back_deadline).saturating_mul(4);
    let deadline = load.length().saturating_add(rest).saturating_add(SPARE);
    let mut measured = String::new();
    let work = async {
        let run = watched(&load).await;
        measured = table(&run);
        Ok(judge(&run))
    };
    let now = crossfade_control::now();
    let report = block_on(guarded(Gate::Load, deadline, &waivers, now, work))?;
    let text = measured + &render::text(&report);
    ending.told(&report, text)
}

/// Offers the load, tells on stderr how it goes, and stops when it is asked to.
async fn watched(load: &Load) -> Run {
    let (stop, stopped) = watch::channel(false);
    let told = Told::default();
    let measuring = measure(load, stopped, |going| told.tell(going.target, going.progress));
    tokio::pin!(measuring);
    let run = loop {
        tokio::select! {
            run = &mut measuring => break run,
            Ok(()) = tokio::signal::ctrl_c(), if !*stop.borrow() => {
                told.end();
                eprintln!("stopping; what was measured until now is printed");
                stop.send_replace(true);
            }
        }
    };
    told.end();
    run
}

/// What was told: on a terminal a line that changes, and otherwise a line for each phase.
#[derive(Default)]
struct Told {
    phase: std::cell::RefCell<String>,
    open: std::cell::Cell<bool>,
}

impl Told {
    fn tell(&self, environment: &str, progress: &Progress) {
        let Some(counts) = &progress.counts else { return };
        let title = format!("{environment}, {}: {} spans/s", counts.phase.part.name(), counts.phase.rate);
        if std::io::stderr().is_terminal() {
            let p99 = counts.latency.quantile(0.99).unwrap_or_default();
            let failed = counts.failed();
            eprint!(
                "\r\x1b[K{title}  {:.0} s  accepted {}  failed {failed}  in flight {}  p99 {p99:.0?}",
                progress.elapsed.as_secs_f64(),
                counts.accepted,
                progress.in_flight,
            );
            let _ = std::io::stderr().flush();
            self.open.set(true);
        } else if self.phase.replace(title.clone()) != title {
            eprintln!("{title}");
        }
    }

    fn end(&self) {
        if self.open.replace(false) {
            eprintln!();
        }
    }
}

fn load(args: &Args, rate: u64, candidate: Target, active: Option<Target>) -> Result<Load, Failure> {
    let profile = Profile {
        rate,
        ramp: args.ramp.0,
        ramp_steps: args.ramp_steps,
        hold: args.duration.0,
        spike: args.spike.0,
        spike_factor: factor("--spike-multiple", args.spike_multiple)?,
    };
    if args.duration.0.is_zero() {
        return usage("--hold: a duration of nothing; write for instance 60s");
    }
    let spans = args.spans_per_request.unwrap_or_else(|| candidate.spans_per_request(rate));
    let schedule = Schedule::new(&profile.phases(), spans);
    if schedule.length() > LONGEST || args.timeout.0.is_zero() {
        return usage("--ramp, --hold and --spike may take a day together, and --timeout must be some time");
    }
    let seed = gate::seed(args.seed)?;
    let limits = Limits {
        objectives: args.objective.clone(),
        worse_max: active.is_some().then(|| args.worse_max.as_f64()),
        errors_max: args.errors_max.as_f64(),
    };
    let wide = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let config = LoadConfig {
        bytes_per_span: wide(args.span_bytes),
        in_flight_max: wide(args.in_flight),
        timeout: args.timeout.0,
        read_back: wide(args.traces),
        read_back_deadline: args.read_back.0,
        ..LoadConfig::new(schedule, seed)
    };
    Ok(Load { candidate, active, limits, config })
}

fn targets(args: &Args) -> Result<(Target, Option<Target>), Failure> {
    let coded = |mut target: Target| {
        for receiver in &mut target.receivers {
            receiver.coding = match args.compression {
                None => receiver.coding,
                Some(Compression::None) => Coding::Identity,
                Some(Compression::Gzip) => Coding::Gzip,
            };
        }
        target
    };
    let Some(environment) = &args.environment else {
        if args.against.is_some() {
            return usage(
                "--against: it names an environment of the site, and so must --environment; leave out --otlp",
            );
        }
        return Ok((coded(endpoints(args)?), None));
    };
    let site = super::site(&crate::args::Site { config: args.config.clone() })?;
    let against = args.against.as_ref().map(|name| of_site(&site, name, "--against")).transpose()?;
    Ok((coded(of_site(&site, environment, "--environment")?), against.map(coded)))
}

fn of_site(site: &Site, name: &str, option: &str) -> Result<Target, Failure> {
    let (_, environment) = environment(site, option, name)?;
    Target::of(name, environment).map_err(|why| anyhow::anyhow!("environments.{name}: {why}")).or_usage()
}

fn endpoints(args: &Args) -> Result<Target, Failure> {
    let protocol = if args.protocol == "grpc" { Protocol::Grpc } else { Protocol::HttpProtobuf };
    let otlp = args.otlp.as_deref().unwrap_or_default();
    let endpoint =
        Endpoint::parse(otlp, protocol).map_err(|error| anyhow::anyhow!("--otlp: {error}")).or_usage()?;
    let query = match &args.query {
        None => None,
        Some(url) => Some(Query::new(QueryConfig::new(args.kind, query_endpoint("--query", url)?))),
    };
    let otlp_config = ClientConfig::new(endpoint, http::HeaderMap::new());
    let receivers = vec![Receiver { otlp: otlp_config, coding: Coding::Identity }];
    Ok(Target { name: otlp.to_owned(), receivers, query })
}

/// The rate to hold: as it is given, or a multiple of what clients send now.
fn rate(args: &Args) -> Result<u64, Failure> {
    let multiple = match (args.rate, args.multiple) {
        (Some(rate), _) => return Ok(rate),
        (None, multiple) => factor("--multiple", multiple.unwrap_or(1.0))?,
    };
    let control = Control {
        site: crate::args::Site { config: args.config.clone() },
        control: args.control.clone(),
        token_file: args.token_file.clone(),
    };
    let client = client(&control)?;
    let status: Status = block_on(async { Ok(client.get("/v1/status").await?) })?;
    let live = status.traffic.map(|rate| rate.spans_per_second()).filter(|rate| *rate > 0);
    let Some(live) = live else {
        return Err(Failure::no_verdict(anyhow::anyhow!(
            "the control plane does not know the live rate: no gateway has reported spans for long enough; use --rate"
        )));
    };
    let rate = of_live(live, multiple);
    eprintln!("clients send {live} spans/s; {multiple} times that is {rate}");
    Ok(rate)
}

fn factor(option: &str, factor: f64) -> Result<f64, Failure> {
    if factor.is_finite() && factor > 0.0 && factor <= 1_000.0 {
        Ok(factor)
    } else {
        usage(&format!("{option}: {factor} is no factor; write for instance 1.5"))
    }
}

fn usage<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::usage(anyhow::anyhow!("{why}")))
}
