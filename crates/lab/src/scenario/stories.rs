//! The stories as data. The YAML that they are made of is in `scenarios/`.

mod cloud;
mod migration;
mod shop;

use super::Scenario;

/// All of them, the pairs side by side.
pub(super) fn all() -> Vec<Scenario> {
    [shop::stories(), cloud::stories(), migration::stories()].into_iter().flatten().collect()
}
