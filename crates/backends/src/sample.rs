//! Traces drawn at random from a time window of an environment.
//!
//! No store can be asked for a random trace; searches give what is newest, or whatever comes first. So the window is cut into strata of
//! one length, and from each a slice of one width is taken at a place that the seed decides. Whatever began within the slices is
//! asked for, service by service. If a search gives as many traces as were asked for, there may be more; then *all* slices are
//! made narrower, and asked for anew, so that what began in a busy minute is as likely to be drawn as what began in a quiet one. Of
//! all that was found, those come first whose ids hash lowest with the seed.
//!
//! *How uniform that is.* Each trace that began in the window, and of which a service that was asked for has a span, is equally likely
//! to be found. Traces that began close together are found together: the sample is one of slices, and what lasts less than a stratum
//! may be missed as a whole (history counts every hour besides). Where the slices cover the whole window, as they do if there is little in it, every trace is found, and the
//! order is a random one. Three things bend this, and each is in the facts: services that are left out because there are too many (those
//! asked for are chosen by the seed); slices that hold too much even when they are as narrow as searches can be (`crowded`); searches
//! that run out (`stopped`). So do searches without an answer, tried several times (`unread`): the others are put all the same; but where
//! they are too many, or all of a service, the draw shows too little for a verdict (`not_read`).
//!
//! Crossfade's own traces are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossfade_gates::model::TraceId;
use crossfade_gates::parity::Unread;
use crossfade_gates::probe::is_own;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::parity::unread;
use crate::query::{Find, Query, QueryError, QueryKind};

/// Services that are asked for.
const SERVICES_MAX: usize = 60;
/// Traces that one search may give.
const TRACES_PER_SEARCH: u32 = 200;
/// Searches of one draw.
const SEARCHES_MAX: u32 = 4_000;
/// Ids that are kept.
const IDS_MAX: usize = 200_000;
/// How often a search is put whose failure may pass.
const ATTEMPTS: u32 = 3;
/// Before the second time, and twice as long before the third.
const PAUSE: Duration = Duration::from_millis(250);
/// Searches in a row without an answer, after which nobody is asked any more.
const SILENT_MAX: u32 = 24;
/// Of this many searches, one may be without an answer.
const UNREAD_OF: u32 = 20;
/// Of the services that could not be searched for, so many are named.
const SERVICES_SHOWN: usize = 5;
/// Of the times that could not be searched, so many are named.
const UNREAD_SHOWN: usize = 20;
/// Searches at once; the client has a bound of its own.
const AT_ONCE: usize = 16;
/// No slice is narrower, in nanoseconds: stores count in microseconds, or seconds.
pub(crate) const fn narrowest_of(kind: QueryKind) -> u64 {
    match kind {
        QueryKind::Jaeger => 1_000_000,
        QueryKind::Tempo => 1_000_000_000,
    }
}

/// A span of time, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At or after.
    pub from: u64,
    /// Before.
    pub until: u64,
}

/// What to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// When the traces began.
    pub window: Window,
    /// How many are wanted; usually more are found.
    pub traces: usize,
    /// Decides where the slices lie, and the order.
    pub seed: u64,
    /// Strata.
    pub slices: u32,
    /// Whether the whole window is tried at once first, which is all where there is little in it.
    pub whole_first: bool,
    /// When to stop searching.
    pub deadline: Instant,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The ids, in random order.
    pub ids: Vec<TraceId>,
    slices: Vec<Slice>,
    width: u64,
    stratum: u64,
    about: BTreeMap<TraceId, u64>,
    services: Vec<String>,
    services_left_out: usize,
    searches: u32,
    crowded: u32,
    stopped: bool,
    /// Where searches that had no answer would have begun, why the first had none, and how many of them there were in a row.
    unread: BTreeSet<u64>,
    /// What came of the searches in each environment, in the order given, for each service.
    asked: BTreeMap<(usize, String), Asked>,
    why: Option<QueryError>,
    silent: u32,
    draw: Draw,
}

/// One slice: a piece of its stratum, or two, since it goes on at the beginning where it meets the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    stratum: Window,
    offset: u64,
}

/// Searches that count.
#[derive(Clone, Debug, Default)]
struct Asked {
    answered: u32,
    unread: u32,
    /// Why the first unread one had no answer.
    why: Option<QueryError>,
}

/// One search and what it came to.
pub(crate) struct Searched {
    /// What began within the time, as far as the answer says when it began.
    pub(crate) ids: Vec<TraceId>,
    /// There may be more.
    pub(crate) is_full: bool,
}

/// Draws from one environment, or from several that should hold the same: then what any of them has may be drawn.
///
/// # Errors
/// The first question that has no answer, if nothing was found, too many in a row have none, or asking again cannot help.
pub async fn draw(from: &[&Query], draw: &Draw) -> Result<Drawn, QueryError> {
    let stratum = (draw.window.until.saturating_sub(draw.window.from) / u64::from(draw.slices.max(1))).max(1);
    // Those of the latest stratum besides: stores list no longer times than they search.
    let latest = Window { from: draw.window.until.saturating_sub(stratum), until: draw.window.until };
    let (services, services_left_out) = services(from, latest, draw.seed).await?;
    let mut drawn = Drawn {
        ids: Vec::new(),
        slices: Vec::new(),
        width: stratum,
        stratum,
        about: BTreeMap::new(),
        services: services.clone(),
        services_left_out,
        searches: 0,
        crowded: 0,
        stopped: false,
        unread: BTreeSet::new(),
        asked: BTreeMap::new(),
        why: None,
        silent: 0,
        draw: draw.clone(),
    };
    drawn.forget(from.len());
    let narrowest = narrowest(from).min(stratum);
    let mut found = BTreeMap::new();
    if draw.whole_first {
        let asked =
            (0..from.len()).flat_map(|nth| services.iter().map(move |s| (nth, draw.window, s.clone())));
        let ended = search(from, asked.collect(), false, &mut drawn, &mut found).await?;
        if !matches!(ended, Ended::TooWide) {
            drawn.stopped = matches!(ended, Ended::Stopped);
            (drawn.width, drawn.stratum) = (draw.window.length_nanos(), draw.window.length_nanos());
            drawn.slices = vec![Slice { stratum: draw.window, offset: 0 }];
            return drawn.ordered(found);
        }
        found.clear();
        drawn.forget(from.len());
    }
    let mut round = 0;
    loop {
        let slices = slices(draw, stratum, round);
        let asked: Vec<(usize, Window, String)> = (0..from.len())
            .flat_map(|nth| slices.iter().map(move |slice| (nth, slice)))
            .flat_map(|(nth, slice)| slice.pieces(drawn.width).into_iter().map(move |piece| (nth, piece)))
            .flat_map(|(nth, piece)| services.iter().map(move |s| (nth, piece, s.clone())))
            .collect();
        let is_narrow = drawn.width <= narrowest;
        match search(from, asked, is_narrow, &mut drawn, &mut found).await? {
            // All slices alike: what was found in the wider ones counts for nothing.
            Ended::TooWide => {
                drawn.width = (drawn.width / 4).max(narrowest);
                drawn.slices.clear();
                drawn.forget(from.len());
                found.clear();
                round = 0;
                continue;
            }
            Ended::Stopped => drawn.stopped = true,
            Ended::Done => {}
        }
        drawn.slices.extend(slices);
        let is_all = drawn.width >= stratum;
        if is_all || drawn.stopped || found.len() >= draw.traces + draw.traces / 4 || found.len() >= IDS_MAX {
            break;
        }
        round += 1;
    }
    drawn.ordered(found)
}

enum Ended {
    Done,
    TooWide,
    Stopped,
}

/// Puts the searches, some at once. Ends early if one of them is full and may be made narrower.
async fn search(
    from: &[&Query],
    asked: Vec<(usize, Window, String)>,
    is_narrow: bool,
    drawn: &mut Drawn,
    found: &mut BTreeMap<TraceId, u64>,
) -> Result<Ended, QueryError> {
    let mut running = JoinSet::new();
    let mut waiting = asked.into_iter();
    loop {
        while running.len() < AT_ONCE {
            let is_over = Instant::now() >= drawn.draw.deadline || drawn.searches >= SEARCHES_MAX;
            if is_over && waiting.len() > 0 {
                return Ok(Ended::Stopped);
            }
            let Some((nth, window, service)) = waiting.next() else { break };
            drawn.searches += 1;
            let until = drawn.draw.deadline;
            let query = from[nth].clone();
            running.spawn(async move {
                let searched = find_within(&query, &service, window, 0, TRACES_PER_SEARCH, until).await;
                (window.from, (nth, service), searched)
            });
        }
        let Some(searched) = running.join_next().await else { return Ok(Ended::Done) };
        let (about, whose, searched) = searched.expect("a search does not panic, and nobody aborts it");
        let asked = drawn.asked.entry(whose).or_default();
        let Searched { ids, is_full } = match searched {
            Err(error) if error.may_retry() && drawn.silent < SILENT_MAX => {
                drawn.silent += 1;
                asked.unread += 1;
                asked.why.get_or_insert_with(|| error.clone());
                drawn.unread.insert(about);
                drawn.why.get_or_insert(error);
                continue;
            }
            searched => searched?,
        };
        drawn.silent = 0;
        asked.answered += 1;
        if is_full && !is_narrow {
            return Ok(Ended::TooWide);
        }
        drawn.crowded += u32::from(is_full);
        found.extend(ids.into_iter().map(|id| (id, about)));
        if found.len() >= IDS_MAX {
            return Ok(Ended::Stopped);
        }
    }
}

/// Traces of a service that began within a time, or so much before or after it: stores differ in how they count time. `limit`: how many
/// are asked for. `until`: when to ask no more.
pub(crate) async fn find_within(
    query: &Query,
    service: &str,
    window: Window,
    around: u64,
    limit: u32,
    until: Instant,
) -> Result<Searched, QueryError> {
    let window =
        Window { from: window.from.saturating_sub(around), until: window.until.saturating_add(around) };
    let mut find = Find::new(service, window.from, window.until);
    find.limit = limit;
    let mut attempt = 1;
    let ids = loop {
        let pause = PAUSE * attempt;
        match query.find_begun(&find).await {
            Err(error) if error.may_retry() && attempt < ATTEMPTS && Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
            answer => break answer?,
        }
    };
    let is_full = ids.len() >= limit as usize;
    let within = ids.into_iter().filter(|(_, start)| start.is_none_or(|start| window.holds(start)));
    Ok(Searched { ids: within.map(|(id, _)| id).collect(), is_full })
}

/// All services that any of them knows; if there are too many, those that the seed chooses.
async fn services(from: &[&Query], of: Window, seed: u64) -> Result<(Vec<String>, usize), QueryError> {
    let mut all = BTreeSet::new();
    for query in from {
        all.extend(query.services_of(of.from, of.until).await?.into_iter().filter(|name| !is_own(name)));
    }
    let mut chosen: Vec<(u64, String)> =
        all.into_iter().map(|name| (stir(seed, name.as_bytes()), name)).collect();
    let left_out = chosen.len().saturating_sub(SERVICES_MAX);
    chosen.sort_unstable();
    chosen.truncate(SERVICES_MAX);
    Ok((chosen.into_iter().map(|(_, name)| name).collect(), left_out))
}

fn slices(draw: &Draw, stratum: u64, round: u32) -> Vec<Slice> {
    let mut out = Vec::new();
    for nth in 0..u64::from(draw.slices.max(1)) {
        let from = draw.window.from + nth * stratum;
        let dice = stir(draw.seed, &[nth.to_be_bytes(), u64::from(round).to_be_bytes()].concat());
        out.push(Slice { stratum: Window { from, until: from + stratum }, offset: dice % stratum });
    }
    out
}

/// The narrowest time that all of them can search.
pub(crate) fn narrowest(from: &[&Query]) -> u64 {
    from.iter().map(|query| narrowest_of(query.kind())).max().unwrap_or(1)
}

impl Window {
    /// Whether a moment lies within.
    pub fn holds(&self, moment: u64) -> bool {
        (self.from..self.until).contains(&moment)
    }

    fn length_nanos(&self) -> u64 {
        self.until.saturating_sub(self.from).max(1)
    }
}

impl Slice {
    fn pieces(&self, width: u64) -> Vec<Window> {
        let Window { from, until } = self.stratum;
        if width >= until - from {
            return vec![self.stratum];
        }
        let start = from + self.offset;
        if start + width <= until {
            return vec![Window { from: start, until: start + width }];
        }
        vec![Window { from: start, until }, Window { from, until: from + (start + width - until) }]
    }
}

impl Drawn {
    /// Where nothing was found, and somebody did not answer, that is why.
    fn ordered(mut self, found: BTreeMap<TraceId, u64>) -> Result<Self, QueryError> {
        if found.is_empty()
            && let Some(why) = self.why
        {
            return Err(why);
        }
        let mut ids: Vec<(u64, TraceId)> = found.keys().map(|id| (mix(self.draw.seed, id), *id)).collect();
        ids.sort_unstable();
        self.ids = ids.into_iter().map(|(_, id)| id).collect();
        self.about = found;
        Ok(self)
    }

    /// Whether a trace that began then may be drawn: searches of some stores give more than was asked for.
    pub fn holds(&self, start: u64) -> bool {
        self.slices.iter().flat_map(|slice| slice.pieces(self.width)).any(|piece| piece.holds(start))
    }

    /// Whether every trace of the window was found.
    pub fn is_all(&self) -> bool {
        let is_read = !self.stopped && self.unread.is_empty();
        self.width >= self.stratum && is_read && self.crowded == 0 && self.services_left_out == 0
    }

    /// Begins anew: what was searched so far counts for nothing.
    fn forget(&mut self, environments: usize) {
        let all = (0..environments).flat_map(|nth| self.services.iter().map(move |s| (nth, s.clone())));
        self.asked = all.map(|whose| (whose, Asked::default())).collect();
        self.unread.clear();
    }

    /// Why the draw shows too little for a verdict: in one of the environments no search for a service had an answer, or too many of all
    /// searches had none.
    pub(crate) fn not_read(&self) -> Option<Unread> {
        let (mut services, mut why) = (BTreeSet::new(), None);
        for ((_, service), asked) in self.asked.iter().filter(|(_, asked)| asked.answered == 0) {
            services.insert(format!("`{service}`"));
            why = why.or(asked.why.as_ref());
        }
        if !services.is_empty() {
            let named: Vec<String> = services.iter().take(SERVICES_SHOWN).cloned().collect();
            let more = if services.len() > named.len() { ", ..." } else { "" };
            let (all, named) = (services.len(), named.join(", "));
            let detail =
                format!("no search for traces of {all} of the services had an answer: {named}{more}");
            return Some(match why {
                Some(error) => Unread { why: format!("{detail}; first: {error}"), ..unread(error) },
                None => Unread {
                    why: format!("{detail}; the time, or the number of searches, was up"),
                    answered: true,
                },
            });
        }
        let unanswered: u32 = self.asked.values().map(|asked| asked.unread).sum();
        let all = unanswered + self.asked.values().map(|asked| asked.answered).sum::<u32>();
        let first = self.asked.values().find_map(|asked| asked.why.as_ref())?;
        (unanswered * UNREAD_OF > all).then(|| {
            let why = format!("{unanswered} of {all} searches for traces had no answer; first: {first}");
            Unread { why, ..unread(first) }
        })
    }

    /// About when a trace began: where the slice begins that it was found in.
    pub(crate) fn about(&self, id: &TraceId) -> Option<u64> {
        self.about.get(id).copied()
    }

    /// The services that were asked for.
    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    /// What decided which.
    pub(crate) fn seed(&self) -> u64 {
        self.draw.seed
    }

    /// The time that was drawn from.
    pub(crate) fn window(&self) -> Window {
        self.draw.window
    }

    /// For so long a time no search was full.
    pub(crate) fn width(&self) -> u64 {
        self.width
    }

    /// The times that were looked at, in order.
    fn windows(&self) -> Vec<Window> {
        let mut out: Vec<Window> = self.slices.iter().flat_map(|s| s.pieces(self.width)).collect();
        out.sort_by_key(|window| window.from);
        out
    }

    /// For the record.
    pub fn facts(&self) -> Value {
        let covered: u64 = self.windows().iter().map(|w| w.until - w.from).sum();
        let whole = self.draw.window.length_nanos();
        json!({
            "seed": self.draw.seed.to_string(),
            "from": self.draw.window.from.to_string(),
            "until": self.draw.window.until.to_string(),
            "slices": self.slices.len(),
            "slice_ns": self.width.to_string(),
            "covered_ppm": u64::try_from(u128::from(covered) * 1_000_000 / u128::from(whole)).unwrap_or(1_000_000).min(1_000_000),
            "services": self.services.len(),
            "services_left_out": self.services_left_out,
            "searches": self.searches,
            "crowded": self.crowded,
            "stopped": self.stopped,
            "unread": self.unread.len(),
            "unread_at": self.unread.iter().take(UNREAD_SHOWN).map(u64::to_string).collect::<Vec<_>>(),
            "unread_why": self.why.as_ref().map(QueryError::to_string),
            "found": self.ids.len(),
        })
    }
}

/// An id's place in the order that a seed gives.
fn mix(seed: u64, id: &TraceId) -> u64 {
    stir(seed, &id.0)
}

/// SplitMix64's finalizer over eight bytes at a time (Steele, Lea, Flood 2014): spreads, and is no secret.
pub(crate) fn stir(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let mut z = (state ^ u64::from_be_bytes(word)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state = z ^ (z >> 31);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_draw(seed: u64) -> Draw {
        let window = Window { from: 1_000, until: 9_000 };
        Draw { window, traces: 10, seed, slices: 8, whole_first: false, deadline: Instant::now() }
    }

    /// Scenario: slices of one width, at places that the seed decides, a thousand times over.
    /// Guarantee: every moment of the window is as likely to be looked at as any other, within what chance does.
    #[test]
    fn every_moment_is_as_likely_as_any_other() {
        let mut hits = [0_u32; 80];
        for seed in 0..1_000 {
            let pieces: Vec<Window> =
                slices(&a_draw(seed), 1_000, 0).iter().flat_map(|s| s.pieces(300)).collect();
            assert_eq!(pieces.iter().map(|p| p.until - p.from).sum::<u64>(), 8 * 300);
            for (i, hit) in hits.iter_mut().enumerate() {
                *hit += pieces.iter().filter(|p| p.holds(1_000 + 100 * i as u64 + 50)).count() as u32;
            }
        }
        // 300 of 1,000 each, give or take five standard deviations.
        assert!(hits.iter().all(|hit| (227..=373).contains(hit)), "{hits:?}");
        assert_ne!(slices(&a_draw(1), 1_000, 0), slices(&a_draw(1), 1_000, 1));
    }

    #[test]
    fn slices_as_wide_as_their_strata_are_the_window() {
        let mut pieces: Vec<Window> =
            slices(&a_draw(3), 1_000, 0).iter().flat_map(|s| s.pieces(1_000)).collect();
        pieces.sort_by_key(|p| p.from);
        assert!(pieces.windows(2).all(|pair| pair[0].until == pair[1].from));
        assert_eq!((pieces[0].from, pieces[7].until), (1_000, 9_000));
    }

    #[test]
    fn the_order_of_ids_is_the_seeds() {
        let order = |seed: u64| {
            let mut ids: Vec<u8> = (0..200).collect();
            ids.sort_by_key(|id| mix(seed, &TraceId([*id; 16])));
            ids
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        // The lowest 50 of 200 are no more from one half than chance has it.
        let low = order(7).iter().take(50).filter(|id| **id < 100).count();
        assert!((10..=40).contains(&low), "{low}");
    }
}
