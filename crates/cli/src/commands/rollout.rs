//! `crossfade rollout`: everything about a rollout goes through the control plane.

mod progress;
mod show;
mod watch;

use std::cell::RefCell;

use crossfade_control::api::{PlanRequest, Started, VerbRequest};
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_rollout::PlanFile;

use super::ending::{can_write, write};
use super::{block_on, client, print_json, read_text};
use crate::args::{self, Format, Named, Rollout};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::Paint;
use progress::{Progress, TICK};

pub(crate) fn run(command: Rollout) -> Outcome {
    match command {
        Rollout::Plan(args) => plan(&args),
        Rollout::Start(args) => start(&args),
        Rollout::Status(args) => status(&args),
        Rollout::Watch(args) => watch::run(&args),
        Rollout::List(args) => list(&args),
        Rollout::Pause(named) => {
            verb(&named, "pause", VerbRequest::default(), "paused: it stays in this step")
        }
        Rollout::Resume(named) => verb(&named, "resume", VerbRequest::default(), "goes on"),
        Rollout::Promote(args) => {
            let request = VerbRequest { reason: None, full: args.full };
            let done =
                if args.full { "skips all that is left to wait for" } else { "leaves the current step" };
            verb(&args.named, "promote", request, done)
        }
        Rollout::Rollback(args) => {
            let request = VerbRequest { reason: Some(args.reason), full: false };
            verb(&args.named, "rollback", request, "goes back: the candidate is fenced off")
        }
        Rollout::Abort(args) => {
            let request = VerbRequest { reason: Some(args.reason), full: false };
            verb(&args.named, "abort", request, "is aborted")
        }
    }
}

fn plan(args: &args::Plan) -> Outcome {
    let spec = read_text(&args.spec)?;
    args.out.as_deref().map(|out| can_write(out, Some(&args.spec))).transpose()?;
    let request = PlanRequest { spec, source: args.spec.display().to_string() };
    let client = client(&args.control)?;
    let file = block_on(planned(&client, &request))?;
    let written = match &args.out {
        Some(out) => write(out, (serde_json::to_string_pretty(&file).or_usage()? + "\n").as_bytes()),
        None => Ok(()),
    };
    match args.output {
        Format::Json => print_json(&file)?,
        Format::Text => print!("{}", show::plan(&file, args.out.as_deref(), Paint::stdout())),
    }
    written?;
    Ok(show::readiness(&file))
}

/// Has the plan made, and says how far it is.
async fn planned(client: &Client, request: &PlanRequest) -> Result<PlanFile, Failure> {
    let progress = RefCell::new(Progress::new());
    let planning = client.plan(request, |news| progress.borrow_mut().hear(news));
    tokio::pin!(planning);
    let mut tick = tokio::time::interval(TICK);
    let planned = loop {
        tokio::select! {
            planned = &mut planning => break planned,
            _ = tick.tick() => progress.borrow_mut().tick(),
        }
    };
    progress.borrow_mut().erase();
    Ok(planned?)
}

fn start(args: &args::Start) -> Outcome {
    let text = read_text(&args.plan)?;
    let file: PlanFile = serde_json::from_str(&text)
        .map_err(|error| {
            let path = args.plan.display();
            anyhow::anyhow!(
                "{path}:{}:{}: no plan: {error}; write one with `crossfade rollout plan SPEC --out plan.json`",
                error.line(),
                error.column()
            )
        })
        .or_usage()?;
    let client = client(&args.control)?;
    let path = format!("/v1/rollouts?anyway={}", args.anyway);
    let started: Started = block_on(async { Ok(client.post(&path, &file).await?) })?;
    println!("{} {} started. Next: crossfade rollout watch", Paint::stdout().good("✔"), started.rollout);
    Ok(Exit::Passed)
}

fn status(args: &args::Status) -> Outcome {
    let client = client(&args.control)?;
    let status: Status = block_on(async { Ok(client.get("/v1/status").await?) })?;
    match args.output {
        Format::Json => print_json(&status)?,
        Format::Text => print!("{}", show::status(&status, Paint::stdout())),
    }
    Ok(Exit::Passed)
}

fn list(args: &args::Status) -> Outcome {
    let client = client(&args.control)?;
    let status: Status = block_on(async { Ok(client.get("/v1/status").await?) })?;
    match args.output {
        Format::Json => print_json(
            &serde_json::json!({ "schema_version": 1, "running": status.rollout, "past": status.past }),
        )?,
        Format::Text => print!("{}", show::list(&status)),
    }
    Ok(Exit::Passed)
}

fn verb(named: &Named, verb: &str, request: VerbRequest, done: &str) -> Outcome {
    let client = client(&named.control)?;
    let name = named.name.as_deref().unwrap_or("current");
    let valid =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if !valid {
        return Err(Failure::usage(anyhow::anyhow!("`{name}` names no rollout")));
    }
    let path = format!("/v1/rollouts/{name}/{verb}");
    let started: Started = block_on(async { Ok(client.post(&path, &request).await?) })?;
    println!("{} {} {done}", Paint::stdout().good("✔"), started.rollout);
    Ok(Exit::Passed)
}
