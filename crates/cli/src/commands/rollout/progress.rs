//! How far a plan is, on stderr: a line for each check as it begins and ends; on a terminal one that counts the seconds.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossfade_control::progress::PlanNews;
use crossfade_rollout::event::Outcome;
use crossterm::cursor::MoveToColumn;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};
use tokio::time::Instant;

use crate::ui::story::seconds;
use crate::ui::{self, Paint};

/// How often a line that counts is drawn.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Tells it.
pub(super) struct Progress {
    live: bool,
    paint: Paint,
    looking: Vec<Looking>,
}

struct Looking {
    gate: String,
    at_most: Option<Duration>,
    since: Instant,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let live = std::io::stderr().is_terminal() && ui::can_draw();
        Progress { live, paint: Paint::stderr(), looking: Vec::new() }
    }

    pub(super) fn hear(&mut self, news: &PlanNews) {
        if let PlanNews::Begun { gate, at_most_ms } = news {
            let at_most = at_most_ms.map(|millis| Duration::from_millis(millis.into()));
            let (gate, since) = (gate.clone(), Instant::now());
            self.looking.push(Looking { gate, at_most, since });
            if self.live {
                return self.tick();
            }
        }
        if let PlanNews::Ended { gate, .. } = news {
            self.looking.retain(|looking| looking.gate != *gate);
        }
        self.erase();
        if let Some(line) = line(news, self.paint) {
            eprintln!("{line}");
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self) {
        self.erase();
        let one = |looking: &Looking| {
            let so_far = seconds(Instant::now().duration_since(looking.since));
            let at_most = looking.at_most.map(|at_most| format!(" of at most {}", seconds(at_most)));
            let gate = &looking.gate;
            format!("{} {gate:<9} {so_far}{}", self.paint.warn("◐"), at_most.unwrap_or_default())
        };
        if self.live && !self.looking.is_empty() {
            let line: Vec<String> = self.looking.iter().map(one).collect();
            eprint!("{}", line.join("  "));
            let _ = std::io::stderr().flush();
        }
    }

    /// Takes the counting line away.
    pub(super) fn erase(&mut self) {
        if self.live {
            // A terminal that is gone needs no drawing.
            let _ = queue!(std::io::stderr(), MoveToColumn(0), Clear(ClearType::CurrentLine));
            let _ = std::io::stderr().flush();
        }
    }
}

/// The line that stays.
fn line(news: &PlanNews, paint: Paint) -> Option<String> {
    match news {
        PlanNews::Begun { gate, at_most_ms: Some(millis) } => {
            let at_most = seconds(Duration::from_millis((*millis).into()));
            Some(format!("{} {gate:<9} looks; at most {at_most}", paint.dim("·")))
        }
        PlanNews::Begun { gate, at_most_ms: None } => Some(format!("{} {gate:<9} looks", paint.dim("·"))),
        PlanNews::Ended { gate, outcome, took_ms } => {
            let mark = match outcome {
                Outcome::Pass => paint.good("✔"),
                Outcome::Fail => paint.bad("✘"),
                Outcome::NoVerdict => paint.warn("?"),
            };
            Some(format!("{mark} {gate:<9} {}", seconds(Duration::from_millis((*took_ms).into()))))
        }
        PlanNews::Planned { .. } | PlanNews::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_line_as_it_begins_and_as_it_ends() {
        let begun = |at_most_ms| PlanNews::Begun { gate: "probe".to_owned(), at_most_ms };
        let ended = |outcome| PlanNews::Ended { gate: "probe".to_owned(), outcome, took_ms: 61_500 };
        let told = [begun(None), begun(Some(60_000)), ended(Outcome::Pass), ended(Outcome::NoVerdict)];
        let lines: Vec<String> = told.iter().filter_map(|news| line(news, Paint::plain())).collect();
        assert_eq!(
            lines,
            [
                "· probe     looks",
                "· probe     looks; at most 1m00s",
                "✔ probe     1m01s",
                "? probe     1m01s"
            ]
        );
    }
}
