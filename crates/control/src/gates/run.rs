//! One look of a gate: never longer than its deadline, never a pass if it breaks, waivers applied. And several, side by side.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;

use crossfade_gates::look::{broke, cannot_look, too_late};
use crossfade_gates::report::{Report, Verdict};
use crossfade_gates::waiver::{self, Waiver};
use crossfade_rollout::event::{Gate, Outcome};
use crossfade_rollout::moments::is_ahead;
use crossfade_rollout::spec;
use crossfade_routing::UnixNanos;
use crossfade_yaml::Duration;
use tokio::time::{Instant, timeout};

use super::{Cx, Gates, coverage, dependencies, drift, history, load, parity, policy, posture, probe};

/// What one line has room for of a finding's words; the report has them all.
const DETAIL_CHARS_MAX: usize = 200;

impl Gates {
    /// Runs one gate.
    pub async fn look(&self, gate: Gate, cx: &Cx<'_>) -> Report {
        let (deadline, waivers) = (cx.settings.deadline(gate), &cx.settings.waivers);
        let work = async { Ok::<_, Infallible>(run(gate, cx).await) };
        match guarded(gate, deadline, waivers, cx.now, work).await {
            Ok(report) => report,
            Err(never) => match never {},
        }
    }

    /// Runs several gates side by side, those that others have to be done for after them; `each` sees every report as it
    /// comes. In the order of `gates`.
    pub async fn look_at_all<'a>(
        &'a self,
        gates: &[Gate],
        cx_of: impl Fn(Gate) -> Cx<'a>,
        mut each: impl FnMut(&Report),
    ) -> Vec<Report> {
        let mut done: Vec<(Gate, Report)> = Vec::new();
        while done.len() < gates.len() {
            let open = |gate: &Gate| !done.iter().any(|(known, _)| known == gate);
            let ready = |gate: &Gate| gates.iter().all(|other| !is_ahead(*other, *gate) || !open(other));
            let next: Vec<Gate> = gates.iter().copied().filter(|gate| open(gate) && ready(gate)).collect();
            let found: Vec<serde_json::Value> =
                done.iter().filter_map(|(_, report)| serde_json::to_value(report).ok()).collect();
            let found = &found;
            let looks = next.iter().map(|gate| {
                let cx = cx_of(*gate);
                async move { (*gate, self.look(*gate, &Cx { found, ..cx }).await) }
            });
            let reports = side_by_side(looks, |(_, report)| each(report)).await;
            done.extend(reports);
        }
        let place = |gate: Gate| gates.iter().position(|other| *other == gate);
        done.sort_by_key(|(gate, _)| place(*gate));
        done.into_iter().map(|(_, report)| report).collect()
    }
}

/// What every look of a gate has, in a rollout and by its own command: an end, a report even if it breaks, and the waivers of the
/// spec.
///
/// # Errors
/// Those of `work`.
pub async fn guarded<E>(
    gate: Gate,
    deadline: std::time::Duration,
    waivers: &[spec::Waiver],
    now: UnixNanos,
    work: impl Future<Output = Result<Report, E>>,
) -> Result<Report, E> {
    let began = Instant::now();
    let report = match timeout(deadline, unbroken(work)).await {
        Ok(Some(report)) => report?,
        Ok(None) => broke(gate.name()),
        Err(_) => too_late(gate.name(), &Duration(deadline).to_string()),
    };
    let mut report = Report { took: Some(began.elapsed()), ..report };
    waiver::apply(&mut report, &applied(waivers), now.0);
    Ok(report)
}

async fn run(gate: Gate, cx: &Cx<'_>) -> Report {
    let or_why = |found: Result<Report, String>| found.unwrap_or_else(|why| cannot_look(gate.name(), why));
    match gate {
        Gate::Drift => drift::run(cx).await,
        Gate::Probe => probe::run(cx).await,
        Gate::Posture => posture::run(cx).await,
        Gate::Load => load::run(cx).await,
        Gate::Parity => or_why(parity::run(cx).await),
        Gate::Coverage => coverage::run(cx).await,
        Gate::Dependencies => dependencies::run(cx).await,
        Gate::History => or_why(history::run(cx).await),
        Gate::Policy => policy::run(cx).await,
    }
}

/// The future's result; `None` if it panics.
async fn unbroken<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    // Nothing that it was at is looked at again.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// All of them at once; `each` sees a result as it comes.
async fn side_by_side<'a, T, F: Future<Output = T> + 'a>(
    work: impl Iterator<Item = F>,
    mut each: impl FnMut(&T),
) -> Vec<T> {
    let mut open: Vec<Pin<Box<F>>> = work.map(Box::pin).collect();
    let mut done = Vec::new();
    poll_fn(|cx| {
        open.retain_mut(|one| match one.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                each(&result);
                done.push(result);
                false
            }
        });
        if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}

fn applied(waivers: &[spec::Waiver]) -> Vec<Waiver> {
    let one = |waiver: &spec::Waiver| Waiver {
        finding: waiver.finding.value.clone(),
        place: waiver.place.clone(),
        reason: waiver.reason.clone(),
        owner: waiver.owner.clone(),
        expires: waiver.expires.0.0,
        expires_text: waiver.expires.to_string(),
    };
    waivers.iter().map(one).collect()
}

/// A report's verdict, as the log has it.
pub(crate) fn outcome(report: &Report) -> Outcome {
    match report.verdict() {
        Verdict::Pass => Outcome::Pass,
        Verdict::Fail => Outcome::Fail,
        Verdict::NoVerdict => Outcome::NoVerdict,
    }
}

/// One line that says what is to be mended, and what was waived.
pub(crate) fn summary(report: &Report) -> String {
    let mut line = report.summary.clone();
    if let Some(first) = report.first().filter(|first| first.detail != report.summary) {
        let detail: String = first.detail.chars().take(DETAIL_CHARS_MAX).collect();
        let place = &first.place;
        let component =
            place.component.as_ref().map_or_else(String::new, |component| format!(" {component}"));
        let file = place.file.as_ref().map_or_else(String::new, |file| {
            let file = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            place.line.map_or_else(|| format!(" ({file})"), |line| format!(" ({file}:{line})"))
        });
        line.push_str(&format!("; first: {} {}{component}{file}: {detail}", first.id, first.rule));
    }
    let waived = |finding: &&crossfade_gates::Finding| {
        matches!(finding.accepted, Some(crossfade_gates::Accepted::Waiver { .. }))
    };
    match report.findings.iter().filter(waived).count() {
        0 => {}
        waived => line.push_str(&format!("; {waived} waived")),
    }
    line
}

#[cfg(test)]
mod tests {
    use crossfade_gates::report::Verdict;

    use super::*;

    /// Guarantee: a look that hangs or breaks is no verdict, whoever asked for it; what is wrong with the question stays an error.
    #[tokio::test(start_paused = true)]
    async fn every_look_comes_to_an_end() {
        let minute = std::time::Duration::from_secs(60);
        let hangs = guarded::<()>(Gate::Coverage, minute, &[], UnixNanos(0), std::future::pending());
        assert_eq!(hangs.await.unwrap().verdict(), Verdict::NoVerdict);
        let breaks = async { if true { panic!("a test") } else { Err(()) } };
        let broken = guarded(Gate::Coverage, minute, &[], UnixNanos(0), breaks).await.unwrap();
        assert_eq!(broken.verdict(), Verdict::NoVerdict);
        let refused =
            guarded(Gate::Coverage, minute, &[], UnixNanos(0), async { Err("no such environment") });
        assert_eq!(refused.await.unwrap_err(), "no such environment");
    }
}
