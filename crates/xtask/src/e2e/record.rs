//! What an SDK client recorded: every span that it ended, and how each export of it went.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

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
    /// Whether each client said good-bye: every span that it ended has an answer, or was dropped by its SDK.
    pub(crate) complete: bool,
}

/// One span as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) parent: SpanId,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) export: Export,
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
        self.traces.extend(other.traces);
    }

    fn parse(text: &str) -> Result<Self> {
        let mut record = Self::default();
        let mut answers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match serde_json::from_str(line).with_context(|| format!("line {}", index + 1))? {
                Line::Span(span) => record.add(span)?,
                Line::Export(export) => answers.push(export),
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
        let (start, end) = (line.start.parse()?, line.end.parse()?);
        let export = Export::Unknown;
        let span = Span { parent: line.parent_span_id, name: line.name, kind: line.kind, start, end, export };
        let trace = self.traces.entry(line.trace_id).or_default();
        if trace.insert(line.span_id.clone(), span).is_some() {
            bail!("the span {} ended twice", line.span_id);
        }
        Ok(())
    }

    fn answer(&mut self, answer: &ExportLine) -> Result<()> {
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
    Span(SpanLine),
    Export(ExportLine),
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
}

#[derive(Deserialize)]
struct ExportLine {
    ok: bool,
    spans: Vec<(TraceId, SpanId)>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A span line of a record.
    pub(crate) fn line(trace: &str, span: &str, parent: &str) -> String {
        format!(
            r#"{{"span":{{"trace_id":"{trace}","span_id":"{span}","parent_span_id":"{parent}","name":"n","kind":"SERVER","start":"10","end":"20"}}}}"#
        )
    }

    pub(crate) fn record(lines: &[String]) -> Record {
        Record::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn answers_find_their_spans_whatever_the_order() {
        let read = record(&[
            r#"{"export":{"ok":true,"started":"1","spans":[["t1","a"]]}}"#.to_owned(),
            line("t1", "a", ""),
            line("t1", "b", "a"),
            line("t2", "a", ""),
            r#"{"export":{"ok":false,"spans":[["t2","a"]]}}"#.to_owned(),
            r#"{"done":{"traces":2}}"#.to_owned(),
        ]);
        assert_eq!(read.traces["t1"]["a"].export, Export::Acknowledged);
        assert_eq!(read.traces["t1"]["b"].export, Export::Unknown);
        assert_eq!(read.traces["t2"]["a"].export, Export::Failed);
        assert_eq!((read.exports, read.failed_exports, read.complete), (2, 1, true));
    }

    #[test]
    fn a_retry_that_is_acknowledged_counts() {
        let answer = |ok| format!(r#"{{"export":{{"ok":{ok},"spans":[["t1","a"]]}}}}"#);
        let read = record(&[line("t1", "a", ""), answer(false), answer(true)]);
        assert_eq!(read.spans(Export::Acknowledged), 1);
        assert!(!read.complete);
    }

    #[test]
    fn nonsense_is_an_error_with_its_line() {
        let error = Record::parse(&format!("{}\n{{\"spam\":1}}", line("t", "a", ""))).unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        assert!(Record::parse(r#"{"export":{"ok":true,"spans":[["t","ghost"]]}}"#).is_err());
    }
}
