//! Follows a crate's `mod` lines from its root, as the compiler does, leaving out what only tests see. So a source file
//! that belongs to tests (`foo/tests.rs` behind `#[cfg(test)] mod tests;`) is not held to the rules of the crate. No other
//! source can be hidden from them: a module that lies elsewhere is refused, and so is a file beside the root that no `mod`
//! line leads to. (A `mod` line in a macro is for [`super::paths`] to find.)

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned;
use syn::{Attribute, Item, ItemMod, Meta};

/// One source file that ships.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) syntax: syn::File,
}

/// What kept the walk from going on: file, line, what.
pub(super) type Obstacle = (String, usize, String);

/// All files of the crate that begins in `root`, tests left out.
pub(super) fn walk(root: &str, files: &BTreeMap<String, String>) -> (Vec<Source>, Vec<Obstacle>) {
    let mut walk = Walk { files, reached: BTreeSet::new(), sources: Vec::new(), obstacles: Vec::new() };
    let dir = root.rsplit_once('/').map_or("", |(dir, _)| dir);
    walk.file(root, dir, For::All);
    let below = format!("{dir}/");
    let sources = files.keys().filter(|file| file.starts_with(&below) && file.ends_with(".rs"));
    for file in sources.filter(|file| !walk.reached.contains(*file)) {
        walk.obstacles.push((file.clone(), 1, "no `mod` line leads to this file".to_owned()));
    }
    (walk.sources, walk.obstacles)
}

/// Whether these attributes keep an item out of everything but tests.
pub(super) fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            syn::parse2(list.tokens.clone()).is_ok_and(demands_test)
        }
        _ => false,
    })
}

fn demands_test(condition: Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            let parts =
                list.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated);
            parts.is_ok_and(|parts| parts.into_iter().any(demands_test))
        }
        _ => false,
    }
}

/// Whether a module lies elsewhere than where its name says, always or under a condition.
fn lies_elsewhere(attributes: &[Attribute]) -> bool {
    fn names_path(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => names_path(group.stream()),
            TokenTree::Ident(ident) => ident == "path",
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg_attr") && names_path(list.tokens.clone()),
        meta => meta.path().is_ident("path"),
    })
}

/// Whom a file is compiled for.
#[derive(Clone, Copy, PartialEq)]
enum For {
    All,
    Tests,
}

struct Walk<'a> {
    files: &'a BTreeMap<String, String>,
    reached: BTreeSet<String>,
    sources: Vec<Source>,
    obstacles: Vec<Obstacle>,
}

impl Walk<'_> {
    /// Reads one file; modules that it declares lie in `dir`.
    fn file(&mut self, path: &str, dir: &str, whom: For) {
        self.reached.insert(path.to_owned());
        let Some(text) = self.files.get(path) else {
            return self.obstacles.push((path.to_owned(), 1, "cannot be read".to_owned()));
        };
        match syn::parse_file(text) {
            Ok(syntax) => {
                self.items(&syntax.items, path, dir, whom);
                if whom == For::All {
                    self.sources.push(Source { path: path.to_owned(), syntax });
                }
            }
            Err(error) => {
                let line = error.span().start().line;
                self.obstacles.push((path.to_owned(), line, format!("cannot be parsed: {error}")));
            }
        }
    }

    fn items(&mut self, items: &[Item], path: &str, dir: &str, whom: For) {
        for item in items {
            if let Item::Mod(module) = item {
                let whom = if only_for_tests(&module.attrs) { For::Tests } else { whom };
                self.module(module, path, dir, whom);
            }
        }
    }

    fn module(&mut self, module: &ItemMod, path: &str, dir: &str, whom: For) {
        let name = module.ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        let below = format!("{dir}/{name}");
        let line = module.span().start().line;
        if lies_elsewhere(&module.attrs) {
            let what = format!("`mod {name}` lies elsewhere by a path attribute");
            return self.obstacles.push((path.to_owned(), line, what));
        }
        if let Some((_, items)) = &module.content {
            return self.items(items, path, &below, whom);
        }
        let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
        match candidates.iter().find(|file| self.files.contains_key(*file)) {
            Some(file) => self.file(file, &below, whom),
            None => {
                self.obstacles.push((path.to_owned(), line, format!("the file of `mod {name}` is missing")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn modules_are_followed_and_tests_left_out() {
        let files = files(&[
            ("s/lib.rs", "mod a; mod inline { mod deep; } #[cfg(test)] mod tests;"),
            ("s/a/mod.rs", "mod b; #[cfg(all(test, unix))] mod more_tests;"),
            ("s/a/b.rs", ""),
            ("s/inline/deep.rs", ""),
            ("s/tests.rs", "use std::fs; mod more;"),
            ("s/tests/more.rs", ""),
            ("s/a/more_tests.rs", ""),
        ]);
        let (sources, obstacles) = walk("s/lib.rs", &files);
        let mut paths: Vec<_> = sources.iter().map(|source| &*source.path).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["s/a/b.rs", "s/a/mod.rs", "s/inline/deep.rs", "s/lib.rs"]);
        assert_eq!(obstacles, []);
    }

    #[test]
    fn what_ships_as_well_is_no_test() {
        let ships = ["#[cfg(not(test))]", "#[cfg(any(test, unix))]", "#[cfg(feature = \"test\")]", ""];
        for attribute in ships {
            let item: ItemMod = syn::parse_str(&format!("{attribute} mod a;")).unwrap();
            assert!(!only_for_tests(&item.attrs), "{attribute}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let files = files(&[
            (
                "s/lib.rs",
                "mod gone;\n#[path = \"x.rs\"]\nmod away;\nmod broken;\n\
                 #[cfg_attr(not(test), path = \"real.rs\")]\nmod shown;\n\
                 #[path = \"other\"]\nmod inline { mod shown; }",
            ),
            ("s/broken.rs", "fn ("),
            ("s/shown.rs", ""),
            ("s/inline/shown.rs", ""),
        ]);
        let (_, obstacles) = walk("s/lib.rs", &files);
        let whats: Vec<_> =
            obstacles.iter().map(|(file, line, what)| format!("{file}:{line} {what}")).collect();
        let expected = [
            ("s/lib.rs:1", "gone"),
            ("s/lib.rs:2", "`mod away` lies elsewhere"),
            ("s/broken.rs:1", "cannot be parsed"),
            ("s/lib.rs:5", "`mod shown` lies elsewhere"),
            ("s/lib.rs:7", "`mod inline` lies elsewhere"),
        ];
        for (what, (place, said)) in whats.iter().zip(expected) {
            assert!(
                what.starts_with(place) && what.contains(said),
                "{place} {said} is not first in {whats:#?}"
            );
        }
        assert_eq!(
            whats.len(),
            expected.len() + 2,
            "the two that are shown are reached by nothing: {whats:#?}"
        );
    }

    #[test]
    fn a_file_that_nothing_leads_to_is_said() {
        let files = files(&[
            ("s/lib.rs", "macro_rules! parts { ($($m:ident)*) => { $(mod $m;)* } }\nparts!(hidden);"),
            ("s/hidden.rs", "use std::fs;"),
            ("t/other.rs", ""),
        ]);
        let (_, obstacles) = walk("s/lib.rs", &files);
        assert_eq!(obstacles.len(), 1, "{obstacles:?}");
        assert_eq!(obstacles[0].0, "s/hidden.rs");
    }
}
