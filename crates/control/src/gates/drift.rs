//! The drift gate's inputs: the configurations of both environments, as their files are now.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossfade_gates::drift::{
    Allow, Context, DriftReport, EnvironmentError, LoadError, Loaded, OwnEndpoints, Pair, UnusedDeclaration,
    Version, Versions, compare, recognise,
};
use crossfade_gates::look::{broke, cannot_look};
use crossfade_gates::report::Report;
use crossfade_rollout::spec;
use crossfade_rollout::units::Literal;
use crossfade_yaml::{self as yaml, Node};

pub use super::configs::Listed;
use super::{Cx, configs};
use crate::site::{Environment, Site};
pub use crate::sources::{Source, SourceError};

/// Unused declarations, variables or settings that one line names.
const SHOWN: usize = 3;

/// The files of one configuration name, on both sides.
#[derive(Debug, Clone)]
pub struct Files {
    /// The name that paths begin with.
    pub name: String,
    /// Blue's.
    pub blue: Listed,
    /// Green's.
    pub green: Listed,
    /// What runs with them.
    pub versions: Versions,
}

/// Why two sets of files cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// A file or URL.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An environment file.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// An environment file that is the site's own.
    #[error("{path}: this is the site's own, and no environment's; name another env_file")]
    Private {
        /// The file.
        path: PathBuf,
    },
    /// Its content.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl DriftError {
    /// Whether nobody was there who has the configuration: that says nothing of it.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_unreachable())
    }
}

/// Compares configurations as their files are now. `redact_key` keys the digests that stand for secrets; no configuration may
/// include what is below `private`.
///
/// # Errors
/// A file that cannot be read or understood.
pub fn report(
    sets: &[Files],
    allow: &[Allow],
    context: &Context,
    redact_key: &[u8],
    private: &[PathBuf],
) -> Result<DriftReport, DriftError> {
    let mut loaded = Vec::new();
    for set in sets {
        let (blue, green) = (read(&set.blue, private)?, read(&set.green, private)?);
        loaded.extend(paired(set, blue, green));
    }
    let pairs: Vec<Pair<'_>> = loaded
        .iter()
        .map(|(name, versions, blue, green)| Pair {
            name,
            blue: blue.as_ref(),
            green: green.as_ref(),
            versions: *versions,
        })
        .collect();
    let digest = |value: &[u8]| keyed_digest(redact_key, value);
    Ok(compare(&pairs, allow, context, &digest))
}

fn read(listed: &Listed, private: &[PathBuf]) -> Result<Vec<Loaded>, DriftError> {
    let all = configs::read(listed, private)?;
    all.iter().try_for_each(|loaded| recognise(&loaded.node))?;
    Ok(all)
}

type Loading = (String, Versions, Option<Node>, Option<Node>);

/// Each configuration of blue with green's of the same name; one that is left on either side with the other, whatever they are
/// called. Several on a side are told apart by their names: `collector/agent`.
fn paired(set: &Files, blue: Vec<Loaded>, mut green: Vec<Loaded>) -> Vec<Loading> {
    let single = blue.len() <= 1 && green.len() <= 1;
    let name = |loaded: &Loaded| match single || loaded.name.is_empty() {
        true => set.name.clone(),
        false => format!("{}/{}", set.name, loaded.name),
    };
    let (mut pairs, mut left): (Vec<Loading>, Vec<Loaded>) = (Vec::new(), Vec::new());
    for loaded in blue {
        match green.iter().position(|other| other.name == loaded.name) {
            Some(at) => {
                pairs.push((name(&loaded), set.versions, Some(loaded.node), Some(green.remove(at).node)))
            }
            None => left.push(loaded),
        }
    }
    match (left.pop(), green.pop()) {
        (Some(b), Some(g)) if left.is_empty() && green.is_empty() => {
            pairs.push((name(&g), set.versions, Some(b.node), Some(g.node)));
        }
        (b, g) => {
            let blue = left.into_iter().chain(b).map(|b| (name(&b), set.versions, Some(b.node), None));
            pairs.extend(blue);
            let green = green.into_iter().chain(g).map(|g| (name(&g), set.versions, None, Some(g.node)));
            pairs.extend(green);
        }
    }
    pairs
}

/// Whether the files of one side can be read and merged, and are a configuration.
///
/// # Errors
/// As [`report`].
pub fn readable(listed: &Listed) -> Result<(), DriftError> {
    read(listed, &[]).map(drop)
}

/// HMAC-SHA-256 (RFC 2104) for keys of up to one block.
pub(super) fn keyed_digest(key: &[u8], value: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let long = crossfade_tlog::sha256(key);
    let key = if key.len() > BLOCK { &long[..] } else { key };
    let pad =
        |with: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = crossfade_tlog::sha256(&[pad(0x36), value.to_vec()].concat());
    crossfade_tlog::sha256(&[pad(0x5c), inner.to_vec()].concat())
}

/// The declarations of a spec or plan; those of a spec know where they stand.
pub fn declarations(gates: &spec::Gates) -> Vec<Allow> {
    gates.drift.allow.iter().map(declaration).collect()
}

fn declaration(allow: &spec::Allow) -> Allow {
    let mark = &allow.path.mark;
    Allow {
        path: allow.path.value.clone(),
        from: literal(&allow.from),
        to: literal(&allow.to),
        reason: allow.reason.clone(),
        mark: (!mark.is_nowhere()).then(|| mark.clone()),
    }
}

/// A declared value as a tree: JSON is YAML, and a literal is JSON.
pub(crate) fn literal(value: &Option<Literal>) -> Option<Node> {
    yaml::parse(&value.as_ref()?.value().to_string(), "declaration").ok()
}

/// Runs the gate on a site's environments.
pub(super) async fn run(cx: &Cx<'_>) -> Report {
    let (blue, green) = match (cx.active(), cx.candidate()) {
        (Ok(blue), Ok(green)) => (blue, green),
        (Err(why), _) | (_, Err(why)) => return cannot_look("drift", why),
    };
    let sets = sets(blue, green);
    if sets.is_empty() {
        let why = "no configuration is named: list both sides' files under environments.*.configs";
        return cannot_look("drift", why);
    }
    let context = Context { blue: own_endpoints(blue), green: own_endpoints(green) };
    let (allow, key, private) = (declarations(cx.settings), cx.redact_key.to_vec(), private(cx.site));
    // Files are read, and URLs waited for.
    let read = move || match report(&sets, &allow, &context, &key, &private) {
        Ok(found) => {
            let mut report = found.report();
            report.summary.push_str(&unused(&found));
            report.summary.push_str(&as_written(&found));
            report.summary.push_str(&unknown(&found));
            report
        }
        Err(error) => {
            let report = cannot_look("drift", error.to_string());
            if error.is_unreachable() { report.unreachable() } else { report }
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| broke("drift"))
}

/// The site's own files, which no configuration has to do with.
pub(super) fn private(site: &Site) -> Vec<PathBuf> {
    [&site.data, &site.key_file, &site.log_dir, &site.token_file, &site.gateway.token_file]
        .map(PathBuf::clone)
        .into()
}

fn unknown(report: &DriftReport) -> String {
    match report.unknown_components.len() {
        0 => String::new(),
        1 => "; 1 component that no rule knows".to_owned(),
        count => format!("; {count} components that no rule knows"),
    }
}

/// Declarations that a report does not need, by their places.
fn unused(report: &DriftReport) -> String {
    let unused = &report.unused_declarations;
    let place = |unused: &UnusedDeclaration| match &unused.mark {
        Some(mark) if !mark.is_nowhere() => format!("{}:{}", mark.source, mark.line),
        _ => unused.path.clone(),
    };
    let places: Vec<String> = unused.iter().take(SHOWN).map(place).collect();
    let more = if unused.len() > SHOWN { ", …" } else { "" };
    match unused.len() {
        0 => String::new(),
        1 => format!("; 1 declaration that nothing needs ({})", places.join(", ")),
        count => format!("; {count} declarations that nothing needs ({}{more})", places.join(", ")),
    }
}

fn as_written(report: &DriftReport) -> String {
    let noun = if report.as_written == 1 { "value" } else { "values" };
    let names = |names: &[String]| {
        let more = if names.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))
    };
    let mut out = String::new();
    if report.as_written > 0 {
        out.push_str(&format!("; {} {noun} with references compared as written", report.as_written));
    }
    if !report.variables.is_empty() {
        out.push_str(&format!("; not compared without an env_file: {}", names(&report.variables)));
    }
    if !report.by_version.is_empty() {
        out.push_str(&format!("; by default of a version that is not said: {}", names(&report.by_version)));
    }
    out
}

fn sets(blue: &Environment, green: &Environment) -> Vec<Files> {
    let names: BTreeSet<&String> = blue.configs.keys().chain(green.configs.keys()).collect();
    let version = |environment: &Environment, name: &String| -> Option<Version> {
        environment.versions.get(name).copied()
    };
    let files = |name: &String| Files {
        name: name.clone(),
        blue: blue.listed(name),
        green: green.listed(name),
        versions: Versions { blue: version(blue, name), green: version(green, name) },
    };
    names.into_iter().map(files).collect()
}

fn own_endpoints(environment: &Environment) -> OwnEndpoints {
    let query = environment.query.iter().map(|query| query.endpoint.clone());
    OwnEndpoints::new(
        std::iter::once(environment.otlp.clone()).chain(query).chain(environment.endpoints.iter().cloned()),
    )
}

#[cfg(test)]
mod tests {
    use super::keyed_digest;

    /// RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn known_digests() {
        let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let cases: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, value, digest) in cases {
            assert_eq!(hex(keyed_digest(key, value)), digest);
        }
    }
}
