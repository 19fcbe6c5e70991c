//! One simulated SDK: batches the spans of its service on its host, exports them one batch at a time, and retries.

use super::exporter::{Answer, Exporter};
use super::fleet::Sdk;
use super::record::{SentRequest, SentSpan};
use super::{Counters, Pace};
use crate::clock;
use crate::environment::SpanId;
use bytes::Bytes;
use crossfade_routing::{TraceId, UnixNanos};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A span that has ended and waits to be sent.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    /// True times; `span` has those of its host.
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
    pub(super) span: Span,
}

/// What one SDK sent; requests are numbered from zero, within this SDK.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) requests: Vec<SentRequest>,
    pub(super) spans: Vec<(TraceId, SentSpan)>,
}

/// Sends until the queue is closed and empty.
pub(super) async fn run(
    number: usize,
    sdk: Sdk,
    mut exporter: Exporter,
    pace: Pace,
    mut queue: UnboundedReceiver<Ended>,
    counters: Arc<Counters>,
) -> Sent {
    let mut sent = Sent::default();
    let mut jitter = ChaCha8Rng::seed_from_u64(number as u64);
    while let Some(first) = queue.recv().await {
        let batch = fill(first, &mut queue, &pace).await;
        let request = sent.requests.len();
        let spans = batch.iter().map(|ended| (ended.trace, sent_span(&sdk, number, request, ended)));
        sent.spans.extend(spans);
        let count = batch.len();
        let body = exporter.pack(&encode(&sdk, batch));
        sent.requests.push(export(&mut exporter, number, count, body, &pace, &mut jitter, &counters).await);
    }
    sent
}

/// Collects until the batch is full, the delay has passed since its first span, or nothing more can come.
async fn fill(first: Ended, queue: &mut UnboundedReceiver<Ended>, pace: &Pace) -> Vec<Ended> {
    let deadline = Instant::now() + pace.batch_delay;
    let mut batch = vec![first];
    while batch.len() < pace.batch_spans_max {
        match tokio::time::timeout_at(deadline, queue.recv()).await {
            Ok(Some(ended)) => batch.push(ended),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

fn sent_span(sdk: &Sdk, number: usize, request: usize, ended: &Ended) -> SentSpan {
    let digest = sdk.digest.of_span(&ended.span);
    SentSpan { id: ended.id, sdk: number, start: ended.start, end: ended.end, digest, request }
}

fn encode(sdk: &Sdk, batch: Vec<Ended>) -> Vec<u8> {
    let scope_spans = ScopeSpans {
        scope: Some(sdk.scope.clone()),
        spans: batch.into_iter().map(|ended| ended.span).collect(),
        schema_url: String::new(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(sdk.resource.clone()),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

async fn export(
    exporter: &mut Exporter,
    sdk: usize,
    spans: usize,
    body: Bytes,
    pace: &Pace,
    jitter: &mut ChaCha8Rng,
    counters: &Counters,
) -> SentRequest {
    let sent_at = clock::now();
    let give_up = Instant::now() + pace.give_up_after;
    counters.spans_sent.fetch_add(spans as u64, Relaxed);
    let first_answer = exporter.export(body.clone()).await;
    let (mut answer, mut attempts, mut backoff) = (first_answer, 1, BACKOFF_FIRST);
    while let Some(wait) = wait_before_retry(answer, backoff, jitter) {
        counters.attempts_failed.fetch_add(1, Relaxed);
        if Instant::now() + wait >= give_up {
            break;
        }
        tokio::time::sleep(wait).await;
        answer = exporter.export(body.clone()).await;
        attempts += 1;
        backoff = (backoff * 3 / 2).min(BACKOFF_MAX);
    }
    let outcome = match answer {
        Answer::Accepted { .. } => &counters.spans_acknowledged,
        _ => &counters.spans_failed,
    };
    outcome.fetch_add(spans as u64, Relaxed);
    SentRequest { sdk, spans, sent_at, answered_at: clock::now(), attempts, first_answer, answer }
}

/// `None` if the answer is final.
fn wait_before_retry(answer: Answer, backoff: Duration, jitter: &mut ChaCha8Rng) -> Option<Duration> {
    let backoff = backoff * jitter.random_range(80..=120) / 100;
    match answer {
        Answer::Accepted { .. } | Answer::Rejected { .. } => None,
        Answer::Retryable { retry_after, .. } => Some(retry_after.unwrap_or(backoff)),
        Answer::Unanswered => Some(backoff),
    }
}
