//! One module for each command.

mod audit;
mod check;
mod compared;
mod coverage;
mod demo;
mod dependencies;
mod drift;
mod ending;
mod explain;
mod gate;
mod gateway;
mod init;
mod load;
mod policy;
mod posture;
mod probe;
mod rollout;
mod schema;
mod serve;
mod trace;

use std::path::Path;

use clap::CommandFactory;
use crossfade_backends::query::QueryEndpoint;
use crossfade_control::client::Client;
use crossfade_control::site::{Environment, Site};
use crossfade_routing::EnvironmentId;

use crate::args::{Cli, Command, Control};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui;

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Rollout(command) => rollout::run(command),
        Command::Drift(args) => drift::run(&args),
        Command::Posture(args) => posture::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Dependencies(args) => dependencies::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Parity(args) => compared::parity(&args),
        Command::History(args) => compared::history(&args),
        Command::Gate(command) => gate::run(&command),
        Command::Policy(args) => policy::run(&args),
        Command::Trace(command) => trace::run(&command),
        Command::Gateway(command) => gateway::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "crossfade", &mut script);
            print!("{}", String::from_utf8_lossy(&script));
            Ok(Exit::Passed)
        }
    }
}

/// The text of a file that was named on the command line.
fn read_text(path: &Path) -> Result<String, Failure> {
    crossfade_control::files::read(path).or_usage()
}

/// The site's configuration.
fn site(args: &crate::args::Site) -> Result<Site, Failure> {
    Site::load(&args.config, &ui::variable).or_usage()
}

/// A client of the control plane. The configuration is only read for what the command line leaves open.
fn client(args: &Control) -> Result<Client, Failure> {
    let (url, token_file) = match (&args.control, &args.token_file) {
        (Some(url), Some(file)) => (url.clone(), file.clone()),
        (url, file) => {
            let site = site(&args.site)?;
            let url = url.clone().unwrap_or_else(|| format!("http://{}", site.control));
            (url, file.clone().unwrap_or_else(|| site.token_file.clone()))
        }
    };
    Ok(Client::new(&url, &token_file)?)
}

/// Runs a command's asynchronous part.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .or_unreachable()?;
    let done = runtime.block_on(work);
    // What still runs on a thread of its own is nobody's concern any more.
    runtime.shutdown_background();
    done
}

/// Work until Ctrl-C; `what` has not come about then.
async fn interruptible<T>(work: impl Future<Output = Result<T, Failure>>, what: &str) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::refused(anyhow::anyhow!("stopped before {what}"))),
    }
}

/// An environment of the site that is named on the command line.
fn environment<'s>(
    site: &'s Site,
    flag: &str,
    name: &str,
) -> Result<(EnvironmentId, &'s Environment), Failure> {
    let id: EnvironmentId =
        name.parse().map_err(|error| anyhow::anyhow!("{flag}: `{name}`: {error}")).or_usage()?;
    let environment = site.wanted(&id, flag, "command line").map_err(anyhow::Error::msg).or_usage()?;
    Ok((id, environment))
}

/// A query endpoint that is given on the command line.
fn query_endpoint(flag: &str, url: &str) -> Result<QueryEndpoint, Failure> {
    QueryEndpoint::parse(url).map_err(|error| anyhow::anyhow!("{flag}: {error}")).or_usage()
}

/// Prints a value as JSON for people to read and programs to parse.
fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).or_usage()?);
    Ok(())
}
