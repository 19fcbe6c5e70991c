//! No change is passed over in silence: every value of real configurations, changed or taken away, one at a time.

use crossfade_yaml::{Node, Value};

use super::noise::{CONFIGS, read};
use super::*;

/// The places of all values that are no map, as steps of keys and indexes.
fn places(node: &Node, at: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    match &node.value {
        Value::Map(map) if !map.is_empty() => {
            for (key, value) in map.iter() {
                at.push(Step::Key(key.name.clone()));
                places(value, at, out);
                at.pop();
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                at.push(Step::Index(i));
                places(item, at, out);
                at.pop();
            }
        }
        _ => out.push(at.clone()),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

fn change(node: &mut Node, at: &[Step], act: &dyn Fn(&mut Node) -> bool) {
    let remove = match (at, &mut node.value) {
        ([], _) => return,
        ([Step::Key(key)], Value::Map(map)) => map.get_mut(key).is_some_and(act),
        ([Step::Index(i)], Value::List(items)) => items.get_mut(*i).is_some_and(act),
        ([Step::Key(key), rest @ ..], Value::Map(map)) => {
            return map.get_mut(key).into_iter().for_each(|n| change(n, rest, act));
        }
        ([Step::Index(i), rest @ ..], Value::List(items)) => {
            return items.get_mut(*i).into_iter().for_each(|n| change(n, rest, act));
        }
        _ => return,
    };
    match (at, &mut node.value) {
        ([Step::Key(key)], Value::Map(map)) if remove => drop(map.remove(key)),
        ([Step::Index(i)], Value::List(items)) if remove => drop(items.remove(*i)),
        _ => {}
    }
}

fn all() -> Vec<(&'static str, Node)> {
    let wanted = ["demo-full", "jaeger", "jaeger-elasticsearch", "jaeger-service", "helm-k8s"];
    let mut all: Vec<_> =
        CONFIGS.iter().filter(|(name, _)| wanted.contains(name)).map(|c| (c.0, read(c))).collect();
    all.push(("base", tree(BASE, "base.yaml")));
    all
}

/// Compares each configuration with itself after `act` on one value, for every value, both ways round.
fn after_each(act: &dyn Fn(&mut Node) -> bool, fine: &dyn Fn(&DriftReport) -> bool) -> usize {
    let mut tried = 0;
    for (name, blue) in all() {
        let mut found = Vec::new();
        places(&blue, &mut Vec::new(), &mut found);
        for (i, at) in found.iter().enumerate() {
            let mut green = blue.clone();
            change(&mut green, at, act);
            let (b, g) = if i % 2 == 0 { (&blue, &green) } else { (&green, &blue) };
            let report = drift(b, g, &[], &Context::default());
            assert!(
                fine(&report),
                "{name}: {at:?} is passed over\n{}",
                render::text(&report, render::Detail::All)
            );
            tried += 1;
        }
    }
    tried
}

#[test]
fn a_changed_value_is_a_difference() {
    let set = |n: &mut Node| {
        *n = Node::new(Value::String("zz-something-else".to_owned()), n.mark.clone());
        false
    };
    let tried = after_each(&set, &|report| !differences(report).is_empty());
    assert!(tried > 400, "{tried}");
}

/// A value that is gone is a difference, or equals its default, and then that is said.
#[test]
fn a_missing_value_is_a_difference_or_a_default() {
    let said = |report: &DriftReport| !differences(report).is_empty() || !report.equivalent.is_empty();
    assert!(after_each(&|_| true, &said) > 400);
}
