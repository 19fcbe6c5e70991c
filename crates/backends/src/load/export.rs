//! Requests through the OTLP client.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use crossfade_gates::load::{Answer, Arrival, Ids};
use http::HeaderMap;
use tokio::time::Instant;

use super::pace::{Done, Target};
use super::template::Template;
use super::{LoadConfig, LoadError, Receiver};
use crate::otlp::{Client, Coding, Message, Outcome, Silence};

/// How long the first answer is waited for at most.
const KNOCK_PATIENCE: Duration = Duration::from_secs(5);

/// An environment's OTLP endpoint, over a few connections.
pub(crate) struct Exporter {
    clients: Vec<Client>,
    template: Template,
    ids: Ids,
    /// When the schedule began, in nanoseconds since 1970.
    began: u64,
    coding: Coding,
    timeout: Duration,
    /// Requests that were sent and can be written anew: they lie in memory already.
    spare: Arc<Mutex<Vec<BytesMut>>>,
}

impl Exporter {
    pub(crate) fn new(receiver: &Receiver, config: &LoadConfig, ids: Ids) -> Self {
        let clients = (0..config.connections.max(1)).map(|_| Client::new(receiver.otlp.clone()));
        Self {
            clients: clients.collect(),
            template: Template::new(config.schedule.spans_per_request(), config.bytes_per_span),
            ids,
            began: 0,
            coding: receiver.coding,
            timeout: config.timeout,
            spare: Arc::default(),
        }
    }

    /// Exports an empty request over every connection: what follows does not pay for opening them, and there is somebody to
    /// answer. OTLP has a receiver take it, and it stores nothing.
    pub(crate) async fn knock(&self) -> Result<(), LoadError> {
        let patience = self.timeout.min(KNOCK_PATIENCE);
        for client in &self.clients {
            let message = Message::coded(Vec::new(), self.coding);
            let outcome = client.export(message, &HeaderMap::new(), patience).await.outcome;
            match &outcome {
                Outcome::Accepted { .. } | Outcome::Retryable { .. } => {}
                Outcome::Rejected { .. } => return Err(LoadError::Refused(outcome.describe())),
                Outcome::Unanswered { .. } => return Err(LoadError::Unreachable(outcome.describe())),
            }
        }
        Ok(())
    }

    /// The schedule begins now.
    pub(crate) fn begin(&mut self, now: u64) {
        self.began = now;
    }

    /// The request's bytes: as they are sent, and as they are taken back.
    fn request(&mut self, arrival: Arrival) -> (Message, Option<bytes::Bytes>) {
        let spare = self.spares().pop();
        let mut buffer = spare.unwrap_or_else(|| self.template.buffer());
        let at = self.began.saturating_add(u64::try_from(arrival.at.as_nanos()).unwrap_or(u64::MAX));
        self.template.write(&mut buffer, self.ids, arrival.index, at);
        match self.coding {
            Coding::Identity => {
                let bytes = buffer.freeze();
                (Message::identity(bytes.clone()), Some(bytes))
            }
            Coding::Gzip => {
                let message = Message::gzip(&buffer);
                self.spares().push(buffer);
                (message, None)
            }
        }
    }

    fn spares(&self) -> std::sync::MutexGuard<'_, Vec<BytesMut>> {
        lock(&self.spare)
    }
}

impl Target for Exporter {
    fn send(&mut self, arrival: Arrival) -> impl Future<Output = Done> + Send + 'static {
        let (message, own) = self.request(arrival);
        let turn = usize::try_from(arrival.index).unwrap_or_default() % self.clients.len();
        let (client, timeout, spare) = (self.clients[turn].clone(), self.timeout, Arc::clone(&self.spare));
        async move {
            let bytes = message.bytes.len() as u64;
            let outcome = client.export(message, &HeaderMap::new(), timeout).await.outcome;
            let at = Instant::now();
            if let Some(Ok(buffer)) = own.map(bytes::Bytes::try_into_mut) {
                lock(&spare).push(buffer);
            }
            let answer = answer(&outcome);
            let words = (!outcome.is_clean()).then(|| outcome.describe());
            Done { answer, words, bytes, at }
        }
    }
}

fn answer(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Accepted { rejected_spans, .. } => Answer::Accepted { rejected: *rejected_spans },
        Outcome::Rejected { .. } => Answer::Rejected,
        Outcome::Retryable { .. } => Answer::Retryable,
        Outcome::Unanswered { silence: Silence::TimedOut, .. } => Answer::TimedOut,
        Outcome::Unanswered { .. } => Answer::Broken,
    }
}

fn lock(spare: &Mutex<Vec<BytesMut>>) -> std::sync::MutexGuard<'_, Vec<BytesMut>> {
    spare.lock().expect("nothing panics while it holds this lock")
}
