//! The two sides of a rollout as a set.

use std::fmt;
use std::ops::BitOr;

/// A set of the two sides of a rollout, by role: bit 0 is `from`, bit 1 is `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destinations(u8);

impl Destinations {
    pub const NONE: Destinations = Destinations(0);
    pub const FROM: Destinations = Destinations(1);
    pub const TO: Destinations = Destinations(2);
    pub const BOTH: Destinations = Destinations(3);

    /// Bit 0: `from`. Bit 1: `to`.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every member of `other` is a member of this set.
    #[must_use]
    pub const fn contains(self, other: Destinations) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set if `wanted`, else none.
    #[must_use]
    pub(crate) const fn only_if(self, wanted: bool) -> Destinations {
        if wanted { self } else { Destinations::NONE }
    }
}

impl BitOr for Destinations {
    type Output = Destinations;

    fn bitor(self, other: Destinations) -> Destinations {
        Destinations(self.0 | other.0)
    }
}

impl fmt::Display for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Destinations::NONE => "none",
            Destinations::FROM => "from",
            Destinations::TO => "to",
            _ => "both",
        })
    }
}
