//! What a site lets gates do: one that would look unasked, and cannot, is off, with its reason in the plan.

use crossfade_rollout::event::Gate;
use crossfade_rollout::moments::DEFAULTS;
use crossfade_rollout::spec::{Coverage, Gates, Parity};
use crossfade_routing::EnvironmentId;

use crate::site::Site;

/// The settings, as far as the site lets gates look that nobody asked for by name.
#[must_use]
pub fn fitting(mut gates: Gates, site: &Site, from: &EnvironmentId, to: &EnvironmentId) -> Gates {
    let queried =
        |id: &EnvironmentId| site.environment(id).is_some_and(|environment| environment.query.is_some());
    let Some(blind) = [from, to].into_iter().find(|id| !queried(id)) else { return gates };
    let off = |gate: Gate| {
        let unasked = DEFAULTS.iter().any(|known| known.gate == gate && known.unasked);
        unasked.then(|| format!("{blind} has no query endpoint"))
    };
    if let (None, off @ Some(_)) = (&gates.parity, off(Gate::Parity)) {
        gates.parity = Some(Parity { off, ..Parity::default() });
    }
    if let (None, off @ Some(_)) = (&gates.coverage, off(Gate::Coverage)) {
        gates.coverage = Some(Coverage { off, ..Coverage::default() });
    }
    gates
}
