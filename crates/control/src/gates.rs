//! Collects the gates' inputs, and lets the pure gates judge them: in a rollout, in a plan's dry run, on the command line.
//!
//! | module | holds |
//! |---|---|
//! | `cx` | what a gate looks at |
//! | `run` | one look, with deadline and waivers; several side by side |
//! | `fitting` | gates that look unasked where they can have a verdict |
//! | `enough` | waiting for traffic that suffices for a verdict |
//! | `gauge` | how far a gate has come |
//! | [`shared`] | which traces two environments both have whole |
//! | `course` | how far a rollout has come, as policies see it |
//! | `resident` | how much memory this process has in use |
//! | `access` | how environments are reached, as digests |
//! | `configs`, [`reach`] | files of configurations; whether endpoints answer |
//! | the others | one for each gate |

mod access;
mod configs;
pub(crate) mod course;
pub mod coverage;
mod cx;
pub mod dependencies;
pub mod drift;
mod enough;
mod fitting;
mod gauge;
pub mod history;
mod live;
pub mod load;
pub mod parity;
pub mod policy;
pub mod posture;
pub mod probe;
pub mod reach;
mod resident;
mod run;
pub mod shared;

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_backends::spread::StartSpread;
use crossfade_rollout::event::SeedSource;
use crossfade_rollout::plan::{Outline, Plan};
use crossfade_rollout::spec::Moment;
use crossfade_rollout::units::Snapshots;
use crossfade_routing::EnvironmentId;

pub(crate) use self::configs::Unread;
pub use self::cx::Cx;
pub use self::fitting::{Fitted, fitting};
pub use self::gauge::{Gauge, Reading};
pub(crate) use self::live::LiveRate;
pub use self::run::guarded;
pub(crate) use self::run::{outcome, summary};
use crate::clock;
use crate::site::Site;

/// Why the gates of a site cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatesError {
    /// The key of redacted digests.
    #[error("cannot read {path}: run `crossfade init` first, or check the path")]
    RedactKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The gates of one site.
pub struct Gates {
    site: Arc<Site>,
    redact_key: Vec<u8>,
    live: LiveRate,
}

impl Gates {
    /// With the site's key for redacted digests.
    ///
    /// # Errors
    /// If the key cannot be read.
    pub fn new(site: Arc<Site>) -> Result<Gates, GatesError> {
        let path = site.redact_key_file();
        let redact_key = std::fs::read(&path).map_err(|source| GatesError::RedactKey { path, source })?;
        Ok(Gates { site, redact_key, live: LiveRate::default() })
    }

    /// With another key: redacted digests are then comparable with those of the same key alone.
    pub fn with_key(site: Arc<Site>, redact_key: Vec<u8>) -> Gates {
        Gates { site, redact_key, live: LiveRate::default() }
    }

    /// Where the live rate is noted for those that ask for it.
    pub(crate) fn live(&self) -> &LiveRate {
        &self.live
    }

    /// What a gate looks at, as of now.
    pub fn cx<'a>(&'a self, outline: &'a Outline, seed: u64) -> Cx<'a> {
        Cx {
            site: &self.site,
            outline,
            from: &outline.from,
            to: &outline.to,
            settings: &outline.gates,
            seed,
            moment: Moment::Preflight,
            now: clock::now(),
            since: None,
            schedule: None,
            live: self.live.get(),
            redact_key: &self.redact_key,
            found: &[],
            before: None,
            course: None,
            gauge: Gauge::default(),
        }
    }

    /// One round of probe traces within a step.
    pub(crate) async fn probe_round(
        &self,
        plan: &Plan,
        traces: u32,
        seed: Option<&SeedSource>,
    ) -> probe::Round {
        let Some(candidate) = self.site.environment(&plan.outline.to) else { return probe::Round::default() };
        probe::round(
            &plan.outline.to,
            candidate,
            traces,
            plan.outline.gates.probe.deadline.0,
            seed_of(plan, seed),
        )
        .await
    }

    /// How far apart the spans of recent traces of an environment start.
    pub(crate) async fn start_spread(&self, id: &EnvironmentId) -> Result<StartSpread, String> {
        let environment = self.site.environment(id).ok_or_else(|| format!("{id} is not in the site"))?;
        probe::start_spread(&environment.query_client(id)?).await
    }

    /// Digests of every file of the compared configurations and of what they include, of the spec's policies, and of how the site
    /// reaches its environments, as they are now. A file that cannot be read is absent, unless it is among `wanted`.
    pub(crate) async fn snapshots(
        &self,
        outline: &Outline,
        wanted: Option<&Snapshots>,
    ) -> Result<Snapshots, Unread> {
        // A plan from before something was digested is held to none of it.
        let is_held =
            |kind: &str| wanted.is_none_or(|wanted| wanted.keys().any(|name| name.starts_with(kind)));
        let (mut listed, mut reached) = (Vec::new(), Snapshots::new());
        for id in [&outline.from, &outline.to] {
            let Some(environment) = self.site.environment(id) else { continue };
            let sets = environment.configs.keys();
            listed.extend(sets.map(|name| (format!("{id}/{name}"), environment.listed(name))));
            if is_held(access::SNAPSHOT) {
                reached.extend(access::digests(id, environment, &self.redact_key));
            }
        }
        let policies = outline.gates.policy.clone().filter(|_| is_held(policy::SNAPSHOT));
        let (wanted, private, key) = (wanted.cloned(), drift::private(&self.site), self.redact_key.clone());
        let path = self.site.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut digests = configs::digests(&listed, wanted.as_ref(), &private, &key)?;
            for (name, digest) in policies.iter().flat_map(|settings| policy::digests(settings, &path)) {
                match digest {
                    Ok(digest) => _ = digests.insert(name, digest),
                    Err(why) => Unread::check(wanted.as_ref(), name, why)?,
                }
            }
            digests.append(&mut reached);
            Ok(digests)
        })
        .await;
        read.unwrap_or_else(|error| Err(Unread::broken(&error.to_string())))
    }
}

/// From the checkpoint that followed the gate's start, so that nobody could choose it; a dry run takes the plan's time.
pub(crate) fn seed_of(plan: &Plan, seed: Option<&SeedSource>) -> u64 {
    let text = match seed {
        Some(source) => format!("{} {}", source.size, source.root),
        None => format!("dry run {}", plan.planned_at.0),
    };
    let hash = crossfade_tlog::sha256(text.as_bytes());
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
