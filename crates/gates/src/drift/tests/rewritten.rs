//! Every public configuration against itself, written anew: other layout, aliases, cut into files.

use std::collections::BTreeMap;

use crossfade_yaml::{Node, Value};
use proptest::prelude::*;

use super::noise::{CONFIGS, read};
use super::*;

/// A writer of YAML with habits of its own.
struct Writer {
    indent: usize,
    /// A list's or map's text in short form, and how many of its kind there are: those that come twice become aliases.
    anchors: BTreeMap<String, (usize, bool)>,
    comments: bool,
    out: String,
}

fn short(node: &Node) -> String {
    serde_json::to_string(node).expect("a tree is JSON")
}

impl Writer {
    fn write(node: &Node, indent: usize, aliases: bool, comments: bool) -> String {
        let mut counts = BTreeMap::new();
        if aliases {
            count(node, &mut counts);
        }
        counts.retain(|_, (times, _)| *times > 1);
        counts.values_mut().enumerate().for_each(|(at, (number, _))| *number = at);
        let mut writer = Writer { indent, anchors: counts, comments, out: String::new() };
        writer.value(node, 0);
        writer.out
    }

    fn value(&mut self, node: &Node, level: usize) {
        if let Some((number, written)) = self.anchors.get_mut(&short(node)) {
            if *written {
                self.out.push_str(&format!(" *a{number}\n"));
                return;
            }
            *written = true;
            self.out.push_str(&format!(" &a{number}"));
        }
        let pad = " ".repeat(self.indent * level);
        match &node.value {
            Value::Map(map) if !map.is_empty() => {
                self.out.push('\n');
                for (key, value) in map.iter() {
                    if self.comments {
                        self.out.push_str(&format!("{pad}# {}: not a key\n", level));
                    }
                    self.out.push_str(&format!("{pad}{}:", serde_json::Value::from(key.name.as_str())));
                    self.value(value, level + 1);
                }
            }
            Value::List(items) if !items.is_empty() => {
                self.out.push('\n');
                for item in items {
                    self.out.push_str(&format!("{pad}-"));
                    self.value(item, level + 1);
                }
            }
            _ => self.out.push_str(&format!(" {}\n", short(node))),
        }
    }
}

fn count(node: &Node, counts: &mut BTreeMap<String, (usize, bool)>) {
    let children: Vec<&Node> = match &node.value {
        Value::Map(map) => map.iter().map(|(_, value)| value).collect(),
        Value::List(items) => items.iter().collect(),
        _ => return,
    };
    let empty = children.is_empty();
    children.into_iter().for_each(|child| count(child, counts));
    if !empty {
        counts.entry(short(node)).or_default().0 += 1;
    }
}

/// The part of a tree that falls to one of several files, by a hash of each path; lists are not cut.
fn part(node: &Node, path: &str, seed: u64, of: u64, this: u64) -> Option<serde_json::Value> {
    match node.as_map().filter(|map| !map.is_empty()) {
        Some(map) => {
            let below = map.iter().filter_map(|(key, value)| {
                let path = format!("{path}/{}", key.name);
                Some((key.name.clone(), part(value, &path, seed, of, this)?))
            });
            let below: serde_json::Map<String, serde_json::Value> = below.collect();
            (!below.is_empty()).then_some(serde_json::Value::Object(below))
        }
        None => {
            let hash = digest(format!("{seed}{path}").as_bytes());
            let mine = u64::from(hash[3] ^ hash[7]) % of == this;
            mine.then(|| serde_json::to_value(node).expect("a tree is JSON"))
        }
    }
}

#[track_caller]
fn same(name: &str, blue: &Node, green: &Node) {
    for (b, g) in [(blue, green), (green, blue)] {
        let report = drift(b, g, &[], &Context::default());
        assert!(differences(&report).is_empty(), "{name}:\n{}", render::text(&report, render::Detail::All));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// Scenario: every configuration, with another indent, with comments, with everything that comes twice as an alias.
    /// Guarantee: no difference.
    #[test]
    fn layout_and_aliases_do_not_matter(indent in 1usize..6, aliases: bool, comments: bool) {
        for config in &CONFIGS {
            let blue = read(config);
            let text = Writer::write(&blue, indent, aliases, comments);
            same(config.0, &blue, &tree(&text, "rewritten.yaml"));
            same(config.0, &blue, &tree(&short(&blue), "rewritten.json"));
        }
    }

    /// Scenario: every configuration cut into files at random. Guarantee: merged they are what it was.
    #[test]
    fn cut_into_files_it_is_the_same(seed: u64, of in 1u64..6) {
        for config in &CONFIGS {
            let blue = read(config);
            let parts = (0..of).map(|this| part(&blue, "", seed, of, this).unwrap_or(serde_json::Value::Null));
            let files: Vec<(String, String)> = parts.enumerate().map(|(i, p)| (format!("{i}.yaml"), p.to_string())).collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
            same(config.0, &blue, &load(&files, &KeepReferences).expect("merges"));
        }
    }
}

#[test]
fn aliases_are_written() {
    let written =
        CONFIGS.iter().map(|c| Writer::write(&read(c), 2, true, true)).filter(|t| t.contains(" *a")).count();
    assert!(written >= 10, "{written}");
}

/// What Tempo assumes, written out.
#[test]
fn defaults_of_tempo_do_not_matter() {
    let blue = tree("storage: {trace: {backend: local}}\nusage_report: {}", "t.yaml");
    let mut text = String::from("storage: {trace: {backend: local}}\n");
    let mut files = vec![text.clone()];
    for (path, value) in crate::drift::tempo::all() {
        let keys: Vec<&str> = path.split('.').collect();
        text = keys.iter().rev().fold(short(&value), |inner, key| format!("{{{key}: {inner}}}"));
        files.push(text.clone());
    }
    let named: Vec<(&str, &str)> = files.iter().map(|text| ("t.yaml", text.as_str())).collect();
    same("tempo", &blue, &load(&named, &KeepReferences).expect("merges"));
}
