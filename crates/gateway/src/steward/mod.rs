//! The steward: one thread that holds what the gateway knows, and tells the workers.
//!
//! It follows the control plane (announce, acknowledge, commit; horizons), lets fences fall, and writes both down. Only
//! this thread changes the [`Follower`], so that every change has one order:
//!
//! ```text
//! a directive   proved by the log -> taken -> every worker routes by it -> saved -> acknowledged
//! a fence       saved -> taken -> every worker routes by it, and has cut its connections to `to` -> reported
//! ```
//!
//! A fence that the disk does not take in time is taken all the same, saved as soon as that is possible, and told as not
//! durable until then. Files are written by a thread of their own, which may hang with its disk. While control is away it goes on with what it holds.
//!
//! | module | holds |
//! |---|---|
//! | `keep` | the state folder |
//! | `keeper` | the thread that writes it |
//! | `link` | the HTTP line to control |
//! | `proof` | whether a schedule is on the record |
//! | `follow` | the loop that asks control again and again |
//! | `look` | whether the environments can be reached |

pub(crate) mod follow;
pub(crate) mod keep;
pub(crate) mod keeper;
pub(crate) mod link;
mod look;
pub(crate) mod proof;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crossfade_routing::sync::{Fence, FenceCause, Reply};
use crossfade_routing::{Accepted, Directive, EnvironmentId, Follower, Generation, Refusal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::books::Place;
use crate::clock;
use crate::config::{ControlLink, RemoteControl};
use crate::overview::Overview;
use crate::route::Route;
use crate::status::{FenceError, FenceRequest, Fenced, Phase};
use crate::vitals::Tripped;
use crate::worker::Order;
use follow::{Following, follow};
use keep::{Kept, SeenCheckpoint};
use keeper::Keeper;

/// To the steward.
#[derive(Debug)]
pub(crate) enum Command {
    Fence {
        actor: String,
        request: FenceRequest,
        answer: oneshot::Sender<Result<Fenced, FenceError>>,
    },
    /// The workers have ended: save, report the closing ledger, at the latest until then, and end. Answers whether control has
    /// it on record.
    Close {
        until: Instant,
        answer: oneshot::Sender<bool>,
    },
}

/// See the module's description.
pub(crate) struct Steward {
    follower: Follower,
    keeper: Keeper,
    checkpoint: Option<SeenCheckpoint>,
    control: ControlLink,
    overview: Arc<Overview>,
    workers: Vec<mpsc::UnboundedSender<Order>>,
    /// What the workers route by.
    route: Option<Arc<Route>>,
    /// Why the fence that is in effect is not saved. It is tried again until it is: after a restart nothing here would
    /// bring it back.
    fence_unsaved: Option<String>,
    /// When a longer horizon was taken that is not on disk.
    renewed: Option<Instant>,
    /// Whether every worker routes by what the follower holds. Until then nothing is acknowledged, saved or not.
    in_effect: bool,
}

/// Why a reply was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("generation {generation} is not proved by the log")]
    NotProved {
        generation: Generation,
        #[source]
        source: proof::ProofError,
    },
    #[error("the schedule names environment {0}, which is not configured here")]
    UnknownEnvironment(EnvironmentId),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the schedule could not be saved, so it is not acknowledged")]
    NotSaved(#[source] std::io::Error),
    #[error("a worker did not take the schedule in time, so it is not acknowledged")]
    WorkerSilent,
}

/// A reply from control, and where to say what became of it.
pub(crate) struct Delivery {
    pub(crate) reply: Reply,
    pub(crate) taken: oneshot::Sender<Result<(), FollowError>>,
}

/// What the steward's loop listens to.
pub(crate) struct Inbox {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) tripped: mpsc::UnboundedReceiver<Tripped>,
    pub(crate) phase: watch::Receiver<Phase>,
}

const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// A longer horizon is written down this late: one that was lost is only a shorter promise.
const RENEWAL_UNSAVED_MAX: Duration = Duration::from_secs(5);
/// A worker that has not carried out an order by then is stuck; the order stays in its queue.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

impl Steward {
    pub(crate) fn new(
        (keeper, kept): (Keeper, Kept),
        control: ControlLink,
        overview: Arc<Overview>,
        workers: Vec<mpsc::UnboundedSender<Order>>,
    ) -> Steward {
        Steward {
            follower: Follower::restore(kept.saved),
            keeper,
            checkpoint: kept.checkpoint,
            control,
            overview,
            workers,
            route: None,
            fence_unsaved: None,
            renewed: None,
            in_effect: false,
        }
    }

    /// Starts from what was saved, and from a static directive. Call once, before the workers serve.
    pub(crate) async fn wake(&mut self) -> Result<(), FollowError> {
        if self.follower.directive().is_some() {
            self.publish().await?;
        }
        if let ControlLink::Static(directive) = &self.control {
            match self.take(Directive::clone(directive)).await {
                // Started again with a directive whose rollout was fenced here: the fence stands.
                Err(FollowError::Refused(Refusal::Fenced { .. })) if self.follower.is_fenced() => {}
                taken => taken?,
            }
        }
        self.post();
        Ok(())
    }

    /// Runs until it is closed.
    pub(crate) async fn run(mut self, mut inbox: Inbox) {
        look::watch(&self.overview);
        let (deliveries, mut delivered) = mpsc::channel(1);
        let following = match &self.control {
            ControlLink::Remote(control) => Some(self.start_following(control, deliveries)),
            ControlLink::Static(_) => None,
        };
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = loop {
            tokio::select! {
                biased;
                command = inbox.commands.recv() => match command {
                    Some(Command::Fence { actor, request, answer }) => {
                        // Whoever asked may have gone; the fence stands.
                        let _ = answer.send(self.fence_by_command(actor, request).await);
                    }
                    Some(Command::Close { until, answer }) => break Some((until, answer)),
                    None => break None,
                },
                // Or the gateway was dropped.
                _ = inbox.phase.wait_for(|phase| *phase == Phase::Closed) => break None,
                Some(tripped) = inbox.tripped.recv() => self.fence_by_breaker(tripped).await,
                Some(delivery) = delivered.recv() => {
                    let Delivery { reply, taken } = delivery;
                    let result = self.follow(reply).await;
                    let _ = taken.send(result);
                }
                _ = housekeeping.tick() => self.keep_house().await,
            }
            self.post();
        };
        if self.renewed.is_some() || self.fence_unsaved.is_some() {
            self.save_quietly().await;
        }
        if let Some((until, answer)) = closing {
            let reported = match following {
                Some(following) => following.close(until).await,
                None => false,
            };
            let _ = answer.send(reported);
        }
        self.keeper.close().await;
    }

    /// Ends without having run.
    pub(crate) async fn abandon(self) {
        self.keeper.close().await;
    }

    fn start_following(&self, control: &RemoteControl, deliveries: mpsc::Sender<Delivery>) -> Following {
        follow(Arc::clone(&self.overview), control, deliveries)
    }

    /// Takes what control says: a fence first, then the directive.
    async fn follow(&mut self, reply: Reply) -> Result<(), FollowError> {
        let ControlLink::Remote(RemoteControl { log_key, .. }) = &self.control else { return Ok(()) };
        let log_key = log_key.clone();
        if let Some(fence) = reply.fence {
            let held = self.follower.directive().map(|held| &held.schedule);
            let concerns_us = held
                .into_iter()
                .chain([&reply.directive.schedule])
                .any(|schedule| fence.applies_to(schedule));
            if concerns_us && self.follower.fence_held() != Some(&fence) && !self.follower.is_fenced() {
                self.let_fall(fence).await;
            }
        }
        let schedule = &reply.directive.schedule;
        let seen = proof::check(&log_key, &reply.entry, schedule, self.checkpoint.as_ref())
            .map_err(|source| FollowError::NotProved { generation: schedule.generation(), source })?;
        self.checkpoint = Some(seen);
        self.take(reply.directive).await
    }

    async fn take(&mut self, directive: Directive) -> Result<(), FollowError> {
        let schedule = &directive.schedule;
        let known = |wanted: &EnvironmentId| self.overview.environments().contains(wanted);
        if let Some(unknown) =
            [Some(schedule.from()), schedule.to()].into_iter().flatten().find(|id| !known(id))
        {
            return Err(FollowError::UnknownEnvironment(unknown.clone()));
        }
        let accepted = self.follower.accept(directive)?;
        self.in_effect &= accepted == Accepted::Unchanged;
        let held = self.follower.directive().map(Directive::ack);
        if accepted == Accepted::Changed || self.follower.ack() != held {
            // In this order: whoever hears the acknowledgement may count on both.
            self.publish().await?;
            self.save().await?;
        } else if accepted == Accepted::Renewed {
            self.publish().await?;
            self.renewed.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    async fn fence_by_command(&mut self, actor: String, request: FenceRequest) -> Result<Fenced, FenceError> {
        let schedule = self.follower.directive().map(|held| &held.schedule).ok_or(FenceError::NoRollout)?;
        let held = schedule.rollout().ok_or(FenceError::NoRollout)?.to_owned();
        let to = schedule.to().cloned();
        if let Some(asked) = request.rollout.filter(|asked| *asked != held) {
            return Err(FenceError::OtherRollout { held, asked });
        }
        let already = self.follower.is_fenced();
        if !already {
            let actor =
                if request.reason.is_empty() { actor } else { format!("{actor}: {}", request.reason) };
            let fence = self.fence(FenceCause::Command { actor }).ok_or(FenceError::NoRollout)?;
            self.let_fall(fence).await;
        }
        let fence = self.follower.fence_held().cloned().ok_or(FenceError::NoRollout)?;
        let last_sent = to.and_then(|to| self.overview.last_sent(&to));
        Ok(Fenced { fence, already, last_sent, durable: self.fence_unsaved.is_none() })
    }

    async fn fence_by_breaker(&mut self, Tripped { watch, detail }: Tripped) {
        if self.overview.vitals().current_watch() != watch {
            return; // it was about another rollout
        }
        if let Some(fence) = self.fence(FenceCause::Breaker { detail }).filter(|_| !self.follower.is_fenced())
        {
            self.let_fall(fence).await;
        }
    }

    /// A fence for the rollout that is held.
    fn fence(&self, cause: FenceCause) -> Option<Fence> {
        let schedule = &self.follower.directive()?.schedule;
        let rollout = schedule.rollout()?.to_owned();
        Some(Fence { rollout, generation: schedule.generation(), at: clock::now(), cause })
    }

    async fn let_fall(&mut self, fence: Fence) {
        tracing::warn!(rollout = %fence.rollout, cause = ?fence.cause, "fence");
        let kept = Kept::new(self.follower.saved_with(&fence), self.checkpoint.clone());
        // Commit point: from here on this rollout is over, whatever happens to this process.
        let saved = self.keeper.save_fence(kept).await;
        self.fence_unsaved = saved.err().map(|error| error.to_string());
        if let Some(error) = &self.fence_unsaved {
            tracing::error!(error, "the fence cannot be saved; it takes effect, and is not durable yet");
        }
        self.follower.fence(fence);
        if let Err(error) = self.publish().await {
            tracing::error!(error = chain(&error), "the fence is late");
        }
        self.post();
        self.overview.urge();
    }

    async fn keep_house(&mut self) {
        if self.fence_unsaved.is_some() && !self.keeper.hangs() {
            let kept = Kept::new(self.follower.saved().clone(), self.checkpoint.clone());
            match self.keeper.save_fence(kept).await {
                Ok(()) => self.fence_is_saved(),
                Err(error) => self.fence_unsaved = Some(error.to_string()),
            }
        }
        if self.renewed.is_some_and(|since| since.elapsed() >= RENEWAL_UNSAVED_MAX) {
            self.save_quietly().await;
        }
    }

    fn fence_is_saved(&mut self) {
        if self.fence_unsaved.take().is_some() {
            tracing::info!("the fence is saved, and durable from now on");
        }
    }

    /// All that is held, the fence with it.
    async fn save(&mut self) -> Result<(), FollowError> {
        let kept = Kept::new(self.follower.saved().clone(), self.checkpoint.clone());
        self.keeper.save(kept.clone()).await.map_err(FollowError::NotSaved)?;
        if self.in_effect {
            self.follower.mark_saved(&kept.saved);
        }
        self.renewed = None;
        self.fence_is_saved();
        Ok(())
    }

    /// What need not be saved now.
    async fn save_quietly(&mut self) {
        if self.keeper.hangs() {
            return;
        }
        if let Err(error) = self.save().await {
            tracing::warn!(error = chain(&error), "the state folder cannot be written");
        }
    }

    /// Lets every worker route by what the follower holds, and waits until each of them does.
    async fn publish(&mut self) -> Result<(), FollowError> {
        let Some(router) = self.follower.router(self.overview.protection()) else { return Ok(()) };
        let route =
            Route::new(router, self.overview.environments()).map_err(FollowError::UnknownEnvironment)?;
        let route = Arc::new(route);
        let sides = route.sides();
        let before = self.route.as_ref().map(|route| route.sides());
        // The candidate is let go: by a fence, or by the end of a rollout that did not make it active.
        let let_go = before.flatten().map(|(_, to)| to).filter(|to| *to != route.from);
        let sever: Option<Place> = if sides.is_none() { route.to.or(let_go) } else { None };
        if before != Some(sides) {
            self.overview.vitals().watch(sides);
        }
        self.route = Some(Arc::clone(&route));
        let mut all = true;
        let mut waiting = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, waits) = oneshot::channel();
            // A worker that has ended routes nothing any more.
            if worker.send(Order { route: Arc::clone(&route), sever, done }).is_ok() {
                waiting.push(waits);
            }
        }
        let deadline = Instant::now() + ORDER_TIMEOUT;
        for waits in waiting {
            all &= timeout(deadline.saturating_duration_since(Instant::now()), waits).await.is_ok();
        }
        self.in_effect = all;
        if all { Ok(()) } else { Err(FollowError::WorkerSilent) }
    }

    /// Shows the others what is held.
    fn post(&self) {
        let directive = self.follower.directive();
        self.overview.post(|board| {
            board.directive = directive.cloned();
            board.edge = directive.map(|_| self.follower.edge());
            board.ack = self.follower.ack();
            board.fence = self.follower.fence_held().cloned();
            board.fenced = self.follower.is_fenced();
            board.fence_unsaved = self.fence_unsaved.clone();
            board.control.checkpoint_size = self.checkpoint.as_ref().map_or(0, |seen| seen.size);
        });
    }
}

/// An error with its sources, as one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
