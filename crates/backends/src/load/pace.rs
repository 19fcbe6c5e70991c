//! The open loop: every request is sent when it is due, whatever became of those before.
//!
//! Only so many may be in flight. A request that finds no room waits, and is sent as soon as there is room; its latency counts
//! from the time it was due all the same. One that has waited for as long as a client has patience is counted as unsent.
//! Nothing is left out: what is offered is what the schedule says.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade_gates::load::{Answer, Arrival, Counts, Ids, Sample, Schedule, Words};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// Sends requests.
pub(crate) trait Target {
    /// Makes the request of this number ready, at once; the future sends it and waits for its answer.
    fn send(&mut self, arrival: Arrival) -> impl Future<Output = Done> + Send + 'static;
}

/// What became of a request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) answer: Answer,
    /// What was answered, if it was not a success.
    pub(crate) words: Option<String>,
    pub(crate) bytes: u64,
    /// When that was known.
    pub(crate) at: Instant,
}

/// What is to be driven.
pub(crate) struct Pace<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) in_flight_max: usize,
    /// How long a request may wait to be sent.
    pub(crate) patience: Duration,
    /// How long answers are waited for after a stop.
    pub(crate) grace: Duration,
    pub(crate) ids: Ids,
    /// How many accepted traces are sampled, over all phases.
    pub(crate) sample: usize,
    /// Nanoseconds that this thread had nothing to do, if that is measured.
    pub(crate) parked: Option<Arc<AtomicU64>>,
}

/// What came of it.
pub(crate) struct Driven {
    /// Of each phase that was begun.
    pub(crate) counts: Vec<Counts>,
    /// Accepted traces of each of these phases.
    pub(crate) samples: Vec<Sample>,
    pub(crate) words: Words,
    pub(crate) interrupted: bool,
}

/// How it goes.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Which receiver, in the order in which they take turns.
    pub receiver: usize,
    /// Since its turn began.
    pub elapsed: Duration,
    /// The phase that goes on, and what became of its requests so far.
    pub counts: Option<Counts>,
    /// Requests that have no answer yet.
    pub in_flight: usize,
}

/// How often progress is told.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Offers all of a schedule, from `start` on; until `stop` says so, or its sender is gone.
pub(crate) async fn drive<T: Target>(
    pace: &Pace<'_>,
    mut target: T,
    start: Instant,
    mut stop: watch::Receiver<bool>,
    mut look: impl FnMut(Progress),
) -> Driven {
    let mut tally = Tally::new(pace, start);
    let mut arrivals = pace.schedule.arrivals().peekable();
    let mut flights: JoinSet<(Arrival, Done)> = JoinSet::new();
    // When there was last no room for a request that was due; and whether that is still so.
    let (mut full_at, mut is_full): (Option<Instant>, bool) = (None, false);
    let mut look_at = start + LOOK_EVERY;
    let grace = loop {
        match stop.has_changed() {
            Ok(_) if *stop.borrow() => break Some(pace.grace),
            Ok(_) => {}
            Err(_) => break Some(Duration::ZERO),
        }
        let now = Instant::now();
        if is_full {
            full_at = Some(now);
        }
        is_full = false;
        while let Some(arrival) = arrivals.peek().copied().filter(|arrival| start + arrival.at <= now) {
            let is_late = now - (start + arrival.at) >= pace.patience;
            if !is_late && flights.len() >= pace.in_flight_max {
                (is_full, full_at) = (true, Some(now));
                break;
            }
            arrivals.next();
            tally.offer(&arrival);
            if is_late {
                tally.give_up(&arrival, full_at, now);
            } else {
                let flight = target.send(arrival);
                flights.spawn(async move { (arrival, flight.await) });
                tally.send(&arrival, full_at, Instant::now());
            }
        }
        if now >= look_at {
            look(tally.progress(now, flights.len()));
            look_at = now + LOOK_EVERY;
        }
        let wake = match arrivals.peek() {
            Some(arrival) if is_full => start + arrival.at + pace.patience,
            Some(arrival) => start + arrival.at,
            None if flights.is_empty() => break None,
            None => look_at,
        };
        tokio::select! {
            biased;
            changed = stop.wait_for(|stopped| *stopped) => {
                break Some(if changed.is_ok() { pace.grace } else { Duration::ZERO });
            }
            Some(landed) = flights.join_next() => tally.land(landed),
            () = sleep_until(wake.min(look_at)) => {}
        }
    };
    if let Some(grace) = grace {
        let now = Instant::now();
        arrivals.take_while(|arrival| start + arrival.at <= now).for_each(|arrival| tally.offer(&arrival));
        let landing = async {
            while let Some(landed) = flights.join_next().await {
                tally.land(landed);
            }
        };
        // What has not landed by then is abandoned.
        let _ = timeout(grace, landing).await;
    }
    tally.driven(grace.is_some())
}

/// What falls to one of `parts`, if all get as much as they can.
pub(super) fn share(of: usize, part: usize, parts: usize) -> usize {
    of / parts.max(1) + usize::from(part < of % parts.max(1))
}

/// Counts while it goes on.
struct Tally<'a> {
    pace: &'a Pace<'a>,
    spans: u64,
    start: Instant,
    counts: Vec<Counts>,
    samples: Vec<Sample>,
    words: Words,
    /// When the last phase began, and how long this thread had had nothing to do by then.
    phase_began: (Instant, u64),
}

impl<'a> Tally<'a> {
    fn new(pace: &'a Pace<'a>, start: Instant) -> Self {
        Self {
            pace,
            spans: u64::from(pace.schedule.spans_per_request()),
            start,
            counts: Vec::new(),
            samples: Vec::new(),
            words: Words::default(),
            phase_began: (start, 0),
        }
    }

    fn offer(&mut self, arrival: &Arrival) {
        while self.counts.len() <= arrival.phase {
            let Some(phase) = self.pace.schedule.phases().get(self.counts.len()) else { return };
            self.end_phase();
            self.counts.push(Counts::new(*phase));
            let spans = self.pace.schedule.spans_per_request();
            let size = share(self.pace.sample, self.samples.len(), self.pace.schedule.phases().len());
            self.samples.push(Sample::new(self.pace.ids, size, spans));
        }
        let spans = self.spans;
        self.of(arrival).offer(spans);
    }

    fn of(&mut self, arrival: &Arrival) -> &mut Counts {
        &mut self.counts[arrival.phase]
    }

    fn send(&mut self, arrival: &Arrival, full_at: Option<Instant>, now: Instant) {
        let due = self.start + arrival.at;
        let free = full_at.map_or(due, |full| full.max(due));
        let counts = self.of(arrival);
        counts.held += u64::from(free > due);
        counts.lag.record(now.saturating_duration_since(free));
    }

    /// It waited for too long: for room, or, if there was room all the time, for us.
    fn give_up(&mut self, arrival: &Arrival, full_at: Option<Instant>, now: Instant) {
        self.send(arrival, full_at, now);
        let (spans, waited) = (self.spans, now - (self.start + arrival.at));
        self.of(arrival).count(Answer::Unsent, spans, waited);
    }

    fn land(&mut self, landed: Result<(Arrival, Done), JoinError>) {
        let (arrival, done) = match landed {
            Ok(landed) => landed,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let (spans, took) = (self.spans, done.at.saturating_duration_since(self.start + arrival.at));
        let counts = self.of(&arrival);
        counts.count(done.answer, spans, took);
        counts.bytes += done.bytes;
        if done.answer == (Answer::Accepted { rejected: 0 })
            && let Some(sample) = self.samples.get_mut(arrival.phase)
        {
            sample.take(arrival.index);
        }
        if let Some(words) = done.words {
            self.words.add(&words);
        }
    }

    /// Notes how busy the last phase has kept this thread.
    fn end_phase(&mut self) {
        let Some(parked) = &self.pace.parked else { return };
        let (now, parked) = (Instant::now(), parked.load(Ordering::Relaxed));
        let (began, before) = std::mem::replace(&mut self.phase_began, (now, parked));
        let took = (now - began).as_nanos() as f64;
        if let Some(counts) = self.counts.last_mut()
            && took > 0.0
        {
            counts.busy = Some((1.0 - (parked - before) as f64 / took).clamp(0.0, 1.0));
        }
    }

    fn progress(&self, now: Instant, in_flight: usize) -> Progress {
        Progress { receiver: 0, elapsed: now - self.start, counts: self.counts.last().cloned(), in_flight }
    }

    fn driven(mut self, interrupted: bool) -> Driven {
        self.end_phase();
        for counts in &mut self.counts {
            counts.abandoned = counts.offered - counts.sent() - counts.unsent;
        }
        Driven { counts: self.counts, samples: self.samples, words: self.words, interrupted }
    }
}

#[cfg(test)]
mod tests;
