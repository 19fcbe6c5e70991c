//! What manifests say.

use super::Finding;
use super::tree::{Crate, House, line_of};
use crate::house::{CHORES, PROGRAMS};

/// Each package says its licence, its edition, the toolchain that is really used, that it is not published, and takes
/// the workspace's lints.
pub(super) fn fields(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        let text = house.files.get(&krate.manifest()).map_or("", |text| text);
        let inherits = toml::from_str::<toml::Table>(text).ok().and_then(|table| {
            table.get("lints")?.get("workspace")?.as_bool() // `[lints] workspace = true`
        });
        let rust = krate.rust_version.as_deref().unwrap_or("nothing");
        let checks = [
            (
                krate.license.as_deref() == Some("Apache-2.0"),
                "license",
                "the licence is not Apache-2.0".to_owned(),
            ),
            (krate.edition == "2024", "edition", format!("the edition is {}", krate.edition)),
            (
                rust == house.toolchain,
                "rust-version",
                format!("rust-version says {rust}, the toolchain is {}", house.toolchain),
            ),
            (!krate.published, "publish", "the package may be published".to_owned()),
            (inherits == Some(true), "lints", "the workspace's lints are not taken".to_owned()),
        ];
        for (_, field, what) in checks.into_iter().filter(|(holds, ..)| !holds) {
            findings.push(Finding {
                file: krate.manifest(),
                line: line_of(text, field),
                rule: "manifest-fields",
                what,
                remedy: format!("write `{field}.workspace = true`; the value stands in the root Cargo.toml"),
            });
        }
    }
    findings
}

/// The fuzz targets are a workspace of their own, which inherits nothing: what it says is what the workspace says.
pub(super) fn fuzz(house: &House) -> Vec<Finding> {
    let text = |file: &str| house.files.get(file).map_or("", |text| text);
    let table = |file: &str| toml::from_str::<toml::Table>(text(file)).unwrap_or_default();
    let (root, fuzz) = (table("Cargo.toml"), table(FUZZ));
    let fields = ["license", "edition", "rust-version", "publish"].into_iter();
    let wrong = fields.filter_map(|field| {
        let wanted = root.get("workspace")?.get("package")?.get(field)?;
        let found = fuzz.get("package").and_then(|package| package.get(field));
        (found != Some(wanted)).then_some((field, wanted))
    });
    let finding = |(field, wanted): (&str, &toml::Value)| Finding {
        file: FUZZ.to_owned(),
        line: line_of(text(FUZZ), field),
        rule: "manifest-fields",
        what: format!("`{field}` is not that of the workspace"),
        remedy: format!("write `{field} = {wanted}`"),
    };
    wrong.map(finding).collect()
}

const FUZZ: &str = "fuzz/Cargo.toml";

/// Programs come from the composition root and from the chores, one each.
pub(super) fn programs(house: &House) -> Vec<Finding> {
    let wrong = house.crates.iter().filter(|krate| {
        let wanted = usize::from(PROGRAMS.contains(&&*krate.folder));
        krate.programs != wanted
    });
    let finding = |krate: &Crate| Finding {
        file: krate.manifest(),
        line: line_of(house.files.get(&krate.manifest()).map_or("", |text| text), "[[bin]]"),
        rule: "programs",
        what: format!("`{}` makes {} programs", krate.folder, krate.programs),
        remedy: format!("one program each in {}, none elsewhere", PROGRAMS.join(" and ")),
    };
    wrong.map(finding).collect()
}

/// What is built when nothing is named: all that ships and all that proves it, but not the chores.
pub(super) fn defaults(house: &House) -> Vec<Finding> {
    let wrong = house.crates.iter().filter(|krate| {
        let is_default = house.default_members.contains(&krate.folder);
        is_default == (krate.folder == CHORES)
    });
    let text = house.files.get("Cargo.toml").map_or("", |text| text);
    let finding = |krate: &Crate| Finding {
        file: "Cargo.toml".to_owned(),
        line: line_of(text, "default-members"),
        rule: "default-members",
        what: format!("`crates/{}` is on the wrong side of default-members", krate.folder),
        remedy: format!("list every crate but {CHORES}"),
    };
    wrong.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{house, krate};
    use super::*;

    const GOOD: &str = "[package]\nlicense.workspace = true\n\n[lints]\nworkspace = true\n";

    fn with(change: impl FnOnce(&mut Crate), manifest: &str) -> Vec<Finding> {
        let mut changed = krate("otlp");
        change(&mut changed);
        fields(&house(vec![changed], &[("crates/otlp/Cargo.toml", manifest)]))
    }

    #[test]
    fn each_wrong_field_is_found() {
        assert_eq!(with(|_| (), GOOD), []);
        assert_eq!(with(|krate| krate.license = None, GOOD)[0].line, 2);
        assert_eq!(with(|krate| krate.license = Some("MIT".to_owned()), GOOD).len(), 1);
        assert_eq!(with(|krate| krate.edition = "2021".to_owned(), GOOD).len(), 1);
        assert_eq!(with(|krate| krate.rust_version = Some("1.70".to_owned()), GOOD).len(), 1);
        assert_eq!(with(|krate| krate.published = true, GOOD).len(), 1);
        assert_eq!(with(|_| (), "[package]\n").len(), 1);
        assert_eq!(with(|_| (), "[package]\n[lints.rust]\nunsafe_code = \"allow\"\n").len(), 1);
    }

    #[test]
    fn the_fuzz_targets_say_what_the_workspace_says() {
        let root = "[workspace.package]\nlicense = \"Apache-2.0\"\nedition = \"2024\"\n";
        let check = |text: &str| fuzz(&house(vec![], &[("Cargo.toml", root), (FUZZ, text)]));
        assert_eq!(check("[package]\nlicense = \"Apache-2.0\"\nedition = \"2024\"\n"), []);
        let findings = check("[package]\nedition = \"2021\"\n");
        let whats: Vec<_> = findings.iter().map(|finding| (finding.line, &*finding.remedy)).collect();
        assert_eq!(whats, [(1, "write `license = \"Apache-2.0\"`"), (2, "write `edition = \"2024\"`")]);
    }

    #[test]
    fn a_program_in_the_wrong_place_is_found() {
        let mut stray = krate("lab");
        stray.programs = 1;
        let mut fine = krate("cli");
        fine.programs = 1;
        let findings = programs(&house(vec![stray, fine, krate("xtask")], &[]));
        let whats: Vec<_> = findings.iter().map(|finding| &*finding.what).collect();
        assert_eq!(whats, ["`lab` makes 1 programs", "`xtask` makes 0 programs"]);
    }

    #[test]
    fn default_members_are_all_but_the_chores() {
        let mut workspace = house(vec![krate("otlp"), krate("cli"), krate("xtask")], &[]);
        workspace.default_members = vec!["otlp".to_owned(), "cli".to_owned()];
        assert_eq!(defaults(&workspace), []);
        workspace.default_members = vec!["otlp".to_owned(), "xtask".to_owned()];
        let findings = defaults(&workspace);
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
