use std::cell::Cell;

use proptest::prelude::*;

use super::{ExpandError, Resolution, Resolve, expand};
use crate::node::{Mark, Node};
use crate::parse::parse;

struct Fixed;

impl Resolve for Fixed {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        let text = match (scheme, name) {
            ("env", "PORT") => "4317",
            ("env", "TOKEN") => "0123",
            ("env", "HOST") => "blue",
            ("env", "EMPTY") => "",
            ("env", "BRACKET") => "[not yaml",
            ("env", "MAP") => "{a: 1, b: [x]}",
            ("env", "WHICH") => "PORT",
            ("env", "INDIRECT") => "at ${env:HOST}",
            ("env", "SELF") => "x${env:SELF}",
            ("env", "GROWS") => "${env:GROWS}${env:GROWS}",
            ("file", "/run/token") => "s3cret\n",
            ("file", "/run/number") => "0123\n",
            ("env", "KEPT") => return Resolution::Keep,
            ("env", _) => return Resolution::Unset,
            ("file", _) => return Resolution::Failed("no such file".to_owned()),
            _ => return Resolution::Failed("unknown scheme".to_owned()),
        };
        Resolution::Text(text.to_owned())
    }
}

fn expanded(text: &str) -> Result<Node, ExpandError> {
    let mut node = parse(text, "t.yaml").expect("parses");
    expand(&mut node, &Fixed).map(|()| node)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(expanded(text), Ok(parse(expected, "expected").expect("parses")), "{text}");
}

#[test]
fn a_whole_reference_takes_the_type_of_its_replacement() {
    check("a: ${env:PORT}", "a: 4317");
    check("a: ${PORT}", "a: 4317");
    check("a: '${PORT}'", "a: 4317");
    check("a: ${env:MAP}", "a: {a: 1, b: [x]}");
    check("a: ${env:EMPTY}", "a:");
    check("a: ${env:BRACKET}", "a: '[not yaml'");
    check("a: ${file:/run/token}", "a: s3cret");
}

#[test]
fn a_reference_within_text_is_text() {
    check("a: http://${env:HOST}:${PORT}/v1", "a: http://blue:4317/v1");
    check("a: Bearer ${file:/run/token}", "a: Bearer s3cret");
    check("a: ${env:INDIRECT}", "a: at blue");
    check("a: ${env:${WHICH}}", "a: 4317");
}

#[test]
fn defaults_hold_where_nothing_is_set() {
    check("a: ${env:NOPE:-5}", "a: 5");
    check("a: ${NOPE:-http://x:1}", "a: http://x:1");
    check("a: ${env:NOPE:-${env:HOST}}", "a: blue");
    check("a: ${env:HOST:-5}", "a: blue");
    check("a: ${env:EMPTY:-5}", "a:");
    check("a: ${env:NOPE:-}", "a:");
}

#[test]
fn dollars_are_kept_or_escaped() {
    check("a: $$", "a: $");
    check("a: $${env:HOST}", "a: ${env:HOST}");
    check("a: $1 costs $", "a: $1 costs $");
    check("a: $$$${HOST}", "a: $${HOST}");
    check("a: x $$${HOST}", "a: x $blue");
}

#[test]
fn a_reference_may_be_left_as_it_stands() {
    check("a: ${env:KEPT}\nb: x${KEPT:-y}z", "a: ${env:KEPT}\nb: x${KEPT:-y}z");
}

#[test]
fn a_string_field_gets_the_text_and_a_number_field_the_number() {
    let node = expanded("a: ${env:TOKEN}\nb: ${env:MAP}").expect("expands");
    let a = node.get("a").expect("a");
    assert_eq!(crate::from_node::<String>(a), Ok("0123".to_owned()));
    assert_eq!(crate::from_node::<u16>(a), Ok(123));
    let file = expanded("${file:/run/number}").expect("expands");
    assert_eq!(
        crate::from_node::<String>(&file),
        Ok("0123".to_owned()),
        "a file's last line break is not meant"
    );
    assert_eq!(crate::from_node::<String>(node.get("b").expect("b")), Ok("{a: 1, b: [x]}".to_owned()));
}

#[test]
fn replacements_stand_where_the_reference_stood() {
    let node = expanded("a:\n  b: ${env:MAP}").expect("expands");
    assert_eq!(node.at(&["a", "b", "b", "0"]).expect("there").mark.to_string(), "t.yaml:2:6");
}

#[test]
fn what_cannot_be_expanded_says_where_and_what_to_do() {
    for (text, expected) in [
        (
            "a: ${env:NOPE}",
            "t.yaml:1:4: `env:NOPE` is not set; set it, or give a default as in `${env:NOPE:-value}`",
        ),
        ("a: ${file:/nope}", "t.yaml:1:4: `file:/nope` cannot be read: no such file"),
        ("a: ${http:x}", "t.yaml:1:4: `http:x` cannot be read: unknown scheme"),
        (
            "a: b\nc: ${env:X",
            "t.yaml:2:4: `${` is not closed; write `}` behind the name, or `$${` for the characters themselves",
        ),
        ("a: ${env:SELF}", "t.yaml:1:4: expands too far; check for a variable that refers to itself"),
    ] {
        assert_eq!(expanded(text).expect_err("refused").to_string(), expected);
    }
}

/// Scenario: a variable that stands for more and more of itself. Guarantee: refused after a bounded effort.
#[test]
fn growth_is_bounded() {
    struct Counting(Cell<u64>);
    impl Resolve for Counting {
        fn resolve(&self, _: &str, _: &str) -> Resolution {
            self.0.set(self.0.get() + 1);
            Resolution::Text("${A}".repeat(1000))
        }
    }
    let mut node = parse("a: ${A}", "t.yaml").expect("parses");
    let resolver = Counting(Cell::new(0));
    assert!(matches!(expand(&mut node, &resolver), Err(ExpandError::TooMuch { .. })));
    assert!(resolver.0.get() <= 10_000);
    assert!(matches!(expanded("a: ${env:GROWS}"), Err(ExpandError::TooMuch { .. })));
    assert!(matches!(
        expanded(&format!("a: {}{}", "${".repeat(50_000), "}".repeat(50_000))),
        Err(ExpandError::TooMuch { .. })
    ));
}

#[test]
fn effort_is_bounded_in_number_and_depth() {
    assert!(expanded(&"- ${HOST}\n".repeat(10_000)).is_ok());
    let many = expanded(&"- ${HOST}\n".repeat(10_001)).expect_err("refused");
    assert!(matches!(many, ExpandError::TooMuch { ref mark } if mark.line == 10_001), "{many}");

    struct Chain(u32);
    impl Resolve for Chain {
        fn resolve(&self, _: &str, name: &str) -> Resolution {
            let next = name.parse::<u32>().map_or(0, |n| n + 1);
            Resolution::Text(if next > self.0 { "end".to_owned() } else { format!("${{env:{next}}}") })
        }
    }
    let chain = |links| {
        let mut node = parse("${env:0}", "t.yaml").expect("parses");
        expand(&mut node, &Chain(links)).map(|()| node)
    };
    assert_eq!(chain(8).expect("expands").as_str(), Some("end"));
    assert!(matches!(chain(9), Err(ExpandError::TooMuch { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Scenario: any arrangement of what references are made of. Guarantee: never a panic.
    #[test]
    fn random_references_never_panic(
        parts in prop::collection::vec(prop::sample::select(&[
            "$", "{", "}", "${", "env:", "HOST", "MAP", ":-", ":", "-", "file:", "/run/token", "é", "x", " ", "$$",
            "KEPT", "SELF", "http:", "",
        ][..]), 0..20)
    ) {
        let mut node = Node::new(crate::Value::String(parts.concat()), crate::Mark::nowhere());
        let _ = expand(&mut node, &Fixed);
    }
}

/// A file and an environment file, both with places of their own.
struct Placed;

impl Resolve for Placed {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        let (text, source, line, whole) = match (scheme, name) {
            ("file", "part.yaml") => {
                ("a: 1\nb:\n  - ${env:HOST}:1\n  - ${env:TOKEN}\n", "part.yaml", 1, true)
            }
            ("file", "loop.yaml") => ("a: ${file:loop.yaml}", "loop.yaml", 1, true),
            ("file", "token") => ("hunter2\n", "token", 1, true),
            ("env", "HOST") => ("blue", "blue.env", 3, false),
            ("env", "TOKEN") => ("hunter2", "blue.env", 4, false),
            _ => return Resolution::Absent,
        };
        Resolution::Found { text: text.to_owned(), mark: Mark::new(source, line, 6), whole }
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_secret(&self, _: &str, name: &str) -> bool {
        name.to_lowercase().contains("token")
    }
}

fn placed(text: &str) -> Node {
    let mut node = parse(text, "t.yaml").expect("parses");
    expand(&mut node, &Placed).expect("expands");
    node
}

/// Scenario: values come from a file and from an environment file. Guarantee: each stands where it was written.
#[test]
fn what_is_found_elsewhere_stands_there() {
    let node = placed("x: ${file:part.yaml}\ny: ${env:HOST}\nz: at ${env:HOST}");
    let mark = |path: &[&str]| node.at(path).expect("a value").mark.to_string();
    assert_eq!(mark(&["x", "a"]), "part.yaml:1:4");
    assert_eq!(mark(&["x", "b", "0"]), "part.yaml:3:5");
    assert_eq!(mark(&["x", "b", "1"]), "blue.env:4:6");
    assert_eq!(mark(&["y"]), "blue.env:3:6");
    assert_eq!(mark(&["z"]), "t.yaml:3:4");
    assert_eq!(node, placed("x: {a: 1, b: ['blue:1', hunter2]}\ny: blue\nz: at blue"));
}

/// Scenario: a secret is a whole value, a part of one, in an included file, or the default of a secret's name.
/// Guarantee: the value that it is part of is marked, and no other.
#[test]
fn what_a_secret_is_part_of_is_secret() {
    let node = placed(
        "a: ${env:TOKEN}\nb: Bearer ${file:token}\nc: ${env:HOST}\nd: ${env:MY_TOKEN:-x}\ne: ${file:part.yaml}\nf: ${file:${env:TOKEN}}",
    );
    let secret = |path: &[&str]| node.at(path).expect("a value").is_secret();
    assert!(secret(&["a"]) && secret(&["b"]) && secret(&["d"]) && secret(&["e", "b", "1"]));
    assert!(!secret(&["c"]) && !secret(&["e"]) && !secret(&["e", "a"]) && !secret(&["e", "b", "0"]));
    assert_eq!(node.at(&["f"]).and_then(Node::as_str), Some("${file:${env:TOKEN}}"), "it is not looked up");
}

#[test]
fn what_is_absent_has_its_default_or_stays() {
    let node = placed("a: ${env:NONE:-7}\nb: ${env:NONE}\nc: x${NONE}");
    assert_eq!(node, parse("a: 7\nb: ${env:NONE}\nc: x${NONE}", "expected").expect("parses"));
}

#[test]
fn a_file_that_includes_itself_ends() {
    let mut node = parse("a: ${file:loop.yaml}", "t.yaml").expect("parses");
    assert!(matches!(expand(&mut node, &Placed), Err(ExpandError::TooMuch { .. })));
}
