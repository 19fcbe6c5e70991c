//! The copies that wait for one environment: where the spool will sit.
//!
//! Bounded by bytes, over everything that was taken and not yet settled: waiting, on its way, or between two attempts.
//! Under pressure the copies that were made only because a clock is not believed go first, oldest first; then what is
//! new is refused. Whoever loses is given back to the caller, who accounts for it: nothing vanishes here.
//!
//! It is a data structure. It does not wait, deliver or retry; `lane` does.

use std::collections::VecDeque;
use std::sync::Arc;

use crossfade_backends::otlp::{Coding, Lease, Message};
use http::HeaderMap;
use tokio::time::Instant;

use crate::books::Voucher;

/// One request's share for one environment.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) message: Message,
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
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes_max: usize,
    merge_bytes_max: usize,
    waiting: VecDeque<Copy>,
    waiting_untrusted: usize,
    /// Bytes and number of all that was taken and not yet settled.
    held_bytes: usize,
    held: usize,
}

/// A copy costs a little even if it is empty.
const OVERHEAD_BYTES: usize = 512;

impl Copy {
    pub(crate) fn bytes(&self) -> usize {
        self.message.bytes.len() + OVERHEAD_BYTES
    }

    /// Whether two copies may travel in one request: not if a tenant or a coding would get lost.
    fn merges_with(&self, other: &Copy) -> bool {
        let plain = self.message.coding == Coding::Identity && other.message.coding == Coding::Identity;
        let same_metadata = Arc::ptr_eq(&self.metadata, &other.metadata) || self.metadata == other.metadata;
        plain && same_metadata && self.lease == other.lease
    }
}

impl Queue {
    pub(crate) fn new(bytes_max: usize, merge_bytes_max: usize) -> Queue {
        let waiting = VecDeque::new();
        Queue { bytes_max, merge_bytes_max, waiting, waiting_untrusted: 0, held_bytes: 0, held: 0 }
    }

    /// Takes a copy. Returns what had to go: older copies for untrusted clocks, or the new one itself.
    #[must_use]
    pub(crate) fn push(&mut self, copy: Copy) -> Vec<Copy> {
        let mut shed = Vec::new();
        if copy.bytes() > self.bytes_max {
            shed.push(copy);
            return shed;
        }
        while self.held_bytes + copy.bytes() > self.bytes_max {
            match self.evict_untrusted() {
                Some(evicted) => shed.push(evicted),
                None => {
                    shed.push(copy);
                    return shed;
                }
            }
        }
        self.held_bytes += copy.bytes();
        self.held += 1;
        self.wait(copy, VecDeque::push_back);
        shed
    }

    /// The next copies to send in one request: one, or several that may be merged. Empty: nothing waits.
    pub(crate) fn pop(&mut self) -> Vec<Copy> {
        let mut batch: Vec<Copy> = Vec::new();
        let mut size = 0;
        while let Some(next) = self.waiting.front() {
            let bytes = next.message.bytes.len();
            let fits = match batch.first() {
                None => true,
                Some(first) => size + bytes <= self.merge_bytes_max && first.merges_with(next),
            };
            if !fits {
                break;
            }
            size += bytes;
            let copy = self.waiting.pop_front().expect("it has a front");
            self.waiting_untrusted -= usize::from(copy.untrusted);
            batch.push(copy);
        }
        batch
    }

    /// Puts back a copy that was popped, for another attempt: before what is newer.
    pub(crate) fn put_back(&mut self, copy: Copy) {
        self.wait(copy, VecDeque::push_front);
    }

    /// Forgets a copy of so many bytes that was popped: it is settled.
    pub(crate) fn settled(&mut self, bytes: usize) {
        self.held_bytes -= bytes;
        self.held -= 1;
    }

    /// Takes out everything that waits.
    pub(crate) fn clear(&mut self) -> Vec<Copy> {
        let waiting: Vec<Copy> = std::mem::take(&mut self.waiting).into();
        self.waiting_untrusted = 0;
        for copy in &waiting {
            self.settled(copy.bytes());
        }
        waiting
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Number of copies that were taken and are not yet settled.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    fn wait(&mut self, copy: Copy, put: fn(&mut VecDeque<Copy>, Copy)) {
        self.waiting_untrusted += usize::from(copy.untrusted);
        put(&mut self.waiting, copy);
    }

    fn evict_untrusted(&mut self) -> Option<Copy> {
        if self.waiting_untrusted == 0 {
            return None;
        }
        let at = self.waiting.iter().position(|copy| copy.untrusted)?;
        let copy = self.waiting.remove(at)?;
        self.waiting_untrusted -= 1;
        self.settled(copy.bytes());
        Some(copy)
    }
}

#[cfg(test)]
mod tests;
