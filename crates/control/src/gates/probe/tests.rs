//! The gate as a rollout runs it: what the site and the spec say is what is written, masked, searched for and kept apart.

use std::sync::Arc;

use crossfade_gates::report::Verdict;
use crossfade_lab::environment::{Environment as Simulated, Setup};
use crossfade_rollout::event::Gate;
use crossfade_routing::Seed;

use super::*;
use crate::gates::Gates;
use crate::site::Site;

const ROLLOUT: &str = "name: move\nfrom: blue\nto: green\nsteps: [{ weight: { percent: 100, duration: 1h } }, { promote: {} }, { finalize: {} }]\n";

async fn simulated(redacts: bool) -> Simulated {
    Simulated::build(Setup { redacts, ..Setup::default() }).await.unwrap()
}

fn environment(name: &str, simulated: &Simulated, more: &str) -> String {
    format!(
        "  {name}:\n    otlp: {{ endpoint: \"http://{}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{}\" }}\n{more}",
        simulated.grpc_addr(),
        simulated.query_addr()
    )
}

async fn look(site: &str, settings: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::parse(site, &folder.path().join("crossfade.yaml"), &|_: &str| None).unwrap();
    let text = format!("{ROLLOUT}gates: {{ probe: {settings} }}\n");
    let spec = crate::spec::read(&text, "rollout.yaml").unwrap();
    let outline = spec.outline("move".parse().unwrap(), Seed(7)).unwrap();
    let gates = Gates::with_key(Arc::new(site), vec![0; 32]);
    let cx = gates.cx(&outline, 7);
    let report = gates.look(Gate::Probe, &cx).await;
    let reading = cx.gauge.reading();
    assert!(reading.done > 0 && reading.done == reading.total, "{reading}");
    report
}

/// Scenario: the spec asks for cards and mail addresses to be masked; green masks them, behind three receivers. Then it does not.
/// Guarantee: what is masked passes; what is not is found, field by field.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_asks_for_masks() {
    let blue = simulated(false).await;
    let settings = "{ traces: 8, searches: 4, masks: [card, email], deadline: 60s }";
    for redacts in [true, false] {
        let green = simulated(redacts).await;
        let receivers = format!(
            "    receivers: [{{ endpoint: \"http://{0}\", protocol: http/protobuf }}, {{ endpoint: \"http://{0}\", protocol: http/json }}]\n",
            green.http_addr()
        );
        let site = format!(
            "environments:\n{}{}",
            environment("blue", &blue, ""),
            environment("green", &green, &receivers)
        );
        let report = look(&site, settings).await;
        let leaks = report.findings.iter().filter(|finding| finding.id == "CF-PROBE-010").count();
        assert_eq!(
            (report.verdict(), leaks, report.findings.len()),
            if redacts { (Verdict::Pass, 0, 0) } else { (Verdict::Fail, 26, 26) },
            "{report:#?}"
        );
        assert_eq!(report.facts["searches"]["traces"], 4);
        assert_eq!(report.facts["canaries"]["planted"], 3 * 52);
        // Through green's three receivers, and blue's one.
        let apart = report.facts["separation"].as_array().unwrap();
        let searched_in: Vec<_> = apart.iter().map(|one| one["searched_in"].as_str().unwrap()).collect();
        assert_eq!(searched_in, ["blue", "blue", "blue", "green"]);
    }
}

/// Scenario: an active environment that cannot be queried, or a spec without separation. Guarantee: nothing is written to the active
/// one, and the candidate is judged by itself; what was not looked at is told, and where the spec asks for it, it is no verdict.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_active_environment_is_left_alone_where_separation_is_not_looked_at() {
    let (blue, green) = (simulated(false).await, simulated(false).await);
    let site = |blue: String| format!("environments:\n{blue}{}", environment("green", &green, ""));
    let blind = format!("  blue:\n    otlp: {{ endpoint: \"http://{}\" }}\n", blue.grpc_addr());
    for (blue_site, settings, told) in [
        (environment("blue", &blue, ""), "{ traces: 2, separation: false, deadline: 60s }", None),
        (blind.clone(), "{ traces: 2, deadline: 60s }", Some("set environments.blue.query")),
        (blind, "{ traces: 2, separation: true, deadline: 60s }", Some("set environments.blue.query")),
    ] {
        let report = look(&site(blue_site), settings).await;
        let is_asked = settings.contains("separation: true");
        assert_eq!(
            (report.verdict(), report.findings.len()),
            (if is_asked { Verdict::NoVerdict } else { Verdict::Pass }, told.iter().len()),
            "{report:#?}"
        );
        assert!(told.is_none_or(|why| report.findings[0].detail.ends_with(why)), "{report:#?}");
        assert_eq!(report.facts["separation"], serde_json::json!([]));
        assert_eq!(report.facts["canaries"], serde_json::Value::Null, "nothing has to be masked");
    }
    assert_eq!(blue.store().span_count(), 0);
}

/// Scenario: traces are readable in time for the deadline, and not for the spec. Guarantee: that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freshness_has_a_limit_if_the_spec_says_so() {
    let (blue, green) = (simulated(false).await, simulated(false).await);
    let site =
        format!("environments:\n{}{}", environment("blue", &blue, ""), environment("green", &green, ""));
    let report = look(&site, "{ traces: 2, freshness_max: 1ns, deadline: 60s }").await;
    let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["CF-PROBE-007"], "{report:#?}");
}

/// Scenario: nobody listens at the last of green's receivers. Guarantee: it is written to as well, and named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_receiver_is_written_to() {
    let (blue, green) = (simulated(false).await, simulated(false).await);
    let silent = "    receivers: [{ endpoint: \"http://127.0.0.1:1\", protocol: http/json }]\n";
    let site =
        format!("environments:\n{}{}", environment("blue", &blue, ""), environment("green", &green, silent));
    let report = look(&site, "{ traces: 4, searches: 0, separation: false, deadline: 3s }").await;
    let told = report.findings.iter().find(|finding| finding.id == "CF-PROBE-005").unwrap();
    assert!(told.detail.contains("http/json http://127.0.0.1:1"), "{}", told.detail);
    assert_ne!(report.verdict(), Verdict::Pass);
}

/// Scenario: blue's configuration masks, and the spec does not say what green has to; then it says so, and then blue masks nothing.
/// Guarantee: the first is told, with what to paste, and that can be pasted; the others are not.
#[tokio::test]
async fn who_masks_and_does_not_ask_for_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = |processors: &str| {
        let text = format!(
            "processors: {{ redaction/pan: {{}}, batch: {{}} }}\nservice: {{ pipelines: {{ traces: {{ receivers: [otlp], processors: [{processors}], exporters: [otlp] }} }} }}\n"
        );
        std::fs::write(folder.path().join("blue.yaml"), text).unwrap();
    };
    config("redaction/pan, batch");
    let text = "environments:\n  blue:\n    otlp: { endpoint: \"http://127.0.0.1:1\" }\n    configs: { collector: [blue.yaml] }\n  green:\n    otlp: { endpoint: \"http://127.0.0.1:2\" }\n";
    let site = Site::parse(text, &folder.path().join("crossfade.yaml"), &|_: &str| None).unwrap();
    let told = async |gates: &str| {
        let spec = crate::spec::read(&format!("{ROLLOUT}{gates}\n"), "rollout.yaml").unwrap();
        MasksMissing::look(&site, &spec.from, &spec.gates).await
    };
    let missing = told("").await.unwrap();
    assert!(
        missing.detail().starts_with("blue masks (collector: redaction/pan), and no canaries"),
        "{missing:?}"
    );
    let finding = missing.finding();
    assert!(!finding.fails() && !finding.is_unknown());
    let block = finding.remedy.split('`').nth(1).unwrap();
    assert_eq!(told(block).await, None, "{block}");
    config("batch");
    assert_eq!(told("").await, None);
}

/// Scenario: rounds within a step: of a candidate that keeps everything; where nobody listens; and that has no query endpoint.
/// Guarantee: what nobody answered for is counted neither as read back nor as failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_nobody_answers_shows_nothing() {
    let green = simulated(false).await;
    let silent = "  green:\n    otlp: { endpoint: \"http://127.0.0.1:1\" }\n";
    let query = "    query: { kind: jaeger, endpoint: \"http://127.0.0.1:1\" }\n";
    let blue = "  blue:\n    otlp: { endpoint: \"http://127.0.0.1:2\" }\n";
    for (green, deadline, wanted) in [
        (environment("green", &green, ""), 60, (2, 0, true)),
        (format!("{silent}{query}"), 1, (0, 0, true)),
        (silent.to_owned(), 1, (0, 0, false)),
    ] {
        let site = format!("environments:\n{blue}{green}");
        let site = Site::parse(&site, std::path::Path::new("crossfade.yaml"), &|_: &str| None).unwrap();
        let id = "green".parse().unwrap();
        let seen = round(&id, site.environment(&id).unwrap(), 2, Duration::from_secs(deadline), 7).await;
        assert_eq!((seen.traces, seen.failed, seen.report.is_some()), wanted, "{seen:?}");
    }
}
