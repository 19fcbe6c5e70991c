//! The copies that wait for one environment: where the spool will sit.
//!
//! Bounded by bytes, over everything that was taken and not yet settled: waiting, on its way, or between two attempts.
//! The bound is one for all workers, since one client's connection fills one worker's queue. Under pressure the copies
//! that were made only because a clock is not believed go first, oldest first; then what is new is refused. Nobody goes
//! in vain: if that would not make enough room, all stay. Whoever loses is given back to the caller, who accounts for
//! it: nothing vanishes here.
//!
//! It is a data structure. It does not wait, deliver or retry; `lane` does. A copy holds its own [`Room`], and gives it
//! back when it is dropped, for whatever reason.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade_backends::otlp::{Coding, Lease, Message};
use http::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::books::Voucher;
use crate::budget::{Budget, Exhausted, Share};

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

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Queue {
    budget: Arc<Budget>,
    merge_bytes_max: usize,
    /// Both in the order of their turns, which is the order in which they are sent.
    believed: VecDeque<Waiting>,
    untrusted: VecDeque<Waiting>,
    /// What would come free if all of those went.
    untrusted_bytes: usize,
    /// The turns of the next that is put back, and of the next that is new.
    turns: (i64, i64),
    held: Arc<Held>,
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
        self.memory.saturating_add(OVERHEAD_BYTES)
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
    /// `budget`: bytes, shared with the other workers' queues for the same environment.
    pub(crate) fn new(budget: Arc<Budget>, merge_bytes_max: usize) -> Queue {
        Queue {
            budget,
            merge_bytes_max,
            believed: VecDeque::new(),
            untrusted: VecDeque::new(),
            untrusted_bytes: 0,
            turns: (-1, 0),
            held: Arc::default(),
        }
    }

    /// Takes a copy. Returns what had to go: older copies for untrusted clocks, or the new one itself.
    #[must_use]
    pub(crate) fn push(&mut self, mut copy: Copy) -> Vec<Copy> {
        let mut shed = Vec::new();
        loop {
            if let Ok(room) = self.room(copy.bytes()) {
                copy.room = Some(room);
                let turn = self.turns.1;
                self.turns.1 += 1;
                self.side_for(&copy).push_back(Waiting { turn, copy });
                return shed;
            }
            let left = self.budget.max().saturating_sub(self.budget.used());
            let lacking = copy.bytes().saturating_sub(left);
            if lacking == 0 {
                continue; // another worker has just given something back
            }
            let evicted = if lacking <= self.untrusted_bytes { self.take(true) } else { None };
            match evicted {
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
    pub(crate) fn pop(&mut self) -> Vec<Copy> {
        let mut batch: Vec<Copy> = Vec::new();
        let mut size = 0;
        while let Some((untrusted, next)) = self.front() {
            let bytes = next.message.bytes.len();
            let fits = match batch.first() {
                None => true,
                Some(first) => size + bytes <= self.merge_bytes_max && first.merges_with(next),
            };
            if !fits {
                break;
            }
            size += bytes;
            batch.extend(self.take(untrusted));
        }
        batch
    }

    /// Puts back a copy that was popped, for another attempt: before what is newer.
    pub(crate) fn put_back(&mut self, copy: Copy) {
        let turn = self.turns.0;
        self.turns.0 -= 1;
        self.side_for(&copy).push_front(Waiting { turn, copy });
    }

    /// Takes out everything that waits.
    pub(crate) fn clear(&mut self) -> Vec<Copy> {
        self.untrusted_bytes = 0;
        let mut waiting: Vec<Waiting> = self.believed.drain(..).chain(self.untrusted.drain(..)).collect();
        waiting.sort_by_key(|waiting| waiting.turn);
        waiting.into_iter().map(|waiting| waiting.copy).collect()
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    fn room(&self, bytes: usize) -> Result<Room, Exhausted> {
        let share = self.budget.share(bytes)?;
        self.held.copies.fetch_add(1, Ordering::Relaxed);
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Room { bytes, share, held: Arc::clone(&self.held) })
    }

    /// Whose turn it is, and on which side it waits.
    fn front(&self) -> Option<(bool, &Copy)> {
        let turn = |waiting: &&Waiting| waiting.turn;
        let next = self.believed.front().into_iter().chain(self.untrusted.front()).min_by_key(turn)?;
        Some((next.copy.untrusted, &next.copy))
    }

    /// The side to which a copy is about to be added.
    fn side_for(&mut self, copy: &Copy) -> &mut VecDeque<Waiting> {
        if copy.untrusted {
            self.untrusted_bytes += copy.bytes();
            &mut self.untrusted
        } else {
            &mut self.believed
        }
    }

    /// The first that waits on a side.
    fn take(&mut self, untrusted: bool) -> Option<Copy> {
        if !untrusted {
            return Some(self.believed.pop_front()?.copy);
        }
        let copy = self.untrusted.pop_front()?.copy;
        self.untrusted_bytes -= copy.bytes();
        Some(copy)
    }
}

#[cfg(test)]
pub(crate) mod tests;
