//! Calls that are not let through: each is put on record, but nobody without a token may keep the log's disk busy.
//!
//! A burst has a leaf for each call. What comes faster than [`GAP`] for long waits for its answer; what would have to
//! wait behind [`WAITING_MAX`] others is denied at once, and counted in the next leaf.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use crossfade_rollout::{Actor, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::ApiError;
use crate::engine::Handle;

/// From one leaf to the next, in the long run.
const GAP: Duration = Duration::from_millis(50);
/// How many leaves may come at once after a silence.
const BURST: u32 = 32;
/// How many calls may wait for their leaf.
const WAITING_MAX: usize = 32;
/// The longest path that a leaf repeats.
const PATH_MAX: usize = 200;

/// What is put on record of a call that is not let through.
pub(super) struct Denied {
    call: String,
    why: &'static str,
}

impl Denied {
    pub(super) fn of(request: &Request) -> Denied {
        let path: String = request.uri().path().chars().take(PATH_MAX).collect();
        let why = if request.headers().contains_key(AUTHORIZATION) { "wrong token" } else { "no token" };
        Denied { call: format!("{} {path}", request.method()), why }
    }
}

/// Denies, and keeps the pace.
#[derive(Default)]
pub(crate) struct Denials {
    /// When the next leaf would be due if all had come in good order.
    due: Mutex<Option<Instant>>,
    waiting: AtomicUsize,
    /// Calls that no leaf tells of yet.
    uncounted: AtomicU64,
}

impl Denials {
    /// The answer to a call that is denied, once its leaf is durable.
    pub(super) async fn deny(&self, engine: &Handle, denied: Denied) -> Response {
        let why = denied.why;
        self.record(engine, denied).await;
        ApiError::denied(&format!("{why}: send `Authorization: Bearer` with the token from the token file"))
            .into_response()
    }

    /// Puts a denied call on record.
    pub(super) async fn record(&self, engine: &Handle, Denied { call, why }: Denied) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.uncounted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _place = Place(&self.waiting);
        let mut due = self.due.lock().await;
        let now = Instant::now();
        let in_order = now.checked_sub(GAP * BURST).unwrap_or(now);
        let next = due.map_or(in_order, |due| due.max(in_order)) + GAP;
        sleep_until(next).await;
        *due = Some(next);
        let others = self.uncounted.swap(0, Ordering::Relaxed);
        let why = match others {
            0 => why.to_owned(),
            1 => format!("{why}; 1 more call was denied before this one, too many for a leaf each"),
            others => {
                format!("{why}; {others} more calls were denied before this one, too many for a leaf each")
            }
        };
        let actor: Actor = "anonymous".parse().expect("letters are valid in an actor");
        // A call that cannot be put on the record is denied all the same.
        if engine.command(actor, Command::DenyAccess { call, why }).await.is_err() {
            self.uncounted.fetch_add(others + 1, Ordering::Relaxed);
        }
    }
}

/// A place among those that wait, also if the caller hangs up.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
