//! What the settings of gates must mean.

use super::{At, Check, TRACES_MAX};
use crate::event::Gate;
use crate::spec::{Drift, Gates, Ignore, Moment, Probe, Waiver};
use crate::units::Share;

const ALLOW_MAX: usize = 500;
const WAIVERS_MAX: usize = 100;
const LIST_MAX: usize = 100;
const RATE_MAX: u32 = 10_000_000;
const SPANS_MAX: u32 = 10_000;
const ID: &str = "CF-";

pub(super) fn gates(check: &mut Check, gates: &Gates) {
    for gate in Gate::ALL {
        timing(check, gates, gate);
    }
    drift(check, &gates.drift);
    probe(check, &gates.probe);
    if let Some(load) = &gates.load {
        check.that(
            load.rate.is_none_or(|rate| (1..=RATE_MAX).contains(&rate)),
            &at(Gate::Load, "rate"),
            || {
                format!(
                    "write 1 to {RATE_MAX} spans per second, or leave it out for a multiple of the live rate"
                )
            },
        );
        check.that(load.multiple > Share::from_ppm(0), &at(Gate::Load, "multiple"), || {
            "nothing would be sent; write for instance 150%".to_owned()
        });
        check.that(load.errors_max < Share::from_ppm(1_000_000), &at(Gate::Load, "errors_max"), || {
            format!("{} of the spans: nothing would ever fail; write less than 100%", load.errors_max)
        });
        check.duration(&load.ramp, &at(Gate::Load, "ramp"));
        check.duration(&load.hold, &at(Gate::Load, "hold"));
        check.duration(&load.p99_max, &at(Gate::Load, "p99_max"));
        check.that(load.spike_multiple > Share::from_ppm(0), &at(Gate::Load, "spike_multiple"), || {
            "nothing would be sent; write for instance 150%, or spike: 0s".to_owned()
        });
        check.that(
            load.spans_per_request.is_none_or(|spans| (1..=SPANS_MAX).contains(&spans)),
            &at(Gate::Load, "spans_per_request"),
            || format!("write 1 to {SPANS_MAX}, or leave it out"),
        );
        check.that(load.traces <= TRACES_MAX, &at(Gate::Load, "traces"), || {
            format!("write at most {TRACES_MAX}")
        });
        check.that(load.length() <= load.deadline.0, &at(Gate::Load, "deadline"), || {
            format!(
                "ramp, hold, spike and read_back{} take up to {:?} together",
                if load.compare { ", for both environments," } else { "" },
                load.length()
            )
        });
    }
    if let Some(parity) = &gates.parity {
        traces(check, parity.traces, Gate::Parity);
        check.that(parity.differ_max > Share::from_ppm(0), &at(Gate::Parity, "differ_max"), || {
            "no number of equal traces proves that none differs; write for instance 1%".to_owned()
        });
        let is_share = (1..1_000_000).contains(&parity.confidence.ppm());
        check.that(is_share, &at(Gate::Parity, "confidence"), || {
            "nothing is as sure as that; write for instance 95%".to_owned()
        });
        check.duration(&parity.window, &at(Gate::Parity, "window"));
        ignored(check, &parity.ignore, &at(Gate::Parity, "ignore"));
    }
    if let Some(coverage) = &gates.coverage {
        check.duration(&coverage.window, &at(Gate::Coverage, "window"));
        check.duration(&coverage.before, &at(Gate::Coverage, "before"));
        let (zero, half) = (Share::from_ppm(0), Share::from_ppm(500_000));
        check.that(coverage.alpha > zero && coverage.alpha <= half, &at(Gate::Coverage, "alpha"), || {
            format!(
                "{} is no false-alarm probability; write more than 0 and at most 0.5, like 0.01",
                coverage.alpha
            )
        });
        list(check, &coverage.ignore, &at(Gate::Coverage, "ignore"));
    }
    if let Some(dependencies) = &gates.dependencies {
        check.duration(&dependencies.window, &at(Gate::Dependencies, "window"));
        list(check, &dependencies.simulated, &at(Gate::Dependencies, "simulated"));
        let named = dependencies.tests.keys().all(|key| !key.trim().is_empty());
        check.that(named && !dependencies.tests.is_empty(), &at(Gate::Dependencies, "tests"), || {
            "the test run's traces must be told apart; name an attribute, like `test.run: nightly`".to_owned()
        });
        check.that(dependencies.slower_max >= 1, &at(Gate::Dependencies, "slower_max"), || {
            "nothing is that fast; write for instance 2".to_owned()
        });
    }
    if let Some(history) = &gates.history {
        traces(check, history.traces, Gate::History);
        check.duration(&history.reach, &at(Gate::History, "reach"));
        check.that(history.settle < history.reach, &at(Gate::History, "settle"), || {
            format!(
                "nothing of the {} before the cut-over would be left to look at; make it shorter",
                history.reach
            )
        });
        if let Some(kept_for) = &history.kept_for {
            check.duration(kept_for, &at(Gate::History, "kept_for"));
        }
        ignored(check, &history.ignore, &at(Gate::History, "ignore"));
    }
    if let Some(policy) = &gates.policy {
        list(check, &policy.files, &at(Gate::Policy, "files"));
        let rego = |file: &String| file.ends_with(".rego") && !file.starts_with('/') && !file.contains("..");
        check.that(policy.files.iter().all(rego), &at(Gate::Policy, "files"), || {
            "a policy is a file that ends in .rego, below the folder of the site's configuration".to_owned()
        });
        let asks = policy.off.is_some() || !policy.standards.is_empty() || !policy.files.is_empty();
        check.that(asks, &[At::Key("gates"), At::Key("policy")], || {
            "no rules to ask; name `standards` or `files`".to_owned()
        });
    }
    waivers(check, &gates.waivers);
}

fn at(gate: Gate, field: &'static str) -> [At; 3] {
    [At::Key("gates"), At::Key(gate.name()), At::Key(field)]
}

/// What all gates have in common.
fn timing(check: &mut Check, gates: &Gates, gate: Gate) {
    let timing = gates.timing(gate);
    check.that(timing.off.is_none_or(|why| !why.trim().is_empty()), &at(gate, "off"), || {
        "no reason; say why this gate does not run, or remove the key".to_owned()
    });
    if let Some(when) = timing.when {
        let always = matches!(gate, Gate::Drift | Gate::Probe);
        check.that(
            !when.is_empty() && (!always || when.contains(&Moment::Preflight)),
            &at(gate, "when"),
            || match always {
                true => format!("{gate} always looks in preflight; add `preflight`"),
                false => format!("no moment; write `{gate}: {{ off: \"why\" }}` if it is not to run"),
            },
        );
        let twice = when.iter().enumerate().find(|(index, moment)| when[..*index].contains(moment));
        check.that(twice.is_none(), &at(gate, "when"), || "a moment is there twice; remove one".to_owned());
    }
    for (key, duration) in [("every", timing.every), ("deadline", timing.deadline)] {
        if let Some(duration) = duration {
            check.duration(&crossfade_yaml::Duration(duration), &at(gate, key));
        }
    }
}

fn drift(check: &mut Check, drift: &Drift) {
    let allow = at(Gate::Drift, "allow");
    let count = drift.allow.len();
    check.that(count <= ALLOW_MAX, &allow, || format!("{count} declarations; at most {ALLOW_MAX}"));
    for (index, declared) in drift.allow.iter().enumerate() {
        let field = |key| [allow.as_slice(), &[At::Index(index), At::Key(key)]].concat();
        check.that(!declared.path.value.trim().is_empty(), &field("path"), || {
            "an empty path; copy it from the drift report".to_owned()
        });
        check.that(!declared.reason.trim().is_empty(), &field("reason"), || {
            "no reason; say why this difference is wanted, for instance a ticket".to_owned()
        });
    }
}

fn probe(check: &mut Check, probe: &Probe) {
    traces(check, probe.traces, Gate::Probe);
    check.duration(&probe.deadline, &at(Gate::Probe, "deadline"));
    check.that(probe.searches <= TRACES_MAX, &at(Gate::Probe, "searches"), || {
        format!("write at most {TRACES_MAX}")
    });
    let twice = probe.masks.iter().enumerate().find(|(index, kind)| probe.masks[..*index].contains(kind));
    check.that(twice.is_none(), &at(Gate::Probe, "masks"), || "a kind is there twice; remove one".to_owned());
    if let Some(longest) = &probe.freshness_max {
        check.duration(longest, &at(Gate::Probe, "freshness_max"));
    }
}

fn traces(check: &mut Check, traces: u32, gate: Gate) {
    check.that((1..=TRACES_MAX).contains(&traces), &at(gate, "traces"), || {
        format!("{traces} traces; write 1 to {TRACES_MAX}")
    });
}

fn ignored(check: &mut Check, ignored: &[Ignore], at: &[At]) {
    check.that(ignored.len() <= LIST_MAX, at, || format!("{} entries; at most {LIST_MAX}", ignored.len()));
    for (index, entry) in ignored.iter().enumerate() {
        let field = |key| [at, &[At::Index(index), At::Key(key)]].concat();
        let is_some = !entry.attribute.trim_end_matches('*').trim().is_empty();
        check.that(is_some, &field("attribute"), || "no key; name the attribute".to_owned());
        check.that(!entry.reason.trim().is_empty(), &field("reason"), || {
            "no reason; say why it is meant to differ".to_owned()
        });
    }
}

fn list(check: &mut Check, list: &[String], at: &[At]) {
    check.that(list.len() <= LIST_MAX, at, || format!("{} entries; at most {LIST_MAX}", list.len()));
    let empty = list.iter().position(|entry| entry.trim().is_empty());
    let place = [at, &[At::Index(empty.unwrap_or_default())]].concat();
    check.that(empty.is_none(), &place, || "an empty entry; remove it".to_owned());
}

fn waivers(check: &mut Check, waivers: &[Waiver]) {
    let all = [At::Key("gates"), At::Key("waivers")];
    check.that(waivers.len() <= WAIVERS_MAX, &all, || {
        format!("{} waivers; at most {WAIVERS_MAX}: mend something", waivers.len())
    });
    for (index, waiver) in waivers.iter().enumerate() {
        let field = |key| [all.as_slice(), &[At::Index(index), At::Key(key)]].concat();
        let id = &waiver.finding.value;
        check.that(is_id(id), &field("finding"), || {
            format!("`{id}` is no finding's id; copy one from a report, like CF-POSTURE-004")
        });
        check.that(
            waiver.place.as_ref().is_none_or(|place| !place.trim().is_empty()),
            &field("where"),
            || {
                "an empty place; name one, or remove the key to accept the risk wherever it is found"
                    .to_owned()
            },
        );
        // One finding's id stands for every rule of every policy.
        check.that(waiver.place.is_some() || !is_denial(id), &field("where"), || {
            "what a policy denies is waived requirement by requirement; name it as the finding does, like `PCI DSS 6.5.1`"
                .to_owned()
        });
        check.that(!waiver.reason.trim().is_empty(), &field("reason"), || {
            "no reason; say why the risk is taken".to_owned()
        });
        check.that(!waiver.owner.trim().is_empty(), &field("owner"), || {
            "no owner; name a role or a ticket that answers for it".to_owned()
        });
    }
}

fn is_denial(id: &str) -> bool {
    id.strip_prefix(ID).is_some_and(|rest| rest.starts_with("POLICY-"))
}

/// `CF-<WORD>-<three digits>`: the form. The word is not always its gate's name, and which ids there are is not known here.
fn is_id(id: &str) -> bool {
    let parts = id.strip_prefix(ID).and_then(|rest| rest.rsplit_once('-'));
    parts.is_some_and(|(word, number)| {
        let named = !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_uppercase());
        named && number.len() == 3 && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}
