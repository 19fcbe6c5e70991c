//! What is said of a gate that could not look: whatever the reason, nothing is known.

use serde_json::json;

use crate::finding::Finding;
use crate::report::Report;
use crate::rule::{Rule, rules};

rules! { "CF-GATE-";
    CANNOT_LOOK = "001" gate_cannot_look Unknown Behaviour [NIST_CM_4_2, PCI_6_5_1]
        "The gate could not look."
        "A check that did not happen says nothing, and nothing passes without its checks."
        "Give it what it lacks, and run it again.";
    TOO_LATE = "002" gate_deadline_passed Unknown Behaviour [NIST_CM_4_2, PCI_6_5_1]
        "The gate was not done within its deadline."
        "A check that hangs says nothing, and nothing passes without its checks."
        "Find out what is slow; or give the gate more time with its `deadline`.";
    BROKE = "003" gate_broke Unknown Behaviour [NIST_CM_4_2, PCI_6_5_1]
        "The gate broke while it looked."
        "A check that crashed says nothing, and nothing passes without its checks."
        "This is a defect of crossfade: report it, with what the process wrote to its log.";
}

/// The gate lacks something: `why`, in one sentence.
pub fn cannot_look(gate: &'static str, why: impl Into<String>) -> Report {
    unknown(gate, &CANNOT_LOOK, why.into())
}

/// The gate was not done within `deadline`.
pub fn too_late(gate: &'static str, deadline: &str) -> Report {
    unknown(gate, &TOO_LATE, format!("not done within its deadline of {deadline}"))
}

/// The gate crashed.
pub fn broke(gate: &'static str) -> Report {
    unknown(gate, &BROKE, "it broke while it looked".to_owned())
}

fn unknown(gate: &'static str, rule: &'static Rule, why: String) -> Report {
    Report::new(gate, why.clone(), vec![Finding::new(rule).detail(why)], json!({}))
}

#[cfg(test)]
mod tests {
    use super::{RULES, broke, cannot_look, too_late};
    use crate::report::Verdict;

    #[test]
    fn what_did_not_look_has_no_verdict() {
        for report in [cannot_look("drift", "no files"), too_late("load", "5m"), broke("probe")] {
            assert_eq!(report.verdict(), Verdict::NoVerdict);
            assert!(RULES.iter().any(|rule| rule.id == report.findings[0].id));
        }
    }
}
