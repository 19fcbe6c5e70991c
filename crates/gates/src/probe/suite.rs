//! The whole suite: traces, searches, canaries and separation, in one report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::canary::{Canary, Field, Leak, Sensitive};
use super::report::ProbeReport;
use super::rules;
use crate::finding::{Finding, Place};
use crate::model::TraceId;
use crate::report::Report;
use crate::rule::Severity;
use crate::words::counted;

/// What one run of the suite saw of one environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// The environment's name.
    pub environment: String,
    /// Traces written and read back by id.
    pub traces: ProbeReport,
    /// Searches for some of them.
    pub searches: Searches,
    /// Canaries; `None` if nothing has to be masked.
    pub masking: Option<Masking>,
    /// Traces written to one environment alone; nothing if there is no other.
    pub separation: Vec<Separation>,
    /// Whether separation was asked for in so many words: if it was not looked at then, nothing passes.
    pub must_be_separated: bool,
    /// Why separation, which was asked for, was not looked at.
    pub not_separated: Option<String>,
    /// What the other environment does to long values, if that is known.
    pub beside: Option<Beside>,
    /// The longest that 99 % of the traces may take to be readable.
    pub freshness_max: Option<Duration>,
}

/// The other environment's way with long values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its name.
    pub environment: String,
    /// To how many bytes it cuts them; `None` if it keeps them whole.
    pub cut_to_bytes: Option<usize>,
}

/// Searches by service, time and attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searches {
    /// How many traces were searched for: all of them could be read by id.
    pub traces: u32,
    /// Those that no search found before the deadline.
    pub missed: Vec<TraceId>,
    /// Those for which no search could be put, or had an answer.
    pub unanswered: Vec<TraceId>,
    /// Why not.
    pub error: Option<String>,
}

/// What became of canaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masking {
    /// The receivers through which they were written, by name.
    pub receivers: Vec<String>,
    /// What was planted where.
    pub planted: Vec<Canary>,
    /// Spans with a canary that were read back.
    pub read: u32,
    /// What came back as it was written.
    pub leaks: Vec<Leak>,
    /// Why canaries could not be written or read.
    pub error: Option<String>,
    /// Why they could not be read once more at the end.
    pub not_again: Option<String>,
}

/// A trace that was written to one environment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separation {
    /// Where it was written.
    pub written_to: String,
    /// Through which receiver.
    pub receiver: String,
    /// Where it was searched for.
    pub searched_in: String,
    /// Which.
    pub trace: TraceId,
    /// What was found.
    pub seen: Seen,
}

/// Whether a trace was seen where it should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not there, though it is readable where it was written, and what was written there is readable there.
    No,
    /// It is.
    Yes,
    /// One of the two could not be asked, or does not show what was written to it.
    Unknown(String),
}

impl Suite {
    /// Findings, facts, one line.
    pub fn report(&self) -> Report {
        let traces = self.traces.report();
        let mut facts = json!({ "environment": self.environment, "traces": traces.facts });
        let mut findings: Vec<Finding> =
            traces.findings.into_iter().map(|finding| self.beside_the_other(finding)).collect();
        findings.extend(self.searches.findings());
        facts["searches"] = json!({
            "traces": self.searches.traces,
            "missed": self.searches.missed.len(),
            "unanswered": self.searches.unanswered.len(),
        });
        findings.extend(self.freshness());
        if let Some(masking) = &self.masking {
            findings.extend(masking.findings());
            facts["canaries"] = masking.facts();
        }
        findings.extend(apart(&self.separation));
        findings.extend(self.not_separated.iter().map(|why| {
            let detail = format!("whether the two environments share a store was not looked at: {why}");
            let finding = Finding::new(&rules::SEPARATION_UNKNOWN).detail(detail);
            if self.must_be_separated { finding } else { finding.severity(Severity::Note) }
        }));
        if let Some(beside) = &self.beside {
            facts["values_cut_to_bytes"] = json!({
                self.environment.as_str(): self.traces.summary.values_cut_to_bytes,
                beside.environment.as_str(): beside.cut_to_bytes,
            });
        }
        facts["separation"] = self.separation.iter().map(Separation::fact).collect();
        // One that is no site's is called by its first receiver's address, and that is not where everything is.
        let is_address = self.environment.contains("://");
        for finding in findings.iter_mut().filter(|finding| !is_address || finding.place.url.is_none()) {
            finding.place.environment.get_or_insert_with(|| self.environment.clone());
        }
        let report = Report::new("probe", self.line(), findings, facts);
        if traces.unreachable { report.unreachable() } else { report }
    }

    fn line(&self) -> String {
        let mut line = self.traces.line();
        if self.searches.traces > 0 {
            let found =
                self.searches.traces as usize - self.searches.missed.len() - self.searches.unanswered.len();
            line.push_str(&format!(", {found}/{} found by search", self.searches.traces));
        }
        if let Some(masking) = &self.masking {
            let leaked: BTreeSet<_> = masking.leaks.iter().map(|leak| leak.span).collect();
            let masked = masking.read.saturating_sub(u32::try_from(leaked.len()).unwrap_or(u32::MAX));
            line.push_str(&format!(", {masked}/{} canaries masked", masking.planted.len()));
        }
        match self.separation.iter().filter(|one| one.seen == Seen::Yes).count() {
            0 => {}
            _ => line.push_str(", store shared"),
        }
        line
    }

    /// What the other one cuts as short gets no worse.
    fn beside_the_other(&self, finding: Finding) -> Finding {
        let (Some(beside), Some(ours)) = (&self.beside, self.traces.summary.values_cut_to_bytes) else {
            return finding;
        };
        if finding.id != rules::VALUE_CUT.id {
            return finding;
        }
        match beside.cut_to_bytes {
            Some(theirs) if theirs <= ours => {
                let detail = format!(
                    "{}; {} cuts them to {theirs} bytes, so nothing gets worse",
                    finding.detail, beside.environment
                );
                finding.severity(Severity::Note).detail(detail)
            }
            Some(theirs) => finding.expected(format!("{theirs} bytes, as in {}", beside.environment)),
            None => finding.expected(format!("whole, as in {}", beside.environment)),
        }
    }

    fn freshness(&self) -> Option<Finding> {
        let (allowed, p99) = (self.freshness_max?, self.traces.summary.read_back_p99_ms?);
        let seen = Duration::from_millis(p99.into());
        (seen > allowed).then(|| {
            Finding::new(&rules::SLOW)
                .detail("99 % of the traces were readable only later than allowed".to_owned())
                .expected(format!("{allowed:?}"))
                .seen(format!("{seen:?}"))
        })
    }
}

fn were(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

impl Searches {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(first) = self.missed.first() {
            let detail = format!(
                "{} of {} that can be read by id {} not found by service, time and attribute",
                self.missed.len(),
                counted(self.traces.into(), "trace", "traces"),
                were(self.missed.len())
            );
            findings
                .push(Finding::new(&rules::NOT_SEARCHABLE).at(Place::default().trace(*first)).detail(detail));
        }
        if let Some(first) = self.unanswered.first() {
            let why = self.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let searches = counted(self.traces.into(), "search", "searches");
            let detail = format!("{} of {searches} had no answer{why}", self.unanswered.len());
            findings
                .push(Finding::new(&rules::SEARCH_UNKNOWN).at(Place::default().trace(*first)).detail(detail));
        }
        findings
    }
}

impl Masking {
    /// A finding for each field, with every kind that came back from it; one for each receiver, if they differ.
    fn findings(&self) -> Vec<Finding> {
        let mut fields: BTreeMap<Option<Field>, BTreeMap<Option<usize>, Vec<&Leak>>> = BTreeMap::new();
        for leak in &self.leaks {
            fields.entry(leak.field).or_default().entry(leak.receiver).or_default().push(leak);
        }
        let mut findings = Vec::new();
        for (field, by_receiver) in fields {
            let same = by_receiver
                .values()
                .all(|leaks| by_receiver.values().all(|other| kinds(leaks) == kinds(other)));
            if same && by_receiver.len() >= self.receivers.len() {
                let leaks: Vec<&Leak> = by_receiver.into_values().flatten().collect();
                let through = match self.receivers.as_slice() {
                    [] | [_] => String::new(),
                    all => format!(", through each of {} receivers: {}", all.len(), all.join(", ")),
                };
                findings.push(leaked(field, &leaks, &through));
                continue;
            }
            for (receiver, leaks) in by_receiver {
                let name = receiver.and_then(|receiver| self.receivers.get(receiver));
                let through = name.map_or_else(String::new, |name| format!(", through {name}"));
                let mut finding = leaked(field, &leaks, &through);
                finding.place.url = name.cloned();
                findings.push(finding);
            }
        }
        let lost = self.planted.len() - (self.read as usize).min(self.planted.len());
        if lost > 0 {
            let why = self.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let all = counted(self.planted.len() as u64, "canary", "canaries");
            let detail = format!("{lost} of {all} {} not read back{why}", were(lost));
            findings.push(Finding::new(&rules::MASKING_UNKNOWN).detail(detail));
        }
        if let Some(why) = &self.not_again {
            let detail = format!(
                "canaries that had been read could not be read again, so that what came late is not known: {why}"
            );
            findings.push(Finding::new(&rules::MASKING_UNKNOWN).detail(detail));
        }
        findings
    }

    /// The matrix: for each field, what leaked from it.
    fn facts(&self) -> serde_json::Value {
        let of = |field: Field| {
            let kinds =
                self.leaks.iter().filter(|leak| leak.field == Some(field)).map(|leak| leak.kind.word());
            (field.words().to_owned(), kinds.collect::<BTreeSet<_>>().into_iter().collect())
        };
        let matrix: serde_json::Map<String, serde_json::Value> = Field::ALL.into_iter().map(of).collect();
        let of = |(receiver, name): (usize, &String)| {
            let fields = self.leaks.iter().filter(|leak| leak.receiver == Some(receiver));
            let fields: BTreeSet<Field> = fields.filter_map(|leak| leak.field).collect();
            (name.clone(), fields.into_iter().map(Field::words).collect())
        };
        let receivers: serde_json::Map<String, serde_json::Value> =
            self.receivers.iter().enumerate().map(of).collect();
        json!({
            "planted": self.planted.len(),
            "read": self.read,
            "leaks_by_field": matrix,
            "leaks_by_receiver": receivers,
        })
    }
}

/// Checked against release 0.158 of the Collector's processors.
const IN_LINKS: &str = "No processor of the OpenTelemetry Collector looks at links: keep such values out of links where spans are made, or accept \
    it with a waiver whose `where` names the field.";

fn kinds(leaks: &[&Leak]) -> BTreeSet<Sensitive> {
    leaks.iter().map(|leak| leak.kind).collect()
}

fn leaked(field: Option<Field>, leaks: &[&Leak], through: &str) -> Finding {
    let kinds: Vec<&str> = kinds(leaks).into_iter().map(Sensitive::word).collect();
    let part = field.map_or("a span in which it was not written", Field::words);
    let example = leaks.first().expect("a group has a member");
    let finding = Finding::new(&rules::LEAK)
        .at(Place::default().component(part).trace(example.trace).span(example.span))
        .detail(format!("{} came back in the clear from the {part}{through}", kinds.join(", ")))
        .expected("masked".to_owned())
        .seen("as it was written".to_owned());
    match field {
        Some(Field::LinkAttribute | Field::LinkKey | Field::LinkNested | Field::LinkTraceState) => {
            finding.remedy(IN_LINKS)
        }
        _ => finding,
    }
}

/// A finding for each of the two directions, and for what was found and what is not known.
fn apart(separation: &[Separation]) -> Vec<Finding> {
    let mut groups: BTreeMap<(&str, &str, bool), Vec<&Separation>> = BTreeMap::new();
    for one in separation.iter().filter(|one| one.seen != Seen::No) {
        let key = (one.written_to.as_str(), one.searched_in.as_str(), one.seen != Seen::Yes);
        groups.entry(key).or_default().push(one);
    }
    let told = |((written_to, searched_in, _), ones): (_, Vec<&Separation>)| {
        let first = *ones.first()?;
        let receivers: Vec<&str> = ones.iter().map(|one| one.receiver.as_str()).collect();
        let through = receivers.join(", ");
        let (rule, detail) = match &first.seen {
            Seen::Unknown(why) => (
                &rules::SEPARATION_UNKNOWN,
                format!(
                    "a trace written to {written_to} through {through}, searched for in {searched_in}: {why}"
                ),
            ),
            _ => (
                &rules::SHARED_STORE,
                format!(
                    "a trace that was written to {written_to} alone, through {through}, can be read in {searched_in}"
                ),
            ),
        };
        Some(Finding::new(rule).at(Place::environment(searched_in).trace(first.trace)).detail(detail))
    };
    groups.into_iter().filter_map(told).collect()
}

impl Separation {
    fn fact(&self) -> serde_json::Value {
        let seen = match &self.seen {
            Seen::No => "no",
            Seen::Yes => "yes",
            Seen::Unknown(_) => "unknown",
        };
        json!({
            "written_to": self.written_to,
            "receiver": self.receiver,
            "searched_in": self.searched_in,
            "seen": seen,
        })
    }
}

#[cfg(test)]
mod tests;
