//! What a configuration masks, or removes, of what spans say: so that somebody asks whether the other does.

use crossfade_yaml::Node;

/// Words of OTTL statements that change what a value says, or take it away.
const STATEMENTS: [&str; 8] =
    ["replace_", "delete_", "keep_keys", "keep_matching", "SHA1(", "SHA256(", "SHA512(", "Murmur3"];

/// The processors of the pipelines of traces that mask or remove, by id, in order: `redaction/pan`.
pub fn masking(config: &Node) -> Vec<String> {
    let pipelines = config.at(&["service", "pipelines"]).and_then(Node::as_map);
    let traces = pipelines.into_iter().flat_map(|all| all.iter()).filter(|(key, _)| {
        let name = key.name.as_str();
        name == "traces" || name.starts_with("traces/")
    });
    let used = traces.filter_map(|(_, pipeline)| pipeline.get("processors")?.as_list()).flatten();
    let mut found: Vec<String> = Vec::new();
    for id in used.filter_map(Node::as_str) {
        let masks = masks(id.split('/').next().unwrap_or(id), config.at(&["processors", id]));
        if masks && !found.iter().any(|known| known == id) {
            found.push(id.to_owned());
        }
    }
    found
}

fn masks(kind: &str, settings: Option<&Node>) -> bool {
    match (kind, settings) {
        ("redaction", _) => true,
        ("attributes" | "resource", Some(settings)) => {
            let actions = settings.get("actions").or_else(|| settings.get("attributes"));
            let actions = actions.and_then(Node::as_list).unwrap_or_default();
            actions
                .iter()
                .any(|one| matches!(one.get("action").and_then(Node::as_str), Some("delete" | "hash")))
        }
        ("transform", Some(settings)) => settings.get("trace_statements").is_some_and(says),
        _ => false,
    }
}

/// Whether any statement below changes what a value says.
fn says(node: &Node) -> bool {
    if let Some(text) = node.as_str() {
        return STATEMENTS.iter().any(|word| text.contains(word));
    }
    node.as_list().is_some_and(|all| all.iter().any(says))
        || node.as_map().is_some_and(|all| all.iter().any(|(_, node)| says(node)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::load;

    /// Guarantee: what masks in a pipeline of traces is named, once; what does not, or does elsewhere, or not at all, is not.
    #[test]
    fn what_masks_is_named() {
        let text = r#"
processors:
  redaction/pan: { allow_all_keys: true, blocked_values: ["4[0-9]{15}"] }
  redaction/logs: { allow_all_keys: true }
  redaction/unused: {}
  attributes/tag: { actions: [{ key: zone, action: upsert, value: a }] }
  attributes/hash: { actions: [{ key: user, action: hash }] }
  resource/less: { attributes: [{ key: host.ip, action: delete }] }
  transform/name: { trace_statements: [{ context: span, statements: ['set(name, "a")'] }] }
  transform/mail: { trace_statements: ['replace_pattern(span.attributes["m"], "@.*", "@")'] }
  transform/metrics: { metric_statements: ['delete_key(datapoint.attributes, "a")'] }
  batch: {}
service:
  pipelines:
    traces: { receivers: [otlp], processors: [redaction/pan, attributes/tag, transform/name, transform/mail, batch], exporters: [otlp] }
    traces/2: { receivers: [otlp], processors: [redaction/pan, attributes/hash, resource/less, transform/metrics], exporters: [otlp] }
    logs: { receivers: [otlp], processors: [redaction/logs], exporters: [otlp] }
"#;
        let node = load(&[("blue.yaml", text)], &crate::drift::KeepReferences).unwrap();
        assert_eq!(masking(&node), ["redaction/pan", "transform/mail", "attributes/hash", "resource/less"]);
    }
}
