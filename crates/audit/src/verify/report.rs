//! What a verification says, as values and as text.

use std::fmt;

use serde::Serialize;

use crate::layout::shown;

/// Findings shown of one check; the others are counted.
const FINDINGS_MAX: usize = 100;

/// The outcome of verifying a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this report's JSON form.
    pub schema_version: u32,
    /// The folder that was verified.
    pub folder: String,
    /// True if no check failed and all were made.
    pub intact: bool,
    /// What the checkpoint says, if its signature holds.
    pub checkpoint: Option<Head>,
    /// Every check, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// A verified checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The log's identity.
    pub origin: String,
    /// Number of entries, in decimal.
    pub size: String,
    /// The root, in base64.
    pub root: String,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name: `checkpoint`, `witnesses`, `files`, `inclusion`, `entries`, `evidence`,
    /// `emergency` and `clock` (only if there is something to say), `replay`, `rules`.
    pub name: &'static str,
    /// What it came to.
    pub outcome: Outcome,
    /// One line.
    pub summary: String,
    /// What is wrong, and where; at most 100 of them.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_left_out: usize,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// Nothing is wrong, but the reader should know.
    Noted,
    /// It does not hold.
    Failed,
    /// It could not be made, since another one failed.
    NotRun,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, relative to the log's folder.
    pub file: String,
    /// The entry that it is about, in decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The byte offset in the file, in decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// What is wrong.
    pub what: String,
    /// An append that is under way looks like this.
    #[serde(skip)]
    pub(crate) of_append: bool,
}

impl Finding {
    pub(crate) fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), entry: None, offset: None, what: what.into(), of_append: false }
    }

    /// Something that the checkpoint does not account for: until an append is over it does not.
    pub(crate) fn unaccounted(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { of_append: true, ..Self::new(file, what) }
    }

    pub(crate) fn entry(mut self, index: u64) -> Self {
        self.entry = Some(index.to_string());
        self
    }

    pub(crate) fn offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset.to_string());
        self
    }
}

/// What a check has found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Finding>,
    left_out: usize,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        if self.list.len() < FINDINGS_MAX { self.list.push(finding) } else { self.left_out += 1 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Passed with this summary, or failed with the findings.
    pub(crate) fn check(self, name: &'static str, passed: impl FnOnce() -> String) -> Check {
        let count = self.list.len() + self.left_out;
        let (outcome, summary) = match count {
            0 => (Outcome::Passed, passed()),
            _ => (Outcome::Failed, counted(count as u64, "finding", "findings")),
        };
        Check { name, outcome, summary, findings: self.list, findings_left_out: self.left_out }
    }
}

impl Check {
    pub(crate) fn noted(name: &'static str, summary: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Noted,
            summary: summary.into(),
            findings: Vec::new(),
            findings_left_out: 0,
        }
    }

    pub(crate) fn not_run(name: &'static str, why: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotRun, ..Self::noted(name, why) }
    }

    fn holds(&self) -> bool {
        matches!(self.outcome, Outcome::Passed | Outcome::Noted)
    }
}

impl Report {
    pub(crate) fn new(folder: String, checkpoint: Option<Head>, checks: Vec<Check>) -> Self {
        let intact = checks.iter().all(Check::holds);
        Self { schema_version: 1, folder, intact, checkpoint, checks }
    }

    /// Whether nothing is wrong but what an append that is under way looks like.
    pub(crate) fn may_be_an_append(&self) -> bool {
        self.checks.iter().filter(|check| !check.holds()).all(|check| {
            check.outcome == Outcome::Failed
                && check.findings_left_out == 0
                && check.findings.iter().all(|finding| finding.of_append)
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.outcome {
                Outcome::Passed => '✔',
                Outcome::Noted => '!',
                Outcome::Failed => '✘',
                Outcome::NotRun => '·',
            };
            writeln!(f, "{mark} {:<12} {}", check.name, check.summary)?;
            for finding in &check.findings {
                writeln!(f, "    {finding}")?;
            }
            if check.findings_left_out > 0 {
                writeln!(f, "    and {} more", grouped(check.findings_left_out as u64))?;
            }
        }
        if self.intact {
            return write!(f, "INTACT. Not shown: that evidence was true when collected.");
        }
        let failed = |outcome| {
            let names =
                self.checks.iter().filter(move |check| check.outcome == outcome).map(|check| check.name);
            names.collect::<Vec<_>>().join(", ")
        };
        write!(f, "NOT INTACT: {} failed", failed(Outcome::Failed))?;
        let not_run = failed(Outcome::NotRun);
        if not_run.is_empty() { write!(f, ".") } else { write!(f, "; not checked: {not_run}.") }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.file))?;
        if let Some(entry) = &self.entry {
            write!(f, " entry {entry}")?;
        }
        if let Some(offset) = &self.offset {
            write!(f, " byte {offset}")?;
        }
        write!(f, ": {}", shown(&self.what))
    }
}

/// A number with what it counts.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1482` as `1,482`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
