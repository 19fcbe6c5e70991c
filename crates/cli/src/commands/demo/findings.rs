//! What gates held against the candidate: as the log and its evidence have it, and as the plan's dry run had it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossfade_audit::show;
use crossfade_lab::measure::{Found, Source};
use crossfade_rollout::event::{Event, Outcome};
use crossfade_rollout::plan::Advice;
use crossfade_rollout::{Entry, PlanFile, RolloutId};

use crate::exit::{Failure, OrExit};

/// The findings of every gate that did not pass, from its report among the evidence; and where that is.
pub(super) fn recorded(
    of: &RolloutId,
    entries: &[Entry],
    log_dir: &Path,
) -> Result<(Vec<Found>, BTreeMap<String, PathBuf>), Failure> {
    let (mut found, mut files) = (Vec::new(), BTreeMap::new());
    for entry in entries {
        let Event::GateFinished { rollout, gate, outcome, summary, evidence, .. } = &entry.event else {
            continue;
        };
        if rollout != of || *outcome == Outcome::Pass {
            continue;
        }
        let Some(digest) = evidence else {
            found.push(Found::nothing(gate.name(), summary, Source::Log));
            continue;
        };
        let report = show::evidence(log_dir, digest).or_refused()?;
        let report = serde_json::from_slice(&report).or_refused()?;
        found.extend(Found::read(gate.name(), &report, Source::Log));
        files.insert(gate.name().to_owned(), show::evidence_file(log_dir, digest));
    }
    Ok((found, files))
}

/// What a plan's dry run found.
pub(super) fn planned(plan: &PlanFile) -> Vec<Found> {
    plan.objections().flat_map(of_advice).collect()
}

fn of_advice(advice: &Advice) -> Vec<Found> {
    if advice.findings.is_empty() {
        return vec![Found::nothing(&advice.gate, &advice.summary, Source::Plan)];
    }
    let one = |finding: &crossfade_rollout::plan::AdviceFinding| Found {
        gate: advice.gate.clone(),
        finding: finding.id.clone(),
        rule: finding.rule.clone(),
        place: finding.place.clone(),
        detail: finding.detail.clone(),
        expected: String::new(),
        seen: String::new(),
        severity: finding.severity.clone(),
        by: Source::Plan,
    };
    advice.findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use crossfade_rollout::plan::AdviceFinding;

    use super::*;

    /// Guarantee: what a dry run found counts with the weight that it had there, and not with that of its rule.
    #[test]
    fn a_finding_of_a_plan_weighs_what_it_did() {
        let rule = crossfade_gates::drift::RULES[0];
        let finding = AdviceFinding {
            id: rule.id.to_owned(),
            rule: rule.name.to_owned(),
            severity: "unknown".to_owned(),
            place: String::new(),
            detail: String::new(),
        };
        assert_ne!(rule.severity.word(), finding.severity);
        let advice = Advice {
            gate: "drift".to_owned(),
            outcome: Outcome::NoVerdict,
            summary: String::new(),
            details: Vec::new(),
            findings: vec![finding],
            warning: false,
        };
        assert_eq!(of_advice(&advice)[0].severity, "unknown");
    }
}
