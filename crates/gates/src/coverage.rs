//! The coverage gate: what the active environment records, the candidate records too; and what is sent is recorded.
//!
//! Compared are inventories ([`crate::inventory`]): of both environments over the same time, of the active one before that, and of
//! what clients sent, where the gateway's tap has seen it. So three blind spots can be told apart:
//!
//! ```text
//! sent   recorded by                     it is
//! yes    blue, not green                 green that is blind
//! yes    neither, or no more             both environments that are blind
//! no     neither, although it once was   the application that fell silent
//! ```
//!
//! # The rule
//!
//! Something rare may be missing by chance, so absence counts only where chance would be a poor excuse. Let something be in `x` of
//! `n_b` traces of blue's sample and in `y` of `n_g` of green's. If both record the same, the `x + y` traces with it are any
//! of the `n_b + n_g`, and the chance that green's sample has at most `y` of them is a tail of the hypergeometric distribution
//! (Fisher's exact test); for a service as a whole, of which green should have a share `s` of what blue has, it is
//! `(1 + s)^-x`. A finding needs that chance to be at most `alpha / m`, with `m` the number of things compared: so a report of two
//! environments that record the same holds a finding with a probability of at most `alpha` (1 %), whatever they
//! record and however rare (Bonferroni). The unit is the trace. What is too rare for this is listed, and fails nothing; if no service
//! is frequent enough, there is no verdict. So many services may be missing that chance is a poor excuse for all of them
//! together: that is one comparison more (`together`). Of a service that has more traces than are looked at, it is the number of them that
//! counts, as far as it is known ([`Volume`]); where it is not, and green has none, there is no verdict either.
//!
//! | module | holds |
//! |---|---|
//! | `rules` | every finding that it can make |
//! | [`chance`] | the probabilities |
//! | `compare` | one inventory against another |
//! | `together` | what may be missing service by service, and not all together |
//! | `volume` | [`Volume`]: how many traces there are where not all are looked at |
//! | `silence` | what stopped, and what is sent and recorded nowhere |
//! | `words` | names, rates and what people would have misread |
//! | `facts` | what the report holds beside findings |

pub mod chance;
mod compare;
mod facts;
mod rules;
mod silence;
#[cfg(test)]
mod tests;
mod together;
mod volume;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::{Inventory, Passed, Sent};
use crate::probe::is_own;
use crate::rule::Severity;
use crate::{Finding, Place, Report};

pub use self::compare::to_count;
pub use self::rules::RULES;
pub use self::volume::{Piece, Volume};
pub(crate) use self::words::list;

/// The gate's name.
pub const GATE: &str = "coverage";

/// What is compared.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The active environment, over the window.
    pub blue: Side,
    /// The candidate, over the window.
    pub green: Side,
    /// What the active environment recorded before the window, if that is looked at.
    pub before: Option<Past>,
    /// What clients sent, by the taps of all gateways; or why that is not known.
    pub sent: Result<Vec<Sent>, String>,
    /// The window.
    pub window: Window,
    /// The share of the active environment's traces that the candidate should have, from 0 to 1.
    pub share: f64,
    /// Why that is none, if more is known than that the candidate receives nothing yet.
    pub no_share: Option<NoShare>,
}

/// Why there is nothing that the candidate should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoShare {
    /// It receives nothing in the window: in a sentence.
    Idle(String),
    /// What it receives is not known.
    Unknown(Trouble),
}

/// What an environment recorded at another time.
#[derive(Clone, Debug)]
pub struct Past {
    /// When.
    pub window: Window,
    /// What, or why that is not known.
    pub recorded: Result<Recorded, Trouble>,
}

impl Inputs {
    /// What is known of before.
    pub(crate) fn past(&self) -> Option<(Window, &Inventory)> {
        let past = self.before.as_ref()?;
        Some((past.window, &past.recorded.as_ref().ok()?.inventory))
    }
}

/// A time, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From here.
    pub from: u64,
    /// To before here.
    pub until: u64,
}

impl Window {
    /// Its length in seconds.
    pub fn secs(self) -> f64 {
        self.until.saturating_sub(self.from) as f64 / 1e9
    }
}

/// One environment.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// The address that was asked.
    pub url: String,
    /// What it records.
    pub recorded: Result<Recorded, Trouble>,
}

/// What an environment records.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The inventory, each service from a sample of its own traces.
    pub inventory: Inventory,
    /// How many traces there are of services that have more than were looked at, where that was counted.
    pub volumes: BTreeMap<String, Volume>,
    /// Questions about single services that had no answer.
    pub troubles: Vec<Trouble>,
    /// The services that they were about: whether these are recorded is not known.
    pub unread: BTreeSet<String>,
    /// Traces that could be read only in part, and were left out.
    pub partial: u32,
    /// Services that were not asked for, because there are too many.
    pub services_left_out: u32,
}

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words, with the URL.
    pub what: String,
    /// Whether somebody answered, and as they should.
    pub answered: bool,
}

/// What is tolerated.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The probability of a finding where there is nothing to find.
    pub alpha: f64,
    /// Services that are not looked at; `*` stands for anything.
    pub ignore: Vec<String>,
    /// So many traces of a service must have been sent before it counts that none is recorded.
    pub sent_min: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { alpha: 0.01, ignore: Vec::new(), sent_min: 20 }
    }
}

impl Limits {
    /// Whether a service is looked at: not what Crossfade itself makes up, nor what is to be ignored.
    pub(crate) fn looks_at(&self, service: &str) -> bool {
        !is_own(service) && !self.ignore.iter().any(|pattern| matches(pattern, service))
    }
}

/// Whether `pattern` fits, with `*` for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// Whether a finding says that traces were too few for a verdict.
pub fn is_too_little(finding: &Finding) -> bool {
    [rules::TOO_LITTLE.id, rules::NOT_COUNTED.id].contains(&finding.id)
}

/// More passed the taps unseen than may, in the window: no verdict, unless nothing that could be in there would change it.
fn unseen(inputs: &Inputs, limits: &Limits, findings: &[Finding]) -> Option<Finding> {
    let Window { from, until } = inputs.window;
    let (mut passed, mut hidden) = (Passed::default(), 0);
    for tap in inputs.sent.as_deref().unwrap_or_default() {
        let of = tap.passed_within(from, until);
        passed += of;
        // So many traces the tap would have looked at, had each had but one span.
        hidden += of.unseen / u64::from(tap.tap.one_in.max(1));
    }
    if passed.is_seen() {
        return None;
    }
    let share = crate::words::percent(passed.unseen as f64 / passed.spans.max(1) as f64);
    let detail = format!(
        "{} of {} spans came by the gateway between {} and {} and were not seen: too much at a time, or requests too large or not readable",
        crate::words::grouped(passed.unseen),
        crate::words::grouped(passed.spans),
        words::time(from),
        words::time(until),
    );
    let finding = Finding::new(&rules::SENT_UNSEEN).detail(detail).expected("at most 2 % unseen").seen(share);
    let decides = hidden >= u64::from(limits.sent_min) && !findings.iter().any(Finding::fails);
    Some(if decides { finding } else { finding.severity(Severity::Note) })
}

/// Judges.
pub fn judge(inputs: &Inputs, limits: &Limits) -> Report {
    let mut findings = Vec::new();
    let mut unreachable = false;
    for side in [&inputs.blue, &inputs.green] {
        let (troubles, left_out) = match &side.recorded {
            Ok(recorded) => (recorded.troubles.as_slice(), recorded.services_left_out),
            Err(trouble) => (std::slice::from_ref(trouble), 0),
        };
        if let Some(first) = troubles.first() {
            unreachable |= troubles.iter().any(|trouble| !trouble.answered);
            let more = words::more(troubles.len());
            findings.push(
                Finding::new(&rules::UNREADABLE)
                    .at(Place::environment(&side.name).url(&side.url))
                    .detail(format!("{}{more}", first.what)),
            );
        }
        if left_out > 0 {
            let more = crate::words::counted(left_out.into(), "service", "services");
            let detail = format!("{} has {more} more than were looked at", side.name);
            findings.push(Finding::new(&rules::TOO_MANY).at(Place::environment(&side.name)).detail(detail));
        }
    }
    if let Some(past) = &inputs.before {
        let troubles = match &past.recorded {
            Ok(recorded) => recorded.troubles.as_slice(),
            Err(trouble) => std::slice::from_ref(trouble),
        };
        if let Some(first) = troubles.first() {
            unreachable |= troubles.iter().any(|trouble| !trouble.answered);
            let (blue, more) = (&inputs.blue, words::more(troubles.len()));
            let detail = format!(
                "what {} recorded before {}: {}{more}",
                blue.name,
                words::time(past.window.until),
                first.what
            );
            let place = Place::environment(&blue.name).url(&blue.url);
            findings.push(Finding::new(&rules::UNREADABLE).at(place).detail(detail));
        }
    }
    if let Err(why) = &inputs.sent {
        findings.push(Finding::new(&rules::SENT_UNKNOWN).detail(why.clone()));
    }
    if let Some(NoShare::Unknown(Trouble { what, answered })) = &inputs.no_share {
        unreachable |= !answered;
        findings.push(Finding::new(&rules::SHARE_UNKNOWN).detail(what.clone()));
    }
    let mut facts = facts::Facts::new(inputs, limits);
    if let (Ok(blue), Ok(green)) = (&inputs.blue.recorded, &inputs.green.recorded) {
        // A question without an answer does not say that there is nothing.
        let unread = blue.unread.iter().chain(&green.unread).cloned();
        let limits =
            &Limits { ignore: limits.ignore.iter().cloned().chain(unread).collect(), ..limits.clone() };
        let mut look =
            Look { inputs, limits, findings: Vec::new(), facts: &mut facts, told: BTreeSet::new() };
        look.all(&blue.inventory, &green.inventory);
        findings.append(&mut look.findings);
    }
    findings.extend(unseen(inputs, limits, &findings));
    let summary = facts.summary(inputs, &findings);
    let report = Report::new(GATE, summary, findings, facts.into_json());
    if unreachable { report.unreachable() } else { report }
}

/// The comparison, while it goes on.
struct Look<'a> {
    inputs: &'a Inputs,
    limits: &'a Limits,
    findings: Vec<Finding>,
    facts: &'a mut facts::Facts,
    /// Services and edges (`a -> b`) of which something was said already.
    told: BTreeSet<String>,
}

impl Look<'_> {
    fn all(&mut self, blue: &Inventory, green: &Inventory) {
        let enough = self.environments(blue, green);
        self.silence(blue, green);
        self.breaks(blue);
        // Where something was not counted, that is said.
        let is_uncounted = self.findings.iter().any(|finding| finding.id == rules::NOT_COUNTED.id);
        let no_share = self.inputs.no_share.as_ref();
        if !enough && !is_uncounted && !matches!(no_share, Some(NoShare::Unknown(_))) {
            let detail = match no_share {
                Some(NoShare::Idle(why)) => why.clone(),
                _ if self.inputs.share <= 0.0 => {
                    let green = &self.inputs.green.name;
                    format!("{green} receives no traffic yet, so there is nothing to compare")
                }
                _ => self.facts.too_little(self.inputs, blue, green),
            };
            let place = Place::environment(&self.inputs.green.name);
            self.findings.push(Finding::new(&rules::TOO_LITTLE).at(place).detail(detail));
        }
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
