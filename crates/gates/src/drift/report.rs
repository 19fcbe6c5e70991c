//! What a comparison yields.

use crossfade_yaml::Mark;
use serde::{Serialize, Serializer};

use crate::explain;
use crate::finding::{self, Accepted, Place};
use crate::report::Report;
use crate::rule::{Class, Rule, Severity};

/// The result of [`compare`](super::compare). Holds no secret: what may be one is shown as a keyed digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    /// Always 1 today; grows when a field changes its meaning.
    pub schema_version: u32,
    /// The differences, the weightiest class first, then by path.
    pub findings: Vec<Finding>,
    /// What is written differently and means the same.
    pub equivalent: Vec<Equivalent>,
    /// Declarations that no difference needs.
    pub unused_declarations: Vec<UnusedDeclaration>,
    /// Values of either side that hold references, such as `${env:X}`. They are compared as they are written: what they stand
    /// for is not known here.
    pub as_written: usize,
    /// The variables in them, by name.
    pub variables: Vec<String>,
    /// Settings that a side leaves to its default, which differs between versions, where nobody says which version runs.
    pub by_version: Vec<String>,
    /// Components in use whose kind no rule knows, such as `receivers.custom`: compared by the words of their settings alone.
    pub unknown_components: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule's id: `CF-DRIFT-014`.
    pub id: &'static str,
    /// The rule's name: `redaction_removed`.
    pub rule: &'static str,
    /// What it touches.
    pub class: Class,
    /// Configuration and field: `collector:processors.batch.timeout`. What a declaration names.
    pub path: String,
    /// Blue's value, as YAML on one line; `None` where there is none.
    pub blue: Option<String>,
    /// Green's value, as YAML on one line; `None` where there is none.
    pub green: Option<String>,
    /// What it means here, in one sentence.
    pub detail: String,
    /// Where to look: the place on green, or on blue where green has nothing near.
    #[serde(serialize_with = "place")]
    pub mark: Mark,
    /// The place on blue.
    #[serde(serialize_with = "place")]
    pub blue_mark: Mark,
    /// What to do.
    pub fix: String,
    /// The declaration that allows it.
    pub declared: Option<Declared>,
}

/// The declaration that allows a difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Declared {
    /// Why, in its author's words.
    pub reason: String,
    /// Where it is declared, if it was read from a file.
    #[serde(serialize_with = "optional_place")]
    pub mark: Option<Mark>,
}

/// Two ways to write the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Equivalent {
    /// Configuration and field.
    pub path: String,
    /// What makes them equal.
    pub why: Why,
    /// Blue's value; `None` where there is none.
    pub blue: Option<String>,
    /// Green's value; `None` where there is none.
    pub green: Option<String>,
    /// The place on green.
    #[serde(serialize_with = "place")]
    pub mark: Mark,
}

/// Why two values that are written differently are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A set in another order.
    Order,
    /// One side writes out the default.
    Default,
    /// Two names of one thing: `otlp` and `otlp_grpc`, `:4317` and `0.0.0.0:4317`.
    Alias,
    /// 1000ms and 1s.
    Unit,
    /// Each side's own address.
    OwnEndpoint,
    /// Defined, without settings, and not used.
    Unused,
}

impl Why {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Default => "default",
            Self::Alias => "alias",
            Self::Unit => "unit",
            Self::OwnEndpoint => "own endpoint",
            Self::Unused => "unused",
        }
    }
}

/// A declaration that no difference needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnusedDeclaration {
    /// The path it names.
    pub path: String,
    /// Its reason.
    pub reason: String,
    /// Where it stands.
    #[serde(serialize_with = "optional_place")]
    pub mark: Option<Mark>,
    /// What is there instead: no difference at all, or one with other values.
    pub note: String,
}

impl DriftReport {
    /// Whether every difference is declared. An unused declaration does not fail it.
    pub fn passed(&self) -> bool {
        self.undeclared() == 0
    }

    /// In the form that all gates share. Severities, controls and reasons are the rules'; what is equivalent, and declarations that
    /// nothing needs, are among the facts.
    pub fn report(&self) -> Report {
        let findings = self.findings.iter().map(Finding::shared).collect();
        let facts = serde_json::json!({
            "equivalent": self.equivalent,
            "unused_declarations": self.unused_declarations,
            "as_written": self.as_written,
            "variables": self.variables,
            "by_version": self.by_version,
            "unknown_components": self.unknown_components,
        });
        let (all, declared) = (self.findings.len(), self.declared());
        let noun = if all == 1 { "difference" } else { "differences" };
        let summary = format!("{all} {noun}, {declared} declared, {} not", self.undeclared());
        Report::new("drift", summary, findings, facts)
    }

    /// The number of differences that are declared.
    pub fn declared(&self) -> usize {
        self.findings.iter().filter(|f| f.declared.is_some()).count()
    }

    /// The number of differences that are not.
    pub fn undeclared(&self) -> usize {
        self.findings.len() - self.declared()
    }
}

impl Finding {
    /// Whether a declaration would let it pass, and there is none yet.
    pub(crate) fn can_be_declared(&self) -> bool {
        self.declared.is_none()
            && explain::rule(self.id).is_none_or(|rule| rule.severity != Severity::Unknown)
    }

    /// As green should be, and is; blue's place only where green has none.
    fn shared(&self) -> finding::Finding {
        let rule = explain::rule(self.id).expect("every difference is found by a rule");
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(nothing)".to_owned());
        let environment = if self.green.is_none() && self.mark == self.blue_mark { "blue" } else { "green" };
        let shared = finding::Finding::new(rule)
            .at(Place::environment(environment).mark(&self.mark).component(self.path.clone()))
            .detail(self.detail.clone())
            .remedy(self.fix.clone());
        let shared = match (&self.blue, &self.green) {
            (None, None) => shared,
            (blue, green) => shared.expected(value(blue)).seen(value(green)),
        };
        let accepted = self.declared.as_ref().map(|declared| Accepted::Declaration {
            reason: declared.reason.clone(),
            place: declared.mark.as_ref().filter(|mark| !mark.is_nowhere()).map(ToString::to_string),
        });
        finding::Finding { accepted, ..shared }
    }

    pub(crate) fn of(rule: &'static Rule) -> Self {
        Self {
            id: rule.id,
            rule: rule.name,
            class: rule.class,
            path: String::new(),
            blue: None,
            green: None,
            detail: rule.what.to_owned(),
            mark: Mark::nowhere(),
            blue_mark: Mark::nowhere(),
            fix: rule.fix.to_owned(),
            declared: None,
        }
    }
}

fn place<S: Serializer>(mark: &Mark, serializer: S) -> Result<S::Ok, S::Error> {
    if mark.is_nowhere() { serializer.serialize_none() } else { serializer.collect_str(mark) }
}

fn optional_place<S: Serializer>(mark: &Option<Mark>, serializer: S) -> Result<S::Ok, S::Error> {
    match mark {
        Some(mark) => place(mark, serializer),
        None => serializer.serialize_none(),
    }
}
