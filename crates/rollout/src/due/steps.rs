//! The steps, one after another: what each needs to begin, and what it needs to end.

use crossfade_routing::{Schedule, Stage, UnixNanos, Weight};

use super::{Cx, Flow, NEXT, Out, cut, gates, watch, way_back};
use crate::assess::{Assessment, carry};
use crate::event::{Event, GenerationCause, Outcome, StepEnd};
use crate::observed::Waiting;
use crate::spec::Step;
use crate::state::Running;

pub(super) fn go_on(cx: &Cx<'_>, out: &mut Out<'_>) -> Flow {
    let (Some(step), Some(schedule)) = (cx.rollout.step(), cx.schedule()) else { return NEXT };
    gates::missed(cx, out)?;
    if let Some(running) = &cx.rollout.running {
        return run(cx, out, step, running);
    }
    if cx.state.roster.is_empty() {
        return out.wait(Waiting::Gateway {});
    }
    let skipped = cx.rollout.full && is_skippable(cx, step);
    // What is looked at after promotion is looked at whoever is in a hurry. A step without time of its own is at its end.
    let closing = skipped || !step.takes_time();
    let passed = cx.rollout.promoted.is_none() || gates::in_step(cx, out, closing)?;
    if skipped {
        if cx.is_paused(out) || !passed {
            return NEXT;
        }
        let (rollout, step, how) = (cx.rollout.id.clone(), cx.rollout.step, StepEnd::Skipped);
        let carried = watch::carried(cx.rollout);
        return out.record(vec![Event::StepEnded { rollout, step, how, carried, at: cx.now }]);
    }
    match step {
        Step::Mirror { percent, .. } => mirror(cx, out, schedule, *percent),
        Step::Weight { percent, .. } => cut::weight(cx, out, schedule, *percent),
        Step::Pause { .. } if cx.is_paused(out) => NEXT,
        Step::Pause { .. } => watch::begin(cx, out, schedule, Vec::new()),
        Step::Promote {} => promote(cx, out, schedule),
        Step::Bake { .. } if cx.is_paused(out) => NEXT,
        Step::Bake { mirror_back, .. } => {
            let (rollout, step, mirror_back) = (cx.rollout.id.clone(), cx.rollout.step, *mirror_back);
            let baking = Event::BakeStarted { rollout, step, mirror_back, at: cx.now };
            watch::begin(cx, out, schedule, vec![baking])
        }
        Step::Finalize {} if cx.is_paused(out) || !passed => NEXT,
        Step::Finalize {} => finalize(cx, out, schedule),
    }
}

/// What `promote --full` passes over: all waiting, but not the way to 100 %, not promotion, not the end.
fn is_skippable(cx: &Cx<'_>, step: &Step) -> bool {
    match step {
        Step::Mirror { .. } | Step::Pause { .. } | Step::Bake { .. } => true,
        // A cut that gateways know of is not taken back.
        Step::Weight { percent, .. } => {
            let committed = cx.schedule().is_some_and(|schedule| schedule.weight() >= *percent);
            *percent < Weight::FULL && cx.rollout.cut.is_none() && !committed
        }
        Step::Promote {} | Step::Finalize {} => false,
    }
}

fn mirror(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule, percent: Weight) -> Flow {
    if cx.is_paused(out) || !acknowledged(cx, out) {
        return NEXT;
    }
    if schedule.mirror() != percent {
        let mirrored = schedule.mirrored(percent);
        return out.issue(mirrored, GenerationCause::Mirror, cx.now, |issued| vec![issued]);
    }
    watch::begin(cx, out, schedule, Vec::new())
}

/// Every rostered gateway has acknowledged the generation in force; says who has not.
fn acknowledged(cx: &Cx<'_>, out: &mut Out<'_>) -> bool {
    let generation = cx.state.generation();
    let all = cx.state.acknowledged >= Some(generation);
    if !all {
        out.note(Waiting::Acknowledgements { generation, gateways: cx.fleet.behind(generation) });
    }
    all
}

fn promote(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule) -> Flow {
    if !acknowledged(cx, out) {
        return NEXT;
    }
    let (rollout, generation) = (cx.rollout.id.clone(), schedule.generation());
    if let Stage::Promoted { .. } = schedule.stage() {
        return out.record(vec![Event::Promoted { rollout, generation, at: cx.now }]);
    }
    if cx.is_paused(out) || !cut::rechecked(cx, out)? {
        return NEXT;
    }
    let promoted = schedule.promoted(cx.rollout.outline.mirror_back());
    out.issue(promoted, GenerationCause::Promotion, cx.now, |issued| vec![issued])
}

fn finalize(cx: &Cx<'_>, out: &mut Out<'_>, schedule: &Schedule) -> Flow {
    if !acknowledged(cx, out) {
        return NEXT;
    }
    let until = schedule.settled_at();
    if cx.now < until {
        return out.wait(Waiting::CutSettles { until });
    }
    let (rollout, step, at) = (cx.rollout.id.clone(), cx.rollout.step, cx.now);
    let started = Event::FinalizeStarted { rollout, step, at };
    out.issue(schedule.finalized(), GenerationCause::Finalize, at, |issued| vec![started, issued])
}

/// A step that runs: judged at every look, recorded now and then, ended when it is time and the verdict allows.
fn run(cx: &Cx<'_>, out: &mut Out<'_>, step: &Step, running: &Running) -> Flow {
    let assessment = watch::look(cx, running);
    if let Some(assessment) = &assessment {
        out.report.readings = assessment.readings.clone();
        if assessment.outcome == Outcome::Fail {
            way_back::failed(cx, out, assessment.clone())?;
        }
    }
    way_back::failed_before(cx, out, running)?;
    if let Some(assessment) = &assessment {
        watch::window(cx, out, running, assessment)?;
    }
    watch::probe(cx, out, running)?;
    watch::record(cx, out, running)?;
    let leave = running.leave || cx.rollout.full;
    let until = step_end(step, running);
    let closing = cx.rollout.paused.is_none() && (leave || until.is_some_and(|until| cx.now >= until));
    let passed = gates::in_step(cx, out, closing)?;
    if cx.is_paused(out) {
        return NEXT;
    }
    match until {
        _ if leave => {}
        None => return out.wait(Waiting::Promote {}),
        Some(until) if cx.now < until => {
            let left_ms = until.since(cx.now).map_or(0, |left| left.as_millis());
            let left_ms = u64::try_from(left_ms).unwrap_or(u64::MAX);
            out.note(Waiting::StepTime { step: cx.rollout.step, until, left_ms });
            return NEXT;
        }
        Some(_) => {}
    }
    if !passed {
        return NEXT;
    }
    end(cx, out, step, running, assessment, if leave { StepEnd::PromotedEarly } else { StepEnd::Elapsed })
}

/// When the step's time is up; `None` if only a person ends it. Paused time does not count.
pub(crate) fn step_end(step: &Step, running: &Running) -> Option<UnixNanos> {
    let duration = match step {
        Step::Mirror { duration, .. } | Step::Weight { duration, .. } | Step::Bake { duration, .. } => {
            duration.0
        }
        Step::Pause { duration } => duration.as_ref()?.0,
        Step::Promote {} | Step::Finalize {} => std::time::Duration::ZERO,
    };
    Some(running.at.plus(duration).plus(std::time::Duration::from_millis(running.paused_ms)))
}

fn end(
    cx: &Cx<'_>,
    out: &mut Out<'_>,
    step: &Step,
    running: &Running,
    assessment: Option<Assessment>,
    how: StepEnd,
) -> Flow {
    let (rollout, index, at) = (cx.rollout.id.clone(), cx.rollout.step, cx.now);
    let mut events = watch::counts(cx);
    let Some(assessment) = assessment else {
        let carried = watch::carried(cx.rollout);
        events.push(Event::StepEnded { rollout, step: index, how, carried, at });
        return out.record(events);
    };
    let may_end = how == StepEnd::PromotedEarly || step.ends_unjudged();
    if assessment.outcome == Outcome::NoVerdict && !may_end {
        return no_verdict(cx, out, running, assessment);
    }
    let carried = carry(&assessment);
    events.push(watch::verdict(cx, assessment));
    events.push(Event::StepEnded { rollout, step: index, how, carried, at });
    out.record(events)
}

/// The step's time is up, and the analysis cannot say anything: missing data never passes, and for too long it fails.
fn no_verdict(cx: &Cx<'_>, out: &mut Out<'_>, running: &Running, mut assessment: Assessment) -> Flow {
    let Some(since) = running.no_verdict else {
        let mut events = watch::counts(cx);
        events.push(watch::verdict(cx, assessment));
        return out.record(events);
    };
    let patience = cx.rollout.outline.analysis.no_verdict_max;
    let until = since.plus(patience.0);
    if cx.now >= until {
        assessment.outcome = Outcome::Fail;
        assessment.why = format!("no verdict for {patience}: {}", assessment.why);
        return way_back::failed(cx, out, assessment);
    }
    let need = u64::from(cx.rollout.outline.analysis.min_requests);
    let have = watch::requests(cx, running);
    if have < need {
        out.note(Waiting::Requests { have, need });
    }
    out.wait(Waiting::Verdict { why: assessment.why, until })
}
