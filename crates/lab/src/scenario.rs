//! The stories that the demo tells: what is rolled out, under which traffic, and what goes wrong when.
//!
//! A scenario is data. Whoever tells it sets the [`Stage`]: two [`Environment`]s with their past, and the files that a site is made of;
//! starts a gateway and a control plane from these and [`crate::traffic`] towards the gateway, submits the rollout, and lets the
//! fault strike. How it must end is [`Expected`]: it is held against what the rollout recorded.
//!
//! | module | holds |
//! |---|---|
//! | `stage` | environments, their past and the files, made from a scenario |
//! | `stories` | the scenarios themselves |
//!
//! **How the times fit.** Traces take up to 3 s and batches wait 250 ms, so an overlap of 3.5 s and a skew of 1 s keep
//! every trace whole and nearly every clock trusted. A cut's window is then about 6.5 s long, from its announcement to
//! 5.5 s after it. A partial weight that shall be seen outside of windows must last a second longer than these 5.5 s;
//! what comes before does not add to it, because windows may overlap. Finalizing waits for 5.5 s after the last cut, and
//! 100 %, promotion and bake lie within them.
//!
//! | | good | bad |
//! |---|---|---|
//! | gates, then mirror 5 % | 0 - 3 s | 0 - 3 s |
//! | weight 5 % | 3 - 11 s | 3 - 6 s |
//! | weight 25 % | 11 - 18 s | 6 - 14 s: refusals from 7 s after the cut, found within about a second |
//! | 100 %, promote, bake, finalize | 18 - 24 s | |
//! | the last traces end | 27 s | 18 s |
//!
//! The case studies come in pairs: one that is stopped before the switch, and its repaired twin, which differs in nothing but what was
//! wrong, and is promoted. They have one partial weight only, and time for their gates instead.

mod stage;
mod stories;

use crate::clock;
use crate::environment::{Clients, Environment, Faults};
use crate::measure::Expected;
use crate::traffic::{Business, TrafficConfig};
use crossfade_routing::{Cut, Weight};
use std::ops::Range;
use std::time::Duration;

pub use stage::{ROLLOUT_PATH, SITE_PATH, ScenarioFile, Stage};

/// One story.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is asked for by.
    pub name: &'static str,
    /// What happens, in one line.
    pub about: &'static str,
    /// Whether it is told to whoever asks for no story in particular.
    pub unasked: bool,
    /// How the rollout must end.
    pub expected: Expected,
    /// The rollout spec; its environments are `blue` and `green`.
    pub rollout: &'static str,
    /// The environment that serves.
    pub blue: Side,
    /// The candidate.
    pub green: Side,
    /// What was recorded before the story begins.
    pub past: Vec<Past>,
    /// The traffic, for as long as the rollout takes.
    pub traffic: TrafficConfig,
    /// What goes wrong with the candidate once it owns traces.
    pub fault: Option<TimedFault>,
}

/// One of the two environments, as it is from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The Collector configuration, as the drift gate compares it.
    pub collector: &'static str,
    /// TLS on all ports, with whom the OTLP ports take. Both sides and all clients have certificates of one authority.
    pub tls: Option<Clients>,
    /// The bearer token that queries need; the site brings it.
    pub query_token: Option<&'static str>,
    /// Whether what looks sensitive is masked.
    pub redacts: bool,
    /// What is wrong with it.
    pub faults: Faults,
}

impl Side {
    /// A plain and open one, with nothing wrong.
    pub const fn plain(collector: &'static str) -> Side {
        Side { collector, tls: None, query_token: None, redacts: false, faults: Faults::none() }
    }
}

/// Traces of before. All times are *ago*, counted back from when the stage is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// When they began: from so long ago to so long ago.
    pub began: Range<Duration>,
    /// How many there are.
    pub traces: u64,
    /// Whether blue has them.
    pub in_blue: bool,
    /// Whether green has them, but for the hole.
    pub in_green: bool,
    /// Green has nothing that began then.
    pub hole: Option<Range<Duration>>,
    /// Green's search does not find what began then.
    pub unindexed: Option<Range<Duration>>,
    /// Attributes that every resource has beside its own.
    pub marks: &'static [(&'static str, &'static str)],
    /// Whose traffic it was, if not the story's.
    pub business: Option<Business>,
}

impl Past {
    /// So many traces that both have, and both find.
    pub fn whole(began: Range<Duration>, traces: u64) -> Past {
        Past {
            began,
            traces,
            in_blue: true,
            in_green: true,
            hole: None,
            unindexed: None,
            marks: &[],
            business: None,
        }
    }
}

/// A fault that strikes some time after the candidate owns a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedFault {
    /// The weight of the cut that it counts from.
    pub weight: Weight,
    /// How long after that cut.
    pub after: Duration,
    /// What is wrong from then on.
    pub faults: Faults,
}

/// Every story, in the order in which they are told.
pub fn scenarios() -> Vec<Scenario> {
    stories::all()
}

impl Scenario {
    /// The story of that name.
    pub fn named(name: &str) -> Option<Scenario> {
        scenarios().into_iter().find(|scenario| scenario.name == name)
    }

    /// The same story with other traffic.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Scenario {
        Scenario { traffic: TrafficConfig { seed, ..self.traffic }, ..self }
    }
}

impl TimedFault {
    /// Whether it counts from this cut.
    pub fn follows(&self, cut: &Cut) -> bool {
        cut.weight == self.weight
    }

    /// Waits for its time after the cut, then lets it strike.
    pub async fn strike(&self, cut: Cut, environment: &Environment) {
        clock::wait_until(cut.at.plus(self.after)).await;
        environment.set_faults(self.faults.clone());
    }
}

#[cfg(test)]
mod tests;
