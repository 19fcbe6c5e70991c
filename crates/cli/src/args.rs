//! What people type: the command line as data. One struct for each command; nothing here acts.

mod compared;
mod inventory;
mod load;
mod posture;
mod probe;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use crossfade_gates::drift::Version;

pub(crate) use self::compared::{Between, HistoryArgs, ParityArgs};
pub(crate) use self::inventory::{Coverage, Dependencies, GateInputs};
pub(crate) use load::{Compression, Load};
pub(crate) use posture::Posture;
pub(crate) use probe::{Asked, Probe, ProbeCommand, Purge};

/// Moves a live distributed tracing system from a blue environment to a green one: no trace torn, no span lost, and
/// every step on a log that anyone can check offline.
#[derive(Debug, Parser)]
#[command(
    name = "crossfade",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  crossfade demo                          two simulated environments, a good rollout and a bad one\n  crossfade check -c crossfade.yaml       is this site ready?\n\nExit codes: 0 passed, promoted, intact · 1 refused · 2 usage or configuration · 3 no verdict · 4 rolled back or aborted · 5 out of reach"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a good rollout promoted and a bad one rolled back, on simulated environments
    Demo(Demo),
    /// Make the keys, the token and the log, and write down which environment is active
    Init(Init),
    /// Run the gateway and the control plane in this process
    Serve(Serve),
    /// Validate the configuration, resolve it and reach every endpoint
    Check(Check),
    /// Plan, start and steer a rollout
    #[command(subcommand)]
    Rollout(Rollout),
    /// Compare two Collector configurations by what they mean
    Drift(Drift),
    /// Try out what environments accept: TLS, clients without credentials, open interfaces
    Posture(Posture),
    /// Write synthetic traces through an OTLP endpoint and read them back
    Probe(Box<Probe>),
    /// Compare the same traces in two environments, drawn at random
    Parity(ParityArgs),
    /// Check that old traces can be read, are equal and are found in another environment
    History(HistoryArgs),
    /// Find what one environment records and the other does not, and what is sent and recorded nowhere
    Coverage(Coverage),
    /// Find outside services that live traffic calls and tests did not, or only simulated
    Dependencies(Dependencies),
    /// Offer synthetic spans to an environment, more than it serves now, and see whether it keeps up
    Load(Box<Load>),
    /// Run the gates of a rollout here and now, or list them
    #[command(subcommand)]
    Gate(Gate),
    /// Ask rules in Rego about a rollout and what gates have found
    Policy(Policy),
    /// Ask about a single trace
    #[command(subcommand)]
    Trace(Trace),
    /// Look at the gateway, or fence the candidate off
    #[command(subcommand)]
    Gateway(Gateway),
    /// Verify, read and export an audit log, offline
    #[command(subcommand)]
    Audit(Audit),
    /// Explain a finding by its id
    Explain(Explain),
    /// Print the JSON Schema of a file
    #[command(
        after_help = "Examples:\n  crossfade schema config > crossfade.schema.json\n  crossfade schema rollout"
    )]
    Schema(Schema),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  crossfade completions bash > crossfade.bash")]
    Completions(Completions),
}

/// Where the site's configuration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Site {
    /// The site's configuration
    #[arg(short, long, env = "CROSSFADE_CONFIG", default_value = "crossfade.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// How to reach the control plane.
#[derive(Debug, Clone, Args)]
pub(crate) struct Control {
    #[command(flatten)]
    pub(crate) site: Site,
    /// The control plane's address, if not the one in the configuration
    #[arg(long, env = "CROSSFADE_CONTROL", value_name = "URL")]
    pub(crate) control: Option<String>,
    /// A file that holds the bearer token, if not the one in the configuration
    #[arg(long, env = "CROSSFADE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How a gate's result is printed, and where it is kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct Results {
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: GateFormat,
    /// Where to write the result; to the terminal, if nowhere
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where to keep the evidence: one JSON file for each gate, named after its SHA-256
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
}

/// How a gate's result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GateFormat {
    /// For people
    #[default]
    Text,
    /// For programs; this is the evidence that a rollout keeps
    Json,
    /// JUnit XML, for continuous integration
    Junit,
    /// SARIF 2.1.0, for code review
    Sarif,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade policy bank.rego\n  crossfade gate run all --rollout rollout.yaml -o json --out found.json\n  crossfade policy --standard pci --rollout rollout.yaml --findings found.json\n  crossfade policy --standard pci --show\n\nWithout --rollout the policies are only checked. One that cannot be read is named with file and line, exit 2."
)]
pub(crate) struct Policy {
    #[command(flatten)]
    pub(crate) site: Site,
    /// Files with rules; none: those of the spec, below the folder of the site's configuration
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The ready policy of a standard; again for more
    #[arg(long = "standard", value_enum, value_name = "STANDARD")]
    pub(crate) standards: Vec<PolicyStandard>,
    /// The rollout spec that they are asked about
    #[arg(long, value_name = "FILE")]
    pub(crate) rollout: Option<PathBuf>,
    /// What gates have found: a report in JSON; again for more
    #[arg(long, value_name = "FILE")]
    pub(crate) findings: Vec<PathBuf>,
    /// Print the policies' text
    #[arg(long)]
    pub(crate) show: bool,
    #[command(flatten)]
    pub(crate) results: Results,
}

/// A standard with a ready policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyStandard {
    /// PCI DSS 4.0.1
    Pci,
    /// HIPAA Security Rule
    Hipaa,
    /// GDPR
    Gdpr,
    /// SOC 2
    Soc2,
    /// NIST SP 800-53 Rev. 5
    Nist,
    /// No standard: everything is looked at before everything moves
    Staged,
}

/// The gates' commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Gate {
    /// What each gate asks, and when it looks
    #[command(after_help = "Example:\n  crossfade gate list --rollout rollout.yaml")]
    List(GateList),
    /// Run one gate, or all of a rollout, side by side: as the rollout would, but off the record
    #[command(
        after_help = "Examples:\n  crossfade gate run all --rollout rollout.yaml\n  crossfade gate run drift --rollout rollout.yaml -o sarif --out drift.sarif\n  crossfade gate run all --rollout rollout.yaml -o junit --out gates.xml --evidence evidence\n\nOf several gates the worst counts: 1 a gate fails, then 5 out of reach, then 3 no verdict."
    )]
    Run(GateRun),
}

#[derive(Debug, Args)]
pub(crate) struct GateList {
    /// The rollout spec that says which gates run
    #[arg(long, value_name = "FILE")]
    pub(crate) rollout: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct GateRun {
    /// The gate, or `all` that the spec runs at any moment
    #[arg(value_name = "GATE")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) site: Site,
    /// The rollout spec with the gates' limits
    #[arg(long, value_name = "FILE")]
    pub(crate) rollout: PathBuf,
    #[command(flatten)]
    pub(crate) results: Results,
    /// The seed of an earlier run, to draw the same samples; a random one, if none
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade demo\n  crossfade demo --list\n  crossfade demo migration\n  crossfade demo bad --json\n  crossfade demo good --seed 7 --dir /tmp/demo\n\nOf a single story: 0 promoted, 1 stopped by its gates before the switch, 4 rolled back. 1 also if it did not go as it should, which is said, and in JSON is in `flaws`."
)]
pub(crate) struct Demo {
    /// The story to tell; `good` and `bad`, if none is named
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// List the stories
    #[arg(long)]
    pub(crate) list: bool,
    /// The seed of traffic and faults
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the logs and the data go; what an earlier demo left there is replaced
    #[arg(long, value_name = "DIR", default_value = "crossfade-demo")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crossfade init -c crossfade.yaml --active blue")]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) site: Site,
    /// The environment that serves now
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) active: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  crossfade serve -c crossfade.yaml\n\nSIGTERM drains: no accepted span is dropped. That takes gateway.grace at most; what is then still missing on the record\nhas 5 s for the closing accounts and 5 s for the last entries, also if the log's disk hangs.\n\nExit code: 0 drained and on record, 3 spans are left, or the last entries are on no record; 1 a second signal, 2 configuration."
)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) site: Site,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade check -c crossfade.yaml\n  crossfade check --rollout rollout.yaml -o json"
)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) site: Site,
    /// A rollout spec to check too
    #[arg(long, value_name = "FILE")]
    pub(crate) rollout: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// The rollout's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    /// Resolve a spec into a plan and dry-run its gates
    #[command(after_help = "Example:\n  crossfade rollout plan rollout.yaml --out plan.json")]
    Plan(Plan),
    /// Start the rollout that a plan describes
    #[command(after_help = "Example:\n  crossfade rollout start plan.json && crossfade rollout watch")]
    Start(Start),
    /// Where the rollout stands, and why nothing happens
    #[command(after_help = "Examples:\n  crossfade rollout status\n  crossfade rollout status -o json")]
    Status(Status),
    /// Follow the rollout until it ends; Ctrl-C leaves it running
    #[command(after_help = "Examples:\n  crossfade rollout watch\n  crossfade rollout watch --json")]
    Watch(Watch),
    /// The rollouts that the log knows
    #[command(after_help = "Example:\n  crossfade rollout list")]
    List(Status),
    /// Stay in the current step
    #[command(after_help = "Example:\n  crossfade rollout pause")]
    Pause(Named),
    /// Go on after a pause
    #[command(after_help = "Example:\n  crossfade rollout resume")]
    Resume(Named),
    /// Leave the current step or pause early
    #[command(after_help = "Examples:\n  crossfade rollout promote\n  crossfade rollout promote --full")]
    Promote(Promote),
    /// Go back: fence the candidate off
    #[command(after_help = "Example:\n  crossfade rollout rollback --reason 'invoices are late'")]
    Rollback(Reasoned),
    /// Stop before anything was shifted
    #[command(after_help = "Example:\n  crossfade rollout abort --reason 'wrong ticket'")]
    Abort(Reasoned),
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The rollout spec
    #[arg(value_name = "SPEC")]
    pub(crate) spec: PathBuf,
    /// Where to write the plan
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// A plan, as `rollout plan --out` wrote it
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// Start it although `rollout plan` said "Not ready"; the gates run again for the record, and one that does not
    /// pass aborts the rollout and uses up its name
    #[arg(long)]
    pub(crate) anyway: bool,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The rollout; the current one, if none is named
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Skip all the steps that are left
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reasoned {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crossfade drift --blue base.yaml,blue.yaml --green base.yaml,green.yaml\n  crossfade drift --blue a.yaml --green b.yaml --rollout rollout.yaml -o sarif\n  crossfade drift --blue a.yaml --blue-env a.env --green http://127.0.0.1:4320/effective"
)]
pub(crate) struct Drift {
    /// Blue's configuration: one file or URL, or several that are merged left to right
    #[arg(long, value_delimiter = ',', required = true, value_name = "FILES")]
    pub(crate) blue: Vec<String>,
    /// Green's configuration, likewise
    #[arg(long, value_delimiter = ',', required = true, value_name = "FILES")]
    pub(crate) green: Vec<String>,
    /// What `${env:X}` stands for on blue: a file of NAME=value lines. Otherwise references are compared as written
    #[arg(long, value_name = "FILE")]
    pub(crate) blue_env: Option<PathBuf>,
    /// What `${env:X}` stands for on green
    #[arg(long, value_name = "FILE")]
    pub(crate) green_env: Option<PathBuf>,
    /// What runs on blue, such as 0.150.0: its defaults hold where nothing is written. The newest, if left out
    #[arg(long, value_name = "VERSION")]
    pub(crate) blue_version: Option<Version>,
    /// What runs on green
    #[arg(long, value_name = "VERSION")]
    pub(crate) green_version: Option<Version>,
    /// A rollout spec that declares differences, and whose waivers hold
    #[arg(long = "rollout", alias = "spec", value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// The site whose key makes the digests of secrets: those of its plans. Otherwise they hold for one run
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Further addresses of blue's own: pointing at them is no difference
    #[arg(long, value_delimiter = ',', value_name = "ADDRESSES")]
    pub(crate) blue_endpoints: Vec<String>,
    /// Further addresses of green's own
    #[arg(long, value_delimiter = ',', value_name = "ADDRESSES")]
    pub(crate) green_endpoints: Vec<String>,
    /// The name of this configuration in `allow` paths
    #[arg(long, default_value = "collector", value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) results: Results,
    /// List what is equivalent, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Write the `allow` entries that would declare every difference
    #[arg(long)]
    pub(crate) suggest: bool,
}

/// Questions about a trace.
#[derive(Debug, Subcommand)]
pub(crate) enum Trace {
    /// Where a trace went, and which cut decided
    #[command(
        after_help = "Example:\n  crossfade trace locate 4bf92f3577b34da6a3ce929d0e0e4736 --start 2026-11-21T10:00:00Z"
    )]
    Locate(Locate),
}

#[derive(Debug, Args)]
pub(crate) struct Locate {
    /// The trace id, 32 hex digits
    #[arg(value_name = "TRACE_ID")]
    pub(crate) trace_id: String,
    /// When its root span started, RFC 3339; now, if left out
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) control: Control,
}

/// The gateway's commands: they talk to the gateway itself, whatever the control plane does.
#[derive(Debug, Subcommand)]
pub(crate) enum Gateway {
    /// Generation, queues, ledgers, health
    #[command(after_help = "Examples:\n  crossfade gateway status\n  crossfade gateway status -o json")]
    Status(Status),
    /// Fence the candidate off at once: nothing goes to it any more, and the rollout rolls back; cannot be taken back
    #[command(after_help = "Example:\n  crossfade gateway fence --reason 'storage of green is full'")]
    Fence(Fence),
    /// Strike a gateway that is gone for good from the roster: no cut waits for it any more
    #[command(after_help = "Example:\n  crossfade gateway strike gateway-2 --reason 'its host is gone'")]
    Strike(Strike),
    /// Take a gateway that was struck back into the roster
    #[command(after_help = "Example:\n  crossfade gateway enlist gateway-2")]
    Enlist(Rostered),
}

#[derive(Debug, Args)]
pub(crate) struct Rostered {
    /// The gateway's id, as `rollout status -o json` lists it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) control: Control,
}

#[derive(Debug, Args)]
pub(crate) struct Strike {
    #[command(flatten)]
    pub(crate) gateway: Rostered,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Fence {
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) control: Control,
}

/// The audit log's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check every byte: checkpoint, inclusion, evidence, replay, rules
    #[command(
        after_help = "Example:\n  crossfade audit verify crossfade-data/audit --key crossfade-data/log.pub"
    )]
    Verify(Verify),
    /// Print the entries
    #[command(
        after_help = "Examples:\n  crossfade audit show crossfade-data/audit\n  crossfade audit show crossfade-data/audit --rollout collector-158"
    )]
    Show(Show),
    /// Write a verified copy that an auditor can take along
    #[command(after_help = "Example:\n  crossfade audit export crossfade-data/audit --out for-the-auditor")]
    Export(Export),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The log's folder
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The log's verifier key, or a file that holds it; `log.pub` beside the folder, if left out
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The log's folder
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The log's verifier key, or a file that holds it
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// Only this rollout
    #[arg(long, value_name = "NAME")]
    pub(crate) rollout: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "EVENT")]
    pub(crate) event: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The log's folder
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the copy goes; the folder must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The log's verifier key, or a file that holds it
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crossfade explain CF-DRIFT-014")]
pub(crate) struct Explain {
    /// A finding's id; all ids are listed, if left out
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Print the page that explains every id, in Markdown
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The file: `config` is crossfade.yaml, `rollout` is rollout.yaml
    #[arg(value_enum)]
    pub(crate) which: SchemaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaKind {
    Config,
    Rollout,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
