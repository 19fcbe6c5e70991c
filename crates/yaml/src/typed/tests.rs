use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, Node, Raw, Spanned, from_node, parse};

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    name: String,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default)]
    gates: Option<Gates>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Mirror(Mirror),
    Weight { percent: Raw, duration: Duration },
    Pause(Pause),
    Promote(Empty),
    Finalize,
}

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Mirror {
    percent: u8,
    duration: Duration,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pause {
    #[serde(default)]
    duration: Option<Duration>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Gates {
    allow: Vec<Spanned<Allow>>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Allow {
    path: String,
    from: Node,
    to: Node,
}

fn read(text: &str) -> Result<Spec, String> {
    from_node(&parse(text, "r.yaml").expect("YAML")).map_err(|e| e.to_string())
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    assert_eq!(read(text).expect_err("refused"), expected);
}

#[test]
fn a_spec_reads() {
    let spec = read(
        "name: a\nsteps:\n  - mirror: {percent: 5, duration: 30m}\n  - weight: {percent: 12.50, duration: 1h}\n  \
         - pause:\n  - pause\n  - promote: {}\n  - promote:\n  - promote\n  - finalize\n  - finalize: {}\n  - finalize:\n\
         gates:\n",
    );
    let minute = |m: u64| Duration::from_secs(m * 60);
    let expected = Spec {
        name: "a".to_owned(),
        steps: vec![
            Step::Mirror(Mirror { percent: 5, duration: minute(30) }),
            Step::Weight { percent: Raw::new("12.50"), duration: minute(60) },
            Step::Pause(Pause::default()),
            Step::Pause(Pause::default()),
            Step::Promote(Empty {}),
            Step::Promote(Empty {}),
            Step::Promote(Empty {}),
            Step::Finalize,
            Step::Finalize,
            Step::Finalize,
        ],
        gates: None,
    };
    assert_eq!(spec, Ok(expected));
}

#[test]
fn marks_and_plain_values_are_kept() {
    let spec =
        read("name: a\ngates:\n  allow:\n    - {path: p, from: 0x10, to: [a, {b: null}]}\n").expect("reads");
    let gates = spec.gates.as_ref().expect("gates");
    let allow = &gates.allow[0];
    assert_eq!(allow.mark.to_string(), "r.yaml:4:7");
    assert_eq!(allow.value.from.mark.to_string(), "r.yaml:4:23");
    assert_eq!(allow.value.from.scalar_text().as_deref(), Some("0x10"));
    assert_eq!(allow.value.to.at(&["1", "b"]).expect("b").mark.line, 4);
    // Through JSON, as plans store it, the values stay and the marks go.
    let json = serde_json::to_string(&spec).expect("writes");
    let back: Spec = serde_json::from_str(&json).expect("reads back");
    assert_eq!(back, spec);
    assert!(back.gates.expect("gates").allow[0].mark.is_nowhere());
}

#[test]
fn an_unknown_key_says_what_was_meant() {
    refuses(
        "name: a\nsteps:\n  - mirror: {percent: 5, duratoin: 30m}",
        "r.yaml:3:26: steps[0].mirror.duratoin: unknown key `duratoin`; did you mean `duration`?",
    );
    refuses("name: a\nzzz: 1", "r.yaml:2:1: zzz: unknown key `zzz`; known here: `name`, `steps`, `gates`");
}

#[test]
fn an_unknown_step_says_what_was_meant() {
    refuses(
        "name: a\nsteps:\n  - wieght: {percent: 5}",
        "r.yaml:3:5: steps[0]: unknown value `wieght`; did you mean `weight`?",
    );
    refuses(
        "name: a\nsteps:\n  - {promote: {}, finalize: {}}",
        "r.yaml:3:19: steps[0]: found a map of 2 keys; write exactly one of `mirror`, `weight`, `pause`, `promote`, `finalize`",
    );
    refuses(
        "name: a\nsteps:\n  - finalize: {now: true}",
        "r.yaml:3:15: steps[0].finalize: `finalize` takes nothing; write `finalize` alone, or `finalize: {}`",
    );
}

#[test]
fn a_wrong_type_says_what_is_wanted() {
    refuses("name: 12", "r.yaml:1:7: name: found the number 12, expected a string; put it in quotes");
    refuses("name: [a]", "r.yaml:1:7: name: found a list, expected a string");
    refuses(
        "name: a\nsteps: {mirror: {}}",
        "r.yaml:2:8: steps: found a map, expected a list; put it in square brackets, or below with `- `",
    );
    refuses(
        "name: a\nsteps: [mirror: {percent: 300, duration: 1s}]",
        "r.yaml:2:27: steps[0].mirror.percent: found the number 300, expected a whole number from 0 to 255",
    );
    refuses(
        "name: a\nsteps: [mirror: {percent: '5', duration: 1s}]",
        "r.yaml:2:27: steps[0].mirror.percent: found a string, expected a whole number from 0 to 255; \
         write the number alone, without quotes",
    );
    refuses("- a", "r.yaml:1:1: found a list, expected a map");
}

#[test]
fn a_wrong_unit_says_how_to_write_it() {
    refuses(
        "name: a\nsteps: [mirror: {percent: 5, duration: 30}]",
        "r.yaml:2:40: steps[0].mirror.duration: `30` has no unit; write for instance 30s or 30m",
    );
}

#[test]
fn a_missing_key_is_named() {
    refuses("steps: []", "r.yaml:1:1: key `name` is missing; add it");
    refuses("name: a\nsteps:\n  - mirror:", "r.yaml:3:5: steps[0].mirror: key `percent` is missing; add it");
    refuses("", "r.yaml:1:1: key `name` is missing; add it");
}

/// Scenario: a secret stands where something else is wanted. Guarantee: the message does not show it.
#[test]
fn a_message_never_shows_a_string() {
    let message = read("name: a\nsteps: hunter2").expect_err("refused");
    assert!(!message.contains("hunter2"), "{message}");
    let message = read("name: a\ngates: {allow: hunter2}").expect_err("refused");
    assert!(!message.contains("hunter2"), "{message}");
}
