//! The generator's thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use crossfade_gates::load::Ids;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::export::Exporter;
use super::pace::{Driven, Pace, Progress, drive};
use super::{LoadConfig, LoadError, Receiver, Reins};
use crate::clock;

/// How long answers are waited for when the load is stopped early.
const GRACE: Duration = Duration::from_secs(1);

/// What the thread does.
pub(super) struct Job {
    pub(super) receiver: Receiver,
    /// Which it is.
    pub(super) index: usize,
    pub(super) config: LoadConfig,
    pub(super) ids: Ids,
}

/// Runs a job on a thread of its own, and waits for its end. Dropped, it ends the job.
pub(super) async fn run(job: Job, reins: &mut Reins) -> Result<Driven, LoadError> {
    let (tell, mut told) = oneshot::channel();
    let (halt, halted) = watch::channel(false);
    let progress = reins.progress.clone();
    let work = move || {
        // If nobody waits any more, nobody wants to know.
        let _ = tell.send(work(&job, halted, &progress));
    };
    let failed = |error: &dyn std::fmt::Display| LoadError::Thread(error.to_string());
    std::thread::Builder::new().name("crossfade-load".to_owned()).spawn(work).map_err(|e| failed(&e))?;
    let early = tokio::select! {
        driven = &mut told => Some(driven),
        // A sender that is gone can no longer stop it.
        true = stopped(&mut reins.stop) => None,
    };
    let driven = match early {
        Some(driven) => driven,
        None => {
            halt.send_replace(true);
            told.await
        }
    };
    driven.map_err(|_| failed(&"its thread has panicked"))?
}

async fn stopped(stop: &mut watch::Receiver<bool>) -> bool {
    stop.wait_for(|stop| *stop).await.is_ok()
}

fn work(
    job: &Job,
    mut stop: watch::Receiver<bool>,
    progress: &watch::Sender<Option<Progress>>,
) -> Result<Driven, LoadError> {
    let parked = Arc::new(AtomicU64::new(0));
    let runtime = runtime(&parked).map_err(|error| LoadError::Thread(error.to_string()))?;
    runtime.block_on(async {
        let mut exporter = Exporter::new(&job.receiver, &job.config, job.ids);
        tokio::select! {
            biased;
            // Then nothing is offered.
            _ = stop.wait_for(|stop| *stop) => {}
            knocked = exporter.knock() => knocked?,
        }
        let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        exporter.begin(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let pace = Pace {
            schedule: &job.config.schedule,
            in_flight_max: job.config.in_flight_max.max(1),
            patience: job.config.timeout,
            grace: GRACE.min(job.config.timeout),
            ids: job.ids,
            sample: job.config.read_back,
            parked: Some(parked),
        };
        let look = |now| drop(progress.send_replace(Some(Progress { receiver: job.index, ..now })));
        Ok(drive(&pace, exporter, Instant::now(), stop, look).await)
    })
}

/// A runtime that counts how long it had nothing to do.
fn runtime(parked: &Arc<AtomicU64>) -> std::io::Result<Runtime> {
    let since = Arc::new(Mutex::new(None));
    let (parks, unparks, parked) = (Arc::clone(&since), since, Arc::clone(parked));
    let lock = |since: &Mutex<Option<Instant>>| -> Option<Instant> {
        since.lock().expect("nothing panics while it holds this lock").take()
    };
    Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || {
            *parks.lock().expect("nothing panics while it holds this lock") = Some(Instant::now());
        })
        .on_thread_unpark(move || {
            let nanos = lock(&unparks).map_or(0, |since| since.elapsed().as_nanos());
            parked.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        })
        .build()
}
