//! Waivers: risks that somebody accepts, for a time.
//!
//! A declaration says *this change is meant*; a waiver says *this is wrong, and we live with it until then*. What is not known
//! cannot be waived. An expired waiver waives nothing, and one that nothing needs is named, so that it is taken out.

use crate::explain;
use crate::finding::{Accepted, Finding, Place};
use crate::report::Report;
use crate::rule::rules;
use crate::words::counted;

/// A risk that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The finding's id: `CF-POSTURE-004`.
    pub finding: String,
    /// The environment, or the part of a component, file or address that it holds for, in whole names: `processors.batch` is
    /// `collector:processors.batch.timeout`, and not `processors.batch/pii`. Everywhere, if there is none.
    pub place: Option<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Until when, in nanoseconds since 1970.
    pub expires: u64,
    /// The same, as people read it.
    pub expires_text: String,
}

/// How a day is written; it ends waivers as it begins.
const DAY: &str = "2027-01-31";

rules! { "CF-WAIVER-";
    EXPIRED = "001" waiver_expired Note Security [PCI_6_5_1, NIST_CM_3]
        "A waiver that would hold has expired."
        "Accepted risks are accepted for a time, so that somebody looks again."
        "Mend what it waives, or have its owner accept it anew.";
    UNUSED = "002" waiver_unused Note Security [PCI_6_5_1, NIST_CM_3]
        "A waiver holds for nothing that was found."
        "A risk that is gone needs no waiver; one that stays would hide the next of its kind."
        "Take it out of the spec.";
    OF_UNKNOWN = "003" waiver_of_unknown Note Security [PCI_6_5_1, NIST_CM_3]
        "A waiver is about something that is not known, and that cannot be accepted."
        "Only a risk that somebody has seen can be weighed; a gate that knows nothing passes nothing."
        "Give the gate what it lacks, as its finding says; and take the waiver out of the spec.";
}

impl Waiver {
    fn is_about(&self, finding: &Finding) -> bool {
        let here = |wanted: &String| finding.place.parts().any(|(_, part)| holds(part, wanted));
        self.finding.eq_ignore_ascii_case(finding.id) && self.place.as_ref().is_none_or(here)
    }

    fn named(&self) -> Place {
        let place = self.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
        Place::default().component(format!("{}{place}", self.finding))
    }
}

/// Whether `wanted` stands in a part of a place, from the beginning of a name to the end of one.
fn holds(part: &str, wanted: &str) -> bool {
    let begins = |at: usize| !part[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
    // What follows the slash belongs to a component's name (`batch/pii`), and not to that of a host.
    let is_url = part.contains("://");
    let ends = |end: usize| {
        let next = part[end..].chars().next();
        // And `checkout -> payments` begins with a name.
        let is_arrow = part[end..].starts_with(" -> ");
        is_arrow || next.is_none_or(|c| matches!(c, '.' | ':' | '[' | ']') || is_url && c == '/')
    };
    !wanted.is_empty() && part.match_indices(wanted).any(|(at, _)| begins(at) && ends(at + wanted.len()))
}

/// Whether a finding is about a waiver, and not about what a gate has looked at.
pub(crate) fn is_about_waivers(finding: &Finding) -> bool {
    RULES.iter().any(|rule| rule.id == finding.id)
}

/// Holds the waivers against a report, at `now` (nanoseconds since 1970). Those about other gates' findings are passed over.
pub fn apply(report: &mut Report, waivers: &[Waiver], now: u64) {
    let mut notes = Vec::new();
    for waiver in waivers {
        if explain::gate(&waiver.finding) != Some(report.gate) {
            continue;
        }
        let mut about = report.findings.iter_mut().filter(|f| waiver.is_about(f) && f.fails()).peekable();
        if about.peek().is_none() {
            drop(about);
            let is_unknown = report.findings.iter().any(|f| waiver.is_about(f) && f.is_unknown());
            let rule = if is_unknown { &OF_UNKNOWN } else { &UNUSED };
            notes.push(Finding::new(rule).at(waiver.named()));
        } else if waiver.expires <= now {
            let day =
                if waiver.expires_text.len() == DAY.len() { " (as that day began, in UTC)" } else { "" };
            let seen = format!("expired {}{day}, owner {}", waiver.expires_text, waiver.owner);
            notes.push(Finding::new(&EXPIRED).at(waiver.named()).seen(seen));
        } else {
            about.for_each(|finding| finding.accepted = Some(waiver.accepts()));
        }
    }
    report.findings.extend(notes);
    report.findings.sort_by_key(|finding| finding.accepted.is_some());
    let is_waived = |finding: &&Finding| matches!(finding.accepted, Some(Accepted::Waiver { .. }));
    let waived = report.findings.iter().filter(is_waived).count() as u64;
    if waived > 0 {
        // The line counts them still.
        let many = counted(waived, "finding", "findings");
        report.summary = format!("{}; {many} accepted by waivers", report.summary);
    }
}

impl Waiver {
    fn accepts(&self) -> Accepted {
        let Waiver { reason, owner, expires_text, .. } = self.clone();
        Accepted::Waiver { reason, owner, expires: expires_text }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::drift::RULES as DRIFT;
    use crate::report::Verdict;
    use crate::rule::Severity;

    fn waiver(finding: &str, place: Option<&str>) -> Waiver {
        Waiver {
            finding: finding.to_owned(),
            place: place.map(str::to_owned),
            reason: "until the new proxy is there".to_owned(),
            owner: "ops".to_owned(),
            expires: 100,
            expires_text: "2027-01-31".to_owned(),
        }
    }

    fn report() -> Report {
        let at = |component: &str| {
            Finding::new(DRIFT[0]).at(Place::environment("green").component(component.to_owned()))
        };
        Report::new(
            "drift",
            "2 differences",
            vec![at("collector:receivers.otlp"), at("collector:extensions.zpages")],
            json!({}),
        )
    }

    fn ids(report: &Report) -> Vec<(&str, bool)> {
        report.findings.iter().map(|f| (f.id, f.accepted.is_some())).collect()
    }

    #[test]
    fn a_risk_is_accepted_where_it_is_waived_and_nowhere_else() {
        let mut here = report();
        apply(&mut here, &[waiver("cf-drift-001", Some("zpages"))], 99);
        assert_eq!(ids(&here), [("CF-DRIFT-001", false), ("CF-DRIFT-001", true)]);
        assert_eq!(here.verdict(), Verdict::Fail);
        let mut everywhere = report();
        apply(&mut everywhere, &[waiver("CF-DRIFT-001", None)], 99);
        assert_eq!(everywhere.verdict(), Verdict::Pass);
        assert_eq!(everywhere.summary, "2 differences; 2 findings accepted by waivers");
        let shown = serde_json::to_value(&everywhere).unwrap();
        assert_eq!(shown["findings"][0]["accepted"]["owner"], "ops");
    }

    /// Scenario: a risk is accepted at one place, and another place has a name that holds the same letters.
    /// Guarantee: the waiver is not for the other.
    #[test]
    fn a_place_is_meant_in_whole_names() {
        for (part, wanted, expected) in [
            ("green", "green", true),
            ("collector:processors.batch.timeout", "processors.batch", true),
            ("collector:processors.batch.timeout", "collector", true),
            ("collector:processors.batch/pii", "processors.batch/pii", true),
            ("collector:processors.batch/pii", "processors.batch", false),
            ("collector:processors.batch/pii", "pii", true),
            ("collector:processors.batch_two", "batch", false),
            ("collector:extensions.my-zpages", "zpages", false),
            ("http://10.0.0.1:4317/v1/traces", "10.0.0.1", true),
            ("http://10.0.0.1/v1/traces", "http://10.0.0.1", true),
            ("http://10.0.0.12:4317", "10.0.0.1", false),
            ("green.yaml", "green.yaml", true),
            ("evergreen.yaml", "green.yaml", false),
            ("green", "", false),
            ("trace state of a link", "trace state of a link", true),
            ("trace state of a link", "trace state", false),
            ("span attribute with a telling key", "span attribute", false),
            ("checkout -> payments: POST", "checkout", true),
            ("checkout -> payments: POST", "payments", true),
        ] {
            assert_eq!(holds(part, wanted), expected, "{wanted} in {part}");
        }
    }

    #[test]
    fn an_expired_waiver_waives_nothing_and_is_named() {
        let mut expired = report();
        apply(&mut expired, &[waiver("CF-DRIFT-001", None)], 100);
        assert_eq!(expired.verdict(), Verdict::Fail);
        assert_eq!(ids(&expired).last(), Some(&("CF-WAIVER-001", false)));
    }

    #[test]
    fn a_waiver_that_nothing_needs_is_named_and_one_for_another_gate_is_not() {
        let mut unused = report();
        apply(&mut unused, &[waiver("CF-DRIFT-014", None), waiver("CF-PROBE-001", None)], 0);
        assert_eq!(ids(&unused).last(), Some(&("CF-WAIVER-002", false)));
        assert_eq!(unused.findings.len(), 3);
    }

    #[test]
    fn what_is_not_known_cannot_be_waived() {
        let mut unknown = report();
        unknown.findings = vec![Finding::new(DRIFT[0]).severity(Severity::Unknown)];
        apply(&mut unknown, &[waiver("CF-DRIFT-001", None)], 0);
        assert_eq!(unknown.verdict(), Verdict::NoVerdict);
        assert_eq!(ids(&unknown), [("CF-DRIFT-001", false), ("CF-WAIVER-003", false)]);
    }
}
