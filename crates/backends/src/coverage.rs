//! What an environment records, in outline: an inventory of a sample of each service's traces.
//!
//! Services are asked for by name, and each one's traces in slices of the window, as many from each: what happens at one time of
//! the window only must not be all that is seen of one environment, and nothing of the other. A service whose question has no
//! answer is a trouble, and the others are looked at all the same. The same traces, put together by trace, come from files
//! of OTLP/JSON.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_gates::coverage::{Piece, Recorded, Trouble, Volume, Window};
use crossfade_gates::inventory::{Names, Sight};
use crossfade_gates::model::{Span, TraceId};
use crossfade_gates::probe::is_own;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::query::{self, Find, Query, QueryError, Wanted};

/// What to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageConfig {
    /// The time.
    pub window: Window,
    /// Into how many parts it is cut.
    pub slices: u32,
    /// Traces of each service at most, over all slices.
    pub traces_per_service: u32,
    /// Services at most, in the order of their names.
    pub services_max: usize,
    /// Only traces with a span that has these attributes, or whose resource has.
    pub attributes: BTreeMap<String, Wanted>,
    /// When it has to be done.
    pub deadline: Instant,
}

impl CoverageConfig {
    /// 240 traces of each service, from six slices; 500 services.
    pub fn new(window: Window, deadline: Instant) -> Self {
        Self {
            window,
            slices: 6,
            traces_per_service: 240,
            services_max: 500,
            attributes: BTreeMap::new(),
            deadline,
        }
    }
}

/// Services that are asked for at one time.
const AT_ONCE: usize = 8;
/// Troubles that are kept.
const TROUBLES_MAX: usize = 20;
/// A piece with so many traces is too large to be counted.
const COUNTED_MAX: u32 = 100;
/// Pieces are no shorter than this, in nanoseconds: Tempo searches by whole seconds.
const PIECE_MIN: u64 = 4_000_000_000;

/// Takes the inventory.
///
/// # Errors
/// The services cannot be had.
pub async fn look(query: &Query, config: &CoverageConfig) -> Result<Recorded, Trouble> {
    let services = match timeout_at(config.deadline, query.services()).await {
        Ok(services) => services.map_err(|error| trouble(&error))?,
        Err(_) => return Err(late(query)),
    };
    let mut services: Vec<String> = services;
    services.retain(|name| !is_own(name));
    let mut recorded = Recorded::default();
    let left_out = services.len().saturating_sub(config.services_max);
    recorded.services_left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
    services.truncate(config.services_max);
    let (mut names, mut waiting, mut asking) = (Names::default(), services.into_iter(), JoinSet::new());
    loop {
        while asking.len() < AT_ONCE
            && let Some(service) = waiting.next()
        {
            let (query, config) = (query.clone(), config.clone());
            asking.spawn(async move { (sample(&query, &config, &service).await, service) });
        }
        let Some(sampled) = asking.join_next().await else { break };
        let (sampled, service) = sampled.expect("asking does not panic, and nobody aborts it");
        match sampled {
            Ok(sampled) => enter(&mut recorded, &mut names, &service, sampled),
            Err(trouble) => {
                recorded.unread.insert(service);
                if recorded.troubles.len() < TROUBLES_MAX {
                    recorded.troubles.push(trouble);
                }
            }
        }
    }
    recorded.inventory.left_out.names = names.left_out;
    Ok(recorded)
}

/// Counts the traces of these services, each in a piece of every slice that is small enough for one search: `volumes` of what was recorded.
/// What has no answer stays uncounted.
pub async fn count(query: &Query, config: &CoverageConfig, services: Vec<String>, recorded: &mut Recorded) {
    let (mut waiting, mut asking) = (services.into_iter(), JoinSet::new());
    loop {
        while asking.len() < AT_ONCE
            && let Some(service) = waiting.next()
        {
            let (query, config) = (query.clone(), config.clone());
            asking.spawn(async move { (pieces(&query, &config, &service).await, service) });
        }
        let Some(counted) = asking.join_next().await else { return };
        let (pieces, service) = counted.expect("asking does not panic, and nobody aborts it");
        let seen = recorded.inventory.services.get(&service).map_or(0, |service| service.seen.traces);
        if let Some(pieces) = pieces {
            recorded.volumes.insert(service, Volume::of(&pieces, seen));
        }
    }
}

/// One piece of each slice, halved at random until a search gives less than it may.
async fn pieces(query: &Query, config: &CoverageConfig, service: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for (nth, (mut from, mut until)) in slices(config).into_iter().enumerate() {
        let mut sides = sides(service, nth);
        let mut halved = 0;
        let traces = loop {
            let mut find = Find::new(service, from, until);
            (find.limit, find.attributes) = (COUNTED_MAX, config.attributes.clone());
            let found = timeout_at(config.deadline, query.find_ids(&find)).await.ok()?.ok()?.len();
            if found < COUNTED_MAX as usize || until - from < 2 * PIECE_MIN {
                break u32::try_from(found).unwrap_or(u32::MAX);
            }
            let middle = from + (until - from) / 2;
            (from, until) = if sides & 1 == 0 { (from, middle) } else { (middle, until) };
            (sides, halved) = (sides >> 1, halved + 1);
        };
        pieces.push(Piece { traces, halved });
    }
    Some(pieces)
}

/// Which half, bit by bit: what has nothing to do with when traces come (FNV-1a, and its bits mixed).
fn sides(service: &str, slice: usize) -> u64 {
    let fnv = service.bytes().chain(slice.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ fnv >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

fn slices(config: &CoverageConfig) -> Vec<(u64, u64)> {
    let Window { from, until } = config.window;
    let slices = u64::from(config.slices.max(1));
    let step = until.saturating_sub(from) / slices;
    let end = |slice: u64| if slice + 1 == slices { until } else { from + (slice + 1) * step };
    (0..slices).map(|slice| (from + slice * step, end(slice))).collect()
}

/// The traces of a file of OTLP/JSON, as the Collector's file exporter writes it: one object, or one a line.
///
/// # Errors
/// In words: it is something else.
pub fn from_json(bytes: &[u8]) -> Result<Recorded, String> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in query::spans_of_json(bytes)? {
        traces.entry(span.trace_id).or_default().push(span);
    }
    let (mut recorded, mut names) = (Recorded::default(), Names::default());
    recorded.inventory.schema_version = 1;
    for spans in traces.into_values() {
        let sights: Vec<Sight> = spans.iter().map(|span| Sight::of(span, &mut names)).collect();
        recorded.inventory.note(&sights, None, 1);
    }
    Ok(recorded)
}

/// Traces of one service.
#[derive(Default)]
struct Sampled {
    traces: BTreeMap<TraceId, Vec<Span>>,
    partial: BTreeSet<TraceId>,
    cut_short: bool,
}

async fn sample(query: &Query, config: &CoverageConfig, service: &str) -> Result<Sampled, Trouble> {
    let limit = config.traces_per_service.div_ceil(config.slices.max(1));
    let mut sampled = Sampled::default();
    for (begin, end) in slices(config) {
        let mut find = Find::new(service, begin, end);
        (find.limit, find.attributes) = (limit, config.attributes.clone());
        let found = match timeout_at(config.deadline, query.find(&find)).await {
            Ok(found) => found.map_err(|error| trouble(&error))?,
            Err(_) => return Err(late(query)),
        };
        sampled.cut_short |= found.traces.len() + found.partial.len() >= limit as usize;
        sampled.traces.extend(found.traces);
        sampled.partial.extend(found.partial);
    }
    Ok(sampled)
}

fn enter(recorded: &mut Recorded, names: &mut Names, service: &str, sampled: Sampled) {
    recorded.inventory.schema_version = 1;
    recorded.partial =
        recorded.partial.saturating_add(u32::try_from(sampled.partial.len()).unwrap_or(u32::MAX));
    for spans in sampled.traces.values() {
        let sights: Vec<Sight> = spans.iter().map(|span| Sight::of(span, names)).collect();
        recorded.inventory.note(&sights, Some(service), 1);
    }
    if let Some(found) = recorded.inventory.services.get_mut(service) {
        found.cut_short = sampled.cut_short;
    }
}

fn trouble(error: &QueryError) -> Trouble {
    Trouble { what: error.to_string(), answered: !error.is_out_of_reach() }
}

fn late(query: &Query) -> Trouble {
    Trouble {
        what: format!("{} was not done with answering when the time was up", query.endpoint()),
        answered: false,
    }
}
