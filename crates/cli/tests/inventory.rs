//! `crossfade coverage` and `crossfade dependencies`, against simulated environments and against endpoints that are none.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

#[path = "support/stores.rs"]
mod stores;
mod support;

use std::sync::Arc;

use crossfade_lab::environment::Environment;
use serde_json::Value;
use stores::{BOTH, INSURER, LIVE, impostor, impostors, traffic, with};
use support::{Folder, Ran};

const TEST: (&str, &str) = ("deployment.environment.name", "test");

async fn run(folder: &Arc<Folder>, arguments: &[&str]) -> Ran {
    let (folder, arguments) = (Arc::clone(folder), arguments.join("\n"));
    let running = move || folder.run(&arguments.split('\n').collect::<Vec<_>>());
    tokio::task::spawn_blocking(running).await.unwrap()
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn rules(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    let weighty = findings.filter(|finding| finding["severity"] != "note");
    weighty.map(|finding| finding["rule"].as_str().unwrap()).collect()
}

fn url(environment: &Environment) -> String {
    format!("http://{}", environment.query_addr())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_candidate_does_not_record_is_named() {
    let folder = Arc::new(Folder::new());
    let (blue, green, poor) = (
        with(BOTH, INSURER, LIVE).await,
        with(BOTH, INSURER, LIVE).await,
        with(&["shop"], INSURER, LIVE).await,
    );
    let look = async |green: &Environment, more: &[&str]| {
        let (blue, green) = (url(&blue), url(green));
        let sides = [
            "coverage", "--blue", &blue, "--green", &green, "--window", "3m", "--settle", "1s", "-o", "json",
        ];
        run(&folder, &[&sides, more].concat()).await
    };
    let same = look(&green, &[]).await;
    assert_eq!((same.code, rules(&report(&same))), (0, vec![]), "{}", same.stdout);
    let lost = look(&poor, &[]).await;
    assert_eq!((lost.code, rules(&report(&lost))), (1, vec!["coverage_service_missing"]), "{}", lost.stdout);
    assert!(report(&lost)["findings"].to_string().contains("payment"));
    assert_eq!(look(&poor, &["--ignore", "pay*"]).await.code, 0);
    // Too small a share says nothing of what is missing.
    let little = look(&poor, &["--share", "0"]).await;
    assert_eq!(
        (little.code, report(&little)["verdict"].as_str()),
        (3, Some("no_verdict")),
        "{}",
        little.stdout
    );
    for (flag, value) in [("--share", "101"), ("--window", "soon"), ("--blue", "ftp://x")] {
        let words = ["coverage", "--green", "http://127.0.0.1:9", flag, value];
        let refused = run(&folder, &words).await;
        assert_eq!(refused.code, 2, "{flag}: {}", refused.stderr);
        assert!(refused.stderr.contains(flag), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_test_has_called_is_named() {
    let folder = Arc::new(Folder::new());
    let live = with(BOTH, INSURER, LIVE).await;
    let (tested, mocked) = (with(BOTH, INSURER, TEST).await, with(BOTH, "insurer-mock", TEST).await);
    let look = async |more: &[&str]| {
        let live = url(&live);
        run(&folder, &[&["dependencies", "--live", &live, "--window", "5m", "-o", "json"], more].concat())
            .await
    };
    let same = look(&["--tests-query", &url(&tested)]).await;
    assert_eq!((same.code, rules(&report(&same))), (0, vec![]), "{}", same.stdout);
    let simulated = look(&["--tests-query", &url(&mocked)]).await;
    assert_eq!(
        (simulated.code, rules(&report(&simulated))),
        (1, vec!["dependency_simulated"]),
        "{}",
        simulated.stdout
    );
    // Live traces are no test run: nothing is marked as one there.
    let unmarked = look(&["--tests-query", &url(&live)]).await;
    assert_eq!(unmarked.code, 3, "{}", unmarked.stdout);

    let file = |name: &str, text: &str| folder.write(name, text);
    file("tested.json", &traffic(BOTH, INSURER, TEST).to_string());
    file("elsewhere.json", &traffic(&["shop"], INSURER, TEST).to_string());
    file("half.json", &traffic(BOTH, INSURER, TEST).to_string()[..900]);
    file("page.json", "<html>log in</html>");
    file("empty.json", "");
    assert_eq!(look(&["--tests", "tested.json"]).await.code, 0);
    let untested = look(&["--tests", "elsewhere.json"]).await;
    assert_eq!(
        (untested.code, rules(&report(&untested))),
        (1, vec!["dependency_untested"]),
        "{}",
        untested.stdout
    );
    for name in ["half.json", "page.json", "empty.json"] {
        let unread = look(&["--tests", name]).await;
        assert_eq!(
            (unread.code, report(&unread)["verdict"].as_str()),
            (3, Some("no_verdict")),
            "{name}: {}",
            unread.stdout
        );
        assert!(unread.stdout.contains(name), "{}", unread.stdout);
    }
    for name in ["missing.json", "."] {
        let none = look(&["--tests", name]).await;
        assert_eq!((none.code, none.stdout.as_str()), (2, ""), "{name}");
        assert!(none.stderr.contains(&format!("--tests: cannot read {name}: ")), "{}", none.stderr);
    }
}

/// Scenario: on one side, or on the other, there is somebody who is no store, or one that breaks off.
/// Guarantee: no verdict, with the address and no panic; the exit code of what is out of reach; never a pass.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_otherwise_is_no_verdict() {
    let folder = Arc::new(Folder::new());
    let good = with(BOTH, INSURER, LIVE).await;
    let tested = with(BOTH, INSURER, TEST).await;
    let (good, tested) = (url(&good), url(&tested));
    let mut seen = Vec::new();
    for (what, answers) in impostors() {
        let bad = format!("http://{}", impostor(answers));
        let asked: [Vec<&str>; 4] = [
            vec!["coverage", "--blue", &good, "--green", &bad, "--settle", "1s"],
            vec!["coverage", "--blue", &bad, "--green", &good, "--settle", "1s"],
            vec!["dependencies", "--live", &bad, "--tests-query", &tested],
            vec!["dependencies", "--live", &good, "--tests-query", &bad],
        ];
        for words in asked {
            let ran = run(&folder, &[&words[..], &["--deadline", "3s", "-o", "json"]].concat()).await;
            let report = report(&ran);
            assert_eq!(report["verdict"], "no_verdict", "{what}, {words:?}: {}", ran.stdout);
            assert!(
                ran.stdout.contains(bad.trim_start_matches("http://")),
                "{what}, {words:?}: {}",
                ran.stdout
            );
            assert!(!ran.stderr.contains("panicked"), "{what}, {words:?}: {}", ran.stderr);
            if ran.code != 5 {
                seen.push(format!(
                    "{what}: {} of {}, {} and not 5: {}",
                    words[0], words[1], ran.code, report["findings"][0]["detail"]
                ));
            }
        }
    }
    assert!(seen.is_empty(), "{}", seen.join("\n"));
    // And nobody at all.
    let nobody = ["coverage", "--blue", &good, "--green", "http://127.0.0.1:9", "--settle", "1s"];
    assert_eq!(run(&folder, &nobody).await.code, 5);
}

/// Scenario: somebody copies what `--help` shows, with addresses of their own. Guarantee: it runs, and comes to a verdict.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_work() {
    let folder = Arc::new(Folder::new());
    let (blue, green) = (with(BOTH, INSURER, LIVE).await, with(BOTH, INSURER, LIVE).await);
    folder.write("test-traces.json", &traffic(BOTH, INSURER, TEST).to_string());
    let site = support::SITE
        .replace("http://127.0.0.1:9\" }\n    configs", &format!("{}\" }}\n    configs", url(&blue)));
    let site =
        site.replace("http://127.0.0.1:13\" }\n    configs", &format!("{}\" }}\n    configs", url(&green)));
    folder.write("crossfade.yaml", &site);
    for (command, codes) in [("coverage", [3, 0]), ("dependencies", [0, 3])] {
        let help = run(&folder, &[command, "--help"]).await;
        let examples = help.stdout.split("Examples:").nth(1).unwrap_or_default();
        // Long lines are broken for the terminal.
        let examples = examples.split_whitespace().collect::<Vec<_>>().join(" ");
        let examples: Vec<&str> =
            examples.split("crossfade ").filter(|example| !example.is_empty()).collect();
        assert_eq!(examples.len(), codes.len(), "{}", help.stdout);
        for (example, code) in examples.into_iter().zip(codes) {
            let words: Vec<String> = example
                .split_whitespace()
                .map(|word| match word {
                    "http://blue-jaeger:16686" | "http://jaeger:16686" => url(&blue),
                    "http://green-jaeger:16686" => url(&green),
                    word => word.trim_matches('\'').to_owned(),
                })
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            // Of the site's examples one lacks a gateway that knows the share, and one a marked test run: both say so.
            let ran = run(&folder, &words).await;
            assert_eq!(ran.code, code, "{example}: {}{}", ran.stdout, ran.stderr);
        }
    }
}
