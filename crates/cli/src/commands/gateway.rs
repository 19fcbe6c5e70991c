//! `crossfade gateway`: talks to the gateway itself, whatever the control plane and its log do.

use crossfade_gateway::{FenceRequest, Fenced, GatewayStatus};
use crossfade_rollout::rfc3339;
use crossfade_routing::{GatewayId, UnixNanos};

use super::{block_on, client, print_json};
use crate::args::{Fence, Format, Gateway, Rostered, Status, Strike};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::Paint;

pub(crate) fn run(command: &Gateway) -> Outcome {
    match command {
        Gateway::Status(args) => status(args),
        Gateway::Fence(args) => fence(args),
        Gateway::Strike(args) => strike(args),
        Gateway::Enlist(args) => enlist(args),
    }
}

fn strike(args: &Strike) -> Outcome {
    let Strike { gateway: args, reason } = args;
    let (client, path) = (client(&args.control)?, roster_path(&args.id)?);
    let reason: String = reason.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("{path}?reason={reason}");
    let _: serde_json::Value = block_on(async { Ok(client.delete(&path).await?) })?;
    println!("{} {} is off the roster: no cut waits for it", Paint::stdout().good("✔"), args.id);
    Ok(Exit::Passed)
}

fn enlist(args: &Rostered) -> Outcome {
    let (client, path) = (client(&args.control)?, roster_path(&args.id)?);
    let _: serde_json::Value = block_on(async { Ok(client.put(&path).await?) })?;
    println!("{} {} is on the roster: cuts wait for it", Paint::stdout().good("✔"), args.id);
    Ok(Exit::Passed)
}

fn roster_path(id: &str) -> Result<String, Failure> {
    let id: GatewayId = id.parse().map_err(|error| anyhow::anyhow!("`{id}`: {error}")).or_usage()?;
    Ok(format!("/v1/gateways/{id}"))
}

fn status(args: &Status) -> Outcome {
    let client = client(&args.control)?;
    let status: GatewayStatus = block_on(async { Ok(client.get("/v1/gateway").await?) })?;
    if args.output == Format::Json {
        print_json(&status)?;
        return Ok(Exit::Passed);
    }
    let paint = Paint::stdout();
    println!("gateway     {} boot {} {:?}", status.gateway, status.boot, status.phase);
    if let Some(schedule) = &status.schedule {
        println!("generation  {}  rollout {}", schedule.generation(), schedule.rollout().unwrap_or("none"));
    }
    match status.horizon {
        Some(horizon) if horizon > UnixNanos(0) => println!("horizon     {}", rfc3339::format(horizon)),
        _ => println!("horizon     none is needed before the first cut"),
    }
    let control =
        status.control.trouble.as_deref().map_or_else(|| paint.good("in touch"), |why| paint.bad(why));
    println!("control     {control}");
    if status.fenced {
        println!(
            "fence       {}",
            paint.bad("the candidate is fenced off: nothing goes to it for the rest of this rollout")
        );
    }
    if let Some(why) = &status.fence_unsaved {
        println!(
            "{}",
            paint.bad(&format!("            it is NOT on disk yet: {why}; do not restart this gateway"))
        );
    }
    for environment in &status.environments {
        let mark = if environment.reachable { paint.good("✔") } else { paint.bad("✘") };
        println!("{mark} {:<10} {}", environment.environment.to_string(), environment.detail);
    }
    for row in &status.ledger {
        println!(
            "ledger      {} generation {}: received {} = delivered {} + rejected {} + returned {} + shed {} + indeterminate {} + queued {}",
            row.environment,
            row.generation,
            row.received,
            row.delivered,
            row.rejected,
            row.returned,
            row.shed,
            row.indeterminate,
            row.queued
        );
    }
    let balanced = match (status.ledger.is_empty(), status.balanced) {
        (true, _) => "nothing was counted since this boot".to_owned(),
        (false, true) => paint.good("yes"),
        (false, false) => paint.bad("no"),
    };
    println!("balanced    {balanced}");
    Ok(Exit::Passed)
}

fn fence(args: &Fence) -> Outcome {
    let client = client(&args.control)?;
    let request = FenceRequest { reason: args.reason.clone(), rollout: None };
    let fenced: Fenced = block_on(async { Ok(client.post("/v1/gateway/fence", &request).await?) })?;
    let paint = Paint::stdout();
    let already = if fenced.already { " already" } else { "" };
    println!(
        "{} the candidate of {} is{already} fenced off: nothing goes to it any more, and the rollout rolls back",
        paint.good("✔"),
        fenced.fence.rollout
    );
    if !fenced.durable {
        let warning = "it is NOT on disk yet; the gateway tries on: see crossfade gateway status, and do not restart it";
        println!("{} {warning}", paint.bad("✘"));
    }
    Ok(Exit::Passed)
}
