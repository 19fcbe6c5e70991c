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

use crossfade_gates::probe::{Failure, Finding, ProbeReport, Repeats, Trace, TraceResult, compare, generate};
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

/// The pause before a refused export is tried again, unless the server names one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// One export's patience.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// When a trace came back whole, how long to look for a second copy of its spans: a duplicate arrives behind the first.
const LINGER: Duration = Duration::from_millis(250);
/// The second look's patience.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Writes `config.traces` traces and reads them back. The report's `json()` is the evidence.
///
/// Takes at most twice the deadline and a little, however many traces fail; in a healthy environment a fraction of it.
pub async fn run(otlp: &Client, query: &Query, config: &ProbeConfig) -> ProbeReport {
    run_through(std::slice::from_ref(otlp), query, config).await
}

/// The same through several receivers of one environment: each trace begins with the next one, and each further request of a trace
/// goes to the next again.
async fn run_through(receivers: &[Client], query: &Query, config: &ProbeConfig) -> ProbeReport {
    let at = now();
    let write_until = Instant::now() + config.deadline;
    let permits = Arc::new(Semaphore::new(config.concurrency.max(1)));
    let mut running = JoinSet::new();
    for (index, trace) in generate(config.seed, at, config.traces).into_iter().enumerate() {
        let (receivers, query, deadline) = (turned(receivers, index), query.clone(), config.deadline);
        let permits = permits.clone();
        running.spawn(async move {
            // Waiting for a trace to be readable holds up nobody: only exports take turns here, and queries in the client.
            let permit = permits.acquire().await;
            let written = write(&receivers, &trace, write_until).await;
            drop(permit);
            (index, read_back(&query, &trace, written, deadline).await)
        });
    }
    let mut results = running.join_all().await;
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
            // What came back whole stays whole: an error now takes nothing back.
            let again = timeout(SECOND_LOOK, query.trace(trace.id)).await;
            Ok(again.ok().and_then(Result::ok).flatten().unwrap_or(spans))
        }
        read => read,
    };
    match read {
        Ok(spans) => {
            let findings = compare(trace, &spans, repeats);
            let result = TraceResult { trace_id: trace.id, read_back: Some(took), findings };
            if result.is_read_back() { result } else { TraceResult { read_back: None, ..result } }
        }
        Err(error) => failed(Finding::request_failed(trace.id, error.to_string(), error.answered())),
    }
}

/// Whether no span is missing any more; waiting mends nothing else.
fn is_whole(findings: &[Finding]) -> bool {
    !findings.iter().any(|f| matches!(f.failure, Failure::NotFound | Failure::MissingSpans))
}

/// Exports one trace, request by request, each acknowledged before the next, until a point in time.
async fn write(receivers: &[Client], trace: &Trace, until: Instant) -> Result<Repeats, Finding> {
    let mut repeats = Repeats::Unexpected;
    for (spans, receiver) in trace.requests().into_iter().zip(receivers.iter().cycle()) {
        let protocol = receiver.endpoint().protocol();
        let message = Message::identity(encode::spans(&spans, protocol));
        let sent = send(receiver, message, until).await;
        let again = sent.map_err(|(why, answered)| {
            let through = format!("{} {}: {why}", protocol.name(), receiver.endpoint());
            Finding::request_failed(trace.id, through, answered)
        })?;
        if again == Repeats::Possible {
            repeats = again;
        }
    }
    Ok(repeats)
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
