//! `crossfade check`: is this site ready? Everything is looked at, and everything that is wrong is said.

use crossfade_control::api::read_token;
use crossfade_control::client::Client;
use crossfade_control::gates::probe::MasksMissing;
use crossfade_control::gates::{drift, reach};
use crossfade_control::site::Site;
use crossfade_control::status::Status;
use crossfade_rollout::traffic::warnings;
use crossfade_rollout::{RolloutId, Spec};
use crossfade_routing::Seed;
use serde::Serialize;

use super::{block_on, print_json, site};
use crate::args::{Check, Format};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::Paint;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Looked {
    check: String,
    ok: bool,
    /// Nothing wrong, but something to think about.
    warning: bool,
    detail: String,
    #[serde(skip)]
    exit: Exit,
}

pub(crate) fn run(args: &Check) -> Outcome {
    let site = site(&args.site)?;
    let mut all = vec![Looked::good("configuration", format!("{} is valid", args.site.config.display()))];
    if let Some(path) = &args.rollout {
        let (spec, looked) = spec(&site, path)?;
        all.push(looked);
        all.extend(block_on(async { Ok(masks(&site, &spec).await) })?);
        all.extend(block_on(async { Ok(traffic(&site, spec).await) })?);
    }
    all.extend(initialised(&site));
    all.extend(configurations(&site));
    all.extend(block_on(async { Ok(endpoints(&site).await) })?);
    match args.output {
        Format::Json => print_json(&serde_json::json!({ "schema_version": 1, "checks": all }))?,
        Format::Text => {
            let paint = Paint::stdout();
            for looked in &all {
                let mark = match (looked.ok, looked.warning) {
                    (true, true) => paint.warn("!"),
                    (true, false) => paint.good("✔"),
                    (false, _) => paint.bad("✘"),
                };
                println!("{mark} {:<22} {}", looked.check, looked.detail);
            }
        }
    }
    let bad = all.iter().filter(|looked| !looked.ok).map(|looked| looked.exit);
    // What is out of reach may come back by itself; what is wrong does not.
    let worst = bad.max_by_key(|exit| (*exit == Exit::Usage, *exit as u8));
    Ok(worst.unwrap_or(Exit::Passed))
}

impl Looked {
    fn good(check: impl Into<String>, detail: impl Into<String>) -> Looked {
        Looked { check: check.into(), ok: true, warning: false, detail: detail.into(), exit: Exit::Passed }
    }

    fn warned(check: impl Into<String>, detail: impl Into<String>) -> Looked {
        Looked { warning: true, ..Looked::good(check, detail) }
    }

    fn bad(check: impl Into<String>, detail: impl Into<String>, exit: Exit) -> Looked {
        Looked { check: check.into(), ok: false, warning: false, detail: detail.into(), exit }
    }
}

fn spec(site: &Site, path: &std::path::Path) -> Result<(Spec, Looked), Failure> {
    let source = path.display().to_string();
    let spec = super::gate::spec(path)?;
    for (field, id) in [("from", &spec.from), ("to", &spec.to)] {
        site.wanted(id, field, &source).map_err(anyhow::Error::msg).or_usage()?;
    }
    let detail = format!(
        "{source} is valid by itself: {} -> {}, {} steps; `crossfade rollout plan` holds it against the site",
        spec.from,
        spec.to,
        spec.steps.len()
    );
    Ok((spec, Looked::good("rollout", detail)))
}

/// Whether the spec says what has to be masked, if the active environment masks.
async fn masks(site: &Site, spec: &Spec) -> Option<Looked> {
    let missing = MasksMissing::look(site, &spec.from, &spec.gates).await?;
    Some(Looked::warned("masks", format!("{}; {}", missing.detail(), missing.remedy())))
}

/// Whether there is enough of it for the spec's verdicts; nothing, if nobody is there who knows.
async fn traffic(site: &Site, spec: Spec) -> Vec<Looked> {
    let client = Client::new(&format!("http://{}", site.control), &site.token_file);
    let Ok(client) = client else { return Vec::new() };
    let rate = client.get::<Status>("/v1/status").await.ok().and_then(|status| status.traffic);
    let Ok(id) = RolloutId::attempt(&spec.name, 1) else { return Vec::new() };
    let Some((rate, outline)) = rate.zip(spec.outline(id, Seed(0)).ok()) else { return Vec::new() };
    let short = warnings(&outline, rate);
    if short.is_empty() {
        return vec![Looked::good("traffic", format!("{rate} of late: enough for a verdict in every step"))];
    }
    short.iter().map(|short| Looked::warned("traffic", format!("{rate} of late; {short}"))).collect()
}

/// Keys, token and log: there, and readable by their owner alone.
fn initialised(site: &Site) -> Vec<Looked> {
    if !site.key_file.exists() && !site.log_dir.exists() {
        let next =
            format!("not initialised; run: crossfade init -c {} --active <environment>", site.path.display());
        return vec![Looked::bad("log", next, Exit::Usage)];
    }
    let key = match crossfade_audit::keys::load(&site.key_file) {
        Ok(_) => Looked::good("signing key", site.key_file.display().to_string()),
        Err(error) => Looked::bad("signing key", error.to_string(), Exit::Usage),
    };
    let tokens = [("operator token", &site.token_file), ("gateway token", &site.gateway.token_file)];
    let tokens = tokens.map(|(name, path)| match read_token(path) {
        Ok(_) => Looked::good(name, path.display().to_string()),
        Err(error) => Looked::bad(name, error.to_string(), Exit::Usage),
    });
    std::iter::once(key).chain(tokens).collect()
}

async fn endpoints(site: &Site) -> Vec<Looked> {
    let mut all = Vec::new();
    for (id, environment) in &site.environments {
        for (index, (url, taken)) in reach::otlp(environment).await.into_iter().enumerate() {
            let what = if index == 0 { "otlp" } else { "receiver" };
            let taken = taken.map(|protocol| format!("takes OTLP over {protocol}"));
            all.push(reached(format!("{id} {what}"), &url, taken));
        }
        match &environment.query {
            Some(query) => {
                let known = reach::query(query)
                    .await
                    .map(|count| format!("knows {count} service{}", if count == 1 { "" } else { "s" }));
                all.push(reached(format!("{id} query"), &query.endpoint, known));
            }
            None => all.push(Looked::bad(
                format!("{id} query"),
                format!("set environments.{id}.query: without it the probe cannot read back"),
                Exit::Usage,
            )),
        }
    }
    all
}

fn reached(check: String, url: &str, result: Result<String, String>) -> Looked {
    match result {
        Ok(spoken) => Looked::good(check, format!("{url} {spoken}")),
        Err(why) => Looked::bad(
            check,
            format!("{url} does not answer as it should: {why}; start it, or correct the endpoint"),
            Exit::Unreachable,
        ),
    }
}

/// The configurations that drift compares: readable, and merged as a Collector would.
fn configurations(site: &Site) -> Vec<Looked> {
    let sets = site.environments.iter().flat_map(|(id, environment)| {
        environment.configs.keys().map(move |name| (format!("{id} {name}"), environment.listed(name)))
    });
    sets.map(|(check, listed)| match drift::readable(&listed) {
        Ok(()) => {
            let names: Vec<String> = listed.sources.iter().map(ToString::to_string).collect();
            Looked::good(check, names.join(" + "))
        }
        Err(error) if error.is_unreachable() => {
            Looked::bad(check, Failure::unreachable(error).text(), Exit::Unreachable)
        }
        Err(error) => Looked::bad(check, Failure::usage(error).text(), Exit::Usage),
    })
    .collect()
}
