//! The log told as a story: which events are worth a line, and what it says.

use std::time::Duration;

use crossfade_rollout::event::{Event, Gate, Outcome, RollbackReason, StepEnd};
use crossfade_rollout::plan::Outline;
use crossfade_rollout::spec::Step;
use crossfade_routing::UnixNanos;

use super::Paint;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Note,
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: UnixNanos,
    pub(crate) tone: Tone,
    /// Two or three words.
    pub(crate) head: String,
    /// The rest.
    pub(crate) text: String,
}

/// Remembers what later events refer to.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    outline: Option<Box<Outline>>,
    /// What the log says of the way back that has begun.
    lossless: Option<bool>,
    began: Option<UnixNanos>,
}

impl Narrator {
    /// When the rollout began.
    pub(crate) fn began(&self) -> Option<UnixNanos> {
        self.began
    }

    /// The line that an event is worth, if it is worth one.
    pub(crate) fn tell(&mut self, event: &Event) -> Option<Line> {
        if let Event::RolloutDrafted { outline, at, .. } = event {
            self.began = Some(*at);
            self.outline = Some(outline.clone());
            self.lossless = None;
        }
        if let Event::RollbackStarted { lossless, .. } = event {
            self.lossless = Some(*lossless);
        }
        let (at, tone, head, text) = self.words(event)?;
        Some(Line { at, tone, head, text })
    }

    fn is_repeated(&self, gate: Gate) -> bool {
        let mut later = self.outline.iter().flat_map(|outline| &outline.later_gates);
        later.any(|later| later.gate == gate && later.every.is_some())
    }

    fn words(&self, event: &Event) -> Option<(UnixNanos, Tone, String, String)> {
        use Tone::{Bad, Good, Note};
        let line = |at: &UnixNanos, tone, head: &str, text: String| Some((*at, tone, head.to_owned(), text));
        let to = || {
            self.outline.as_ref().map_or_else(|| "the candidate".to_owned(), |outline| outline.to.to_string())
        };
        let from = || {
            self.outline.as_ref().map_or_else(|| "the active".to_owned(), |outline| outline.from.to_string())
        };
        match event {
            Event::RolloutDrafted { rollout, outline, at, .. } => {
                line(at, Note, "planned", format!("{rollout}  {} -> {}", outline.from, outline.to))
            }
            // What looks again and again is told when it begins, and when it is no longer so.
            Event::GateFinished { gate, outcome: Outcome::Pass, run: 2.., step: Some(_), .. }
                if self.is_repeated(*gate) =>
            {
                None
            }
            Event::GateFinished { gate, outcome, summary, at, .. } => {
                let tone = if *outcome == Outcome::Pass { Good } else { Bad };
                line(at, tone, &gate.to_string(), summary.clone())
            }
            Event::CutAnnounced { attempt, at, .. } if *attempt > 1 => {
                line(at, Note, "cut again", format!("attempt {attempt}: a gateway acknowledged too late"))
            }
            Event::StepStarted { step, at, .. } => {
                let (head, text) = self.step(*step, &to(), &from())?;
                line(at, Good, &head, text)
            }
            Event::StepEnded { how: StepEnd::PromotedEarly, step, at, .. } => {
                line(at, Note, "left early", format!("step {}", step + 1))
            }
            Event::VerdictReached { outcome: Outcome::Fail, why, at, .. } => {
                line(at, Bad, &format!("{} fails", to()), why.clone())
            }
            Event::VerdictReached { outcome: Outcome::NoVerdict, why, at, .. } => {
                line(at, Note, "no verdict", format!("yet: {why}"))
            }
            Event::Paused { at, .. } => line(at, Note, "paused", "it stays in this step".to_owned()),
            Event::Resumed { at, .. } => line(at, Note, "resumed", String::new()),
            Event::StepEnded { how: StepEnd::Skipped, step, at, .. } => {
                line(at, Note, "skipped", format!("step {}", step + 1))
            }
            Event::SnapshotsRetaken { changed, at, .. } if !changed.is_empty() => {
                line(at, Bad, "changed", format!("since the plan: {}", changed.join(", ")))
            }
            Event::Fenced { at, .. } => line(at, Bad, "fenced", event.to_string()),
            // Any other reason is on the line before: the verdict, the fence, what changed.
            Event::RollbackStarted { reason: reason @ RollbackReason::Command { .. }, at, .. } => {
                line(at, Bad, "rolling back", reason.to_string())
            }
            Event::RollbackStarted { at, .. } => {
                line(at, Bad, "rolling back", format!("everything goes to {}", from()))
            }
            Event::RolledBack { at, .. } if self.lossless == Some(true) => {
                line(at, Good, "rolled back", format!("{} is whole", from()))
            }
            Event::RolledBack { at, .. } => {
                line(at, Bad, "rolled back", format!("{} may lack spans: the accounts say which", from()))
            }
            Event::Promoted { at, .. } => {
                let copied = self.outline.as_ref().is_none_or(|outline| outline.mirror_back());
                let gets = if copied { "gets a copy" } else { "receives nothing new" };
                line(at, Good, "promoted", format!("{} answers, {} {gets}", to(), from()))
            }
            Event::Finalized { active, at, .. } => line(at, Good, "finalized", format!("{active} is active")),
            Event::AbortStarted { reason, at, .. } => line(at, Bad, "aborting", reason.to_string()),
            Event::Aborted { at, .. } => line(at, Bad, "aborted", "no traffic had moved".to_owned()),
            Event::AlertRaised { alert, detail, at } => line(at, Bad, &format!("{alert:?}"), detail.clone()),
            Event::AlertCleared { alert, at } => line(at, Good, &format!("{alert:?}"), "is over".to_owned()),
            // What it means for the step that runs is an entry of its own, and the same gap.
            Event::LedgerGapDeclared { gateway, from, until, at, .. } => {
                let gap = seconds(until.since(*from).unwrap_or_default());
                line(
                    at,
                    Note,
                    "gap declared",
                    format!(
                        "{gateway} ended without closing accounts: up to {gap} are unknown, and not counted"
                    ),
                )
            }
            _ => None,
        }
    }

    fn step(&self, index: u32, to: &str, from: &str) -> Option<(String, String)> {
        let step = self.outline.as_ref()?.steps.get(index as usize)?;
        Some(match step {
            Step::Mirror { percent, .. } => {
                (format!("mirror {percent}"), format!("{to} is watched, owns nothing"))
            }
            Step::Weight { percent, .. } => {
                (format!("weight {percent}"), format!("{to} owns its share of whole traces"))
            }
            Step::Pause { .. } => ("pause".to_owned(), "traffic stays as it is".to_owned()),
            Step::Bake { mirror_back: true, .. } => {
                ("bake".to_owned(), format!("{from} still receives everything"))
            }
            Step::Bake { .. } => ("bake".to_owned(), format!("{from} receives nothing new")),
            Step::Promote {} | Step::Finalize {} => return None,
        })
    }
}

impl Line {
    /// ` 0:04 ✔ weight 5 %    text`, with the time since `began`.
    pub(crate) fn text(&self, began: UnixNanos, paint: Paint) -> String {
        let since = self.at.since(began).unwrap_or_default().as_secs();
        let mark = match self.tone {
            Tone::Good => paint.good("✔"),
            Tone::Bad => paint.bad("✘"),
            Tone::Note => paint.dim("·"),
        };
        format!("{:>2}:{:02} {mark} {:<13} {}", since / 60, since % 60, self.head, self.text)
            .trim_end()
            .to_owned()
    }
}

/// A step, in a few letters.
pub(crate) fn step_name(step: &Step) -> String {
    match step {
        Step::Mirror { percent, .. } => format!("mirror {percent}"),
        Step::Weight { percent, .. } => percent.to_string(),
        Step::Pause { .. } => "pause".to_owned(),
        Step::Promote {} => "promote".to_owned(),
        Step::Bake { .. } => "bake".to_owned(),
        Step::Finalize {} => "finalize".to_owned(),
    }
}

/// A step's time, if it has one.
pub(crate) fn step_time(step: &Step) -> Option<Duration> {
    match step {
        Step::Mirror { duration, .. } | Step::Weight { duration, .. } | Step::Bake { duration, .. } => {
            Some(duration.0)
        }
        Step::Pause { duration } => duration.map(|duration| duration.0),
        Step::Promote {} | Step::Finalize {} => None,
    }
}

/// A span of time for people: `850 ms`, `12 s`, `3m20s`, `1h02m`.
pub(crate) fn seconds(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{secs} s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, text) in
            [(0, "0 ms"), (850, "850 ms"), (12_400, "12 s"), (200_000, "3m20s"), (3_720_000, "1h02m")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    const SPEC: &str = "
name: move
from: blue
to: green
steps: [{ weight: { percent: 100, duration: 1h } }, promote, BAKE, finalize]
";

    struct NoVariables;

    impl crossfade_yaml::Resolve for NoVariables {
        fn resolve(&self, _: &str, _: &str) -> crossfade_yaml::Resolution {
            crossfade_yaml::Resolution::Unset
        }
    }

    /// Scenario: a promoted rollout goes back, with and without everything mirrored back, with and without losses.
    /// Guarantee: the story promises no more than the log.
    #[test]
    fn no_more_is_promised_than_the_log_says() {
        let told = |bake: &str, lossless| {
            let text = SPEC.replace("BAKE", bake);
            let spec = crossfade_rollout::Spec::parse(&text, "rollout.yaml", &NoVariables).unwrap();
            let rollout: crossfade_rollout::RolloutId = "move".parse().unwrap();
            let at = UnixNanos(0);
            let reason = crossfade_rollout::event::RollbackReason::Verdict { why: "it fails".to_owned() };
            let outline = Box::new(spec.outline(rollout.clone(), crossfade_routing::Seed(1)).unwrap());
            let plan = crossfade_rollout::Digest::from_bytes([0; 32]);
            let generation = crossfade_routing::Generation(5);
            let mut narrator = Narrator::default();
            narrator.tell(&Event::RolloutDrafted { rollout: rollout.clone(), plan, outline, at });
            let promoted = narrator.tell(&Event::Promoted { rollout: rollout.clone(), generation, at });
            narrator.tell(&Event::RollbackStarted { rollout: rollout.clone(), reason, lossless, at });
            let back = narrator.tell(&Event::RolledBack { rollout, at }).unwrap();
            (promoted.unwrap().text, back.text, back.tone)
        };
        let (promoted, back, tone) = told("{ bake: { duration: 1h } }", true);
        assert_eq!((promoted.as_str(), tone), ("green answers, blue gets a copy", Tone::Good));
        assert_eq!(back, "blue is whole");
        let (promoted, back, tone) = told("{ bake: { duration: 1h, mirror_back: false } }", false);
        assert_eq!((promoted.as_str(), tone), ("green answers, blue receives nothing new", Tone::Bad));
        assert_eq!(back, "blue may lack spans: the accounts say which");
    }

    #[test]
    fn a_line_counts_from_the_beginning() {
        let line = Line {
            at: UnixNanos(75_000_000_000),
            tone: Tone::Good,
            head: "weight 5 %".into(),
            text: "x".into(),
        };
        assert_eq!(line.text(UnixNanos(5_000_000_000), Paint::plain()), " 1:10 ✔ weight 5 %    x");
    }
}
