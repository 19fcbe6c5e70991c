//! The gates by name.

use serde::{Deserialize, Serialize};

/// Gates that a plan can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    Drift,
    Probe,
    Posture,
    Load,
    Parity,
    Coverage,
    Dependencies,
    History,
    Policy,
}

impl Gate {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Drift,
        Self::Posture,
        Self::Probe,
        Self::Load,
        Self::Parity,
        Self::Coverage,
        Self::Dependencies,
        Self::History,
        Self::Policy,
    ];

    /// Its name in a spec, in the log and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Probe => "probe",
            Self::Posture => "posture",
            Self::Load => "load",
            Self::Parity => "parity",
            Self::Coverage => "coverage",
            Self::Dependencies => "dependencies",
            Self::History => "history",
            Self::Policy => "policy",
        }
    }

    /// Whether what it looks at, or sends, is drawn by a seed: whoever knows that beforehand can choose it.
    pub const fn draws(self) -> bool {
        match self {
            Self::Probe | Self::Load | Self::Parity | Self::History => true,
            Self::Drift | Self::Posture | Self::Coverage | Self::Dependencies | Self::Policy => false,
        }
    }

    /// What it asks, in one line.
    pub const fn asks(self) -> &'static str {
        match self {
            Self::Drift => "does the candidate's configuration differ in anything that is not declared?",
            Self::Probe => "do synthetic traces come back whole, redacted, and from the candidate alone?",
            Self::Posture => "is the candidate as closed as it should be, and no weaker than the active?",
            Self::Load => "does the candidate hold up under more than live traffic?",
            Self::Parity => "are the same traces the same in both?",
            Self::Coverage => {
                "does the candidate record every service, operation and call that the active does?"
            }
            Self::Dependencies => "were the outside services that live traffic calls really called in tests?",
            Self::History => "can old traces be read, the same, and found?",
            Self::Policy => "do the rules allow it?",
        }
    }
}
