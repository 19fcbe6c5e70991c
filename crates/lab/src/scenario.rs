//! The stories that the demo tells: what is rolled out, under which traffic, and what goes wrong when.
//!
//! A scenario is data. Whoever tells it starts two [`Environment`]s, writes [`Scenario::files`], starts a gateway and a
//! control plane from them and [`crate::traffic`] towards the gateway, submits the rollout, and lets the fault strike.
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

use crate::clock;
use crate::environment::{Environment, Faults, Refusal, Share};
use crate::measure::Outcome;
use crate::traffic::TrafficConfig;
use crossfade_routing::{Cut, Weight};
use std::time::Duration;

/// One story.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is asked for by.
    pub name: &'static str,
    /// What happens, in one line.
    pub about: &'static str,
    /// How the rollout must end.
    pub expected: Outcome,
    /// The rollout spec; its environments are `blue` and `green`.
    pub rollout: &'static str,
    /// The Collector configuration of either side, as the drift gate compares them.
    pub blue_collector: &'static str,
    /// Of the candidate.
    pub green_collector: &'static str,
    /// The traffic, for as long as the rollout takes.
    pub traffic: TrafficConfig,
    /// What goes wrong with the candidate.
    pub fault: Option<TimedFault>,
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

/// A file of a scenario: its path below the story's folder, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioFile {
    /// Relative, with `/`.
    pub path: &'static str,
    /// Whole.
    pub text: String,
}

/// The site's configuration, within the story's folder.
pub const SITE_PATH: &str = "crossfade.yaml";
/// The rollout spec, within the story's folder.
pub const ROLLOUT_PATH: &str = "rollout.yaml";

const BLUE_COLLECTOR_PATH: &str = "blue/collector.yaml";
const GREEN_COLLECTOR_PATH: &str = "green/collector.yaml";

/// Every story, in the order in which they are told.
pub fn scenarios() -> [Scenario; 2] {
    let good = Scenario {
        name: "good",
        about: "a new version with a declared change works, and is promoted",
        expected: Outcome::Promoted,
        rollout: include_str!("../scenarios/good.yaml"),
        blue_collector: include_str!("../scenarios/blue.yaml"),
        green_collector: include_str!("../scenarios/green.yaml"),
        traffic: TrafficConfig::default(),
        fault: None,
    };
    let bad = Scenario {
        name: "bad",
        about: "a candidate that owns 25 % begins to refuse requests, and is rolled back by the analysis",
        expected: Outcome::RolledBack,
        rollout: include_str!("../scenarios/bad.yaml"),
        fault: Some(TimedFault {
            weight: Weight::from_ppm(250_000).expect("a quarter"),
            after: Duration::from_secs(7),
            // Far too few for a breaker, which looks for a candidate that is gone.
            faults: Faults { refuse: Some(Refusal::unavailable(Share::percent(20))), ..Faults::default() },
        }),
        ..good.clone()
    };
    [good, bad]
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

    /// The files that a gateway and a control plane are started from: site, rollout and Collector configurations. Every
    /// listener has port 0, and everything is kept in the folder itself.
    pub fn files(&self, blue: &Environment, green: &Environment) -> [ScenarioFile; 4] {
        let file = |path, text: &str| ScenarioFile { path, text: text.into() };
        [
            file(SITE_PATH, &site(blue, green)),
            file(ROLLOUT_PATH, self.rollout),
            file(BLUE_COLLECTOR_PATH, self.blue_collector),
            file(GREEN_COLLECTOR_PATH, self.green_collector),
        ]
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

fn site(blue: &Environment, green: &Environment) -> String {
    let environment = |name, environment: &Environment, collector| {
        format!(
            r#"  {name}:
    otlp: {{ endpoint: "http://{}" }}
    query: {{ kind: jaeger, endpoint: "http://{}" }}
    configs: {{ collector: [{collector}] }}
"#,
            environment.grpc_addr(),
            environment.query_addr(),
        )
    };
    let blue = environment("blue", blue, BLUE_COLLECTOR_PATH);
    let green = environment("green", green, GREEN_COLLECTOR_PATH);
    format!(
        r#"# Two simulated environments on this machine; they are gone when the demo ends.
environments:
{blue}{green}gateway:
  grpc: {{ endpoint: "127.0.0.1:0" }}
  http: {{ endpoint: "127.0.0.1:0" }}
  grace: 5s
control: {{ endpoint: "127.0.0.1:0" }}
audit: {{ origin: crossfade.demo/lab }}
data_directory: .
"#
    )
}

#[cfg(test)]
mod tests;
