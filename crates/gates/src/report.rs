//! What a gate says, in the form that all gates share.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::finding::Finding;

/// What a gate comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is held against it.
    Pass,
    /// Something is.
    Fail,
    /// Not enough is known. Never passes.
    NoVerdict,
}

impl Verdict {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoVerdict => "no_verdict",
        }
    }

    /// That of several gates together: one that fails fails them all, and one that knows nothing keeps them from passing.
    pub fn of_all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().fold(Verdict::Pass, |all, one| match (all, one) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::NoVerdict, _) | (_, Verdict::NoVerdict) => Verdict::NoVerdict,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoVerdict => "no verdict",
        })
    }
}

/// What one run of a gate found. As JSON it is the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The gate's name.
    pub gate: &'static str,
    /// One line.
    pub summary: String,
    /// The findings, the weightiest first.
    pub findings: Vec<Finding>,
    /// What was measured, and from what: seeds, counts, histograms. An object, with the gate's own keys.
    pub facts: Value,
    /// Whether something did not answer at all.
    pub unreachable: bool,
    /// How long it took, if that was measured.
    pub took: Option<Duration>,
}

impl Report {
    /// Puts the findings in order.
    pub fn new(
        gate: &'static str,
        summary: impl Into<String>,
        mut findings: Vec<Finding>,
        facts: Value,
    ) -> Self {
        findings.sort_by(|a, b| {
            let key = |f: &Finding| (f.accepted.is_some(), f.severity, f.class);
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(b.id))
        });
        Self { gate, summary: summary.into(), findings, facts, unreachable: false, took: None }
    }

    /// Something did not answer at all, and that is why nothing is known.
    #[must_use]
    pub fn unreachable(self) -> Self {
        Self { unreachable: true, ..self }
    }

    /// What the findings come to.
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(Finding::fails) {
            Verdict::Fail
        } else if self.findings.iter().any(Finding::is_unknown) {
            Verdict::NoVerdict
        } else {
            Verdict::Pass
        }
    }

    /// The finding that one line has room for: the weightiest that keeps the gate from passing.
    pub fn first(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.fails()).or_else(|| self.findings.iter().find(|f| f.is_unknown()))
    }

    /// The evidence: the whole report as JSON, indented, as bytes.
    pub fn evidence(&self) -> Vec<u8> {
        crate::render::json(self).into_bytes()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            schema_version: u32,
            gate: &'a str,
            verdict: Verdict,
            summary: &'a str,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            unreachable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            took_ms: Option<u64>,
            findings: &'a [Finding],
            facts: &'a Value,
        }
        Shown {
            schema_version: 1,
            gate: self.gate,
            verdict: self.verdict(),
            summary: &self.summary,
            unreachable: self.unreachable,
            took_ms: self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            findings: &self.findings,
            facts: &self.facts,
        }
        .serialize(serializer)
    }
}
