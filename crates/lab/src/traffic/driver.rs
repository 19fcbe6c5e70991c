//! The clockwork: begins traces at random moments, and hands each span to its SDK once it has ended.

use super::fleet::Sdk;
use super::sdk::Ended;
use super::shape::{self, SpanPlan};
use super::{Counters, TrafficConfig};
use crate::clock;
use crate::environment::SpanId;
use crossfade_routing::{TraceId, UnixNanos};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{mpsc, watch};

/// A trace that began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) id: TraceId,
    pub(super) root_start: UnixNanos,
    pub(super) spans: usize,
}

/// Begins traces and hands ended spans to their SDKs.
pub(super) struct Driver {
    config: TrafficConfig,
    arrivals: Arrivals,
    fleet: Vec<Sdk>,
    queues: Vec<mpsc::UnboundedSender<Ended>>,
    running: BinaryHeap<Reverse<Running>>,
    begun: Vec<Begun>,
    counters: Arc<Counters>,
}

impl Driver {
    pub(super) fn new(
        config: TrafficConfig,
        fleet: Vec<Sdk>,
        queues: Vec<mpsc::UnboundedSender<Ended>>,
        counters: Arc<Counters>,
    ) -> Driver {
        let arrivals = Arrivals::new(config.seed, config.traces_per_second);
        let (running, begun) = (BinaryHeap::new(), Vec::new());
        Driver { config, arrivals, fleet, queues, running, begun, counters }
    }

    /// Ends when no more traces shall begin and every span has ended; that closes the queues.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Vec<Begun> {
        let mut next_root = Some(clock::now());
        loop {
            let now = clock::now();
            while let Some(root_start) = next_root.filter(|root_start| *root_start <= now) {
                next_root = self.begin(root_start);
            }
            while self.running.peek().is_some_and(|Reverse(span)| span.end() <= now) {
                let Some(Reverse(span)) = self.running.pop() else { break };
                self.end(span);
            }
            let next_end = self.running.peek().map(|Reverse(span)| span.end());
            let Some(next) = next_root.into_iter().chain(next_end).min() else { return self.begun };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if next_root.is_some() => next_root = None,
                () = clock::wait_until(next) => {}
            }
        }
    }

    /// Begins a trace; says when the next one begins.
    fn begin(&mut self, root_start: UnixNanos) -> Option<UnixNanos> {
        let number = self.begun.len() as u64;
        let trace = shape::trace(self.config.business, self.config.seed, number, self.config.longest_trace);
        self.begun.push(Begun { id: trace.id, root_start, spans: trace.spans.len() });
        self.counters.traces.fetch_add(1, Relaxed);
        let spans = trace.spans.into_iter();
        self.running.extend(spans.map(|planned| Reverse(Running { root_start, trace: trace.id, planned })));
        let is_last = number + 1 >= self.config.traces_max;
        (!is_last).then(|| UnixNanos(root_start.0 + self.arrivals.next_gap()))
    }

    /// Hands a span that has ended to its SDK, with the times that its host's clock showed.
    fn end(&mut self, running: Running) {
        let (root, end) = (running.root_start.0, running.end());
        let SpanPlan { sdk, start, mut span, .. } = running.planned;
        let shown = |true_time: u64| true_time.saturating_add_signed(self.fleet[sdk].clock_error_nanos);
        let start = UnixNanos(root + start);
        span.start_time_unix_nano = shown(start.0);
        span.end_time_unix_nano = shown(end.0);
        for event in &mut span.events {
            event.time_unix_nano = shown(root + event.time_unix_nano);
        }
        let id = SpanId(span.span_id.as_slice().try_into().expect("a planned id has 8 bytes"));
        let ended = Ended { trace: running.trace, id, start, end, span };
        // The SDK is gone only if the whole traffic is being dropped.
        let _ = self.queues[sdk].send(ended);
    }
}

/// Gaps between the starts of traces: exponential, so that arrivals are independent of each other.
struct Arrivals {
    rng: ChaCha8Rng,
    mean_nanos: f64,
}

impl Arrivals {
    fn new(seed: u64, per_second: u32) -> Arrivals {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX);
        Arrivals { rng, mean_nanos: 1e9 / f64::from(per_second.max(1)) }
    }

    fn next_gap(&mut self) -> u64 {
        let uniform: f64 = self.rng.random();
        // At most 37 means, since 1 - uniform is at least 2^-53.
        (-(1.0 - uniform).ln() * self.mean_nanos) as u64
    }
}

/// A span that runs, ordered by its end.
struct Running {
    root_start: UnixNanos,
    trace: TraceId,
    planned: SpanPlan,
}

impl Running {
    fn end(&self) -> UnixNanos {
        UnixNanos(self.root_start.0 + self.planned.end)
    }

    fn key(&self) -> (UnixNanos, TraceId, &[u8]) {
        (self.end(), self.trace, &self.planned.span.span_id)
    }
}

impl PartialEq for Running {
    fn eq(&self, other: &Running) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Running {}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Running) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Running {
    fn cmp(&self, other: &Running) -> Ordering {
        self.key().cmp(&other.key())
    }
}
