//! How many of the active's traces the candidate's searches find, hour by hour, over all of the time that is to be kept.
//!
//! Every hour is cut into cells, two of them where the time is not too long, more where it is short: whatever is missing for an hour is
//! missing for a whole cell. In each cell services are searched for in both environments, in an order that the seed decides, until enough traces are found to
//! tell. A search that gives as many as were asked for says nothing of what it left out; then a narrower time within the cell is searched,
//! at a place that the seed decides; a search that finds few, a wider one.
//!
//! Cells are looked at in an order of the seed, the first ones of all hours first, so that what there is no time for lies anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossfade_gates::history::{Counts, History};
use crossfade_gates::model::TraceId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::parity::Progress;
use crate::query::{Query, QueryError};
use crate::sample::{Drawn, Window, find_within, narrowest, stir};

const HOUR: u64 = 3_600_000_000_000;
/// Cells of all hours, at least and at most; of more hours, each is one.
const CELLS: [u64; 2] = [48, 1_000];
/// Questions of all cells at most, unless there are so many that each has but its fewest.
const QUESTIONS_MAX: usize = 20_000;
/// Questions of one cell, at least and at most.
const CELL_QUESTIONS: [usize; 2] = [8, 40];
/// So many traces of a cell tell enough.
const ENOUGH: usize = 20;
/// A search that finds fewer is put for a wider time.
const FEW: usize = 5;
/// What a search in the active may give. It need not be much: stores read whole traces to answer.
const LIMIT: u32 = 50;
/// And one in the candidate, which is for a little more time.
const CANDIDATE_LIMIT: u32 = 250;
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
    deadline: Instant,
}

/// What came of a cell.
enum Cell {
    Counted(Counts),
    /// However narrow they were, searches gave but a part, or too few to tell; or there was no time.
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
        deadline,
    });
    let (total, mut done) = (cells.len(), 0);
    let mut waiting = cells.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            let Some(cell) = waiting.next() else { break };
            let counting = Arc::clone(&counting);
            running.spawn(async move { (cell, counting.count(cell).await) });
        }
        let Some(counted) = running.join_next().await else { return Ok(()) };
        let (cell, counted) = counted.expect("a search does not panic, and nobody aborts it");
        match counted? {
            Cell::Counted(counts) => gate.count(cell.from, counts),
            Cell::Uncounted => gate.uncounted(cell.from),
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
        let (mut is_told, mut left) = (true, self.questions);
        for (dice, service) in services {
            let (ids, told) = self.service(service, cell, dice, &mut left).await?;
            is_told &= told;
            for (all, ids) in found.iter_mut().zip(ids) {
                all.extend(ids);
            }
            let [mine, _] = &found;
            if mine.len() >= ENOUGH || left < 2 {
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
    /// cell, or they are not too few.
    async fn service(
        &self,
        service: &str,
        cell: Window,
        dice: u64,
        left: &mut usize,
    ) -> Result<([Vec<TraceId>; 2], bool), QueryError> {
        let length = cell.until - cell.from;
        let narrowest = self.narrowest.min(length);
        let mut width = self.width.clamp(narrowest, length);
        let (mut full, mut found, mut is_told) = (u64::MAX, [Vec::new(), Vec::new()], false);
        while self.may_ask(left) {
            let from = cell.from + dice % (length - width + 1);
            let window = Window { from, until: from + width };
            let [active, candidate] = &self.queries;
            let (mine, theirs) = tokio::join!(
                find_within(active, service, window, 0, LIMIT),
                find_within(candidate, service, window, 2 * self.narrowest, CANDIDATE_LIMIT)
            );
            let (mine, theirs) = (mine?, theirs?);
            if mine.is_full || theirs.is_full {
                full = full.min(width);
                if width <= narrowest {
                    break;
                }
                width = (width / 4).max(narrowest);
            } else {
                is_told = mine.ids.len() >= FEW || width >= length;
                found = [mine.ids, theirs.ids];
                width = width.saturating_mul(4).min(length);
                if is_told || width >= full {
                    break;
                }
            }
        }
        Ok((found, is_told))
    }

    fn may_ask(&self, left: &mut usize) -> bool {
        let may = *left >= 2 && Instant::now() < self.deadline;
        *left = left.saturating_sub(2);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
