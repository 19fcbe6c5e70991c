//! A run in one line, as a table, and as facts for the evidence.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::judge::{Lane, Run, Unmeasured, held, highest_rate};
use super::limits::Limits;
use super::measured::{Counts, Found, Incomplete, Measured};

/// `50,000 spans/s in hold: p99 41 ms (blue 38 ms), errors 0.00 %, 200/200 read back; good for 75,000 spans/s or more`; where
/// there are several receivers, of each.
pub(super) fn summary(run: &Run) -> String {
    let lanes = &run.candidate.lanes;
    let told = lanes.iter().map(|lane| match lanes.len() {
        1 => lane_summary(run, lane),
        _ => format!("{}: {}", lane.protocol, lane_summary(run, lane)),
    });
    told.collect::<Vec<_>>().join("; ")
}

fn lane_summary(run: &Run, lane: &Lane) -> String {
    let measured = match &lane.measured {
        Ok(measured) => measured,
        Err(Unmeasured::Unreachable(why)) => return format!("nothing measured: {why}"),
        Err(Unmeasured::Refused(why) | Unmeasured::Unable(why)) => return format!("nothing offered: {why}"),
    };
    let Some(hold) = held(measured).or(measured.phases.last()) else {
        return "stopped before anything was offered".to_owned();
    };
    let share = run.limits.objectives.first().map_or(0.99, |objective| objective.share);
    let name = run.limits.objectives.first().map_or_else(|| "p99".to_owned(), |objective| objective.name());
    let quantile = |counts: &Counts| counts.latency.quantile(share).map_or("unknown".to_owned(), millis);
    let theirs = run.active.as_ref().and_then(|active| {
        let theirs = active.lanes.iter().find(|theirs| theirs.protocol == lane.protocol)?;
        let counts = held(theirs.measured.as_ref().ok()?)?;
        Some(format!(" ({} {})", active.environment, quantile(counts)))
    });
    let read = measured.read_back.total();
    let read = if measured.read_back.asked {
        format!(", {}/{} read back", read.whole, read.asked)
    } else {
        String::new()
    };
    format!(
        "{} spans/s in {}: {name} {}{}, errors {}{read}; {}",
        count(hold.phase.rate),
        hold.phase.part.name(),
        quantile(hold),
        theirs.unwrap_or_default(),
        percent(hold.error_share()),
        good_for(measured, &run.limits),
    )
}

fn good_for(measured: &Measured, limits: &Limits) -> String {
    match highest_rate(measured, limits) {
        None => "good for no rate that was tried".to_owned(),
        Some(highest) if highest.and_no_higher => format!("good for {} spans/s", count(highest.rate)),
        Some(highest) => format!("good for {} spans/s or more", count(highest.rate)),
    }
}

/// What every phase came to, for people; with two environments side by side, line by line.
pub fn table(run: &Run) -> String {
    let several = run.candidate.lanes.len() > 1;
    let beside = |lane: &Lane| {
        let active = run.active.as_ref()?;
        Some((active, active.lanes.iter().find(|theirs| theirs.protocol == lane.protocol)?))
    };
    let sides: Vec<(String, &Measured)> = run
        .candidate
        .lanes
        .iter()
        .flat_map(|lane| beside(lane).into_iter().chain([(&run.candidate, lane)]))
        .filter_map(|(side, lane)| {
            let name = match several {
                true => format!("{} {}", side.environment, lane.protocol),
                false => side.environment.clone(),
            };
            Some((name, lane.measured.as_ref().ok()?))
        })
        .collect();
    let rows = sides.iter().map(|(_, measured)| measured.phases.len()).max().unwrap_or(0);
    if rows == 0 {
        return String::new();
    }
    let widest = sides.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(11);
    let mut out = String::new();
    let head = ["spans/s", "accepted", "errors", "p50", "p90", "p99", "p99.9", "max"];
    let head = row_of(&head.map(str::to_owned));
    put(&mut out, &format!("  {:<9} {:<widest$}{head}", "phase", "environment"));
    for row in 0..rows {
        let mut title = None;
        for (side, measured) in &sides {
            let Some(counts) = measured.phases.get(row) else { continue };
            let name = counts.phase.part.name();
            let shown = if title.as_ref() == Some(&name) { "" } else { &name };
            put(&mut out, &format!("  {shown:<9} {side:<widest$}{}", cells(counts)));
            title = Some(name);
        }
    }
    for (side, measured) in &sides {
        put(&mut out, &format!("  {side} is {}", good_for(measured, &run.limits)));
    }
    out
}

fn cells(counts: &Counts) -> String {
    let latency = [0.5, 0.9, 0.99, 0.999, 1.0].map(|share| counts.latency.quantile(share));
    let latency = latency.map(|took| took.map_or("-".to_owned(), millis));
    let first = [count(counts.phase.rate), count(counts.accepted), percent(counts.error_share())];
    row_of(&[&first[..], &latency].concat())
}

fn row_of(cells: &[String]) -> String {
    let width = |column| match column {
        0 => 10,
        1 => 13,
        _ => 9,
    };
    cells.iter().enumerate().map(|(column, cell)| format!("{cell:>w$}", w = width(column))).collect()
}

/// Everything that was measured, bounded.
pub(super) fn facts(run: &Run) -> Value {
    let mut environments = serde_json::Map::new();
    for side in run.active.iter().chain([&run.candidate]) {
        let lanes = side.lanes.iter().map(|lane| {
            let mut facts = match &lane.measured {
                Ok(measured) => of(measured, &run.limits),
                Err(why) => json!({ "unmeasured": format!("{why:?}") }),
            };
            facts["protocol"] = lane.protocol.into();
            facts["compression"] = lane.coding.into();
            facts
        });
        let facts = json!({ "receivers": lanes.collect::<Vec<_>>() });
        environments.insert(side.environment.clone(), facts);
    }
    json!({
        "objectives": run.limits.objectives.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "worse_max": run.limits.worse_max,
        "errors_max": run.limits.errors_max,
        "environments": environments,
    })
}

fn of(measured: &Measured, limits: &Limits) -> Value {
    let highest = highest_rate(measured, limits);
    let example = |trace: &Incomplete| {
        json!({
            "trace_id": trace.trace_id.to_string(), "phase": trace.phase,
            "expected": trace.expected, "found": trace.found,
        })
    };
    let read = &measured.read_back;
    json!({
        "seed": measured.seed.to_string(),
        "at": measured.at.to_string(),
        "spans_per_request": measured.spans_per_request,
        "interrupted": measured.interrupted,
        "highest_rate_met": highest.map(|highest| highest.rate),
        "higher_rate_missed": highest.is_none_or(|highest| highest.and_no_higher),
        "phases": measured.phases.iter().map(phase).collect::<Vec<_>>(),
        "answers": measured.words.ranked(),
        "other_answers": measured.words.others,
        "read_back": {
            "asked": read.asked,
            "traces": found(&read.total()),
            "by_phase": read.phases.iter().map(found).collect::<Vec<_>>(),
            "examples": read.examples.iter().map(example).collect::<Vec<_>>(),
            "unknown": read.unknown,
        },
    })
}

fn phase(counts: &Counts) -> Value {
    json!({
        "phase": counts.phase.part.name(),
        "spans_per_second": counts.phase.rate,
        "seconds": counts.phase.duration.as_secs_f64(),
        "requests": counts.requests,
        "offered": counts.offered,
        "sent": counts.sent(),
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "retryable": counts.retryable,
        "unanswered": counts.unanswered,
        "unsent": counts.unsent,
        "abandoned": counts.abandoned,
        "requests_held": counts.held,
        "bytes": counts.bytes,
        "error_share": counts.error_share(),
        "latency": counts.latency.json(),
        "generator_lag": counts.lag.json(),
        "generator_busy": counts.busy,
    })
}

fn found(found: &Found) -> Value {
    json!({
        "asked": found.asked, "whole": found.whole, "torn": found.torn,
        "absent": found.absent, "unknown": found.unknown,
    })
}

/// `12,019`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.37 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// `4.1 ms`, `812 ms`, `12.4 s`.
pub(super) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes it");
}
