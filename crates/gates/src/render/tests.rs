//! All forms of one report that has everything.

use std::time::Duration;

use serde_json::{Value, json};

use super::{USUAL_SITE, json as as_json_text, json_all, junit, sarif, text};
use crate::drift::RULES;
use crate::finding::{Accepted, Finding, Place};
use crate::report::{Report, Verdict};
use crate::rule::Severity;

fn report() -> Report {
    let waived = Accepted::Waiver {
        reason: "until CHG-7".to_owned(),
        owner: "ops".to_owned(),
        expires: "2027-01-31".to_owned(),
    };
    let declared =
        Accepted::Declaration { reason: "CHG-20418".to_owned(), place: Some("rollout.yaml:21:9".to_owned()) };
    let in_file = Place {
        file: Some("green env/collector.yaml".to_owned()),
        line: Some(48),
        column: Some(3),
        ..Place::environment("green").component("collector:processors.batch")
    };
    let in_trace = Place {
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        ..Place::environment("green").component("payment.id on POST /charge")
    };
    let at = |rule: usize, place: &Place| Finding::new(RULES[rule]).at(place.clone());
    let findings = vec![
        Finding { accepted: Some(waived), ..at(0, &in_file) },
        Finding { accepted: Some(declared), ..at(1, &in_file) },
        at(2, &in_trace).severity(Severity::Note).detail("a <note> & a \"quote\" \u{1}"),
        at(3, &Place::environment("green").url("https://green:16686")).severity(Severity::Unknown),
        at(4, &in_trace).severity(Severity::Critical).expected("2048").seen("x".repeat(200)),
        at(5, &in_file).seen("]]> </failure>"),
    ];
    let mut report = Report::new("drift", "6 findings, 2 of them fail", findings, json!({ "seed": "7" }));
    report.took = Some(Duration::from_millis(1_250));
    report
}

#[test]
fn as_text() {
    insta::assert_snapshot!(text(&report()));
}

#[test]
fn as_json() {
    insta::assert_snapshot!(as_json_text(&report()));
}

#[test]
fn as_junit() {
    let passed = Report::new("probe", "600/600 read back", Vec::new(), json!({}));
    let unknown = Finding::new(RULES[3]).severity(Severity::Unknown);
    let unknown = Report::new("posture", "green has not answered", vec![unknown], json!({}));
    insta::assert_snapshot!(junit(&[report(), passed, unknown]));
}

#[test]
fn as_sarif() {
    insta::assert_snapshot!(sarif(&[report()], "1.2.3", USUAL_SITE));
}

#[test]
fn what_several_come_to() {
    let passed = Report::new("probe", "", Vec::new(), json!({}));
    let all = |reports: &[Report]| -> Value {
        serde_json::from_str::<Value>(&json_all(reports, &Default::default())).unwrap()["verdict"].clone()
    };
    let unknown =
        Report::new("posture", "", vec![Finding::new(RULES[3]).severity(Severity::Unknown)], json!({}));
    assert_eq!(unknown.verdict(), Verdict::NoVerdict);
    assert_eq!(all(std::slice::from_ref(&passed)), "pass");
    assert_eq!(all(&[passed.clone(), unknown.clone()]), "no_verdict");
    assert_eq!(all(&[unknown, report(), passed]), "fail");
}

/// A note fails nothing, what is not known passes nothing, and what is accepted fails nothing.
#[test]
fn verdicts() {
    let verdict = |severity, accepted| {
        let finding = Finding { accepted, ..Finding::new(RULES[0]).severity(severity) };
        Report::new("drift", "", vec![finding], json!({})).verdict()
    };
    let declared = || Some(Accepted::Declaration { reason: String::new(), place: None });
    assert_eq!(verdict(Severity::Low, None), Verdict::Fail);
    assert_eq!(verdict(Severity::Critical, declared()), Verdict::Pass);
    assert_eq!(verdict(Severity::Note, None), Verdict::Pass);
    assert_eq!(verdict(Severity::Unknown, None), Verdict::NoVerdict);
    assert_eq!(verdict(Severity::Unknown, declared()), Verdict::NoVerdict);
}
