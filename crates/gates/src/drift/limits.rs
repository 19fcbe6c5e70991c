//! The memory limiter's limits, where green's are so far above blue's that they limit nothing.

use crossfade_yaml::{Node, Value};

use super::classify::Subject;
use super::ids::Section;
use super::path::Path;
use super::rules;
use crate::rule::Rule;

/// More than this often as much is another limit, and no other size.
const TIMES: f64 = 4.0;
/// Above this share of the memory the process is ended before the limiter acts.
const PERCENT_MAX: f64 = 95.0;

/// The rule and the sentence for a limit that is none any more.
pub(crate) fn weakened(
    subject: Subject<'_>,
    path: &Path,
    blue: &Node,
    green: &Node,
) -> Option<(&'static Rule, String)> {
    let Subject::Component { section: Section::Processors, kind: "memorylimiter" } = subject else {
        return None;
    };
    let (b, g) = (amount(blue)?, amount(green)?);
    let far = b > 0.0 && g > b * TIMES;
    let no_room = g > PERCENT_MAX && b <= PERCENT_MAX;
    let detail = match path.keys().as_slice() {
        ["limit_mib" | "limit_percentage" | "check_interval"] if far => {
            format!("more than {TIMES} times what blue has")
        }
        ["limit_percentage"] if no_room => format!("above {PERCENT_MAX} % it does not act in time"),
        _ => return None,
    };
    Some((&rules::MEMORY_LIMITER, format!("green's memory limiter hardly limits: {detail}")))
}

/// A number, or a duration in seconds.
fn amount(node: &Node) -> Option<f64> {
    match &node.value {
        #[allow(clippy::cast_precision_loss, reason = "limits are compared by their order of magnitude")]
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::String(text) => text.parse::<crossfade_yaml::Duration>().ok().map(|d| d.get().as_secs_f64()),
        _ => None,
    }
}
