//! `crossfade probe` and `crossfade probe purge` against simulated environments: what is asked for, what is printed, how it ends.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod support;

use std::sync::Arc;

use crossfade_lab::environment::{Authority, Clients, Environment, Setup};
use serde_json::Value;
use support::{Folder, Ran};

async fn simulated(setup: Setup) -> Environment {
    Environment::build(setup).await.unwrap()
}

fn redacting(redacts: bool) -> Setup {
    Setup { redacts, ..Setup::default() }
}

async fn run(folder: Folder, arguments: Vec<String>) -> (Folder, Ran) {
    let running = move || {
        let ran = folder.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        (folder, ran)
    };
    tokio::task::spawn_blocking(running).await.unwrap()
}

/// The command line that probes an environment by its endpoints.
fn at(environment: &Environment, scheme: &str, more: &[&str]) -> Vec<String> {
    let url = |address: std::net::SocketAddr| format!("{scheme}://{address}");
    let mut arguments = vec!["probe".to_owned(), "--otlp".to_owned(), url(environment.grpc_addr())];
    arguments.extend(["--query".to_owned(), url(environment.query_addr()), "--traces=8".to_owned()]);
    arguments.extend(
        ["http/protobuf", "http/json"].map(|p| format!("--receiver={p}={}", url(environment.http_addr()))),
    );
    arguments.extend(more.iter().map(|one| (*one).to_owned()));
    arguments
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn ids(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// Scenario: what has to mask does, and does not. Guarantee: exit codes 0 and 1; the seed is told; each field that leaks is named.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_masked_is_said_on_the_command_line() {
    let (good, bad) = (simulated(redacting(true)).await, simulated(redacting(false)).await);
    let masks = ["--masks", "card,email", "--seed", "7"];
    let (_, ran) = run(Folder::new(), at(&good, "http", &masks)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("8/8 read back") && ran.stdout.contains("156/156 canaries masked"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("seed 7"), "{}", ran.stderr);
    let (_, ran) = run(Folder::new(), at(&bad, "http", &[&masks[..], &["-o", "json"]].concat())).await;
    let report = json(&ran);
    assert_eq!((ran.code, ids(&report)), (1, vec!["CF-PROBE-010"; 26]), "{}", ran.stderr);
    assert_eq!(report["facts"]["canaries"]["planted"], 156);
}

/// Scenario: TLS on every port, signed by nobody that the system knows, and queries need a token.
/// Guarantee: the right CA and the right token, from a file, pass; without them nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn ca_and_headers_are_said_on_the_command_line() {
    let authority = Arc::new(Authority::new("lab").unwrap());
    let folder = Folder::new();
    folder.write("ca.pem", &authority.certificate());
    folder.write("token", "Bearer s3cret\n");
    let setup = Setup {
        tls: Some((authority, Clients::Anyone)),
        query_token: Some("s3cret".to_owned()),
        ..Setup::default()
    };
    let green = simulated(setup).await;
    let (ca, token) = (["--ca-file", "ca.pem"], ["--query-header", "authorization=@token"]);
    let (folder, ran) = run(folder, at(&green, "https", &[&ca[..], &token].concat())).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let short = ["--deadline", "2s"];
    let (folder, ran) = run(folder, at(&green, "https", &[&ca[..], &short].concat())).await;
    assert_eq!(ran.code, 5, "without a token every question is refused: {}", ran.stdout);
    let (_, ran) = run(folder, at(&green, "https", &[&token[..], &short].concat())).await;
    assert_eq!(ran.code, 5, "an unknown CA is out of reach: {}", ran.stdout);
}

fn site(environments: &[(&str, &Environment)]) -> Folder {
    let folder = Folder::new();
    let text = environments.iter().map(|(name, environment)| {
        format!(
            "  {name}:\n    otlp: {{ endpoint: \"http://{}\" }}\n    receivers: [{{ endpoint: \"http://{}\", protocol: http/json }}]\n    query: {{ kind: jaeger, endpoint: \"http://{}\" }}\n",
            environment.grpc_addr(),
            environment.http_addr(),
            environment.query_addr()
        )
    });
    folder.write("crossfade.yaml", &format!("environments:\n{}", text.collect::<String>()));
    folder
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Scenario: environments of the site are probed; then what is left behind is to be purged.
/// Guarantee: separation is looked at, and the listing names what is there, what was not removed and why. Where nothing is, all is well.
#[tokio::test(flavor = "multi_thread")]
async fn environments_are_probed_beside_each_other_and_listed() {
    let (blue, green) = (simulated(Setup::default()).await, simulated(Setup::default()).await);
    let folder = site(&[("blue", &blue), ("green", &green)]);
    let (folder, ran) = run(folder, words("probe purge --environment green")).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("green holds no synthetic traces"), "{}", ran.stdout);

    let probe = "probe --environment green --against blue --traces 8 -o json";
    let (folder, ran) = run(folder, words(probe)).await;
    let report = json(&ran);
    assert_eq!((ran.code, ids(&report)), (0, vec![]), "{}", ran.stderr);
    assert_eq!(report["facts"]["separation"].as_array().unwrap().len(), 4);
    assert_eq!(report["facts"]["values_cut_to_bytes"], serde_json::json!({ "green": null, "blue": null }));

    let (folder, ran) = run(folder, words("probe purge --environment green -o json")).await;
    let listed = json(&ran);
    assert_eq!((ran.code, &listed["removed"], &listed["complete"]), (1, &0.into(), &true.into()), "{listed}");
    // Eight, and one through each of the two receivers that was written here alone.
    assert_eq!((&listed["traces"], &listed["services"]["crossfade-probe"]), (&10.into(), &10.into()));
    assert_eq!(listed["trace_ids"].as_array().unwrap().len(), 10);
    let (_, ran) = run(folder, words("probe purge --environment blue")).await;
    assert!(ran.stdout.starts_with("blue holds 2 synthetic traces "), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("Jaeger's query API cannot delete traces: none was removed"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_means_nothing_is_a_usage_error_and_nobody_there_is_out_of_reach() {
    let folder = Folder::new();
    let away = ["--otlp", "http://127.0.0.1:9", "--query", "http://127.0.0.1:9"];
    for (more, says) in [
        (vec!["--masks", "cards"], "`cards` is no kind; there are card,"),
        (vec!["--traces", "0"], "--traces"),
        (vec!["--header", "hunter2"], "--header: this is no header; write NAME=VALUE"),
        (vec!["--header", "authorization: Bearer hunter2=="], "--header: this is no header"),
        (vec!["--header", "a b=c"], "--header"),
        (vec!["--query-header", "token=@nowhere"], "nowhere"),
        (vec!["--receiver", "http/json=ftp://green"], "--receiver"),
        (vec!["--freshness-max", "soon"], "--freshness-max"),
        (vec!["--ca-file", "nowhere.pem"], "nowhere.pem"),
        (vec!["--against", "blue"], "--environment"),
        (vec!["--environment", "green"], "cannot be used with"),
    ] {
        let ran = folder.run(&[&["probe"], &away[..], &more].concat());
        assert!(ran.code == 2 && ran.stderr.contains(says), "{more:?}: {} {}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    for (arguments, code, says) in [
        ("probe", 2, "--otlp"),
        (
            "probe --environment red",
            2,
            "`red` is not an environment of crossfade.yaml; use one of: blue, green",
        ),
        ("probe --environment green --against green", 2, "are the same"),
        ("probe purge", 2, "--query"),
        ("probe purge --query http://127.0.0.1:9 --since 2500-01-01T00:00:00Z", 2, "--since"),
        ("probe purge --query http://127.0.0.1:9", 5, "cannot be reached"),
        ("probe purge --environment green", 5, "green: http://127.0.0.1:13"),
    ] {
        let ran = folder.run(&words(arguments).iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ran.code == code && ran.stderr.contains(says), "{arguments}: {} {}", ran.code, ran.stderr);
    }
}
