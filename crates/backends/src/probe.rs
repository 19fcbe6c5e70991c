//! The probe gate's hands: writes the expected traces through OTLP, reads them back.
//!
//! What to write and how to judge what comes back is `crossfade_gates::probe`; this module only moves bytes and keeps time. It
//! retries, within the deadline, what OTLP says may be retried: a prober is a client like any other.
//!
//! | module | holds |
//! |---|---|
//! | `encode` | expected spans to an OTLP request |
//! | [`purge`] | what is held of synthetic traces |
//! | [`suite`] | all of it: traces through every receiver, searches, canaries, separation |

mod encode;
pub mod purge;
pub mod suite;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crossfade_gates::probe::{
    Delivery, Failure, Finding, ProbeReport, Repeats, Trace, TraceResult, compare, generate,
};
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::encode::request;
use crate::clock;
use crate::otlp::{Client, Message, Outcome, Silence};
use crate::query::Query;

/// What a run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// Makes the traces, together with the time of the run.
    pub seed: u64,
    /// How many traces.
    pub traces: u32,
    /// How long a trace may take, from its export's answer until it reads back whole; and how long all exports may take.
    pub deadline: Duration,
    /// How many exports are under way at once.
    pub concurrency: usize,
}

impl ProbeConfig {
    /// With 32 exports under way at once.
    pub const fn new(seed: u64, traces: u32, deadline: Duration) -> Self {
        Self { seed, traces, deadline, concurrency: 32 }
    }
}

/// What is told while it runs.
const READ_BACK: &str = "traces read back";
/// The pause before a refused export is tried again, unless the server names one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// One export's patience.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// When a trace came back whole, how long to look for a second copy of its spans: a duplicate arrives behind the first.
const LINGER: Duration = Duration::from_millis(250);
/// The second look's patience.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Told how far it has come: done, of how many, at what.
pub type Told<'a> = &'a (dyn Fn(usize, usize, &str) + Send + Sync);

/// Writes `config.traces` traces and reads them back. The report's `json()` is the evidence.
///
/// Takes at most twice the deadline and a little, however many traces fail; in a healthy environment a fraction of it.
pub async fn run(otlp: &Client, query: &Query, config: &ProbeConfig) -> ProbeReport {
    run_through(std::slice::from_ref(otlp), query, config, &|_, _, _| {}).await
}

/// The same through several receivers of one environment: each trace begins with the next one, and each further request of a trace
/// goes to the next again.
async fn run_through(
    receivers: &[Client],
    query: &Query,
    config: &ProbeConfig,
    told: Told<'_>,
) -> ProbeReport {
    let at = now();
    let writer = Writer::new(config);
    let traces = generate(config.seed, at, config.traces);
    let total = traces.len();
    let mut running = JoinSet::new();
    for (index, trace) in traces.into_iter().enumerate() {
        let (receivers, query, deadline) = (turned(receivers, index), query.clone(), config.deadline);
        let writer = writer.clone();
        running.spawn(async move {
            let written = writer.write(&receivers, &query, &trace).await;
            (index, read_back(&query, &trace, written, deadline).await)
        });
    }
    let mut results = Vec::new();
    told(0, total, READ_BACK);
    while let Some(result) = running.join_next().await {
        results.push(result.expect("reading a trace back does not panic, and nobody aborts it"));
        told(results.len(), total, READ_BACK);
    }
    results.sort_by_key(|(index, _)| *index);
    let results: Vec<TraceResult> = results.into_iter().map(|(_, result)| result).collect();
    ProbeReport::new(config.seed, at, &results)
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The receivers, beginning with the one whose turn it is.
fn turned(receivers: &[Client], turn: usize) -> Vec<Client> {
    let mut turned = receivers.to_vec();
    turned.rotate_left(turn.checked_rem(receivers.len()).unwrap_or(0));
    turned
}

async fn read_back(
    query: &Query,
    trace: &Trace,
    written: Result<Repeats, Finding>,
    deadline: Duration,
) -> TraceResult {
    let failed = |finding| TraceResult { trace_id: trace.id, read_back: None, findings: vec![finding] };
    let repeats = match written {
        Ok(repeats) => repeats,
        Err(finding) => return failed(finding),
    };
    let written = Instant::now();
    let whole = |spans: &[_]| is_whole(&compare(trace, spans, Repeats::Possible));
    let read = query.trace_when(trace.id, written + deadline, whole).await;
    let took = written.elapsed();
    let read = match read {
        Ok(spans) if whole(&spans) && repeats == Repeats::Unexpected => {
            sleep(LINGER).await;
            // What came back whole stays whole: an error now takes nothing back, and neither does a store that moves traces from its
            // memory to a block, and for a moment gives a part.
            let again = timeout(SECOND_LOOK, query.trace(trace.id)).await;
            let again = again.ok().and_then(Result::ok).flatten();
            Ok(again.filter(|spans| whole(spans)).unwrap_or(spans))
        }
        read => read,
    };
    match read {
        Ok(spans) => {
            let findings = compare(trace, &spans, repeats);
            let result = TraceResult { trace_id: trace.id, read_back: Some(took), findings };
            if result.is_read_back() { result } else { TraceResult { read_back: None, ..result } }
        }
        Err(error) => {
            let finding = Finding::request_failed(trace.id, error.to_string(), !error.is_out_of_reach());
            failed(finding.to(query.endpoint()))
        }
    }
}

/// Whether no span is missing any more; waiting mends nothing else.
fn is_whole(findings: &[Finding]) -> bool {
    !findings.iter().any(|f| matches!(f.failure, Failure::NotFound | Failure::MissingSpans))
}

/// Exports traces, so many at once, until a point in time.
#[derive(Clone)]
struct Writer {
    permits: Arc<Semaphore>,
    until: Instant,
    /// Until when late spans wait for the others to be readable.
    late: Instant,
}

impl Writer {
    fn new(config: &ProbeConfig) -> Self {
        let now = Instant::now();
        let permits = Arc::new(Semaphore::new(config.concurrency.max(1)));
        Self { permits, until: now + config.deadline, late: now + config.deadline / 2 }
    }

    /// Exports one trace, request by request, each acknowledged before the next; what is late, when the rest can be read.
    async fn write(&self, receivers: &[Client], query: &Query, trace: &Trace) -> Result<Repeats, Finding> {
        let mut repeats = Repeats::Unexpected;
        let (mut written, mut until) = (0, self.until);
        for (spans, receiver) in trace.requests().into_iter().zip(receivers.iter().cycle()) {
            if trace.delivery == Delivery::RootLast && written > 0 {
                // Whatever comes of it: what cannot be read now is found when the trace is read back.
                let _ = query.trace_when(trace.id, self.late, |read| read.len() >= written).await;
                // Whoever waited as was asked of it is not out of time.
                until = until.max(Instant::now() + EXPORT_TIMEOUT);
            }
            let receiver = match trace.delivery {
                Delivery::ByService => &receiver.apart(),
                Delivery::Whole | Delivery::RootLast => receiver,
            };
            let protocol = receiver.endpoint().protocol();
            let message = Message::identity(encode::spans(&spans, protocol));
            // Waiting for a trace to be readable holds up nobody: only exports take turns here, and queries in the client.
            let permit = self.permits.acquire().await;
            let sent = send(receiver, message, until).await;
            drop(permit);
            let again = sent.map_err(|(why, answered)| {
                let detail = format!("{}: {why}", named(receiver));
                Finding::request_failed(trace.id, detail, answered).to(named(receiver))
            })?;
            if again == Repeats::Possible {
                repeats = again;
            }
            written += spans.len();
        }
        Ok(repeats)
    }
}

/// A receiver's name in reports: `http/json http://green:4318`.
fn named(receiver: &Client) -> String {
    format!("{} {}", receiver.endpoint().protocol().name(), receiver.endpoint())
}

/// Exports one request, again and again if it may be. Why it could not, and whether anybody answered.
async fn send(otlp: &Client, message: Message, until: Instant) -> Result<Repeats, (String, bool)> {
    let mut repeats = Repeats::Unexpected;
    loop {
        let left = until.saturating_duration_since(Instant::now()).min(EXPORT_TIMEOUT);
        let outcome = otlp.export(message.clone(), &HeaderMap::new(), left).await.outcome;
        let pause = match &outcome {
            Outcome::Accepted { rejected_spans: 0, .. } => return Ok(repeats),
            Outcome::Retryable { retry_after, .. } => retry_after.unwrap_or(RETRY_PAUSE),
            Outcome::Unanswered { silence, .. } => {
                if *silence != Silence::Unreachable {
                    repeats = Repeats::Possible;
                }
                RETRY_PAUSE
            }
            Outcome::Accepted { .. } | Outcome::Rejected { .. } => return Err((outcome.describe(), true)),
        };
        if pause >= until.saturating_duration_since(Instant::now()) {
            return Err((outcome.describe(), !matches!(outcome, Outcome::Unanswered { .. })));
        }
        sleep(pause).await;
    }
}
