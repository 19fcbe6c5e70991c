//! The history gate's hands: draws old traces from the environment that has them, reads each from both, and searches for it.
//!
//! What to think of it is `crossfade_gates::history`; this module only asks. Old traces are drawn as `crate::sample` says, over the whole
//! time that is to be kept. What searches find in both is counted, hour by hour (`count`). Of the traces drawn, some are searched for by operation and by one of their attributes; a search that does not find a trace
//! in the active says nothing of the candidate.

mod count;

use std::collections::BTreeSet;
use std::time::Duration;

use crossfade_gates::difference::Rules;
use crossfade_gates::history::{History, Kept, Old, Outcome, Parts, Promise, Search};
use crossfade_gates::model::{AttributeValue, Span, TraceId};
use crossfade_gates::parity::{Names, Read, Unread};
use crossfade_gates::probe::is_own;
use crossfade_gates::report::Report;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::parity::{Progress, read, store, unread};
use crate::query::{Find, Query, QueryError, Wanted, begin};
use crate::sample::{Draw, Drawn, Window, draw, find_within};

/// Strata of the time that is to be kept.
pub const SLICES: u32 = 48;
/// Traces that are looked at at once.
const AT_ONCE: usize = 16;
/// Traces that are searched for by operation and attribute.
const SEARCHED_MAX: usize = 100;
/// What a search for one trace may give.
const SEARCH_LIMIT: u32 = 500;
/// Around a trace's start, where it is searched for.
const AROUND: u64 = 2_000_000_000;
/// What a search for any trace asks for: some, since what stores give may have begun a little elsewhere.
const ANY: u32 = 20;
/// Right before the cut-over: this part of the time that is kept.
const RECENT: u64 = 20;
/// Reads in a row that nobody answers, after which nobody is asked any more.
const SILENT_MAX: u32 = 24;
/// How often a search is put whose failure may pass.
const ATTEMPTS: u32 = 3;
/// Attributes longer than this are not searched for.
const TEXT_MAX: usize = 100;

/// What a run does.
#[derive(Clone, Debug)]
pub struct HistoryConfig {
    /// The environments' names.
    pub names: Names,
    /// Attributes of which differences are declared.
    pub ignore: Vec<String>,
    /// When the old traces began.
    pub window: Window,
    /// How many are looked at.
    pub traces: usize,
    /// Decides which.
    pub seed: u64,
    /// Strata of that time; [`SLICES`] where nothing else is wanted.
    pub slices: u32,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// Whether migrated history is all there: reads, compares and searches. Takes no longer than the deadline and a few questions' time.
pub async fn run(
    active: &Query,
    candidate: &Query,
    config: &HistoryConfig,
    progress: Progress<'_>,
) -> Report {
    let deadline = Instant::now() + config.deadline;
    let rules = Rules { ignore: config.ignore.clone(), ..Rules::between(store(active), store(candidate)) };
    let mut gate = History::new(config.names.clone(), rules).within(config.window.from, config.window.until);
    progress(0, config.traces, "old traces searched for");
    let drawn = match draw(&[active], &wanted(config)).await {
        Ok(drawn) => drawn,
        Err(error) => {
            gate.stopped(unread(&error));
            return gate.report(sample(config, None), false);
        }
    };
    if let Some(why) = drawn.not_read() {
        gate.stopped(why);
    }
    let now = Instant::now();
    let count_until = now + deadline.saturating_duration_since(now) / 2;
    if let Err(error) = count::count([active, candidate], &drawn, count_until, &mut gate, progress).await {
        gate.stopped(unread(&error));
    }
    look(active, candidate, config, &drawn, deadline, &mut gate, progress).await;
    let is_all = drawn.is_all() && drawn.ids.len() <= config.traces;
    gate.report(sample(config, Some(&drawn)), is_all)
}

/// Whether history that is kept in one environment can still be read there, and is what an earlier look found.
pub async fn kept(
    query: &Query,
    config: &HistoryConfig,
    (promise, earlier): (Promise, Option<Parts>),
    progress: Progress<'_>,
) -> Report {
    let deadline = Instant::now() + config.deadline;
    let mut gate = Kept::new(&config.names.active, promise, earlier);
    progress(0, config.traces, "old traces searched for");
    let drawn = match draw(&[query], &wanted(config)).await {
        Ok(drawn) => drawn,
        Err(error) => {
            gate.stopped(unread(&error));
            return gate.report(sample(config, None), false);
        }
    };
    if let Some(why) = drawn.not_read() {
        gate.stopped(why);
    }
    match recent(query, config).await {
        Ok(count) => gate.recent(count),
        Err(why) => gate.stopped(why),
    }
    let ids: Vec<TraceId> = drawn.ids.iter().copied().take(config.traces).collect();
    let total = ids.len();
    let mut silent = 0;
    for (nth, chunk) in ids.chunks(AT_ONCE).enumerate() {
        if Instant::now() >= deadline || silent >= SILENT_MAX {
            gate.stopped(ended(silent));
            break;
        }
        let reads = read_all(query, chunk).await;
        for (id, answer) in reads {
            silent = if answer.as_ref().is_err_and(|e| !e.answered()) { silent + 1 } else { 0 };
            let answer = read(answer);
            let begun = match &answer {
                Read::Spans(spans) => begin(spans),
                Read::Unread(_) => None,
            };
            // One that cannot be read any more began about when its search looked.
            gate.add(id, begun.or_else(|| drawn.about(&id)).unwrap_or(config.window.from), &answer);
        }
        progress((nth + 1) * AT_ONCE.min(total), total, "old traces read");
    }
    if let Err(why) = unseen(query, &mut gate, deadline).await {
        gate.stopped(why);
    }
    gate.report(sample(config, Some(&drawn)), drawn.is_all() && drawn.ids.len() <= config.traces)
}

/// Searches for any trace of the parts that an earlier look knew and this one has not drawn from.
async fn unseen(query: &Query, gate: &mut Kept, deadline: Instant) -> Result<(), Unread> {
    let parts = gate.unseen();
    if parts.is_empty() {
        return Ok(());
    }
    for (from, until) in parts {
        let services = query.services_of(from, until).await.map_err(|error| unread(&error))?;
        let mut is_found = false;
        if services.iter().all(|service| is_own(service)) {
            return Err(no_services());
        }
        for service in services.iter().filter(|service| !is_own(service)) {
            if Instant::now() >= deadline {
                return Err(ended(0));
            }
            let window = Window { from, until };
            let found = find_within(query, service, window, 0, ANY, deadline)
                .await
                .map_err(|error| unread(&error))?;
            // As many as were asked for, all of which began elsewhere: nothing is said of the part.
            is_found |= !found.ids.is_empty() || found.is_full;
            if is_found {
                break;
            }
        }
        gate.searched(from, is_found);
    }
    Ok(())
}

fn wanted(config: &HistoryConfig) -> Draw {
    let search_until = Instant::now() + config.deadline / 3;
    Draw {
        window: config.window,
        traces: config.traces,
        seed: config.seed,
        slices: config.slices,
        whole_first: false,
        deadline: search_until,
    }
}

fn sample(config: &HistoryConfig, drawn: Option<&Drawn>) -> Value {
    json!({ "seed": config.seed.to_string(), "wanted": config.traces, "draw": drawn.map(Drawn::facts) })
}

fn ended(silent: u32) -> Unread {
    if silent >= SILENT_MAX {
        let why = format!("{SILENT_MAX} questions in a row had no answer; nobody was asked any more");
        return Unread { why, answered: false };
    }
    Unread {
        why: "the time was up before all was read; raise the deadline, or look at fewer traces".to_owned(),
        answered: true,
    }
}

/// That searches cannot be put, which shows nothing of what there is.
fn no_services() -> Unread {
    let why = "it lists no services, and traces can be searched for by service only".to_owned();
    Unread { why, answered: true }
}

/// How many traces a search finds in the last part of the time. That there are none is known only of one that was searched whole.
async fn recent(query: &Query, config: &HistoryConfig) -> Result<u64, Unread> {
    let Window { from, until } = config.window;
    let window = Window { from: until - (until - from) / RECENT, until };
    let last = Draw { window, traces: 1, slices: 1, ..wanted(config) };
    let drawn = draw(&[query], &last).await.map_err(|error| unread(&error))?;
    match drawn.ids.len() as u64 {
        0 if drawn.services().is_empty() => Err(no_services()),
        0 if !drawn.is_all() => Err(ended(0)),
        count => Ok(count),
    }
}

/// Reads and searches for the traces drawn.
async fn look(
    active: &Query,
    candidate: &Query,
    config: &HistoryConfig,
    drawn: &Drawn,
    deadline: Instant,
    gate: &mut History,
    progress: Progress<'_>,
) {
    let total = config.traces.min(drawn.ids.len());
    let (mut count, mut silent, mut asked) = (0, 0, 0);
    for chunk in drawn.ids.chunks(AT_ONCE) {
        if count >= config.traces {
            return;
        }
        if Instant::now() >= deadline || silent >= SILENT_MAX {
            return gate.stopped(ended(silent));
        }
        let mut running = JoinSet::new();
        for (nth, id) in chunk.iter().enumerate() {
            let (active, candidate, id) = (active.clone(), candidate.clone(), *id);
            let is_searched = asked + nth < SEARCHED_MAX;
            running.spawn(async move { (nth, one(&active, &candidate, id, is_searched).await) });
        }
        asked += chunk.len();
        let mut looked = running.join_all().await;
        looked.sort_by_key(|(nth, _)| *nth);
        for (_, mut old) in looked {
            if count >= config.traces {
                return;
            }
            if old.begun == 0 {
                old.begun = drawn.about(&old.id).unwrap_or(config.window.from);
            } else if !drawn.holds(old.begun) {
                continue;
            }
            let is_silent = [&old.active, &old.candidate]
                .into_iter()
                .any(|r| matches!(r, Read::Unread(u) if !u.answered));
            silent = if is_silent { silent + 1 } else { 0 };
            count += 1;
            gate.add(&old);
        }
        progress(count, total, "old traces compared");
    }
}

/// What a search finds; it is put again if its failure may pass.
async fn ids(query: &Query, find: &Find) -> Result<BTreeSet<TraceId>, QueryError> {
    let mut attempt = 1;
    loop {
        match query.find_ids(find).await {
            Err(error) if error.may_retry() && attempt < ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

async fn one(active: &Query, candidate: &Query, id: TraceId, is_searched: bool) -> Old {
    let (mine, theirs) = tokio::join!(active.trace(id), candidate.trace(id));
    let spans = mine.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
    let begun = begin(spans).unwrap_or(0);
    let is_there = theirs.as_ref().is_ok_and(Option::is_some);
    let mut searches = Vec::new();
    if is_there && is_searched {
        for (by, find) in questions(spans, begun) {
            let (in_active, in_candidate) = tokio::join!(ids(active, &find), ids(candidate, &find));
            let outcome = match (in_active, in_candidate) {
                (Err(error), _) | (_, Err(error)) => Outcome::Unanswered(error.to_string()),
                (_, Ok(found)) if found.len() >= SEARCH_LIMIT as usize && !found.contains(&id) => {
                    Outcome::Full
                }
                (Ok(mine), Ok(theirs)) => {
                    Outcome::Answered { in_active: mine.contains(&id), in_candidate: theirs.contains(&id) }
                }
            };
            searches.push(Search { by, outcome });
        }
    }
    Old { id, begun, active: read(mine), candidate: read(theirs), searches }
}

/// What people would search by: service, operation, and an attribute that says something.
fn questions(spans: &[Span], begun: u64) -> Vec<(String, Find)> {
    let Some(span) = spans.iter().find(|s| s.parent.is_none()).or_else(|| spans.first()) else {
        return Vec::new();
    };
    let mut find = Find::new(span.service(), begun.saturating_sub(AROUND), begun.saturating_add(AROUND));
    find.limit = SEARCH_LIMIT;
    let mut out = vec![("service".to_owned(), find.clone())];
    find.operation = Some(span.name.clone());
    out.push(("operation".to_owned(), find.clone()));
    let telling = span.attributes.iter().find(|(_, value)| match value {
        AttributeValue::String(text) => (1..=TEXT_MAX).contains(&text.len()),
        _ => false,
    });
    if let Some((key, wanted)) = telling.and_then(|(key, value)| Some((key, Wanted::of(value)?))) {
        find.operation = None;
        find.attributes.insert(key.clone(), wanted);
        out.push((format!("attribute `{key}`"), find));
    }
    out
}

async fn read_all(query: &Query, ids: &[TraceId]) -> Vec<(TraceId, Result<Option<Vec<Span>>, QueryError>)> {
    let mut running = JoinSet::new();
    for (nth, id) in ids.iter().enumerate() {
        let (query, id) = (query.clone(), *id);
        running.spawn(async move { (nth, (id, query.trace(id).await)) });
    }
    let mut out = running.join_all().await;
    out.sort_by_key(|(nth, _)| *nth);
    out.into_iter().map(|(_, read)| read).collect()
}
