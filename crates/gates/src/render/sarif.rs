//! SARIF 2.1.0 (OASIS), for code review tools.

use serde_json::{Value, json};

use crate::explain::rule;
use crate::finding::{Accepted, Finding, Place};
use crate::policy::EMBEDDED;
use crate::report::{Report, Verdict};
use crate::rule::{Class, Rule, Severity};

/// The file at which a finding is shown that is in no file of its own.
pub const USUAL_SITE: &str = "crossfade.yaml";

/// The reports as SARIF, a run for each; accepted findings are results with a suppression.
///
/// A finding about an endpoint or a trace is in no file. Code scanning takes no result without one, so such a result stands at
/// the first line of `asked_in`: the file that told the gates where to look.
pub fn sarif(reports: &[Report], tool_version: &str, asked_in: &str) -> String {
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": reports.iter().map(|report| run(report, tool_version, asked_in)).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&log).expect("JSON values are text")
}

fn run(report: &Report, tool_version: &str, asked_in: &str) -> Value {
    let mut used: Vec<&Rule> = report.findings.iter().filter_map(|finding| rule(finding.id)).collect();
    used.sort_by_key(|rule| rule.id);
    used.dedup_by_key(|rule| rule.id);
    let mut fingerprints: Vec<String> = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    for finding in &report.findings {
        let fingerprint = fingerprint(finding);
        let nth = fingerprints.iter().filter(|one| **one == fingerprint).count();
        // Of several that are alike, the second is the second in the next run, too.
        let told = if nth == 0 { fingerprint.clone() } else { format!("{fingerprint} #{}", nth + 1) };
        fingerprints.push(fingerprint);
        results.push(result(finding, &used, asked_in, &told));
    }
    json!({
        "tool": { "driver": {
            "name": "crossfade",
            "version": tool_version,
            "rules": used.iter().map(|rule| described(rule)).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("crossfade/{}/", report.gate) },
        "invocations": [invocation(report, &used)],
        "columnKind": "unicodeCodePoints",
        "properties": { "verdict": report.verdict(), "summary": report.summary },
        "results": results,
    })
}

/// Whether the gate came to a verdict, and what it could not find out. (SARIF 2.1.0, 3.20.14 and 3.20.21)
fn invocation(report: &Report, rules: &[&Rule]) -> Value {
    let is_successful = report.verdict() != Verdict::NoVerdict;
    let unknown = report.findings.iter().filter(|finding| finding.is_unknown());
    let notifications = unknown.map(|finding| {
        json!({
            "level": if is_successful { "warning" } else { "error" },
            "message": { "text": finding.detail },
            "associatedRule": associated(finding, rules),
        })
    });
    json!({
        "executionSuccessful": is_successful,
        "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
    })
}

fn associated(finding: &Finding, rules: &[&Rule]) -> Value {
    json!({ "id": finding.id, "index": rules.iter().position(|rule| rule.id == finding.id) })
}

fn described(rule: &Rule) -> Value {
    let controls = rule.controls.iter().map(ToString::to_string);
    let tags: Vec<String> = std::iter::once(rule.class.word().to_owned()).chain(controls).collect();
    let mut properties = json!({ "class": rule.class, "severity": rule.severity, "tags": tags });
    if let Some(score) = score(rule) {
        properties["security-severity"] = json!(score);
    }
    json!({
        "id": rule.id,
        "name": rule.name,
        "shortDescription": { "text": rule.what },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.fix },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": properties,
    })
}

/// What code scanning sorts security results by: a number on CVSS's scale, from the middle of its bands.
fn score(rule: &Rule) -> Option<&'static str> {
    match (rule.class, rule.severity) {
        (Class::Security, Severity::Critical) => Some("9.5"),
        (Class::Security, Severity::High) => Some("8.0"),
        (Class::Security, Severity::Medium) => Some("5.5"),
        (Class::Security, Severity::Low) => Some("2.0"),
        _ => None,
    }
}

fn result(finding: &Finding, rules: &[&Rule], asked_in: &str, fingerprint: &str) -> Value {
    let mut text = finding.detail.trim_end_matches('.').to_owned();
    for (label, value) in [("expected", &finding.expected), ("seen", &finding.seen)] {
        if let Some(value) = value {
            text.push_str(&format!("; {label} {value}"));
        }
    }
    let mut out = json!({
        "ruleId": finding.id,
        "ruleIndex": rules.iter().position(|rule| rule.id == finding.id),
        "level": level(finding.severity),
        "message": { "text": format!("{text}. Fix: {}", finding.remedy) },
        "locations": [location(&finding.place, asked_in)],
        "partialFingerprints": { "crossfade/v1": fingerprint },
        "properties": { "class": finding.class, "severity": finding.severity, "where": finding.place },
    });
    if finding.severity == Severity::Unknown {
        out["kind"] = json!("open");
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

/// What a finding is still known by in the next run: not its line, nor its examples, nor how much of it there was.
fn fingerprint(finding: &Finding) -> String {
    let Place { environment, file, component, url, .. } = &finding.place;
    let part = finding.known_by.as_ref().or(component.as_ref()).filter(|part| !part.is_empty());
    let parts = [environment.as_ref(), file.as_ref(), url.as_ref(), part];
    let parts = parts.into_iter().flatten().map(String::as_str);
    std::iter::once(finding.id).chain(parts).collect::<Vec<_>>().join(" ")
}

fn location(place: &Place, asked_in: &str) -> Value {
    let Place { environment, file, line, column, component, url, .. } = place;
    // A configuration that was read from a URL is in no file either, nor is a policy of the library, which is in this program.
    let (file, remote) = match file {
        Some(file) if file.starts_with(EMBEDDED) => (None, Some(file.clone())),
        Some(file) if file.contains("://") => (None, line.map(|line| format!("{file}:{line}"))),
        file => (file.as_deref(), None),
    };
    let (line, column) = if file.is_some() { (*line, *column) } else { (None, None) };
    let mut region = json!({ "startLine": line.unwrap_or(1).max(1) });
    if let Some(column) = column {
        region["startColumn"] = json!(column.max(1));
    }
    let artifact = json!({ "uri": uri(file.unwrap_or(asked_in)) });
    let mut location = json!({ "physicalLocation": { "artifactLocation": artifact, "region": region } });
    let logical = [environment, url, &remote, component].into_iter().flatten();
    let logical: Vec<&str> = logical.map(String::as_str).collect();
    if !logical.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": logical.join(" ") }]);
    }
    location
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

/// A path as a URI reference (RFC 3986): relative as it is, absolute with the scheme `file`; without dot segments, so that one
/// file has one name; what is not unreserved is percent-encoded.
fn uri(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => _ = segments.pop(),
            // Nothing is above the root.
            ".." if path.starts_with('/') => {}
            _ => segments.push(segment),
        }
    }
    let mut out = String::from(if path.starts_with('/') { "file:///" } else { "" });
    for byte in segments.join("/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
