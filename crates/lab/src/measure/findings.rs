//! What gates hold against a candidate, as the rollout recorded it, beside what a story is told for.

use super::Outcome;
use crossfade_routing::UnixNanos;
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

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

/// A finding that a stopped story must have: of what weighs something, one that names all that it is told for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Must {
    /// The gate's name.
    pub gate: &'static str,
    /// The id of the finding.
    pub finding: &'static str,
    /// What it says: every one of these, in where it is, what was expected, what was seen or what it means.
    pub named: &'static [&'static str],
    /// The time range that it says it is in, in hours before the story began: from, until.
    pub hours_ago: Option<(u32, u32)>,
    /// Where it must be.
    pub by: Source,
}

/// Searches count by whole hours, and judge those with few traces together with the next.
const RANGE_SLACK: Duration = Duration::from_secs(2 * 3_600);

impl Must {
    /// One that the rollout itself has to record.
    pub const fn recorded(gate: &'static str, finding: &'static str, named: &'static [&'static str]) -> Must {
        Must { gate, finding, named, hours_ago: None, by: Source::Log }
    }

    /// One that the plan's dry run has to say: its gate begins only once others have passed, which they do not.
    pub const fn planned(gate: &'static str, finding: &'static str, named: &'static [&'static str]) -> Must {
        Must { by: Source::Plan, ..Must::recorded(gate, finding, named) }
    }

    /// And that says of which time: the two instants of its place lie within these hours, two more or less, at least half as far apart.
    #[must_use]
    pub const fn between(self, from: u32, until: u32) -> Must {
        Must { hours_ago: Some((from, until)), ..self }
    }

    fn is_of_kind(&self, found: &Found) -> bool {
        found.gate == self.gate && found.finding == self.finding
    }

    /// Whether it says what it is told for. `began` is when the story did.
    fn is(&self, found: &Found, began: UnixNanos) -> bool {
        let texts = [&found.place, &found.detail, &found.expected, &found.seen];
        let is_named = |name: &&str| texts.iter().any(|text| text.contains(*name));
        self.is_of_kind(found) && self.named.iter().all(is_named) && self.is_then(&found.place, began)
    }

    fn is_then(&self, place: &str, began: UnixNanos) -> bool {
        let Some((from, until)) = self.hours_ago else { return true };
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3_600);
        let range = began.minus(hours(from) + RANGE_SLACK)..=began.minus(hours(until)).plus(RANGE_SLACK);
        let told: Vec<UnixNanos> = place.split_whitespace().filter_map(instant).collect();
        let [first, last] = told[..] else { return false };
        let length = last.since(first).unwrap_or_default();
        range.contains(&first) && range.contains(&last) && length * 2 >= hours(from - until)
    }
}

fn instant(word: &str) -> Option<UnixNanos> {
    let nanos = word.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    u64::try_from(nanos).ok().map(UnixNanos)
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.finding, self.gate)?;
        for (nth, name) in self.named.iter().enumerate() {
            write!(f, "{} `{name}`", if nth == 0 { " that names" } else { "," })?;
        }
        if let Some((from, until)) = self.hours_ago {
            write!(f, ", between {from} and {until} hours ago")?;
        }
        match self.by {
            Source::Plan => write!(f, ", by the plan's dry run"),
            Source::Log => write!(f, ", on the record"),
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
    /// What should be there, if that is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What is there, if that is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// How much it weighs, in the word of reports.
    pub severity: String,
    /// Who says so.
    pub by: Source,
}

/// The severities that fail a gate. What is only `unknown` keeps it from passing, and shows nothing.
const FAILING: [&str; 4] = ["critical", "high", "medium", "low"];

impl Found {
    fn fails(&self) -> bool {
        FAILING.contains(&self.severity.as_str())
    }

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
            expected: text(finding, "expected"),
            seen: text(finding, "seen"),
            severity: text(finding, "severity"),
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
            expected: String::new(),
            seen: String::new(),
            severity: "unknown".to_owned(),
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

    /// Those that are not there. `began` is when the story did.
    pub(super) fn missing<'a>(
        &self,
        found: &'a [Found],
        began: UnixNanos,
    ) -> impl Iterator<Item = Must> + use<'a> {
        let missing = move |must: &&Must| {
            !found.iter().any(|found| found.by == must.by && found.fails() && must.is(found, began))
        };
        self.findings().iter().filter(missing).copied()
    }

    /// Those that nobody expects, one of a kind. A dry run says less of a finding than the record: where it is not the one who has to say it, what it says is not
    /// looked at any closer.
    pub(super) fn unexpected<'a>(
        &self,
        found: &'a [Found],
        began: UnixNanos,
    ) -> impl Iterator<Item = &'a Found> + use<'a> {
        let expected = self.findings();
        let is_expected = move |one: &Found| {
            expected.iter().any(|must| match must.by == one.by {
                true => must.is(one, began),
                false => must.is_of_kind(one),
            })
        };
        let is_like = |one: &Found, other: &Found| (&one.gate, &one.finding) == (&other.gate, &other.finding);
        let is_first = move |nth: usize, one: &Found| {
            !found.iter().take(nth).any(|other| is_like(other, one) && !is_expected(other))
        };
        let unexpected = move |(nth, one): &(usize, &Found)| !is_expected(one) && is_first(*nth, one);
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
            json!({ "id": id, "rule": "a_rule", "severity": severity, "detail": "it is so", "expected": "300 traces", "seen": "none of them",
                    "where": { "environment": "green", "component": "2026-11-01T00:10:00Z to 2026-11-01T23:50:00Z" },
                    "accepted": accepted })
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
        assert_eq!(found[0].place, "green 2026-11-01T00:10:00Z to 2026-11-01T23:50:00Z");
        let file = json!({ "environment": "green", "file": "green.yaml", "line": 48, "component": "service.pipelines" });
        assert_eq!(place(&file), "green.yaml:48 service.pipelines");
        let broken = Found::read("history", &json!({ "summary": "it broke", "findings": [] }), Source::Log);
        assert_eq!((broken[0].finding.as_str(), broken[0].detail.as_str()), ("none", "it broke"));
    }

    const NOWHERE: &[&str] = &[];
    /// 2026-11-03: the hole is told as from 48 to 24 hours ago.
    const BEGAN: &str = "2026-11-03T00:00:00Z";

    /// Guarantee: a story's findings are exactly those it is told for; one that only the dry run has is not on the record.
    #[test]
    fn findings_that_are_missing_or_unexpected_are_told_apart() {
        let found = Found::read("history", &report(), Source::Log);
        let flaws = |musts| {
            let (expected, began) = (Expected::Stopped(musts), instant(BEGAN).unwrap());
            (expected.missing(&found, began).count(), expected.unexpected(&found, began).count())
        };
        const RECORDED: Must = Must::recorded("history", HOLE, NOWHERE);
        assert_eq!(flaws(const { &[RECORDED] }), (0, 1));
        // What is not known fails nothing, and is told apart from what does.
        assert_eq!(flaws(const { &[RECORDED, Must::recorded("history", LAGS, NOWHERE)] }), (1, 0));
        assert_eq!(flaws(const { &[Must::recorded("parity", HOLE, NOWHERE)] }), (1, 2));
        assert_eq!(flaws(const { &[Must::planned("history", HOLE, NOWHERE)] }), (1, 1));
        assert_eq!(Expected::Promoted.unexpected(&found, instant(BEGAN).unwrap()).count(), 2);
    }

    /// Guarantee: a finding counts for what it names and the time it says, wherever it says so; the same id about something else does not.
    #[test]
    fn a_finding_must_name_what_it_is_told_for() {
        let found = Found::read("history", &report(), Source::Log);
        let began = instant(BEGAN).unwrap();
        let is = |must: Must| must.is(&found[0], began);
        for names in [&["green"][..], &["green", "it is so"], &["300 traces", "none of them"]] {
            let must = Must { named: names, ..Must::recorded("history", HOLE, NOWHERE) };
            assert!(is(must), "{must}");
        }
        assert!(!is(Must::recorded("history", HOLE, &["green", "payment"])));
        let told = Must::recorded("history", HOLE, &["green"]);
        assert!(is(told.between(48, 24)) && is(told.between(47, 25)) && is(told.between(70, 24)));
        assert!(!is(told.between(45, 24)), "it begins before");
        assert!(!is(told.between(48, 27)), "it ends after");
        assert!(!is(told.between(90, 24)), "it is less than half of it");
        let placeless = Found { place: "green".into(), ..found[0].clone() };
        assert!(!told.between(48, 24).is(&placeless, began));
        let shown = Must::recorded("history", HOLE, &["a", "b"]).between(2, 1).to_string();
        assert_eq!(
            shown,
            "CF-HISTORY-001 of history that names `a`, `b`, between 2 and 1 hours ago, on the record"
        );
    }

    /// Guarantee: of two findings of an id, the one that nobody expects is told, whatever came first.
    #[test]
    fn another_finding_of_the_same_id_is_unexpected() {
        let one = Found::read("history", &report(), Source::Log).remove(0);
        let other = Found { place: "green payment".into(), ..one.clone() };
        let dry = Found { by: Source::Plan, ..other.clone() };
        const MUSTS: &[Must] = &[Must::recorded("history", HOLE, &["2026-11-01"])];
        let unexpected = |found: &[Found]| {
            let told = Expected::Stopped(MUSTS).unexpected(found, UnixNanos(0)).cloned();
            told.collect::<Vec<_>>()
        };
        assert_eq!(unexpected(&[one.clone(), other.clone(), other.clone()]), std::slice::from_ref(&other));
        assert_eq!(unexpected(&[one, dry]), []);
    }
}
