//! What a plan that is being made tells of itself: probes wait for storage, and whoever waits for them wants to know.

use std::time::Duration;

use crossfade_rollout::PlanFile;
use crossfade_rollout::event::Outcome;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use crate::api::ErrorBody;

/// A plan tells less than this: two lines for each check, and its end.
pub(crate) const NEWS_MAX: usize = 64;

/// One line of the answer to `POST /v1/plans?progress=true`. The last one is `planned` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlanNews {
    /// A gate or a check begins to look.
    Begun {
        /// Its name, as in the plan's advice.
        gate: String,
        /// How long it may take, if that is known.
        at_most_ms: Option<u32>,
    },
    /// It has looked.
    Ended {
        /// Its name.
        gate: String,
        /// What it says.
        outcome: Outcome,
        /// How long it took.
        took_ms: u32,
    },
    /// The plan is made.
    Planned {
        /// All of it.
        plan: Box<PlanFile>,
    },
    /// It could not be made.
    Failed {
        /// Why.
        error: ErrorBody,
    },
}

/// Where a planner tells how far it is. Nobody has to listen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Option<Sender<PlanNews>>);

impl Progress {
    pub(crate) fn to(listener: Sender<PlanNews>) -> Progress {
        Progress(Some(listener))
    }

    /// Tells that a check looks, and then what it says. `at_most`: its deadline.
    pub(crate) async fn of<T>(
        &self,
        gate: &str,
        at_most: Option<Duration>,
        look: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> T {
        self.begun(gate, at_most);
        let began = Instant::now();
        let found = look.await;
        self.ended(gate, outcome(&found), began.elapsed());
        found
    }

    /// A check begins to look.
    pub(crate) fn begun(&self, gate: &str, at_most: Option<Duration>) {
        self.tell(PlanNews::Begun { gate: gate.to_owned(), at_most_ms: at_most.map(millis) });
    }

    /// It has looked.
    pub(crate) fn ended(&self, gate: &str, outcome: Outcome, took: Duration) {
        self.tell(PlanNews::Ended { gate: gate.to_owned(), outcome, took_ms: millis(took) });
    }

    fn tell(&self, news: PlanNews) {
        if let Some(listener) = &self.0 {
            // A listener that has gone, or does not keep up, misses a line.
            let _ = listener.try_send(news);
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
