//! Where findings are put down: shown without secrets, and held against the declarations.

use std::collections::BTreeSet;

use crossfade_yaml::{Mark, Node, Value};

use super::path::Path;
use super::report::{Declared, Equivalent, Finding, UnusedDeclaration, Why};
use super::secret::{KeyedDigest, Redactor};
use super::values::{Same, same};
use super::{Allow, DriftReport};
use crate::rule::{Rule, Severity};

/// The place of a comparison: one path, spelled as each side spells it, and both marks.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The configuration's name.
    pub(crate) document: String,
    /// What stands before `path`: `exporters.otlp/tempo`, as green writes it (or blue, if green has none).
    pub(crate) prefix: String,
    /// The same as blue writes it.
    pub(crate) blue_prefix: String,
    /// Below the prefix.
    pub(crate) path: Path,
    pub(crate) blue_mark: Mark,
    pub(crate) green_mark: Mark,
}

impl Place {
    pub(crate) fn at(&self, path: &Path, blue_mark: &Mark, green_mark: &Mark) -> Self {
        let (blue_mark, green_mark) = (blue_mark.clone(), green_mark.clone());
        Self { path: path.clone(), blue_mark, green_mark, ..self.clone() }
    }

    fn spelled(&self, prefix: &str, redactor: Redactor<'_>) -> String {
        let path = redactor.path(&self.path).to_string();
        let dot = if prefix.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
        format!("{prefix}{dot}{path}")
    }

    /// `collector:exporters.otlp/tempo.endpoint`.
    fn name(&self, redactor: Redactor<'_>) -> String {
        format!("{}:{}", self.document, self.spelled(&self.prefix, redactor))
    }

    fn matches(&self, declared: &str, redactor: Redactor<'_>) -> bool {
        let (document, path) = match declared.split_once(':') {
            Some((document, path)) => (Some(document.trim()), path.trim()),
            None => (None, declared.trim()),
        };
        document.is_none_or(|d| d == self.document)
            && [&self.prefix, &self.blue_prefix].iter().any(|p| self.spelled(p, redactor) == path)
    }
}

/// Findings so far.
pub(crate) struct Out<'a> {
    redactor: Redactor<'a>,
    allow: &'a [Allow],
    used: Vec<bool>,
    notes: Vec<Option<String>>,
    findings: Vec<Finding>,
    equivalent: Vec<Equivalent>,
    /// Values that hold references.
    pub(crate) as_written: usize,
    /// The variables in them.
    pub(crate) variables: BTreeSet<String>,
    /// Settings that neither side writes, and whose default is not the same in all versions.
    pub(crate) by_version: BTreeSet<String>,
    /// Components in use whose kind no rule knows: `receivers.custom`.
    pub(crate) unknown: BTreeSet<String>,
}

impl<'a> Out<'a> {
    pub(crate) fn new(allow: &'a [Allow], digest: KeyedDigest<'a>) -> Self {
        Self {
            redactor: Redactor { digest },
            allow,
            used: vec![false; allow.len()],
            notes: vec![None; allow.len()],
            findings: Vec::new(),
            equivalent: Vec::new(),
            as_written: 0,
            variables: BTreeSet::new(),
            by_version: BTreeSet::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// A difference. `detail` says what it means here; the rule's own sentence serves where there is nothing to add.
    pub(crate) fn finding(
        &mut self,
        rule: &'static Rule,
        place: &Place,
        blue: Option<&Node>,
        green: Option<&Node>,
        detail: Option<String>,
    ) {
        let shown = |n: Option<&Node>| n.map(|n| self.redactor.show(&place.path, n));
        let (blue_text, green_text) = (shown(blue), shown(green));
        // Where nothing is known there is nothing to declare.
        let known = rule.severity != Severity::Unknown;
        let declared =
            known.then(|| self.declaration(place, (blue, &blue_text), (green, &green_text))).flatten();
        let mark = if place.green_mark.is_nowhere() { &place.blue_mark } else { &place.green_mark };
        self.findings.push(Finding {
            path: place.name(self.redactor),
            blue: blue_text,
            green: green_text,
            detail: detail.unwrap_or_else(|| rule.what.to_owned()),
            mark: mark.clone(),
            blue_mark: place.blue_mark.clone(),
            declared,
            ..Finding::of(rule)
        });
    }

    /// A setting whose value depends on a version that nobody names.
    pub(crate) fn by_version(&mut self, place: &Place) {
        self.by_version.insert(place.name(self.redactor));
    }

    /// A better remedy for the finding just made.
    pub(crate) fn last_fix(&mut self, fix: String) {
        if let Some(finding) = self.findings.last_mut() {
            finding.fix = fix;
        }
    }

    /// Two ways to write the same.
    pub(crate) fn equivalent(&mut self, why: Why, place: &Place, blue: Option<&Node>, green: Option<&Node>) {
        let shown = |n: Option<&Node>| n.map(|n| self.redactor.show(&place.path, n));
        let mark = if place.green_mark.is_nowhere() { &place.blue_mark } else { &place.green_mark };
        self.equivalent.push(Equivalent {
            path: place.name(self.redactor),
            why,
            blue: shown(blue),
            green: shown(green),
            mark: mark.clone(),
        });
    }

    /// A text for a sentence, with credentials in it hidden.
    pub(crate) fn words(&self, text: &str) -> String {
        self.redactor.plain(text, false)
    }

    fn declaration(
        &mut self,
        place: &Place,
        blue: (Option<&Node>, &Option<String>),
        green: (Option<&Node>, &Option<String>),
    ) -> Option<Declared> {
        let mut found = None;
        for (i, allow) in self.allow.iter().enumerate() {
            if !place.matches(&allow.path, self.redactor) {
                continue;
            }
            let fits =
                self.fits(place, allow.from.as_ref(), blue) && self.fits(place, allow.to.as_ref(), green);
            if fits {
                self.used[i] = true;
                found.get_or_insert(Declared { reason: allow.reason.clone(), mark: allow.mark.clone() });
            } else {
                let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "null".to_owned());
                self.notes[i] = Some(format!("the difference is {} -> {}", value(blue.1), value(green.1)));
            }
        }
        found
    }

    /// Whether a declared value is the actual one: nothing for nothing, the same value in any spelling, or the text shown.
    fn fits(&self, place: &Place, declared: Option<&Node>, actual: (Option<&Node>, &Option<String>)) -> bool {
        let declared = declared.filter(|n| !n.is_null());
        match (declared, actual.0.filter(|n| !n.is_null())) {
            (None, None) => true,
            (Some(declared), Some(node)) => {
                same(&place.path, declared, node) != Same::No
                    || Some(&self.redactor.show(&place.path, declared)) == actual.1.as_ref()
                    || matches!(&declared.value, Value::String(text) if Some(text) == actual.1.as_ref())
            }
            _ => false,
        }
    }

    /// The report, in order.
    pub(crate) fn into_report(mut self) -> DriftReport {
        self.findings
            .sort_by(|a, b| (a.class, &a.path, a.id, &a.detail).cmp(&(b.class, &b.path, b.id, &b.detail)));
        self.equivalent.sort_by(|a, b| (&a.path, a.why).cmp(&(&b.path, b.why)));
        let left = self.allow.iter().zip(self.used).zip(self.notes).filter(|((_, used), _)| !used);
        let unused_declarations = left
            .map(|((allow, _), note)| UnusedDeclaration {
                path: allow.path.clone(),
                reason: allow.reason.clone(),
                mark: allow.mark.clone(),
                note: note.unwrap_or_else(|| "there is no such difference".to_owned()),
            })
            .collect();
        DriftReport {
            schema_version: 1,
            findings: self.findings,
            equivalent: self.equivalent,
            unused_declarations,
            as_written: self.as_written,
            variables: self.variables.into_iter().collect(),
            by_version: self.by_version.into_iter().collect(),
            unknown_components: self.unknown.into_iter().collect(),
        }
    }
}
