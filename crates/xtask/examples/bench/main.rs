//! The programs that `cargo xtask bench` runs beside its peers: a load, a sink, the gateway itself with a schedule that
//! never changes, and the load gate's generator. One program with four commands, so that there is one to build.
//!
//! It is an example and not a binary so that the chores build without the gateway: `cargo xtask tidy` must run even
//! where the gateway does not compile.

mod drive;
mod gateway;
mod load;
mod payload;
mod sink;

use clap::{Parser, Subcommand};

/// The allocator that `crossfade` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Send prebuilt requests as fast as they are answered, and print what became of them
    Load(load::Args),
    /// Drive the load gate's generator up in steps
    Drive(drive::Args),
    /// Receive, count and answer at once
    Sink(sink::Args),
    /// The gateway with a fixed schedule
    Gateway(gateway::Args),
}

fn main() -> anyhow::Result<()> {
    let program = Cli::parse().program;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match program {
        Program::Load(args) => runtime.block_on(load::run(args)),
        Program::Drive(args) => runtime.block_on(drive::run(args)),
        Program::Sink(args) => runtime.block_on(sink::run(args)),
        Program::Gateway(args) => runtime.block_on(gateway::run(args)),
    }
}
