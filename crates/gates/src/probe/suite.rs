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
    /// Why a search could not be put.
    pub error: Option<String>,
}

/// What became of canaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masking {
    /// What was planted where.
    pub planted: Vec<Canary>,
    /// Spans with a canary that were read back.
    pub read: u32,
    /// What came back as it was written.
    pub leaks: Vec<Leak>,
    /// Why canaries could not be written or read.
    pub error: Option<String>,
}

/// A trace that was written to one environment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separation {
    /// Where it was written.
    pub written_to: String,
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
    /// It is not there, though it is readable where it was written.
    No,
    /// It is.
    Yes,
    /// One of the two could not be asked, or the trace is not readable where it was written.
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
        facts["searches"] = json!({ "traces": self.searches.traces, "missed": self.searches.missed.len() });
        findings.extend(self.freshness());
        if let Some(masking) = &self.masking {
            findings.extend(masking.findings());
            facts["canaries"] = masking.facts();
        }
        findings.extend(self.separation.iter().filter_map(Separation::finding));
        if let Some(beside) = &self.beside {
            facts["values_cut_to_bytes"] = json!({
                self.environment.as_str(): self.traces.summary.values_cut_to_bytes,
                beside.environment.as_str(): beside.cut_to_bytes,
            });
        }
        facts["separation"] = self.separation.iter().map(Separation::fact).collect();
        for finding in &mut findings {
            finding.place.environment.get_or_insert_with(|| self.environment.clone());
        }
        let report = Report::new("probe", self.line(), findings, facts);
        if traces.unreachable { report.unreachable() } else { report }
    }

    fn line(&self) -> String {
        let mut line = self.traces.line();
        if self.searches.traces > 0 {
            let found = self.searches.traces as usize - self.searches.missed.len();
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

impl Searches {
    fn findings(&self) -> Option<Finding> {
        let first = self.missed.first()?;
        let why = self.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        let detail = format!(
            "{} of {} traces that can be read by id were not found by service, time and attribute{why}",
            self.missed.len(),
            self.traces
        );
        Some(Finding::new(&rules::NOT_SEARCHABLE).at(Place::default().trace(*first)).detail(detail))
    }
}

impl Masking {
    /// A finding for each field, with every kind that came back from it.
    fn findings(&self) -> Vec<Finding> {
        let mut fields: BTreeMap<Option<Field>, Vec<&Leak>> = BTreeMap::new();
        for leak in &self.leaks {
            fields.entry(leak.field).or_default().push(leak);
        }
        let mut findings: Vec<Finding> =
            fields.into_iter().map(|(field, leaks)| leaked(field, &leaks)).collect();
        let lost = self.planted.len() - (self.read as usize).min(self.planted.len());
        if lost > 0 {
            let why = self.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let detail = format!("{lost} of {} canaries were not read back{why}", self.planted.len());
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
        json!({ "planted": self.planted.len(), "read": self.read, "leaks_by_field": matrix })
    }
}

/// Checked against release 0.158 of the Collector's processors.
const IN_LINKS: &str = "No processor of the OpenTelemetry Collector looks at links: keep such values out of links where spans are made, or accept \
    it with a waiver whose `where` names the field.";

fn leaked(field: Option<Field>, leaks: &[&Leak]) -> Finding {
    let kinds: BTreeSet<Sensitive> = leaks.iter().map(|leak| leak.kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().map(Sensitive::word).collect();
    let part = field.map_or("a span in which it was not written", Field::words);
    let example = leaks.first().expect("a group has a member");
    let finding = Finding::new(&rules::LEAK)
        .at(Place::default().component(part).trace(example.trace).span(example.span))
        .detail(format!("{} came back in the clear from the {part}", kinds.join(", ")))
        .expected("masked".to_owned())
        .seen("as it was written".to_owned());
    match field {
        Some(Field::LinkAttribute | Field::LinkTraceState) => finding.remedy(IN_LINKS),
        _ => finding,
    }
}

impl Separation {
    fn finding(&self) -> Option<Finding> {
        let Separation { written_to, searched_in, trace, seen } = self;
        let place = Place::environment(searched_in).trace(*trace);
        match seen {
            Seen::No => None,
            Seen::Yes => Some(Finding::new(&rules::SHARED_STORE).at(place).detail(format!(
                "a trace that was written to {written_to} alone can be read in {searched_in}"
            ))),
            Seen::Unknown(why) => Some(
                Finding::new(&rules::SEPARATION_UNKNOWN)
                    .at(place)
                    .detail(format!("a trace written to {written_to}, searched for in {searched_in}: {why}")),
            ),
        }
    }

    fn fact(&self) -> serde_json::Value {
        let seen = match &self.seen {
            Seen::No => "no",
            Seen::Yes => "yes",
            Seen::Unknown(_) => "unknown",
        };
        json!({ "written_to": self.written_to, "searched_in": self.searched_in, "seen": seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::canary::{canaries, leaks};
    use crate::probe::{TraceResult, generate};
    use crate::report::Verdict;

    const AT: u64 = 1_800_000_000_000_000_000;

    fn suite() -> Suite {
        let results: Vec<TraceResult> = generate(7, AT, 4)
            .iter()
            .map(|trace| TraceResult {
                trace_id: trace.id,
                read_back: Some(Duration::from_millis(300)),
                findings: Vec::new(),
            })
            .collect();
        Suite {
            environment: "green".to_owned(),
            traces: ProbeReport::new(7, AT, &results),
            searches: Searches { traces: 4, ..Searches::default() },
            masking: None,
            separation: Vec::new(),
            beside: None,
            freshness_max: None,
        }
    }

    fn ids(suite: &Suite) -> Vec<&'static str> {
        suite.report().findings.iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn nothing_wrong_is_nothing_found() {
        let report = suite().report();
        assert_eq!(
            (report.verdict(), report.summary.as_str()),
            (Verdict::Pass, "4/4 read back, p99 300 ms, 4/4 found by search")
        );
    }

    /// Scenario: an environment that has to mask cards and mail addresses lets link attributes through, and all else not.
    /// Guarantee: one finding, which names the field and both kinds.
    #[test]
    fn a_leak_names_the_field() {
        let (traces, planted) = canaries(7, AT, &[Sensitive::Card, Sensitive::Email]);
        let spans: Vec<_> = traces.into_iter().flat_map(|trace| trace.spans).collect();
        let only: Vec<_> = leaks(&planted, &spans)
            .into_iter()
            .filter(|leak| leak.field == Some(Field::LinkAttribute))
            .collect();
        let read = u32::try_from(planted.len()).unwrap();
        let masking = Masking { planted, read, leaks: only, error: None };
        let suite = Suite { masking: Some(masking), ..suite() };
        let report = suite.report();
        assert_eq!(report.findings.len(), 1);
        let finding = &report.findings[0];
        assert_eq!(
            (finding.id, finding.place.component.as_deref()),
            ("CF-PROBE-010", Some("link attribute"))
        );
        assert_eq!(finding.detail, "card, email came back in the clear from the link attribute");
        assert_eq!(finding.place.environment.as_deref(), Some("green"));
        assert!(report.summary.ends_with("34/36 canaries masked"), "{}", report.summary);
        assert_eq!(
            report.facts["canaries"]["leaks_by_field"]["link attribute"],
            serde_json::json!(["card", "email"])
        );
    }

    /// Scenario: canaries are lost, so that none of them leaks. Guarantee: that is no pass.
    #[test]
    fn lost_canaries_show_nothing() {
        let (_, planted) = canaries(7, AT, &[Sensitive::Token]);
        let masking = Masking { planted, ..Masking::default() };
        let suite = Suite { masking: Some(masking), ..suite() };
        assert_eq!((ids(&suite), suite.report().verdict()), (vec!["CF-PROBE-013"], Verdict::NoVerdict));
    }

    #[test]
    fn a_shared_store_is_found_and_silence_is_none() {
        let with = |seen| {
            let one = Separation {
                written_to: "green".to_owned(),
                searched_in: "blue".to_owned(),
                trace: TraceId([1; 16]),
                seen,
            };
            Suite { separation: vec![one], ..suite() }
        };
        assert_eq!(with(Seen::No).report().verdict(), Verdict::Pass);
        assert_eq!(ids(&with(Seen::Yes)), ["CF-PROBE-011"]);
        let unknown = with(Seen::Unknown("blue does not answer".to_owned()));
        assert_eq!((ids(&unknown), unknown.report().verdict()), (vec!["CF-PROBE-012"], Verdict::NoVerdict));
    }

    /// Scenario: green cuts long values at 2,048 bytes; of blue nothing is known, or it keeps them whole, or longer, or as short.
    /// Guarantee: a finding that names the limit where something may get worse, and a note where nothing does. All is read back either way.
    #[test]
    fn cut_values_are_held_against_what_the_other_environment_does() {
        let cut = |trace: &crate::probe::Trace| {
            let mut spans = trace.spans.clone();
            for value in spans.iter_mut().flat_map(|span| span.attributes.values_mut()) {
                if let crate::model::AttributeValue::String(text) = value {
                    text.truncate(2_048);
                }
            }
            let findings = crate::probe::compare(trace, &spans, crate::probe::Repeats::Unexpected);
            TraceResult { trace_id: trace.id, read_back: Some(Duration::from_millis(300)), findings }
        };
        let results: Vec<TraceResult> = generate(7, AT, 16).iter().map(cut).collect();
        let with = |beside: Option<Option<usize>>| {
            let beside = beside.map(|cut_to_bytes| Beside { environment: "blue".to_owned(), cut_to_bytes });
            Suite { traces: ProbeReport::new(7, AT, &results), beside, ..suite() }.report()
        };
        for (beside, verdict, says) in [
            (None, Verdict::Fail, "was cut to 2048 bytes"),
            (Some(None), Verdict::Fail, "was cut to 2048 bytes"),
            (Some(Some(4_096)), Verdict::Fail, "was cut to 2048 bytes"),
            (Some(Some(2_048)), Verdict::Pass, "blue cuts them to 2048 bytes, so nothing gets worse"),
            (Some(Some(1_024)), Verdict::Pass, "blue cuts them to 1024 bytes, so nothing gets worse"),
        ] {
            let report = with(beside);
            assert_eq!(report.findings.len(), 1, "{report:#?}");
            let finding = &report.findings[0];
            assert_eq!((finding.id, report.verdict()), ("CF-PROBE-008", verdict), "{beside:?}");
            assert!(finding.detail.contains(says), "{}", finding.detail);
            assert!(finding.remedy.contains("distributor.max_attribute_bytes"), "{}", finding.remedy);
            assert!(report.summary.starts_with("16/16 read back, p99 300 ms, values cut to 2048 bytes"));
        }
        assert_eq!(with(Some(None)).findings[0].expected.as_deref(), Some("whole, as in blue"));
        assert_eq!(with(Some(Some(4_096))).findings[0].expected.as_deref(), Some("4096 bytes, as in blue"));
    }

    /// A value that lost more than its end, or all of it, is another value.
    #[test]
    fn a_changed_value_is_not_a_cut_one() {
        use crate::model::AttributeValue::String;
        let trace = &generate(7, AT, 5)[4];
        for (text, id) in [("01", "CF-PROBE-008"), ("x", "CF-PROBE-004"), ("", "CF-PROBE-004")] {
            let mut spans = trace.spans.clone();
            let large = spans.iter_mut().find_map(|span| span.attributes.get_mut("probe.large"));
            *large.expect("the fifth trace has it") = String(text.to_owned());
            let findings = crate::probe::compare(trace, &spans, crate::probe::Repeats::Unexpected);
            assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), [id], "{text:?}");
        }
    }

    #[test]
    fn slow_reading_and_blind_searches_are_found() {
        let slow = Suite { freshness_max: Some(Duration::from_millis(299)), ..suite() };
        assert_eq!(ids(&slow), ["CF-PROBE-007"]);
        assert_eq!(ids(&Suite { freshness_max: Some(Duration::from_millis(300)), ..suite() }), [""; 0]);
        let missed = vec![TraceId([2; 16])];
        let blind = Suite { searches: Searches { traces: 4, missed, error: None }, ..suite() };
        assert_eq!(ids(&blind), ["CF-PROBE-006"]);
    }
}
