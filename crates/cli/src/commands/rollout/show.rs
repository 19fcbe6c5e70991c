//! Plans and statuses in words.

use std::fmt::Write as _;
use std::path::Path;

use crossfade_control::status::{GatewayStatus, Looking, Status};
use crossfade_rollout::ending::{Ending, EndingKind};
use crossfade_rollout::event::{Gate, Outcome, StepEnd};
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::Waiver;
use crossfade_rollout::state::{GateRun, GateStatus, Rollout};
use crossfade_rollout::{Phase, PlanFile};
use crossfade_routing::EnvironmentId;
use crossfade_routing::sync::LedgerRow;

use crate::exit::Exit;
use crate::ui::Paint;
use crate::ui::story::{seconds, step_name, step_time};

/// A plan as a person reads it.
pub(super) fn plan(file: &PlanFile, out: Option<&Path>, paint: Paint) -> String {
    let outline = &file.plan.outline;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {} -> {}   plan {}",
        paint.bold(&outline.rollout.to_string()),
        outline.from,
        outline.to,
        short(&file.digest.to_string())
    );
    let _ = writeln!(text, "Gates, tried as advice");
    for advice in &file.advice {
        let mark = if advice.warning { paint.warn("!") } else { mark(advice.outcome, paint) };
        let _ = writeln!(text, "  {mark} {:<13} {}", advice.gate, advice.summary);
        for detail in &advice.details {
            let _ = writeln!(text, "    {detail}");
        }
    }
    let _ = writeln!(text, "  · {:<13} not asked for by this plan; the log will say so", "approval");
    let steps: Vec<String> = outline
        .steps
        .iter()
        .map(|step| match step_time(step) {
            Some(time) => format!("{} {}", step_name(step), seconds(time)),
            None => step_name(step),
        })
        .collect();
    for later in later(outline) {
        let _ = writeln!(text, "  · {later}");
    }
    for waiver in &outline.gates.waivers {
        let _ = writeln!(text, "  ~ {}", waived(waiver));
    }
    let _ = writeln!(text, "Steps     {}", steps.join(" -> "));
    let _ = writeln!(
        text,
        "Routing   overlap {}, skew {}, clocks within {}",
        seconds(outline.window.overlap()),
        seconds(outline.window.skew()),
        seconds(outline.window.gamma())
    );
    let _ = writeln!(text, "Touches   gateway routing only");
    let ready = match file.advice.iter().filter(|advice| advice.warning).count() {
        0 => "Ready.".to_owned(),
        1 => "Ready, but read the line marked !.".to_owned(),
        several => format!("Ready, but read the {several} lines marked !."),
    };
    let next = match (readiness(file), out) {
        (Exit::Passed, Some(out)) => format!("{ready} Next: crossfade rollout start {}", out.display()),
        (Exit::Passed, None) => {
            format!("{ready} Write it down with --out plan.json, then: crossfade rollout start plan.json")
        }
        _ => "Not ready: mend what is marked, and plan again. `rollout start` refuses it, but for --anyway."
            .to_owned(),
    };
    let _ = writeln!(text, "{next}");
    text
}

fn waived(waiver: &Waiver) -> String {
    let Waiver { finding, place, reason, owner, expires } = waiver;
    let place = place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
    format!("{}{place} waived by {owner} until {expires}: {reason}", finding.value)
}

/// Gates that look later, and gates that do not look.
fn later(outline: &Outline) -> Vec<String> {
    let one = |gate: Gate| {
        let of_it = outline.later_gates.iter().filter(|later| later.gate == gate);
        let moments: Vec<&str> = of_it.clone().map(|later| later.moment.name()).collect();
        let every = of_it.filter_map(|later| later.every).next();
        let every = every.map_or_else(String::new, |every| format!(", every {every}"));
        let left_out = outline.left_out.get(&gate);
        match (outline.gates.timing(gate).off, moments.is_empty()) {
            (Some(why), _) => Some(format!("{gate:<13} off: {why}")),
            (None, true) if outline.required_gates.contains(&gate) => None,
            (None, true) => {
                let why = left_out.map_or("nobody asks for it; name it below `gates`", String::as_str);
                Some(format!("{gate:<13} does not look: {why}"))
            }
            (None, false) => {
                let only = left_out.map_or_else(String::new, |why| format!(" only: {why}"));
                Some(format!("{gate:<13} later, at {}{every}{only}", moments.join(", ")))
            }
        }
    };
    Gate::ALL.into_iter().filter_map(one).collect()
}

/// Whether the dry run found anything against it.
pub(super) fn readiness(file: &PlanFile) -> Exit {
    let outcomes = || file.advice.iter().map(|advice| advice.outcome);
    if file.advice.iter().any(|advice| advice.gate == "reach" && advice.outcome != Outcome::Pass) {
        Exit::Unreachable
    } else if outcomes().any(|outcome| outcome == Outcome::Fail) {
        Exit::Refused
    } else if outcomes().any(|outcome| outcome == Outcome::NoVerdict) {
        Exit::NoVerdict
    } else {
        Exit::Passed
    }
}

/// A status as a person reads it.
pub(super) fn status(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    match &status.rollout {
        Some(rollout) => self::rollout(&mut text, status, rollout, paint),
        None => {
            let active = status.active.as_ref().map_or("nothing", EnvironmentId::as_str);
            let _ = writeln!(text, "no rollout; {active} is active");
        }
    }
    status.looking.iter().for_each(|looking| {
        let _ = writeln!(text, "{}", self::looking(looking, paint));
    });
    for alert in status.alerts.keys() {
        let _ = writeln!(text, "{}", paint.bad(&format!("alert     {alert}")));
    }
    if let Some(why) = &status.log.unwritable {
        let _ = writeln!(text, "{}", paint.bad(&format!("log       takes no entries: {why}")));
    }
    if status.gateways.is_empty() {
        let _ = writeln!(text, "gateways  none has reported");
    }
    text
}

/// `gate      ◐ parity in step 2, run 1: 310 of 2000 traces compared`
fn looking(looking: &Looking, paint: Paint) -> String {
    let step = looking.step.map_or_else(String::new, |step| format!(" in step {}", step + 1));
    let progress = looking.progress.to_string();
    let colon = if progress.is_empty() { "" } else { ": " };
    format!("gate      {} {}{step}, run {}{colon}{progress}", paint.warn("◐"), looking.gate, looking.run)
}

/// Gates that have looked: the last run of each, here; reruns are counted.
fn looked(rollout: &Rollout, paint: Paint) -> Vec<String> {
    let here = rollout.step_gates.get(&rollout.step).map(|gates| (Some(rollout.step), gates));
    let places = [(None, &rollout.gates)].into_iter().chain(here);
    let done = places.flat_map(|(step, gates)| gates.iter().map(move |(gate, run)| (step, gate, run)));
    let line = |(step, gate, run): (Option<u32>, &Gate, &GateRun)| {
        let GateStatus::Done(outcome) = run.status else { return None };
        let step = step.map_or_else(|| "preflight".to_owned(), |step| format!("step {}", step + 1));
        let missed = match run.missed {
            0 => String::new(),
            missed => format!(", {missed} before it no pass"),
        };
        let mark = mark(outcome, paint);
        Some(format!("gate      {mark} {gate}, {step}, run {}{missed}: {}", run.run, run.summary))
    };
    done.filter_map(line).collect()
}

fn rollout(text: &mut String, status: &Status, rollout: &Rollout, paint: Paint) {
    let outline = &rollout.outline;
    let until = rollout.ended.unwrap_or(status.now);
    let age = seconds(until.since(rollout.began).unwrap_or_default());
    let paused = if rollout.paused.is_some() { ", PAUSED" } else { "" };
    let phase = rollout.phase.to_string().to_uppercase() + paused;
    let generation = status.generation.map(|generation| generation.to_string()).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}  {} -> {}   {phase}  generation {generation}  {age}",
        paint.bold(rollout.id.as_str()),
        outline.from,
        outline.to
    );
    let marks: Vec<String> = outline
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| step_mark(rollout, index, &step_name(step), paint))
        .collect();
    let _ = writeln!(text, "{}", marks.join("  "));
    for line in looked(rollout, paint) {
        let _ = writeln!(text, "{line}");
    }
    for waiver in &outline.gates.waivers {
        let expired =
            if waiver.expires.0 <= status.now { paint.warn(", which is over") } else { String::new() };
        let _ = writeln!(text, "waiver    ~ {}{expired}", waived(waiver));
    }
    let _ = writeln!(text, "             {:>10} {:>10}", outline.from.as_str(), outline.to.as_str());
    let from = Totals::of(&status.gateways, &outline.from);
    let to = Totals::of(&status.gateways, &outline.to);
    let _ = writeln!(
        text,
        "spans        {:>10} {:>10}   delivered since each gateway's boot",
        from.delivered, to.delivered
    );
    let _ = writeln!(text, "queued       {:>10} {:>10}", from.queued, to.queued);
    let _ = writeln!(text, "shed         {:>10} {:>10}", from.shed, to.shed);
    let _ = writeln!(text, "ledger       {:>10} {:>10}", from.balance(), to.balance());
    for reading in &status.readings {
        let metric = serde_json::to_value(reading.metric).unwrap_or_default();
        let metric = metric.as_str().unwrap_or_default();
        let _ = writeln!(text, "analysis     {} {metric}: {}", mark(reading.outcome, paint), reading.text);
    }
    if let Some(ending) = &status.ending {
        let _ = writeln!(text, "{}", self::ending(ending, paint));
    }
    for waiting in &status.waiting {
        let _ = writeln!(text, "waiting      {waiting}");
    }
}

/// Why it ends as it does, and where the log says so.
pub(super) fn ending(ending: &Ending, paint: Paint) -> String {
    let kind = match ending.kind {
        EndingKind::Finalized => paint.good("finalized"),
        EndingKind::RolledBack => paint.bad("rolled back"),
        EndingKind::Aborted => paint.bad("aborted"),
    };
    let record = match ending.entry {
        Some(entry) => format!("entry {entry}"),
        None => "not in the log yet".to_owned(),
    };
    format!("{kind}: {} ({record})", ending.reason)
}

fn step_mark(rollout: &Rollout, index: usize, name: &str, paint: Paint) -> String {
    let (current, number) = (rollout.step as usize, u32::try_from(index).unwrap_or(u32::MAX));
    match rollout.step_end(number) {
        Some(StepEnd::Skipped) => return format!("{} {name} skipped", paint.dim("-")),
        Some(StepEnd::PromotedEarly) => return format!("{} {name} left early", paint.good("✔")),
        Some(StepEnd::Stopped) => return format!("{} {name}", paint.bad("✘")),
        Some(StepEnd::Elapsed) | None => {}
    }
    if index < current || rollout.phase == Phase::Finalized {
        format!("{} {name}", paint.good("✔"))
    } else if index == current && rollout.phase.is_live() {
        format!("{} {name}", paint.warn("◐"))
    } else {
        format!("{} {name}", paint.dim("·"))
    }
}

/// Rollouts, newest first.
pub(super) fn list(status: &Status) -> String {
    let mut text = String::new();
    if let Some(rollout) = status.rollout.as_ref().filter(|rollout| !rollout.phase.is_final()) {
        let _ = writeln!(
            text,
            "{:<24} {:<14} {} -> {}",
            rollout.id.as_str(),
            rollout.phase.to_string(),
            rollout.outline.from,
            rollout.outline.to
        );
    }
    for past in status.past.iter().rev() {
        let took = seconds(past.ended.since(past.began).unwrap_or_default());
        let _ = writeln!(
            text,
            "{:<24} {:<14} {} -> {}   took {took}",
            past.rollout.as_str(),
            past.phase.to_string(),
            past.from,
            past.to
        );
    }
    if text.is_empty() {
        text.push_str("no rollout is on record\n");
    }
    text
}

fn mark(outcome: Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Pass => paint.good("✔"),
        Outcome::Fail => paint.bad("✘"),
        Outcome::NoVerdict => paint.warn("?"),
    }
}

fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect::<String>() + "…"
}

/// Ledger rows of one environment, added up over the fleet.
#[derive(Debug, Default)]
struct Totals {
    delivered: u64,
    queued: u64,
    shed: u64,
    unbalanced: usize,
}

impl Totals {
    fn of(gateways: &[GatewayStatus], environment: &EnvironmentId) -> Totals {
        let mut totals = Totals::default();
        let rows =
            gateways.iter().filter_map(|gateway| gateway.report.as_ref()).flat_map(|report| &report.ledger);
        for row in rows.filter(|row: &&LedgerRow| row.environment == *environment) {
            totals.delivered += row.delivered;
            totals.queued += row.queued;
            totals.shed += row.shed;
            totals.unbalanced += usize::from(!row.is_balanced());
        }
        totals
    }

    fn balance(&self) -> &'static str {
        if self.unbalanced == 0 { "balanced" } else { "OFF" }
    }
}

#[cfg(test)]
mod tests {
    use crossfade_rollout::ending::{EndingCause, EntryNumber};
    use crossfade_rollout::event::Event;
    use crossfade_rollout::{Digest, replay};
    use crossfade_routing::{Seed, UnixNanos};

    use super::*;

    const SPEC: &str = "{ name: x, from: blue, to: green, steps: [{ mirror: { percent: 5, duration: 1m } },
        { weight: { percent: 100, duration: 1m } }, promote, { bake: { duration: 1h } }, finalize] }";

    /// A rollout of which the first steps have ended so.
    fn rollout(ends: &[StepEnd]) -> Rollout {
        let spec = crossfade_control::spec::read(SPEC, "rollout.yaml").unwrap();
        let outline = spec.outline("x".parse().unwrap(), Seed(1)).unwrap();
        let (rollout, at) = (outline.rollout.clone(), UnixNanos(1));
        let plan = Digest::from_bytes([1; 32]);
        let mut events =
            vec![Event::RolloutDrafted { rollout: rollout.clone(), plan, outline: Box::new(outline), at }];
        for (step, how) in (0..).zip(ends) {
            let (rollout, carried) = (rollout.clone(), Vec::new());
            events.push(Event::StepEnded { rollout, step, how: *how, carried, at });
        }
        replay(&events).rollout.unwrap()
    }

    fn marks(rollout: &Rollout) -> String {
        let marks = rollout.outline.steps.iter().enumerate();
        let marks = marks.map(|(index, step)| step_mark(rollout, index, &step_name(step), Paint::plain()));
        marks.collect::<Vec<String>>().join("  ")
    }

    #[test]
    fn a_step_that_was_passed_over_is_not_done() {
        use StepEnd::{Elapsed, PromotedEarly, Skipped};
        let skipped = rollout(&[Skipped, PromotedEarly, Elapsed, Skipped]);
        assert_eq!(
            marks(&skipped),
            "- mirror 5 % skipped  ✔ 100 % left early  ✔ promote  - bake skipped  · finalize"
        );
        let over = Rollout { phase: Phase::Finalized, ..skipped };
        assert!(marks(&over).ends_with("- bake skipped  ✔ finalize"), "{}", marks(&over));
        let early = rollout(&[Elapsed]);
        assert_eq!(marks(&early), "✔ mirror 5 %  · 100 %  · promote  · bake  · finalize");
    }

    /// Guarantee: what is waived is told as waived, with whom, why and until when; and from then on, that this is over.
    #[test]
    fn a_waiver_is_told_with_its_end() {
        let waivers = "{ waivers: [{ finding: CF-POSTURE-014, where: green, reason: until the proxy is there, owner: SRE, expires: 2027-01-31 }] }";
        let text = SPEC.replace("finalize] }", &format!("finalize], gates: {waivers} }}"));
        let spec = crossfade_control::spec::read(&text, "rollout.yaml").unwrap();
        let outline = spec.outline("x".parse().unwrap(), Seed(1)).unwrap();
        let rollout = Rollout { outline, ..rollout(&[]) };
        let told = |now: u64| {
            let status: Status = serde_json::from_value(serde_json::json!({
                "schema_version": 1, "now": UnixNanos(now), "origin": "x", "active": "blue", "generation": null,
                "log": { "size": "1", "unwritable": null }, "rollout": rollout, "past": [], "waiting": [], "readings": [],
                "gateways": [], "alerts": {},
            }))
            .unwrap();
            let text = super::status(&status, Paint::plain());
            text.lines().find(|line| line.starts_with("waiver")).unwrap().to_owned()
        };
        let ends = 1_801_353_600_000_000_000;
        let waived =
            "waiver    ~ CF-POSTURE-014 at green waived by SRE until 2027-01-31: until the proxy is there";
        assert_eq!(told(ends - 1), waived);
        assert_eq!(told(ends), format!("{waived}, which is over"));
    }

    #[test]
    fn an_end_says_why_and_where_the_log_says_so() {
        let said = |entry| {
            let (kind, cause) = (EndingKind::RolledBack, EndingCause::Fence);
            ending(&Ending { kind, cause, reason: "its breaker".to_owned(), entry }, Paint::plain())
        };
        assert_eq!(said(Some(EntryNumber(41))), "rolled back: its breaker (entry 41)");
        assert_eq!(said(None), "rolled back: its breaker (not in the log yet)");
    }
}
