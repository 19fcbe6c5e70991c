//! Waiting for traffic: within a rollout's step a gate that has seen too little for a verdict looks again a little later.
//!
//! A step without enough traffic has no verdict, and without one the rollout stops. As the analysis does, gates give traffic some
//! time to come before that: half of their own deadline.

use std::time::Duration;

use crossfade_gates::Finding;
use crossfade_gates::report::{Report, Verdict};
use crossfade_gates::rule::Severity;
use crossfade_routing::UnixNanos;
use tokio::time::{Instant, sleep};

use super::Cx;
use crate::clock;

/// Pauses between two looks.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// Looks, and again as long as `too_little` is all that stands against a verdict. `look` gets the time that it is, and how long it may
/// take.
pub(super) async fn traffic<F: Future<Output = Report>>(
    cx: &Cx<'_>,
    deadline: Duration,
    too_little: fn(&Finding) -> bool,
    look: impl Fn(UnixNanos, Duration) -> F,
) -> Report {
    let began = Instant::now();
    let (mut now, mut pause) = (cx.now, PAUSES[0]);
    loop {
        let report = look(now, deadline.saturating_sub(began.elapsed())).await;
        let may_wait = cx.since.is_some() && began.elapsed() + pause < deadline / 2;
        if !may_wait || !lacks_only(&report, too_little) {
            return report;
        }
        cx.gauge.set(0, 0, "waiting for traffic");
        sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSES[1]);
        now = clock::now();
    }
}

/// Whether nothing but too little traffic keeps a verdict back.
fn lacks_only(report: &Report, too_little: fn(&Finding) -> bool) -> bool {
    let mut unknown = report.findings.iter().filter(|finding| finding.severity == Severity::Unknown);
    report.verdict() == Verdict::NoVerdict && unknown.all(too_little)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crossfade_gates::difference::{Rules, Store};
    use crossfade_gates::parity::{Limits, Names, Parity, is_too_few};
    use crossfade_rollout::Spec;
    use crossfade_routing::Seed;
    use crossfade_stats::Confidence;

    use super::super::Gates;
    use super::*;
    use crate::site::Site;

    const SITE: &str = "environments:
  blue: { otlp: { endpoint: 'http://127.0.0.1:1' } }
  green: { otlp: { endpoint: 'http://127.0.0.1:2' } }
";

    fn few() -> Report {
        let names = Names { active: "blue".into(), candidate: "green".into() };
        let limits = Limits { differ_max: 0.01, confidence: Confidence::P95 };
        Parity::new(names, Rules::between(Store::Jaeger, Store::Jaeger), limits)
            .report(serde_json::Value::Null)
    }

    /// Scenario: traffic is too little, until the third look; for good; and nothing runs that could bring more.
    /// Guarantee: in a step it is waited for, for half of the deadline; beside a rollout it is not; what is no pass stays none.
    #[tokio::test(start_paused = true)]
    async fn traffic_is_waited_for_within_a_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crossfade.yaml");
        std::fs::write(&path, SITE).unwrap();
        let site = std::sync::Arc::new(Site::load(&path, &|_| None).unwrap());
        let text = "{ name: x, from: blue, to: green, steps: [{ weight: { percent: 100, duration: 1m } }, promote, finalize] }";
        let spec: Spec = crate::spec::read(text, "rollout.yaml").unwrap();
        let outline = spec.outline("x".parse().unwrap(), Seed(1)).unwrap();
        let gates = Gates::with_key(site, Vec::new());
        let looks = |since: Option<UnixNanos>, enough_at: u32| {
            let cx = Cx { since, ..gates.cx(&outline, 1) };
            async move {
                let count = Cell::new(0);
                let look = |_, _| {
                    count.set(count.get() + 1);
                    let enough = Report::new("parity", "", Vec::new(), serde_json::Value::Null);
                    std::future::ready(if count.get() < enough_at { few() } else { enough })
                };
                let began = Instant::now();
                let report = traffic(&cx, Duration::from_secs(300), is_too_few, look).await;
                (report.verdict(), count.get(), began.elapsed())
            }
        };
        let step = Some(UnixNanos(1));
        let (verdict, count, _) = looks(step, 3).await;
        assert_eq!((verdict, count), (Verdict::Pass, 3));
        let (verdict, count, took) = looks(step, u32::MAX).await;
        assert_eq!(verdict, Verdict::NoVerdict);
        assert!(count > 3 && took < Duration::from_secs(150), "{count} looks in {took:?}");
        let (verdict, count, _) = looks(None, 3).await;
        assert_eq!((verdict, count), (Verdict::NoVerdict, 1));
    }
}
