//! The Collector's merge of several files.

use crate::node::{Node, Value};

/// Lays `overlay` over `base`, as the Collector merges its `--config` files from left to right: maps merge key by
/// key at every depth, anything else - lists above all - replaces.
///
/// An explicit null deletes what it covers: a plain value or a list goes with its key; a map goes with all that is in
/// it, but its key stays, with null, because the Collector reads a key alone as "with defaults" (`protocols: {grpc:}`).
/// An overlay that is null as a whole (an empty file) changes nothing. Every value keeps its own mark.
pub fn merge(base: Node, overlay: Node) -> Node {
    if overlay.is_null() { base } else { lay(base, overlay) }
}

fn lay(base: Node, overlay: Node) -> Node {
    match (base.value, overlay.value) {
        (Value::Map(mut below), Value::Map(above)) => {
            for (key, node) in above.into_entries() {
                let Some(slot) = below.get_mut(&key.name) else {
                    below.insert(key, node);
                    continue;
                };
                if node.is_null() && slot.as_map().is_none() {
                    below.remove(&key.name);
                    continue;
                }
                let under = std::mem::replace(slot, Node::null(key.mark.clone()));
                below.insert(key, lay(under, node));
            }
            Node::new(Value::Map(below), overlay.mark)
        }
        (_, value) => Node { value, ..overlay },
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use crate::parse::parse;

    fn check(files: &[&str], expected: &str) {
        let merged = files
            .iter()
            .enumerate()
            .map(|(i, text)| parse(text, &format!("{i}.yaml")).expect("parses"))
            .reduce(merge)
            .expect("at least one");
        assert_eq!(merged, parse(expected, "expected").expect("parses"));
    }

    #[test]
    fn maps_merge_deeply_and_lists_replace() {
        check(&["a: {b: {c: 1, d: [1, 2]}}", "a: {b: {d: [3], e: 4}}"], "a: {b: {c: 1, d: [3], e: 4}}");
    }

    #[test]
    fn an_explicit_null_deletes_what_it_covers() {
        check(&["a: {b: 1, c: [2], d: 3}", "a: {b: null, c: }"], "a: {d: 3}");
        check(&["a: {b: {c: 1}, d: 2}", "a: {b: null}"], "a: {b: null, d: 2}");
        check(&["a: {b: {c: 1}}", "a: {b: null}", "a: {b: {d: 2}}"], "a: {b: {d: 2}}");
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        check(&["a: 1", "", "b: 2"], "a: 1\nb: 2");
    }

    #[test]
    fn a_map_and_a_scalar_replace_each_other() {
        check(&["a: {b: 1}", "a: 2"], "a: 2");
        check(&["a: 2", "a: {b: 1}"], "a: {b: 1}");
    }

    #[test]
    fn values_keep_the_mark_of_the_file_they_came_from() {
        let merged = merge(
            parse("a:\n  b: 1\n  c: 1", "base.yaml").expect("parses"),
            parse("a: {c: 2}", "over.yaml").expect("parses"),
        );
        assert_eq!(merged.at(&["a", "b"]).expect("b").mark.to_string(), "base.yaml:2:6");
        assert_eq!(merged.at(&["a", "c"]).expect("c").mark.to_string(), "over.yaml:1:8");
    }
}
