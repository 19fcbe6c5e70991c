//! All of the probe: traces through every receiver, searches, canaries, separation.

use std::time::Duration;

use crossfade_gates::model::{Span, TraceId};
use crossfade_gates::probe::canary::{Sensitive, canaries, leaks};
use crossfade_gates::probe::report::{Failure, ProbeReport, kept};
use crossfade_gates::probe::suite::{Beside, Masking, Searches, Seen, Separation, Suite};
use crossfade_gates::probe::{Repeats, SERVICE, Trace, WITH_LONG_VALUES, compare, generate};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{ProbeConfig, is_whole, now, run_through, turned, write};
use crate::otlp::Client;
use crate::query::{Find, Query, QueryError, Wanted};

/// An environment, as the probe sees it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its receivers, at least one.
    pub receivers: Vec<Client>,
    /// Where its traces are read.
    pub query: Query,
}

/// What a run of the suite does.
#[derive(Clone, Debug)]
pub struct SuiteConfig {
    /// The traces.
    pub probe: ProbeConfig,
    /// How many of them are searched for.
    pub searches: u32,
    /// What the environment has to mask; no canaries, if nothing.
    pub masks: Vec<Sensitive>,
    /// The environment with which it must share nothing.
    pub other: Option<Target>,
    /// The longest that 99 % of the traces may take to be readable.
    pub freshness_max: Option<Duration>,
}

/// Pauses between looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to look for a trace where it should not be, once it is readable where it was written: two stores that are one show it at
/// once, and one with two indexes soon after.
const SEPARATION_LOOKS: Duration = Duration::from_secs(2);

/// Runs the suite. Takes at most four times the deadline and a little; in a healthy environment a fraction of it.
pub async fn suite(target: &Target, config: &SuiteConfig) -> Suite {
    let (masking, (separation, beside), traces) = tokio::join!(
        masking(target, config),
        separation(target, config),
        run_through(&target.receivers, &target.query, &config.probe)
    );
    let searches = searches(target, config, &traces).await;
    Suite {
        environment: target.name.clone(),
        traces,
        searches,
        masking,
        separation,
        beside,
        freshness_max: config.freshness_max,
    }
}

/// Searches for the first traces that were read by their ids, by service, time and an attribute that each has for itself.
async fn searches(target: &Target, config: &SuiteConfig, traces: &ProbeReport) -> Searches {
    let wanted = config.searches.min(config.probe.traces);
    let until = Instant::now() + config.probe.deadline;
    let mut running = JoinSet::new();
    // What cannot be read by id cannot be found either, and is a finding already.
    let is_gone = |id: TraceId| {
        let gone = |failure| matches!(failure, Failure::NotFound | Failure::RequestFailed);
        traces.findings.iter().any(|finding| finding.trace_id == id && gone(finding.failure))
    };
    for (index, trace) in (0..).zip(generate(config.probe.seed, traces.at, wanted)) {
        if is_gone(trace.id) {
            continue;
        }
        let query = target.query.clone();
        running.spawn(async move { (trace.id, search(&query, &trace, index, until).await) });
    }
    let mut searches = Searches::default();
    for (id, found) in running.join_all().await {
        searches.traces += 1;
        match found {
            Ok(true) => {}
            Ok(false) => searches.missed.push(id),
            Err(error) => {
                searches.missed.push(id);
                searches.error = Some(error.to_string());
            }
        }
    }
    searches.missed.sort();
    searches
}

/// Whether a search finds it before the time is up.
async fn search(query: &Query, trace: &Trace, index: i64, until: Instant) -> Result<bool, QueryError> {
    let starts = || trace.spans.iter().map(|span| span.start);
    let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
    let mut find = Find::new(SERVICE, first, last.saturating_add(1));
    find.attributes.insert("probe.index".to_owned(), Wanted::Int(index));
    loop {
        let found = query.find_ids(&find).await;
        match found {
            Ok(ids) if ids.contains(&trace.id) => return Ok(true),
            Err(error) if !error.may_retry() => return Err(error),
            answer if Instant::now() + PAUSE > until => return answer.map(|_| false),
            _ => sleep(PAUSE).await,
        }
    }
}

/// Writes canaries, and looks for them in what is read back.
async fn masking(target: &Target, config: &SuiteConfig) -> Option<Masking> {
    if config.masks.is_empty() {
        return None;
    }
    let until = Instant::now() + config.probe.deadline;
    let (traces, planted) = canaries(config.probe.seed, now(), &config.masks);
    let mut running = JoinSet::new();
    for (turn, trace) in traces.into_iter().enumerate() {
        let (receivers, query) = (turned(&target.receivers, turn), target.query.clone());
        running.spawn(async move { written_and_read(&receivers, &query, &trace, until).await });
    }
    let (mut read, mut error) = (Vec::new(), None);
    for result in running.join_all().await {
        match result {
            Ok(spans) => read.extend(spans),
            Err(why) => error = Some(why),
        }
    }
    let came_back =
        planted.iter().filter(|canary| read.iter().any(|span| span.span_id == canary.span)).count();
    let leaks = leaks(&planted, &read);
    Some(Masking { planted, read: u32::try_from(came_back).unwrap_or(u32::MAX), leaks, error })
}

/// Writes one trace, waits until it can be read whole or the time is up, and gives what is there.
async fn written_and_read(
    receivers: &[Client],
    query: &Query,
    trace: &Trace,
    until: Instant,
) -> Result<Vec<Span>, String> {
    write(receivers, trace, until).await.map_err(|finding| finding.detail)?;
    let enough = |spans: &[Span]| spans.len() >= trace.spans.len();
    query.trace_when(trace.id, until, enough).await.map_err(|error| error.to_string())
}

/// A trace to each of the two alone, and whether it turns up in the other; and how the other one keeps long values.
async fn separation(target: &Target, config: &SuiteConfig) -> (Vec<Separation>, Option<Beside>) {
    let Some(other) = &config.other else { return (Vec::new(), None) };
    let at = now();
    let until = Instant::now() + config.probe.deadline;
    // Seeds of their own: these traces are none of those that are probed.
    let one = |salt: u64| generate(config.probe.seed ^ salt, at, WITH_LONG_VALUES + 1).pop();
    let (Some(there), Some(back)) = (one(0x5e9a_7a7e), one(0x0dd5_1de5)) else { return (Vec::new(), None) };
    let ((there, _), (back, read)) =
        tokio::join!(apart(target, other, &there, until), apart(other, target, &back, until));
    let beside = read.map(|cut_to_bytes| Beside { environment: other.name.clone(), cut_to_bytes });
    (vec![there, back], beside)
}

/// Writes a trace to one, and looks for it in the other. To how many bytes the first cuts long values, if it can be read there whole.
async fn apart(
    written_to: &Target,
    searched_in: &Target,
    trace: &Trace,
    until: Instant,
) -> (Separation, Option<Option<usize>>) {
    let read = written_and_read(&written_to.receivers, &written_to.query, trace, until).await;
    let long = read.as_ref().ok().and_then(|spans| cut_to(trace, spans));
    let seen = match read {
        Err(why) => Seen::Unknown(format!("{}: {why}", written_to.name)),
        Ok(spans) if spans.is_empty() => {
            Seen::Unknown(format!("it cannot be read in {} either", written_to.name))
        }
        Ok(_) => turns_up(searched_in, trace.id).await,
    };
    let separation = Separation {
        written_to: written_to.name.clone(),
        searched_in: searched_in.name.clone(),
        trace: trace.id,
        seen,
    };
    (separation, long)
}

/// `None` if not all of it came back.
fn cut_to(trace: &Trace, spans: &[Span]) -> Option<Option<usize>> {
    let findings = compare(trace, spans, Repeats::Possible);
    is_whole(&findings).then(|| kept(findings.iter()))
}

async fn turns_up(target: &Target, id: TraceId) -> Seen {
    let until = Instant::now() + SEPARATION_LOOKS;
    loop {
        match target.query.trace(id).await {
            Ok(Some(_)) | Err(QueryError::Partial { .. }) => return Seen::Yes,
            Ok(None) if Instant::now() + PAUSE > until => return Seen::No,
            Ok(None) => {}
            Err(error) if !error.may_retry() || Instant::now() + PAUSE > until => {
                return Seen::Unknown(format!("{}: {error}", target.name));
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}
