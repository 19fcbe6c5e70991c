//! `crossfade audit`: offline, for someone who trusts neither the operator nor this program's server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crossfade_audit::show::{self, Filter};
use crossfade_audit::verify::{Report, verify};
use crossfade_audit::{entry, export, keys};
use crossfade_rollout::{Entry, rfc3339};
use crossfade_tlog::VerifierKey;

use super::print_json;
use crate::args::{self, Audit, Format};
use crate::exit::{Exit, Failure, OrExit, Outcome};

pub(crate) fn run(command: &Audit) -> Outcome {
    match command {
        Audit::Verify(args) => verify_log(args),
        Audit::Show(args) => show_log(args),
        Audit::Export(args) => export_log(args),
    }
}

fn verify_log(args: &args::Verify) -> Outcome {
    let (key, trusted) = key(args.key.as_deref(), &args.dir)?;
    let report = verify(&args.dir, &key)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}; check the path", args.dir.display()))
        .or_usage()?;
    show_report(&report, args.output, trusted.as_deref())
}

fn show_report(report: &Report, output: Format, trusted: Option<&Path>) -> Outcome {
    match output {
        Format::Json => {
            let mut value = serde_json::to_value(report).or_usage()?;
            if let (Some(object), Some(path)) = (value.as_object_mut(), trusted) {
                object.insert("trusted_key_file".to_owned(), path.display().to_string().into());
            }
            print_json(&value)?;
        }
        Format::Text => {
            if let Some(path) = trusted {
                println!(
                    "! key          {} lies beside the log and was trusted; give --key to check against your own copy",
                    path.display()
                );
            }
            println!("{report}");
        }
    }
    Ok(if report.intact { Exit::Passed } else { Exit::Refused })
}

/// The verifier key: given, or read from a file; without either, `log.pub` beside the folder, which is then named.
fn key(given: Option<&str>, folder: &Path) -> Result<(VerifierKey, Option<PathBuf>), Failure> {
    if !folder.join("checkpoint").exists() && folder.join("audit/checkpoint").exists() {
        let log = folder.join("audit");
        let what = format!("{} is no log; the log is {}", folder.display(), log.display());
        return Err(Failure::usage(anyhow::anyhow!(what)));
    }
    if let Some(given) = given {
        if let Ok(key) = given.parse() {
            return Ok((key, None));
        }
        return Ok((keys::load_verifier(Path::new(given)).or_usage()?, None));
    }
    let whole = folder
        .canonicalize()
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}; check the path", folder.display()))
        .or_usage()?;
    let beside = whole.with_file_name("log.pub");
    let key = keys::load_verifier(&beside)
        .map_err(|error| {
            anyhow::anyhow!("no --key is given, and there is none beside the folder: {error}; give the log's verifier key with --key")
        })
        .or_usage()?;
    Ok((key, Some(beside)))
}

fn show_log(args: &args::Show) -> Outcome {
    let rollout = args.rollout.as_deref().map(str::parse).transpose().or_usage()?;
    let types = args.event.iter().cloned().collect();
    let filter = Filter { rollout, types, ..Filter::default() };
    // What is shown is what was checked. Without any key at all it is shown as it lies there.
    let found = key(args.key.as_deref(), &args.dir);
    if args.key.is_some() || found.is_ok() {
        let (key, trusted) = found?;
        let report = verify(&args.dir, &key).or_usage()?;
        if !report.intact {
            return show_report(&report, Format::Text, trusted.as_deref());
        }
    } else {
        eprintln!("no verifier key is given or lies beside the folder: nothing below was verified");
    }
    let is_filtered = args.rollout.is_some() || args.event.is_some();
    let mut shown = 0_u64;
    for leaf in show::entries(&args.dir, filter).or_usage()? {
        let leaf = leaf.or_usage()?;
        shown += 1;
        match args.output {
            Format::Json => {
                let entry: serde_json::Value = serde_json::from_slice(&leaf.bytes).or_usage()?;
                println!("{}", serde_json::json!({ "index": leaf.index.to_string(), "entry": entry }));
            }
            Format::Text => println!("{}", line(leaf.index, &entry::decode(&leaf.bytes).or_usage()?)),
        }
    }
    if shown == 0 && is_filtered {
        eprintln!("{}", nothing_found(args)?);
        return Ok(Exit::NoVerdict);
    }
    Ok(Exit::Passed)
}

/// What could have been asked for, where nothing was found.
fn nothing_found(args: &args::Show) -> Result<String, Failure> {
    let (mut rollouts, mut types) = (BTreeSet::new(), BTreeSet::new());
    for leaf in show::entries(&args.dir, Filter::default()).or_usage()? {
        let Ok(entry) = leaf.or_usage()?.entry() else { continue };
        let event = serde_json::to_value(&entry.event).unwrap_or_default();
        let text = |name: &str| event.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        rollouts.extend(text("rollout"));
        types.extend(text("type"));
    }
    let list = |names: BTreeSet<String>| match names.len() {
        0 => "none".to_owned(),
        _ => names.into_iter().collect::<Vec<_>>().join(", "),
    };
    Ok(format!(
        "no entry matches\n  rollouts in this log: {}\n  types in this log: {}",
        list(rollouts),
        list(types)
    ))
}

/// One entry on one line: number, time, actor, type, and what else it says.
fn line(index: u64, entry: &Entry) -> String {
    let value = serde_json::to_value(&entry.event).unwrap_or_default();
    let kind = value.get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    let fields =
        value.as_object().into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "type" | "at"));
    let text: Vec<String> = fields.map(|(name, value)| format!("{name}={}", short(value))).collect();
    format!(
        "{index:>5} {} {:<18} {kind:<22} {}",
        rfc3339::format(entry.time),
        entry.actor.as_str(),
        text.join(" ")
    )
}

/// Long values are cut: `-o json` has them whole.
fn short(value: &serde_json::Value) -> String {
    const LONGEST: usize = 60;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= LONGEST {
        text
    } else {
        text.chars().take(LONGEST).collect::<String>() + "…"
    }
}

fn export_log(args: &args::Export) -> Outcome {
    let (key, trusted) = key(args.key.as_deref(), &args.dir)?;
    let report = export::export(&args.dir, &key, &args.out).or_usage()?;
    let exit = show_report(&report, Format::Text, trusted.as_deref())?;
    println!(
        "Copy in {0}. An auditor checks it with the public key that you gave them beforehand, not with the one in the copy:\n  crossfade audit verify {0}/audit --key <their log.pub>",
        args.out.display()
    );
    Ok(exit)
}
