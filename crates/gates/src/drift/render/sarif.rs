//! SARIF 2.1.0 (OASIS), for code review tools.

use serde_json::{Value, json};

use super::super::report::{DriftReport, Finding};
use super::super::rules::{Class, RULES, Rule};

/// The report as SARIF; declared differences are results with a suppression.
pub fn sarif(report: &DriftReport, tool_version: &str) -> String {
    let used: Vec<&Rule> =
        RULES.iter().copied().filter(|r| report.findings.iter().any(|f| f.id == r.id)).collect();
    let results: Vec<Value> = report.findings.iter().map(|f| result(f, &used)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "crossfade drift",
                "version": tool_version,
                "rules": used.iter().map(|r| rule(r)).collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).expect("JSON values are text")
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.name,
        "shortDescription": { "text": rule.what },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.fix },
        "defaultConfiguration": { "level": level(rule.class) },
        "properties": { "class": rule.class },
    })
}

fn result(finding: &Finding, rules: &[&Rule]) -> Value {
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "(nothing)".to_owned());
    let change = format!("{}: {} -> {}", finding.path, value(&finding.blue), value(&finding.green));
    let mut out = json!({
        "ruleId": finding.id,
        "ruleIndex": rules.iter().position(|r| r.id == finding.id),
        "level": level(finding.class),
        "message": { "text": format!("{}. {change}. Fix: {}", finding.detail.trim_end_matches('.'), finding.fix) },
        "properties": { "class": finding.class, "path": finding.path },
    });
    if !finding.mark.is_nowhere() {
        out["locations"] = json!([{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.mark.source) },
            "region": { "startLine": finding.mark.line, "startColumn": finding.mark.column },
        }}]);
    }
    if let Some(declared) = &finding.declared {
        out["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": declared.reason }]);
    }
    out
}

fn level(class: Class) -> &'static str {
    match class {
        Class::Security | Class::Data => "error",
        Class::Behaviour | Class::Capacity => "warning",
        Class::Cosmetic => "note",
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
