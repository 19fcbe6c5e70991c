//! A Tempo by itself: one process, its storage in the folder of the run, gone when it is dropped.

use crate::peers::TEMPO;
use crate::rig::process::Process;
use crate::rig::{http, listens, ports, template};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(60);

/// Whose traces it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// Everybody's, together.
    One,
    /// Each tenant's apart, told by the header `X-Scope-OrgID`, without which it refuses.
    ByHeader,
}

/// How one is set up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whose traces it keeps.
    pub(crate) tenancy: Tenancy,
    /// Longer values are cut.
    pub(crate) attribute_bytes: u32,
    /// Where `server.pem` and `server.key` are that it proves itself with, if it speaks TLS.
    pub(crate) certificates: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tenancy: Tenancy::One, attribute_bytes: 65_536, certificates: None }
    }
}

/// A running Tempo. What it is sent is readable by id at once, and found by a search about two seconds later.
#[derive(Debug)]
pub(crate) struct Tempo {
    /// OTLP/gRPC.
    pub(crate) grpc: u16,
    /// OTLP/HTTP.
    pub(crate) http: u16,
    /// Its HTTP API.
    pub(crate) query: u16,
    /// Held for its life alone.
    _process: Process,
}

impl Tempo {
    /// Starts one and waits until it is ready. `name` tells it from others in `dir`, where its configuration, its log and its
    /// storage go.
    pub(crate) fn start(name: &str, dir: &Path, tenancy: Tenancy) -> Result<Self> {
        Self::start_with(name, dir, &Settings { tenancy, ..Settings::default() })
    }

    /// The same with other settings.
    pub(crate) fn start_with(name: &str, dir: &Path, settings: &Settings) -> Result<Self> {
        let [grpc, http, query, query_grpc] =
            [ports::free()?, ports::free()?, ports::free()?, ports::free()?];
        let folder = dir.join(format!("{name}-storage"));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let config = dir.join(format!("{name}.yaml"));
        write(&config, &folder, settings, [grpc, http, query, query_grpc])?;
        let mut command = Command::new(TEMPO.program()?);
        command.arg(format!("-config.file={}", config.display()));
        let mut process = Process::start(name, &command, dir)?;
        // Over TLS nobody here asks: whoever does asks again until it is ready.
        let answers = || match settings.certificates {
            None => http::get(query, "/ready").is_ok_and(|answer| answer.status == 200),
            Some(_) => listens(query),
        };
        process.until("to be ready", STARTUP, || answers() && listens(grpc) && listens(http))?;
        Ok(Self { grpc, http, query, _process: process })
    }
}

/// Fills in its configuration.
fn write(path: &Path, folder: &Path, settings: &Settings, ports: [u16; 4]) -> Result<()> {
    let bytes = settings.attribute_bytes.to_string();
    let tls = settings.certificates.as_ref().map(|dir| {
        let file = |name: &str| dir.join(name).display().to_string();
        format!("{{ cert_file: {:?}, key_file: {:?} }}", file("server.pem"), file("server.key"))
    });
    let [grpc, http, query, query_grpc] = ports.map(|port| port.to_string());
    let folder = folder.to_string_lossy();
    let words = [
        ("multitenancy", if settings.tenancy == Tenancy::ByHeader { "true" } else { "false" }),
        ("attribute_bytes", &*bytes),
        ("http_tls", tls.as_deref().unwrap_or("{}")),
        ("otlp_tls", tls.as_deref().unwrap_or("null")),
        ("grpc", &*grpc),
        ("http", &*http),
        ("query", &*query),
        ("query_grpc", &*query_grpc),
        ("folder", &*folder),
    ];
    template::write("tests/e2e/config/tempo.yaml", &words, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_template_is_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("tempo.yaml"), dir.path(), &Settings::default(), [1, 2, 3, 4]).unwrap();
    }
}
