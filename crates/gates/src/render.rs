//! Reports as text, JSON, JUnit and SARIF.

mod junit;
mod sarif;
mod text;

use std::collections::BTreeMap;

use serde_json::json;

pub use junit::junit;
pub use sarif::{USUAL_SITE, sarif};
pub(crate) use text::{by, one};
pub use text::{head, left_out, text};

use crate::report::{Report, Verdict};

/// One report as JSON, indented.
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report holds only texts, numbers and lists")
}

/// Several reports as one JSON object, with what they come to together. `left_out`: gates that did not look, and why.
pub fn json_all(reports: &[Report], left_out: &BTreeMap<&str, String>) -> String {
    let mut all = json!({
        "schema_version": 1,
        "verdict": Verdict::of_all(reports.iter().map(Report::verdict)),
        "gates": reports,
    });
    if !left_out.is_empty() {
        all["left_out"] = json!(left_out);
    }
    serde_json::to_string_pretty(&all).expect("a report holds only texts, numbers and lists")
}

#[cfg(test)]
mod tests;
