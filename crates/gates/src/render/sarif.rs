//! SARIF 2.1.0 (OASIS), for code review tools.

use serde_json::{Value, json};

use crate::explain::rule;
use crate::finding::{Accepted, Finding};
use crate::report::Report;
use crate::rule::{Rule, Severity};

/// The reports as SARIF, a run for each; accepted findings are results with a suppression.
pub fn sarif(reports: &[Report], tool_version: &str) -> String {
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": reports.iter().map(|report| run(report, tool_version)).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&log).expect("JSON values are text")
}

fn run(report: &Report, tool_version: &str) -> Value {
    let mut used: Vec<&Rule> = report.findings.iter().filter_map(|finding| rule(finding.id)).collect();
    used.sort_by_key(|rule| rule.id);
    used.dedup_by_key(|rule| rule.id);
    json!({
        "tool": { "driver": {
            "name": "crossfade",
            "version": tool_version,
            "rules": used.iter().map(|rule| described(rule)).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("crossfade/{}/", report.gate) },
        "columnKind": "unicodeCodePoints",
        "properties": { "verdict": report.verdict(), "summary": report.summary },
        "results": report.findings.iter().map(|finding| result(finding, &used)).collect::<Vec<_>>(),
    })
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.name,
        "shortDescription": { "text": rule.what },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.fix },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "class": rule.class, "severity": rule.severity, "tags": rule.controls },
    })
}

fn result(finding: &Finding, rules: &[&Rule]) -> Value {
    let mut text = finding.detail.trim_end_matches('.').to_owned();
    for (label, value) in [("expected", &finding.expected), ("seen", &finding.seen)] {
        if let Some(value) = value {
            text.push_str(&format!("; {label} {value}"));
        }
    }
    let component = finding.place.component.as_deref().unwrap_or_default();
    let mut out = json!({
        "ruleId": finding.id,
        "ruleIndex": rules.iter().position(|rule| rule.id == finding.id),
        "level": level(finding.severity),
        "message": { "text": format!("{text}. Fix: {}", finding.remedy) },
        "partialFingerprints": { "crossfade/v1": format!("{} {component}", finding.id) },
        "properties": { "class": finding.class, "severity": finding.severity, "where": finding.place },
    });
    if finding.severity == Severity::Unknown {
        out["kind"] = json!("open");
    }
    if let Some(location) = location(finding) {
        out["locations"] = json!([location]);
    }
    if let Some(accepted) = &finding.accepted {
        let why = match accepted {
            Accepted::Declaration { reason, .. } => reason.clone(),
            Accepted::Waiver { reason, owner, expires } => format!("{reason} ({owner}, until {expires})"),
        };
        out["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    out
}

fn location(finding: &Finding) -> Option<Value> {
    let place = &finding.place;
    let mut location = json!({});
    if let Some(file) = &place.file {
        location["physicalLocation"] = json!({ "artifactLocation": { "uri": uri(file) } });
        if let Some(line) = place.line {
            location["physicalLocation"]["region"] =
                json!({ "startLine": line.max(1), "startColumn": place.column.unwrap_or(1).max(1) });
        }
    }
    let logical = [&place.environment, &place.url, &place.component].into_iter().flatten();
    let logical: Vec<&str> = logical.map(String::as_str).collect();
    if !logical.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": logical.join(" ") }]);
    }
    location.as_object().is_some_and(|map| !map.is_empty()).then_some(location)
}

/// What is not known is no failure, and SARIF has a kind for it; its level is then `none`.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Low => "warning",
        Severity::Note => "note",
        Severity::Unknown => "none",
    }
}

/// A path as a URI reference (RFC 3986): what is not unreserved is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
