//! What control tells a gateway, and what the gateway says back.

use serde::{Deserialize, Serialize};

use crate::schedule::{Generation, Schedule};
use crate::time::UnixNanos;

/// What control tells a gateway: the schedule, the time of a cut that is announced but not committed, and the promise
/// that no other cut before `horizon` is committed without this gateway's acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    pub schedule: Schedule,
    pub announced: Option<UnixNanos>,
    pub horizon: UnixNanos,
}

impl Directive {
    /// `E`: the earlier of the horizon and the announced cut.
    #[must_use]
    pub fn edge(&self) -> UnixNanos {
        self.announced.map_or(self.horizon, |cut| cut.min(self.horizon))
    }

    #[must_use]
    pub fn ack(&self) -> Ack {
        Ack { generation: self.schedule.generation(), announced: self.announced }
    }
}

/// What a gateway has durably taken: it routes by this generation or a later one, and if `announced` is there, its
/// edge lies no later than that until it learns of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ack {
    pub generation: Generation,
    pub announced: Option<UnixNanos>,
}
