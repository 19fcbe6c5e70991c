//! Tier 0 names no file, socket, clock, environment, thread, runtime, unseeded randomness or map of random order.

use super::Finding;
use super::modules::walk;
use super::paths::{How, Named, named};
use super::tree::{Crate, House};
use crate::house::{DENIED_MACROS, DENIED_PATHS, DENIED_WORDS, PATH_EXCEPTIONS, PURE_PARTS};

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
        How::Declared => (
            "`mod` in a macro of tier 0".to_owned(),
            "declare modules outside of macros, so that their files are checked too",
        ),
        How::Called => macro_denied(&name.path)?,
        // A macro can be imported, and under another name.
        How::Named => {
            let imported = || macro_denied(name.path.strip_prefix("std::")?);
            denied(&krate.folder, &name.path).or_else(imported)?
        }
    };
    let remedy = remedy.to_owned();
    Some(Finding { file: file.to_owned(), line: name.line, rule: "pure-source", what, remedy })
}

fn macro_denied(name: &str) -> Option<(String, &'static str)> {
    let (denied, remedy) = DENIED_MACROS.iter().find(|(denied, _)| *denied == name)?;
    Some((format!("`{denied}!` in tier 0"), remedy))
}

/// What is wrong with a path, and what to do. A module above something denied would bring it in, here or, through `super::`,
/// elsewhere; so nobody imports one.
fn denied(folder: &str, path: &str) -> Option<(String, &'static str)> {
    let word =
        |(krate, word, _): &&(&str, &str, &str)| *krate == folder && path.split("::").any(|w| w == *word);
    if let Some((_, word, remedy)) = DENIED_WORDS.iter().find(word) {
        return Some((format!("`{word}` in `{folder}`"), remedy));
    }
    if PURE_PARTS.iter().any(|part| below(path, part)) {
        return None;
    }
    let mut rows = DENIED_PATHS.iter().filter(|(denied, _)| !excepted(folder, denied));
    let (denied, remedy) = rows.find(|(denied, _)| below(path, denied) || below(denied, path))?;
    Some(if below(path, denied) {
        (format!("`{path}` in tier 0"), *remedy)
    } else {
        let what = format!("`{path}` in tier 0, by which `{denied}` is within reach");
        (what, "name what is needed of it, each by its whole path")
    })
}

fn excepted(folder: &str, path: &str) -> bool {
    PATH_EXCEPTIONS.iter().any(|(krate, excepted, _)| *krate == folder && *excepted == path)
}

/// Whether `path` is `above` or lies below it.
fn below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
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
            "use std::time;",
            "use core::time as t;",
            "mod below { use crate::hidden; }\nuse std as hidden;",
            "macro_rules! now { ($root:ident) => { $root::time::Instant::now() } }\nfn f() { now!(std); }",
            "macro_rules! now { () => {} }\nfn f() { now! { use std::{time as t}; } }",
            "use std::println as said;\nfn f() { said!(\"x\"); }",
            "macro_rules! parts { ($($m:ident)*) => { $(mod $m;)* } }",
            "fn f() { std::io::pipe(); }",
            "fn f() { std::backtrace::Backtrace::force_capture(); }",
            "#[serde(default = \"std::process::id\")]\nstruct S;",
            "#[error(\"{}\", std::process::id())]\nstruct S;",
            "fn f() { aws_lc_rs::rand::fill(&mut []); }",
            "use aws_lc_rs::signature;",
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
    fn keys_of_the_log_are_not_drawn_there() {
        let check =
            |source: &str| names(&house(vec![krate("tlog")], &[("crates/tlog/src/lib.rs", source)])).len();
        let used = "use aws_lc_rs::signature::Ed25519KeyPair as K;\n";
        assert_eq!(check(used), 0);
        assert_eq!(check(&format!("{used}fn f() {{ K::from_seed_unchecked(&[0; 32]); }}")), 0);
        for draws in ["K::generate()", "<K>::generate_pkcs8(r)", "call!(K, generate)"] {
            assert_eq!(check(&format!("{used}fn f() {{ {draws}; }}")), 1, "{draws}");
        }
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
