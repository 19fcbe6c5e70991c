//! The workspace's own chores, called as `cargo xtask <chore>`. Nothing here ships: `crossfade` neither depends on this
//! package nor knows of it, and `cargo test` leaves it out unless told `--workspace`.
//!
//! | module | holds |
//! |---|---|
//! | [`house`] | the one table of crates, tiers and allowed arrows, and the exceptions with their reasons |
//! | [`tidy`] | the house rules, one function each, proven from `cargo metadata`, `cargo tree` and the sources |
//! | [`peers`] | foreign programs that the tests need, built once into a cache outside the tree |
//! | [`e2e`] | real SDKs, Collectors and Jaegers around a real `crossfade`, and the checks on what arrived |
//! | [`stories`] | every story of `crossfade demo`, and what its name promises |
//! | [`bench`] | CPU a span of the gateway and of its peers under the same load |
//! | [`fuzz`] | a smoke run of every fuzz target |
//! | [`rig`] | supervised children, free ports, conditions with deadlines |
//! | [`suite`] | `cargo xtask test`: everything, with a closing summary |
//! | [`shell`] | running commands, with progress and errors that say which command failed |

mod bench;
mod e2e;
mod fuzz;
mod house;
mod peers;
mod rig;
mod shell;
mod stories;
mod suite;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Crossfade's own chores", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run everything: unit, property and end-to-end tests; installs what they need
    Test(suite::Args),
    /// Prove the house rules: arrows between tiers, purity of tier 0, docs, sizes, manifests
    Tidy,
    /// Build the foreign programs that the end-to-end tests need into a cache outside the tree
    Peers(peers::Args),
    /// Run real SDKs, Collectors and Jaegers around a real `crossfade`, and check what arrived
    E2e(e2e::Args),
    /// Tell every story of `crossfade demo`, and check exit codes, JSON and logs
    Stories(stories::Args),
    /// Measure CPU a span of the gateway and of its peers under the same load
    Bench(bench::Args),
    /// Run every fuzz target for a while
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Test(args) => suite::run(&args),
        Chore::Tidy => tidy::run(),
        Chore::Peers(args) => peers::run(&args),
        Chore::E2e(args) => e2e::run(&args),
        Chore::Stories(args) => stories::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
