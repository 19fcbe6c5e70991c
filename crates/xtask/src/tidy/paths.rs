//! What a source file names: every path in `use` trees, in code and inside macro calls, made whole through the file's own
//! imports, with its line. Items that only tests see are skipped.
//!
//! `core` and `alloc` count as `std`. Imports are looked up for the whole file, wherever they stand: too much may be
//! found that way (a local module called like an imported one), too little may not.

use super::modules::only_for_tests;
use proc_macro2::{Ident, TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{File, Item, ItemUse, Macro, Path, UseTree, Visibility};

/// One path as it is meant, for instance `std::time::Instant::now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) how: How,
}

/// How a path is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// In code, whole or by an import.
    Used,
    /// In a `use` line of its own file.
    Imported,
    /// In a `use` line that other files can see.
    Exported,
    /// By `use path::*`.
    Glob,
    /// As the name of a macro that is called.
    Called,
}

/// Everything that ships in `file` and has a name.
pub(super) fn named(file: &File) -> Vec<Named> {
    let mut imports = Imports::default();
    imports.visit_file(file);
    let Imports { names: aliases, mut found } = imports;
    for import in &mut found {
        import.path = whole(&import.path, &aliases);
    }
    let mut names = Names { imports: &aliases, found };
    names.visit_file(file);
    names.found
}

/// First pass: what the file's own `use` lines bring in, by the name they bring it in under.
#[derive(Default)]
struct Imports {
    names: BTreeMap<String, String>,
    found: Vec<Named>,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        if !test_item(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let how = if matches!(item.vis, Visibility::Inherited) { How::Imported } else { How::Exported };
        self.tree(&item.tree, &mut Vec::new(), how);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = word(&item.ident);
        let local = item.rename.as_ref().map_or_else(|| name.clone(), |(_, rename)| word(rename));
        self.add(local, name, item.span().start().line, How::Imported);
    }
}

impl Imports {
    fn tree(&mut self, tree: &UseTree, prefix: &mut Vec<String>, how: How) {
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => {
                prefix.push(word(&path.ident));
                self.tree(&path.tree, prefix, how);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, prefix, how)),
            UseTree::Glob(_) => self.found.push(Named { path: prefix.join("::"), line, how: How::Glob }),
            UseTree::Name(name) => self.leaf(&word(&name.ident), None, prefix, line, how),
            UseTree::Rename(both) => {
                self.leaf(&word(&both.ident), Some(word(&both.rename)), prefix, line, how);
            }
        }
    }

    fn leaf(&mut self, name: &str, rename: Option<String>, prefix: &[String], line: usize, how: How) {
        let mut path = prefix.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        let local = rename.or_else(|| path.last().cloned()).unwrap_or_default();
        self.add(local, path.join("::"), line, how);
    }

    fn add(&mut self, local: String, path: String, line: usize, how: How) {
        self.found.push(Named { path: path.clone(), line, how });
        if local != path {
            self.names.insert(local, path);
        }
    }
}

/// Second pass: paths in code.
struct Names<'a> {
    imports: &'a BTreeMap<String, String>,
    found: Vec<Named>,
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !test_item(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| word(&segment.ident)).collect();
        self.name(&segments.join("::"), path.span().start().line, How::Used);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(last) = call.path.segments.last() {
            self.name(&word(&last.ident), call.span().start().line, How::Called);
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

impl Names<'_> {
    fn name(&mut self, path: &str, line: usize, how: How) {
        let path = whole(path, self.imports);
        self.found.push(Named { path, line, how });
    }

    /// The arguments of a macro are no syntax yet: take every `a::b::c`, and every `a!`, that stands among the tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.flush(&mut path, line);
                        line = ident.span().start().line;
                    }
                    path.push(word(&ident));
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Punct(mark) => {
                    if mark.as_char() == '!'
                        && let Some(last) = path.last().cloned()
                    {
                        self.name(&last, line, How::Called);
                    }
                    self.flush(&mut path, line);
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.flush(&mut path, line);
                    self.tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Literal(_) => {
                    self.flush(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.flush(&mut path, line);
    }

    fn flush(&mut self, path: &mut Vec<String>, line: usize) {
        if !path.is_empty() {
            self.name(&path.join("::"), line, How::Used);
            path.clear();
        }
    }
}

/// `r#std` is `std`.
fn word(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
}

/// A path with its first word replaced by what was imported under that name, and so on, and `std` for its parts.
fn whole(path: &str, imports: &BTreeMap<String, String>) -> String {
    let mut path = path.strip_prefix("self::").unwrap_or(path).to_owned();
    // An import may lead to an import, but not round in a ring that compiles: a few turns are enough.
    for _ in 0..8 {
        let (first, rest) = path.split_once("::").map_or((&*path, None), |(first, rest)| (first, Some(rest)));
        let Some(meant) = imports.get(first).filter(|meant| meant.split("::").next() != Some(first)) else {
            break;
        };
        path = rest.map_or_else(|| meant.clone(), |rest| format!("{meant}::{rest}"));
    }
    for part in ["core::", "alloc::"] {
        if let Some(rest) = path.strip_prefix(part) {
            return format!("std::{rest}");
        }
    }
    path
}

fn test_item(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    only_for_tests(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let found = named(&syn::parse_file(source).unwrap());
        let found: Vec<_> =
            found.iter().map(|name| format!("{} {} {:?}", name.line, name.path, name.how)).collect();
        for name in expected {
            assert!(found.iter().any(|found| found == name), "{name} is not in {found:#?}");
        }
    }

    #[test]
    fn imports_in_every_shape() {
        check(
            "use std::{fs, time::{self, Duration as D}};\npub(crate) use std::net;\nuse std::env::*;\nextern crate rand as r;\nuse r#std::os;",
            &[
                "1 std::fs Imported",
                "1 std::time Imported",
                "1 std::time::Duration Imported",
                "2 std::net Exported",
                "3 std::env Glob",
                "4 rand Imported",
                "5 std::os Imported",
            ],
        );
    }

    #[test]
    fn paths_are_made_whole_through_imports() {
        check(
            "use std::time as t;\nuse t::Instant as I;\nfn f() -> I {\n  t::SystemTime::now();\n  self::t::X;\n  core::mem::take(1)\n}",
            &[
                "2 std::time::Instant Imported",
                "3 std::time::Instant Used",
                "4 std::time::SystemTime::now Used",
                "5 std::time::X Used",
                "6 std::mem::take Used",
            ],
        );
    }

    #[test]
    fn macro_calls_and_their_tokens() {
        check(
            "fn f() {\n  std::println!(\"{}\", std::env::var(\"X\"));\n}\nmacro_rules! m { () => {\n  dbg!(std::fs::read) } }",
            &["2 println Called", "2 std::env::var Used", "5 dbg Called", "5 std::fs::read Used"],
        );
    }

    #[test]
    fn generics_bounds_and_attributes() {
        check(
            "#[tokio::main]\nfn f<T: std::net::ToSocketAddrs>(\n  x: Vec<std::collections::HashMap<u8, u8>>) {}",
            &["1 tokio::main Used", "2 std::net::ToSocketAddrs Used", "3 std::collections::HashMap Used"],
        );
    }

    #[test]
    fn what_only_tests_see_is_skipped() {
        let source = "#[cfg(test)]\nmod tests { use std::fs; fn f() { std::env::var(\"X\"); } }";
        assert_eq!(named(&syn::parse_file(source).unwrap()), []);
    }
}
