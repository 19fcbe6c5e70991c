//! One environment, as one worker sees it: its client, its queue, and the delivery of what is queued.
//!
//! A lane shares nothing with the other environment's: own connections, own queue, own slots. Whatever it waits for,
//! nobody else does.
//!
//! A copy is attempted until it is taken, refused for good, or past its deadline. Between two attempts it holds no slot,
//! so that a few that are refused for now do not hold up the rest. Each attempt is made under the lease that was taken
//! when the copy was routed here: after a fence nothing that was decided before it is sent.
//!
//! What is to be compressed is compressed here, before its first attempt: a copy not while a client waits for the other side,
//! and what is large not on the worker's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{Client, Coding, Compression, Export, Message, Outcome};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use crate::books::{Attempt, Fate, Place};
use crate::clock;
use crate::config::DeliveryConfig;
use crate::queue::{Copy, Queue};
use crate::vitals::Vitals;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) place: Place,
    pub(crate) client: Client,
    pub(crate) compression: Compression,
    /// How long one export may take.
    pub(crate) timeout: Duration,
    delivery: DeliveryConfig,
    queue: Queue,
    /// Something was put into the queue.
    work: Notify,
    /// Spreads retries.
    turn: AtomicU32,
    /// Counts how often the lane was severed; wakes those who wait for another attempt.
    severed: watch::Sender<u64>,
    vitals: Arc<Vitals>,
    /// Copies that are compressed at one time.
    packing: Semaphore,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Of all workers' queues together.
    pub(crate) bytes_max: usize,
}

/// A message of at least this size is compressed on another thread.
const LARGE_BYTES: usize = 64 << 10;
/// Over all lanes fewer than the runtime has threads for it: what a client waits for is compressed there too.
const PACKED_AT_A_TIME: usize = 1;

impl Lane {
    pub(crate) fn new(
        place: Place,
        client: Client,
        (compression, timeout): (Compression, Duration),
        (delivery, queue): (DeliveryConfig, Queue),
        vitals: Arc<Vitals>,
    ) -> Arc<Lane> {
        Arc::new(Lane {
            place,
            client,
            compression,
            timeout,
            delivery,
            queue,
            work: Notify::new(),
            turn: AtomicU32::new(0),
            severed: watch::Sender::new(0),
            vitals,
            packing: Semaphore::new(PACKED_AT_A_TIME),
        })
    }

    /// Queues a copy. What has to go for it, or itself, is shed.
    pub(crate) fn enqueue(&self, copy: Copy) {
        lose(self.queue.push(copy));
        self.work.notify_one();
    }

    /// Cuts all connections and sheds all that waits. When this returns on the worker's own thread, nothing that was
    /// decided before can send another byte.
    pub(crate) fn sever(&self) {
        self.client.sever();
        lose(self.queue.clear());
        self.severed.send_modify(|times| *times += 1);
    }

    pub(crate) fn fill(&self) -> Fill {
        let held = self.queue.held();
        Fill { requests: held.copies(), bytes: held.bytes(), bytes_max: self.queue.bytes_max() }
    }

    /// Returns once nothing is queued, on its way, or waiting for another attempt.
    pub(crate) async fn drained(&self) {
        self.queue.held().nothing().await;
    }

    /// Delivers what is queued, for ever.
    pub(crate) async fn run(self: Arc<Lane>) {
        let slots = Arc::new(Semaphore::new(self.delivery.in_flight));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            let batch = self.next().await;
            tokio::spawn(deliver(Arc::clone(&self), batch, slot));
        }
    }

    /// Waits for the next that are to be sent in one request.
    pub(crate) async fn next(&self) -> Vec<Copy> {
        loop {
            let batch = self.queue.pop();
            if !batch.is_empty() {
                return batch;
            }
            self.work.notified().await;
        }
    }

    /// Doubling, up to a maximum, and never shorter than the server asked for. Spread by up to a quarter, so that what
    /// failed together does not come back together.
    fn pause(&self, attempts: u32, outcome: &Outcome) -> Duration {
        let doubled = self.delivery.backoff_first.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let backoff = doubled.min(self.delivery.backoff_max);
        let spread = backoff / 32 * (self.turn.fetch_add(1, Ordering::Relaxed) % 8);
        let wish = match outcome {
            Outcome::Retryable { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        wish.max(backoff).saturating_add(spread)
    }
}

/// Accounts for a copy, and gives back its room.
fn finish(copy: Copy, fate: Fate) {
    let Copy { voucher, room, .. } = copy;
    voucher.settle(fate);
    drop(room);
}

/// Gives copies up. What may have been stored is not called shed.
fn lose(copies: impl IntoIterator<Item = Copy>) {
    for copy in copies {
        let untrusted = copy.untrusted;
        let fate = if copy.doubtful { Fate::Indeterminate } else { Fate::Shed { untrusted } };
        finish(copy, fate);
    }
}

/// Attempts one batch. A merged request that is refused for good is bisected, so that one bad copy fails alone.
async fn deliver(lane: Arc<Lane>, batch: Vec<Copy>, slot: OwnedSemaphorePermit) {
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        if let [only] = batch.as_mut_slice() {
            pack(&lane, only).await;
        }
        let export = attempt(&lane, &batch).await;
        if batch.len() > 1 && matches!(export.outcome, Outcome::Rejected { .. }) {
            let rest = batch.split_off(batch.len() / 2);
            batches.extend([rest, batch]);
            continue;
        }
        observe(&lane, &batch, &export);
        let mut rejected_spans = match export.outcome {
            Outcome::Accepted { rejected_spans, .. } => rejected_spans,
            _ => 0,
        };
        for copy in batch {
            let rejected = rejected_spans.min(copy.voucher.spans());
            rejected_spans -= rejected;
            conclude(&lane, copy, &export.outcome, rejected);
        }
    }
    drop(slot);
}

async fn attempt(lane: &Lane, batch: &[Copy]) -> Export {
    let first = batch.first().expect("a batch is never empty");
    let message = if batch.len() == 1 { first.message.clone() } else { merged(batch) };
    lane.client.export_under(first.lease, message, &first.metadata, lane.timeout).await
}

/// Compresses a copy that waits to be.
async fn pack(lane: &Lane, copy: &mut Copy) {
    if copy.coding == Coding::Gzip && copy.message.coding == Coding::Identity {
        let _turn = lane.packing.acquire().await.expect("the semaphore is never closed");
        let packed = coded(copy.message.clone(), copy.coding).await;
        copy.packed(packed);
    }
}

/// The same in this coding, compressed if need be; what is large, on another thread.
pub(crate) async fn coded(message: Message, coding: Coding) -> Message {
    if coding == Coding::Identity || message.coding == coding {
        return message;
    }
    let plain = message.bytes;
    if plain.len() < LARGE_BYTES {
        return Message::gzip(&plain);
    }
    let elsewhere = plain.clone();
    let packed = tokio::task::spawn_blocking(move || Message::gzip(&elsewhere)).await;
    // It is refused only when the runtime ends.
    packed.unwrap_or_else(|_| Message::gzip(&plain))
}

fn merged(batch: &[Copy]) -> Message {
    let size = batch.iter().map(|copy| copy.message.bytes.len()).sum();
    let mut out = Vec::with_capacity(size);
    crossfade_otlp::merge(batch.iter().map(|copy| &copy.message.bytes[..]), &mut out);
    Message::identity(Bytes::from(out))
}

/// Tells the breaker, and the analysis, what became of a batch. Each copy is one client's request.
fn observe(lane: &Lane, batch: &[Copy], export: &Export) {
    if batch.iter().any(|copy| copy.lease != lane.client.lease()) {
        return; // severed meanwhile: what we did to it ourselves is no evidence against it
    }
    let is_first = batch.iter().any(|copy| copy.attempts == 0);
    lane.vitals.hear(lane.place, &export.outcome, is_first);
    for copy in batch.iter().filter(|copy| copy.counted && copy.attempts == 0) {
        copy.voucher.books().attempt(copy.voucher.key(), Attempt::of(export, clock::now()));
    }
}

fn conclude(lane: &Arc<Lane>, mut copy: Copy, outcome: &Outcome, rejected: u64) {
    match outcome {
        Outcome::Accepted { .. } => return finish(copy, Fate::Delivered { rejected }),
        Outcome::Rejected { .. } => return finish(copy, Fate::Rejected),
        Outcome::Retryable { .. } => {}
        Outcome::Unanswered { silence, .. } if silence.is_unsent() => {}
        Outcome::Unanswered { .. } => copy.doubtful = true,
    }
    copy.attempts += 1;
    let wait = lane.pause(copy.attempts, outcome);
    let too_late = copy.arrived.elapsed().saturating_add(wait) >= lane.delivery.deadline;
    if too_late || lane.client.lease() != copy.lease {
        return lose([copy]);
    }
    // Subscribed before anything else can happen on this thread: a sever is not missed.
    tokio::spawn(again_after(Arc::clone(lane), copy, wait, lane.severed.subscribe()));
}

async fn again_after(lane: Arc<Lane>, copy: Copy, wait: Duration, mut severed: watch::Receiver<u64>) {
    tokio::select! {
        () = sleep(wait) => {}
        _ = severed.changed() => {}
    }
    if lane.client.lease() == copy.lease {
        lane.queue.put_back(copy);
        lane.work.notify_one();
    } else {
        lose([copy]);
    }
}

#[cfg(test)]
mod tests;
