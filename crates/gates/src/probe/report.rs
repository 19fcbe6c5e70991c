//! Findings, counts and the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::rules;
use crate::finding::{self, Place};
use crate::model::{Kind, SpanId, TraceId};
use crate::report::{Report, Verdict};
use crate::rule::{Rule, Severity};
use crate::words::counted;

/// How a trace can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It was written, and cannot be read.
    NotFound,
    /// Some of its spans cannot be read.
    MissingSpans,
    /// Spans came back that were not written, or more than once.
    ExtraSpans,
    /// A span came back changed.
    IncorrectSpan,
    /// A long value came back without its end. All that was sent is there, and begins as it was sent: the trace counts as read back.
    ValueCut,
    /// It could not be written, or the question could not be asked.
    RequestFailed,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotFound,
        Self::MissingSpans,
        Self::ExtraSpans,
        Self::IncorrectSpan,
        Self::ValueCut,
        Self::RequestFailed,
    ];

    /// What it means.
    pub fn rule(self) -> &'static Rule {
        match self {
            Self::NotFound => &rules::NOT_FOUND,
            Self::MissingSpans => &rules::MISSING_SPANS,
            Self::ExtraSpans => &rules::EXTRA_SPANS,
            Self::IncorrectSpan => &rules::INCORRECT_SPAN,
            Self::ValueCut => &rules::VALUE_CUT,
            Self::RequestFailed => &rules::REQUEST_FAILED,
        }
    }

    /// The stable id.
    pub fn id(self) -> &'static str {
        self.rule().id
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        self.rule().name
    }

    /// What to do.
    pub fn fix(self) -> &'static str {
        self.rule().fix
    }
}

/// One thing wrong with one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `CF-PROBE-002`.
    pub id: &'static str,
    /// The kind of failure.
    pub failure: Failure,
    /// Which trace.
    #[serde(serialize_with = "text")]
    pub trace_id: TraceId,
    /// Which span, or the first of several.
    #[serde(serialize_with = "optional_text")]
    pub span_id: Option<SpanId>,
    /// Kinds of the spans that are missing.
    #[serde(serialize_with = "kinds")]
    pub kinds: Vec<Kind>,
    /// Which field of the span.
    pub field: Option<String>,
    /// What was written there.
    pub expected: Option<String>,
    /// What came back.
    pub found: Option<String>,
    /// For `request_failed`: to whom the request went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For `value_cut`: how many bytes are left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_bytes: Option<usize>,
    /// In one sentence.
    pub detail: String,
    /// For `request_failed`: whether the environment answered at all. One that cannot be reached is no verdict.
    pub answered: bool,
}

/// What became of one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceResult {
    /// Which.
    pub trace_id: TraceId,
    /// From the answer to the export until the trace read back whole; `None` if it never did.
    pub read_back: Option<Duration>,
    /// Nothing if the trace is whole.
    pub findings: Vec<Finding>,
}

impl TraceResult {
    /// Whether it came back with all of its spans and fields, at most with values cut short.
    pub fn is_read_back(&self) -> bool {
        self.findings.iter().all(|finding| finding.failure == Failure::ValueCut)
    }
}

/// What a probe run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeReport {
    /// Always 1 today; grows when a field changes its meaning.
    pub schema_version: u32,
    /// The seed: with `at` and the number of traces, it makes them again.
    #[serde(serialize_with = "text")]
    pub seed: u64,
    /// When the traces were made, in nanoseconds since 1970.
    #[serde(serialize_with = "text")]
    pub at: u64,
    /// Counts.
    pub summary: Summary,
    /// The verdict.
    pub verdict: Verdict,
    /// The findings, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub findings_left_out: u32,
    /// The same, all of them, as they are told.
    #[serde(skip)]
    groups: Vec<Group>,
}

type Key<'a> = (Failure, Option<&'a str>, Option<&'a str>, bool);

/// Findings that are told as one: of one kind, about one field or one address.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    first: Finding,
    traces: BTreeSet<TraceId>,
}

/// Counts of a probe run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Traces tried.
    pub traces: u32,
    /// Traces that read back whole; long values may be cut.
    pub whole: u32,
    /// The others.
    pub failed: u32,
    /// Traces by failure; a trace may fail in several ways.
    pub failures: BTreeMap<Failure, u32>,
    /// Missing spans by kind.
    pub missing_kinds: BTreeMap<&'static str, u32>,
    /// Incorrect fields, and how many spans have each.
    pub incorrect_fields: BTreeMap<String, u32>,
    /// The fewest bytes that are left of a value which was cut; `None` if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_cut_to_bytes: Option<usize>,
    /// Freshness: how many of the whole traces could be read within so many milliseconds of the answer to their export, cumulative.
    pub readable_within_ms: Vec<(u32, u32)>,
    /// How long until half of the whole traces could be read, in milliseconds.
    pub read_back_p50_ms: Option<u32>,
    /// How long until 99 % of the whole traces could be read, in milliseconds.
    pub read_back_p99_ms: Option<u32>,
    /// How long until the last whole trace could be read, in milliseconds.
    pub read_back_max_ms: Option<u32>,
}

/// More fields than this, or addresses, of one kind of failure are told as one.
const GROUPS_MAX: usize = 12;
/// More findings than this are counted only.
pub const FINDINGS_MAX: usize = 200;

impl Finding {
    pub(crate) fn new(failure: Failure, trace_id: TraceId, detail: String) -> Self {
        Self {
            id: failure.id(),
            failure,
            trace_id,
            span_id: None,
            kinds: Vec::new(),
            field: None,
            expected: None,
            found: None,
            url: None,
            kept_bytes: None,
            detail,
            answered: true,
        }
    }

    /// A request that was refused (`answered`), or that nobody answered.
    pub fn request_failed(trace_id: TraceId, detail: impl Into<String>, answered: bool) -> Self {
        Self { answered, ..Self::new(Failure::RequestFailed, trace_id, detail.into()) }
    }

    /// To whom it went.
    #[must_use]
    pub fn to(self, url: impl fmt::Display) -> Self {
        Self { url: Some(url.to_string()), ..self }
    }

    /// What findings have in common that are told as one.
    fn key(&self) -> Key<'_> {
        (self.failure, self.field.as_deref(), self.url.as_deref(), self.answered)
    }
}

impl ProbeReport {
    /// Sums up the results of the traces made from `seed` and `at`.
    pub fn new(seed: u64, at: u64, results: &[TraceResult]) -> Self {
        let all: Vec<&Finding> = results.iter().flat_map(|r| &r.findings).collect();
        let verdict =
            if results.is_empty() || all.iter().any(|f| !f.answered) && all.iter().all(|f| !f.answered) {
                Verdict::NoVerdict
            } else if all.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
        let kept = examples(&all);
        let findings_left_out = narrow(all.len() - kept.len());
        let summary = Summary::of(results);
        let groups = Group::all(&all);
        Self { schema_version: 1, seed, at, summary, verdict, findings: kept, findings_left_out, groups }
    }

    /// In the form that all gates share: a finding for each kind of failure and field, with its first example; the whole among the facts.
    pub fn report(&self) -> Report {
        let mut findings: Vec<finding::Finding> =
            Failure::ALL.into_iter().flat_map(|failure| self.shared(failure)).collect();
        if self.summary.traces == 0 {
            let nothing = finding::Finding::new(Failure::RequestFailed.rule()).severity(Severity::Unknown);
            findings.push(nothing.detail("no trace was written, so none was read back"));
        }
        let facts = serde_json::to_value(self).expect("a report holds only texts, numbers and lists");
        let report = Report::new("probe", self.line(), findings, facts);
        if self.verdict == Verdict::NoVerdict { report.unreachable() } else { report }
    }

    /// Those that most traces have by themselves, each with its field, so that a waiver of one field accepts no other. The rest as one,
    /// which is about no field.
    fn shared(&self, failure: Failure) -> Vec<finding::Finding> {
        let mut groups: Vec<&Group> =
            self.groups.iter().filter(|group| group.first.failure == failure).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.traces.len()));
        let rest = groups.split_off(groups.len().min(GROUPS_MAX));
        let mut shared: Vec<finding::Finding> = groups.into_iter().map(|group| self.one(group)).collect();
        if let Some(example) = rest.first() {
            let traces: BTreeSet<TraceId> = rest.iter().flat_map(|group| &group.traces).copied().collect();
            let noun = match (failure, rest.len()) {
                (Failure::RequestFailed, 1) => "address",
                (Failure::RequestFailed, _) => "addresses",
                (_, 1) => "field",
                (..) => "fields",
            };
            let detail = format!(
                "and {} more {noun}, in {} of {}; e.g. {}",
                rest.len(),
                traces.len(),
                counted(self.summary.traces.into(), "trace", "traces"),
                example.first.detail
            );
            let mut more = finding::Finding::new(failure.rule()).detail(detail);
            more.place = Place::default().trace(example.first.trace_id);
            if rest.iter().all(|group| !group.first.answered) {
                more = more.severity(Severity::Unknown);
            }
            shared.push(more);
        }
        shared
    }

    fn one(&self, group: &Group) -> finding::Finding {
        let first = &group.first;
        let mut place = Place::default().trace(first.trace_id);
        place.span_id = first.span_id.map(|id| id.to_string());
        place.component.clone_from(&first.field);
        place.url.clone_from(&first.url);
        let count = group.traces.len();
        let noun = if count == 1 { "trace" } else { "traces" };
        let mut shared = finding::Finding::new(first.failure.rule())
            .at(place)
            .detail(format!("{count} {noun} of {}; e.g. {}", self.summary.traces, first.detail));
        shared.expected.clone_from(&first.expected);
        shared.seen.clone_from(&first.found);
        if first.answered { shared } else { shared.severity(Severity::Unknown) }
    }

    /// Whether nothing of a trace can be expected to be found: it was not there, or could not be written or asked for.
    pub fn is_gone(&self, id: TraceId) -> bool {
        let gone = |failure| matches!(failure, Failure::NotFound | Failure::RequestFailed);
        self.groups.iter().any(|group| gone(group.first.failure) && group.traces.contains(&id))
    }

    /// Traces of which nothing is known, since nobody answered: neither read back nor failed.
    pub fn unanswered(&self) -> u32 {
        let traces = |answered| {
            let groups = self.groups.iter().filter(move |group| group.first.answered == answered);
            groups.flat_map(|group| &group.traces).collect::<BTreeSet<_>>()
        };
        narrow(traces(false).difference(&traces(true)).count())
    }

    /// The report as JSON, indented.
    pub fn json(&self) -> String {
        crate::render::json(&self.report())
    }

    /// `600/600 read back, p99 4.1 s`.
    pub fn line(&self) -> String {
        let Summary { whole, traces, read_back_p99_ms, .. } = &self.summary;
        let latency = match read_back_p99_ms {
            None => String::new(),
            Some(ms) if *ms < 1000 => format!(", p99 {ms} ms"),
            Some(ms) => format!(", p99 {}.{} s", ms / 1000, ms % 1000 / 100),
        };
        let cut = match self.summary.values_cut_to_bytes {
            None => String::new(),
            Some(bytes) => format!(", values cut to {bytes} bytes"),
        };
        format!("{whole}/{traces} read back{latency}{cut}")
    }
}

/// At most [`FINDINGS_MAX`], in their order: the first of each kind and field before any second. What many traces have in common must
/// not hide what one has.
fn examples(all: &[&Finding]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let (first, more): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|at| all.get(*at).is_some_and(|finding| seen.insert(finding.key())));
    let mut chosen: Vec<usize> = first.into_iter().chain(more).take(FINDINGS_MAX).collect();
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|at| all.get(at)).map(|finding| (*finding).clone()).collect()
}

impl Group {
    fn all(all: &[&Finding]) -> Vec<Self> {
        let mut groups: BTreeMap<Key<'_>, Self> = BTreeMap::new();
        for finding in all {
            let new = || Self { first: (*finding).clone(), traces: BTreeSet::new() };
            groups.entry(finding.key()).or_insert_with(new).traces.insert(finding.trace_id);
        }
        groups.into_values().collect()
    }
}

impl Summary {
    fn of(results: &[TraceResult]) -> Self {
        let mut failures = BTreeMap::new();
        let mut missing_kinds = BTreeMap::new();
        let mut incorrect_fields = BTreeMap::new();
        for result in results {
            let kinds: BTreeSet<Failure> = result.findings.iter().map(|f| f.failure).collect();
            kinds.into_iter().for_each(|f| *failures.entry(f).or_default() += 1);
            for finding in &result.findings {
                finding.kinds.iter().for_each(|k| *missing_kinds.entry(k.word()).or_default() += 1);
                if let Some(field) = &finding.field {
                    *incorrect_fields.entry(field.clone()).or_default() += 1;
                }
            }
        }
        let whole: Vec<&TraceResult> = results.iter().filter(|r| r.is_read_back()).collect();
        let mut times: Vec<Duration> = whole.iter().filter_map(|r| r.read_back).collect();
        times.sort_unstable();
        Self {
            traces: narrow(results.len()),
            whole: narrow(whole.len()),
            failed: narrow(results.len() - whole.len()),
            failures,
            missing_kinds,
            incorrect_fields,
            values_cut_to_bytes: kept(results.iter().flat_map(|result| &result.findings)),
            readable_within_ms: FRESHNESS_MS.iter().map(|bound| (*bound, within(&times, *bound))).collect(),
            read_back_p50_ms: quantile(&times, 50),
            read_back_p99_ms: quantile(&times, 99),
            read_back_max_ms: quantile(&times, 100),
        }
    }
}

/// The fewest bytes that are left of a value which was cut.
pub fn kept<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<usize> {
    findings.filter_map(|finding| finding.kept_bytes).min()
}

/// Bounds of the freshness histogram, in milliseconds.
const FRESHNESS_MS: [u32; 12] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

fn within(sorted: &[Duration], bound_ms: u32) -> u32 {
    let bound = Duration::from_millis(bound_ms.into());
    narrow(sorted.partition_point(|time| *time <= bound))
}

/// Nearest rank, in milliseconds rounded up.
fn quantile(sorted: &[Duration], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let time = sorted.get(rank - 1)?;
    Some(u32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u32::MAX))
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_text<T: fmt::Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn kinds<S: Serializer>(kinds: &[Kind], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(kinds.iter().map(|k| k.word()))
}
