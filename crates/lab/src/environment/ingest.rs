//! What happens to a request whichever wire it came by: faults, then the store.

use super::faults::{Dice, Faults, Refusal, Share};
use super::listener::Hangup;
use super::redact;
use super::store::{Store, service_name};
use crate::clock;
use crate::wire::{MAX_REQUEST_BYTES, Unreadable};
use bytes::{Bytes, BytesMut};
use crossfade_routing::UnixNanos;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What an environment saw since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Requests whose body was read to its end.
    pub requests: u64,
    /// Bytes of their bodies, as sent.
    pub bytes: u64,
    /// Requests that are held open now.
    pub held: u64,
    /// Requests refused whole by a fault.
    pub refused: u64,
    /// Requests answered by a reset of their connection.
    pub reset: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    /// Spans rejected by a `partial_success`.
    pub spans_rejected: u64,
    /// Spans accepted and not stored, because of their kind.
    pub spans_dropped: u64,
    /// Spans stored, each once.
    pub spans_stored: u64,
    /// Spans that came again.
    pub spans_duplicate: u64,
    /// When a request was first refused, reset or partially rejected by a fault.
    pub first_refusal: Option<UnixNanos>,
    /// When the last byte of a request's body arrived.
    pub last_byte: Option<UnixNanos>,
}

/// The answer to a request, for either wire to put into its own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Accepted(ExportTraceServiceResponse),
    Refused(Refusal),
    Malformed { too_large: bool, message: String },
}

/// The state shared by the receivers of one environment.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) store: Arc<Store>,
    faults: watch::Sender<Faults>,
    dice: Dice,
    redacts: bool,
    observed: Mutex<Observed>,
}

/// Counts a request as held for as long as it lives.
struct Holding<'a>(&'a Ingest);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.observe().held -= 1;
    }
}

impl Ingest {
    pub(crate) fn new(seed: u64, redacts: bool) -> Ingest {
        Ingest {
            store: Arc::default(),
            faults: watch::Sender::new(Faults::default()),
            dice: Dice::new(seed),
            redacts,
            observed: Mutex::default(),
        }
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.borrow().clone()
    }

    pub(crate) fn observed(&self) -> Observed {
        *self.observe()
    }

    /// Reads a body to its end, within the limit, and notes when its bytes came.
    pub(crate) async fn read(&self, mut body: Incoming) -> Result<Bytes, Unread> {
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            let mut observed = self.observe();
            observed.last_byte = Some(clock::now());
            observed.bytes += data.len() as u64;
            drop(observed);
            if read.len() + data.len() > MAX_REQUEST_BYTES {
                return Err(Unread::TooLarge);
            }
            read.extend_from_slice(&data);
        }
        self.observe().requests += 1;
        Ok(read.freeze())
    }

    /// Applies the faults of the moment and stores what is left of the request.
    pub(crate) async fn answer(&self, request: Result<Bytes, Unreadable>, hangup: &Hangup) -> Answer {
        let received_at = clock::now();
        self.hold().await;
        let faults = self.faults();
        if !faults.delay.is_zero() {
            tokio::time::sleep(faults.delay).await;
        }
        if self.dice.hits(faults.reset) {
            self.observe().reset += 1;
            self.note_refusal();
            match hangup.reset().await {}
        }
        if let Some(refusal) = faults.refuse.as_ref().filter(|refusal| self.dice.hits(refusal.share)) {
            self.observe().refused += 1;
            self.note_refusal();
            return Answer::Refused(refusal.clone());
        }
        let malformed = |too_large, message| {
            self.observe().malformed += 1;
            Answer::Malformed { too_large, message }
        };
        let request = match request {
            Ok(request) => request,
            Err(unreadable) => return malformed(unreadable == Unreadable::TooLarge, unreadable.to_string()),
        };
        let mut request = match ExportTraceServiceRequest::decode(request) {
            Ok(request) => request,
            Err(error) => return malformed(false, format!("not an ExportTraceServiceRequest: {error}")),
        };
        let rejected = self.thin_out(&mut request, &faults);
        if let Some(service) = faults.lose_service {
            request.resource_spans.retain(|spans| service_name(spans.resource.as_ref()) != service);
        }
        if let Some(service) = faults.break_at {
            break_at(&mut request, service);
        }
        if self.redacts {
            redact::request(&mut request);
        }
        match self.store.insert(request, received_at) {
            Ok(inserted) => {
                let mut observed = self.observe();
                observed.spans_stored += inserted.stored;
                observed.spans_duplicate += inserted.duplicates;
                Answer::Accepted(response(rejected))
            }
            Err(bad_id) => malformed(false, bad_id.to_string()),
        }
    }

    async fn hold(&self) {
        let mut faults = self.faults.subscribe();
        if !faults.borrow_and_update().hang {
            return;
        }
        self.observe().held += 1;
        let _holding = Holding(self);
        // The sender is part of self, so the channel outlives this wait.
        let _ = faults.wait_for(|faults| !faults.hang).await;
    }

    /// Takes out what the faults reject and drop; says how many were rejected.
    fn thin_out(&self, request: &mut ExportTraceServiceRequest, faults: &Faults) -> u64 {
        if faults.reject == Share::NONE && faults.drop_kind.is_none() {
            return 0;
        }
        let (mut rejected, mut dropped) = (0, 0);
        let mut keep = |span: &Span| {
            let is_rejected = self.dice.hits(faults.reject);
            let is_dropped = !is_rejected && faults.drop_kind.is_some_and(|kind| span.kind == kind as i32);
            rejected += u64::from(is_rejected);
            dropped += u64::from(is_dropped);
            !is_rejected && !is_dropped
        };
        let resources = request.resource_spans.iter_mut();
        for scope in resources.flat_map(|resource| resource.scope_spans.iter_mut()) {
            scope.spans.retain(&mut keep);
        }
        let mut observed = self.observe();
        observed.spans_rejected += rejected;
        observed.spans_dropped += dropped;
        drop(observed);
        if rejected > 0 {
            self.note_refusal();
        }
        rejected
    }

    fn note_refusal(&self) {
        self.observe().first_refusal.get_or_insert_with(clock::now);
    }

    fn observe(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The sender went away or broke the framing: nobody waits for an answer.
    Broken,
    TooLarge,
}

/// A service that reads another propagation format sees no parent: its spans make up a trace of their own, whose id has nothing to do
/// with the caller's.
fn break_at(request: &mut ExportTraceServiceRequest, service: &str) {
    for resource in &mut request.resource_spans {
        if service_name(resource.resource.as_ref()) != service {
            continue;
        }
        for span in resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            for byte in &mut span.trace_id {
                *byte = byte.rotate_left(4) ^ 0x5a;
            }
            if matches!(SpanKind::try_from(span.kind), Ok(SpanKind::Server | SpanKind::Consumer)) {
                span.parent_span_id.clear();
            }
        }
    }
}

fn response(rejected: u64) -> ExportTraceServiceResponse {
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: "the span does not please the simulated environment".into(),
    });
    ExportTraceServiceResponse { partial_success }
}
