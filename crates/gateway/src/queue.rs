//! The copies that wait for one environment: where the spool will sit.
//!
//! Bounded by bytes, over everything that was taken and not yet settled: waiting, on its way, or between two attempts.
//! The bound is one for all workers, since one client's connection fills one worker's queue. Under pressure the copies
//! that were made only because a clock is not believed go first, wherever they wait: this worker's, then the others', each
//! time the oldest; then what is new is refused. Nobody goes in vain: if that would not make enough room, all stay. Whoever
//! loses is given back to the caller, who accounts for it: nothing vanishes here.
//!
//! It is a data structure. It does not wait, deliver or retry; `lane` does. A copy holds its own [`Room`], and gives it
//! back when it is dropped, for whatever reason.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crossfade_backends::otlp::{Coding, Lease, Message};
use http::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::books::Voucher;
use crate::budget::{Budget, Exhausted, Share};
use crate::receive::metadata_bytes;

/// One request's share for one environment.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) message: Message,
    /// What to send it in. A message that waits without its compression is compressed by its delivery, so that no
    /// client's answer waits for that.
    pub(crate) coding: Coding,
    /// Memory that the message holds: its length or, where its buffer is longer, that.
    pub(crate) memory: usize,
    pub(crate) metadata: Arc<HeaderMap>,
    pub(crate) voucher: Voucher,
    pub(crate) lease: Lease,
    /// Made only because a clock is not believed.
    pub(crate) untrusted: bool,
    /// Whether the analysis counts its first attempt.
    pub(crate) counted: bool,
    pub(crate) arrived: Instant,
    pub(crate) attempts: u32,
    /// An attempt went unanswered: it may have been stored.
    pub(crate) doubtful: bool,
    /// Its place in the queue, once it has one. The last field: it is given back after the voucher is settled.
    pub(crate) room: Option<Room>,
}

/// What one queue has taken and is not yet settled.
#[derive(Debug, Default)]
pub(crate) struct Held {
    copies: AtomicUsize,
    bytes: AtomicUsize,
    settled: Notify,
}

/// A copy's part of a queue; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    share: Share,
    held: Arc<Held>,
}

/// One worker's queue. See the module's description.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    worker: usize,
    shared: Arc<Shared>,
    held: Arc<Held>,
}

/// What the workers' queues for one environment have in common.
#[derive(Debug)]
struct Shared {
    budget: Arc<Budget>,
    merge_bytes_max: usize,
    /// What would come free if all untrusted copies that wait went.
    untrusted_bytes: AtomicUsize,
    /// One for each worker; another's is locked only to make room, and never two at a time.
    lines: Vec<Mutex<Line>>,
}

/// What waits. Both sides are in the order of their turns, which is the order in which they are sent.
#[derive(Debug)]
struct Line {
    believed: VecDeque<Waiting>,
    untrusted: VecDeque<Waiting>,
    /// The turns of the next that is put back, and of the next that is new.
    turns: (i64, i64),
}

#[derive(Debug)]
struct Waiting {
    turn: i64,
    copy: Copy,
}

/// A copy costs a little even if it is empty.
const OVERHEAD_BYTES: usize = 512;

impl Copy {
    pub(crate) fn bytes(&self) -> usize {
        self.memory.saturating_add(metadata_bytes(&self.metadata)).saturating_add(OVERHEAD_BYTES)
    }

    /// Replaces the message by the same in its coding, and gives back the room that it no longer takes.
    pub(crate) fn packed(&mut self, message: Message) {
        self.memory = self.memory.min(message.bytes.len());
        self.message = message;
        let bytes = self.bytes();
        if let Some(room) = &mut self.room {
            room.shrink_to(bytes);
        }
    }

    /// Whether two copies may travel in one request: not if a tenant or a coding would get lost.
    fn merges_with(&self, other: &Copy) -> bool {
        let plain = |copy: &Copy| copy.message.coding == Coding::Identity && copy.coding == Coding::Identity;
        let same_metadata = Arc::ptr_eq(&self.metadata, &other.metadata) || self.metadata == other.metadata;
        plain(self) && plain(other) && same_metadata && self.lease == other.lease
    }
}

impl Held {
    /// Number of copies.
    pub(crate) fn copies(&self) -> usize {
        self.copies.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns once nothing is held.
    pub(crate) async fn nothing(&self) {
        loop {
            let settled = self.settled.notified();
            if self.copies() == 0 {
                return;
            }
            settled.await;
        }
    }
}

impl Room {
    fn shrink_to(&mut self, bytes: usize) {
        let excess = self.bytes.saturating_sub(bytes);
        self.bytes -= excess;
        self.share.shrink_to(self.bytes);
        self.held.bytes.fetch_sub(excess, Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held.copies.fetch_sub(1, Ordering::Relaxed);
        self.held.settled.notify_waiters();
    }
}

impl Queue {
    /// One queue for each worker. `bytes_max`: of all of them together.
    pub(crate) fn for_workers(workers: usize, bytes_max: usize, merge_bytes_max: usize) -> Vec<Queue> {
        let line = || Line { believed: VecDeque::new(), untrusted: VecDeque::new(), turns: (-1, 0) };
        let shared = Arc::new(Shared {
            budget: Budget::new(bytes_max),
            merge_bytes_max,
            untrusted_bytes: AtomicUsize::new(0),
            lines: (0..workers).map(|_| Mutex::new(line())).collect(),
        });
        (0..workers)
            .map(|worker| Queue { worker, shared: Arc::clone(&shared), held: Arc::default() })
            .collect()
    }

    /// Takes a copy. Returns what had to go: older copies for untrusted clocks, or the new one itself.
    #[must_use]
    pub(crate) fn push(&self, mut copy: Copy) -> Vec<Copy> {
        let mut shed = Vec::new();
        loop {
            copy = match self.try_push(copy) {
                None => return shed,
                Some(refused) => refused,
            };
            let left = self.bytes_max().saturating_sub(self.shared.budget.used());
            let lacking = copy.bytes().saturating_sub(left);
            if lacking == 0 {
                continue; // another worker has just given something back
            }
            let enough = lacking <= self.shared.untrusted_bytes.load(Ordering::Acquire);
            match enough.then(|| self.evict()).flatten() {
                Some(mut evicted) => {
                    evicted.room = None;
                    shed.push(evicted);
                }
                None => {
                    shed.push(copy);
                    return shed;
                }
            }
        }
    }

    /// The next copies to send in one request: one, or several that may be merged. Empty: nothing waits.
    pub(crate) fn pop(&self) -> Vec<Copy> {
        let mut batch: Vec<Copy> = Vec::new();
        let mut size = 0;
        let mut line = self.line();
        while let Some((untrusted, next)) = line.front() {
            let bytes = next.message.bytes.len();
            let fits = match batch.first() {
                None => true,
                Some(first) => size + bytes <= self.shared.merge_bytes_max && first.merges_with(next),
            };
            if !fits {
                break;
            }
            size += bytes;
            batch.extend(self.shared.take(&mut line, untrusted));
        }
        batch
    }

    /// Puts back a copy that was popped, for another attempt: before what is newer.
    pub(crate) fn put_back(&self, copy: Copy) {
        let mut line = self.line();
        let turn = line.turns.0;
        line.turns.0 -= 1;
        if copy.untrusted {
            self.shared.untrusted_bytes.fetch_add(copy.bytes(), Ordering::Release);
        }
        line.side(copy.untrusted).push_front(Waiting { turn, copy });
    }

    /// Takes out everything that waits.
    pub(crate) fn clear(&self) -> Vec<Copy> {
        let mut line = self.line();
        let mut all = Vec::new();
        while let Some((untrusted, _)) = line.front() {
            all.extend(self.shared.take(&mut line, untrusted));
        }
        all
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Of all workers' queues together.
    pub(crate) fn bytes_max(&self) -> usize {
        self.shared.budget.max()
    }

    /// Takes a copy if there is room, or gives it back.
    fn try_push(&self, mut copy: Copy) -> Option<Copy> {
        let bytes = copy.bytes();
        // Locked, and counted among those that may go, before it takes any room: another worker that finds the room taken
        // then finds the copy too, once it has this lock.
        let mut line = self.line();
        let spare = if copy.untrusted { bytes } else { 0 };
        self.shared.untrusted_bytes.fetch_add(spare, Ordering::Release);
        match self.room(bytes) {
            Ok(room) => copy.room = Some(room),
            Err(Exhausted) => {
                self.shared.untrusted_bytes.fetch_sub(spare, Ordering::Release);
                return Some(copy);
            }
        }
        let turn = line.turns.1;
        line.turns.1 += 1;
        line.side(copy.untrusted).push_back(Waiting { turn, copy });
        None
    }

    /// The oldest untrusted copy that waits here; if there is none, that of another worker.
    fn evict(&self) -> Option<Copy> {
        let lines = &self.shared.lines;
        let mut in_turn = lines.iter().cycle().skip(self.worker).take(lines.len());
        in_turn.find_map(|line| self.shared.take(&mut lock(line), true))
    }

    fn room(&self, bytes: usize) -> Result<Room, Exhausted> {
        let share = self.shared.budget.share(bytes)?;
        self.held.copies.fetch_add(1, Ordering::Relaxed);
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Room { bytes, share, held: Arc::clone(&self.held) })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(self.shared.lines.get(self.worker).expect("every worker has its line"))
    }
}

impl Shared {
    /// The first that waits on a side of a line.
    fn take(&self, line: &mut Line, untrusted: bool) -> Option<Copy> {
        let copy = line.side(untrusted).pop_front()?.copy;
        if untrusted {
            self.untrusted_bytes.fetch_sub(copy.bytes(), Ordering::Release);
        }
        Some(copy)
    }
}

impl Line {
    /// Whose turn it is, and on which side it waits.
    fn front(&self) -> Option<(bool, &Copy)> {
        let turn = |waiting: &&Waiting| waiting.turn;
        let next = self.believed.front().into_iter().chain(self.untrusted.front()).min_by_key(turn)?;
        Some((next.copy.untrusted, &next.copy))
    }

    fn side(&mut self, untrusted: bool) -> &mut VecDeque<Waiting> {
        if untrusted { &mut self.untrusted } else { &mut self.believed }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().expect("nothing panics while it holds this lock")
}

#[cfg(test)]
pub(crate) mod tests;
