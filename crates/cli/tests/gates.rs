//! `crossfade gate` and `crossfade policy`, as a person or a pipeline runs them.

#![allow(clippy::unwrap_used, reason = "a panic is the failure of a test")]

mod support;

use serde_json::Value;
use support::{COLLECTOR, Folder, ROLLOUT};

const ALL: [&str; 4] = ["gate", "run", "all", "--rollout"];

/// A probe that soon gives up.
const QUICK: &str = "gates: { probe: { traces: 1, deadline: 1s } }\n";

/// Two sides that differ in their limits, and an environment that nobody answers at.
fn differing() -> Folder {
    let folder = Folder::new();
    let site = support::SITE.replacen("collector: [collector.yaml]", "collector: [blue.yaml]", 1);
    folder.write("crossfade.yaml", &site);
    folder.write("blue.yaml", COLLECTOR);
    folder.write("collector.yaml", &COLLECTOR.replace(":4317\"", ":4317\", max_recv_msg_size_mib: 3"));
    folder.write("rollout.yaml", &format!("{ROLLOUT}{QUICK}"));
    folder
}

#[test]
fn the_gates_are_listed() {
    let folder = differing();
    let listed = folder.run(&["gate", "list"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.contains("drift         does the candidate's"), "{}", listed.stdout);
    let json: Value = serde_json::from_str(
        &folder.run(&["gate", "list", "--rollout", "rollout.yaml", "-o", "json"]).stdout,
    )
    .unwrap();
    let gates = json["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 9);
    assert_eq!(gates[0]["moments"], serde_json::json!(["preflight", "promoted"]));
}

/// Scenario: drift fails, and the candidate is out of reach of probe and posture.
/// Guarantee: both are said, the failure counts, and what was found is kept under its digest.
#[test]
fn all_gates_side_by_side() {
    let folder = differing();
    let ran = folder.run(&[&ALL[..], &["rollout.yaml", "-o", "json", "--evidence", "kept"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let verdicts: Vec<&str> =
        json["gates"].as_array().unwrap().iter().map(|gate| gate["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        (json["verdict"].as_str(), verdicts),
        (Some("fail"), vec!["fail", "no_verdict", "no_verdict"])
    );
    assert!(ran.stderr.starts_with("seed "), "alone, the seed is random, and said: {}", ran.stderr);
    let kept: Vec<_> =
        std::fs::read_dir(folder.path().join("kept")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(kept.len(), 3);
    for path in kept {
        let digest = crossfade_tlog::sha256(&std::fs::read(&path).unwrap());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(path.to_str().unwrap().ends_with(&format!("-{hex}.json")), "{path:?}");
        assert!(ran.stderr.contains(&hex));
    }
}

/// Scenario: the spec names neither parity nor coverage, and puts load off; the site can be asked for everything, or blue cannot be queried.
/// Guarantee: all of them are said not to have looked, with the reason, to people and to programs.
#[test]
fn who_does_not_look_is_named() {
    let folder = differing();
    folder.write(
        "rollout.yaml",
        &format!("{ROLLOUT}gates: {{ probe: {{ traces: 1, deadline: 1s }}, load: {{ off: CHG-2 }} }}\n"),
    );
    let json: Value =
        serde_json::from_str(&folder.run(&[&ALL[..], &["rollout.yaml", "-o", "json"]].concat()).stdout)
            .unwrap();
    let unknown =
        |gate: &str| format!("how much clients send is not known; name gates.{gate} to have it look");
    let expected =
        serde_json::json!({ "coverage": unknown("coverage"), "load": "CHG-2", "parity": unknown("parity") });
    assert_eq!(json["left_out"], expected);
    let text = folder.run(&[&ALL[..], &["rollout.yaml"]].concat()).stdout;
    assert!(text.contains(&format!("- parity        left out: {}\n", unknown("parity"))), "{text}");
    let one = folder.run(&["gate", "run", "drift", "--rollout", "rollout.yaml"]).stdout;
    assert!(!one.contains("left out"), "{one}");
}

#[test]
fn the_worst_of_all_is_the_exit_code() {
    let folder = differing();
    let code = |gate: &str| folder.run(&["gate", "run", gate, "--rollout", "rollout.yaml"]).code;
    assert_eq!((code("drift"), code("probe"), code("nothing")), (1, 5, 2));
    folder.write("collector.yaml", COLLECTOR);
    assert_eq!((code("drift"), code("all")), (0, 5));
    // A configuration that nobody is there to give, as `crossfade drift` ends with it.
    let gone = "collector: [\"http://127.0.0.1:9/effective\"]";
    folder.write("crossfade.yaml", &support::SITE.replacen("collector: [collector.yaml]", gone, 1));
    let ran = folder.run(&["gate", "run", "drift", "--rollout", "rollout.yaml"]);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("http://127.0.0.1:9/effective"), "{}", ran.stdout);
    // One that cannot be read as YAML is to be mended first, by whichever command it is met.
    folder.write("crossfade.yaml", support::SITE);
    folder.write("collector.yaml", "receivers: [");
    assert_eq!((code("drift"), code("all")), (2, 2));
    assert_eq!(folder.run(&["drift", "--blue", "collector.yaml", "--green", "collector.yaml"]).code, 2);
    folder.write("collector.yaml", COLLECTOR);
    // What nobody named has no verdict, and does not pass.
    let site = support::SITE.replace("    configs: { collector: [collector.yaml] }\n", "");
    folder.write("crossfade.yaml", &site);
    assert_eq!(code("drift"), 3);
    assert_eq!(folder.run(&["gate", "run", "all", "--rollout", "missing.yaml"]).code, 2);
}

#[test]
fn results_for_other_programs() {
    let folder = differing();
    for (format, begins) in [("junit", "<?xml"), ("sarif", "{"), ("text", "✘ drift")] {
        let out = format!("out.{format}");
        let ran =
            folder.run(&["gate", "run", "drift", "--rollout", "rollout.yaml", "-o", format, "--out", &out]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(std::fs::read_to_string(folder.path().join(&out)).unwrap().starts_with(begins), "{format}");
    }
}

#[test]
fn a_waiver_lets_a_finding_through_until_it_expires() {
    let folder = differing();
    let waive = |expires: &str| {
        folder.write("rollout.yaml", &format!("{ROLLOUT}gates:\n  waivers:\n    - {{ finding: CF-DRIFT-019, reason: CHG-1, owner: sre, expires: {expires} }}\n"));
        folder.run(&["gate", "run", "drift", "--rollout", "rollout.yaml"])
    };
    let accepted = waive("2500-01-01");
    assert_eq!(accepted.code, 0, "{}", accepted.stdout);
    assert!(accepted.stdout.contains("waived by sre until 2500-01-01: CHG-1"), "{}", accepted.stdout);
    let expired = waive("2020-01-01");
    assert_eq!(expired.code, 1);
    assert!(expired.stdout.contains("CF-WAIVER-001"), "{}", expired.stdout);
}

/// Scenario: a spec waives findings, and a gate's own command is told of the spec.
/// Guarantee: its waivers hold there as in a rollout; what was found is kept.
#[test]
fn a_waiver_holds_for_a_gates_own_command() {
    let folder = differing();
    let waive = |finding: &str| {
        let waiver = format!("{{ finding: {finding}, reason: CHG-1, owner: sre, expires: 2500-01-01 }}");
        folder.write("rollout.yaml", &format!("{ROLLOUT}gates: {{ waivers: [{waiver}] }}\n"));
    };
    let drift = ["drift", "--blue", "blue.yaml", "--green", "collector.yaml", "--rollout", "rollout.yaml"];
    waive("CF-DRIFT-019");
    let ran = folder.run(&[&drift[..], &["--evidence", "kept"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.stdout.contains("waived by sre until 2500-01-01: CHG-1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 difference: 0 declared, 1 waived, 0 not."), "{}", ran.stdout);
    assert_eq!(std::fs::read_dir(folder.path().join("kept")).unwrap().count(), 1);
    let json: Value =
        serde_json::from_str(&folder.run(&[&drift[..], &["-o", "json"]].concat()).stdout).unwrap();
    assert_eq!(json["findings"][0]["accepted"]["owner"], "sre");
    waive("CF-DRIFT-014");
    let unused = folder.run(&drift);
    assert_eq!(unused.code, 1);
    assert!(unused.stdout.contains("CF-WAIVER-002"), "{}", unused.stdout);
    // What nobody knows cannot be accepted, and that is said.
    waive("CF-POSTURE-016");
    let endpoint = ["posture", "--query", "http://127.0.0.1:9", "--rollout", "rollout.yaml"];
    let unknown = folder.run(&endpoint);
    assert_eq!(unknown.code, 5, "{}", unknown.stdout);
    assert!(unknown.stdout.contains("CF-WAIVER-00"), "{}", unknown.stdout);
    waive("CF-DRIFT-999");
    let refused = folder.run(&drift);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("rollout.yaml:9:") && refused.stderr.contains("CF-DRIFT-999"),
        "{}",
        refused.stderr
    );
}

/// Scenario: the result is to go where nothing can be written, and that is seen before, or only at the end.
/// Guarantee: no gate looks in vain; what was found out is told all the same, and so is the failure.
#[test]
fn results_are_not_lost() {
    let folder = differing();
    let run = |flag: &str, place: &str| {
        folder.run(&["gate", "run", "drift", "--rollout", "rollout.yaml", "-o", "json", flag, place])
    };
    for (flag, place) in [("--out", "nowhere/found.json"), ("--out", "."), ("--evidence", "collector.yaml")] {
        let ran = run(flag, place);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{flag} {place}");
        let said = ran.stderr.contains(&format!("cannot write {place}: "));
        assert!(said && !ran.stderr.contains("looks"), "{}", ran.stderr);
    }
    let full = run("--out", "/dev/full");
    assert_eq!(full.code, 1, "it fails, wherever that is written");
    assert!(full.stderr.contains("cannot write /dev/full: "), "{}", full.stderr);
    assert_eq!(serde_json::from_str::<Value>(&full.stdout).unwrap()["verdict"], "fail");
    // What is read stays as it is, whatever reads it.
    let over =
        folder.run(&["drift", "--blue", "blue.yaml", "--green", "collector.yaml", "--out=./collector.yaml"]);
    assert!(
        over.code == 2 && over.stderr.contains("was read; write the result to another file"),
        "{}",
        over.stderr
    );
    folder.write("collector.yaml", COLLECTOR);
    assert_eq!(run("--out", "/dev/full").code, 2);
    assert_eq!(run("--out", "found.json").code, 0);
    assert!(!folder.path().join("nowhere").exists());
}

const OWN: &str =
    "package bank\n\ndeny contains \"no change on a freeze\" if input.plan.change.ticket == \"\"\n";

#[test]
fn policies_are_asked_and_broken_ones_are_named_with_their_place() {
    let folder = differing();
    folder.write("bank.rego", OWN);
    folder.write("broken.rego", "package bank\n\ndeny contains x if {\n  x := \n}\n");
    assert_eq!(folder.run(&["policy", "bank.rego"]).stdout, "✔ bank.rego\n");
    let broken = folder.run(&["policy", "broken.rego"]);
    assert_eq!(broken.code, 2);
    assert!(broken.stderr.contains("broken.rego:4:5: "), "{}", broken.stderr);
    let denied = folder.run(&["policy", "bank.rego", "--rollout", "rollout.yaml"]);
    assert_eq!(denied.code, 1);
    assert!(
        denied.stdout.contains("CF-POLICY-001") && denied.stdout.contains("no change on a freeze"),
        "{}",
        denied.stdout
    );
    for nothing in [&["policy"][..], &["policy", "--show"], &["policy", "--rollout", "rollout.yaml"]] {
        let ran = folder.run(nothing);
        assert_eq!(ran.code, 2, "{nothing:?}");
        assert!(ran.stderr.contains("no policy to ask: name a file or --standard"), "{}", ran.stderr);
    }
    // Rules about findings deny nothing where nobody has looked for any.
    folder.write("content.rego", &OWN.replace("== \"\"", "== \"frozen\""));
    let blind = folder.run(&["policy", "content.rego", "--rollout", "rollout.yaml"]);
    assert_eq!(blind.code, 3, "{}", blind.stdout);
    assert!(
        blind.stdout.contains("CF-POLICY-004") && blind.stdout.contains("drift (no report)"),
        "{}",
        blind.stdout
    );
    folder.write("asked.yaml", &format!("{ROLLOUT}gates: {{ policy: {{ files: [content.rego] }} }}\n"));
    assert_eq!(folder.run(&["gate", "run", "policy", "--rollout", "asked.yaml"]).code, 3);
    // The spec's files lie beside the site, wherever the spec does.
    std::fs::create_dir(folder.path().join("specs")).unwrap();
    folder.write("specs/asked.yaml", &std::fs::read_to_string(folder.path().join("asked.yaml")).unwrap());
    let elsewhere = folder.run(&["policy", "--rollout", "specs/asked.yaml"]);
    assert_eq!(elsewhere.code, 3, "{}", elsewhere.stderr);
    assert!(folder.run(&["policy", "--standard", "pci", "--show"]).stdout.contains("package crossfade.pci"));
}

/// Scenario: the gates' findings are kept, and a policy is asked about them later.
/// Guarantee: it denies by the requirement that the finding touches, and quotes it.
#[test]
fn a_ready_policy_quotes_its_requirement() {
    let folder = differing();
    let found = folder.run(&[
        "gate",
        "run",
        "drift",
        "--rollout",
        "rollout.yaml",
        "-o",
        "json",
        "--out",
        "found.json",
    ]);
    assert_eq!(found.code, 1);
    let soc2 = ["policy", "--standard", "soc2", "--rollout", "rollout.yaml", "--findings", "found.json"];
    let denied = folder.run(&soc2);
    assert_eq!(denied.code, 1);
    assert!(
        denied.stdout.contains("SOC 2 A1.1, \"capacity meets demand\": CF-DRIFT-019"),
        "{}",
        denied.stdout
    );
    // As a gate of the rollout it is asked about what the others have found, in one go.
    folder.write("rollout.yaml", &format!("profile: soc2\n{ROLLOUT}{QUICK}"));
    let all = folder.run(&[&ALL[..], &["rollout.yaml"]].concat());
    assert!(all.stdout.contains("\"capacity meets demand\""), "{}", all.stdout);
    folder.write("found.json", "[]");
    assert_eq!(folder.run(&soc2).code, 2);
}

/// Scenario: a rule that keeps a hundred thousand lists of a hundred thousand numbers.
/// Guarantee: the process is not killed for it: the file is named.
#[test]
fn a_policy_that_takes_all_memory_is_stopped() {
    let folder = Folder::new();
    let rule = "all := [array.concat(numbers.range(1, 100000), [x]) | some x in numbers.range(1, 100000)]";
    folder.write(
        "greedy.rego",
        &format!("package greedy\n\ndeny contains \"no\" if {{\n\t{rule}\n\tcount(all) < 0\n}}\n"),
    );
    let ran = folder.run(&["policy", "greedy.rego"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("greedy.rego: `deny` takes more than 256 MiB of memory"), "{}", ran.stderr);
}
