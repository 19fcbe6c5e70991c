//! Rules: what a finding of a kind means, whatever it is found on. Ids are stable; a rule is never renumbered.

use serde::Serialize;

use crate::control::Control;

/// How much a finding weighs. The order is that of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Data leaks, or anyone can read or write it.
    Critical,
    /// A protection, or a part of the record, is gone.
    High,
    /// Something works worse than it should.
    Medium,
    /// Untidy, and harmless for now.
    Low,
    /// Nothing is known. It keeps a gate from passing, and nobody can accept it: there is nothing to accept.
    Unknown,
    /// Worth knowing; fails nothing.
    Note,
}

impl Severity {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Unknown => "unknown",
            Self::Note => "note",
        }
    }
}

/// What a finding touches. The order is that of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Who can reach, read or alter what; and what is missing from the record.
    Security,
    /// What is recorded, or for how long.
    Data,
    /// How the environment acts, with the same data in the end.
    Behaviour,
    /// How much it can take, and how fast.
    Capacity,
    /// Names, and things that are not in use.
    Cosmetic,
}

impl Class {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Data => "data",
            Self::Behaviour => "behaviour",
            Self::Capacity => "capacity",
            Self::Cosmetic => "cosmetic",
        }
    }
}

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `CF-DRIFT-014`.
    pub id: &'static str,
    /// `redaction_removed`.
    pub name: &'static str,
    /// How much a finding of this kind weighs.
    pub severity: Severity,
    /// What it touches.
    pub class: Class,
    /// What was found, in one sentence.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// The controls that it touches, at least one.
    pub controls: &'static [Control],
}

/// The rules of one gate: a static for each, and `RULES` with all of them in the order written.
macro_rules! rules {
    ($prefix:literal; $($constant:ident = $number:literal $name:ident $severity:ident $class:ident [$($control:ident),+ $(,)?]
        $what:literal $why:literal $fix:literal;)*) => {
        $(pub(crate) static $constant: $crate::rule::Rule = $crate::rule::Rule {
            id: concat!($prefix, $number),
            name: stringify!($name),
            severity: $crate::rule::Severity::$severity,
            class: $crate::rule::Class::$class,
            what: $what,
            why: $why,
            fix: $fix,
            controls: &[$($crate::control::$control),+],
        };)*
        /// Every rule, in the order of their ids.
        pub static RULES: &[&$crate::rule::Rule] = &[$(&$constant),*];
    };
}
pub(crate) use rules;
