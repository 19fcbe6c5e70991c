//! The stories as data. The YAML that they are made of is in `scenarios/`.

mod bank;
mod clinic;
mod migration;
mod shop;

use super::Scenario;

/// All of them, the pairs side by side.
pub(super) fn all() -> Vec<Scenario> {
    [shop::stories(), clinic::stories(), bank::stories(), migration::stories()]
        .into_iter()
        .flatten()
        .collect()
}
