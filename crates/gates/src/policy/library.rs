//! Ready policies: one for each standard, and one of good sense.

use super::Source;
use crate::control::Standard;

/// What the name of a policy of this library begins with: no file is meant.
pub(crate) const EMBEDDED: &str = "crossfade:";

/// The ready policy of a standard.
pub fn library(standard: Standard) -> Source {
    let (name, text) = match standard {
        Standard::PciDss => ("pci.rego", include_str!("library/pci.rego")),
        Standard::Hipaa => ("hipaa.rego", include_str!("library/hipaa.rego")),
        Standard::Gdpr => ("gdpr.rego", include_str!("library/gdpr.rego")),
        Standard::Soc2 => ("soc2.rego", include_str!("library/soc2.rego")),
        Standard::Nist80053 => ("nist.rego", include_str!("library/nist.rego")),
    };
    ready(name, text)
}

/// The ready policy of no standard: everything is looked at before everything moves.
pub fn staged() -> Source {
    ready("staged.rego", include_str!("library/staged.rego"))
}

fn ready(name: &str, text: &str) -> Source {
    Source { name: format!("{EMBEDDED}{name}"), text: text.to_owned() }
}
