//! Tier 0 names no file, socket, clock, environment, thread, runtime, unseeded randomness or map of random order.

use super::Finding;
use super::modules::walk;
use super::paths::{How, Named, named};
use super::tree::{Crate, House};
use crate::house::{DENIED_MACROS, DENIED_PATHS, PATH_EXCEPTIONS, PURE_PARTS};

/// No shipping source of a pure crate names what [`DENIED_PATHS`] and [`DENIED_MACROS`] list.
pub(super) fn names(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in house.crates.iter().filter(|krate| krate.is_pure()) {
        let Some((root, _)) = krate.source(house) else { continue }; // the rule on crate docs speaks of it
        let (sources, obstacles) = walk(root, &house.files);
        for (file, line, what) in obstacles {
            let remedy = "keep every module where the compiler looks for it first".to_owned();
            findings.push(Finding { file, line, rule: "pure-source", what, remedy });
        }
        for source in &sources {
            let found =
                named(&source.syntax).into_iter().filter_map(|name| judged(krate, &source.path, &name));
            findings.extend(found);
        }
    }
    findings
}

/// A build script could do anything, and could shape the crate by what it sees.
pub(super) fn no_build_script(house: &House) -> Vec<Finding> {
    let scripted = house.crates.iter().filter(|krate| krate.is_pure() && krate.build_script);
    let finding = |krate: &Crate| Finding {
        file: krate.manifest(),
        line: 0,
        rule: "pure-build",
        what: format!("`{}` is of tier 0 and has a build script", krate.folder),
        remedy: "generate with a chore and commit the result, or do without".to_owned(),
    };
    scripted.map(finding).collect()
}

fn judged(krate: &Crate, file: &str, name: &Named) -> Option<Finding> {
    let (what, remedy) = match name.how {
        How::Called => {
            let (denied, remedy) = DENIED_MACROS.iter().find(|(denied, _)| *denied == name.path)?;
            (format!("`{denied}!` in tier 0"), *remedy)
        }
        how => {
            let (denied, remedy) = denied(&name.path, how)?;
            if excepted(&krate.folder, denied) {
                return None;
            }
            (format!("`{}` in tier 0", shown(&name.path, how)), remedy)
        }
    };
    let remedy = remedy.to_owned();
    Some(Finding { file: file.to_owned(), line: name.line, rule: "pure-source", what, remedy })
}

/// The line of the table that a path breaks. A glob or an export of a module brings in all that lies below it.
fn denied(path: &str, how: How) -> Option<(&'static str, &'static str)> {
    if PURE_PARTS.iter().any(|part| below(path, part)) {
        return None;
    }
    let opens = matches!(how, How::Glob | How::Exported);
    DENIED_PATHS.iter().find(|(denied, _)| below(path, denied) || (opens && below(denied, path))).copied()
}

fn excepted(folder: &str, path: &str) -> bool {
    PATH_EXCEPTIONS.iter().any(|(krate, excepted, _)| *krate == folder && *excepted == path)
}

/// Whether `path` is `above` or lies below it.
fn below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn shown(path: &str, how: How) -> String {
    if how == How::Glob { format!("{path}::*") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{house, krate};
    use super::*;

    fn findings(source: &str) -> Vec<Finding> {
        names(&house(vec![krate("otlp")], &[("crates/otlp/src/lib.rs", source)]))
    }

    #[test]
    fn each_way_to_name_something_impure_is_found() {
        let bad = [
            "use std::fs::File;",
            "use std::{io::{self, Read}, net::TcpStream};",
            "fn f() { std::fs::read(\"x\"); }",
            "use std::time;\nfn f() { time::SystemTime::now(); }",
            "use std as s;\nfn f() { s::env::var(\"X\"); }",
            "use std::time::*;",
            "pub(crate) use std::collections;",
            "use std::collections::HashMap as Map;",
            "use core::time::Duration;\nuse std::time::{Duration as D, Instant};",
            "fn f() { println!(\"x\"); }",
            "fn f() { format!(\"{:?}\", std::thread::current()); }",
            "async fn f() { tokio::spawn(async {}); }",
            "fn f() -> u8 { rand::random() }",
            "use std::path::Path;\nfn f(p: &Path) -> bool { p.exists() }",
            "const X: &str = env!(\"X\");",
        ];
        for source in bad {
            assert!(!findings(source).is_empty(), "nothing found in: {source}");
        }
    }

    #[test]
    fn what_is_pure_passes() {
        let good = "use std::collections::BTreeMap;\nuse std::time::Duration;\nuse std::{fmt, io::Read};\n\
                    use std::net::IpAddr;\nfn f() -> String { format!(\"{}\", 1) }\n\
                    #[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(findings(good), []);
    }

    #[test]
    fn a_finding_says_where_and_what_to_do() {
        let found = findings("//! Doc.\n\nuse std::time::Instant;\n");
        assert_eq!(
            found[0].to_string(),
            "crates/otlp/src/lib.rs:3: [pure-source] `std::time::Instant` in tier 0; \
             time is an argument: take a `UnixNanos`"
        );
    }

    #[test]
    fn a_module_in_another_file_is_looked_into() {
        let files = [("crates/otlp/src/lib.rs", "mod a;"), ("crates/otlp/src/a.rs", "use std::fs;")];
        let found = names(&house(vec![krate("otlp")], &files));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "crates/otlp/src/a.rs");
    }

    #[test]
    fn higher_tiers_may() {
        let files = [("crates/audit/src/lib.rs", "use std::fs;")];
        assert_eq!(names(&house(vec![krate("audit")], &files)), []);
    }

    #[test]
    fn a_build_script_in_tier_0_is_found() {
        let mut scripted = krate("otlp");
        scripted.build_script = true;
        assert_eq!(no_build_script(&house(vec![scripted], &[])).len(), 1);
    }
}
