//! How many of the active's traces the candidate's searches find, hour by hour, over all of the time that is to be kept.
//!
//! Every hour is cut into cells, two of them where the time is not too long, more where it is short: whatever is missing for an hour is
//! missing for a whole cell. In each cell services are searched for in both environments, in an order that the seed decides, until enough traces are found to
//! tell. A search that gives as many as were asked for says nothing of what it left out; then a narrower time within the cell is searched,
//! at a place that the seed decides; a search that finds few, a wider one; a search that finds nothing, all of the cell.
//!
//! Cells are looked at in an order of the seed, the first ones of all hours first, so that what there is no time for lies anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crossfade_gates::history::{Counts, History};
use crossfade_gates::model::TraceId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::SILENT_MAX;
use crate::parity::Progress;
use crate::query::{Query, QueryError};
use crate::sample::{Drawn, Searched, Window, find_within, narrowest, stir};

const HOUR: u64 = 3_600_000_000_000;
/// Cells of all hours, at least and at most; of more hours, each is one.
const CELLS: [u64; 2] = [48, 1_000];
/// Questions of all cells at most, unless there are so many that each has but its fewest.
const QUESTIONS_MAX: usize = 20_000;
/// Questions of one cell, at least and at most: one in both for each of all services. A cell may put those that others did not need.
const CELL_QUESTIONS: [usize; 2] = [8, 130];
/// So many traces of a cell tell enough.
const ENOUGH: usize = 20;
/// A search that finds fewer is put for a wider time.
const FEW: usize = 5;
/// What a search in the active may give, and one in the candidate, which is for a little more time. It need not be much: stores read
/// whole traces to answer.
const LIMITS: [u32; 2] = [50, 250];
/// Where the narrowest time holds more.
const LIMITS_NARROWEST: [u32; 2] = [1_000, 5_000];
/// Cells that are looked at at once.
const AT_ONCE: usize = 8;

/// What all cells share.
struct Counting {
    queries: [Query; 2],
    services: Vec<String>,
    seed: u64,
    /// Searches in the draw were not full for so long a time.
    width: u64,
    narrowest: u64,
    /// Of one cell.
    questions: usize,
    /// Questions of the cells begun so far that were not put.
    spare: AtomicI64,
    deadline: Instant,
}

/// What came of a cell.
enum Cell {
    Counted(Counts),
    /// However narrow they were, searches gave but a part, or too few to tell; or there was no time, or no answer.
    Uncounted,
}

/// Counts every hour of the time that `drawn` is of, or says which it did not.
pub(super) async fn count(
    queries: [&Query; 2],
    drawn: &Drawn,
    deadline: Instant,
    gate: &mut History,
    progress: Progress<'_>,
) -> Result<(), QueryError> {
    let (seed, window) = (drawn.seed(), drawn.window());
    let (cells, [fewest, most]) = (cells(window, seed), CELL_QUESTIONS);
    let counting = Arc::new(Counting {
        queries: queries.map(Query::clone),
        services: drawn.services().to_vec(),
        seed,
        width: drawn.width(),
        narrowest: narrowest(&queries),
        questions: (QUESTIONS_MAX / cells.len().max(1)).clamp(fewest, most),
        spare: AtomicI64::new(0),
        deadline,
    });
    let (total, mut done, mut silent) = (cells.len(), 0, 0);
    let (mut has_counted, mut unanswered) = (false, None);
    let mut waiting = cells.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            let Some(cell) = waiting.next() else { break };
            let counting = Arc::clone(&counting);
            running.spawn(async move { (cell, counting.count(cell).await) });
        }
        let Some(counted) = running.join_next().await else {
            return unanswered.filter(|_| !has_counted).map_or(Ok(()), Err);
        };
        let (cell, counted) = counted.expect("a search does not panic, and nobody aborts it");
        silent = if counted.is_err() { silent + 1 } else { 0 };
        has_counted |= matches!(counted, Ok(Cell::Counted(_)));
        match counted {
            Ok(Cell::Counted(counts)) => gate.count(cell.from, counts),
            Ok(Cell::Uncounted) => gate.uncounted(cell.from),
            Err(error) if error.may_retry() && silent < SILENT_MAX => {
                gate.uncounted(cell.from);
                unanswered = Some(error);
            }
            Err(error) => return Err(error),
        }
        done += 1;
        progress(done, total, "times searched in both");
    }
}

/// All of the window, in the order in which it is looked at.
fn cells(window: Window, seed: u64) -> Vec<Window> {
    let hours = (window.from / HOUR)..window.until.div_ceil(HOUR);
    let count = (hours.end - hours.start).max(1);
    let [fewest, most] = CELLS;
    let parts = if 2 * count <= most { fewest.div_ceil(count).max(2) } else { 1 };
    let mut cells = Vec::new();
    for part in 0..parts {
        let first = cells.len();
        cells.extend(hours.clone().filter_map(|hour| {
            let [from, until] = [part, part + 1].map(|part| hour * HOUR + part * HOUR / parts);
            let cell = Window { from: from.max(window.from), until: until.min(window.until) };
            (cell.from < cell.until).then_some(cell)
        }));
        if let Some(cells) = cells.get_mut(first..) {
            cells.sort_by_key(|cell| stir(seed, &cell.from.to_be_bytes()));
        }
    }
    cells
}

impl Counting {
    async fn count(&self, cell: Window) -> Result<Cell, QueryError> {
        let mut services: Vec<(u64, &String)> =
            self.services.iter().map(|name| (stir(self.seed ^ cell.from, name.as_bytes()), name)).collect();
        services.sort_unstable();
        let mut found = [BTreeSet::new(), BTreeSet::new()];
        let (mut is_told, mut asked) = (true, 0);
        self.spare.fetch_add(as_spare(self.questions), Ordering::Relaxed);
        for (dice, service) in services {
            // As of time, so of questions: who was not asked may have what nobody else has.
            if Instant::now() >= self.deadline
                || (asked >= self.questions && self.spare.load(Ordering::Relaxed) <= 0)
            {
                is_told = false;
                break;
            }
            let [mine, _] = &found;
            // Where there was nothing of others, there is likely nothing.
            let is_silent = asked > 0 && mine.is_empty();
            let before = asked;
            let (ids, told) = self.service(service, cell, dice, is_silent, &mut asked).await?;
            self.spare.fetch_sub(as_spare(asked - before), Ordering::Relaxed);
            is_told &= told;
            for (all, ids) in found.iter_mut().zip(ids) {
                all.extend(ids);
            }
            let [mine, _] = &found;
            if mine.len() >= ENOUGH {
                break;
            }
        }
        let [mine, theirs] = found;
        if mine.len() < FEW && !is_told {
            return Ok(Cell::Uncounted);
        }
        let both = mine.intersection(&theirs).count() as u64;
        Ok(Cell::Counted(Counts { active: mine.len() as u64, candidate: theirs.len() as u64, both }))
    }

    /// What both find of a service in a part of a cell that they give whole, and whether that tells how many there are: it is all of the
    /// cell, or they are not too few. It is only time that ends it before.
    async fn service(
        &self,
        service: &str,
        cell: Window,
        dice: u64,
        whole_first: bool,
        asked: &mut usize,
    ) -> Result<([Vec<TraceId>; 2], bool), QueryError> {
        let length = cell.until - cell.from;
        let narrowest = self.narrowest.min(length);
        let mut width = if whole_first { length } else { self.width.clamp(narrowest, length) };
        // The narrowest time that was full, and the widest that was not.
        let (mut full, mut given) = (u64::MAX, 0);
        let (mut limits, mut found, mut is_told) = (LIMITS, [Vec::new(), Vec::new()], false);
        while width < full && width > given && Instant::now() < self.deadline {
            *asked += 2;
            let from = cell.from + dice % (length - width + 1);
            let window = Window { from, until: from + width };
            let ([active, candidate], [mine, theirs]) = (&self.queries, limits);
            let answers = tokio::join!(
                find_within(active, service, window, 0, mine, self.deadline),
                find_within(candidate, service, window, 2 * self.narrowest, theirs, self.deadline)
            );
            let (mine, theirs) = match answers {
                (Ok(mine), Ok(theirs)) => (mine, theirs),
                // A store may give no more than so many, whoever asks.
                (Err(error), _) | (_, Err(error)) if limits == LIMITS_NARROWEST && !error.may_retry() => {
                    break;
                }
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
            if [&mine, &theirs].into_iter().any(is_part) {
                if width > narrowest {
                    full = width;
                    width = (width / 4).max(narrowest);
                } else if limits == LIMITS {
                    limits = LIMITS_NARROWEST;
                } else {
                    break;
                }
            } else {
                is_told = mine.ids.len() >= FEW || width >= length;
                let is_empty = mine.ids.is_empty();
                found = [mine.ids, theirs.ids];
                if is_told {
                    break;
                }
                given = width;
                width = if is_empty && full > length { length } else { width.saturating_mul(4).min(length) };
            }
        }
        Ok((found, is_told))
    }
}

/// A store may have a limit of its own, and not say that it was met; it is a round number.
fn is_part(searched: &Searched) -> bool {
    let count = searched.ids.len();
    searched.is_full || (count > 0 && count.is_multiple_of(100))
}

fn as_spare(questions: usize) -> i64 {
    i64::try_from(questions).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::query::{QueryConfig, QueryEndpoint, QueryKind};

    const AT: u64 = 1_800_000_000_000_000_000;

    /// Guarantee: cells are the window, once; no hour is looked at twice before all were once; the seed decides the order.
    #[test]
    fn cells_are_the_whole_window() {
        for (length, parts) in [(7 * 24, 2), (1_000, 1), (5, 8)] {
            let window = Window { from: AT + 7, until: AT + 7 + length * HOUR };
            let found = cells(window, 3);
            let firsts: BTreeSet<u64> = found.iter().map(|c| c.from / HOUR).collect();
            let mut sorted = found.clone();
            sorted.sort_by_key(|cell| cell.from);
            assert_eq!((sorted[0].from, sorted[sorted.len() - 1].until), (window.from, window.until));
            assert!(sorted.windows(2).all(|pair| pair[0].until == pair[1].from));
            assert!(sorted.iter().all(|cell| cell.until - cell.from <= HOUR / parts));
            let begin: BTreeSet<u64> = found.iter().take(firsts.len() - 1).map(|c| c.from / HOUR).collect();
            assert_eq!(begin.len(), firsts.len() - 1);
            assert_ne!(found, cells(window, 4));
        }
    }

    /// A Tempo that has so many traces in any time, and how often it was asked.
    async fn tempo(holds: usize) -> (Query, Arc<AtomicUsize>) {
        tempo_since(holds, None).await
    }

    /// The same; when all of them began, if it says that.
    async fn tempo_since(holds: usize, began: Option<u64>) -> (Query, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = QueryEndpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut stream, mut head) = (BufReader::new(stream), String::new());
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
                let limit = head.split("limit=").nth(1).unwrap().split(['&', ' ']).next().unwrap();
                let given = holds.min(limit.parse().unwrap());
                let traces: Vec<_> = (1..=given)
                    .map(|n| {
                        let id = format!("{n:032x}");
                        match began {
                            Some(began) => {
                                serde_json::json!({ "traceID": id, "startTimeUnixNano": began.to_string() })
                            }
                            None => serde_json::json!({ "traceID": id }),
                        }
                    })
                    .collect();
                let body = serde_json::json!({ "traces": traces, "metrics": {} }).to_string();
                let length = body.len();
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                count.fetch_add(1, Ordering::Relaxed);
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        (Query::new(QueryConfig::new(QueryKind::Tempo, endpoint)), asked)
    }

    /// A half hour of sixty services in stores that have so many traces in any time, and how often one was asked.
    async fn counted(holds: usize, questions: usize) -> (Cell, usize) {
        let ((active, asked), (candidate, _)) = (tempo(holds).await, tempo(holds).await);
        let counting = Counting {
            narrowest: narrowest(&[&active, &candidate]),
            queries: [active, candidate],
            services: (0..60).map(|n| format!("service-{n}")).collect(),
            seed: 3,
            width: HOUR / 2 / 256,
            questions,
            spare: AtomicI64::new(0),
            deadline: Instant::now() + Duration::from_secs(300),
        };
        let cell = counting.count(Window { from: AT, until: AT + HOUR / 2 }).await.unwrap();
        (cell, asked.load(Ordering::Relaxed))
    }

    /// Scenario: Tempo finds what was under way in the time, and says when it began: before.
    /// Guarantee: only what began in it counts, as for a Jaeger, which finds nothing else.
    #[tokio::test]
    async fn what_began_before_is_not_of_the_time() {
        let window = Window { from: AT, until: AT + 60_000_000_000 };
        let until = Instant::now() + Duration::from_secs(300);
        for (began, counts) in [(AT - 3_000_000_000, 0), (AT, 7), (window.until, 0)] {
            let (query, _) = tempo_since(7, Some(began)).await;
            let searched = find_within(&query, "shop", window, 0, 100, until).await.unwrap();
            assert_eq!(searched.ids.len(), counts, "{began}");
        }
    }

    /// Scenario: nobody had anything to do, at night.
    /// Guarantee: every service is asked for all of the cell, which then counts as one without traces.
    #[tokio::test]
    async fn a_silent_cell_is_counted() {
        let (cell, asked) = counted(0, CELL_QUESTIONS[1]).await;
        assert!(matches!(cell, Cell::Counted(Counts { active: 0, candidate: 0, both: 0 })), "{asked}");
        assert_eq!(asked, 61);
    }

    /// Guarantee: where there are no questions left for some services, nothing is said of them.
    #[tokio::test]
    async fn a_cell_of_which_services_were_not_asked_for_is_uncounted() {
        for questions in [4, 6, 8, 40] {
            let (cell, asked) = counted(0, questions).await;
            assert!(matches!(cell, Cell::Uncounted), "{questions}");
            assert_eq!(asked, questions / 2);
        }
    }

    /// Guarantee: what the narrowest time holds is counted, unless it is more than a store can be asked for.
    #[tokio::test]
    async fn the_narrowest_time_may_hold_many() {
        let (cell, _) = counted(321, 40).await;
        assert!(matches!(cell, Cell::Counted(Counts { active: 321, candidate: 321, both: 321 })));
        // More than is asked for; and a store that gives no more than a limit of its own.
        for holds in [1_001, 500] {
            let (cell, _) = counted(holds, 40).await;
            assert!(matches!(cell, Cell::Uncounted), "{holds}");
        }
    }
}
