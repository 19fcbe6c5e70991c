//! Every command that asks an environment, against somebody who is none: never a pass, never a panic, and said where.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

#[path = "support/stores.rs"]
mod stores;
mod support;

use std::sync::Arc;

use crossfade_lab::environment::Environment;
use stores::{BOTH, INSURER, LIVE, impostor, impostors, with};
use support::{Folder, ROLLOUT};

/// Short, and with one gate of each kind that reads.
const GATES: &str = "gates:
  probe: { traces: 4, deadline: 3s }
  parity: { traces: 5, deadline: 3s }
  history: { reach: 10m, settle: 1s, traces: 5, deadline: 3s }
  coverage: { window: 1m, settle: 1s, deadline: 3s }
  dependencies: { window: 1m, deadline: 3s, tests: { attribute: deployment.environment.name=test } }
";

const LOAD: &str = "load --rate 500 --ramp 100ms --ramp-steps 1 --hold 100ms --spike 0s --traces 5 --read-back 3s --timeout 3s --protocol http/protobuf";

/// What is asked when green's store is a stranger; what may end with 1 has found something else besides.
const STORES: [&str; 9] = [
    "parity --since 5m --traces 5 --deadline 3s -o json",
    "parity --from green --to blue --since 5m --traces 5 --deadline 3s -o json",
    "history --since 10m --traces 5 --deadline 3s -o json",
    "history --from green --to blue --since 10m --kept-for 1d --traces 5 --deadline 3s -o json",
    "probe --environment green --traces 4 --deadline 3s -o json",
    "probe purge --environment green -o json",
    "posture --environment green -o json",
    "check -o json",
    "gate run all --rollout rollout.yaml -o json",
];

/// What does nothing but read, and has time enough to find out who is silent, ends with 5.
const ONLY_READ: [&str; 4] = ["parity --since", "history --from", "probe purge", "check"];

/// And when green's receiver is one: what it does not take is a failure, as a page in its place is.
const RECEIVERS: [&str; 3] = [
    "probe --environment green --traces 4 --deadline 3s -o json",
    "posture --environment green -o json",
    "check -o json",
];

/// Of them, those that are asked as if they were Tempo, too.
const AS_TEMPO: [&str; 3] = ["hangs", "a page that calls itself JSON", "half a list"];

fn site(blue: &Environment, otlp: &str, kind: &str, query: &str) -> Arc<Folder> {
    let folder = Folder::new();
    let side = |otlp: &str, kind: &str, query: &str| {
        format!(
            "    otlp: {{ endpoint: \"http://{otlp}\", protocol: http/protobuf }}\n    query: {{ kind: {kind}, endpoint: \"http://{query}\" }}\n    configs: {{ collector: [collector.yaml] }}\n"
        )
    };
    let blue = side(&blue.http_addr().to_string(), "jaeger", &blue.query_addr().to_string());
    let green = side(otlp, kind, query);
    folder.write("crossfade.yaml", &format!("environments:\n  blue:\n{blue}  green:\n{green}"));
    folder.write("rollout.yaml", &format!("{ROLLOUT}{GATES}"));
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    Arc::new(folder)
}

/// Runs them beside each other; what is not as it should be, in words.
async fn ask(what: &str, folder: &Arc<Folder>, stranger: &str, commands: Vec<String>) -> Vec<String> {
    let running: Vec<_> = commands
        .into_iter()
        .map(|command| {
            let folder = Arc::clone(folder);
            let run = move || (folder.run(&command.split(' ').collect::<Vec<_>>()), command);
            tokio::task::spawn_blocking(run)
        })
        .collect();
    let mut flaws = Vec::new();
    for run in running {
        let (ran, command) = run.await.unwrap();
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let flaw = match ran.code {
            1 | 2 | 3 | 5 if said.contains("panicked") => "a panic",
            1 | 3 | 5 if !said.contains(stranger) && !said.contains("green") => "nobody is named",
            5 => continue,
            // What it answers is no configuration.
            2 if command.starts_with("drift") && said.contains(stranger) => continue,
            1 | 3 if !ONLY_READ.iter().any(|reads| command.starts_with(reads)) => continue,
            // Whom it lets in, it shows, whatever it says then.
            0 if command.starts_with("posture") && what != "store a page" => continue,
            // It asks for the services alone, and those are there.
            0 if command.starts_with("check") && what.contains("trace") => continue,
            _ => "no failure",
        };
        flaws.push(format!("{what}: {command}: {flaw}, exit {}: {said}", ran.code));
    }
    flaws
}

/// Scenario: green's store, then its receiver, hangs, hangs up, answers a page, an error, other bytes, or half of something;
/// or it is asked for green's effective configuration.
/// Guarantee: no command passes or panics, each says the address, and those that only read do not take it for a finding.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_never_a_pass() {
    let (blue, green) = (with(BOTH, INSURER, LIVE).await, Environment::start(2).await.unwrap());
    let mut asked = tokio::task::JoinSet::new();
    let (otlp, query) = (green.http_addr().to_string(), green.query_addr().to_string());
    for (what, answers) in impostors() {
        let stranger = impostor(answers).to_string();
        let drift = format!("drift --blue collector.yaml --green http://{stranger}/effective");
        let load = |otlp: &str, query: &str| format!("{LOAD} --otlp http://{otlp} --query http://{query}");
        let mut rounds = vec![
            ("store", &otlp, "jaeger", &stranger, &STORES[..], vec![load(&otlp, &stranger), drift]),
            ("receiver", &stranger, "jaeger", &query, &RECEIVERS, vec![load(&stranger, &query)]),
        ];
        if AS_TEMPO.contains(&what) {
            rounds.push(("Tempo", &otlp, "tempo", &stranger, &STORES, Vec::new()));
        }
        for (place, otlp, kind, query, commands, more) in rounds {
            let commands = commands.iter().map(|command| (*command).to_owned()).chain(more).collect();
            let (what, folder, stranger) =
                (format!("{place} {what}"), site(&blue, otlp, kind, query), stranger.clone());
            asked.spawn(async move { ask(&what, &folder, &stranger, commands).await });
        }
    }
    let flaws = asked.join_all().await.concat();
    assert!(flaws.is_empty(), "{} flaws\n{}", flaws.len(), flaws.join("\n"));
}
