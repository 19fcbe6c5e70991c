//! What a source file names: every path in `use` trees, in code, inside macro calls and in attributes, with its line.
//! Items that only tests see are skipped.
//!
//! `core` and `alloc` count as `std`. Nothing is followed through an import, be it of this file or of another (`super::x`,
//! `crate::x`): the rule refuses the import itself, of what is denied and of every module above it. Too much may be found
//! that way, too little may not, short of what a procedural macro makes up.

use super::modules::only_for_tests;
use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemUse, LitStr, Macro, Meta, Path, UseTree};

/// One path as it stands, for instance `std::time::Instant::now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) how: How,
}

/// How a path is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// In code, in a `use` line, in an attribute or among a macro's tokens.
    Named,
    /// As the name of a macro that is called.
    Called,
    /// It is the word `mod` among a macro's tokens: a file that no `mod` line leads to.
    Declared,
}

/// Everything that ships in `file` and has a name.
pub(super) fn named(file: &File) -> Vec<Named> {
    let mut names = Names::default();
    names.visit_file(file);
    names.found
}

#[derive(Default)]
struct Names {
    found: Vec<Named>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !test_item(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.name(&word(&item.ident), item.span().start().line, How::Named);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| word(&segment.ident)).collect();
        self.name(&segments.join("::"), path.span().start().line, How::Named);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(last) = call.path.segments.last() {
            self.name(&word(&last.ident), call.span().start().line, How::Called);
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
            self.strings(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}

impl Names {
    fn name(&mut self, path: &str, line: usize, how: How) {
        let (first, rest) = path.split_once("::").map_or((path, None), |(first, rest)| (first, Some(rest)));
        let first = if matches!(first, "core" | "alloc") { "std" } else { first };
        let path = rest.map_or_else(|| first.to_owned(), |rest| format!("{first}::{rest}"));
        self.found.push(Named { path, line, how });
    }

    fn tree(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => {
                prefix.push(word(&path.ident));
                self.tree(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, prefix)),
            UseTree::Glob(_) => self.name(&prefix.join("::"), line, How::Named),
            UseTree::Name(syn::UseName { ident }) | UseTree::Rename(syn::UseRename { ident, .. }) => {
                let mut path = prefix.clone();
                path.extend(Some(word(ident)).filter(|name| name != "self"));
                self.name(&path.join("::"), line, How::Named);
            }
        }
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
                    if ident == "mod" {
                        self.name("mod", line, How::Declared);
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
            self.name(&path.join("::"), line, How::Named);
            path.clear();
        }
    }

    /// Attributes name functions and types in strings, as in `#[serde(default = "a::b")]`. A single word is left out, for
    /// it may be one of a text.
    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => self.string(&literal),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }

    fn string(&mut self, literal: &Literal) {
        let text = syn::parse_str::<LitStr>(&literal.to_string());
        let Ok(tokens) = text.and_then(|text| text.parse::<TokenStream>()) else { return };
        let mut inside = Self::default();
        inside.tokens(tokens);
        let line = literal.span().start().line;
        let paths =
            inside.found.into_iter().filter(|name| name.how == How::Named && name.path.contains("::"));
        self.found.extend(paths.map(|name| Named { line, ..name }));
    }
}

/// `r#std` is `std`.
fn word(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
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
            "use std::{fs, time::{self, Duration as D}};\npub(crate) use std::net;\nuse std::env::*;\nextern crate rand as r;\nuse r#std::os;\nuse core as c;",
            &[
                "1 std::fs Named",
                "1 std::time Named",
                "1 std::time::Duration Named",
                "2 std::net Named",
                "3 std::env Named",
                "4 rand Named",
                "5 std::os Named",
                "6 std Named",
            ],
        );
    }

    #[test]
    fn paths_in_code_begin_with_the_crate() {
        check(
            "fn f() -> ::std::time::Instant {\n  core::mem::take(1)\n}",
            &["1 std::time::Instant Named", "2 std::mem::take Named"],
        );
    }

    #[test]
    fn macro_calls_and_their_tokens() {
        check(
            "fn f() {\n  std::println!(\"{}\", std::env::var(\"X\"));\n}\nmacro_rules! m { () => {\n  dbg!(std::fs::read); mod x; } }",
            &[
                "2 println Called",
                "2 std::env::var Named",
                "5 dbg Called",
                "5 std::fs::read Named",
                "5 mod Declared",
            ],
        );
    }

    #[test]
    fn generics_bounds_and_attributes() {
        check(
            "#[tokio::main]\nfn f<T: std::net::ToSocketAddrs>(\n  x: Vec<std::collections::HashMap<u8, u8>>) {}",
            &["1 tokio::main Named", "2 std::net::ToSocketAddrs Named", "3 std::collections::HashMap Named"],
        );
    }

    #[test]
    fn what_attributes_hold() {
        check(
            "#[derive(std::fmt::Debug)]\n#[error(\"{}\", std::process::id())]\nstruct S {\n#[cfg_attr(x, serde(default = \"std::env::vars\"))]\na: u8 }",
            &["1 std::fmt::Debug Named", "2 std::process::id Named", "4 std::env::vars Named"],
        );
    }

    #[test]
    fn a_text_is_no_path() {
        let source = "/// std::fs::read\n#[error(\"no std, no print!: {0}\")]\nstruct S;";
        let found = named(&syn::parse_file(source).unwrap());
        assert!(found.iter().all(|name| matches!(&*name.path, "doc" | "error")), "{found:?}");
    }

    #[test]
    fn what_only_tests_see_is_skipped() {
        let source = "#[cfg(test)]\nmod tests { use std::fs; fn f() { std::env::var(\"X\"); } }";
        assert_eq!(named(&syn::parse_file(source).unwrap()), []);
    }
}
