//! The dependencies gate: what live traces call outside, the candidate's tests have really called too.
//!
//! A test that talks to a simulator shows that our own side works. It shows nothing of the other one: its latency, its errors, its
//! certificates, its limits. So the outside calls of live traces are held against those of the test run: which peers no test
//! has called, which only at a simulated address, and where live calls are slower or fail more often than any test has seen.
//!
//! A call is *outside* if most of such calls have no span of another service below them. A live peer counts as tested if a test called
//! the same (protocol, system, host and port, and what is called there), whatever service did. Otherwise its *counterparts* are looked at:
//! calls of the same service, by the same protocol and system, from an operation of the same name or to something of the same name. An
//! operation that is a method alone (`POST`) pairs only hosts that have a word in common, and what live traffic calls as well stands for
//! nothing else. Among
//! these an address is simulated if it is the machine itself or has a name that simulators have; and in both cases if it is declared so, or
//! if the answer carried a simulator's header. Where live and tested addresses both are the machine itself, at different ports, who answered
//! the tests cannot be told: a sidecar looks like a simulator there.
//!
//! *Slower*: the median or the 95th percentile, with the bounds that hold for each side at 99.5 % (ranks by the normal approximation of
//! the binomial), is more than `slower_max` times that of the tests. *Fails more*: Fisher's exact test, as in
//! [`crate::coverage`], at `alpha` over the number of peers.
//!
//! | module | holds |
//! |---|---|
//! | `rules` | every finding that it can make |
//! | `edge` | calls of one service to one peer, and what a simulated address looks like |
//! | `figures` | latency and errors of an edge, in test and live |

mod edge;
mod figures;
mod rules;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value, json};

use self::edge::{Edge, edges, is_declared, is_simulated};
use crate::coverage::{Recorded, Side, Trouble};
use crate::probe::is_own;
use crate::words::counted;
use crate::{Finding, Place, Report};

pub use self::rules::RULES;

/// The gate's name.
pub const GATE: &str = "dependencies";

/// What is compared.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Live traces.
    pub live: Side,
    /// Where the traces of the test run come from, in words.
    pub source: String,
    /// What the test run did.
    pub tests: Result<Recorded, Trouble>,
}

/// What is tolerated.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Hosts and peers that are simulators, besides those that are known as such; `*` stands for anything.
    pub simulated: Vec<String>,
    /// So many times slower than in tests a peer may be.
    pub slower_max: f64,
    /// A difference that never matters.
    pub slower_min: Duration,
    /// The probability of a finding about errors where there is nothing to find.
    pub alpha: f64,
    /// So many live traces there must be.
    pub traces_min: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            simulated: Vec::new(),
            slower_max: 2.0,
            slower_min: Duration::from_millis(50),
            alpha: 0.01,
            traces_min: 20,
        }
    }
}

/// Peers in the report's table.
const ROWS_MAX: usize = 300;

fn calls(count: u64) -> String {
    counted(count, "call", "calls")
}

/// Judges.
pub fn judge(inputs: &Inputs, limits: &Limits) -> Report {
    let mut findings = Vec::new();
    let mut unreachable = false;
    let mut trouble = |trouble: &Trouble, place: Place| {
        unreachable |= !trouble.answered;
        findings.push(Finding::new(&rules::UNREADABLE).at(place).detail(trouble.what.clone()));
    };
    let of_live = || Place::environment(&inputs.live.name).url(&inputs.live.url);
    let of_tests = || Place::default().component(inputs.source.clone());
    match &inputs.live.recorded {
        Ok(live) => live.troubles.iter().take(1).for_each(|one| trouble(one, of_live())),
        Err(one) => trouble(one, of_live()),
    }
    match &inputs.tests {
        Ok(tests) => tests.troubles.iter().take(1).for_each(|one| trouble(one, of_tests())),
        Err(one) => trouble(one, of_tests()),
    }
    let mut facts =
        json!({ "source": inputs.source, "alpha": limits.alpha, "slower_max": limits.slower_max });
    let mut summary = "nothing could be compared".to_owned();
    if let (Ok(live), Ok(tests)) = (&inputs.live.recorded, &inputs.tests) {
        let mut look = Look { inputs, limits, findings: Vec::new(), rows: Vec::new() };
        look.too_little(live, tests);
        let (live_edges, test_edges) = (edges(&live.inventory), edges(&tests.inventory));
        if tests.inventory.traces > 0 {
            look.all(&live_edges, &test_edges);
        }
        let outside = live_edges.iter().filter(|edge| edge.is_outside()).count();
        look.nameless(live, outside);
        look.left_out(live);
        summary = look.summary(outside);
        facts["live_traces"] = live.inventory.traces.into();
        facts["test_traces"] = tests.inventory.traces.into();
        facts["left_out"] = json!([live.inventory.left_out, tests.inventory.left_out]);
        facts["peers"] = look.rows.into();
        findings.append(&mut look.findings);
    }
    let report = Report::new(GATE, summary, findings, facts);
    if unreachable { report.unreachable() } else { report }
}

/// What a test's calls are for a live peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Calls of the same.
    Itself,
    /// The same at another address, which may be real.
    Elsewhere,
    /// Something on the machine itself, as the live peer is.
    OnTheMachine,
    /// A simulator.
    Simulated,
}

/// The comparison, while it goes on.
struct Look<'a> {
    inputs: &'a Inputs,
    limits: &'a Limits,
    findings: Vec<Finding>,
    rows: Vec<Value>,
}

impl Look<'_> {
    fn too_little(&mut self, live: &Recorded, tests: &Recorded) {
        if tests.inventory.traces == 0 {
            let detail = format!("no trace of a test run was found in {}", self.inputs.source);
            self.findings.push(Finding::new(&rules::TOO_LITTLE).detail(detail));
        }
        if live.inventory.traces < self.limits.traces_min {
            let (found, needed) = (live.inventory.traces, self.limits.traces_min);
            let found = counted(found.into(), "live trace", "live traces");
            let detail = format!("{found} in {}, {needed} are needed", self.inputs.live.name);
            let place = Place::environment(&self.inputs.live.name);
            self.findings.push(Finding::new(&rules::TOO_LITTLE).at(place).detail(detail));
        }
    }

    fn all(&mut self, live: &[Edge], tests: &[Edge]) {
        let outside: Vec<&Edge> = live.iter().filter(|edge| edge.is_outside()).collect();
        for edge in &outside {
            let (mut real, mut other, mut local, mut simulated) = (vec![], vec![], vec![], vec![]);
            // What live traffic calls as well stands for itself alone, or for what goes by its name.
            let stands_alone = |test: &Edge| {
                !edge.is_same(test)
                    && !edge.is_named_as(test)
                    && outside.iter().any(|other| other.is_same(test))
            };
            for test in tests.iter().filter(|test| !stands_alone(test)) {
                match self.stands_for(edge, test) {
                    Some(Stands::Itself) => real.push(test),
                    Some(Stands::Elsewhere) => other.push(test),
                    Some(Stands::OnTheMachine) => local.push(test),
                    Some(Stands::Simulated) => simulated.push(test),
                    None => {}
                }
            }
            // Among what could not be read there may be the test that is missed.
            let unread = self.inputs.tests.as_ref().is_ok_and(|tests| !tests.unread.is_empty());
            let verdict = match (real.first(), other.first(), local.first(), simulated.first()) {
                (Some(_), ..) => "tested",
                (None, None, None, _) if unread => "not known",
                (None, Some(other), ..) => {
                    self.other_address(edge, other);
                    "tested at another address"
                }
                (None, None, Some(local), _) => {
                    self.local(edge, local);
                    "not known"
                }
                (None, None, None, Some(simulated)) => {
                    self.simulated(edge, simulated);
                    "simulated"
                }
                (None, None, None, None) => {
                    self.untested(edge);
                    "untested"
                }
            };
            let measured =
                [real, other, local, simulated].into_iter().find(|some| !some.is_empty()).unwrap_or_default();
            self.measured(edge, &Edge::sum(&measured), outside.len(), verdict);
        }
        self.only_in_tests(&outside, tests);
    }

    /// What a test's calls are for a live peer; `None`: nothing.
    fn stands_for(&self, edge: &Edge, test: &Edge) -> Option<Stands> {
        let is_same = edge.is_same(test) || edge.are_one_local(test) && edge.is_counterpart(test);
        if !is_same && !edge.is_counterpart(test) {
            return None;
        }
        let declared = &self.limits.simulated;
        Some(if is_declared(test, declared).is_some() {
            Stands::Simulated
        } else if edge.are_local(test) && !edge.are_one_local(test) {
            Stands::OnTheMachine
        } else if is_same {
            Stands::Itself
        } else if is_simulated(test, declared).is_some() {
            Stands::Simulated
        } else {
            Stands::Elsewhere
        })
    }

    fn place(&self, edge: &Edge) -> Place {
        let place = Place::environment(&self.inputs.live.name).component(edge.to_string());
        edge.seen.example.map_or(place.clone(), |id| place.trace(id))
    }

    fn untested(&mut self, edge: &Edge) {
        let detail = format!(
            "live traces of `{}` call {} ({}, by {}), and no test has called it",
            edge.service,
            edge.peer,
            calls(edge.calls.into()),
            edge.operations()
        );
        let finding = Finding::new(&rules::UNTESTED).at(self.place(edge)).detail(detail);
        self.findings.push(finding.expected(format!("a call in {}", self.inputs.source)).seen("none"));
    }

    fn simulated(&mut self, edge: &Edge, test: &Edge) {
        let why = is_simulated(test, &self.limits.simulated).unwrap_or_default();
        let detail = format!(
            "live traces of `{}` call {} ({}, by {}), and tests have called only a simulated one: {} ({why})",
            edge.service,
            edge.peer,
            calls(edge.calls.into()),
            edge.operations(),
            test.peer
        );
        let finding = Finding::new(&rules::SIMULATED).at(self.place(edge)).detail(detail);
        self.findings.push(finding.expected(edge.peer.to_string()).seen(test.peer.to_string()));
    }

    fn other_address(&mut self, edge: &Edge, test: &Edge) {
        let detail = format!(
            "live traces of `{}` call {}, and tests have called {} for it: check that this is a real one",
            edge.service, edge.peer, test.peer
        );
        let finding = Finding::new(&rules::OTHER_ADDRESS).at(self.place(edge)).detail(detail);
        self.findings.push(finding.expected(edge.peer.to_string()).seen(test.peer.to_string()));
    }

    fn local(&mut self, edge: &Edge, test: &Edge) {
        let detail = format!(
            "live traces of `{}` call {}, and tests have called {} for it: both are on the machine itself, so who answered the tests is not known",
            edge.service, edge.peer, test.peer
        );
        let finding = Finding::new(&rules::LOCAL).at(self.place(edge)).detail(detail);
        self.findings.push(finding.expected(edge.peer.to_string()).seen(test.peer.to_string()));
    }

    /// What was not looked at among live traces is not known to be tested.
    fn left_out(&mut self, live: &Recorded) {
        let left_out = &live.inventory.left_out;
        let more: Vec<String> = [
            (u64::from(live.services_left_out), "service was not asked for", "services were not asked for"),
            (u64::from(left_out.services), "span is of a service too many", "spans are of services too many"),
            (u64::from(left_out.calls), "call is to a peer too many", "calls are to peers too many"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(count, one, many))
        .collect();
        if !more.is_empty() {
            let detail =
                format!("of {}, not everything was looked at: {}", self.inputs.live.name, more.join(", "));
            let place = Place::environment(&self.inputs.live.name);
            self.findings.push(Finding::new(&rules::TOO_MANY).at(place).detail(detail));
        }
    }

    fn measured(&mut self, edge: &Edge, test: &Edge, peers: usize, verdict: &str) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(figures::row(edge, test, verdict));
        }
        if test.calls == 0 {
            return;
        }
        if let Some(slower) = figures::slower(edge, test, self.limits) {
            let detail = format!(
                "`{}` waits longer for {} live than it ever did in tests: {} against {}",
                edge.service, edge.peer, slower.live, slower.test
            );
            let finding = Finding::new(&rules::SLOWER).at(self.place(edge)).detail(detail);
            let most = self.limits.slower_max;
            self.findings
                .push(finding.expected(format!("at most {most} times {}", slower.test)).seen(slower.live));
        }
        if figures::fails_more(edge, test, self.limits.alpha / peers.max(1) as f64) {
            let (live, tested) = (figures::failed(edge), figures::failed(test));
            let detail = format!(
                "calls of `{}` to {} fail live {live}, and in tests {tested}",
                edge.service, edge.peer
            );
            let finding = Finding::new(&rules::ERRORS_UNTESTED).at(self.place(edge)).detail(detail);
            self.findings.push(finding.expected(tested).seen(live));
        }
    }

    fn only_in_tests(&mut self, live: &[&Edge], tests: &[Edge]) {
        let is_known = |test: &&Edge| live.iter().any(|edge| edge.is_same(test) || edge.is_counterpart(test));
        let unknown: Vec<String> = tests
            .iter()
            .filter(|test| test.is_outside() && !is_known(test))
            .map(|test| test.to_string())
            .collect();
        if !unknown.is_empty() {
            let names = crate::coverage::list(unknown.iter().map(String::as_str));
            let peers = counted(unknown.len() as u64, "peer is", "peers are");
            let detail = format!("{peers} called by tests, and not by live traces: {names}");
            self.findings.push(Finding::new(&rules::ONLY_IN_TESTS).detail(detail));
        }
    }

    /// `outside`: so many peers are known by name. Where none is, nothing was compared.
    fn nameless(&mut self, live: &Recorded, outside: usize) {
        let services = live.inventory.services.iter();
        let services = services.filter(|(name, service)| !is_own(name) && service.nameless_calls > 0);
        let services: Vec<(&str, u32)> =
            services.map(|(name, service)| (name.as_str(), service.nameless_calls)).collect();
        if services.is_empty() {
            return;
        }
        let all: u64 = services.iter().map(|(_, calls)| u64::from(*calls)).sum();
        let names = crate::coverage::list(services.iter().map(|(name, _)| *name));
        let (rule, rest) = match outside {
            0 => (&rules::NOTHING_NAMED, ", and no other call leads outside: nothing was compared"),
            _ => (&rules::NAMELESS, ""),
        };
        let say = if all == 1 { "does not say whom it calls" } else { "do not say whom they call" };
        let detail = format!("{} of {names} {say}{rest}", calls(all));
        let place = Place::environment(&self.inputs.live.name);
        self.findings.push(Finding::new(rule).at(place).detail(detail));
    }

    fn summary(&self, outside: usize) -> String {
        let count =
            |rule: &crate::rule::Rule| self.findings.iter().filter(|finding| finding.id == rule.id).count();
        format!(
            "{}: {} untested, {} only simulated, {} slower, {} failing more than in tests",
            counted(outside as u64, "outside peer", "outside peers"),
            count(&rules::UNTESTED),
            count(&rules::SIMULATED),
            count(&rules::SLOWER),
            count(&rules::ERRORS_UNTESTED)
        )
    }
}
