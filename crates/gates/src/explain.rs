//! What every id in a report means: for `crossfade explain ID`, and as the page that lists them all.

use std::fmt::Write;

use crate::rule::Rule;
use crate::{coverage, dependencies, drift, history, load, look, parity, policy, posture, probe, waiver};

/// The rules of every gate, gate by gate. A gate that is not here has no explanations.
const GATES: &[(&str, &[&Rule])] = &[
    ("coverage", coverage::RULES),
    ("dependencies", dependencies::RULES),
    ("drift", drift::RULES),
    ("history", history::RULES),
    ("load", load::RULES),
    ("parity", parity::RULES),
    ("posture", posture::RULES),
    ("policy", policy::RULES),
    ("probe", probe::RULES),
    ("every gate", look::RULES),
    ("waivers", waiver::RULES),
];

/// All rules, gate by gate, in the order of their ids.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    GATES.iter().flat_map(|(_, rules)| rules.iter().copied())
}

/// The rule of an id such as `CF-DRIFT-014`, or of a name. Case does not matter.
pub fn rule(id: &str) -> Option<&'static Rule> {
    let wanted = id.trim();
    rules().find(|rule| rule.id.eq_ignore_ascii_case(wanted) || rule.name.eq_ignore_ascii_case(wanted))
}

/// The gate whose rule it is.
pub fn gate(id: &str) -> Option<&'static str> {
    let rule = rule(id)?;
    GATES.iter().find(|(_, rules)| rules.iter().any(|one| one.id == rule.id)).map(|(gate, _)| *gate)
}

/// The text for an id such as `CF-DRIFT-014`, or for a rule's name; `None` if there is no such rule. Case does not matter.
pub fn explain(id: &str) -> Option<String> {
    rule(id).map(one)
}

/// Every id that [`explain`] knows, with its rule's name, in order.
pub fn known() -> Vec<(&'static str, &'static str)> {
    rules().map(|rule| (rule.id, rule.name)).collect()
}

/// The page that documents every finding, in Markdown.
pub fn page() -> String {
    let mut out = String::from(
        "# Findings\n\nEvery finding that a gate can make. `crossfade explain ID` shows the same. This page is generated: \
         `crossfade explain --all`.\n\nA finding fails its gate unless it is a *note*. *Unknown* keeps the gate from \
         passing, and cannot be waived.\n",
    );
    for (gate, rules) in GATES {
        put(&mut out, &format!("\n## {gate}\n"));
        for rule in *rules {
            put(&mut out, &format!("### {} {}\n", rule.id, rule.name));
            put(&mut out, &format!("*{}, {}.* {}\n", rule.severity.word(), rule.class.word(), rule.what));
            put(&mut out, &format!("- Why: {}", rule.why));
            put(&mut out, &format!("- Fix: {}", rule.fix));
            put(&mut out, &format!("- Touches: {}\n", controls(rule)));
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn one(rule: &'static Rule) -> String {
    let mut out =
        format!("{}  {}  ({}, {})\n\n", rule.id, rule.name, rule.severity.word(), rule.class.word());
    for (label, text) in [("What", rule.what), ("Why ", rule.why), ("Fix ", rule.fix)] {
        put(&mut out, &format!("{label}  {text}"));
    }
    put(&mut out, "\nTouches");
    let widest = rule.controls.iter().map(|control| control.to_string().len()).max().unwrap_or(0);
    for control in rule.controls {
        put(&mut out, &format!("  {:<widest$}  {}", control.to_string(), control.asks));
    }
    out
}

fn controls(rule: &Rule) -> String {
    let names: Vec<String> = rule.controls.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes it");
}

#[cfg(test)]
mod tests {
    use super::{explain, known, page, rules};

    #[test]
    fn every_id_is_explained_once() {
        let all = known();
        let mut ids: Vec<_> = all.iter().flat_map(|(id, name)| [*id, *name]).collect();
        let before = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), before, "an id or a name stands for two rules");
        for (id, name) in all {
            assert_eq!(explain(id), explain(name));
            assert!(explain(id).is_some_and(|text| text.contains("Fix ")), "{id}");
        }
    }

    #[test]
    fn ids_are_found_in_any_case_and_unknown_ones_are_not() {
        assert!(explain(" cf-drift-014 ").is_some_and(|t| t.contains("redaction_removed")));
        assert_eq!(explain("CF-DRIFT-999"), None);
        assert_eq!(explain(""), None);
    }

    #[test]
    fn every_rule_names_a_control() {
        for rule in rules() {
            assert!(!rule.controls.is_empty(), "{}", rule.id);
        }
    }

    /// The page in the documentation is the one that the rules make. To write it anew:
    /// `cargo run -- explain --all > docs/reference/findings.md`
    #[test]
    fn the_reference_page_is_that_of_the_rules() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/findings.md");
        let written = std::fs::read_to_string(path).expect("docs/reference/findings.md");
        assert!(written == page(), "docs/reference/findings.md is not what `crossfade explain --all` prints");
    }

    /// Every id that is written anywhere in this crate's source has a rule.
    #[test]
    fn no_id_is_used_that_has_no_rule() {
        let mut seen = 0;
        let known: Vec<&str> = known().into_iter().map(|(id, _)| id).collect();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of this crate") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|is| is == "rs")
                    && let Ok(text) = std::fs::read_to_string(&path)
                {
                    for (at, _) in text.match_indices("\"CF-") {
                        let id = text[at + 1..].split('"').next().unwrap_or_default();
                        let whole = id.len() > 3 && id.ends_with(|c: char| c.is_ascii_digit());
                        seen += u32::from(whole);
                        assert!(
                            !whole || known.contains(&id) || id.ends_with("999"),
                            "{id} in {}",
                            path.display()
                        );
                    }
                }
            }
        }
        assert!(seen > 50, "only {seen} ids are written anywhere: they are looked for in the wrong place");
    }
}
