//! Reads the workspace: what cargo says of it, and every tracked or new file of text.

use crate::house::{CRATES, Tier};
use crate::shell::{capture, cargo, root};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, Package, TargetKind};
use std::collections::BTreeMap;
use std::process::Command;

/// The workspace as the rules see it.
#[derive(Debug, Default)]
pub(super) struct House {
    pub(super) crates: Vec<Crate>,
    /// Every text file that git tracks or would track, by its path from the root.
    pub(super) files: BTreeMap<String, String>,
    /// Folders below `crates/` that cargo builds when none is named.
    pub(super) default_members: Vec<String>,
    /// `major.minor` of the toolchain that runs this.
    pub(super) toolchain: String,
}

/// One crate of the workspace.
#[derive(Debug, Default, Clone)]
pub(super) struct Crate {
    /// Its folder below `crates/`, by which the house knows it.
    pub(super) folder: String,
    pub(super) package: String,
    pub(super) license: Option<String>,
    pub(super) edition: String,
    pub(super) rust_version: Option<String>,
    pub(super) published: bool,
    /// The file in which the library begins, or else the program, by its path from the root.
    pub(super) root: Option<String>,
    pub(super) programs: usize,
    pub(super) build_script: bool,
    pub(super) arrows: Vec<Arrow>,
    /// Foreign and own packages of its normal dependency tree, with their depth, in `cargo tree`'s order. Tier 0 only.
    pub(super) packages: Vec<(usize, String)>,
}

/// A dependency on another crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) to: String,
    pub(super) for_tests: bool,
}

impl House {
    pub(super) fn read() -> Result<Self> {
        let described = capture(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
        let metadata: Metadata = serde_json::from_str(&described).context("reading cargo metadata")?;
        let mut crates = Vec::new();
        for package in &metadata.packages {
            crates.push(read_crate(package, &metadata)?);
        }
        let default_members =
            metadata.workspace_default_packages().iter().map(|package| folder(package)).collect();
        Ok(Self { crates, files: read_files()?, default_members, toolchain: toolchain()? })
    }
}

impl Crate {
    pub(super) fn tier(&self) -> Option<Tier> {
        tier(&self.folder)
    }

    pub(super) fn is_pure(&self) -> bool {
        self.tier() == Some(Tier::Pure)
    }

    pub(super) fn manifest(&self) -> String {
        format!("crates/{}/Cargo.toml", self.folder)
    }

    /// The file in which the crate begins.
    pub(super) fn source<'a>(&self, house: &'a House) -> Option<(&'a str, &'a str)> {
        let (path, text) = house.files.get_key_value(self.root.as_ref()?)?;
        Some((path, text))
    }
}

/// The tier of a folder below `crates/`.
pub(super) fn tier(folder: &str) -> Option<Tier> {
    CRATES.iter().find(|(name, _)| *name == folder).map(|(_, tier)| *tier)
}

/// The 1-based line of `text` on which `needle` first stands, or 1.
pub(super) fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|line| line.contains(needle)).map_or(1, |index| index + 1)
}

fn read_crate(package: &Package, metadata: &Metadata) -> Result<Crate> {
    let kinds =
        |kind: &TargetKind| package.targets.iter().filter(|target| target.kind.contains(kind)).count();
    let mut arrows = Vec::new();
    for dependency in &package.dependencies {
        let Some(to) = metadata.packages.iter().find(|other| *other.name == dependency.name) else {
            continue;
        };
        arrows.push(Arrow { to: folder(to), for_tests: dependency.kind == DependencyKind::Development });
    }
    let mut read = Crate {
        folder: folder(package),
        package: package.name.to_string(),
        license: package.license.clone(),
        edition: package.edition.to_string(),
        rust_version: package
            .rust_version
            .as_ref()
            .map(|version| format!("{}.{}", version.major, version.minor)),
        published: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
        root: begins(package),
        programs: kinds(&TargetKind::Bin),
        build_script: kinds(&TargetKind::CustomBuild) > 0,
        arrows,
        packages: Vec::new(),
    };
    if read.is_pure() {
        read.packages = packages(&read.package)?;
    }
    Ok(read)
}

fn begins(package: &Package) -> Option<String> {
    let first = |kind| package.targets.iter().find(|target| target.kind.contains(&kind));
    let target = first(TargetKind::Lib).or_else(|| first(TargetKind::Bin))?;
    Some(target.src_path.strip_prefix(root()).ok()?.to_string())
}

/// The normal dependency tree of one package, with all its own features and for every target. (`cargo metadata` joins the
/// features of the whole workspace, and so shows packages that the crate itself never asks for.) Procedural macros run at
/// build time and are left out.
fn packages(package: &str) -> Result<Vec<(usize, String)>> {
    let kinds = [
        "tree",
        "--all-features",
        "--target",
        "all",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "depth",
        "--format",
        "{p}",
        "--package",
    ];
    Ok(parse_tree(&capture(cargo().args(kinds).arg(package))?))
}

/// Lines like `2serde v1.0.229 (*)`.
fn parse_tree(text: &str) -> Vec<(usize, String)> {
    text.lines()
        .filter_map(|line| {
            let name_at = line.find(|letter: char| !letter.is_ascii_digit())?;
            let (depth, rest) = line.split_at(name_at);
            Some((depth.parse().ok()?, rest.split(' ').next()?.to_owned()))
        })
        .collect()
}

fn folder(package: &Package) -> String {
    let parent = package.manifest_path.parent().and_then(|dir| dir.file_name());
    parent.expect("a member's manifest lies in its folder").to_owned()
}

fn read_files() -> Result<BTreeMap<String, String>> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let names = capture(Command::new("git").args(listed).current_dir(root()))?;
    let mut files = BTreeMap::new();
    for name in names.lines() {
        // What is no text is none of the rules' business; a file that was removed but not yet committed is still listed.
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            files.insert(name.to_owned(), text);
        }
    }
    Ok(files)
}

fn toolchain() -> Result<String> {
    let said = capture(Command::new("rustc").arg("--version").current_dir(root()))?;
    let version = said.split(' ').nth(1).context("reading the version of rustc")?;
    Ok(version.split('.').take(2).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A crate of the given folder that breaks no rule.
    pub(crate) fn krate(folder: &str) -> Crate {
        Crate {
            folder: folder.to_owned(),
            package: format!("crossfade-{folder}"),
            license: Some("Apache-2.0".to_owned()),
            edition: "2024".to_owned(),
            rust_version: Some("1.95".to_owned()),
            root: Some(format!("crates/{folder}/src/lib.rs")),
            ..Crate::default()
        }
    }

    /// A house with the given crates and files.
    pub(crate) fn house(crates: Vec<Crate>, files: &[(&str, &str)]) -> House {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        House { crates, files, default_members: Vec::new(), toolchain: "1.95".to_owned() }
    }

    pub(crate) fn arrow(to: &str, for_tests: bool) -> Arrow {
        Arrow { to: to.to_owned(), for_tests }
    }

    #[test]
    fn a_tree_is_read_with_its_depths() {
        let tree = parse_tree("0crossfade-otlp v0.1.0 (/x)\n1serde v1.0.229\n2serde_core v1.0.229 (*)\n\n");
        let names: Vec<_> = tree.iter().map(|(depth, name)| (*depth, &**name)).collect();
        assert_eq!(names, [(0, "crossfade-otlp"), (1, "serde"), (2, "serde_core")]);
    }
}
