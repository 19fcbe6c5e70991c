//! What the gates' commands share: how reports are printed, and how they end.

use crossfade_gates::render;
use crossfade_gates::report::{Report, Verdict};

use crate::args::GateFormat;
use crate::exit::Exit;

/// Prints one gate's report, and says how its command ends.
pub(super) fn print(report: &Report, format: GateFormat) -> Exit {
    match format {
        GateFormat::Text => print!("{}", render::text(report)),
        GateFormat::Json => println!("{}", render::json(report)),
        GateFormat::Junit => print!("{}", render::junit(std::slice::from_ref(report))),
        GateFormat::Sarif => {
            println!("{}", render::sarif(std::slice::from_ref(report), env!("CARGO_PKG_VERSION")));
        }
    }
    exit(report)
}

/// How a gate's command ends.
pub(super) fn exit(report: &Report) -> Exit {
    match report.verdict() {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail => Exit::Refused,
        Verdict::NoVerdict if report.unreachable => Exit::Unreachable,
        Verdict::NoVerdict => Exit::NoVerdict,
    }
}
