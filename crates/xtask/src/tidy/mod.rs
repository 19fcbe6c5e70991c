//! `cargo xtask tidy`: the house rules, proven and not promised.
//!
//! Each rule is one function from a [`House`] to findings, with a test that shows it failing on a bad sample. A finding
//! says where, which rule, what is wrong and what to do. The tables that the rules read are in [`crate::house`].
//!
//! | module | proves |
//! |---|---|
//! | [`arrows`] | every crate has a tier; arrows point down; the few within a tier are listed, used and acyclic |
//! | [`pure_sources`] | tier 0 names no file, socket, clock, environment, thread, runtime or unseeded randomness |
//! | [`pure_packages`] | nor does anything that a crate of tier 0 depends on |
//! | [`docs`] | every crate has its doc and its row in ARCHITECTURE.md; no file is too long |
//! | [`manifests`] | licence, edition, toolchain, lints, programs, default members |
//!
//! [`tree`] reads the workspace, [`modules`] follows a crate's `mod` lines, [`paths`] finds what a source names.

mod arrows;
mod docs;
mod manifests;
mod modules;
mod paths;
mod pure_packages;
mod pure_sources;
mod tree;

use crate::shell::say;
use anyhow::{Result, bail};
use tree::House;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    /// 1-based; 0 where the whole file is meant.
    line: usize,
    rule: &'static str,
    what: String,
    remedy: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}: [{}] {}; {}", self.file, self.line.max(1), self.rule, self.what, self.remedy)
    }
}

type Rule = fn(&House) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("every crate is in the table", arrows::known),
    ("arrows point down", arrows::down),
    ("arrows within a tier are listed, used and acyclic", arrows::listed),
    ("tier 0 names nothing impure", pure_sources::names),
    ("tier 0 has no build script", pure_sources::no_build_script),
    ("tier 0 depends on nothing impure", pure_packages::known),
    ("every exception is needed", pure_packages::needed),
    ("every crate has its doc", docs::crate_docs),
    ("every crate has its row in ARCHITECTURE.md", docs::rows),
    ("no file is too long", docs::lengths),
    ("manifests say licence, edition, toolchain, lints", manifests::fields),
    ("the fuzz targets say what the workspace says", manifests::fuzz),
    ("only cli and xtask make programs", manifests::programs),
    ("default members are all but xtask", manifests::defaults),
];

pub(crate) fn run() -> Result<()> {
    let house = House::read()?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|(_, rule)| rule(&house)).collect();
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        say(&format!("tidy: {} rules hold over {} crates", RULES.len(), house.crates.len()));
        return Ok(());
    }
    bail!("tidy: {} findings", findings.len())
}
