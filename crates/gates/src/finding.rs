//! Findings: what a gate holds against an environment, or does not know of it.

use std::fmt;

use crossfade_yaml::Mark;
use serde::Serialize;

use crate::control::Control;
use crate::model::{SpanId, TraceId};
use crate::rule::{Class, Rule, Severity};

/// One finding. Holds no secret, and no value of a span but those that the gate itself made up. Names it has: of services, operations,
/// attributes and hosts, as they are recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule's id: `CF-DRIFT-014`.
    pub id: &'static str,
    /// The rule's name: `redaction_removed`.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it touches.
    pub class: Class,
    /// Where to look.
    #[serde(rename = "where")]
    pub place: Place,
    /// What it means here, in one sentence.
    pub detail: String,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub seen: Option<String>,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: String,
    /// The controls that it touches.
    pub controls: &'static [Control],
    /// Who lets it through, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// What it is known by in the next run instead of its part, where the part is an example or a time that another sample shifts.
    #[serde(skip)]
    pub known_by: Option<String>,
}

/// Where to look. What does not apply is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The environment: `green`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The part: a path in a configuration (`collector:processors.batch.timeout`), a service and operation, a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The address that was asked. Without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// An example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

/// Why a finding does not fail its gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Accepted {
    /// The change is intended: the spec declares it.
    Declaration {
        /// Why, in its author's words.
        reason: String,
        /// Where it is declared: `rollout.yaml:21:9`.
        #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
    /// The risk is accepted, for a time.
    Waiver {
        /// Why.
        reason: String,
        /// Who answers for it.
        owner: String,
        /// Until when.
        expires: String,
    },
}

impl Finding {
    /// A finding of a rule, nowhere yet, in the rule's own words.
    pub fn new(rule: &'static Rule) -> Self {
        Self {
            id: rule.id,
            rule: rule.name,
            severity: rule.severity,
            class: rule.class,
            place: Place::default(),
            detail: rule.what.to_owned(),
            expected: None,
            seen: None,
            why: rule.why,
            remedy: rule.fix.to_owned(),
            controls: rule.controls,
            accepted: None,
            known_by: None,
        }
    }

    /// What it is known by in the next run instead of its part; empty where its rule says it all.
    #[must_use]
    pub fn known_by(self, what: impl Into<String>) -> Self {
        Self { known_by: Some(what.into()), ..self }
    }

    /// Where.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// What it means here, in one sentence.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// What should be there.
    #[must_use]
    pub fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    /// What is there.
    #[must_use]
    pub fn seen(self, seen: impl Into<String>) -> Self {
        Self { seen: Some(seen.into()), ..self }
    }

    /// A better remedy than the rule's.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// Another weight than the rule's.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Whether it fails its gate.
    pub fn fails(&self) -> bool {
        self.accepted.is_none() && !matches!(self.severity, Severity::Note | Severity::Unknown)
    }

    /// Whether it says that something is not known.
    pub fn is_unknown(&self) -> bool {
        self.severity == Severity::Unknown
    }
}

impl Place {
    /// In an environment.
    pub fn environment(name: impl fmt::Display) -> Self {
        Self { environment: Some(name.to_string()), ..Self::default() }
    }

    /// Where a value of a file stands; nowhere if the mark is.
    #[must_use]
    pub fn mark(self, mark: &Mark) -> Self {
        if mark.is_nowhere() {
            return self;
        }
        Self { file: Some(mark.source.to_string()), line: Some(mark.line), column: Some(mark.column), ..self }
    }

    /// In this part.
    #[must_use]
    pub fn component(self, component: impl Into<String>) -> Self {
        Self { component: Some(component.into()), ..self }
    }

    /// At this address. The caller leaves credentials out.
    #[must_use]
    pub fn url(self, url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..self }
    }

    /// In this trace, for example.
    #[must_use]
    pub fn trace(self, id: TraceId) -> Self {
        Self { trace_id: Some(id.to_string()), ..self }
    }

    /// In this span, for example.
    #[must_use]
    pub fn span(self, id: SpanId) -> Self {
        Self { span_id: Some(id.to_string()), ..self }
    }

    /// The parts by name, those that are there.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("environment", &self.environment),
            ("file", &self.file),
            ("component", &self.component),
            ("url", &self.url),
            ("trace", &self.trace_id),
            ("span", &self.span_id),
        ]
        .into_iter()
        .filter_map(|(name, part)| Some((name, part.as_deref()?)))
    }
}

/// `green.yaml:48`, or what else there is, the environment first: `green https://…`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            return self.line.map_or(Ok(()), |line| write!(f, ":{line}"));
        }
        let mut parts = [&self.environment, &self.url, &self.component].into_iter().flatten();
        if let Some(first) = parts.next() {
            f.write_str(first)?;
        }
        parts.try_for_each(|part| write!(f, " {part}"))
    }
}
