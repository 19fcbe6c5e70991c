//! `crossfade schema`: JSON Schemas for editors, from the types that read the files.

use crossfade_control::site::SiteFile;
use crossfade_rollout::Spec;

use super::print_json;
use crate::args::{Schema, SchemaKind};
use crate::exit::{Exit, Outcome};

pub(crate) fn run(args: &Schema) -> Outcome {
    let schema = match args.which {
        SchemaKind::Config => schemars::schema_for!(SiteFile),
        SchemaKind::Rollout => schemars::schema_for!(Spec),
    };
    print_json(&schema)?;
    Ok(Exit::Passed)
}
