//! One environment, as one worker sees it: its client, its queue, and the delivery of what is queued.
//!
//! A lane shares nothing with the other environment's: own connections, own queue, own slots. Whatever it waits for,
//! nobody else does.
//!
//! A copy is attempted until it is taken, refused for good, or past its deadline. Between two attempts it holds no slot,
//! so that a few that are refused for now do not hold up the rest. Each attempt is made under the lease that was taken
//! when the copy was routed here: after a fence nothing that was decided before it is sent.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{Client, Compression, Export, Message, Outcome};
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
    queue: Mutex<Queue>,
    /// Something was put into the queue.
    work: Notify,
    /// Something was settled.
    settled: Notify,
    /// Spreads retries.
    turn: AtomicU32,
    /// Counts how often the lane was severed; wakes those who wait for another attempt.
    severed: watch::Sender<u64>,
    vitals: Arc<Vitals>,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) bytes_max: usize,
}

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
            queue: Mutex::new(queue),
            work: Notify::new(),
            settled: Notify::new(),
            turn: AtomicU32::new(0),
            severed: watch::Sender::new(0),
            vitals,
        })
    }

    /// Queues a copy. What has to go for it, or itself, is shed.
    pub(crate) fn enqueue(&self, copy: Copy) {
        let shed = self.lock().push(copy);
        shed_all(shed);
        self.work.notify_one();
    }

    /// Cuts all connections and sheds all that waits. When this returns on the worker's own thread, nothing that was
    /// decided before can send another byte.
    pub(crate) fn sever(&self) {
        self.client.sever();
        let waiting = self.lock().clear();
        shed_all(waiting);
        self.settled.notify_waiters();
        self.severed.send_modify(|times| *times += 1);
    }

    pub(crate) fn fill(&self) -> Fill {
        let queue = self.lock();
        Fill { requests: queue.held(), bytes: queue.held_bytes(), bytes_max: queue.bytes_max() }
    }

    /// Returns once nothing is queued, on its way, or waiting for another attempt.
    pub(crate) async fn drained(&self) {
        loop {
            let settled = self.settled.notified();
            if self.lock().held() == 0 {
                return;
            }
            settled.await;
        }
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

    async fn next(&self) -> Vec<Copy> {
        loop {
            let batch = self.lock().pop();
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
        wish.max(backoff) + spread
    }

    fn finish(&self, copy: Copy, fate: Fate) {
        let bytes = copy.bytes();
        copy.voucher.settle(fate);
        self.lock().settled(bytes);
        self.settled.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds this lock")
    }
}

fn shed_all(copies: Vec<Copy>) {
    for copy in copies {
        let untrusted = copy.untrusted;
        copy.voucher.settle(Fate::Shed { untrusted });
    }
}

/// Attempts one batch. A merged request that is refused for good is bisected, so that one bad copy fails alone.
async fn deliver(lane: Arc<Lane>, batch: Vec<Copy>, slot: OwnedSemaphorePermit) {
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
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
        Outcome::Accepted { .. } => return lane.finish(copy, Fate::Delivered { rejected }),
        Outcome::Rejected { .. } => return lane.finish(copy, Fate::Rejected),
        Outcome::Retryable { .. } => {}
        Outcome::Unanswered { silence, .. } if silence.is_unsent() => {}
        Outcome::Unanswered { .. } => copy.doubtful = true,
    }
    copy.attempts += 1;
    let wait = lane.pause(copy.attempts, outcome);
    let too_late = copy.arrived.elapsed() + wait >= lane.delivery.deadline;
    if too_late || lane.client.lease() != copy.lease {
        return give_up(lane, copy);
    }
    // Subscribed before anything else can happen on this thread: a sever is not missed.
    tokio::spawn(again_after(Arc::clone(lane), copy, wait, lane.severed.subscribe()));
}

fn give_up(lane: &Lane, copy: Copy) {
    let untrusted = copy.untrusted;
    let fate = if copy.doubtful { Fate::Indeterminate } else { Fate::Shed { untrusted } };
    lane.finish(copy, fate);
}

async fn again_after(lane: Arc<Lane>, copy: Copy, wait: Duration, mut severed: watch::Receiver<u64>) {
    tokio::select! {
        () = sleep(wait) => {}
        _ = severed.changed() => {}
    }
    if lane.client.lease() == copy.lease {
        lane.lock().put_back(copy);
        lane.work.notify_one();
    } else {
        give_up(&lane, copy);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use crossfade_backends::otlp::{ClientConfig, Endpoint, Protocol};
    use crossfade_routing::Generation;
    use http::HeaderMap;
    use tokio::time::Instant;

    use super::*;
    use crate::books::Books;
    use crate::config::BreakerConfig;

    // Scenario: a fence falls while the connection for a copy is still being opened.
    // Guarantee: the copy is shed: not a byte of it was sent, and so nobody can have stored it.
    #[tokio::test]
    async fn a_copy_that_is_cut_off_before_its_first_byte_is_shed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = Endpoint::parse(&address, Protocol::Grpc).unwrap();
        let timeout = Duration::from_secs(5);
        let client =
            Client::new(ClientConfig { endpoint, headers: HeaderMap::new(), connect_timeout: timeout });
        let (tripped, _trips) = tokio::sync::mpsc::unbounded_channel();
        let vitals = Arc::new(Vitals::new(1, BreakerConfig::default(), tripped));
        let delivery = (DeliveryConfig::default(), Queue::new(1 << 20, 0));
        let lane = Lane::new(0, client, (Compression::Preserve, timeout), delivery, vitals);
        let books: Arc<Books> = Arc::default();
        lane.enqueue(Copy {
            message: Message::identity(Bytes::from_static(b"request")),
            metadata: Arc::default(),
            voucher: books.receive(0, Generation(1), 3, 0),
            lease: lane.client.lease(),
            untrusted: false,
            counted: true,
            arrived: Instant::now(),
            attempts: 0,
            doubtful: false,
        });
        let slot = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let batch = lane.next().await;
        let mut delivery = pin!(deliver(Arc::clone(&lane), batch, slot));
        let first = poll_fn(|context| Poll::Ready(delivery.as_mut().poll(context))).await;
        assert!(first.is_pending(), "the connection is being opened");
        lane.sever();
        delivery.await;
        let account = books.read().accounts[&(0, Generation(1))].clone();
        assert_eq!((account.received, account.shed, account.indeterminate, account.queued), (3, 3, 0, 0));
        assert_eq!(
            (account.requests, lane.client.meter().sent_bytes()),
            (0, 0),
            "no evidence against anybody"
        );
    }
}
