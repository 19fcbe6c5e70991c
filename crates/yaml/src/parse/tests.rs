use proptest::prelude::*;

use super::{Limits, YamlErrorKind, parse, parse_all, parse_embedded, parse_with};
use crate::node::{Node, Value};

fn read(text: &str) -> Node {
    parse(text, "t.yaml").expect("parses")
}

#[track_caller]
fn refuses(text: &str, place: &str, wanted: fn(&YamlErrorKind) -> bool) {
    let error = parse(text, "t.yaml").expect_err("refused");
    assert!(wanted(&error.kind), "{error}");
    assert_eq!(error.mark.to_string(), format!("t.yaml:{place}"), "{error}");
}

#[test]
fn every_value_knows_its_place() {
    let node = read("a:\n  - b: [1, x]\n    'c d': |\n      text\n");
    for (path, place) in [
        (&["a"][..], "t.yaml:2:3"),
        (&["a", "0", "b"], "t.yaml:2:8"),
        (&["a", "0", "b", "1"], "t.yaml:2:12"),
        // A block scalar begins where its text does.
        (&["a", "0", "c d"], "t.yaml:4:7"),
    ] {
        assert_eq!(node.at(path).expect("there").mark.to_string(), place, "{path:?}");
    }
    let (key, _) = node.as_map().and_then(|m| m.entry("a")).expect("there");
    assert_eq!(key.mark.to_string(), "t.yaml:1:1");
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    let cases: [(&str, Value); 24] = [
        ("~", Value::Null),
        ("null", Value::Null),
        ("", Value::Null),
        ("true", Value::Bool(true)),
        ("FALSE", Value::Bool(false)),
        ("yes", Value::String("yes".into())),
        ("0", Value::Int(0)),
        ("-17", Value::Int(-17)),
        ("+3", Value::Int(3)),
        ("0o17", Value::Int(15)),
        ("0xfF", Value::Int(255)),
        ("0x", Value::String("0x".into())),
        ("0x-1", Value::String("0x-1".into())),
        ("18446744073709551616", Value::Int(1 << 64)),
        ("1.5", Value::Float(1.5)),
        (".5", Value::Float(0.5)),
        ("1e3", Value::Float(1000.0)),
        ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ("inf", Value::String("inf".into())),
        ("e", Value::String("e".into())),
        ("1.2.3", Value::String("1.2.3".into())),
        ("30s", Value::String("30s".into())),
        ("'5'", Value::String("5".into())),
        ("!!str 5", Value::String("5".into())),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).value, expected, "{text}");
    }
    // A number beyond 128 bits is still a number.
    assert_eq!(read(&"9".repeat(60)).value, Value::Float(1e60));
}

#[test]
fn the_text_of_a_number_is_kept() {
    assert_eq!(read("0x1F").scalar_text().as_deref(), Some("0x1F"));
    assert_eq!(read("1.10").scalar_text().as_deref(), Some("1.10"));
}

#[test]
fn a_key_twice_is_an_error_at_its_second_place() {
    refuses(
        "a: 1\nb: 2\n'a': 3",
        "3:1",
        |k| matches!(k, YamlErrorKind::DuplicateKey { key, first_line: 1 } if key == "a"),
    );
}

#[test]
fn aliases_copy_and_merge_keys_yield() {
    let node = read("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\nd: {<<: [{q: 4}, *x]}\n'<<': 5");
    assert_eq!(node.get("a"), node.get("b"));
    assert_eq!(node.get("c"), Some(&read("{p: 1, q: 3}")));
    assert_eq!(node.get("d"), Some(&read("{q: 4, p: 1}")));
    assert_eq!(node.get("<<"), Some(&read("5")));
    refuses("a: {<<: 5}", "1:5", |k| *k == YamlErrorKind::UnusableMergeKey);
}

#[test]
fn what_yaml_allows_and_configurations_do_not_is_refused() {
    refuses("a: &x [*x]", "1:8", |k| *k == YamlErrorKind::RecursiveAlias);
    refuses("? [a]\n: b", "1:3", |k| *k == YamlErrorKind::UnusableKey);
    refuses(": b", "1:1", |k| *k == YamlErrorKind::UnusableKey);
    refuses("a: !secret b", "1:4", |k| matches!(k, YamlErrorKind::UnsupportedTag(_)));
    refuses("a: !!int b", "1:4", |k| matches!(k, YamlErrorKind::TagMismatch(_)));
    refuses("a: *nope", "1:4", |k| matches!(k, YamlErrorKind::Syntax(_)));
    refuses("a: 1\n---\nb: 2", "3:1", |k| *k == YamlErrorKind::SeveralDocuments);
    refuses("a: [1, 2", "2:1", |k| matches!(k, YamlErrorKind::Syntax(_)));
    refuses("a:\n\t- b", "2:2", |k| matches!(k, YamlErrorKind::Syntax(_)));
}

#[test]
fn several_documents_are_read_when_asked() {
    let all = parse_all("a: 1\n---\n# nothing\n---\nb: 2\n", "t.yaml").expect("parses");
    assert_eq!(all, [read("a: 1"), read(""), read("b: 2")]);
}

#[test]
fn a_document_within_a_string_keeps_its_lines() {
    let node =
        read("data:\n  relay: |\n    a:\n      b: 1\n  short: \"a: 1\"\n  bad: |\n    a: 1\n    a: 2\n");
    let relay = parse_embedded(node.at(&["data", "relay"]).expect("there")).expect("text").expect("YAML");
    assert_eq!(relay.at(&["a", "b"]).expect("there").mark.to_string(), "t.yaml:4:10");
    let short = parse_embedded(node.at(&["data", "short"]).expect("there")).expect("text").expect("YAML");
    assert_eq!(short.get("a").expect("there").mark.to_string(), "t.yaml:5:10");
    let bad = parse_embedded(node.at(&["data", "bad"]).expect("there")).expect("text").expect_err("refused");
    assert_eq!(bad.mark.to_string(), "t.yaml:8:5");
    assert_eq!(parse_embedded(&node), None);
}

#[test]
fn an_empty_text_is_null_and_a_byte_order_mark_is_nothing() {
    assert!(read("").is_null());
    assert!(read("# only a remark\n").is_null());
    assert_eq!(read("\u{feff}a: 1"), read("a: 1"));
}

/// Scenario: a few hundred bytes of aliases that stand for billions of values, or very deep nesting.
/// Guarantee: refused, at a cost bounded by the limits.
#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let row = vec![format!("*a{}", i - 1); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    refuses(&laughs, "6:10", |k| matches!(k, YamlErrorKind::TooManyNodes { .. }));

    refuses(&"[".repeat(100), "1:65", |k| matches!(k, YamlErrorKind::TooDeep { limit: 64 }));
    assert!(parse(&"[".repeat(100_000), "t.yaml").is_err());
    refuses(&"- ".repeat(100_000), "1:129", |k| matches!(k, YamlErrorKind::TooDeep { .. }));
    let by_alias = format!("- &a {}{}\n- [[*a]]", "[".repeat(62), "]".repeat(62));
    refuses(&by_alias, "2:5", |k| matches!(k, YamlErrorKind::TooDeep { .. }));

    let nested_anchors = (0..60).map(|i| format!("&n{i} [")).collect::<String>() + &"1,".repeat(10_000);
    let closed = nested_anchors + &"]".repeat(60);
    let error = parse(&closed, "t.yaml").expect_err("refused");
    assert!(matches!(error.kind, YamlErrorKind::TooManyNodes { .. }), "{error}");

    let small = Limits { bytes: 3, ..Limits::default() };
    assert_eq!(
        parse_with("aaaa", "t.yaml", small).expect_err("refused").kind,
        YamlErrorKind::TooLarge { bytes: 4, limit: 3 }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Scenario: any text at all. Guarantee: a tree within the limits or an error, never a panic.
    #[test]
    fn random_text_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_any(&String::from_utf8_lossy(&bytes));
    }

    /// The same with what YAML is made of, which gets deeper into the parser.
    #[test]
    fn random_yaml_never_panics(
        parts in prop::collection::vec(prop::sample::select(&[
            "a", "b: ", ": ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "'", "\"",
            "|\n", ">-\n", "# c\n", "---\n", "...\n", "!!str ", "!t ", "? ", "%TAG", "\t", "\\", "0x1", "1e9", "~",
            "\u{85}", "\u{feff}", "é", "${env:X}",
        ][..]), 0..60)
    ) {
        check_any(&parts.concat());
    }
}

fn check_any(text: &str) {
    let limits = Limits { nodes: 1_000, ..Limits::default() };
    if let Ok(node) = parse_with(text, "t.yaml", limits) {
        assert!(node.count() <= limits.nodes && node.depth() <= limits.depth);
        assert_eq!(node.clone().value, node.value.clone());
        // What was read can be read into a type, or is refused in words.
        let typed = crate::from_node::<Node>(&node).expect("a tree reads into a tree");
        assert!(typed.count() == node.count());
    }
}
