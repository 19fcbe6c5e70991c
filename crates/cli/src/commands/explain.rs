//! `crossfade explain`: the text behind a finding's id.

use crossfade_gates::explain;

use crate::args::Explain;
use crate::exit::{Exit, Failure, Outcome};

pub(crate) fn run(args: &Explain) -> Outcome {
    if args.all {
        print!("{}", explain::page());
        return Ok(Exit::Passed);
    }
    let Some(id) = &args.id else {
        for (id, name) in explain::known() {
            println!("{id}  {name}");
        }
        return Ok(Exit::Passed);
    };
    match explain::explain(&id.to_uppercase()) {
        Some(text) => {
            println!("{}", text.trim_end());
            Ok(Exit::Passed)
        }
        None => {
            Err(Failure::usage(anyhow::anyhow!("`{id}` is no finding's id; `crossfade explain` lists them")))
        }
    }
}
