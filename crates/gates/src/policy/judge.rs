//! Answers to findings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answers, BROKEN, DENIED, NOT_KNOWN, Objection, PolicyError, WARNED};
use crate::finding::{Finding, Place};
use crate::report::Report;
use crate::rule::Rule;

/// How many things that break one rule a finding names.
const EXAMPLES_MAX: usize = 5;

/// The report on what policies say. `blind`: gates that they were asked about and that have no verdict.
pub fn judge(policies: &[String], answers: &Answers, blind: &[String]) -> Report {
    let mut findings = grouped(&DENIED, &answers.denials);
    let denials = findings.len();
    findings.extend(grouped(&WARNED, &answers.warnings));
    if !blind.is_empty() {
        let detail = format!("no verdict of {}", blind.join(", "));
        findings.push(Finding::new(&NOT_KNOWN).detail(detail));
    }
    let noun = if policies.len() == 1 { "policy" } else { "policies" };
    let summary = match denials {
        0 => format!("{} {noun} asked, nothing denied", policies.len()),
        1 => format!("{} {noun} asked, 1 rule denies it", policies.len()),
        several => format!("{} {noun} asked, {several} rules deny it", policies.len()),
    };
    let facts =
        json!({ "policies": policies, "denials": answers.denials.len(), "warnings": answers.warnings.len() });
    Report::new("policy", summary, findings, facts)
}

/// The report when a policy cannot be asked.
pub fn cannot_ask(error: &PolicyError) -> Report {
    let place =
        Place { file: Some(error.name.clone()), line: error.line, column: error.column, ..Place::default() };
    let finding = Finding::new(&BROKEN).at(place).detail(error.what.clone());
    Report::new("policy", error.to_string(), vec![finding], Value::Object(serde_json::Map::new()))
}

/// A finding for each rule, however many things break it.
fn grouped(rule: &'static Rule, objections: &[Objection]) -> Vec<Finding> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for Objection { requirement, says, because, policy } in objections {
        let key = match requirement.is_empty() {
            true => (policy.as_str(), because.as_str(), says.as_str()),
            false => (policy.as_str(), requirement.as_str(), says.as_str()),
        };
        groups.entry(key).or_default().push(because);
    }
    groups
        .into_iter()
        .map(|((policy, requirement, says), because)| one(rule, policy, requirement, says, &because))
        .collect()
}

fn one(rule: &'static Rule, policy: &str, requirement: &str, says: &str, because: &[&str]) -> Finding {
    let named = because.iter().take(EXAMPLES_MAX).copied().collect::<Vec<_>>().join("; ");
    let more = because.len().saturating_sub(EXAMPLES_MAX);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let detail = match (says.is_empty(), because) {
        (false, _) => format!("{requirement}, \"{says}\": {named}{more}"),
        (true, [only]) if *only == requirement => named,
        (true, _) => format!("{requirement}: {named}{more}"),
    };
    let finding = Finding::new(rule)
        .at(Place { file: Some(policy.to_owned()), ..Place::default() }.component(requirement))
        .detail(detail);
    if says.is_empty() { finding } else { finding.expected(says) }
}
