//! The stories as data. The YAML that they are made of is in `scenarios/`.

mod bank;
mod clinic;
mod cloud;
mod migration;
mod shop;

use super::Scenario;

/// All of them, the pairs side by side.
pub(super) fn all() -> Vec<Scenario> {
    let pairs = [shop::stories(), clinic::stories(), bank::stories(), cloud::stories(), migration::stories()];
    pairs.into_iter().flatten().collect()
}
