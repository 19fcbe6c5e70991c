//! Tier 0 depends on nothing impure, however deep, and on nothing that nobody has looked at.

use super::Finding;
use super::tree::{Crate, House, line_of};
use crate::house::{DENIED_PACKAGES, PACKAGE_EXCEPTIONS, PATH_EXCEPTIONS, PURE_PACKAGES};

/// Every foreign package below a pure crate is listed as pure, or excepted for that crate, and none is denied.
pub(super) fn known(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in house.crates.iter().filter(|krate| krate.is_pure()) {
        let mut chain: Vec<&str> = Vec::new();
        for (depth, package) in &krate.packages {
            chain.truncate(*depth);
            chain.push(package);
            if let Some((what, remedy)) = judged(house, &chain) {
                let direct = chain.get(1).copied().unwrap_or(package);
                let manifest = house.files.get(&krate.manifest()).map_or("", |text| text);
                let (file, line) = (krate.manifest(), line_of(manifest, direct));
                findings.push(Finding { file, line, rule: "pure-package", what, remedy });
            }
        }
    }
    findings
}

/// Every exception still excuses something.
pub(super) fn needed(house: &House) -> Vec<Finding> {
    let unused = PACKAGE_EXCEPTIONS.iter().filter(|(folder, package, _)| {
        let depends =
            |krate: &Crate| krate.folder == *folder && krate.packages.iter().any(|(_, name)| name == package);
        !house.crates.iter().any(depends)
    });
    let gone = PATH_EXCEPTIONS
        .iter()
        .filter(|(folder, ..)| house.crates.iter().all(|krate| krate.folder != *folder));
    let finding = |(folder, what, _): &(&str, &str, &str)| Finding {
        file: "crates/xtask/src/house.rs".to_owned(),
        line: 0,
        rule: "needed-exception",
        what: format!("the exception of `{folder}` for `{what}` excuses nothing"),
        remedy: "take it out of the table".to_owned(),
    };
    unused.chain(gone).map(finding).collect()
}

/// What is wrong with the last package of a chain of dependencies that begins at a pure crate.
fn judged(house: &House, chain: &[&str]) -> Option<(String, String)> {
    let package = *chain.last()?;
    // Excepted for any crate of the house on the way: who depends on `tlog` has what `tlog` is excused for.
    let folders =
        house.crates.iter().filter(|krate| chain.contains(&&*krate.package)).map(|krate| &*krate.folder);
    let excepted = folders.into_iter().any(|folder| {
        PACKAGE_EXCEPTIONS.iter().any(|(krate, excused, _)| *krate == folder && *excused == package)
    });
    if excepted || house.crates.iter().any(|krate| krate.package == package) {
        return None;
    }
    let way = chain.join(" -> ");
    if let Some((_, why)) = DENIED_PACKAGES.iter().find(|(denied, _)| *denied == package) {
        return Some((
            format!("{way}: {why}"),
            "turn the feature off that brings it in, or do without".to_owned(),
        ));
    }
    if PURE_PACKAGES.iter().all(|(pure, _)| *pure != package) {
        let remedy =
            "look at what it does; if it is pure, list it in PURE_PACKAGES with what it is there for";
        return Some((format!("{way}: not known to be pure"), remedy.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{house, krate};
    use super::*;

    fn with_packages(folder: &str, packages: &[(usize, &str)]) -> House {
        let mut pure = krate(folder);
        pure.packages = packages.iter().map(|(depth, name)| (*depth, (*name).to_owned())).collect();
        let manifest = "[dependencies]\nserde.workspace = true\nnovel.workspace = true\n";
        house(vec![pure, krate("yaml")], &[(&format!("crates/{folder}/Cargo.toml"), manifest)])
    }

    #[test]
    fn a_denied_package_is_found_however_deep_with_the_way_to_it() {
        let tree = [(0, "crossfade-otlp"), (1, "serde"), (1, "novel"), (2, "serde_core"), (2, "tokio")];
        let findings = known(&with_packages("otlp", &tree));
        let whats: Vec<_> = findings.iter().map(|finding| (finding.line, &*finding.what)).collect();
        assert_eq!(
            whats,
            [
                (3, "crossfade-otlp -> novel: not known to be pure"),
                (3, "crossfade-otlp -> novel -> tokio: a runtime"),
            ]
        );
    }

    #[test]
    fn listed_packages_and_own_crates_pass() {
        let tree = [(0, "crossfade-gates"), (1, "crossfade-yaml"), (2, "saphyr-parser"), (1, "serde")];
        assert_eq!(known(&with_packages("gates", &tree)), []);
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        assert_eq!(known(&with_packages("tlog", &[(0, "crossfade-tlog"), (1, "aws-lc-rs")])), []);
        assert_eq!(known(&with_packages("otlp", &[(0, "crossfade-otlp"), (1, "aws-lc-rs")])).len(), 1);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_found() {
        assert_eq!(needed(&with_packages("tlog", &[])).len(), PACKAGE_EXCEPTIONS.len());
    }

    #[test]
    fn every_entry_of_the_tables_has_its_reason() {
        let reasons = PACKAGE_EXCEPTIONS.iter().chain(PATH_EXCEPTIONS).map(|(_, _, reason)| *reason);
        let pairs = DENIED_PACKAGES.iter().chain(PURE_PACKAGES).map(|(_, reason)| *reason);
        assert!(reasons.chain(pairs).all(|reason| reason.len() >= 4));
    }
}
