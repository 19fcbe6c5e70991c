//! How the stories are told: drawn live on a terminal, in plain lines without one, in JSON on request.

use crossfade_control::status::Status;
use crossfade_lab::measure::{Flaw, Outcome, Summary};
use crossfade_lab::scenario::Scenario;
use crossfade_rollout::plan::Advice;
use crossfade_rollout::{Entry, PlanFile};
use serde::Serialize;

use super::stage::Played;
use super::stopped;
use crate::ui::live::Block;
use crate::ui::story::Narrator;
use crate::ui::{self, Paint};

/// The last line of a story, as JSON.
#[derive(Serialize)]
struct Closing<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// Everything that is not as the story is told for.
    flaws: Vec<String>,
    /// Nothing is wrong but that clocks were not trusted: it may go well on a machine that is less busy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    only_clocks: bool,
}

/// Tells one story after the other.
pub(super) struct Teller {
    json: bool,
    draw: bool,
    paint: Paint,
    block: Block,
    narrator: Narrator,
}

impl Teller {
    pub(super) fn new(json: bool) -> Teller {
        let draw = !json && ui::can_draw();
        Teller { json, draw, paint: Paint::stdout(), block: Block::default(), narrator: Narrator::default() }
    }

    pub(super) fn opening(&self, stories: &[Scenario], seed: u64) {
        if self.json {
            return;
        }
        let rate = stories.first().map_or(0, |story| story.traffic.traces_per_second);
        println!("Two SIMULATED environments, {rate} traces/s, seed {seed}. Nothing leaves this machine.");
    }

    /// One entry of the log, if it is worth a line.
    pub(super) fn event(&mut self, scenario: &Scenario, entry: &Entry) {
        if self.json {
            println!("{}", serde_json::json!({ "event": "entry", "story": scenario.name, "entry": entry }));
            return;
        }
        let line = self.narrator.tell(&entry.event);
        if let (Some(line), Some(began)) = (line, self.narrator.began()) {
            self.block.say(&line.text(began, self.paint));
        }
    }

    pub(super) fn begin(&mut self, scenario: &Scenario) {
        self.narrator = Narrator::default();
        if !self.json {
            println!("\n{}  {}", self.paint.bold(scenario.name), scenario.about);
        }
    }

    /// What the dry run of the plan holds against it.
    pub(super) fn objections(&mut self, plan: &PlanFile) {
        let objections: Vec<&Advice> = plan.objections().collect();
        if self.json {
            return;
        }
        for Advice { gate, summary, .. } in &objections {
            self.block.say(&format!(" plan {} {gate:<13} {summary}", self.paint.bad("✘")));
        }
        if !objections.is_empty() {
            let text = "against the plan's dry run: the gates look again, for the record";
            self.block.say(&format!(" plan {} {:<13} {text}", self.paint.dim("·"), "started"));
        }
    }

    /// What is going on right now, below the lines that stay.
    pub(super) fn status(&mut self, status: &Status) {
        if !self.draw {
            return;
        }
        let waiting = status.waiting.first().map_or("", String::as_str);
        let (mut blue, mut green) = (0, 0);
        for row in status
            .gateways
            .iter()
            .filter_map(|gateway| gateway.report.as_ref())
            .flat_map(|report| &report.ledger)
        {
            let sum = if row.environment.as_str() == "blue" { &mut blue } else { &mut green };
            *sum += row.delivered;
        }
        let text = format!(
            "        spans delivered: blue {blue}, green {green}\n        {}",
            self.paint.dim(waiting)
        );
        self.block.draw(&text);
    }

    pub(super) fn settling(&mut self) {
        if self.draw {
            self.block.draw(
                &self
                    .paint
                    .dim("        the last traces come in, then both stores are compared with what was sent"),
            );
        }
    }

    pub(super) fn closing(&mut self, scenario: &Scenario, played: &Played, flaws: &[Flaw]) {
        self.block.erase();
        let summary = &played.summary;
        if self.json {
            let told = flaws.iter().map(Flaw::to_string).collect();
            let closing = Closing { summary, flaws: told, only_clocks: Flaw::are_of_clocks(flaws) };
            println!(
                "{}",
                serde_json::to_string(&closing).expect("a summary holds nothing that JSON cannot")
            );
        } else {
            let is_stopped = summary.outcome == Some(Outcome::Stopped);
            let story = if is_stopped {
                stopped::words(summary, &played.evidence, &played.plan, self.paint)
            } else {
                self.words(summary)
            };
            print!("{story}");
            let verified = if summary.log_verified {
                self.paint.good("verified")
            } else {
                self.paint.bad("NOT VERIFIED")
            };
            println!("\nRecord: {} entries, {verified}.", summary.log_entries);
            println!(
                "Try to cheat: change a byte below {0}, then\n  crossfade audit verify {0}",
                summary.log_dir
            );
        }
        if !flaws.is_empty() {
            eprintln!("{} {} did not go as it should:", self.paint.bad("✘"), scenario.name);
        }
        for flaw in flaws {
            eprintln!("  {flaw}");
        }
    }

    /// What may have led to the flaws: it excuses none.
    pub(super) fn excuse(&self, words: &str) {
        eprintln!("{} {words}", self.paint.warn("!"));
    }

    fn words(&self, summary: &Summary) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let whole = |torn: u64| {
            let share =
                100.0 * (summary.traces - torn.min(summary.traces)) as f64 / summary.traces.max(1) as f64;
            format!("{share:.1} %")
        };
        let _ = writeln!(text, "\n The same traffic        per-request split   crossfade");
        let _ = writeln!(
            text,
            " torn traces             {:>17}   {:>9}",
            summary.torn_by_request_split, summary.torn
        );
        let _ = writeln!(
            text,
            " traces whole            {:>17}   {:>9}",
            whole(summary.torn_by_request_split),
            whole(summary.torn)
        );
        let _ = writeln!(text, " spans lost              {:>17}   {:>9}", "-", summary.spans_lost);
        let _ = writeln!(
            text,
            "\n {} traces, {} spans; {} traces were under way at a cut; green owned {}",
            summary.traces, summary.spans_sent, summary.straddling, summary.green_owned
        );
        if let (Some(Outcome::RolledBack), Some(detect), Some(fence)) =
            (summary.outcome, summary.detect_ms, summary.fence_ms)
        {
            let _ = writeln!(
                text,
                " found {detect} ms after the first refusal; last byte to green {fence} ms after the verdict"
            );
        }
        text
    }
}
