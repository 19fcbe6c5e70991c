//! The drift gate: what differs between two environments' configurations, by meaning.
//!
//! Two configurations are equal if the Collector (or Jaeger 2, which is one) acts alike under both: the order of keys, the
//! order of receivers and exporters, aliases, defaults written out, other units and each side's own addresses are no
//! differences. Everything else is one, has a [`Rule`] with a stable id and a [`Class`], and must be declared to pass. What the
//! rules do not know is compared literally: ignorance makes noise, never silence.
//!
//! | module | holds |
//! |---|---|
//! | `load`, `manifest`, `workload`, `environment` | several files, Kubernetes objects: to one tree; what `${env:X}` stands for |
//! | `model`, `ids`, `forms` | what the Collector makes of a tree, in older forms as well |
//! | `collector`, `pipelines`, `ways`, `renames`, `tree` | the comparison |
//! | `tempo` | what Tempo's words mean, and what it fills in |
//! | `values`, `address`, `defaults`, `version`, `references`, `limits` | when two values are the same, or how far apart |
//! | `unresolved` | what is behind references, and not known |
//! | `classify`, `kinds`, `rules` | which rule a difference falls under |
//! | `masking` | what a configuration masks |
//! | `secret` | values as text, secrets as keyed digests |
//! | `out`, `report`, `render` | findings, declarations, and how they are shown |

mod address;
mod classify;
mod collector;
mod defaults;
mod environment;
mod forms;
mod ids;
mod kinds;
mod limits;
mod load;
mod manifest;
mod masking;
mod model;
mod out;
mod path;
mod pipelines;
mod references;
mod renames;
pub mod render;
mod report;
mod rules;
mod secret;
mod tempo;
#[cfg(test)]
mod tests;
mod tree;
mod unresolved;
mod values;
mod version;
mod ways;
mod workload;

use crossfade_yaml::{Mark, Node};

pub use self::address::OwnEndpoints;
pub use self::environment::{Environment, EnvironmentError};
pub use self::load::{KeepReferences, LoadError, Loaded, load, load_each, recognise};
pub use self::masking::masking;
pub use self::report::{Declared, DriftReport, Equivalent, Finding, UnusedDeclaration, Why};
pub use self::rules::RULES;
pub use self::secret::{KeyedDigest, names_secret, shows_secret};
pub use self::version::{Version, VersionError, Versions};
pub use crate::rule::{Class, Rule};

use self::ids::{Id, Section};
use self::out::{Out, Place};
use self::path::Path;

/// Two configurations of one name.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The name in the site's `configs`: `collector`. Paths begin with it.
    pub name: &'a str,
    /// Blue's, from [`load`].
    pub blue: Option<&'a Node>,
    /// Green's, from [`load`].
    pub green: Option<&'a Node>,
    /// What runs with them: whose defaults hold.
    pub versions: Versions,
}

/// A declared difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    /// `collector:processors.batch.timeout`, as a report writes it.
    pub path: String,
    /// Blue's value, in any spelling or as the report shows it; `None` or null: blue has none.
    pub from: Option<Node>,
    /// Green's value, likewise.
    pub to: Option<Node>,
    /// Why it is wanted.
    pub reason: String,
    /// Where it is declared.
    pub mark: Option<Mark>,
}

/// What the configurations alone do not tell.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Addresses that belong to blue.
    pub blue: OwnEndpoints,
    /// Addresses that belong to green.
    pub green: OwnEndpoints,
}

/// Compares all configurations of two environments.
///
/// `digest` makes secrets comparable without showing them; the same key must be used whenever reports are compared.
pub fn compare<'a>(
    pairs: &[Pair<'_>],
    allow: &'a [Allow],
    context: &Context,
    digest: KeyedDigest<'a>,
) -> DriftReport {
    let mut out = Out::new(allow, digest);
    for pair in pairs {
        for node in [pair.blue, pair.green].into_iter().flatten() {
            out.as_written += references::count(node);
            references::variables(node, &mut out.variables);
        }
        match (pair.blue, pair.green) {
            (Some(blue), Some(green)) => {
                collector::compare(pair.name, (blue, green), pair.versions, context, &mut out);
            }
            (None, None) => {}
            (blue, green) => missing(pair.name, blue, green, &mut out),
        }
    }
    out.into_report()
}

/// An extension's kind by its id: `health_check/own` is a `healthcheck`.
pub(crate) fn extension_kind(id: &str) -> String {
    Id::read(Section::Extensions, id).kind
}

/// What an extension has where nothing is written.
pub(crate) fn extension_default(kind: &str, path: &[&str], version: Option<Version>) -> Option<Node> {
    defaults::component(Section::Extensions, kind, &Path::of(path), version)
}

/// Who reads a Collector's own metrics where nothing is written.
pub(crate) fn default_readers(version: Option<Version>) -> Node {
    let readers = defaults::service(&Path::of(&["telemetry", "metrics", "readers"]), version);
    readers.expect("the table of defaults has them; the test of declared interfaces reads them")
}

fn missing(name: &str, blue: Option<&Node>, green: Option<&Node>, out: &mut Out<'_>) {
    let mark = |node: Option<&Node>| node.map_or_else(Mark::nowhere, |n| n.mark.clone());
    let place = Place {
        document: name.to_owned(),
        prefix: String::new(),
        blue_prefix: String::new(),
        path: Path::default(),
        blue_mark: mark(blue),
        green_mark: mark(green),
    };
    let side = if blue.is_some() { "blue" } else { "green" };
    let present = |node: Option<&Node>| {
        node.map(|n| Node::new(crossfade_yaml::Value::String("present".to_owned()), n.mark.clone()))
    };
    let detail = format!("only {side} has a configuration named {name}");
    out.finding(&rules::MISSING, &place, present(blue).as_ref(), present(green).as_ref(), Some(detail));
}
