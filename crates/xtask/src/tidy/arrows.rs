//! Crates, tiers, arrows.

use super::Finding;
use super::tree::{Crate, House, line_of, tier};
use crate::house::{ARROWS, CRATES, SIMULATORS, Tier};

/// Every crate has a tier, and the table names no crate that is gone.
pub(super) fn known(house: &House) -> Vec<Finding> {
    let unknown = house.crates.iter().filter(|krate| krate.tier().is_none()).map(|krate| Finding {
        file: krate.manifest(),
        line: 0,
        rule: "known-crate",
        what: format!("`{}` has no tier", krate.folder),
        remedy: "add it to CRATES in crates/xtask/src/house.rs and to ARCHITECTURE.md".to_owned(),
    });
    let gone = CRATES.iter().filter(|(name, _)| house.crates.iter().all(|krate| krate.folder != *name));
    unknown
        .chain(gone.map(|(name, _)| in_table("known-crate", format!("there is no crate `{name}`"))))
        .collect()
}

/// An arrow points to a lower tier, or is listed, or leads a test to the simulators.
pub(super) fn down(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        for arrow in &krate.arrows {
            if !allowed(krate, &arrow.to, arrow.for_tests) {
                findings.push(upward(house, krate, &arrow.to));
            }
        }
    }
    findings
}

/// The listed arrows lie within one tier, are in use, and form no ring.
pub(super) fn listed(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (from, to) in ARROWS {
        let used = house
            .crates
            .iter()
            .any(|krate| krate.folder == *from && krate.arrows.iter().any(|a| a.to == *to));
        if !used {
            findings.push(in_table("listed-arrow", format!("the arrow {from} -> {to} is not used")));
        }
        if tier(from) != tier(to) {
            findings.push(in_table("listed-arrow", format!("the arrow {from} -> {to} leaves its tier")));
        }
    }
    findings
        .extend(ring(ARROWS).map(|ring| in_table("listed-arrow", format!("a ring: {}", ring.join(" -> ")))));
    findings
}

fn allowed(from: &Crate, to: &str, for_tests: bool) -> bool {
    let (Some(above), Some(below)) = (from.tier(), tier(to)) else { return true }; // `known` speaks of it
    let simulators = for_tests && to == SIMULATORS && above > Tier::Pure;
    above > below || simulators || ARROWS.contains(&(&from.folder, to))
}

fn upward(house: &House, krate: &Crate, to: &str) -> Finding {
    let manifest = house.files.get(&krate.manifest()).map_or("", |text| text);
    Finding {
        file: krate.manifest(),
        line: line_of(manifest, &format!("crossfade-{to}")),
        rule: "arrows-down",
        what: format!("the arrow {} -> {to} does not point down, and is not listed", krate.folder),
        remedy: "move what is shared to a lower tier, or pass it in from the composition root".to_owned(),
    }
}

fn in_table(rule: &'static str, what: String) -> Finding {
    let remedy = "take it out of the table".to_owned();
    Finding { file: "crates/xtask/src/house.rs".to_owned(), line: 0, rule, what, remedy }
}

/// A ring among `arrows`, if there is one, by peeling off whatever nothing points at.
fn ring<'a>(arrows: &[(&'a str, &'a str)]) -> Option<Vec<&'a str>> {
    let mut left = arrows.to_vec();
    loop {
        let before = left.len();
        let targets: Vec<_> = left.iter().map(|(_, to)| *to).collect();
        left.retain(|(from, _)| targets.contains(from));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    // Each crate that is left is pointed at by another that is left, so walking back must come round.
    let mut walk = vec![left[0].0];
    loop {
        let here = walk[walk.len() - 1];
        let (before, _) = left.iter().find(|(_, to)| *to == here)?;
        if let Some(start) = walk.iter().position(|name| name == before) {
            walk.push(before);
            walk.drain(..start);
            walk.reverse();
            return Some(walk);
        }
        walk.push(before);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{arrow, house, krate};
    use super::*;

    fn with_arrow(from: &str, to: &str, for_tests: bool) -> Vec<Finding> {
        let mut above = krate(from);
        above.arrows = vec![arrow(to, for_tests)];
        let manifest = format!("[dependencies]\ncrossfade-{to}.workspace = true\n");
        down(&house(vec![above], &[(&format!("crates/{from}/Cargo.toml"), &manifest)]))
    }

    #[test]
    fn a_crate_without_a_tier_and_a_row_without_a_crate_are_found() {
        let mut crates: Vec<_> = CRATES.iter().skip(1).map(|(name, _)| krate(name)).collect();
        crates.push(krate("newcomer"));
        let findings = known(&house(crates, &[]));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].what.contains("newcomer") && findings[1].what.contains(CRATES[0].0));
    }

    #[test]
    fn an_arrow_up_or_across_is_found_with_its_line() {
        for (from, to) in
            [("otlp", "audit"), ("gateway", "control"), ("yaml", "gates"), ("audit", "backends")]
        {
            let findings = with_arrow(from, to, false);
            assert_eq!(findings.len(), 1, "{from} -> {to}");
            assert_eq!(findings[0].line, 2);
        }
    }

    #[test]
    fn an_arrow_down_or_listed_is_fine() {
        for (from, to) in [("gateway", "otlp"), ("rollout", "yaml"), ("cli", "lab")] {
            assert_eq!(with_arrow(from, to, false), [], "{from} -> {to}");
        }
    }

    #[test]
    fn only_tests_above_tier_0_may_use_the_simulators() {
        assert_eq!(with_arrow("gateway", "lab", true), []);
        assert_eq!(with_arrow("gateway", "lab", false).len(), 1);
        assert_eq!(with_arrow("routing", "lab", true).len(), 1);
    }

    #[test]
    fn an_unused_listed_arrow_is_found() {
        let findings = listed(&house(vec![], &[]));
        assert_eq!(findings.len(), ARROWS.len(), "{findings:?}");
    }

    #[test]
    fn a_ring_is_found_wherever_the_walk_begins() {
        assert_eq!(ring(&[("a", "b"), ("b", "c"), ("x", "a")]), None);
        let found = ring(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "y")]).unwrap();
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found.first(), found.last());
        assert!(ring(&[("a", "a")]).is_some());
    }

    #[test]
    fn the_listed_arrows_form_no_ring() {
        assert_eq!(ring(ARROWS), None);
    }
}
