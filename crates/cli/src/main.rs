//! `crossfade`: commands and composition root. The only place that knows both planes.
//!
//! | module | holds |
//! |---|---|
//! | `args` | what people type, as data |
//! | `commands` | one module for each command |
//! | `compose` | a site made into a gateway and a control plane |
//! | `exit` | exit codes, and errors that know theirs |
//! | `ui` | plain lines, colours, live drawing |

/// As the standard one, but nobody has to listen: a command goes on when the reader of its messages has gone.
macro_rules! eprint {
    ($($told:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!($($told)*));
    }};
}

/// Likewise.
macro_rules! eprintln {
    () => { eprint!("\n") };
    ($($told:tt)*) => { eprint!("{}\n", format_args!($($told)*)) };
}

mod args;
mod commands;
mod compose;
mod exit;
mod ui;

use clap::Parser;

use crate::exit::{Exit, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    ui::end_with_the_reader();
    let cli = args::Cli::parse();
    ui::logging(if matches!(cli.command, args::Command::Demo(_)) { ui::QUIET } else { ui::USUAL });
    match commands::run(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure).into(),
    }
}

/// Says on stderr what went wrong, once, with its causes.
fn report(failure: &Failure) -> Exit {
    eprintln!("{} {}", ui::Paint::stderr().bad("error:"), failure.text());
    failure.exit
}
