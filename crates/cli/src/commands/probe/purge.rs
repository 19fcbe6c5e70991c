//! `crossfade probe purge`: what an environment holds of synthetic traces, and what can be done about it.

use std::collections::BTreeMap;

use crossfade_backends::probe::purge::{Held, Removal, held, removal};
use crossfade_backends::query::{Query, QueryKind};
use crossfade_backends::sample::Window;
use crossfade_rollout::rfc3339;
use serde::Serialize;

use super::{query, site};
use crate::args::{Format, Purge};
use crate::commands::compared::moment;
use crate::commands::{block_on, environment, interruptible, print_json};
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// More ids than this are counted only.
const IDS_MAX: usize = 10_000;

pub(crate) fn run(args: &Purge) -> Outcome {
    let (name, query) = subject(args)?;
    let now = crossfade_control::now();
    let since = moment("--since", &args.since, now)?;
    if since >= now {
        return Err(Failure::usage(anyhow::anyhow!("--since lies ahead: nothing can have begun after it")));
    }
    let listing = async {
        held(&query, Window { from: since.0, until: now.0 }).await.map_err(|error| {
            let is_out_of_reach = error.is_out_of_reach();
            let told = error.to_string();
            let error = if told.starts_with(&name) { told } else { format!("{name}: {told}") };
            let error = anyhow::anyhow!(error);
            if is_out_of_reach { Failure::unreachable(error) } else { Failure::no_verdict(error) }
        })
    };
    eprintln!("asking {name} for synthetic traces that began since {}", rfc3339::format(since));
    let found = block_on(interruptible(listing, "everything was listed"))?;
    let listed = Listed::of(&name, query.kind(), rfc3339::format(since), &found);
    match args.output {
        Format::Json => print_json(&listed)?,
        Format::Text => print!("{}", listed.text()),
    }
    Ok(match (listed.traces, found.complete) {
        (0, true) => Exit::Passed,
        (0, false) => Exit::NoVerdict,
        _ => Exit::Refused,
    })
}

/// Whom to ask, and its name.
fn subject(args: &Purge) -> Result<(String, Query), Failure> {
    let Some(name) = &args.asked.environment else {
        return Ok((args.asked.query.clone().unwrap_or_default(), query(&args.asked)?));
    };
    let site = site(&args.asked)?;
    let (_, known) = environment(&site, "--environment", name)?;
    Ok((name.clone(), known.query_client(name).map_err(anyhow::Error::msg).or_usage()?))
}

/// What is told.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    schema_version: u32,
    environment: &'a str,
    kind: &'static str,
    since: String,
    /// Each once.
    traces: usize,
    /// Whether these are all.
    complete: bool,
    removed: usize,
    /// Why not more.
    why: &'static str,
    /// What ends their life.
    instead: &'static str,
    /// Traces by service.
    services: BTreeMap<&'a str, usize>,
    trace_ids: Vec<String>,
    trace_ids_left_out: usize,
}

impl<'a> Listed<'a> {
    fn of(environment: &'a str, kind: QueryKind, since: String, held: &'a Held) -> Self {
        let all = held.traces();
        let Removal { why, instead } = removal(kind);
        let trace_ids: Vec<String> = all.iter().take(IDS_MAX).map(ToString::to_string).collect();
        Self {
            schema_version: 1,
            environment,
            kind: kind.name(),
            since,
            traces: all.len(),
            complete: held.complete,
            removed: 0,
            why,
            instead,
            services: held.services.iter().map(|(service, ids)| (service.as_str(), ids.len())).collect(),
            trace_ids_left_out: all.len() - trace_ids.len(),
            trace_ids,
        }
    }

    fn text(&self) -> String {
        let Self { environment, traces, since, .. } = self;
        let more = if self.complete { "" } else { ", and maybe more: there were too many to ask for all" };
        let mut text = match traces {
            0 if self.complete => {
                return format!("{environment} holds no synthetic traces that began since {since}\n");
            }
            0 => format!("{environment}: no synthetic traces were found{more}\n"),
            1 => format!("{environment} holds 1 synthetic trace that began since {since}{more}\n"),
            _ => format!("{environment} holds {traces} synthetic traces that began since {since}{more}\n"),
        };
        for (service, count) in &self.services {
            text.push_str(&format!("  {service:<28} {count}\n"));
        }
        text.push_str(&format!("{}: none was removed; {}\n", self.why, self.instead));
        text
    }
}
