//! Component ids: `type/name`, and the types that have two names.

use std::fmt;

/// Exporters that go by two names; the others differ by underscores only (`spanmetrics`, `span_metrics`). What was the logging
/// exporter is the debug exporter, with the defaults that `forms` writes out.
const EXPORTER_ALIASES: [(&str, &str); 2] = [("otlpgrpc", "otlp"), ("logging", "debug")];

/// A section of a Collector configuration that defines components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Receivers,
    Processors,
    Exporters,
    Connectors,
    Extensions,
}

impl Section {
    pub(crate) const ALL: [Self; 5] =
        [Self::Receivers, Self::Processors, Self::Exporters, Self::Connectors, Self::Extensions];

    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Processors => "processors",
            Self::Exporters => "exporters",
            Self::Connectors => "connectors",
            Self::Extensions => "extensions",
        }
    }
}

/// A component's id in one spelling, whatever the source's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// The type without underscores, aliases resolved: `otlp`, `spanmetrics`.
    pub(crate) kind: String,
    /// What follows the slash; empty if nothing does.
    pub(crate) name: String,
    /// The id as written, where its configuration has another of the same kind and name: `otlp_grpc/x` beside `otlp/x`.
    spelled: Option<String>,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(spelled) = &self.spelled {
            return f.write_str(spelled);
        }
        let slash = if self.name.is_empty() { "" } else { "/" };
        write!(f, "{}{slash}{}", self.kind, self.name)
    }
}

impl Id {
    /// Reads `type/name`; spaces around either do not count, as in the Collector.
    pub(crate) fn read(section: Section, text: &str) -> Self {
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let plain = kind.trim().replace('_', "").to_lowercase();
        let alias = EXPORTER_ALIASES.iter().find(|(from, _)| *from == plain && section == Section::Exporters);
        let kind = alias.map_or(plain, |(_, to)| (*to).to_owned());
        Self { kind, name: name.trim().to_owned(), spelled: None }
    }

    /// The same under its own spelling, unless that is the plain one.
    pub(crate) fn spelled(self, text: &str) -> Self {
        let text = text.trim();
        let plain = self.to_string() == text;
        Self { spelled: (!plain).then(|| text.to_owned()), ..self }
    }
}
