//! From one received request to what each environment gets of it, and to the client's answer.
//!
//! Planning is one piece of work without a pause in it: unpack, read the clock, take the route, scan, split, enter into
//! the ledger, queue the copy. So a schedule takes effect between two requests, never within one, and what a fence cuts
//! off cannot come after it. Only the export whose answer the client hears is awaited.
//!
//! ```text
//! Protection::Copy    the side that answers gets everything and is awaited; the other side's share is queued
//! Protection::Split   each side gets only what the rule wants there; both are awaited (the base of holdback)
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{Coding, Lease, Message, Outcome};
use crossfade_otlp::{Part, Span, Splitter};
use crossfade_routing::sync::ClockHistogram;
use crossfade_routing::{Reason, TraceId, UnixNanos};
use http::HeaderMap;
use tokio::time::Instant;

use crate::answer::{Answer, Refusal};
use crate::books::{Attempt, Fate, Place, Voucher};
use crate::clock;
use crate::queue::Copy;
use crate::receive::gunzip::{Gunzip, GunzipError};
use crate::route::Route;
use crate::worker::Worker;

/// A request whose last byte is in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) message: Message,
    /// What is passed on of its headers.
    pub(crate) metadata: Arc<HeaderMap>,
    /// How long its client still waits, if it said so.
    pub(crate) patience: Option<Duration>,
}

/// Memory that a worker's requests use one after the other.
pub(crate) struct Scratch {
    splitter: Splitter,
    gunzip: Gunzip,
    tally: Tally,
}

impl Scratch {
    pub(crate) fn new(request_bytes_max: usize) -> Scratch {
        Scratch {
            splitter: Splitter::default(),
            gunzip: Gunzip::new(request_bytes_max),
            tally: Tally::default(),
        }
    }
}

/// Destinations of a split: `from`, `to`, and what goes to the side that does not answer only because a clock is not
/// believed.
pub(crate) const FROM: usize = 0;
pub(crate) const TO: usize = 1;
pub(crate) const SPARE: usize = 2;

/// One span in so many has its clock recorded: the histogram is to show shares, not to count.
const CLOCK_SAMPLE: usize = 16;
/// A queued message shorter than this is copied: it may be a slice of a much larger read buffer, which it would keep.
const COPIED_BYTES: usize = 32 << 10;

/// An export that is awaited.
struct Awaited {
    place: Place,
    message: Message,
    voucher: Voucher,
    lease: Lease,
}

/// What became of one.
struct Heard {
    answer: Answer,
    spans: u64,
    /// Its environment was fenced while it was on its way.
    cut_off: bool,
}

/// Answers one request.
pub(crate) async fn dispatch(worker: &Worker, arrival: Arrival) -> Result<Answer, Refusal> {
    let arrived = Instant::now();
    loop {
        let Plan { route, awaited } = plan(worker, &arrival)?;
        let mut planned = awaited.into_iter();
        let heard = match (planned.next(), planned.next()) {
            (None, _) => return Ok(Answer::ACCEPTED), // no spans: nothing to do, and that is a success
            (Some(only), None) => (export(worker, &arrival, arrived, only).await, None),
            (Some(one), Some(other)) => {
                let one = export(worker, &arrival, arrived, one);
                let other = export(worker, &arrival, arrived, other);
                let (one, other) = tokio::join!(one, other);
                (one, Some(other))
            }
        };
        match heard {
            // A fence has fallen: plan again, and let the other side answer. There is no second one in this rollout.
            (one, other)
                if (one.cut_off || other.as_ref().is_some_and(|other| other.cut_off))
                    && worker.route.get().is_some_and(|now| !Arc::ptr_eq(&now, &route)) => {}
            (one, None) => return Ok(one.answer),
            (one, Some(other)) => {
                return Ok(Answer::both((one.answer, one.spans), (other.answer, other.spans)));
            }
        }
    }
}

async fn export(worker: &Worker, arrival: &Arrival, arrived: Instant, awaited: Awaited) -> Heard {
    let Awaited { place, message, voucher, lease } = awaited;
    let lane = worker.lane(place);
    let patience = arrival.patience.map(|patience| patience.saturating_sub(arrived.elapsed()));
    let timeout = patience.map_or(lane.timeout, |patience| patience.min(lane.timeout));
    let export = lane.client.export_under(lease, message, &arrival.metadata, timeout).await;
    let unanswered = matches!(export.outcome, Outcome::Unanswered { .. });
    let cut_off = unanswered && lane.client.lease() != lease;
    let gave_up_early = unanswered && timeout < lane.timeout && export.latency >= timeout;
    // Neither what we cut off ourselves nor a client's impatience is a failure of the environment.
    if !cut_off && !gave_up_early {
        worker.vitals.hear(place, &export.outcome, true);
        worker.books.attempt(voucher.key(), Attempt::of(&export, clock::now()));
    }
    let spans = voucher.spans();
    voucher.settle(fate(&export.outcome));
    Heard { answer: Answer::from_outcome(export.outcome), spans, cut_off }
}

fn fate(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Accepted { rejected_spans, .. } => Fate::Delivered { rejected: *rejected_spans },
        Outcome::Rejected { .. } => Fate::Rejected,
        Outcome::Retryable { .. } => Fate::Returned,
        Outcome::Unanswered { silence, .. } if silence.is_unsent() => Fate::Returned,
        Outcome::Unanswered { .. } => Fate::Indeterminate,
    }
}

/// By which route, and what is to be awaited.
struct Plan {
    route: Arc<Route>,
    awaited: Vec<Awaited>,
}

/// Decides what goes where, and queues what is queued. Never waits.
fn plan(worker: &Worker, arrival: &Arrival) -> Result<Plan, Refusal> {
    let mut scratch = worker.scratch();
    let Scratch { splitter, gunzip, tally } = &mut *scratch;
    let plain = match arrival.message.coding {
        Coding::Identity => &arrival.message.bytes[..],
        Coding::Gzip => gunzip.unpack(&arrival.message.bytes).map_err(refuse_gzip)?,
    };
    // In this order, or a cut might be committed that this request does not know of (see routing::Router).
    let now = clock::now();
    let route = worker.route.get().ok_or_else(not_ready)?;
    tally.clear();
    let split = splitter
        .split(plain, |span| tally.decide(&route, span, now))
        .map_err(|error| Refusal::Unscannable(error.to_string()))?;
    if split.spans() == 0 {
        return Ok(Plan { route, awaited: Vec::new() });
    }
    worker.books.observe(&tally.clock, &tally.reasons);
    let mut load = Load { worker, arrival, route: &route, tally, plain, unpacked: None };
    let mut awaited = Vec::with_capacity(2);
    let owned = [(FROM, Some(route.from)), (TO, route.to)];
    for (part, place) in owned.into_iter().filter_map(|(part, place)| Some((part, place?))) {
        let whole = split.part(part);
        if route.is_awaited(place) {
            awaited.extend(load.awaited(whole, part, place));
        } else {
            let spare = split.part(SPARE);
            let counted = load.queue(whole, part, place, true);
            load.queue(spare, SPARE, place, !counted);
        }
    }
    Ok(Plan { route, awaited })
}

/// What a request's spans are, seen together.
#[derive(Debug, Default)]
struct Tally {
    seen: usize,
    clock: ClockHistogram,
    reasons: [u64; Reason::ALL.len()],
    /// Of each part of the split.
    untrusted: [u64; 3],
}

impl Tally {
    fn clear(&mut self) {
        self.seen = 0;
        self.clock.counts.fill(0);
        self.reasons.fill(0);
        self.untrusted.fill(0);
    }

    /// The parts of the split that a span belongs to.
    fn decide(&mut self, route: &Route, span: &Span<'_>, now: UnixNanos) -> u8 {
        let (start, end) = (UnixNanos(span.start_unix_nano), UnixNanos(span.end_unix_nano));
        let decision = route.router.route(&TraceId::from_wire(span.trace_id), start, end, now);
        if self.seen.is_multiple_of(CLOCK_SAMPLE) && end != UnixNanos::ZERO {
            self.clock.record(end, now);
        }
        self.seen += 1;
        if let Some(count) = self.reasons.get_mut(decision.reason as usize) {
            *count += 1;
        }
        let parts = route.parts(&decision);
        if decision.reason == Reason::UntrustedClock {
            for (part, count) in self.untrusted.iter_mut().enumerate() {
                *count += u64::from(parts >> part & 1);
            }
        }
        parts
    }
}

/// Makes what is sent out of the parts of one request.
struct Load<'a> {
    worker: &'a Worker,
    arrival: &'a Arrival,
    route: &'a Route,
    tally: &'a Tally,
    plain: &'a [u8],
    /// The request without its compression, once somebody needed it so.
    unpacked: Option<Bytes>,
}

impl Load<'_> {
    fn awaited(&mut self, part: Part<'_>, index: usize, place: Place) -> Option<Awaited> {
        if part.is_nothing() {
            return None;
        }
        let message = self.message(&part, place);
        let voucher = self.receive(&part, index, place);
        let lease = self.worker.lane(place).client.lease();
        Some(Awaited { place, message, voucher, lease })
    }

    /// Returns whether there was anything to queue.
    fn queue(&mut self, part: Part<'_>, index: usize, place: Place, counted: bool) -> bool {
        if part.is_nothing() {
            return false;
        }
        let lane = self.worker.lane(place);
        let mut message = self.message(&part, place);
        if message.bytes.len() < COPIED_BYTES {
            message.bytes = Bytes::copy_from_slice(&message.bytes);
        }
        lane.enqueue(Copy {
            message,
            metadata: Arc::clone(&self.arrival.metadata),
            voucher: self.receive(&part, index, place),
            lease: lane.client.lease(),
            untrusted: index == SPARE,
            counted,
            arrived: Instant::now(),
            attempts: 0,
            doubtful: false,
        });
        true
    }

    fn receive(&self, part: &Part<'_>, index: usize, place: Place) -> Voucher {
        let untrusted = self.tally.untrusted.get(index).copied().unwrap_or(0);
        self.worker.books.receive(place, self.route.generation(), part.spans() as u64, untrusted)
    }

    /// The original bytes where they will do, still compressed where the codings match.
    fn message(&mut self, part: &Part<'_>, place: Place) -> Message {
        let arrived = &self.arrival.message;
        let target = self.worker.lane(place).compression.target(arrived.coding);
        if !part.is_whole() {
            let mut assembled = self.worker.pool.take(part.encoded_len());
            part.write_to(&mut assembled);
            return Message::coded(self.worker.pool.share(assembled), target);
        }
        match (arrived.coding, target) {
            (arrived_in, target) if arrived_in == target => arrived.clone(),
            (_, Coding::Gzip) => Message::gzip(self.plain),
            (_, Coding::Identity) => {
                let plain = self.plain;
                Message::identity(self.unpacked.get_or_insert_with(|| Bytes::copy_from_slice(plain)).clone())
            }
        }
    }
}

fn refuse_gzip(error: GunzipError) -> Refusal {
    match error {
        GunzipError::Invalid => Refusal::BadCompression(error.to_string()),
        GunzipError::TooLarge { .. } => Refusal::TooLarge(error.to_string()),
    }
}

fn not_ready() -> Refusal {
    Refusal::NotReady(
        "this gateway has no schedule yet, and does not know which environment serves".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_sent_is_returned() {
        use crossfade_backends::otlp::Silence::{Broken, Severed, TimedOut, Unreachable};
        for (silence, wanted) in [
            (Unreachable, Fate::Returned),
            (Severed, Fate::Returned),
            (Broken, Fate::Indeterminate),
            (TimedOut, Fate::Indeterminate),
        ] {
            assert_eq!(fate(&Outcome::Unanswered { silence, detail: String::new() }), wanted, "{silence:?}");
        }
    }

    #[test]
    fn reasons_are_counted_at_their_own_place() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
