//! What people see: colours only on a terminal, logs on stderr.

pub(crate) mod live;
pub(crate) mod story;

use std::io::IsTerminal;

/// Paints words, or leaves them alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    colour: bool,
}

impl Paint {
    /// For stdout.
    pub(crate) fn stdout() -> Paint {
        Paint { colour: std::io::stdout().is_terminal() && colour_wanted() }
    }

    /// For stderr.
    pub(crate) fn stderr() -> Paint {
        Paint { colour: std::io::stderr().is_terminal() && colour_wanted() }
    }

    /// Never with colours.
    #[cfg(test)]
    pub(crate) fn plain() -> Paint {
        Paint { colour: false }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Whether the terminal may be drawn on: a terminal, and nobody asked for plain lines.
pub(crate) fn can_draw() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

fn colour_wanted() -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("CI").is_none()
}

/// Looks up an environment variable: the one place in the program that does.
#[allow(clippy::disallowed_methods, reason = "the binary reads the environment, and hands it down")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The exit code of a program whose reader has gone, as a shell counts it: 128 + SIGPIPE.
const READER_GONE: i32 = 141;

/// A reader that has seen enough (`| head`) ends the program, without a word: `println!` knows no other way than a panic.
pub(crate) fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(READER_GONE);
        }
        usual(panic);
    }));
}

/// What a command logs by itself.
pub(crate) const USUAL: &str = "warn";
/// A command that makes things fail on purpose says itself what happens.
pub(crate) const QUIET: &str = "off";

/// Logs go to stderr; `CROSSFADE_LOG` sets what is logged instead of `usual`, as `RUST_LOG` does elsewhere.
pub(crate) fn logging(usual: &str) {
    let wanted = variable("CROSSFADE_LOG").unwrap_or_else(|| usual.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(wanted).unwrap_or_default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && colour_wanted())
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}
