//! What gates hold against a candidate, as the rollout recorded it, beside what a story is told for.

use super::Outcome;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// How a story must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Every gate passes, and the candidate is active in the end.
    Promoted,
    /// Every gate passes; the analysis finds what is wrong.
    RolledBack,
    /// Stopped before the candidate owns a trace, by these findings and no others.
    Stopped(&'static [Must]),
}

/// A finding that a stopped story must have, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Must {
    /// The gate's name.
    pub gate: &'static str,
    /// The id of the finding.
    pub finding: &'static str,
    /// Where it must be; `None`: it may be there or not.
    pub by: Option<Source>,
}

impl Must {
    /// One that the rollout itself has to record.
    pub const fn recorded(gate: &'static str, finding: &'static str) -> Must {
        Must { gate, finding, by: Some(Source::Log) }
    }

    /// One that the plan's dry run has to say: its gate begins only once others have passed, which they do not.
    pub const fn planned(gate: &'static str, finding: &'static str) -> Must {
        Must { gate, finding, by: Some(Source::Plan) }
    }

    /// One that follows from the others, if it is seen at all.
    pub const fn allowed(gate: &'static str, finding: &'static str) -> Must {
        Must { gate, finding, by: None }
    }

    fn is(&self, found: &Found) -> bool {
        found.gate == self.gate && found.finding == self.finding
    }
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.finding, self.gate)?;
        match self.by {
            Some(Source::Plan) => write!(f, ", by the plan's dry run"),
            Some(Source::Log) => write!(f, ", on the record"),
            None => Ok(()),
        }
    }
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The dry run of the plan, before anything was started.
    Plan,
    /// The audit log: a gate's entry, and its report among the evidence.
    Log,
}

/// A finding that kept a gate from passing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The gate's name.
    pub gate: String,
    /// Its id; `none` of a gate that did not pass and holds nothing against anybody, such as one that broke.
    pub finding: String,
    /// The name of its rule.
    pub rule: String,
    /// Where to look.
    #[serde(rename = "where")]
    pub place: String,
    /// What it means.
    pub detail: String,
    /// Who says so.
    pub by: Source,
}

impl Found {
    /// What keeps the gate of this report from passing: the report is JSON as gates write it.
    pub fn read(gate: &str, report: &Value, by: Source) -> Vec<Found> {
        let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
        let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let holds = |finding: &&Value| finding["severity"] != "note" && finding["accepted"].is_null();
        let one = |finding: &Value| Found {
            gate: gate.to_owned(),
            finding: text(finding, "id"),
            rule: text(finding, "rule"),
            place: place(&finding["where"]),
            detail: text(finding, "detail"),
            by,
        };
        let found: Vec<Found> = findings.iter().filter(holds).map(one).collect();
        if found.is_empty() { vec![Found::nothing(gate, &text(report, "summary"), by)] } else { found }
    }

    /// A gate that did not pass, and has no finding to show.
    pub fn nothing(gate: &str, summary: &str, by: Source) -> Found {
        Found {
            gate: gate.to_owned(),
            finding: "none".to_owned(),
            rule: String::new(),
            place: String::new(),
            detail: summary.to_owned(),
            by,
        }
    }
}

/// `green.yaml:48 service.pipelines`, or what else there is, the environment first.
fn place(of: &Value) -> String {
    let text = |key: &str| of[key].as_str();
    let file = text("file").map(|file| match of["line"].as_u64() {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    });
    let component = text("component").map(str::to_owned);
    let parts = match file {
        Some(file) => [Some(file), None, component],
        None => [text("environment").map(str::to_owned), text("url").map(str::to_owned), component],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

impl Expected {
    /// How the rollout ends.
    pub fn outcome(&self) -> Outcome {
        match self {
            Expected::Promoted => Outcome::Promoted,
            Expected::RolledBack => Outcome::RolledBack,
            Expected::Stopped(_) => Outcome::Stopped,
        }
    }

    fn findings(&self) -> &'static [Must] {
        match self {
            Expected::Stopped(findings) => findings,
            Expected::Promoted | Expected::RolledBack => &[],
        }
    }

    /// Those that are not there.
    pub(super) fn missing<'a>(&self, found: &'a [Found]) -> impl Iterator<Item = Must> + use<'a> {
        let is_there = |must: &Must, by: Source| found.iter().any(|found| must.is(found) && found.by == by);
        let missing = move |must: &&Must| must.by.is_some_and(|by| !is_there(must, by));
        self.findings().iter().filter(missing).copied()
    }

    /// Those that nobody expects, one of a kind.
    pub(super) fn unexpected<'a>(&self, found: &'a [Found]) -> impl Iterator<Item = &'a Found> + use<'a> {
        let expected = self.findings();
        let is_first = |nth: usize, one: &Found| {
            !found.iter().take(nth).any(|other| (&other.gate, &other.finding) == (&one.gate, &one.finding))
        };
        let unexpected = move |(nth, one): &(usize, &Found)| {
            is_first(*nth, one) && !expected.iter().any(|must| must.is(one))
        };
        found.iter().enumerate().filter(unexpected).map(|(_, one)| one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOLE: &str = "CF-HISTORY-001";
    const LAGS: &str = "CF-HISTORY-008";

    fn report() -> Value {
        let finding = |id: &str, severity: &str, accepted: Value| {
            json!({ "id": id, "rule": "a_rule", "severity": severity, "detail": "it is so",
                    "where": { "environment": "green", "component": "2026-11-01 to 2026-11-02" }, "accepted": accepted })
        };
        let waived = json!({ "by": "waiver" });
        json!({ "summary": "2 of 300", "findings": [
            finding(HOLE, "high", Value::Null),
            finding("CF-HISTORY-004", "high", waived),
            finding("CF-HISTORY-006", "note", Value::Null),
            finding(LAGS, "unknown", Value::Null),
        ] })
    }

    #[test]
    fn what_keeps_a_gate_from_passing_is_read_from_its_report() {
        let found = Found::read("history", &report(), Source::Log);
        let ids: Vec<&str> = found.iter().map(|found| found.finding.as_str()).collect();
        assert_eq!(ids, [HOLE, LAGS]);
        assert_eq!(found[0].place, "green 2026-11-01 to 2026-11-02");
        let file = json!({ "environment": "green", "file": "green.yaml", "line": 48, "component": "service.pipelines" });
        assert_eq!(place(&file), "green.yaml:48 service.pipelines");
        let broken = Found::read("history", &json!({ "summary": "it broke", "findings": [] }), Source::Log);
        assert_eq!((broken[0].finding.as_str(), broken[0].detail.as_str()), ("none", "it broke"));
    }

    /// Guarantee: a story's findings are exactly those it is told for; one that only the dry run has is not on the record.
    #[test]
    fn findings_that_are_missing_or_unexpected_are_told_apart() {
        let found = Found::read("history", &report(), Source::Log);
        let missing = |musts| Expected::Stopped(musts).missing(&found).count();
        let unexpected = |musts| Expected::Stopped(musts).unexpected(&found).count();
        const BOTH: &[Must] = &[Must::recorded("history", HOLE), Must::recorded("history", LAGS)];
        assert_eq!((missing(BOTH), unexpected(BOTH)), (0, 0));
        const ALLOWED: &[Must] = &[Must::recorded("history", HOLE), Must::allowed("history", LAGS)];
        assert_eq!((missing(ALLOWED), unexpected(ALLOWED)), (0, 0));
        const OTHER: &[Must] = &[Must::recorded("parity", HOLE), Must::allowed("history", LAGS)];
        assert_eq!((missing(OTHER), unexpected(OTHER)), (1, 1));
        const PLANNED: &[Must] = &[Must::planned("history", HOLE), Must::recorded("history", LAGS)];
        assert_eq!((missing(PLANNED), unexpected(PLANNED)), (1, 0));
        assert_eq!(Expected::Promoted.unexpected(&found).count(), 2);
    }
}
