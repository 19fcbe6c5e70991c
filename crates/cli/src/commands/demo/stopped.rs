//! What is told of a story that gates have stopped: each gate that did not pass, its findings in a line each, and what became of the
//! traffic meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crossfade_lab::measure::{Found, Source, Summary};

use crate::ui::Paint;

/// What one line has room for of what a finding means; the report has it all.
const DETAIL_CHARS_MAX: usize = 200;
/// And of what follows from it.
const REST_CHARS_MAX: usize = 400;
/// Lines for one gate.
const FINDINGS_MAX: usize = 10;

/// `plan`: where the plan with its dry run is.
pub(super) fn words(
    summary: &Summary,
    evidence: &BTreeMap<String, PathBuf>,
    plan: &Path,
    paint: Paint,
) -> String {
    let mut text = String::new();
    for (gate, found) in by_gate(&summary.findings) {
        let by = match found.iter().any(|found| found.by == Source::Log) {
            true => "",
            false => "  (the plan's dry run: in the rollout it begins only once others have passed)",
        };
        let _ = writeln!(text, "\n {} {}{}", paint.bad("✘"), paint.bold(gate), paint.dim(by));
        for found in found.iter().take(FINDINGS_MAX) {
            let (line, rest) = line(found);
            let _ = writeln!(text, "   {line}");
            if !rest.is_empty() {
                let _ = writeln!(text, "                    {}", paint.dim(&cut(rest, REST_CHARS_MAX)));
            }
        }
        if let Some(more @ 1..) = found.len().checked_sub(FINDINGS_MAX) {
            let _ = writeln!(text, "   and {more} more, all of them in");
        }
        let (what, file) = evidence.get(gate).map_or(("plan", plan), |file| ("evidence", file));
        let _ = writeln!(text, "   {}", paint.dim(&format!("{what} {}", file.display())));
    }
    let whole = summary.traces.saturating_sub(summary.torn);
    let _ = writeln!(text, "\n {}", paint.bold("Stopped before the switch: green never owned a trace."));
    let _ = writeln!(text, " traces whole in blue    {whole:>9} of {}", summary.traces);
    let _ = writeln!(text, " traces owned by green   {:>9}", summary.green_owned);
    let _ = writeln!(text, " spans lost              {:>9} of {}", summary.spans_lost, summary.spans_sent);
    if let Some(first) = summary.findings.first() {
        let _ =
            writeln!(text, "\nWhat a finding means, and what to do:\n  crossfade explain {}", first.finding);
    }
    text
}

/// The findings by gate, those on the record first; what the dry run has said already is not said twice.
fn by_gate(findings: &[Found]) -> Vec<(&str, Vec<&Found>)> {
    let mut gates: Vec<(&str, Vec<&Found>)> = Vec::new();
    for by in [Source::Log, Source::Plan] {
        let recorded: Vec<&str> = gates.iter().map(|(gate, _)| *gate).collect();
        for found in
            findings.iter().filter(|found| found.by == by && !recorded.contains(&found.gate.as_str()))
        {
            match gates.iter_mut().find(|(gate, _)| *gate == found.gate) {
                Some((_, of_gate)) => of_gate.push(found),
                None => gates.push((&found.gate, vec![found])),
            }
        }
    }
    gates
}

/// `CF-HISTORY-001  green …: …`; where, unless what is said of it says that too. And what follows from it, if that is said.
fn line(Found { finding, place, detail, .. }: &Found) -> (String, &str) {
    let (what, rest) = detail.split_once(". ").unwrap_or((detail, ""));
    let is_said = place.split_whitespace().all(|word| what.contains(word));
    let place = if is_said { String::new() } else { format!("{place}: ") };
    (format!("{finding}  {place}{}", cut(what, DETAIL_CHARS_MAX)), rest)
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(gate: &str, finding: &str, by: Source) -> Found {
        Found {
            gate: gate.into(),
            finding: finding.into(),
            rule: String::new(),
            place: "green".into(),
            detail: "it is so".into(),
            expected: String::new(),
            seen: String::new(),
            severity: "high".into(),
            by,
        }
    }

    #[test]
    fn a_line_says_where_once() {
        let hole = Found { place: "green today".into(), ..found("history", "CF-HISTORY-001", Source::Log) };
        assert_eq!(line(&hole), ("CF-HISTORY-001  green today: it is so".to_owned(), ""));
        let said = Found { detail: "today green has a hole. Nobody would see it".into(), ..hole };
        assert_eq!(line(&said), ("CF-HISTORY-001  today green has a hole".to_owned(), "Nobody would see it"));
    }

    #[test]
    fn what_is_on_the_record_is_not_told_again_as_the_dry_run_said_it() {
        let findings = [
            found("policy", "CF-POLICY-001", Source::Plan),
            found("drift", "CF-DRIFT-002", Source::Plan),
            found("drift", "CF-DRIFT-001", Source::Log),
            found("drift", "CF-DRIFT-002", Source::Log),
        ];
        let told: Vec<(&str, usize)> =
            by_gate(&findings).into_iter().map(|(gate, found)| (gate, found.len())).collect();
        assert_eq!(told, [("drift", 2), ("policy", 1)]);
    }
}
