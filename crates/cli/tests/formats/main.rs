//! What other programs read: SARIF by its official schema and by what code scanning asks beyond it, JUnit by a reader that is not ours.
//!
//! *Scenario.* Every gate writes a report with findings of several weights, accepted ones, and every kind of place.
//! *Guarantee.* What is written can be read, says what the report says, and a file that is not right is told from one that is.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

#[path = "../support/mod.rs"]
mod support;

mod readers;
mod reports;

use std::collections::BTreeSet;

use crossfade_gates::render::{USUAL_SITE, junit, sarif};
use crossfade_gates::{Accepted, Report, Verdict};
use serde_json::Value;

use readers::{Schema, scannable};
use support::{COLLECTOR, Folder, ROLLOUT};

type Change<'a> = &'a dyn Fn(&mut Value);

fn written(reports: &[Report]) -> Value {
    serde_json::from_str(&sarif(reports, "1.2.3", USUAL_SITE)).unwrap()
}

#[test]
fn the_reports_have_everything() {
    let reports = reports::all();
    let gates: BTreeSet<&str> = reports.iter().map(|report| report.gate).collect();
    assert_eq!(gates.len(), 9);
    for report in &reports[..9] {
        let accepted = report.findings.iter().filter(|finding| finding.accepted.is_some()).count();
        let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id).collect();
        assert!(accepted > 0 && ids.len() > accepted, "{}: {ids:?}", report.gate);
    }
    let all = || reports.iter().flat_map(|report| &report.findings);
    for part in ["environment", "file", "component", "url", "trace", "span"] {
        assert!(all().any(|finding| finding.place.parts().any(|(name, _)| name == part)), "{part}");
    }
    assert!(all().any(|finding| finding.place.parts().next().is_none()), "nowhere");
    assert!(all().any(|finding| finding.place.line.is_some() && finding.place.column.is_some()));
    assert!(all().any(|finding| finding.is_unknown()));
    let accepted =
        |by: fn(&Accepted) -> bool| all().filter_map(|f| f.accepted.as_ref()).filter(|a| by(a)).count();
    assert!(accepted(|by| matches!(by, Accepted::Waiver { .. })) >= 9);
    assert!(accepted(|by| matches!(by, Accepted::Declaration { .. })) > 0);
    let verdicts: BTreeSet<&str> = reports.iter().map(|report| report.verdict().word()).collect();
    assert_eq!(verdicts.len(), 3);
}

#[test]
fn sarif_is_as_its_schema_says() {
    let schema = Schema::read();
    let reports = reports::all();
    for report in reports {
        let one = written(std::slice::from_ref(report));
        schema.check(&one).unwrap_or_else(|why| panic!("{}: {why}", report.gate));
        scannable(&one).unwrap_or_else(|why| panic!("{}: {why}", report.gate));
    }
    let all = written(reports);
    schema.check(&all).unwrap();
    scannable(&all).unwrap();
    let results = |run: &Value| run["results"].as_array().unwrap().len();
    let counts: Vec<usize> = all["runs"].as_array().unwrap().iter().map(results).collect();
    assert_eq!(counts, reports.iter().map(|report| report.findings.len()).collect::<Vec<_>>());
}

#[test]
fn a_file_has_one_name_in_sarif() {
    let all = written(reports::all());
    let results =
        || all["runs"].as_array().unwrap().iter().flat_map(|run| run["results"].as_array().unwrap());
    let uris: BTreeSet<&str> = results()
        .filter_map(|result| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str())
        .collect();
    let expected = [
        "crossfade.yaml",
        "file:///etc/otelcol/config.yaml",
        "green%20env/gr%C3%B6%C3%9Fer.yaml",
        "policies/bank.rego",
        "policies/broken.rego",
    ];
    assert_eq!(uris, expected.into());
    let names = results()
        .filter_map(|result| result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].as_str());
    let remote = names.filter(|name| name.starts_with("green http://127.0.0.1:55679/effective:"));
    assert!(remote.count() > 0, "what was read from a URL is named with it");
}

/// Guarantee: a policy of the library, which is in no file, is shown where it was asked for, with its name.
#[test]
fn a_ready_policy_is_no_file_in_sarif() {
    let all = written(reports::all());
    let results =
        || all["runs"].as_array().unwrap().iter().flat_map(|run| run["results"].as_array().unwrap());
    let is_ready = |result: &&Value| result.to_string().contains("crossfade:pci.rego");
    let ready: Vec<&Value> = results().filter(is_ready).collect();
    assert_eq!(ready.len(), 1);
    let location = &ready[0]["locations"][0];
    assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], USUAL_SITE);
    let name = &location["logicalLocations"][0]["fullyQualifiedName"];
    assert_eq!(name, "crossfade:pci.rego PCI DSS 3.5.1");
}

/// Scenario: a gate looks again, and its sample has other traces, so that its examples, counts and times are others.
/// Guarantee: what it finds is known by the same fingerprint as before; two findings of one report have two.
#[test]
fn a_finding_keeps_its_fingerprint() {
    let fingerprints = |report: Report| -> BTreeSet<String> {
        let all = written(&[report]);
        let results = all["runs"][0]["results"].as_array().unwrap();
        let of = |result: &Value| result["partialFingerprints"]["crossfade/v1"].as_str().unwrap().to_owned();
        let each: BTreeSet<String> = results.iter().map(of).collect();
        assert_eq!(each.len(), results.len(), "one for each: {each:?}");
        each
    };
    let texts = |report: &Report| -> Vec<String> {
        report.findings.iter().map(|finding| format!("{} {}", finding.place, finding.detail)).collect()
    };
    assert_ne!(texts(&reports::parity(1)), texts(&reports::parity(2)));
    assert_eq!(fingerprints(reports::parity(1)), fingerprints(reports::parity(2)));
    assert_ne!(texts(&reports::history(0)), texts(&reports::history(20)));
    assert_eq!(fingerprints(reports::history(0)), fingerprints(reports::history(20)));
    reports::all().iter().for_each(|report| drop(fingerprints(report.clone())));
}

/// Guarantee: whoever reads SARIF alone sees that a gate came to no verdict, and for want of what.
#[test]
fn no_verdict_is_no_success_in_sarif() {
    let all = written(reports::all());
    let runs = all["runs"].as_array().unwrap();
    for (report, run) in reports::all().iter().zip(runs) {
        let invocation = &run["invocations"][0];
        let has_verdict = report.verdict() != Verdict::NoVerdict;
        assert_eq!(invocation["executionSuccessful"], has_verdict, "{}", report.gate);
        let told = invocation["toolExecutionNotifications"].as_array().unwrap();
        let unknown: Vec<_> = report.findings.iter().filter(|finding| finding.is_unknown()).collect();
        assert_eq!(told.len(), unknown.len(), "{}", report.gate);
        for (told, finding) in told.iter().zip(unknown) {
            assert_eq!(told["message"]["text"], finding.detail);
            assert_eq!(told["level"], if has_verdict { "warning" } else { "error" });
            let rule =
                &run["tool"]["driver"]["rules"][told["associatedRule"]["index"].as_u64().unwrap() as usize];
            assert_eq!(
                (&told["associatedRule"]["id"], &rule["id"]),
                (&finding.id.into(), &finding.id.into())
            );
        }
    }
    assert!(runs.iter().any(|run| run["invocations"][0]["executionSuccessful"] == false));
}

/// Scenario: something is not as it should be, at one place after the other. Guarantee: the checks of this file see it.
#[test]
fn broken_sarif_is_found_out() {
    let schema = Schema::read();
    let all = written(reports::all());
    let broken = |change: Change<'_>| {
        let mut all = all.clone();
        change(&mut all);
        all
    };
    let of_schema: [(&str, Change<'_>); 6] = [
        ("level", &|all| all["runs"][0]["results"][0]["level"] = "high".into()),
        ("startColumn", &|all| location(all)["physicalLocation"]["region"]["startColumn"] = 0.into()),
        ("uri", &|all| location(all)["physicalLocation"]["artifactLocation"]["uri"] = "a b.yaml".into()),
        ("message", &|all| _ = all["runs"][1]["results"][0].as_object_mut().unwrap().remove("message")),
        ("severity", &|all| all["runs"][1]["results"][0]["severity"] = "high".into()),
        ("justification", &|all| {
            all["runs"][0]["results"][0]["suppressions"] = serde_json::json!([{ "justification": "none" }])
        }),
    ];
    for (what, change) in of_schema {
        let why = schema.check(&broken(change)).expect_err(what);
        assert!(why.contains("/runs/"), "{what}: {why}");
    }
    let of_scanning: [(&str, Change<'_>); 5] = [
        ("no rule", &|all| all["runs"][0]["tool"]["driver"]["rules"] = Value::Array(Vec::new())),
        ("another rule", &|all| all["runs"][0]["results"][0]["ruleIndex"] = 1_000.into()),
        ("nowhere", &|all| _ = all["runs"][2]["results"][0].as_object_mut().unwrap().remove("locations")),
        ("not normal", &|all| {
            location(all)["physicalLocation"]["artifactLocation"]["uri"] = "./green.yaml".into()
        }),
        ("a scheme", &|all| {
            location(all)["physicalLocation"]["artifactLocation"]["uri"] = "http://h/green.yaml".into()
        }),
    ];
    for (what, change) in of_scanning {
        let broken = broken(change);
        schema.check(&broken).unwrap_or_else(|why| panic!("the schema does not ask for it: {what}: {why}"));
        scannable(&broken).expect_err(what);
    }
}

fn location(all: &mut Value) -> &mut Value {
    &mut all["runs"][0]["results"][0]["locations"][0]
}

#[test]
fn junit_opens_in_a_foreign_reader() {
    let reports = reports::all();
    let read = junit_parser::from_reader(junit(reports).as_bytes()).unwrap();
    let count = |wanted| reports.iter().filter(|report| report.verdict() == wanted).count() as u64;
    assert_eq!(
        (read.tests, read.failures, read.errors),
        (11, count(Verdict::Fail), count(Verdict::NoVerdict))
    );
    assert!((read.time - 1.25 * 11.0).abs() < 1e-9);
    let cases = &read.suites[0].cases;
    assert_eq!(cases.len(), reports.len());
    for (case, report) in cases.iter().zip(reports) {
        assert_eq!(
            (case.original_name.as_str(), case.classname.as_deref()),
            (report.gate, Some("crossfade.gate"))
        );
        let (kind, message, text) = match report.verdict() {
            Verdict::Pass => {
                assert!(case.status.is_success());
                assert!(case.system_out.as_deref().unwrap().contains(&report.summary));
                continue;
            }
            Verdict::Fail => {
                let failure = case.status.failure_as_ref();
                (&failure.failure_type, &failure.message, &failure.text)
            }
            Verdict::NoVerdict => {
                let error = case.status.error_as_ref();
                (&error.error_type, &error.message, &error.text)
            }
        };
        assert_eq!(Some(kind.as_str()), report.first().map(|finding| finding.id));
        let readable = |text: &str| text.replace(['\u{0}', '\u{1b}'], "\u{fffd}");
        assert_eq!(*message, readable(&report.summary));
        let unaccepted = report.findings.iter().filter(|finding| finding.accepted.is_none());
        unaccepted.for_each(|finding| assert!(text.contains(finding.id), "{} in {text}", finding.id));
    }
}

/// A command by itself measures no time: that is none, and not less.
#[test]
fn a_time_that_was_not_measured_is_none() {
    let report = Report { took: None, ..reports::all()[0].clone() };
    let text = junit(&[report]);
    assert!(text.matches("time=\"0.000\"").count() == 3 && !text.contains("time=\"-"), "{text}");
}

#[test]
fn broken_junit_is_found_out() {
    let whole = junit(reports::all());
    for (part, instead) in [("</testcase>", ""), ("time=\"", "time=\"x"), ("&lt;CHG-7&gt;", "<CHG-7>")] {
        assert!(whole.contains(part), "{part}");
        assert!(junit_parser::from_reader(whole.replace(part, instead).as_bytes()).is_err(), "{part}");
    }
}

/// Scenario: a pipeline runs all gates of a rollout: drift fails, the candidate does not answer.
/// Guarantee: the joined files open, with a run and a test case for each gate.
#[test]
fn what_gate_run_all_writes_opens() {
    let folder = Folder::new();
    let site = support::SITE.replacen("collector: [collector.yaml]", "collector: [blue.yaml]", 1);
    folder.write("crossfade.yaml", &site);
    folder.write("blue.yaml", COLLECTOR);
    folder.write("collector.yaml", &COLLECTOR.replace(":4317\"", ":4317\", max_recv_msg_size_mib: 3"));
    folder.write("rollout.yaml", &format!("{ROLLOUT}gates: {{ probe: {{ traces: 1, deadline: 1s }} }}\n"));
    let run = |gate: &str, format: &str| {
        let ran =
            folder.run(&["gate", "run", gate, "--rollout", "rollout.yaml", "-o", format, "--seed", "7"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        ran.stdout
    };
    let all: Value = serde_json::from_str(&run("all", "sarif")).unwrap();
    Schema::read().check(&all).unwrap();
    scannable(&all).unwrap();
    let runs = all["runs"].as_array().unwrap();
    let of =
        |gate: &str| runs.iter().find(|run| run["automationDetails"]["id"] == format!("crossfade/{gate}/"));
    let uri = |gate: &str| {
        let at =
            &of(gate).unwrap()["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        at.as_str().unwrap().to_owned()
    };
    assert_eq!((uri("drift"), uri("probe")), ("collector.yaml".to_owned(), "rollout.yaml".to_owned()));

    let read = junit_parser::from_reader(run("all", "junit").as_bytes()).unwrap();
    assert_eq!((read.tests as usize, read.failures, read.errors as usize), (runs.len(), 1, runs.len() - 1));
}
