//! What people see first: help, schemas, ids, an empty log.

mod support;

use support::Folder;

#[test]
fn help_has_examples_and_exit_codes() {
    let folder = Folder::new();
    let ran = folder.run(&["--help"]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.stdout);
}

/// Every command that does something, however deep it lies.
#[test]
fn the_help_of_every_command_has_an_example() {
    let folder = Folder::new();
    let mut open = vec![Vec::new()];
    let mut seen = 0;
    while let Some(command) = open.pop() {
        let mut asked: Vec<&str> = command.iter().map(String::as_str).collect();
        asked.push("--help");
        let help = folder.run(&asked).stdout;
        let listed = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        let below = listed.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("  "));
        let names = below.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
        let before = open.len();
        for name in names.filter(|name| *name != "help") {
            open.push([&command[..], &[name.to_owned()]].concat());
        }
        // One that takes a file, or a command of its own instead, is both.
        if open.len() == before || help.contains("[OPTIONS]") {
            seen += 1;
            assert!(help.contains("Example"), "{command:?} has no example:\n{help}");
        }
    }
    assert!(seen > 30, "only {seen} commands");
}

#[test]
fn no_command_is_a_usage_error() {
    assert_eq!(Folder::new().run(&[]).code, 2);
    assert_eq!(Folder::new().run(&["demo", "ugly"]).code, 2);
}

#[test]
fn schemas_are_json_and_name_their_fields() {
    for (which, field) in [("config", "environments"), ("rollout", "steps")] {
        let ran = Folder::new().run(&["schema", which]);
        let schema: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert!(schema["properties"][field].is_object(), "{schema}");
    }
}

#[test]
fn every_finding_is_explained() {
    let folder = Folder::new();
    let listed = folder.run(&["explain"]);
    assert!(
        listed.stdout.contains("CF-DRIFT-014") && listed.stdout.contains("CF-PROBE-001"),
        "{}",
        listed.stdout
    );
    for line in listed.stdout.lines() {
        let id = line.split_whitespace().next().expect("an id");
        assert_eq!(folder.run(&["explain", id]).code, 0, "{id}");
    }
    assert_eq!(folder.run(&["explain", "CF-DRIFT-999"]).code, 2);
}

#[test]
fn a_new_log_verifies_with_and_without_a_key() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let own = folder.run(&["audit", "verify", "crossfade-data/audit"]);
    assert_eq!(own.code, 0, "{}{}", own.stdout, own.stderr);
    assert!(own.stdout.contains("was trusted") && own.stdout.contains("INTACT"), "{}", own.stdout);
    let given = folder.run(&["audit", "verify", "crossfade-data/audit", "--key", "crossfade-data/log.pub"]);
    assert_eq!(given.code, 0);
    assert!(!given.stdout.contains("was trusted"), "{}", given.stdout);
    let shown = folder.run(&["audit", "show", "crossfade-data/audit"]);
    assert!(shown.stdout.contains("Genesis") && shown.stdout.contains("active=blue"), "{}", shown.stdout);
    let exported = folder.run(&["audit", "export", "crossfade-data/audit", "--out", "copy"]);
    assert_eq!(exported.code, 0, "{}{}", exported.stdout, exported.stderr);
    assert_eq!(folder.run(&["audit", "verify", "copy/audit", "--key", "copy/log.pub"]).code, 0);
}

#[test]
fn a_changed_log_is_not_intact() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let bundle = folder.path().join("crossfade-data/audit/tile/entries/000.p/1");
    let mut bytes = std::fs::read(&bundle).expect("the first bundle");
    bytes[40] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let ran = folder.run(&["audit", "verify", "crossfade-data/audit"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("NOT INTACT") && ran.stdout.contains("tile/entries/000.p/1"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_changed_log_is_not_shown_as_if_it_were_whole() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let bundle = folder.path().join("crossfade-data/audit/tile/entries/000.p/1");
    let text = String::from_utf8_lossy(&std::fs::read(&bundle).unwrap()).replace("blue", "bleu");
    std::fs::write(&bundle, text).unwrap();
    assert_eq!(folder.run(&["audit", "show", "crossfade-data/audit"]).code, 1);
}

#[test]
fn a_plan_never_replaces_its_spec() {
    let folder = Folder::new();
    let before = std::fs::read(folder.path().join("rollout.yaml")).unwrap();
    let ran = folder.run(&["rollout", "plan", "rollout.yaml", "--out", "./rollout.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("was read; write the result to another file"), "{}", ran.stderr);
    assert_eq!(std::fs::read(folder.path().join("rollout.yaml")).unwrap(), before);
}

/// Scenario: `crossfade schema config | head -1`. Guarantee: no panic, no word on stderr.
#[test]
fn a_reader_that_leaves_is_no_panic() {
    use std::io::Read;
    use std::process::{Command, Stdio};

    let mut child = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

/// Scenario: nobody reads what goes wrong. Guarantee: the exit code says it nevertheless.
#[test]
fn a_reader_of_errors_that_leaves_changes_no_exit_code() {
    use std::process::{Command, Stdio};

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(["drift", "--blue", "/nowhere.yaml", "--green", "/nowhere.yaml"]);
    let status = command.stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = Folder::new().run(&["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}");
        assert!(ran.stdout.contains("crossfade"), "{shell}");
    }
}

#[test]
fn asking_a_log_for_what_it_does_not_hold_names_what_it_holds() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    for asked in [["--type", "Nonsense"], ["--rollout", "nonsense"]] {
        let shown = folder.run(&["audit", "show", "crossfade-data/audit", asked[0], asked[1]]);
        assert_eq!(shown.code, 3, "{asked:?}");
        assert_eq!(shown.stdout, "");
        assert!(shown.stderr.contains("rollouts in this log: none"), "{}", shown.stderr);
        assert!(shown.stderr.contains("types in this log: Genesis"), "{}", shown.stderr);
    }
    let shown = folder.run(&["audit", "show", "crossfade-data/audit", "--type", "Genesis"]);
    assert_eq!((shown.code, shown.stdout.lines().count()), (0, 1));
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_asked_of_a_server() {
    let folder = Folder::new();
    let before_init = folder.run(&["rollout", "status"]);
    assert_eq!(before_init.code, 2);
    assert!(before_init.stderr.contains("crossfade init"), "{}", before_init.stderr);
    assert_eq!(folder.run(&["init", "--active", "blue"]).code, 0);
    let cases: [(&[&str], &str); 4] = [
        (&["rollout", "status", "--control", "foo"], "http://127.0.0.1:8400"),
        (&["trace", "locate", "00000000000000000000000000000000"], "no trace id"),
        (&["trace", "locate", "4bf92f"], "32 hexadecimal digits"),
        (&["gateway", "strike", "no/where"], "no/where"),
    ];
    for (arguments, words) in cases {
        let ran = folder.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    let demo = folder.run(&["demo", "good", "--dir", "/proc/crossfade"]);
    assert_eq!(demo.code, 2);
    assert!(demo.stderr.contains("/proc/crossfade/good") && demo.stderr.contains("--dir"), "{}", demo.stderr);
}
