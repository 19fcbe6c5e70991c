//! `crossfade trace`: where a trace went.

use crossfade_control::api::Located;
use crossfade_rollout::rfc3339;
use crossfade_routing::TraceId;

use super::{block_on, client, print_json};
use crate::args::{Format, Locate, Trace};
use crate::exit::{Exit, Failure, Outcome};

pub(crate) fn run(command: &Trace) -> Outcome {
    match command {
        Trace::Locate(args) => locate(args),
    }
}

fn locate(args: &Locate) -> Outcome {
    let id: Result<TraceId, _> = args.trace_id.parse();
    if !id.is_ok_and(|id| id.is_valid()) {
        let what =
            format!("`{}` is no trace id; it has 32 hexadecimal digits, not all of them 0", args.trace_id);
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    let mut path = format!("/v1/locate?trace={}", args.trace_id);
    if let Some(start) = &args.start {
        let start: jiff::Timestamp = start.parse().map_err(|_| {
            let what = format!("--start: `{start}` is not a time; write it like 2026-11-21T10:00:00Z");
            Failure::usage(anyhow::anyhow!(what))
        })?;
        let nanos = u64::try_from(start.as_nanosecond())
            .map_err(|_| Failure::usage(anyhow::anyhow!("--start: lies before 1970")))?;
        path.push_str(&format!("&start={nanos}"));
    }
    let client = client(&args.control)?;
    let found: Located = block_on(async { Ok(client.get(&path).await?) })?;
    if args.output == Format::Json {
        print_json(&found)?;
        return Ok(Exit::Passed);
    }
    println!("trace    {}", found.trace);
    println!(
        "start    {}{}",
        rfc3339::format(found.start),
        if args.start.is_none() { "  (now, since --start is left out)" } else { "" }
    );
    println!("owner    {}  {}", found.owner, found.why);
    if let Some(or) = &found.or {
        println!("or       {or}  its recorded start is within skew of that cut");
    }
    if let (Some(rollout), Some(generation)) = (&found.rollout, found.generation) {
        println!("rollout  {rollout}, generation {generation}");
    }
    Ok(Exit::Passed)
}
