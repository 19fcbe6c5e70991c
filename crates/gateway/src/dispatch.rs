//! From one received request to what each environment gets of it, and to the client's answer.
//!
//! Planning is one piece of work without a pause in it: unpack, read the clock, take the route, scan, split, enter into
//! the ledger, queue the copy. So a schedule takes effect between two requests, never within one, and what a fence cuts
//! off cannot come after it. Only the export whose answer the client hears is awaited. Compression comes after planning: that of
//! what is awaited before its export, that of the copy at its delivery.
//!
//! ```text
//! Protection::Copy    the side that answers gets everything and is awaited; the other side's share is queued
//! Protection::Split   each side gets only what the rule wants there; both are awaited (the base of holdback)
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossfade_backends::otlp::{Coding, Export, Lease, Message, Outcome, Silence};
use crossfade_otlp::{Part, Span, Splitter};
use crossfade_routing::sync::ClockHistogram;
use crossfade_routing::{Generation, Reason, TraceId, UnixNanos};
use http::HeaderMap;
use tokio::time::Instant;

use crate::answer::{Answer, Refusal};
use crate::books::{Attempt, Fate, Place, Voucher};
use crate::budget::Share;
use crate::clock;
use crate::lane::{Lane, coded};
use crate::queue::Copy;
use crate::receive::gunzip::{Gunzip, GunzipError};
use crate::receive::out_of_memory;
use crate::route::Route;
use crate::worker::Worker;

/// A request whose last byte is in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) message: Message,
    /// How long the message's buffer is, if it is its own (see [`Received`](crate::receive::body::Received)).
    pub(crate) buffer: Option<usize>,
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

    /// Gives back what an unusual request took. After each one: the next may be long in coming.
    fn tidy(&mut self) {
        self.gunzip.tidy();
        self.splitter.shrink_to(SPLIT_BYTES_KEPT);
    }
}

/// Destinations of a split: `from`, `to`, and what goes to the side that does not answer only because a clock is not
/// believed.
pub(crate) const FROM: usize = 0;
pub(crate) const TO: usize = 1;
pub(crate) const SPARE: usize = 2;

/// One span in so many has its clock recorded: the histogram is to show shares, not to count.
const CLOCK_SAMPLE: usize = 16;
/// What splitting a large request of the usual kind takes.
const SPLIT_BYTES_KEPT: usize = 1 << 20;

/// An export that is awaited.
struct Awaited {
    place: Place,
    message: Message,
    /// What to send it in.
    coding: Coding,
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

/// Answers one request. `memory` is its share of that for requests, and grows with what has to be made of it.
pub(crate) async fn dispatch(
    worker: &Worker,
    arrival: Arrival,
    mut memory: Share,
) -> Result<Answer, Refusal> {
    let arrived = Instant::now();
    let mut is_new = true;
    loop {
        let Plan { route, awaited, spans } = {
            let mut scratch = worker.scratch();
            let plan = plan(worker, &arrival, &mut memory, &mut scratch);
            scratch.tidy();
            plan?
        };
        // What cannot be scanned was not let in, and what is planned again after a fence came once.
        if std::mem::take(&mut is_new) {
            worker.tap.offer(&arrival.message, spans);
        }
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
    let Awaited { place, message, coding, voucher, lease } = awaited;
    let lane = worker.lane(place);
    let message = coded(message, coding).await;
    let patience = arrival.patience.map(|patience| patience.saturating_sub(arrived.elapsed()));
    let timeout = patience.map_or(lane.timeout, |patience| patience.min(lane.timeout));
    let mut waiting =
        Waiting { worker, place, lease, key: voucher.key(), since: Instant::now(), heard: false };
    let export = lane.client.export_under(lease, message, &arrival.metadata, timeout).await;
    waiting.hear(&export, timeout);
    let cut_off = matches!(export.outcome, Outcome::Unanswered { .. }) && lane.client.lease() != lease;
    let spans = voucher.spans();
    voucher.settle(fate(&export.outcome));
    Heard { answer: Answer::from_outcome(export.outcome), spans, cut_off }
}

/// Somebody waits for an answer. What that says of the environment is told to the breaker and to the analysis, also when
/// nothing comes and the client hangs up: one that never answers must not look healthy because its clients are quicker
/// to give up than we are.
struct Waiting<'a> {
    worker: &'a Worker,
    place: Place,
    lease: Lease,
    key: (Place, Generation),
    since: Instant,
    heard: bool,
}

impl Waiting<'_> {
    fn hear(&mut self, export: &Export, timeout: Duration) {
        self.heard = true;
        let lane = self.worker.lane(self.place);
        let unanswered = matches!(export.outcome, Outcome::Unanswered { .. });
        let cut_off = unanswered && lane.client.lease() != self.lease;
        let gave_up = unanswered && timeout < lane.timeout && export.latency >= timeout;
        let too_early = gave_up && export.latency < enough(lane);
        // Neither what we cut off ourselves nor a client's impatience is a failure of the environment.
        if !cut_off && !too_early {
            self.worker.vitals.hear(self.place, &export.outcome, true);
            self.worker.books.attempt(self.key, Attempt::of(export, clock::now()));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let latency = self.since.elapsed();
        if self.heard || latency < enough(self.worker.lane(self.place)) {
            return;
        }
        let detail = format!("no answer within {latency:?}, when the client gave up");
        let outcome = Outcome::Unanswered { silence: Silence::TimedOut, detail };
        self.hear(&Export { outcome, latency }, latency);
    }
}

/// How long an answer may take before its absence counts, however little its client waits.
fn enough(lane: &Lane) -> Duration {
    lane.timeout / 2
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
    /// How many the request has.
    spans: u64,
}

/// Decides what goes where, and queues what is queued. Never waits.
fn plan(
    worker: &Worker,
    arrival: &Arrival,
    memory: &mut Share,
    scratch: &mut Scratch,
) -> Result<Plan, Refusal> {
    let Scratch { splitter, gunzip, tally } = scratch;
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
    let spans = split.spans() as u64;
    if spans == 0 {
        return Ok(Plan { route, awaited: Vec::new(), spans });
    }
    let mut load = Load { worker, arrival, route: &route, tally, plain, unpacked: None };
    let sides = |awaited: bool| {
        let owned = [(FROM, Some(route.from)), (TO, route.to)].into_iter();
        let owned = owned.filter_map(|(part, place)| Some((part, place?)));
        let route = &route;
        owned.filter(move |(_, place)| route.is_awaited(*place) == awaited)
    };
    // Before anything is entered or queued: what is refused has left no trace.
    let needed = sides(true).map(|(part, place)| load.needed(&split.part(part), place)).sum();
    memory.grow(needed).map_err(|_| out_of_memory())?;
    worker.books.observe(&tally.clock, &tally.reasons);
    let awaited =
        sides(true).filter_map(|(part, place)| load.awaited(split.part(part), part, place)).collect();
    for (part, place) in sides(false) {
        let counted = load.queue(split.part(part), part, place, true);
        load.queue(split.part(SPARE), SPARE, place, !counted);
    }
    Ok(Plan { route, awaited, spans })
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
        let Parcel { message, coding, .. } = self.parcel(&part, place);
        let voucher = self.receive(&part, index, place);
        let lease = self.worker.lane(place).client.lease();
        Some(Awaited { place, message, coding, voucher, lease })
    }

    /// Returns whether there was anything to queue.
    fn queue(&mut self, part: Part<'_>, index: usize, place: Place, counted: bool) -> bool {
        if part.is_nothing() {
            return false;
        }
        let lane = self.worker.lane(place);
        let Parcel { mut message, coding, mut buffer } = self.parcel(&part, place);
        // What waits keeps no more than it counts.
        let memory = *buffer.get_or_insert_with(|| {
            let (own, capacity) = self.own(message.bytes.len(), |own| own.extend_from_slice(&message.bytes));
            message.bytes = own;
            capacity
        });
        lane.enqueue(Copy {
            message,
            coding,
            memory,
            metadata: Arc::clone(&self.arrival.metadata),
            voucher: self.receive(&part, index, place),
            lease: lane.client.lease(),
            untrusted: index == SPARE,
            counted,
            arrived: Instant::now(),
            attempts: 0,
            doubtful: false,
            room: None,
        });
        true
    }

    fn receive(&self, part: &Part<'_>, index: usize, place: Place) -> Voucher {
        let untrusted = self.tally.untrusted.get(index).copied().unwrap_or(0);
        self.worker.books.receive(place, self.route.generation(), part.spans() as u64, untrusted)
    }

    /// Memory that a part takes beside the request as it came.
    fn needed(&self, part: &Part<'_>, place: Place) -> usize {
        let passes = part.is_whole() && self.coding(place) == self.arrival.message.coding;
        if part.is_nothing() || passes { 0 } else { part.encoded_len() }
    }

    fn coding(&self, place: Place) -> Coding {
        self.worker.lane(place).compression.target(self.arrival.message.coding)
    }

    /// The original bytes where they will do, still compressed where the codings match; else uncompressed.
    fn parcel(&mut self, part: &Part<'_>, place: Place) -> Parcel {
        let coding = self.coding(place);
        if !part.is_whole() {
            let (bytes, capacity) = self.own(part.encoded_len(), |own| part.write_to(own));
            return Parcel { message: Message::identity(bytes), coding, buffer: Some(capacity) };
        }
        let arrived = &self.arrival.message;
        if arrived.coding == Coding::Gzip && coding == Coding::Identity {
            let plain = self.plain;
            let unpacked = self.unpacked.get_or_insert_with(|| Bytes::copy_from_slice(plain)).clone();
            return Parcel { buffer: Some(unpacked.len()), message: Message::identity(unpacked), coding };
        }
        Parcel { message: arrived.clone(), coding, buffer: self.arrival.buffer }
    }

    /// Bytes in a buffer of their own, and how long that is.
    fn own(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> (Bytes, usize) {
        let mut own = self.worker.pool.take(len);
        write(&mut own);
        let capacity = own.capacity();
        (self.worker.pool.share(own), capacity)
    }
}

/// What an environment is to get, which may not have its coding yet.
struct Parcel {
    message: Message,
    coding: Coding,
    /// As of an arrival.
    buffer: Option<usize>,
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
    use crossfade_routing::{Begin, EnvironmentId, Schedule, Seed, Weight, Window};

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
    // Scenario: a request whose every span is two bytes of a scope of its own.
    // Guarantee: the memory that its plan takes is given back with the plan, not at the end of the worker.
    #[test]
    fn an_unusual_request_leaves_no_memory_behind() {
        let scope = [&[0x12, 0x00][..], &[0x12, 0x12, 0x0a, 0x10], &[7; 16]].concat();
        let resource = [&[0x0a, 24, 0x12, 22][..], &scope].concat();
        let mut scratch = Scratch::new(1 << 20);
        let odd = |span: &Span<'_>| if span.trace_id.is_empty() { 0b01 } else { 0b10 };
        let spans = |split: Result<crossfade_otlp::Split<'_>, _>| split.map(|split| split.spans()).unwrap();
        assert_eq!(spans(scratch.splitter.split(&resource.repeat(100), odd)), 200);
        let usual = scratch.splitter.scratch_bytes();
        scratch.tidy();
        assert_eq!(scratch.splitter.scratch_bytes(), usual, "what is usual is kept");
        assert_eq!(spans(scratch.splitter.split(&resource.repeat(100_000), odd)), 200_000);
        assert!(scratch.splitter.scratch_bytes() > 4 * SPLIT_BYTES_KEPT);
        scratch.tidy();
        assert!(scratch.splitter.scratch_bytes() <= SPLIT_BYTES_KEPT);
    }
    // Scenario: a request of one piece, which is a slice of all that was read from its connection, goes to both sides whole.
    // Guarantee: the side that answers gets the slice, and nothing is copied for it; what is queued holds nothing of what was
    // read, and counts as much as it holds. A request in a buffer of its own is shared.
    #[tokio::test]
    async fn what_is_queued_keeps_no_read_buffer() {
        let blue = EnvironmentId::new("blue").unwrap();
        let begin = Begin {
            rollout: "r".to_owned(),
            to: EnvironmentId::new("green").unwrap(),
            seed: Seed(1),
            window: Window::new(Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(1))
                .unwrap(),
        };
        let schedule = Schedule::genesis(blue).begin(begin).unwrap().mirrored(Weight::FULL).unwrap();
        let worker = crate::worker::tests::idle(&schedule, &[]);
        for size in [100, 50_000] {
            // resource_spans { scope_spans { spans { trace_id: …, name: "xxx…" } } }, with lengths of three bytes.
            let length = |length: usize| {
                [length & 0x7f | 0x80, length >> 7 & 0x7f | 0x80, length >> 14].map(|b| b as u8)
            };
            let field = |tag: u8, value: &[u8]| [&[tag][..], &length(value.len()), value].concat();
            let span = [field(0x0a, &[7; 16]), field(0x2a, &vec![b'x'; size])].concat();
            let request = field(0x0a, &field(0x12, &field(0x12, &span)));
            let read = Bytes::from([&request[..], &vec![0; 400_000]].concat());
            for buffer in [None, Some(request.len() + 7)] {
                let message = Message::identity(read.slice(..request.len()));
                let arrival = Arrival { message, buffer, metadata: Arc::default(), patience: None };
                let mut memory = crate::budget::Budget::new(0).share(0).unwrap();
                let planned = plan(&worker, &arrival, &mut memory, &mut worker.scratch()).unwrap();
                let [awaited] = &planned.awaited[..] else { panic!("one side answers") };
                assert_eq!((awaited.place, awaited.message.bytes.as_ptr()), (0, read.as_ptr()));
                let [copy] = &worker.lane(1).next().await[..] else { panic!("one copy") };
                assert_eq!(copy.message.bytes, request);
                let is_slice = copy.message.bytes.as_ptr() == read.as_ptr();
                assert_eq!(is_slice, buffer.is_some());
                let counted = if is_slice {
                    request.len() + 7..=request.len() + 7
                } else {
                    request.len()..=2 * request.len()
                };
                assert!(counted.contains(&copy.memory), "{} of {counted:?}", copy.memory);
            }
        }
    }
}
