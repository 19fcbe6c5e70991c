//! `crossfade coverage`: the coverage gate by itself, for a site or for any two query endpoints.

use std::path::Path;

use crossfade_backends::query::{Query, QueryConfig, QueryKind};
use crossfade_control::client::Client;
use crossfade_control::gates::coverage::{Ask, Asked, gateway, report};
use crossfade_control::site::Site;
use crossfade_rollout::event::Gate;

use super::ending::{Ending, gates_of, look};
use super::{environment, gate, query_endpoint};
use crate::args::{Coverage, GateInputs};
use crate::exit::{Failure, OrExit, Outcome};
use crate::ui;

pub(crate) fn run(args: &Coverage) -> Outcome {
    let ending = Ending::of(&args.inputs.results, args.inputs.spec.as_deref())?;
    let site = site(&args.inputs, args.blue.is_none() || args.green.is_none())?;
    let gates = gates_of(args.inputs.spec.as_deref())?;
    let mut settings = gates.coverage.unwrap_or_default();
    for (given, setting, flag) in [
        (&args.window, &mut settings.window, "--window"),
        (&args.before, &mut settings.before, "--before"),
        (&args.settle, &mut settings.settle, "--settle"),
        (&args.inputs.deadline, &mut settings.deadline, "--deadline"),
    ] {
        duration(given.as_deref(), setting, flag)?;
    }
    settings.ignore.extend(args.ignore.iter().cloned());
    let gateway: Result<Client, String> = match &site {
        Some(site) => gateway(site),
        None => Err("no site was named, so no gateway could be asked; use -c crossfade.yaml".to_owned()),
    };
    let share = args.share.or(site.is_none().then_some(100.0));
    if share.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
        return Err(Failure::usage(anyhow::anyhow!("--share: a percentage from 0 to 100")));
    }
    let ask = Ask {
        blue: asked(&site, &args.from, args.blue.as_deref(), args.inputs.kind, "--blue")?,
        green: asked(&site, &args.to, args.green.as_deref(), args.inputs.kind, "--green")?,
        gateway,
        share: share.map(|percent| percent / 100.0),
        now: crossfade_control::now(),
        since: None,
        settings,
    };
    let work = async { Ok(report(&ask).await) };
    ending.one(&look(Gate::Coverage, ask.settings.deadline.0, &gates.waivers, work)?)
}

/// The site, if one is named; if it is needed, this folder's.
pub(super) fn site(inputs: &GateInputs, needed: bool) -> Result<Option<Site>, Failure> {
    let usual = Path::new("crossfade.yaml");
    let path = inputs.config.as_deref().or((needed && usual.is_file()).then_some(usual));
    path.map(|path| Site::load(path, &ui::variable).or_usage()).transpose()
}

/// A duration that was given on the command line, over the one that was set.
pub(super) fn duration(
    given: Option<&str>,
    setting: &mut crossfade_yaml::Duration,
    flag: &str,
) -> Result<(), Failure> {
    if let Some(given) = given {
        *setting = gate::parsed(flag, given)?;
    }
    Ok(())
}

/// An environment: by its URL, or by its name in the site.
pub(super) fn asked(
    site: &Option<Site>,
    name: &str,
    url: Option<&str>,
    kind: QueryKind,
    flag: &str,
) -> Result<Asked, Failure> {
    if let Some(url) = url {
        let endpoint = query_endpoint(flag, url)?;
        return Ok(Asked { name: name.to_owned(), query: Ok(Query::new(QueryConfig::new(kind, endpoint))) });
    }
    let missing = || {
        let where_from = "or a site with -c: there is no crossfade.yaml here";
        Failure::usage(anyhow::anyhow!("name the query endpoint with {flag}, {where_from}"))
    };
    let site = site.as_ref().ok_or_else(missing)?;
    let (id, environment) = environment(site, flag, name)?;
    Ok(Asked {
        name: id.to_string(),
        query: Ok(environment.query_client(&id).map_err(anyhow::Error::msg).or_usage()?),
    })
}
