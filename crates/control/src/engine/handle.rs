//! How everybody else talks to the engine.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crossfade_rollout::units::Snapshots;
use crossfade_rollout::{Actor, Command, PlanFile};
use crossfade_routing::sync::{Fence, Reply, Report};
use crossfade_routing::{TraceId, UnixNanos};
use tokio::sync::{oneshot, watch};

use super::fleet::Told;
use super::message::{Baselined, Message};
use crate::api::{ApiError, Located};
use crate::status::Status;

/// A way to the engine; clones share it.
#[derive(Clone)]
pub(crate) struct Handle {
    sender: Sender<Message>,
    status: watch::Receiver<Arc<Status>>,
    news: watch::Receiver<u64>,
    directions: watch::Receiver<Told>,
    /// The fence of a rollback, which does not wait for the log.
    fences: watch::Receiver<Option<Fence>>,
}

impl Handle {
    pub(super) fn new(
        sender: Sender<Message>,
        status: watch::Receiver<Arc<Status>>,
        news: watch::Receiver<u64>,
        directions: watch::Receiver<Told>,
        fences: watch::Receiver<Option<Fence>>,
    ) -> Handle {
        Handle { sender, status, news, directions, fences }
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
    pub(crate) async fn sync(&self, report: Report, wait: Duration) -> Result<Reply, ApiError> {
        let mut directions = self.directions.clone();
        let mut fences = self.fences.clone();
        directions.mark_unchanged();
        let reply = self.report(report.clone()).await?;
        let known = report.ack == Some(reply.directive.ack());
        let fenced = report.fence.is_some();
        if !known || (reply.fence.is_some() && !fenced) || wait.is_zero() {
            return Ok(reply);
        }
        let falls = |fence: &Option<Fence>| {
            !fenced && fence.as_ref().is_some_and(|fence| fence.applies_to(&reply.directive.schedule))
        };
        let fallen = async { fences.wait_for(falls).await.map(|fence| fence.clone()) };
        tokio::select! {
            biased;
            // The engine may be waiting for the disk that is to take this fence's entry: it is not asked.
            Ok(fence) = fallen => Ok(Reply { fence, ..reply.clone() }),
            // The same report again is no newer: it only fetches the answer as it is now.
            Ok(()) = directions.changed() => self.report(report).await,
            () = tokio::time::sleep(wait) => Ok(reply.clone()),
        }
    }

    async fn report(&self, report: Report) -> Result<Reply, ApiError> {
        self.ask(|reply| Message::Sync { report: Box::new(report), reply }).await?
    }

    /// Counts one read; the engine writes it down at the hour's end.
    pub(crate) fn count_read(&self, actor: Actor) {
        let _ = self.sender.send(Message::Read { actor });
    }

    /// Ends the engine in order.
    pub(crate) async fn stop(&self) {
        let _ = self.ask(|reply| Message::Stop { reply }).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let gone = || ApiError::unavailable("the control plane is ending");
        self.sender.send(message(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}
