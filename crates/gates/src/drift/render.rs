//! A report as text, as JSON, as SARIF, and as declarations to paste.

mod sarif;
mod text;

use super::references;
use super::report::{DriftReport, Finding};
pub use sarif::sarif;
pub use text::{Detail, as_written, text};

/// The report as JSON, indented; its shape is that of [`DriftReport`], `schema_version` first.
pub fn json(report: &DriftReport) -> String {
    serde_json::to_string_pretty(report).expect("a report holds only texts, numbers and lists")
}

/// The `allow` entries that would declare every difference which is not declared yet, as YAML to paste into a spec;
/// empty if there is none. The reasons are left for a person to write.
pub fn suggest(report: &DriftReport) -> String {
    let mut lines: Vec<String> = Vec::new();
    for finding in report.findings.iter().filter(|f| f.declared.is_none()) {
        let line = entry(finding);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() { String::new() } else { format!("gates:\n  drift:\n    allow:\n{}", lines.concat()) }
}

fn entry(finding: &Finding) -> String {
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "null".to_owned());
    let path = serde_json::Value::from(references::escaped(&finding.path));
    format!(
        "      - path: {path}   # {} {}, {}\n        from: {}\n        to: {}\n        reason: \"\"\n",
        finding.id,
        finding.rule,
        finding.class.word(),
        references::escaped(&value(&finding.blue)),
        references::escaped(&value(&finding.green))
    )
}
