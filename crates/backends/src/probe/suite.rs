//! All of the probe: traces through every receiver, searches, canaries, separation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossfade_gates::model::{Span, SpanId, TraceId};
use crossfade_gates::probe::canary::{Sensitive, canaries, leaks};
use crossfade_gates::probe::report::{ProbeReport, kept};
use crossfade_gates::probe::suite::{Beside, Masking, Searches, Seen, Separation, Suite};
use crossfade_gates::probe::{Repeats, SERVICE, Trace, WITH_LONG_VALUES, compare, generate};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{ProbeConfig, SECOND_LOOK, Told, Writer, is_whole, named, now, run_through};
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
/// What is told while canaries are read once more.
const CANARIES: &str = "canary traces read again";
/// How long to look for a trace where it should not be, at least, once it is readable where it was written: two stores that are one
/// show it at once, and one with two indexes soon after.
const SEPARATION_LOOKS: Duration = Duration::from_secs(2);

/// Runs the suite, and tells how far it has come. Takes at most four times the deadline and a little; in a healthy environment a
/// fraction of it.
pub async fn suite(target: &Target, config: &SuiteConfig, told: Told<'_>) -> Suite {
    let mut probe = config.probe.clone();
    // Every receiver begins a trace.
    probe.traces = probe.traces.max(u32::try_from(target.receivers.len()).unwrap_or(u32::MAX));
    let (canaries, (separation, beside), traces) = tokio::join!(
        Canaries::written_and_read(target, config),
        separation(target, config),
        run_through(&target.receivers, &target.query, &probe, told)
    );
    let searches = searches(target, &probe, config.searches, &traces, told).await;
    let masking = match canaries {
        Some(canaries) => Some(canaries.again(target, told).await),
        None => None,
    };
    Suite {
        environment: target.name.clone(),
        traces,
        searches,
        masking,
        separation,
        must_be_separated: false,
        not_separated: None,
        beside,
        freshness_max: config.freshness_max,
    }
}

/// Searches for the first traces that were read by their ids, by service, time and an attribute that each has for itself.
async fn searches(
    target: &Target,
    probe: &ProbeConfig,
    wanted: u32,
    traces: &ProbeReport,
    told: Told<'_>,
) -> Searches {
    let until = Instant::now() + probe.deadline;
    let mut running = JoinSet::new();
    for (index, trace) in (0..).zip(generate(probe.seed, traces.at, wanted.min(probe.traces))) {
        // What cannot be read by id cannot be found either, and is a finding already.
        if traces.is_gone(trace.id) {
            continue;
        }
        let query = target.query.clone();
        running.spawn(async move { (trace.id, search(&query, &trace, index, until).await) });
    }
    let (mut searches, total) = (Searches::default(), running.len());
    while let Some(searched) = running.join_next().await {
        let (id, found) = searched.expect("a search does not panic, and nobody aborts it");
        searches.traces += 1;
        told(searches.traces as usize, total, "traces searched for");
        match found {
            Ok(true) => {}
            Ok(false) => searches.missed.push(id),
            Err(error) => {
                searches.unanswered.push(id);
                searches.error = Some(error.to_string());
            }
        }
    }
    searches.missed.sort();
    searches.unanswered.sort();
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

/// Canaries, and what was read of them.
struct Canaries {
    masking: Masking,
    /// The traces, and what was read of each.
    read: Vec<(TraceId, Vec<Span>)>,
}

impl Canaries {
    /// Writes each canary through each receiver, and reads them.
    async fn written_and_read(target: &Target, config: &SuiteConfig) -> Option<Self> {
        if config.masks.is_empty() {
            return None;
        }
        let writer = Writer::new(&config.probe);
        let (traces, planted) = canaries(config.probe.seed, now(), &config.masks, target.receivers.len());
        let mut running = JoinSet::new();
        for (receiver, trace) in traces {
            let receiver: Vec<Client> = target.receivers.get(receiver).cloned().into_iter().collect();
            let (writer, query) = (writer.clone(), target.query.clone());
            running
                .spawn(async move { (trace.id, written_and_read(&writer, &receiver, &query, &trace).await) });
        }
        let receivers = target.receivers.iter().map(named).collect();
        let mut masking = Masking { receivers, planted, ..Masking::default() };
        let mut read = Vec::new();
        for (id, result) in running.join_all().await {
            let spans = result.map(|written| written.spans).unwrap_or_else(|why| {
                masking.error = Some(why);
                Vec::new()
            });
            read.push((id, spans));
        }
        Some(Self { masking, read })
    }

    /// Reads them once more: what masks may come late, and what does not mask too.
    async fn again(self, target: &Target, told: Told<'_>) -> Masking {
        let Self { mut masking, mut read } = self;
        let mut running = JoinSet::new();
        for (id, spans) in &read {
            let (query, id) = (target.query.clone(), *id);
            let was_read = !spans.is_empty();
            let patience = if was_read { SECOND_LOOK } else { Duration::ZERO };
            running.spawn(async move {
                (id, was_read, query.trace_when(id, Instant::now() + patience, |_| true).await)
            });
        }
        let total = running.len();
        told(0, total, CANARIES);
        while let Some(result) = running.join_next().await {
            match result.expect("reading a trace does not panic, and nobody aborts it") {
                (_, true, Ok(spans)) if spans.is_empty() => {
                    masking.not_again = Some("what could be read is not there any more".to_owned());
                }
                (id, _, Ok(spans)) => read.push((id, spans)),
                (_, true, Err(error)) => masking.not_again = Some(error.to_string()),
                // What was not read before is told already.
                (_, false, Err(_)) => {}
            }
            told(total - running.len(), total, CANARIES);
        }
        let spans: Vec<Span> = read.into_iter().flat_map(|(_, spans)| spans).collect();
        let back: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        let came_back = masking.planted.iter().filter(|canary| back.contains(&canary.span)).count();
        masking.read = u32::try_from(came_back).unwrap_or(u32::MAX);
        masking.leaks = leaks(&masking.planted, &spans);
        masking
    }
}

/// A trace that was written.
struct Written {
    /// What can be read of it.
    spans: Vec<Span>,
    /// How long until it could be read whole, or until the time was up.
    took: Duration,
}

/// Writes one trace, waits until it can be read whole or the time is up, and gives what is there.
async fn written_and_read(
    writer: &Writer,
    receivers: &[Client],
    query: &Query,
    trace: &Trace,
) -> Result<Written, String> {
    writer.write(receivers, query, trace).await.map_err(|finding| finding.detail)?;
    let written = Instant::now();
    let enough = |spans: &[Span]| spans.len() >= trace.spans.len();
    let spans = query.trace_when(trace.id, writer.until, enough).await.map_err(|error| error.to_string())?;
    Ok(Written { spans, took: written.elapsed() })
}

/// A trace through each receiver of each of the two alone, and whether any turns up in the other; and how the other one keeps long values.
async fn separation(target: &Target, config: &SuiteConfig) -> (Vec<Separation>, Option<Beside>) {
    let Some(other) = &config.other else { return (Vec::new(), None) };
    // Seeds of their own: these traces are none of those that are probed.
    let (there, back) = tokio::join!(alone(target, config, 0x5e9a_7a7e), alone(other, config, 0x0dd5_1de5));
    let beside =
        long_values(&back).map(|cut_to_bytes| Beside { environment: other.name.clone(), cut_to_bytes });
    let (mut seen, seen_back) =
        tokio::join!(apart(target, &there, other, &back), apart(other, &back, target, &there));
    seen.extend(seen_back);
    (seen, beside)
}

/// A trace that was written to one environment alone, through one receiver.
struct Alone {
    receiver: String,
    trace: Trace,
    /// What is readable where it was written.
    written: Result<Written, String>,
}

/// Writes a trace through each receiver, and waits for them.
async fn alone(target: &Target, config: &SuiteConfig, salt: u64) -> Vec<Alone> {
    let (at, writer) = (now(), Writer::new(&config.probe));
    let mut running = JoinSet::new();
    for (number, receiver) in (0..).zip(&target.receivers) {
        let seed = (config.probe.seed ^ salt).wrapping_add(number);
        let Some(trace) = generate(seed, at, WITH_LONG_VALUES + 1).pop() else { continue };
        let (writer, query, receiver) = (writer.clone(), target.query.clone(), receiver.clone());
        running.spawn(async move {
            let written = written_and_read(&writer, std::slice::from_ref(&receiver), &query, &trace).await;
            (number, Alone { receiver: named(&receiver), trace, written })
        });
    }
    let mut all = running.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, alone)| alone).collect()
}

/// Looks in one environment for what was written to the other alone, for as long as its own traces took to be readable.
async fn apart(written_to: &Target, there: &[Alone], searched_in: &Target, own: &[Alone]) -> Vec<Separation> {
    let readable =
        |alone: &Alone| alone.written.as_ref().ok().filter(|w| !w.spans.is_empty()).map(|w| w.took);
    let freshness = own.iter().filter_map(readable).max();
    let until = Instant::now() + freshness.unwrap_or_default().max(SEPARATION_LOOKS);
    let mut looking = JoinSet::new();
    for (number, alone) in there.iter().enumerate() {
        let (query, id) = (searched_in.query.clone(), alone.trace.id);
        looking.spawn(async move { (number, turns_up(&query, id, until).await) });
    }
    let found: BTreeMap<usize, Turned> = looking.join_all().await.into_iter().collect();
    let seen = |(number, alone): (usize, &Alone)| {
        let seen = match (&alone.written, found.get(&number)) {
            (_, Some(Turned::Up)) => Seen::Yes,
            (Err(why), _) => Seen::Unknown(format!("{}: {why}", written_to.name)),
            (Ok(written), _) if written.spans.is_empty() => {
                Seen::Unknown(format!("it cannot be read in {} either", written_to.name))
            }
            (Ok(_), Some(Turned::Unknown(why))) => Seen::Unknown(format!("{}: {why}", searched_in.name)),
            (Ok(_), _) if freshness.is_none() => Seen::Unknown(format!(
                "what was written to {} cannot be read there either, so that its silence shows nothing",
                searched_in.name
            )),
            (Ok(_), _) => Seen::No,
        };
        Separation {
            written_to: written_to.name.clone(),
            receiver: alone.receiver.clone(),
            searched_in: searched_in.name.clone(),
            trace: alone.trace.id,
            seen,
        }
    };
    there.iter().enumerate().map(seen).collect()
}

/// The most that is left of long values, if that is known: of receivers with several ways, the best counts.
fn long_values(all: &[Alone]) -> Option<Option<usize>> {
    let known = all.iter().filter_map(|alone| cut_to(&alone.trace, &alone.written.as_ref().ok()?.spans));
    known.max_by_key(|cut| cut.unwrap_or(usize::MAX))
}

/// `None` if not all of it came back.
fn cut_to(trace: &Trace, spans: &[Span]) -> Option<Option<usize>> {
    let findings = compare(trace, spans, Repeats::Possible);
    is_whole(&findings).then(|| kept(findings.iter()))
}

/// Whether a trace is where it should not be.
enum Turned {
    Up,
    Nowhere,
    Unknown(String),
}

async fn turns_up(query: &Query, id: TraceId, until: Instant) -> Turned {
    loop {
        match query.trace(id).await {
            Ok(Some(_)) | Err(QueryError::Partial { .. }) => return Turned::Up,
            Ok(None) if Instant::now() + PAUSE > until => return Turned::Nowhere,
            Ok(None) => {}
            Err(error) if !error.may_retry() || Instant::now() + PAUSE > until => {
                return Turned::Unknown(error.to_string());
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}
