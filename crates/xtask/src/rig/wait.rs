//! Waiting for a condition, with a deadline. The only place that pauses.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Between the first two looks; then longer and longer, since some looks cost a whole process.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Asks until the answer is something. `what` completes "waited … for".
pub(crate) fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() >= limit {
            bail!("waited {:.0} s for {what}, in vain", limit.as_secs_f64());
        }
        sleep(pause);
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
    }
}

#[allow(clippy::disallowed_methods, reason = "the pause between two looks at a condition, and nothing else")]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = until("three", Duration::from_secs(60), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn gives_up_and_says_what_was_awaited() {
        let answer = until::<()>("a miracle", Duration::from_millis(60), || Ok(None));
        assert!(answer.unwrap_err().to_string().contains("a miracle"));
    }
}
