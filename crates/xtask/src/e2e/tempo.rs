//! A Tempo by itself: one process, its storage in the folder of the run, gone when it is dropped.

use super::transport::Transport;
use crate::peers::TEMPO;
use crate::rig::process::Process;
use crate::rig::{http, listens, ports, template};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(120);

/// Whose traces it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// Everybody's, together.
    One,
    /// Each tenant's apart, told by the header `X-Scope-OrgID`, without which it refuses.
    ByHeader,
}

/// How one is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) tenancy: Tenancy,
    pub(crate) transport: Transport,
    /// Longer values are cut; at 2048 bytes, if nobody says otherwise to a Tempo.
    pub(crate) attribute_bytes: u32,
    /// How long it keeps what it has.
    pub(crate) retention: &'static str,
    /// Whether it takes Zipkin's form, too.
    pub(crate) zipkin: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tenancy: Tenancy::One,
            transport: Transport::Plain,
            attribute_bytes: 65_536,
            retention: "336h",
            zipkin: false,
        }
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
    /// Its configuration, as it was written.
    pub(crate) config: PathBuf,
    /// Held for its life alone.
    _process: Process,
}

impl Tempo {
    /// Starts one and waits until it is ready. `name` tells it from others in `dir`, where its configuration, its log and its
    /// storage go.
    pub(crate) fn start(name: &str, dir: &Path, tenancy: Tenancy) -> Result<Self> {
        Self::spoken_to(name, dir, tenancy, Transport::Plain)
    }

    /// Likewise. What is spoken to over TLS cannot be asked here whether it is ready: it listens, and that is all that is known.
    pub(crate) fn spoken_to(name: &str, dir: &Path, tenancy: Tenancy, transport: Transport) -> Result<Self> {
        Self::set_up(name, dir, Settings { tenancy, transport, ..Settings::default() })
    }

    /// Likewise.
    pub(crate) fn set_up(name: &str, dir: &Path, settings: Settings) -> Result<Self> {
        let [grpc, http, query, query_grpc] =
            [ports::free()?, ports::free()?, ports::free()?, ports::free()?];
        let folder = dir.join(format!("{name}-storage"));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let config = dir.join(format!("{name}.yaml"));
        write(&config, &folder, settings, [grpc, http, query, query_grpc])?;
        let mut command = Command::new(TEMPO.program()?);
        command.arg(format!("-config.file={}", config.display())).current_dir(dir);
        let mut process = Process::start(name, &command, dir)?;
        let answers = || match settings.transport {
            Transport::Plain => http::get(query, "/ready").is_ok_and(|answer| answer.status == 200),
            _ => listens(query),
        };
        process.until("to be ready", STARTUP, || answers() && listens(grpc) && listens(http))?;
        Ok(Self { grpc, http, query, config, _process: process })
    }
}

/// Fills in its configuration.
fn write(path: &Path, folder: &Path, settings: Settings, ports: [u16; 4]) -> Result<()> {
    let Settings { tenancy, transport, attribute_bytes, retention, zipkin } = settings;
    let attribute_bytes = attribute_bytes.to_string();
    let [grpc, http, query, query_grpc] = ports.map(|port| port.to_string());
    let words = [
        ("multitenancy", if tenancy == Tenancy::ByHeader { "true" } else { "false" }),
        ("attribute_bytes", &attribute_bytes),
        ("retention", retention),
        ("more_receivers", if zipkin { "zipkin: { endpoint: \"127.0.0.1:0\" }" } else { "" }),
        ("server_tls", transport.tempo()),
        ("receiver_tls", transport.server()),
        ("grpc", &grpc),
        ("http", &http),
        ("query", &query),
        ("query_grpc", &query_grpc),
        ("folder", &folder.to_string_lossy()),
    ];
    template::write("tests/e2e/config/tempo.yaml", &words, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_template_is_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        for transport in [Transport::Plain, Transport::Tls, Transport::Mutual] {
            let settings = Settings { transport, ..Settings::default() };
            write(&dir.path().join("tempo.yaml"), dir.path(), settings, [1, 2, 3, 4]).unwrap();
        }
    }
}
