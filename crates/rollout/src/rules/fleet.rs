//! The log's beginning, and the fleet.

use super::unless;
use crate::event::Event;
use crate::state::State;

pub(super) fn genesis(before: &State, event: &Event) -> Option<String> {
    match (event, &before.genesis) {
        (Event::Genesis { .. }, Some(_)) => Some("a second genesis".to_owned()),
        (Event::Genesis { .. }, None) | (_, Some(_)) => None,
        (_, None) => Some("an entry before the genesis".to_owned()),
    }
}

pub(super) fn roster(before: &State, event: &Event) -> Option<String> {
    match event {
        Event::GatewayRostered { gateway, .. } => {
            unless(!before.roster.contains_key(gateway), || format!("{gateway} joins, and is there already"))
        }
        Event::GatewayStruck { gateway, .. } => {
            unless(before.roster.contains_key(gateway), || format!("{gateway} is struck, and is not there"))
        }
        Event::AnalysisRecorded { gateway, boot, .. } => {
            let present = before.roster.get(gateway).and_then(Option::as_ref) == Some(boot);
            unless(present, || format!("counts of {gateway} as {boot}, which is not there"))
        }
        Event::GatewayBooted { gateway, boot, .. } => {
            let departed = before.departed.get(gateway).is_some_and(|boots| boots.contains(boot));
            let rostered = before.roster.contains_key(gateway);
            unless(rostered && !departed, || {
                format!("{gateway} boots as {boot}, which is over, or is not there")
            })
        }
        _ => None,
    }
}

pub(super) fn watermark(before: &State, event: &Event) -> Option<String> {
    let Event::HorizonWatermark { until, .. } = event else { return None };
    unless(Some(*until) > before.watermark, || format!("watermark {until} does not lie after the one before"))
}
