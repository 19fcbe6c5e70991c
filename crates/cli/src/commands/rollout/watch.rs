//! `crossfade rollout watch`: follows the rollout until it ends. Ctrl-C leaves it running.

use std::time::Duration;

use crossfade_control::api::{ErrorCode, EventsReply};
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_rollout::{Entry, Phase, RolloutId};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::super::{block_on, client};
use super::show;
use crate::args::Watch;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::live::Block;
use crate::ui::story::Narrator;
use crate::ui::{self, Paint};

/// How long one look for news waits at the most.
const WAIT_MS: u64 = 500;
/// How long the control plane may be away: as long as it takes to start it again.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Watch) -> Outcome {
    let client = client(&args.control)?;
    block_on(async {
        tokio::select! {
            outcome = Watcher::new(client, args.json).follow() => outcome,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("\nno longer watching: the rollout goes on");
                Ok(Exit::Passed)
            }
        }
    })
}

/// The exit code of a rollout that ended in a phase.
fn exit_of(phase: Phase) -> Exit {
    match phase {
        Phase::RolledBack | Phase::Aborted => Exit::RolledBack,
        _ => Exit::Passed,
    }
}

struct Watcher {
    client: Client,
    json: bool,
    draw: bool,
    block: Block,
    narrator: Narrator,
    paint: Paint,
}

impl Watcher {
    fn new(client: Client, json: bool) -> Watcher {
        let draw = !json && ui::can_draw();
        Watcher {
            client,
            json,
            draw,
            block: Block::default(),
            narrator: Narrator::default(),
            paint: Paint::stdout(),
        }
    }

    async fn follow(mut self) -> Outcome {
        let mut status: Status = self.client.get("/v1/status").await?;
        let Some(rollout) = status.rollout.as_ref() else {
            let none = "no rollout is on record; start one with `crossfade rollout start plan.json`";
            return Err(Failure::usage(anyhow::anyhow!(none)));
        };
        let id = rollout.id.clone();
        let mut from = 0;
        loop {
            let path = format!("/v1/events?from={from}&wait_ms={WAIT_MS}");
            let news: EventsReply = self.ask(&path).await?;
            let (caught_up, next) = (news.entries.is_empty(), news.next);
            for (index, entry) in news.read().or_unreachable()? {
                if entry.event.rollout().is_none_or(|rollout| *rollout == id) {
                    self.tell(index, &entry);
                }
            }
            from = next;
            status = self.ask("/v1/status").await?;
            let Some(rollout) = status.rollout.as_ref().filter(|rollout| rollout.id == id) else {
                return Ok(self.overtaken(&id, &status));
            };
            if self.draw {
                self.block.draw(&show::status(&status, self.paint));
            }
            if rollout.phase.is_final() && caught_up {
                self.block.erase();
                match (&status.ending, self.json) {
                    (ending, true) => println!("{}", serde_json::json!({ "rollout": id, "ending": ending })),
                    (Some(ending), false) => println!("{id} {}", show::ending(ending, self.paint)),
                    (None, false) => println!("{id} {}", rollout.phase),
                }
                return Ok(exit_of(rollout.phase));
            }
        }
    }

    /// Asks, and is patient with a control plane that starts again.
    async fn ask<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let mut silent_since = None;
        loop {
            let error = match self.client.get(path).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let away = matches!(error.0.code, ErrorCode::Unreachable | ErrorCode::Unavailable);
            let since = *silent_since.get_or_insert_with(|| {
                if away {
                    self.block.erase();
                    eprintln!("{} {error}; trying again for {} s", self.paint.warn("!"), PATIENCE.as_secs());
                }
                Instant::now()
            });
            if !away || since.elapsed() >= PATIENCE {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(WAIT_MS)).await;
        }
    }

    /// The next rollout has begun already: how this one ended is on the list of those that are past.
    fn overtaken(&mut self, id: &RolloutId, status: &Status) -> Exit {
        self.block.erase();
        let Some(past) = status.past.iter().find(|past| past.rollout == *id) else {
            return Exit::NoVerdict;
        };
        if !self.json {
            println!("{id} {}", past.phase);
        }
        exit_of(past.phase)
    }

    fn tell(&mut self, index: u64, entry: &Entry) {
        if self.json {
            println!("{}", serde_json::json!({ "index": index.to_string(), "entry": entry }));
            return;
        }
        let line = self.narrator.tell(&entry.event);
        if let (Some(line), Some(began)) = (line, self.narrator.began()) {
            self.block.say(&line.text(began, self.paint));
        }
    }
}
