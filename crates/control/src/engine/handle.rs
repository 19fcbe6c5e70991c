//! How everybody else talks to the engine.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Actor, Command, PlanFile};
use crossfade_routing::sync::{Fence, Reply, Report};
use crossfade_routing::{GatewayId, TraceId, UnixNanos};
use tokio::sync::{oneshot, watch};

use super::fleet::Told;
use super::message::{Baselined, Message};
use crate::api::{ApiError, Located};
use crate::status::Status;

/// How long the engine may take for an answer before a fence goes out without it.
const ENGINE_PATIENCE: Duration = Duration::from_millis(100);

/// A way to the engine; clones share it.
#[derive(Clone)]
pub(crate) struct Handle {
    sender: Sender<Message>,
    status: watch::Receiver<Arc<Status>>,
    news: watch::Receiver<u64>,
    directions: watch::Receiver<Told>,
    /// The fence of a rollback, which does not wait for the log.
    fences: watch::Receiver<Option<Fence>>,
    /// The last answer of each gateway.
    answers: Arc<Mutex<BTreeMap<GatewayId, Reply>>>,
}

impl Handle {
    pub(super) fn new(
        sender: Sender<Message>,
        status: watch::Receiver<Arc<Status>>,
        news: watch::Receiver<u64>,
        directions: watch::Receiver<Told>,
        fences: watch::Receiver<Option<Fence>>,
    ) -> Handle {
        Handle { sender, status, news, directions, fences, answers: Arc::default() }
    }

    /// The last snapshot; never waits for the engine.
    pub(crate) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// The log's size, as it grows.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    pub(crate) async fn command(&self, actor: Actor, command: Command) -> Result<(), ApiError> {
        self.ask(|reply| Message::Command { actor, command: Box::new(command), reply }).await?
    }

    pub(crate) async fn start(
        &self,
        actor: Actor,
        file: PlanFile,
        snapshots: Snapshots,
    ) -> Result<(), ApiError> {
        self.ask(|reply| Message::Start { actor, file: Box::new(file), snapshots, reply }).await?
    }

    pub(crate) async fn baseline(&self) -> Result<Baselined, ApiError> {
        self.ask(|reply| Message::Baseline { reply }).await?
    }

    pub(crate) async fn entries(&self, from: u64, max: usize) -> Result<Vec<serde_json::Value>, ApiError> {
        self.ask(|reply| Message::Entries { from, max, reply }).await?
    }

    pub(crate) async fn locate(&self, trace: TraceId, start: UnixNanos) -> Result<Located, ApiError> {
        let found = self.ask(|reply| Message::Locate { trace, start, reply }).await??;
        Ok(Located::new(&trace, start, found))
    }

    /// Hears a gateway's report and answers it, at once if there is news for it, at the latest after `wait`.
    ///
    /// The engine may be waiting for a disk that is to take the entry of a rollback. A fence is handed out all the same: in
    /// the poll that is held, or with the answer that this gateway got last.
    pub(crate) async fn sync(&self, report: Report, wait: Duration) -> Result<Reply, ApiError> {
        if report.drained {
            // There is nothing left to fence, and what is answered here is that the accounts are on record.
            return self.report(report).await;
        }
        let (gateway, fenced) = (report.gateway.clone(), report.fence.is_some());
        let last = lock(&self.answers).get(&gateway).cloned();
        let overdue = async {
            tokio::time::sleep(ENGINE_PATIENCE).await;
            self.fall(last, fenced).await
        };
        let mut directions = self.directions.clone();
        directions.mark_unchanged();
        let reply = tokio::select! {
            biased;
            reply = self.report(report.clone()) => reply?,
            fallen = overdue => return Ok(fallen),
        };
        lock(&self.answers).insert(gateway, reply.clone());
        let known = report.ack == Some(reply.directive.ack());
        if !known || (reply.fence.is_some() && !fenced) || wait.is_zero() {
            return Ok(reply);
        }
        let news = async {
            match tokio::time::timeout(wait, directions.changed()).await {
                // The same report again is no newer: it only fetches the answer as it is now.
                Ok(Ok(())) => self.report(report).await,
                _ => Ok(reply.clone()),
            }
        };
        tokio::select! {
            biased;
            fallen = self.fall(Some(reply.clone()), fenced) => Ok(fallen),
            news = news => news,
        }
    }

    /// The same answer with a fence, once one falls that it must have. Never, if there is no answer, or the gateway has one.
    async fn fall(&self, answer: Option<Reply>, fenced: bool) -> Reply {
        let mut fences = self.fences.clone();
        if let Some(answer) = answer.filter(|_| !fenced) {
            let applies = |fence: &Option<Fence>| {
                fence.as_ref().is_some_and(|fence| fence.applies_to(&answer.directive.schedule))
            };
            let fence = fences.wait_for(applies).await.map(|fence| fence.clone());
            if let Ok(fence) = fence {
                return Reply { fence, ..answer };
            }
        }
        std::future::pending().await
    }

    async fn report(&self, report: Report) -> Result<Reply, ApiError> {
        self.ask(|reply| Message::Sync { report: Box::new(report), reply }).await?
    }

    /// Counts one read; the engine writes it down at the hour's end.
    pub(crate) fn count_read(&self, actor: Actor) {
        let _ = self.sender.send(Message::Read { actor });
    }

    #[cfg(test)]
    pub(crate) fn send(&self, message: Message) {
        self.sender.send(message).expect("the engine runs");
    }

    /// Ends the engine in order; says whether its last entries are on record.
    pub(crate) async fn stop(&self) -> bool {
        self.ask(|reply| Message::Stop { reply }).await.unwrap_or(false)
    }

    /// Returns when the engine is gone.
    pub(crate) async fn gone(&self) {
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let gone = || ApiError::unavailable("the control plane is ending");
        self.sender.send(message(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

fn lock(answers: &Mutex<BTreeMap<GatewayId, Reply>>) -> MutexGuard<'_, BTreeMap<GatewayId, Reply>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}
