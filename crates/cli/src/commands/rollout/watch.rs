//! `crossfade rollout watch`: follows the rollout until it ends. Ctrl-C leaves it running.

use crossfade_control::api::EventsReply;
use crossfade_control::client::Client;
use crossfade_control::status::Status;
use crossfade_rollout::{Entry, Phase};

use super::super::{block_on, client};
use super::show;
use crate::args::Watch;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::ui::live::Block;
use crate::ui::story::Narrator;
use crate::ui::{self, Paint};

/// How long one look for news waits at the most.
const WAIT_MS: u64 = 500;

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
            let news: EventsReply = self.client.get(&path).await?;
            for value in &news.entries {
                let (index, entry) = entry_of(value)?;
                if entry.event.rollout() == Some(&id) || entry.event.rollout().is_none() {
                    self.tell(index, &entry)?;
                }
            }
            let caught_up = news.entries.is_empty();
            from = news.next;
            status = self.client.get("/v1/status").await?;
            let Some(rollout) = status.rollout.as_ref().filter(|rollout| rollout.id == id) else {
                self.block.erase();
                return Ok(Exit::Passed);
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

    fn tell(&mut self, index: u64, entry: &Entry) -> Result<(), Failure> {
        if self.json {
            println!("{}", serde_json::json!({ "index": index.to_string(), "entry": entry }));
            return Ok(());
        }
        let line = self.narrator.tell(&entry.event);
        if let (Some(line), Some(began)) = (line, self.narrator.began()) {
            self.block.say(&line.text(began, self.paint));
        }
        Ok(())
    }
}

/// An entry and its number, as the API gives them.
fn entry_of(value: &serde_json::Value) -> Result<(u64, Entry), Failure> {
    let mut value = value.clone();
    let index = value.as_object_mut().and_then(|object| object.remove("index"));
    let index = index.and_then(|index| index.as_str()?.parse().ok());
    let entry = serde_json::from_value(value).or_unreachable()?;
    Ok((index.unwrap_or_default(), entry))
}
