//! What an SDK client recorded: every span that it ended, and how each export of it went.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Hex of 16 bytes.
pub(crate) type TraceId = String;
/// Hex of 8 bytes; unique only within its trace.
pub(crate) type SpanId = String;

/// Everything that one client, or several, recorded.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) traces: BTreeMap<TraceId, BTreeMap<SpanId, Span>>,
    /// Export calls that the SDK was told had failed.
    pub(crate) failed_exports: usize,
    pub(crate) exports: usize,
    /// How often an SDK was refused and tried again by itself, of which who uses it hears nothing.
    pub(crate) retries: usize,
    /// The longest that any export took, retries and all.
    pub(crate) longest_export: Duration,
    /// Whether each client said good-bye: every span that it ended has an answer, or was dropped by its SDK.
    pub(crate) complete: bool,
}

/// One span as its client knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) parent: SpanId,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) content: Content,
    pub(crate) export: Export,
}

/// What a span says, and of whom.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub(crate) struct Content {
    /// The attributes of its resource.
    pub(crate) resource: Attributes,
    /// The name of its scope.
    pub(crate) scope: String,
    pub(crate) attributes: Attributes,
    pub(crate) events: Vec<Event>,
    pub(crate) status: Status,
}

pub(crate) type Attributes = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Event {
    /// In nanoseconds.
    pub(crate) time: String,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct Status {
    /// `UNSET`, `OK` or `ERROR`.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// What became of a span's export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Export {
    /// No answer was recorded: still in the SDK, dropped by it, or lost with it.
    Unknown,
    Acknowledged,
    Failed,
}

impl Record {
    /// Reads the file that a client wrote.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// The spans that were acknowledged and those that were not, counted.
    pub(crate) fn spans(&self, export: Export) -> usize {
        self.traces.values().flat_map(BTreeMap::values).filter(|span| span.export == export).count()
    }

    /// Takes in what another client recorded.
    pub(crate) fn join(&mut self, other: Self) {
        self.complete &= other.complete;
        self.failed_exports += other.failed_exports;
        self.exports += other.exports;
        self.retries += other.retries;
        self.longest_export = self.longest_export.max(other.longest_export);
        self.traces.extend(other.traces);
    }

    fn parse(text: &str) -> Result<Self> {
        let mut record = Self::default();
        let mut answers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match serde_json::from_str(line).with_context(|| format!("line {}", index + 1))? {
                Line::Span(span) => record.add(*span)?,
                Line::Export(export) => answers.push(export),
                Line::Retry {} => record.retries += 1,
                Line::Done {} => record.complete = true,
            }
        }
        // Last, since an export may be answered before the end of a span of the same batch is written down.
        for answer in answers {
            record.answer(&answer)?;
        }
        Ok(record)
    }

    fn add(&mut self, line: SpanLine) -> Result<()> {
        let span = Span {
            parent: line.parent_span_id,
            name: line.name,
            kind: line.kind,
            start: line.start.parse()?,
            end: line.end.parse()?,
            content: line.content,
            export: Export::Unknown,
        };
        let trace = self.traces.entry(line.trace_id).or_default();
        if trace.insert(line.span_id.clone(), span).is_some() {
            bail!("the span {} ended twice", line.span_id);
        }
        Ok(())
    }

    fn answer(&mut self, answer: &ExportLine) -> Result<()> {
        let (started, ended) = (answer.started.parse::<u64>()?, answer.ended.parse::<u64>()?);
        // A clock that was set back meanwhile says nothing.
        let took = Duration::from_nanos(ended.saturating_sub(started));
        self.longest_export = self.longest_export.max(took);
        self.exports += 1;
        self.failed_exports += usize::from(!answer.ok);
        for (trace, span) in &answer.spans {
            let known = self.traces.get_mut(trace).and_then(|spans| spans.get_mut(span));
            let known =
                known.with_context(|| format!("the span {span} of {trace} was exported but never ended"))?;
            known.export = if answer.ok { Export::Acknowledged } else { Export::Failed };
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Span(Box<SpanLine>),
    Export(ExportLine),
    Retry {},
    Done {},
}

#[derive(Deserialize)]
struct SpanLine {
    trace_id: TraceId,
    span_id: SpanId,
    parent_span_id: SpanId,
    name: String,
    kind: String,
    start: String,
    end: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Deserialize)]
struct ExportLine {
    ok: bool,
    started: String,
    ended: String,
    spans: Vec<(TraceId, SpanId)>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A span line of a record.
    pub(crate) fn line(trace: &str, span: &str, parent: &str) -> String {
        format!(
            r#"{{"span":{{"trace_id":"{trace}","span_id":"{span}","parent_span_id":"{parent}","name":"n","kind":"SERVER","start":"10","end":"20",
               "resource":{{"service.name":"shop"}},"scope":"e2e","attributes":{{"step":3,"tags":["a"]}},
               "events":[{{"time":"15","name":"looked","attributes":{{"found":3}}}}],"status":{{"code":"ERROR","message":"refused"}}}}}}"#
        )
        .replace('\n', "")
    }

    /// An export line of a record.
    pub(crate) fn answer(ok: bool, ended: u64, spans: &[(&str, &str)]) -> String {
        serde_json::json!({ "export": { "ok": ok, "started": "1000", "ended": ended.to_string(), "spans": spans } }).to_string()
    }

    pub(crate) fn record(lines: &[String]) -> Record {
        Record::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn answers_find_their_spans_whatever_the_order() {
        let read = record(&[
            answer(true, 1_200, &[("t1", "a")]),
            line("t1", "a", ""),
            line("t1", "b", "a"),
            line("t2", "a", ""),
            r#"{"retry":{"why":"retrying in 1 s"}}"#.to_owned(),
            answer(false, 1_700, &[("t2", "a")]),
            r#"{"done":{"traces":2}}"#.to_owned(),
        ]);
        assert_eq!(read.traces["t1"]["a"].export, Export::Acknowledged);
        assert_eq!(read.traces["t1"]["b"].export, Export::Unknown);
        assert_eq!(read.traces["t2"]["a"].export, Export::Failed);
        assert_eq!((read.exports, read.failed_exports, read.complete), (2, 1, true));
        assert_eq!((read.retries, read.longest_export), (1, Duration::from_nanos(700)));
    }

    #[test]
    fn a_retry_that_is_acknowledged_counts() {
        let answer = |ok| answer(ok, 1_200, &[("t1", "a")]);
        let read = record(&[line("t1", "a", ""), answer(false), answer(true)]);
        assert_eq!(read.spans(Export::Acknowledged), 1);
        assert!(!read.complete);
    }

    #[test]
    fn nonsense_is_an_error_with_its_line() {
        let error = Record::parse(&format!("{}\n{{\"spam\":1}}", line("t", "a", ""))).unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        assert!(Record::parse(&answer(true, 1_200, &[("t", "ghost")])).is_err());
    }
}
