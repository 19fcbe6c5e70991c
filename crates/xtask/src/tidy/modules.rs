//! Follows a crate's `mod` lines from its root, as the compiler does, leaving out what only tests see. So a source file
//! that belongs to tests (`foo/tests.rs` behind `#[cfg(test)] mod tests;`) is not held to the rules of the crate, and
//! nothing else can be hidden from them.

use std::collections::BTreeMap;
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
    let mut walk = Walk { files, sources: Vec::new(), obstacles: Vec::new() };
    let dir = root.rsplit_once('/').map_or("", |(dir, _)| dir);
    walk.file(root, dir);
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

struct Walk<'a> {
    files: &'a BTreeMap<String, String>,
    sources: Vec<Source>,
    obstacles: Vec<Obstacle>,
}

impl Walk<'_> {
    /// Reads one file; modules that it declares lie in `dir`.
    fn file(&mut self, path: &str, dir: &str) {
        let Some(text) = self.files.get(path) else {
            return self.obstacles.push((path.to_owned(), 1, "cannot be read".to_owned()));
        };
        match syn::parse_file(text) {
            Ok(syntax) => {
                self.items(&syntax.items, path, dir);
                self.sources.push(Source { path: path.to_owned(), syntax });
            }
            Err(error) => {
                let line = error.span().start().line;
                self.obstacles.push((path.to_owned(), line, format!("cannot be parsed: {error}")));
            }
        }
    }

    fn items(&mut self, items: &[Item], path: &str, dir: &str) {
        for item in items {
            if let Item::Mod(module) = item
                && !only_for_tests(&module.attrs)
            {
                self.module(module, path, dir);
            }
        }
    }

    fn module(&mut self, module: &ItemMod, path: &str, dir: &str) {
        let name = module.ident.to_string();
        let below = format!("{dir}/{name}");
        if let Some((_, items)) = &module.content {
            return self.items(items, path, &below);
        }
        let line = module.span().start().line;
        if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            let what = format!("`mod {name}` lies elsewhere by a path attribute");
            return self.obstacles.push((path.to_owned(), line, what));
        }
        let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
        match candidates.iter().find(|file| self.files.contains_key(*file)) {
            Some(file) => self.file(file, &below),
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
            ("s/tests.rs", "use std::fs;"),
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
            ("s/lib.rs", "mod gone;\n#[path = \"x.rs\"]\nmod away;\nmod broken;"),
            ("s/broken.rs", "fn ("),
        ]);
        let (_, obstacles) = walk("s/lib.rs", &files);
        let whats: Vec<_> =
            obstacles.iter().map(|(file, line, what)| format!("{file}:{line} {what}")).collect();
        assert_eq!(whats.len(), 3, "{whats:?}");
        assert!(whats[0].contains("lib.rs:1") && whats[0].contains("gone"));
        assert!(whats[1].contains("path attribute"));
        assert!(whats[2].contains("broken.rs:1"));
    }
}
