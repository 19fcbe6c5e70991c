//! The loop that reports to control and takes what comes back.
//!
//! One report at a time, so that a reply is never older than the report before it. Control holds a report until there
//! is news, at most for a moment: what the analysis counts must be fresh. A fence that falls here does not wait for that
//! moment to pass; the report in flight is dropped and a new one sent.

use std::sync::Arc;
use std::time::Duration;

use crossfade_routing::sync::{Reply, Report};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::link::{Link, LinkError};
use super::{Delivery, FollowError, chain};
use crate::clock;
use crate::config::RemoteControl;
use crate::overview::Overview;

/// For how long control may hold a report without news.
const WAIT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The loop, running.
pub(crate) struct Following {
    task: JoinHandle<()>,
    close: oneshot::Sender<Closing>,
}

/// Report the closing ledger until control has heard it, or until that is too late; say which.
struct Closing {
    until: Instant,
    answer: oneshot::Sender<bool>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("the gateway is closing")]
    Closing,
}

impl Following {
    /// Reports the closing ledger, tries on until then, and ends. Returns whether control has put it on record.
    pub(crate) async fn close(self, until: Instant) -> bool {
        let (answer, heard) = oneshot::channel();
        if self.close.send(Closing { until, answer }).is_err() {
            return false;
        }
        let heard = heard.await.unwrap_or(false);
        let _ = self.task.await;
        heard
    }
}

/// Starts the loop.
pub(crate) fn follow(
    overview: Arc<Overview>,
    control: &RemoteControl,
    deliveries: mpsc::Sender<Delivery>,
) -> Following {
    let link = Link::new(overview.gateway(), control).expect("the configuration was checked");
    let (close, closed) = oneshot::channel();
    let line = Line { link, overview, deliveries, sequence: 0 };
    Following { task: tokio::spawn(line.run(closed)), close }
}

struct Line {
    link: Link,
    overview: Arc<Overview>,
    deliveries: mpsc::Sender<Delivery>,
    sequence: u64,
}

impl Line {
    async fn run(mut self, mut closed: oneshot::Receiver<Closing>) {
        let mut backoff = BACKOFF_FIRST;
        let overview = Arc::clone(&self.overview);
        let closing = loop {
            let urgent = overview.urged();
            tokio::select! {
                biased;
                closing = &mut closed => break closing,
                () = urgent => continue,
                round = self.round() => match round {
                    Ok(()) => {
                        self.note(None);
                        backoff = BACKOFF_FIRST;
                        continue;
                    }
                    Err(trouble) => self.note(Some(&trouble)),
                }
            }
            tokio::select! {
                biased;
                closing = &mut closed => break closing,
                () = overview.urged() => {}
                () = sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
            }
        };
        if let Ok(Closing { until, answer }) = closing {
            let _ = answer.send(timeout_at(until, self.farewell()).await.is_ok());
        }
    }

    /// One report, and what came back taken.
    async fn round(&mut self) -> Result<(), Trouble> {
        let report = self.report(WAIT, false);
        let reply = self.link.sync(&report).await?;
        self.hand_over(reply).await
    }

    async fn hand_over(&self, reply: Reply) -> Result<(), Trouble> {
        let (taken, result) = oneshot::channel();
        self.deliveries.send(Delivery { reply, taken }).await.map_err(|_| Trouble::Closing)?;
        Ok(result.await.map_err(|_| Trouble::Closing)??)
    }

    /// The closing ledger, until control has heard it. Control answers once it is on record, and says so until then.
    async fn farewell(&mut self) {
        loop {
            let report = self.report(Duration::ZERO, true);
            match self.link.sync(&report).await {
                Ok(_) => return,
                Err(error) => self.note(Some(&Trouble::Link(error))),
            }
            sleep(BACKOFF_FIRST).await;
        }
    }

    fn report(&mut self, wait: Duration, drained: bool) -> Report {
        self.sequence += 1;
        self.overview.report(self.sequence, wait, drained)
    }

    fn note(&self, trouble: Option<&Trouble>) {
        let text = trouble.map(|trouble| chain(trouble));
        self.overview.post(|board| {
            if let Some(text) = &text
                && board.control.trouble.as_ref() != Some(text)
            {
                tracing::warn!(trouble = text, "control");
            }
            if text.is_none() {
                board.control.last_sync = Some(clock::now());
            }
            board.control.trouble = text;
        });
    }
}
