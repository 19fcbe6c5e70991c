//! Calls that are not let through: each is put on record, but nobody without a token may keep the log's disk busy.
//!
//! A burst has a leaf for each call. What comes faster than [`GAP`] for long waits for its answer; what would have to
//! wait behind [`WAITING_MAX`] others is denied at once, and counted in the next leaf. Whoever hangs up is on record all the
//! same, and what has no leaf of its own when the control plane ends is counted in a last one.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use crossfade_rollout::{Actor, Command};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::{ApiError, Shared};
use crate::engine::Handle;
use crate::listen::ended;

/// From one leaf to the next, in the long run.
const GAP: Duration = Duration::from_millis(50);
/// How many leaves may come at once after a silence.
const BURST: u32 = 32;
/// How many calls may wait for their leaf.
const WAITING_MAX: u32 = 32;

/// What is put on record of a call that is not let through.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) actor: Actor,
    pub(super) call: String,
    pub(super) why: &'static str,
}

/// Denies, and keeps the pace.
pub(crate) struct Denials {
    /// When the next leaf would be due if all had come in good order.
    due: Mutex<Option<Instant>>,
    /// For those that wait for their leaf.
    places: Arc<Semaphore>,
    untold: StdMutex<Untold>,
    ending: watch::Receiver<bool>,
}

/// Calls that no leaf tells of yet.
#[derive(Debug, Default)]
struct Untold {
    last: Option<Denied>,
    /// All of them.
    calls: u64,
}

/// The answer to a call that is denied, once its leaf is durable.
pub(super) async fn deny(app: &Arc<Shared>, denied: Denied) -> Response {
    let why = denied.why;
    // Not in the request's own future: that ends with the connection.
    if let Some(recorded) = record(app, denied) {
        let _ = recorded.await;
    }
    ApiError::denied(&format!("{why}: send `Authorization: Bearer` with the token from the token file"))
        .into_response()
}

/// Puts a denied call on record, whether or not somebody waits for that; or counts it, if too many have no leaf yet.
pub(super) fn record(app: &Arc<Shared>, denied: Denied) -> Option<JoinHandle<()>> {
    let Ok(place) = Arc::clone(&app.denials.places).try_acquire_owned() else {
        app.denials.untold().add(denied, 1);
        return None;
    };
    let app = Arc::clone(app);
    Some(tokio::spawn(async move {
        app.denials.record(&app.engine, denied).await;
        drop(place);
    }))
}

impl Denials {
    /// Once the end is announced, nothing waits for a leaf of its own any more.
    pub(crate) fn new(ending: watch::Receiver<bool>) -> Denials {
        let places = Arc::new(Semaphore::new(WAITING_MAX as usize));
        Denials { due: Mutex::default(), places, untold: StdMutex::default(), ending }
    }

    async fn record(&self, engine: &Handle, denied: Denied) {
        let mut ending = self.ending.clone();
        tokio::select! {
            biased;
            () = ended(&mut ending) => self.untold().add(denied, 1),
            _turn = self.turn() => {
                let others = std::mem::take(&mut *self.untold()).calls;
                self.write(engine, denied, others).await;
            }
        }
    }

    /// Waits for a turn. Nobody else has one while it is held.
    async fn turn(&self) -> impl Drop + '_ {
        let mut due = self.due.lock().await;
        let now = Instant::now();
        let in_order = now.checked_sub(GAP * BURST).unwrap_or(now);
        let next = due.map_or(in_order, |due| due.max(in_order)) + GAP;
        sleep_until(next).await;
        *due = Some(next);
        due
    }

    async fn write(&self, engine: &Handle, denied: Denied, others: u64) {
        let (actor, call, why) = (denied.actor.clone(), denied.call.clone(), denied.why);
        let why = match others {
            0 => why.to_owned(),
            1 => format!("{why}; 1 more call was denied before this one, too many for a leaf each"),
            others => {
                format!("{why}; {others} more calls were denied before this one, too many for a leaf each")
            }
        };
        // A call that cannot be put on the record is denied all the same.
        if engine.command(actor, Command::DenyAccess { call, why }).await.is_err() {
            self.untold().add(denied, others + 1);
        }
    }

    /// Puts on record what no leaf tells of yet. No call comes any more, and the end is announced.
    pub(crate) async fn finish(&self, engine: &Handle) {
        // Those that are being written have a place.
        let _all = self.places.acquire_many(WAITING_MAX).await;
        let Untold { last, calls } = std::mem::take(&mut *self.untold());
        let Some(last) = last else { return };
        self.write(engine, last, calls.saturating_sub(1)).await;
        let calls = self.untold().calls;
        if calls > 0 {
            tracing::error!(calls, "calls were denied that are on no record: the log does not take them");
        }
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Untold {
    fn add(&mut self, last: Denied, calls: u64) {
        self.last = Some(last);
        self.calls += calls;
    }
}
