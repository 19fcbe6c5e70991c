//! One environment of the real world: a Collector in front of a Jaeger, each with a configuration of its own.

use super::jaeger::Jaeger;
use super::transport::Transport;
use crate::peers::{COLLECTOR, JAEGER, Peer};
use crate::rig::process::Process;
use crate::rig::{listens, ports, template};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A program that has a core to itself is there in two seconds.
const STARTUP: Duration = Duration::from_secs(120);

/// A running environment.
#[derive(Debug)]
pub(crate) struct Environment {
    colour: &'static str,
    dir: PathBuf,
    /// OTLP/gRPC of the Collector.
    pub(crate) grpc: u16,
    /// OTLP/HTTP of the Collector.
    pub(crate) http: u16,
    /// OTLP/gRPC of the Jaeger, which only the Collector uses.
    jaeger: u16,
    /// The Jaeger's query API.
    pub(crate) query: Jaeger,
    /// The Collector's configuration files, as they are merged.
    pub(crate) configs: Vec<PathBuf>,
    collector: Option<Process>,
    /// Held for its life alone.
    _jaeger: Process,
}

impl Environment {
    /// Starts both and waits until both answer. `overlays` are laid over the Collector's configuration, by name, from
    /// `tests/e2e/config/`.
    pub(crate) fn start(colour: &'static str, dir: &Path, overlays: &[&str]) -> Result<Self> {
        Self::beside(colour, dir, overlays, &[])
    }

    /// Likewise; Collector and query API are spoken to like this. Over TLS nobody asks here: they listen, and that is all that is known.
    pub(crate) fn spoken_to(
        colour: &'static str,
        dir: &Path,
        overlays: &[&str],
        transport: Transport,
    ) -> Result<Self> {
        Self::set_up(colour, dir, overlays, &[], transport)
    }

    /// Likewise, with further words for the templates: ports of others.
    pub(crate) fn beside(
        colour: &'static str,
        dir: &Path,
        overlays: &[&str],
        others: &[(&'static str, u16)],
    ) -> Result<Self> {
        Self::set_up(colour, dir, overlays, others, Transport::Plain)
    }

    /// Likewise, with both.
    pub(crate) fn set_up(
        colour: &'static str,
        dir: &Path,
        overlays: &[&str],
        others: &[(&'static str, u16)],
        transport: Transport,
    ) -> Result<Self> {
        let [grpc, http, jaeger, query, query_grpc] = five_ports()?;
        let mut places = vec![
            ("grpc", grpc.to_string()),
            ("http", http.to_string()),
            ("jaeger", jaeger.to_string()),
            ("query", query.to_string()),
            ("query_grpc", query_grpc.to_string()),
            ("tls", transport.server().to_owned()),
            ("store_tls", transport.exporter().to_owned()),
        ];
        places.extend(others.iter().map(|(word, port)| (*word, port.to_string())));
        let jaeger_config = write(dir, colour, "jaeger.yaml", &places)?;
        let mut process = peer(&JAEGER, dir, &format!("{colour}-jaeger"), &[jaeger_config])?;
        let query = Jaeger { port: query };
        process.until("its query API", STARTUP, || match transport {
            Transport::Plain => query.ready(),
            _ => listens(query.port),
        })?;
        let mut configs = vec![write(dir, colour, "collector.yaml", &places)?];
        for overlay in overlays {
            configs.push(write(dir, colour, overlay, &places)?);
        }
        let dir = dir.to_owned();
        let mut environment =
            Self { colour, dir, grpc, http, jaeger, query, configs, collector: None, _jaeger: process };
        environment.start_collector()?;
        Ok(environment)
    }

    /// What a site's configuration says of it, under the given words: three ports of its own, its storage's, and its files.
    pub(crate) fn words(&self, names: [&'static str; 5]) -> [(&'static str, String); 5] {
        let ports = [self.grpc, self.http, self.query.port, self.jaeger].map(|port| port.to_string());
        let [grpc, http, query, jaeger] = ports;
        let files: Vec<_> = self.configs.iter().map(|path| format!("{:?}", path.to_string_lossy())).collect();
        let values = [grpc, http, query, jaeger, files.join(", ")];
        let mut words = names.into_iter().zip(values);
        std::array::from_fn(|_| words.next().expect("five names, five values"))
    }

    /// Its own addresses, as drift takes them.
    pub(crate) fn endpoints(&self) -> String {
        [self.grpc, self.http, self.jaeger].map(|port| format!("127.0.0.1:{port}")).join(",")
    }

    /// Starts the Collector, anew if it was killed.
    pub(crate) fn start_collector(&mut self) -> Result<()> {
        let mut process = peer(&COLLECTOR, &self.dir, &format!("{}-collector", self.colour), &self.configs)?;
        let ports = [self.grpc, self.http];
        process.until("its OTLP ports", STARTUP, || ports.iter().all(|port| listens(*port)))?;
        self.collector = Some(process);
        Ok(())
    }

    /// Sends the Collector a signal, such as `STOP`.
    pub(crate) fn signal_collector(&self, signal: &str) -> Result<()> {
        self.collector.as_ref().context("the Collector was ended before")?.signal(signal)
    }

    /// Ends the Collector; it can be started again.
    pub(crate) fn end_collector(&mut self, end: End) -> Result<()> {
        let collector = self.collector.take().context("the Collector was ended before")?;
        match end {
            End::Killed => collector.kill(),
            End::Drained => collector.terminate(STARTUP).map(drop),
        }
    }
}

/// How a process comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As by a crash: whatever it held is gone.
    Killed,
    /// Asked to: what it has accepted it still delivers.
    Drained,
}

/// Fills in a template of `tests/e2e/config/` and writes it as `<dir>/<colour>-<name>`.
fn write(dir: &Path, colour: &str, name: &str, words: &[(&str, String)]) -> Result<PathBuf> {
    let words: Vec<_> = words.iter().map(|(word, value)| (*word, value.as_str())).collect();
    let path = dir.join(format!("{colour}-{name}"));
    template::write(&format!("tests/e2e/config/{name}"), &words, &path)?;
    Ok(path)
}

/// Starts a peer with a template of `tests/e2e/config/`, and waits until it listens.
pub(crate) fn start(
    program: &Peer,
    dir: &Path,
    name: &str,
    (template, words): (&str, &[(&str, String)]),
    ports: &[u16],
) -> Result<Process> {
    let config = write(dir, name, template, words)?;
    let mut process = peer(program, dir, name, &[config])?;
    process.until("its ports", STARTUP, || ports.iter().all(|port| listens(*port)))?;
    Ok(process)
}

/// Starts a peer in this folder, where its certificates lie.
fn peer(program: &Peer, dir: &Path, name: &str, configs: &[PathBuf]) -> Result<Process> {
    let mut command = Command::new(program.program()?);
    configs.iter().for_each(|config| _ = command.arg("--config").arg(config));
    // A Jaeger would trace itself, to an endpoint of its own choice.
    command.current_dir(dir).env("OTEL_TRACES_SAMPLER", "always_off");
    Process::start(name, &command, dir)
}

fn five_ports() -> Result<[u16; 5]> {
    Ok([ports::free()?, ports::free()?, ports::free()?, ports::free()?, ports::free()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_every_template_is_filled_in() {
        let words = ["grpc", "http", "jaeger", "query", "query_grpc", "tempo", "health", "tls", "store_tls"];
        let places = words.map(|word| (word, "1".to_owned()));
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "collector.yaml",
            "jaeger.yaml",
            "drops-client.yaml",
            "drops-load.yaml",
            "also-tempo.yaml",
            "also-file.yaml",
            "health.yaml",
        ] {
            write(dir.path(), "blue", name, &places).unwrap();
        }
    }
}
