//! Docs and sizes.

use super::Finding;
use super::tree::{Crate, House};
use crate::house::{LONG_FILES, LONGEST_FILE, Tier};

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Every crate begins by saying what it is.
pub(super) fn crate_docs(house: &House) -> Vec<Finding> {
    let silent =
        house.crates.iter().filter(|krate| !krate.source(house).is_some_and(|(_, text)| speaks(text)));
    let finding = |krate: &Crate| Finding {
        file: krate.source(house).map_or_else(|| krate.manifest(), |(path, _)| path.to_owned()),
        line: 0,
        rule: "crate-doc",
        what: format!("`{}` does not say what it is", krate.folder),
        remedy: "begin with a `//!` doc: what it is, what it is not, a table of its modules".to_owned(),
    };
    silent.map(finding).collect()
}

/// Every crate has its row in ARCHITECTURE.md, in the tier that it has here.
pub(super) fn rows(house: &House) -> Vec<Finding> {
    let text = house.files.get(ARCHITECTURE).map_or("", |text| text);
    let mut findings = Vec::new();
    for krate in &house.crates {
        let Some(tier) = krate.tier() else { continue };
        let wanted = format!("| {} | `{}` |", tier.number(), krate.folder);
        if !text.lines().any(|line| line.starts_with(&wanted)) {
            findings.push(Finding {
                file: ARCHITECTURE.to_owned(),
                line: row_line(text, &krate.folder),
                rule: "architecture-row",
                what: format!("no row `{wanted}`"),
                remedy: "say in the table of crates what it holds".to_owned(),
            });
        }
    }
    findings
}

/// No text is longer than a reader can hold, unless a reason is listed; and no reason outlives its file.
pub(super) fn lengths(house: &House) -> Vec<Finding> {
    let finding = |file: &str, what: String, remedy: &str| Finding {
        file: file.to_owned(),
        line: 0,
        rule: "file-length",
        what,
        remedy: remedy.to_owned(),
    };
    let excused = |file: &str| LONG_FILES.iter().any(|(long, _)| *long == file);
    let lines = |file: &str| house.files.get(file).map_or(0, |text| text.lines().count());
    let long = house.files.keys().filter(|file| lines(file) > LONGEST_FILE && !excused(file));
    let long = long.map(|file| {
        let remedy = "ask which noun is hiding in it, and give that its own file";
        finding(file, format!("{} lines", lines(file)), remedy)
    });
    let idle = LONG_FILES.iter().filter(|(file, _)| lines(file) <= LONGEST_FILE);
    let idle = idle
        .map(|(file, _)| finding(file, "listed as long, but is not".to_owned(), "take it out of LONG_FILES"));
    long.chain(idle).collect()
}

/// Whether a source begins with a doc of more than a word.
fn speaks(text: &str) -> bool {
    let doc: String = text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    text.starts_with("//!") && doc.split_whitespace().count() >= 5
}

fn row_line(text: &str, folder: &str) -> usize {
    let named = text.lines().position(|line| line.starts_with('|') && line.contains(&format!("`{folder}`")));
    let table = || text.lines().position(|line| line.starts_with("| tier |"));
    named.or_else(table).map_or(0, |index| index + 1)
}

// The table of tiers in ARCHITECTURE.md counts from 0, in this order.
const _: () = assert!(Tier::Pure as u8 == 0 && Tier::Root as u8 == 4);

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{house, krate};
    use super::*;

    #[test]
    fn a_crate_that_says_nothing_is_found() {
        let file = "crates/otlp/src/lib.rs";
        for silent in ["fn f() {}", "//! TODO\n", "// A comment is no doc, however long it may be.\n"] {
            let findings = crate_docs(&house(vec![krate("otlp")], &[(file, silent)]));
            assert_eq!(findings.len(), 1, "{silent}");
            assert_eq!(findings[0].file, file);
        }
        let speaking = "//! Borrowed views over OTLP requests.\n";
        assert_eq!(crate_docs(&house(vec![krate("otlp")], &[(file, speaking)])), []);
    }

    #[test]
    fn a_missing_row_and_a_row_in_the_wrong_tier_are_found() {
        let check = |row: &str| rows(&house(vec![krate("otlp")], &[(ARCHITECTURE, row)]));
        assert_eq!(check("| 0 | `otlp` | borrowed views |"), []);
        assert_eq!(check("").len(), 1);
        let wrong = check("| tier | crate |\n| 1 | `otlp` | borrowed views |");
        assert_eq!(wrong[0].line, 2);
    }

    #[test]
    fn a_long_file_is_found_whatever_it_holds_but_not_for_a_listed_reason() {
        let long = "x\n".repeat(LONGEST_FILE + 1);
        let mut files: Vec<_> = LONG_FILES.iter().map(|(file, _)| (*file, &*long)).collect();
        files.extend([("crates/a/src/lib.rs", &*long), ("README.md", &*long), ("short.py", "x\n")]);
        let findings = lengths(&house(vec![], &files));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.what == "601 lines"), "{findings:?}");
    }

    #[test]
    fn a_reason_that_outlives_its_file_is_found() {
        let findings = lengths(&house(vec![], &[(LONG_FILES[0].0, "x\n")]));
        assert_eq!(findings.len(), LONG_FILES.len(), "{findings:?}");
        assert!(findings.iter().all(|finding| finding.what == "listed as long, but is not"));
    }
}
