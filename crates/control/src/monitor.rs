//! What monitoring is told of the control plane: beside the gateway's own metrics, and as warnings of readiness.

use std::fmt::Write;
use std::time::Duration;

use crossfade_rollout::event::Alert;
use crossfade_rollout::{Phase, rfc3339};

use crate::clock;
use crate::engine::Handle;
use crate::status::Status;

/// A control plane that has not looked for so long is told: it looks ten times a second.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Reads the last snapshot of the status; never waits for the engine.
#[derive(Clone)]
pub struct Monitor(Handle);

impl Monitor {
    pub(crate) fn new(handle: Handle) -> Monitor {
        Monitor(handle)
    }

    /// Prometheus text exposition (version 0.0.4).
    pub fn metrics(&self) -> String {
        metrics(&self.0.status())
    }

    /// What needs a person, a line each.
    pub fn warnings(&self) -> Vec<String> {
        warnings(&self.0.status(), clock::now().since(self.0.status().now))
    }
}

fn warnings(status: &Status, silent: Option<Duration>) -> Vec<String> {
    let alerts = status.alerts.iter();
    let alerts = alerts.map(|(alert, since)| format!("{alert} (since {})", rfc3339::format(*since)));
    let silent = silent.filter(|silent| *silent >= SILENCE_MAX).map(|silent| {
        format!(
            "the control plane has not looked for {} s: the disk under its log may hang, or it has ended",
            silent.as_secs()
        )
    });
    alerts.chain(silent).collect()
}

fn metrics(status: &Status) -> String {
    let mut page = String::new();
    let mut family = |name: &str, help: &str, samples: &[(String, String)]| {
        let samples: String =
            samples.iter().map(|(labels, value)| format!("{name}{labels} {value}\n")).collect();
        write!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n{samples}")
            .expect("a String takes every text");
    };
    let plain = |value: String| [(String::new(), value)];
    let alerts = [Alert::LogUnwritable, Alert::LedgerUnbalanced, Alert::BothFailing, Alert::ClockOff];
    let alerts = alerts.map(|alert| {
        let raised = u8::from(status.alerts.contains_key(&alert));
        (format!("{{alert=\"{}\"}}", name(alert)), raised.to_string())
    });
    family("crossfade_alert", "Whether something needs a person.", &alerts);
    let writable = u8::from(status.log.unwritable.is_none());
    family("crossfade_log_writable", "Whether the log takes entries.", &plain(writable.to_string()));
    family("crossfade_log_entries", "Entries in the log.", &plain(status.log.size.to_string()));
    let looked = format!("{}.{:09}", status.now.0 / 1_000_000_000, status.now.0 % 1_000_000_000);
    let help = "When the control plane last looked; it stands still while its disk hangs.";
    family("crossfade_control_last_look_timestamp_seconds", help, &plain(looked));
    let Some(rollout) = &status.rollout else { return page };
    let of = |more: &str| format!("{{rollout=\"{}\"{more}}}", rollout.id);
    let phase = of(&format!(",phase=\"{}\"", rollout.phase));
    let help = "The phase that the rollout that runs, or the last one, is in.";
    family("crossfade_rollout_phase", help, &[(phase, "1".to_owned())]);
    let help = "Its step that runs or comes next, from 1.";
    family("crossfade_rollout_step", help, &[(of(""), (u64::from(rollout.step) + 1).to_string())]);
    let owns = matches!(
        rollout.phase,
        Phase::Shifting { .. } | Phase::Promoted | Phase::Finalizing | Phase::Finalized
    );
    let weight = rollout.last_cut.filter(|_| owns).map_or(0, |cut| cut.weight.ppm());
    let weight = format!("{}.{:06}", weight / 1_000_000, weight % 1_000_000);
    family(
        "crossfade_rollout_weight_ratio",
        "The candidate's share of new traces, 0 to 1.",
        &[(of(""), weight)],
    );
    family(
        "crossfade_rollout_paused",
        "Whether it is paused.",
        &[(of(""), u8::from(rollout.paused.is_some()).to_string())],
    );
    page
}

/// As the log has it.
const fn name(alert: Alert) -> &'static str {
    match alert {
        Alert::LogUnwritable => "log_unwritable",
        Alert::LedgerUnbalanced => "ledger_unbalanced",
        Alert::BothFailing => "both_failing",
        Alert::ClockOff => "clock_off",
    }
}

#[cfg(test)]
mod tests {
    use crossfade_routing::UnixNanos;

    use super::*;

    #[test]
    fn an_alert_is_a_metric_and_a_warning() {
        let mut status = Status::empty("a/log", UnixNanos(1_500_000_000));
        let page = metrics(&status);
        for line in [
            "crossfade_alert{alert=\"log_unwritable\"} 0\n",
            "crossfade_log_writable 1\n",
            "crossfade_control_last_look_timestamp_seconds 1.500000000\n",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
        assert_eq!(warnings(&status, None), Vec::<String>::new());
        status.alerts.insert(Alert::LogUnwritable, UnixNanos(1_000_000_000));
        status.log.unwritable = Some("no space left on device".to_owned());
        let page = metrics(&status);
        assert!(page.contains("crossfade_alert{alert=\"log_unwritable\"} 1\n"), "{page}");
        assert!(page.contains("crossfade_log_writable 0\n"), "{page}");
        let told = warnings(&status, Some(Duration::from_secs(12)));
        assert_eq!(told[0], "the log cannot be written (since 1970-01-01T00:00:01.000000000Z)");
        assert!(told[1].starts_with("the control plane has not looked for 12 s"), "{told:?}");
        for alert in [Alert::LogUnwritable, Alert::LedgerUnbalanced, Alert::BothFailing, Alert::ClockOff] {
            assert_eq!(serde_json::to_value(alert).unwrap(), name(alert));
        }
    }
}
