//! The parity gate's hands: draws traces, reads each from both environments, and waits for what is late.
//!
//! What to think of a pair is `crossfade_gates::parity`; this module only asks, and keeps time. A trace that one side has and the other
//! lacks in part may only not be readable yet: such pairs are read again at the end, together, until they are whole, or none of them
//! has got any better for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossfade_gates::difference::{Rules, Store, compare};
use crossfade_gates::model::TraceId;
use crossfade_gates::parity::{Limits, Names, Parity, Read, Unread, may_arrive};
use crossfade_gates::report::Report;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::query::{Query, QueryError, QueryKind, begin};
use crate::sample::{Draw, Drawn, Window, draw};

/// Pairs that are read at once.
const AT_ONCE: usize = 24;
/// Strata of the window.
const SLICES: u32 = 32;
/// Traces that show how services called each other before.
const BASELINE_TRACES: usize = 200;
/// Of the time that is left, the part that they may take: nothing depends on them.
const BASELINE_SHARE: u32 = 8;
/// Reads in a row that nobody answers, after which nobody is asked any more.
const SILENT_MAX: u32 = 24;
/// Of the pairs that are waited for, how many are asked for again at a time.
const AGAIN_AT_ONCE: usize = 200;
/// Pauses between two looks at what is late.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];

/// Says whether a trace is the candidate's, by its id and when it began (nanoseconds since 1970).
pub type Owns = Arc<dyn Fn(&TraceId, u64) -> bool + Send + Sync>;

/// Told how far it has come: done, of how many, at what.
pub type Progress<'a> = &'a (dyn Fn(usize, usize, &str) + Send + Sync);

/// What a run does.
#[derive(Clone)]
pub struct ParityConfig {
    /// The environments' names.
    pub names: Names,
    /// What may differ.
    pub limits: Limits,
    /// Attributes of which differences are declared.
    pub ignore: Vec<String>,
    /// When the traces began.
    pub window: Window,
    /// How many are compared at most.
    pub traces: usize,
    /// Decides which.
    pub seed: u64,
    /// Whether the active's traces are drawn from, too. Only where both receive every trace.
    pub both_ways: bool,
    /// Which traces count; all of them, if `None`.
    pub owns: Option<Owns>,
    /// When the active recorded what shows how services call each other.
    pub baseline: Option<Window>,
    /// How long to wait for traces that are late, as long as any of them gets better.
    pub patience: Duration,
    /// How long all of it may take.
    pub deadline: Duration,
}

impl fmt::Debug for ParityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParityConfig")
            .field("window", &self.window)
            .field("traces", &self.traces)
            .finish_non_exhaustive()
    }
}

/// Compares the two environments. Takes no longer than the deadline and one question's time.
pub async fn run(active: &Query, candidate: &Query, config: &ParityConfig, progress: Progress<'_>) -> Report {
    let deadline = Instant::now() + config.deadline;
    let rules = Rules { ignore: config.ignore.clone(), ..Rules::between(store(active), store(candidate)) };
    let mut gate = Parity::new(config.names.clone(), rules.clone(), config.limits);
    progress(0, config.traces, "traces searched for");
    let from: &[&Query] = if config.both_ways { &[candidate, active] } else { &[candidate] };
    let search_until = Instant::now() + config.deadline / 2;
    let wanted = Draw {
        window: config.window,
        traces: config.traces,
        seed: config.seed,
        slices: SLICES,
        whole_first: true,
        deadline: search_until,
    };
    let drawn = match draw(from, &wanted).await {
        Ok(drawn) => drawn,
        Err(error) => {
            gate.stopped(unread(&error));
            return gate.report(sample(config, None));
        }
    };
    if let Some(why) = drawn.not_read() {
        gate.stopped(why);
    }
    if let Some(window) = config.baseline {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = Instant::now() + left / BASELINE_SHARE;
        // What has not come by then shows nothing.
        let _ = timeout_at(until, baseline(active, config, window, until, &mut gate)).await;
    }
    let reader = Reader { active, candidate, config, drawn: &drawn, rules: &rules, deadline };
    reader.read_all(&mut gate, progress).await;
    gate.report(sample(config, Some(&drawn)))
}

/// What keeps an environment's traces.
pub(crate) fn store(query: &Query) -> Store {
    match query.kind() {
        QueryKind::Jaeger => Store::Jaeger,
        QueryKind::Tempo => Store::Tempo,
    }
}

fn sample(config: &ParityConfig, drawn: Option<&Drawn>) -> Value {
    json!({
        "seed": config.seed.to_string(),
        "both_ways": config.both_ways,
        "owned_only": config.owns.is_some(),
        "wanted": config.traces,
        "draw": drawn.map(Drawn::facts),
    })
}

/// Reads some of what the active recorded before. What cannot be had shows nothing.
async fn baseline(
    active: &Query,
    config: &ParityConfig,
    window: Window,
    deadline: Instant,
    gate: &mut Parity,
) {
    let wanted = Draw {
        window,
        traces: BASELINE_TRACES,
        seed: config.seed,
        slices: SLICES / 4,
        whole_first: true,
        deadline,
    };
    let Ok(drawn) = draw(&[active], &wanted).await else { return };
    let mut reading = JoinSet::new();
    for id in drawn.ids.into_iter().take(BASELINE_TRACES) {
        let active = active.clone();
        reading.spawn(async move { active.trace(id).await });
    }
    while let Some(read) = reading.join_next().await {
        if let Ok(Ok(Some(spans))) = read {
            gate.baseline(&spans);
        }
    }
}

/// One pair, as it was read.
struct Pair {
    id: TraceId,
    active: Read,
    candidate: Read,
    may_mend: bool,
}

struct Reader<'a> {
    active: &'a Query,
    candidate: &'a Query,
    config: &'a ParityConfig,
    drawn: &'a Drawn,
    rules: &'a Rules,
    deadline: Instant,
}

impl Reader<'_> {
    async fn read_all(&self, gate: &mut Parity, progress: Progress<'_>) {
        let mut late = Vec::new();
        let mut count = 0;
        let mut silent = 0;
        let mut ids = self.drawn.ids.iter().copied();
        let mut running = JoinSet::new();
        let begun = Instant::now();
        // The other half is for what is late.
        let until = begun + self.deadline.saturating_duration_since(begun) / 2;
        let (mut next, mut done) = (0_usize, 0_usize);
        let mut arrived = BTreeMap::new();
        // In the order of the draw, so that one seed compares the same traces again.
        while count < self.config.traces && silent < SILENT_MAX {
            while running.len() + arrived.len() < AT_ONCE && Instant::now() < until {
                let Some(id) = ids.next() else { break };
                running.spawn(pair(next, self.active.clone(), self.candidate.clone(), id));
                next += 1;
            }
            let Some(read) = running.join_next().await else { break };
            let (nth, pair) = read.expect("reading does not panic, and nobody aborts it");
            arrived.insert(nth, pair);
            while let Some(mut pair) = arrived.remove(&done) {
                done += 1;
                if count >= self.config.traces || !self.counts(&pair) {
                    continue;
                }
                count += 1;
                silent = if pair.is_silent() { silent + 1 } else { 0 };
                pair.may_mend |= self.may_mend(&pair);
                if pair.may_mend {
                    late.push((pair.id, pair.is_silent()))
                } else {
                    gate.add(pair.id, &pair.active, &pair.candidate)
                }
                progress(count, self.config.traces.min(self.drawn.ids.len()), "traces compared");
            }
        }
        if silent >= SILENT_MAX {
            let why = format!("{SILENT_MAX} questions in a row had no answer; nobody was asked any more");
            gate.stopped(Unread { why, answered: false });
        }
        let wait_until = self.deadline.checked_sub(begun.elapsed()).unwrap_or(begun);
        self.wait_for(late, gate, progress, if silent < SILENT_MAX { wait_until } else { begun }).await;
    }

    /// Whether a trace is among those that were to be drawn, by when it began.
    fn counts(&self, pair: &Pair) -> bool {
        let begins = [&pair.candidate, &pair.active].into_iter().find_map(|read| match read {
            Read::Spans(spans) => begin(spans),
            Read::Unread(_) => None,
        });
        // Of what could not be read, nothing is known; it does not go unnoticed.
        let Some(begins) = begins else { return true };
        self.drawn.holds(begins) && self.config.owns.as_ref().is_none_or(|owns| owns(&pair.id, begins))
    }

    fn may_mend(&self, pair: &Pair) -> bool {
        let (Read::Spans(mine), Read::Spans(theirs)) = (&pair.active, &pair.candidate) else { return false };
        compare(mine, theirs, self.rules).differences.iter().any(|d| may_arrive(d.what))
    }

    /// Reads what is late again and again, as long as any of it gets better. With each, whether nobody answered when it was read last.
    async fn wait_for(
        &self,
        mut late: Vec<(TraceId, bool)>,
        gate: &mut Parity,
        progress: Progress<'_>,
        until: Instant,
    ) {
        let mut pause = PAUSE[0];
        let mut better = Instant::now();
        while !late.is_empty() {
            let is_last = better.elapsed() + pause > self.config.patience || Instant::now() + pause > until;
            let some = if is_last { late.len() } else { late.len().min(AGAIN_AT_ONCE) };
            let before = late.len();
            progress(0, before, "traces waited for");
            if !is_last {
                sleep(pause).await;
                pause = (pause * 3 / 2).min(PAUSE[1]);
            }
            let asked: Vec<(TraceId, bool)> = late.drain(..some).collect();
            for chunk in asked.chunks(AT_ONCE) {
                if is_last && Instant::now() >= self.deadline {
                    for (id, is_silent) in chunk {
                        let answered = !is_silent;
                        let late = Read::Unread(Unread { why: "the time is up".to_owned(), answered });
                        gate.add(*id, &late, &late);
                    }
                    continue;
                }
                let mut running = JoinSet::new();
                for (nth, (id, _)) in chunk.iter().enumerate() {
                    running.spawn(pair(nth, self.active.clone(), self.candidate.clone(), *id));
                }
                let mut pairs = running.join_all().await;
                pairs.sort_by_key(|(nth, _)| *nth);
                for (_, pair) in pairs {
                    if !is_last && (pair.may_mend || self.may_mend(&pair)) {
                        late.push((pair.id, pair.is_silent()));
                    } else {
                        gate.add(pair.id, &pair.active, &pair.candidate);
                    }
                }
            }
            if late.len() < before {
                better = Instant::now();
            }
        }
    }
}

impl Pair {
    fn is_silent(&self) -> bool {
        [&self.active, &self.candidate].into_iter().any(|read| matches!(read, Read::Unread(u) if !u.answered))
    }
}

/// Reads one trace from both.
async fn pair(nth: usize, active: Query, candidate: Query, id: TraceId) -> (usize, Pair) {
    let (mine, theirs) = tokio::join!(active.trace(id), candidate.trace(id));
    let may_mend = [&mine, &theirs].into_iter().any(|read| read.as_ref().is_err_and(QueryError::may_retry));
    (nth, Pair { id, active: read(mine), candidate: read(theirs), may_mend })
}

/// What reading came to, in the gate's words.
pub(crate) fn read(answer: Result<Option<Vec<crossfade_gates::model::Span>>, QueryError>) -> Read {
    match answer {
        Ok(spans) => Read::Spans(spans.unwrap_or_default()),
        Err(error) => Read::Unread(unread(&error)),
    }
}

pub(crate) fn unread(error: &QueryError) -> Unread {
    Unread { why: error.to_string(), answered: !error.is_out_of_reach() }
}
