//! The thread that writes the state folder: a disk that hangs holds up nobody but it.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::keep::{Keep, Kept};

/// How long a save may take before it counts as failed. It may still succeed, and is then repeated.
const SAVE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a fence waits for the disk before it takes effect without it.
pub(super) const FENCE_PATIENCE: Duration = Duration::from_secs(1);
/// For the thread to end, unless it hangs.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// See the module's description. One write at a time: what was asked for later is written later.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: mpsc::Sender<Job>,
    /// A write that took too long, and may end at any time.
    late: Option<Late>,
    ended: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Late {
    kept: Kept,
    is_fence: bool,
    result: oneshot::Receiver<io::Result<()>>,
}

#[derive(Debug)]
struct Job {
    kept: Kept,
    is_fence: bool,
    done: oneshot::Sender<io::Result<()>>,
}

impl Keeper {
    /// The folder is locked until the keeper is [closed](Keeper::close), or dropped and done.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn start(mut keep: Keep) -> io::Result<Keeper> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let (end, ended) = oneshot::channel();
        let run = move || {
            for Job { kept, is_fence, done } in waiting {
                let result = if is_fence { keep.save_fence(&kept) } else { keep.save(&kept) };
                // Whoever asked may have lost patience.
                let _ = done.send(result);
            }
            drop(keep);
            let _ = end.send(());
        };
        thread::Builder::new().name("keeper".to_owned()).spawn(run)?;
        Ok(Keeper { jobs, late: None, ended })
    }

    /// Makes `kept` durable. If this fails it may be all the same: then by and by, and before whatever is saved next.
    pub(crate) async fn save(&mut self, kept: Kept) -> io::Result<()> {
        self.write(kept, false, SAVE_PATIENCE).await
    }

    /// The same for a fence, by any means and in a hurry.
    pub(crate) async fn save_fence(&mut self, kept: Kept) -> io::Result<()> {
        self.write(kept, true, FENCE_PATIENCE).await
    }

    /// Whether a write has begun that does not come to its end.
    pub(crate) fn hangs(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.result.is_empty())
    }

    async fn write(&mut self, kept: Kept, is_fence: bool, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let too_late = || io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer");
        if let Some(late) = &mut self.late {
            let written = timeout_at(deadline, &mut late.result).await.map_err(|_| too_late())?;
            // The same once more need not be written. A fence that went to its reserve is not all that is kept.
            let enough = late.kept == kept && (is_fence || !late.is_fence);
            self.late = None;
            if enough && matches!(written, Ok(Ok(()))) {
                return Ok(());
            }
        }
        let (done, mut result) = oneshot::channel();
        let gone = || io::Error::other("the thread that writes the state folder has ended");
        self.jobs.send(Job { kept: kept.clone(), is_fence, done }).map_err(|_| gone())?;
        match timeout_at(deadline, &mut result).await {
            Ok(written) => written.map_err(|_| gone())?,
            Err(_) => {
                self.late = Some(Late { kept, is_fence, result });
                Err(too_late())
            }
        }
    }

    /// Ends the thread, and gives the folder free; a disk that hangs is not waited for.
    pub(crate) async fn close(self) {
        drop(self.jobs);
        let _ = timeout(CLOSE_PATIENCE, self.ended).await;
    }
}
