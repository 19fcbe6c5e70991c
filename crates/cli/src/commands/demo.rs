//! `crossfade demo`: stories on simulated environments; everything but the environments is the real thing.

mod findings;
mod pulse;
mod stage;
mod stopped;
mod tell;

use crossfade_lab::measure::{Outcome as StoryOutcome, Summary};
use crossfade_lab::scenario::{Scenario, scenarios};

use super::block_on;
use crate::args::Demo;
use crate::exit::{Exit, Failure, Outcome};
use tell::Teller;

pub(crate) fn run(args: &Demo) -> Outcome {
    if args.list {
        for scenario in scenarios() {
            println!("{:<20} {}", scenario.name, scenario.about);
        }
        return Ok(Exit::Passed);
    }
    let stories = chosen(args)?;
    block_on(async {
        let told = tell_all(args, &stories);
        tokio::select! {
            exit = told => exit,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("\nstopped; what was told so far is in {}", args.dir.display());
                Ok(Exit::NoVerdict)
            }
        }
    })
}

fn chosen(args: &Demo) -> Result<Vec<Scenario>, Failure> {
    let seeded = |scenario: Scenario| scenario.with_seed(args.seed);
    match &args.name {
        None => Ok(scenarios().into_iter().filter(|scenario| scenario.unasked).map(seeded).collect()),
        Some(name) => match Scenario::named(name) {
            Some(scenario) => Ok(vec![seeded(scenario)]),
            None => {
                let known: Vec<&str> = scenarios().iter().map(|scenario| scenario.name).collect();
                let what = format!("there is no story called `{name}`; there are: {}", known.join(", "));
                Err(Failure::usage(anyhow::anyhow!(what)))
            }
        },
    }
}

async fn tell_all(args: &Demo, stories: &[Scenario]) -> Outcome {
    let mut teller = Teller::new(args.json);
    teller.opening(stories, args.seed);
    let mut exit = Exit::Passed;
    for scenario in stories {
        let dir = args.dir.join(scenario.name);
        let played = stage::play(scenario, &dir, &mut teller).await?;
        let flaws = played.summary.flaws(&scenario.expected, played.began);
        teller.closing(scenario, &played, &flaws);
        if let (false, Some(busy)) = (flaws.is_empty(), played.pulse.words()) {
            teller.excuse(&busy);
        }
        if !flaws.is_empty() {
            exit = Exit::Refused;
        } else if stories.len() == 1 {
            exit = exit_of(&played.summary);
        }
    }
    Ok(exit)
}

/// A single story ends as its rollout did; several together succeed when all ended as they should.
fn exit_of(summary: &Summary) -> Exit {
    match summary.outcome {
        Some(StoryOutcome::RolledBack) => Exit::RolledBack,
        Some(StoryOutcome::Stopped) => Exit::Refused,
        _ => Exit::Passed,
    }
}
