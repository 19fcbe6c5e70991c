//! Versions of what is configured, and the defaults that changed between them.

use std::fmt;
use std::str::FromStr;

use super::classify::Subject;
use super::ids::Section;
use super::path::Path;
use super::tempo;

/// A version of the Collector (0.100 and on), Jaeger (2 and on) or Tempo (2 and on).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version; write it as in 0.158.0")]
pub struct VersionError(String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let refused = || VersionError(text.to_owned());
        let plain = text.trim().trim_start_matches('v');
        let plain = plain.split(['-', '+']).next().unwrap_or_default();
        let mut parts = plain.split('.').map(str::parse::<u32>);
        let mut next = || parts.next().transpose().map_err(|_| refused());
        let (major, minor, patch) = (next()?, next()?, next()?);
        match (major, minor, next()?) {
            (Some(major), Some(minor), None) => Ok(Self { major, minor, patch: patch.unwrap_or(0) }),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What runs on either side; `None` is the newest that the tables know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Blue's.
    pub blue: Option<Version>,
    /// Green's.
    pub green: Option<Version>,
}

impl Version {
    /// Any Jaeger 2: what has its components is one, whether somebody says so or not.
    pub(crate) const JAEGER: Self = Self { major: 2, minor: 0, patch: 0 };

    /// Whether it is older than the Collector's 0.`minor`. Jaeger 2, which is one, never is.
    pub(crate) fn is_collector_before(self, minor: u32) -> bool {
        self.major == 0 && self.minor < minor
    }

    /// Whether it is older than Tempo's `major.minor`.
    pub(crate) fn is_before(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) < (major, minor)
    }
}

/// A default as it was before the Collector's 0.`until`.
pub(crate) struct Former {
    pub(crate) section: Section,
    /// Without underscores.
    pub(crate) kind: &'static str,
    pub(crate) path: &'static str,
    pub(crate) until: u32,
    /// As YAML; `None`: there was none.
    pub(crate) value: Option<&'static str>,
}

/// Defaults that changed since 0.100, from the change logs of Collector and contrib.
pub(crate) const FORMER: &[Former] = &[
    // 0.104: `component.UseLocalHostAsDefaultHost`.
    former(Section::Receivers, "otlp", "protocols.grpc.endpoint", 104, "0.0.0.0:4317"),
    former(Section::Receivers, "otlp", "protocols.http.endpoint", 104, "0.0.0.0:4318"),
    former(Section::Receivers, "jaeger", "protocols.grpc.endpoint", 104, "0.0.0.0:14250"),
    former(Section::Receivers, "jaeger", "protocols.thrift_http.endpoint", 104, "0.0.0.0:14268"),
    former(Section::Receivers, "jaeger", "protocols.thrift_compact.endpoint", 104, "0.0.0.0:6831"),
    former(Section::Receivers, "jaeger", "protocols.thrift_binary.endpoint", 104, "0.0.0.0:6832"),
    former(Section::Receivers, "zipkin", "endpoint", 104, "0.0.0.0:9411"),
    former(Section::Extensions, "healthcheck", "endpoint", 104, "0.0.0.0:13133"),
    // 0.103: the debug exporter no longer samples.
    former(Section::Exporters, "debug", "sampling_thereafter", 103, "500"),
    // 0.105: gRPC clients.
    former(Section::Exporters, "otlp", "balancer_name", 105, "pick_first"),
    // 0.109: the metrics' names.
    former(Section::Connectors, "spanmetrics", "namespace", 109, "''"),
    // 0.138: an empty `batch` block has the batch processor's sizes.
    unset(Section::Exporters, "otlp", "sending_queue.batch.min_size", 138),
    unset(Section::Exporters, "otlp", "sending_queue.batch.flush_timeout", 138),
    unset(Section::Exporters, "otlphttp", "sending_queue.batch.min_size", 138),
    unset(Section::Exporters, "otlphttp", "sending_queue.batch.flush_timeout", 138),
    unset(Section::Exporters, "kafka", "sending_queue.batch.min_size", 138),
    unset(Section::Exporters, "kafka", "sending_queue.batch.flush_timeout", 138),
    // 0.153: errors in conditions and statements are logged, and processing goes on.
    former(Section::Processors, "filter", "error_mode", 153, "propagate"),
    former(Section::Processors, "transform", "error_mode", 153, "propagate"),
    // 0.156: garbage collections back off.
    unset(Section::Processors, "memorylimiter", "max_gc_interval_when_soft_limited", 156),
    unset(Section::Processors, "memorylimiter", "max_gc_interval_when_hard_limited", 156),
];

/// The default of service.telemetry.metrics.readers before 0.111, when it was an `address`.
pub(crate) const FORMER_READERS: (u32, &str) =
    (111, "[{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]");

/// What a setting's default was before, and until which version, where it is not the same in all of them.
pub(crate) fn changed(subject: Subject<'_>, path: &Path) -> Option<(&'static str, String)> {
    let dotted = path.to_string();
    let told = |value: Option<&'static str>, until: u32| (value.unwrap_or("none"), format!("0.{until}"));
    match subject {
        Subject::Component { section, kind } => {
            let row = FORMER.iter().find(|r| r.section == section && r.kind == kind && r.path == dotted)?;
            Some(told(row.value, row.until))
        }
        Subject::Service if dotted == "telemetry.metrics.readers" => {
            Some(told(Some("on every network of the host"), FORMER_READERS.0))
        }
        Subject::Tempo => match tempo::receiver(path)? {
            (kind, below) if kind == "otlp" => {
                let open = OPEN_IN_TEMPO.iter().find(|(at, _)| *at == below.to_string())?;
                Some((open.1, "2.7".to_owned()))
            }
            _ => None,
        },
        Subject::Service | Subject::Other => None,
    }
}

/// Where Tempo's receivers listened until 2.7, which took over the Collector's move to localhost.
pub(crate) const OPEN_IN_TEMPO: [(&str, &str); 2] =
    [("protocols.grpc.endpoint", "0.0.0.0:4317"), ("protocols.http.endpoint", "0.0.0.0:4318")];

const fn former(
    section: Section,
    kind: &'static str,
    path: &'static str,
    until: u32,
    value: &'static str,
) -> Former {
    Former { section, kind, path, until, value: Some(value) }
}

const fn unset(section: Section, kind: &'static str, path: &'static str, until: u32) -> Former {
    Former { section, kind, path, until, value: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_people_write_them() {
        for (text, expected) in [
            ("0.100.0", "0.100.0"),
            ("v0.158", "0.158.0"),
            ("2.13.0-rc.1", "2.13.0"),
            ("2.8.0+dirty", "2.8.0"),
        ] {
            assert_eq!(text.parse::<Version>().map(|v| v.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "1", "latest", "0.1.2.3", "0.x", "-1.2"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn jaeger_is_a_new_collector() {
        let version = |text: &str| text.parse::<Version>().expect("a version");
        assert!(version("0.103.9").is_collector_before(104) && !version("0.104.0").is_collector_before(104));
        assert!(!version("2.0.0").is_collector_before(104));
        assert!(version("2.6.9").is_before(2, 7) && !version("3.0.0").is_before(2, 7));
    }
}
