//! Seeded open-loop traffic: traces of a small business, sent as a fleet of OpenTelemetry SDKs would send them.
//!
//! Traces begin at random moments (exponential gaps) at a given rate, whether or not answers come. Which traces, and
//! the gaps between them, depend on the seed alone; how spans fall into batches depends on the run. Each span is handed
//! to its SDK once it has truly ended, waits for its batch there, and carries the times of its host's clock, which is
//! wrong by a constant within a bound. Half of the hosts export by OTLP/gRPC, half by OTLP/HTTP with gzip.

mod business;
mod driver;
mod exporter;
pub(crate) mod fleet;
mod past;
mod record;
mod sdk;
mod shape;
#[cfg(test)]
mod tests;

pub use business::Business;
#[cfg(test)]
pub(crate) use exporter::ATTEMPT_TIMEOUT;
pub use exporter::Answer;
pub(crate) use exporter::Exporter;
pub use fleet::{Protocol, Sdk};
pub use past::past;
pub use record::{Record, SentRequest, SentSpan, SentTrace};

use driver::{Begun, Driver};
use sdk::Sent;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The traffic to make.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficConfig {
    /// Decides the traces, their arrivals and the hosts' clocks.
    pub seed: u64,
    /// Whose traffic it is.
    pub business: Business,
    /// Traces that begin in a second, on average.
    pub traces_per_second: u32,
    /// No more traces than that: the traffic ends by itself.
    pub traces_max: u64,
    /// The longest a trace takes, from its root's start to its last span's end.
    pub longest_trace: Duration,
    /// The most by which a host's clock is wrong, either way.
    pub clock_error_max: Duration,
    /// How SDKs batch and retry.
    pub pace: Pace,
}

/// How SDKs batch and retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A batch is sent that long after its first span ended.
    pub batch_delay: Duration,
    /// A batch is sent when it has so many spans.
    pub batch_spans_max: usize,
    /// No retry begins that long after the first attempt.
    pub give_up_after: Duration,
}

impl Default for TrafficConfig {
    fn default() -> TrafficConfig {
        TrafficConfig {
            seed: 42,
            business: Business::default(),
            traces_per_second: 400,
            traces_max: 400 * 300,
            longest_trace: Duration::from_secs(3),
            clock_error_max: Duration::from_millis(10),
            pace: Pace {
                batch_delay: Duration::from_millis(250),
                batch_spans_max: 512,
                give_up_after: Duration::from_secs(10),
            },
        }
    }
}

/// The gateways to send to: SDKs are dealt out over those of their protocol in turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// Where OTLP/gRPC is received.
    pub grpc: Vec<SocketAddr>,
    /// Where OTLP/HTTP is received.
    pub http: Vec<SocketAddr>,
}

/// There is nowhere to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no target for {0:?}")]
pub struct NoTarget(pub Protocol);

/// A moment's view of running traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Traces that have begun.
    pub traces: u64,
    /// Spans in exports that were begun.
    pub spans_sent: u64,
    /// Spans in exports that were accepted.
    pub spans_acknowledged: u64,
    /// Spans in exports that were refused for good or given up.
    pub spans_failed: u64,
    /// Attempts that failed and could be repeated.
    pub attempts_failed: u64,
}

/// Running traffic. Dropping it ends it at once; [`Traffic::stop`] lets it finish what it began.
#[derive(Debug)]
pub struct Traffic {
    tasks: Tasks,
    stop: watch::Sender<bool>,
    counters: Arc<Counters>,
    fleet: Vec<Sdk>,
}

#[derive(Debug, Default)]
struct Counters {
    traces: AtomicU64,
    spans_sent: AtomicU64,
    spans_acknowledged: AtomicU64,
    spans_failed: AtomicU64,
    attempts_failed: AtomicU64,
}

#[derive(Debug)]
struct Tasks {
    driver: JoinHandle<Vec<Begun>>,
    sdks: Vec<JoinHandle<Sent>>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.driver.abort();
        self.sdks.iter().for_each(JoinHandle::abort);
    }
}

/// Begins the traffic on the current runtime.
pub fn start(config: TrafficConfig, targets: &Targets) -> Result<Traffic, NoTarget> {
    let fleet = fleet::fleet(config.business, config.seed, config.clock_error_max);
    let counters = Arc::new(Counters::default());
    let (mut queues, mut runs) = (Vec::new(), Vec::new());
    for (number, sdk) in fleet.iter().enumerate() {
        let addresses = match sdk.protocol {
            Protocol::Grpc => &targets.grpc,
            Protocol::HttpProtobufGzip => &targets.http,
        };
        // Neighbours in the fleet alternate between the protocols.
        let in_turn = (number / 2).checked_rem(addresses.len()).ok_or(NoTarget(sdk.protocol))?;
        let exporter = Exporter::new(sdk.protocol, addresses[in_turn]);
        let (queue, ended) = mpsc::unbounded_channel();
        queues.push(queue);
        runs.push(sdk::run(number, sdk.clone(), exporter, config.pace, ended, Arc::clone(&counters)));
    }
    let stop = watch::Sender::new(false);
    let driver = Driver::new(config, fleet.clone(), queues, Arc::clone(&counters));
    let driver = tokio::spawn(driver.run(stop.subscribe()));
    let tasks = Tasks { driver, sdks: runs.into_iter().map(tokio::spawn).collect() };
    Ok(Traffic { tasks, stop, counters, fleet })
}

impl Traffic {
    /// Where it is now.
    pub fn progress(&self) -> Progress {
        let counters = &self.counters;
        Progress {
            traces: counters.traces.load(Relaxed),
            spans_sent: counters.spans_sent.load(Relaxed),
            spans_acknowledged: counters.spans_acknowledged.load(Relaxed),
            spans_failed: counters.spans_failed.load(Relaxed),
            attempts_failed: counters.attempts_failed.load(Relaxed),
        }
    }

    /// Begins no more traces, waits until those that run have ended and are sent, and gives the record. Takes as long as
    /// the longest trace, a batch's delay and the retries.
    pub async fn stop(self) -> Record {
        self.stop.send_replace(true);
        self.finish().await
    }

    /// Waits until `traces_max` traces have been sent, and gives the record.
    pub async fn finish(mut self) -> Record {
        let begun =
            (&mut self.tasks.driver).await.expect("the driver does not panic, and only a drop aborts it");
        let mut record = Record { sdks: std::mem::take(&mut self.fleet), ..Record::default() };
        for trace in begun {
            let Begun { id, root_start, spans } = trace;
            record
                .traces
                .insert(id, SentTrace { root_start, planned: spans, spans: Vec::with_capacity(spans) });
        }
        for sdk in &mut self.tasks.sdks {
            let sent = sdk.await.expect("an SDK does not panic, and only a drop aborts it");
            let first = record.requests.len();
            record.requests.extend(sent.requests);
            for (trace, mut span) in sent.spans {
                span.request += first;
                record.traces.get_mut(&trace).expect("its trace has begun").spans.push(span);
            }
        }
        record
    }
}
