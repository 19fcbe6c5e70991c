//! A report as text, as JSON, as SARIF, and as declarations to paste.

mod text;

use super::references;
use super::report::{DriftReport, Finding};
pub use text::{Detail, as_written, by_version, text, text_with, unknown};

/// The report as JSON, indented, in the form that all gates share.
pub fn json(report: &DriftReport) -> String {
    crate::render::json(&report.report())
}

/// The report as SARIF 2.1.0; declared differences are results with a suppression.
pub fn sarif(report: &DriftReport, tool_version: &str) -> String {
    crate::render::sarif(&[report.report()], tool_version, crate::render::USUAL_SITE)
}

/// The `allow` entries that would declare every difference which is not declared yet, as YAML to paste into a spec;
/// empty if there is none. The reasons are left for a person to write.
pub fn suggest(report: &DriftReport) -> String {
    let mut lines: Vec<String> = Vec::new();
    for finding in report.findings.iter().filter(|f| f.can_be_declared()) {
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
