//! `crossfade load` against simulated environments: what it prints, and how it ends.

mod support;

use crossfade_lab::environment::{Environment, Faults};
use serde_json::Value;
use support::{Folder, Ran};

/// Half a second of load, and a limit that a busy machine keeps too.
const SHORT: [&str; 13] = [
    "--rate",
    "2000",
    "--ramp",
    "200ms",
    "--ramp-steps",
    "1",
    "--hold",
    "300ms",
    "--spike",
    "100ms",
    "--objective",
    "max=30s",
    "--traces=20",
];

async fn run(arguments: Vec<String>) -> Ran {
    let running = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Folder::new().run(&arguments)
    };
    tokio::task::spawn_blocking(running).await.expect("it runs")
}

async fn load(environment: &Environment, more: &[&str]) -> Ran {
    let (otlp, query) = (environment.grpc_addr(), environment.query_addr());
    let mut arguments = vec!["load".to_owned(), "--otlp".to_owned(), format!("http://{otlp}")];
    arguments.extend(["--query".to_owned(), format!("http://{query}")]);
    arguments.extend(SHORT.iter().chain(more).map(|argument| (*argument).to_owned()));
    run(arguments).await
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn rules(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["rule"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_keeps_up_passes() {
    let environment = Environment::start(1).await.expect("it starts");
    let ran = load(&environment, &["--seed", "7"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for text in ["ramp 1/1", "hold", "spike", "✔ load", "20/20 read back", "good for 3,000 spans/s or more"]
    {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("hold: 2000 spans/s"), "progress is told: {}", ran.stderr);
    let report = json(&load(&environment, &["--seed", "7", "-o", "json"]).await);
    assert_eq!((report["gate"].as_str(), report["verdict"].as_str()), (Some("load"), Some("pass")));
    let facts = report["facts"]["environments"].as_object().expect("environments").values().next();
    let facts = &facts.expect("one")["receivers"][0];
    assert_eq!((facts["seed"].as_str(), facts["phases"].as_array().map(Vec::len)), (Some("7"), Some(3)));
    assert_eq!(facts["phases"][1]["offered"], facts["phases"][1]["accepted"]);
    assert_eq!(environment.store().duplicate_count(), 0, "a seed that is used again makes other ids");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_loses_spans_fails() {
    let environment = Environment::start(1).await.expect("it starts");
    environment.set_faults(Faults { lose_service: Some("crossfade-load-peer"), ..Faults::default() });
    let ran = load(&environment, &["--read-back", "500ms", "-o", "json"]).await;
    assert_eq!((ran.code, rules(&json(&ran))), (1, vec!["incomplete_under_load"]), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_environments_stand_side_by_side() {
    let (blue, green) =
        (Environment::start(1).await.expect("it starts"), Environment::start(2).await.expect("it starts"));
    let site = format!(
        "environments:\n  blue:\n    otlp: {{ endpoint: \"http://{}\" }}\n    query: {{ kind: jaeger, endpoint: \"http://{}\" }}\n  \
         green:\n    otlp: {{ endpoint: \"http://{}\", compression: gzip }}\n    query: {{ kind: jaeger, endpoint: \"http://{}\" }}\n",
        blue.grpc_addr(),
        blue.query_addr(),
        green.grpc_addr(),
        green.query_addr()
    );
    let running = move || {
        let folder = Folder::new();
        folder.write("crossfade.yaml", &site);
        let site = ["load", "--environment", "green", "--against", "blue", "--worse-max", "100000%"];
        folder.run(&site.iter().chain(&SHORT).copied().collect::<Vec<_>>())
    };
    let ran = tokio::task::spawn_blocking(running).await.expect("it runs");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for text in ["blue is good for", "green is good for", "(blue "] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    assert!(blue.store().span_count() > 0 && blue.store().span_count() == green.store().span_count());
}

#[test]
fn nobody_there_is_out_of_reach_and_without_a_place_to_read_from_nothing_is_known() {
    let folder = Folder::new();
    let away = ["load", "--otlp", "http://127.0.0.1:9", "--rate", "100", "-o", "json"];
    let ran = folder.run(&away);
    assert_eq!((ran.code, rules(&json(&ran))), (5, vec!["load_unreachable"]), "{}", ran.stderr);
    assert_eq!(json(&ran)["verdict"], "no_verdict");
}

#[test]
fn what_means_nothing_is_a_usage_error() {
    let folder = Folder::new();
    let otlp = ["load", "--otlp", "http://127.0.0.1:9"];
    for (more, says) in [
        (vec![], "--rate"),
        (vec!["--rate", "0"], "0"),
        (vec!["--rate", "100", "--multiple", "2"], "cannot be used with"),
        (vec!["--rate", "100", "--objective", "p99"], "p99=250ms"),
        (vec!["--rate", "100", "--hold", "0s"], "--hold"),
        (vec!["--rate", "100", "--hold", "fast"], "--hold"),
        (vec!["--rate", "100", "--spike-multiple", "NaN"], "--spike-multiple"),
        (vec!["--rate", "100", "--against", "blue"], "--against"),
        (vec!["--rate", "100", "--environment", "green"], "cannot be used with"),
        (vec!["--rate", "100", "--query", "what?"], "--query"),
    ] {
        let ran = folder.run(&[&otlp[..], &more].concat());
        assert!(ran.code == 2 && ran.stderr.contains(says), "{more:?}: {} {}", ran.code, ran.stderr);
    }
    let ran = folder.run(&["load", "--environment", "teal", "--rate", "100"]);
    assert!(ran.code == 2 && ran.stderr.contains("use one of: blue, green"), "{}", ran.stderr);
    let ran = folder.run(&["load", "--otlp", "tcp://x", "--rate", "100"]);
    assert!(ran.code == 2 && ran.stderr.contains("--otlp: "), "{}", ran.stderr);
}
