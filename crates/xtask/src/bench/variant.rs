//! What is measured: the gateway and its peers, each in the shapes that can be compared.

use super::Ports;
use crate::peers::{COLLECTOR, ENVOY, NGINX};
use crate::rig::template;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// One proxy in one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) gzip: bool,
    /// Which spans must have come to blue and to green, so that a figure stands for work that was done.
    pub(crate) delivers: Delivers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the name of its shape.
    Crossfade(&'static str),
    Nginx,
    Envoy,
    /// With the name of its configuration, `tests/bench/collector-<name>.yaml`.
    Collector(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivers {
    /// Everything to blue.
    Blue,
    /// Everything to both.
    Both,
    /// Everything to blue, and about half of the traces to green as well.
    BlueAndHalf,
    /// Each trace to one of the two, about half to each.
    Halves,
}

pub(crate) const VARIANTS: &[Variant] = &[
    variant("nginx, blind", Kind::Nginx, false, Delivers::Blue),
    variant("Envoy, blind", Kind::Envoy, false, Delivers::Blue),
    variant("Collector", Kind::Collector("one"), false, Delivers::Blue),
    variant("crossfade", Kind::Crossfade("one"), false, Delivers::Blue),
    variant("Collector, two exporters", Kind::Collector("two"), false, Delivers::Both),
    variant("crossfade, copy at 50 %", Kind::Crossfade("copy"), false, Delivers::BlueAndHalf),
    variant("Collector, loadbalancing over 2", Kind::Collector("balance"), false, Delivers::Halves),
    variant("crossfade, split 50/50", Kind::Crossfade("split"), false, Delivers::Halves),
    variant("nginx, gzip passed on", Kind::Nginx, true, Delivers::Blue),
    variant("Collector, gzip in and out", Kind::Collector("gzip"), true, Delivers::Blue),
    variant("crossfade, gzip in", Kind::Crossfade("one"), true, Delivers::Blue),
];

/// A ratio that is to be reached: the first variant's CPU a span over the second's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) of: &'static str,
    pub(crate) over: &'static str,
    pub(crate) most: f64,
    /// The same, as people say it.
    pub(crate) said: &'static str,
}

pub(crate) const TARGETS: &[Target] = &[
    Target { of: "crossfade", over: "Collector", most: 1.0 / 6.0, said: "1/6" },
    Target { of: "crossfade", over: "nginx, blind", most: 1.6, said: "1.6" },
    Target { of: "crossfade, copy at 50 %", over: "Collector, two exporters", most: 1.0 / 6.0, said: "1/6" },
    Target {
        of: "crossfade, split 50/50",
        over: "Collector, loadbalancing over 2",
        most: 1.0 / 8.0,
        said: "1/8",
    },
    Target { of: "crossfade, gzip in", over: "Collector, gzip in and out", most: 1.0 / 12.0, said: "1/12" },
];

/// The gateway's memory at 16 requests in flight, in KiB.
pub(crate) const MEMORY_MOST_KIB: u64 = 100 * 1024;

const fn variant(name: &'static str, kind: Kind, gzip: bool, delivers: Delivers) -> Variant {
    Variant { name, kind, gzip, delivers }
}

impl Variant {
    pub(crate) fn is_crossfade(&self) -> bool {
        matches!(self.kind, Kind::Crossfade(_))
    }

    /// The command that serves OTLP/gRPC on `ports.proxy`, with its configuration written into `dir`.
    pub(crate) fn command(&self, programs: &Path, ports: &Ports, dir: &Path) -> Result<Command> {
        match self.kind {
            Kind::Nginx => {
                let config = config("nginx.conf", ports, dir)?;
                let mut command = Command::new(NGINX.program()?);
                command.arg("-p").arg(dir).arg("-c").arg(config);
                Ok(command)
            }
            Kind::Envoy => {
                let config = config("envoy.yaml", ports, dir)?;
                let mut command = Command::new(ENVOY.program()?);
                command
                    .args(["--concurrency", "1", "--log-level", "warn", "--disable-hot-restart", "-c"])
                    .arg(config);
                Ok(command)
            }
            Kind::Collector(shape) => {
                let config = config(&format!("collector-{shape}.yaml"), ports, dir)?;
                let mut command = Command::new(COLLECTOR.program()?);
                command.arg("--config").arg(config);
                Ok(command)
            }
            Kind::Crossfade(shape) => {
                let mut command = Command::new(programs);
                command.args(["gateway", "--port", &ports.proxy.to_string(), "--shape", shape]);
                command.args(["--blue", &ports.blue.to_string(), "--green", &ports.green.to_string()]);
                command.arg("--state").arg(dir.join("gateway"));
                Ok(command)
            }
        }
    }
}

impl Delivers {
    /// Whether what came to blue and green, of `sent` spans, is what should have come.
    pub(crate) fn holds(self, sent: u64, blue: u64, green: u64) -> bool {
        // 1,024 different traces: half of them, give or take six standard deviations.
        let half = |spans: u64| spans.abs_diff(sent / 2) * 10 < sent;
        match self {
            Self::Blue => blue == sent && green == 0,
            Self::Both => blue == sent && green == sent,
            Self::BlueAndHalf => blue == sent && half(green),
            Self::Halves => blue + green == sent && half(blue),
        }
    }
}

fn config(name: &str, ports: &Ports, dir: &Path) -> Result<std::path::PathBuf> {
    let numbers = [ports.proxy, ports.blue, ports.green, ports.admin].map(|port| port.to_string());
    let folder = dir.to_string_lossy();
    let words = [
        ("port", &*numbers[0]),
        ("blue", &*numbers[1]),
        ("green", &*numbers[2]),
        ("admin", &*numbers[3]),
        ("dir", &*folder),
    ];
    let path = dir.join(name);
    template::write(&format!("tests/bench/{name}"), &words, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_names_variants_that_are_measured() {
        for target in TARGETS {
            for name in [target.of, target.over] {
                assert!(VARIANTS.iter().any(|variant| variant.name == name), "{name}");
            }
        }
    }

    #[test]
    fn every_configuration_is_there_and_can_be_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports { proxy: 1, blue: 2, green: 3, counts: 4, admin: 5 };
        for name in ["nginx.conf", "envoy.yaml"] {
            config(name, &ports, dir.path()).unwrap();
        }
        for variant in VARIANTS {
            if let Kind::Collector(shape) = variant.kind {
                config(&format!("collector-{shape}.yaml"), &ports, dir.path()).unwrap();
            }
        }
    }

    #[test]
    fn work_that_was_not_done_is_noticed() {
        assert!(Delivers::Blue.holds(1_000, 1_000, 0) && !Delivers::Blue.holds(1_000, 999, 0));
        assert!(Delivers::Both.holds(1_000, 1_000, 1_000) && !Delivers::Both.holds(1_000, 1_000, 500));
        assert!(
            Delivers::BlueAndHalf.holds(1_000, 1_000, 480)
                && !Delivers::BlueAndHalf.holds(1_000, 1_000, 1_000)
        );
        assert!(Delivers::Halves.holds(1_000, 520, 480) && !Delivers::Halves.holds(1_000, 520, 520));
    }
}
