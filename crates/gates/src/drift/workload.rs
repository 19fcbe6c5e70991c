//! What runs with a configuration of a manifest: arguments and variables of the container that reads it.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_yaml::{Key, Mark, Node, Resolution, Resolve, Value, expand};

use super::load::{LoadError, Loaded};
use super::manifest::with_arguments;
use super::secret::names_secret;

/// Flags that name a configuration's files.
const CONFIG_FLAGS: [&str; 3] = ["config", "config.file", "config-file"];

/// Puts arguments and variables into the configurations that containers of the same manifest read.
pub(super) fn apply(documents: &[Node], found: &mut [Loaded]) -> Result<(), LoadError> {
    let mut pods = Vec::new();
    documents.iter().for_each(|document| collect(document, &mut pods));
    let only = found.len() == 1;
    for pod in pods {
        for loaded in &mut *found {
            let name = loaded.name.split('/').next().unwrap_or_default();
            if let Some(container) = reader(pod, name, only) {
                run_with(container, &mut loaded.node)?;
            }
        }
    }
    Ok(())
}

/// The pods of a manifest, as their templates say.
fn collect<'n>(document: &'n Node, pods: &mut Vec<&'n Node>) {
    let kind = document.get("kind").and_then(Node::as_str).unwrap_or_default();
    match kind {
        "Pod" => pods.extend(document.get("spec")),
        "CronJob" => pods.extend(document.at(&["spec", "jobTemplate", "spec", "template", "spec"])),
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" => {
            pods.extend(document.at(&["spec", "template", "spec"]));
        }
        _ if kind.ends_with("List") => {
            list(document.get("items")).iter().for_each(|item| collect(item, pods))
        }
        _ => {}
    }
}

/// The container that reads the configuration of that name: it mounts it, and is told so by a flag where several do. Where a pod
/// says nothing of volumes, it is that of the only configuration there is.
fn reader<'n>(pod: &'n Node, name: &str, only: bool) -> Option<&'n Node> {
    let volumes = list(pod.get("volumes"));
    let holding: BTreeSet<&str> = volumes
        .iter()
        .filter(|volume| holds(volume, name))
        .filter_map(|volume| text(volume, "name"))
        .collect();
    let mounts = |container: &&Node| {
        let mounts = list(container.get("volumeMounts"));
        mounts.iter().any(|mount| text(mount, "name").is_some_and(|name| holding.contains(name)))
            || (mounts.is_empty() && !holding.is_empty())
    };
    let is_told = |container: &&Node| arguments(container).iter().any(|(key, _)| is_config(key));
    let containers = list(pod.get("containers"));
    let reading: Vec<&Node> = match volumes.is_empty() {
        true => containers.iter().filter(|container| only && is_told(container)).collect(),
        false => containers.iter().filter(mounts).collect(),
    };
    reading.iter().copied().find(is_told).or(reading.first().copied())
}

/// Whether a volume is the ConfigMap or Secret of that name, or has it in it. A configuration without a name has none.
fn holds(volume: &Node, name: &str) -> bool {
    let named = |source: &Node| {
        source
            .at(&["configMap", "name"])
            .or(source.at(&["secret", "secretName"]))
            .or(source.at(&["secret", "name"]))
            .and_then(Node::as_str)
            == Some(name)
    };
    named(volume) || list(volume.at(&["projected", "sources"])).iter().any(named)
}

fn run_with(container: &Node, node: &mut Node) -> Result<(), LoadError> {
    let variables = Variables::of(Some(container));
    let mut given = arguments(container);
    for (_, value) in &mut given {
        if let Value::String(text) = &mut value.value {
            *text = variables.replaced(text);
        }
    }
    let files = given.iter().filter(|(key, _)| is_config(key)).count();
    // The file is the configuration at hand; what comes from elsewhere beside it is not.
    given.retain(|(key, value)| {
        files > 1
            || !is_config(key)
            || value.as_str().is_some_and(|text| scheme(text).is_some_and(|s| s != "file"))
    });
    for (key, value) in &mut given {
        if let (true, Value::String(text)) = (is_config(key), &mut value.value)
            && scheme(text).is_some_and(|scheme| !matches!(scheme, "file" | "yaml"))
        {
            *text = format!("${{{text}}}");
        }
    }
    let taken = std::mem::replace(node, Node::null(node.mark.clone()));
    *node = with_arguments(taken, given, &container.mark)?;
    variables.put_into(node)
}

/// `--name=value`, `--name value`, `--name`: of command and arguments alike.
fn arguments(container: &Node) -> Vec<(Key, Node)> {
    let command = list(container.get("command")).iter().skip(1);
    let words: Vec<&Node> = command.chain(list(container.get("args"))).collect();
    let mut found = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.as_str().filter(|text| text.starts_with('-')) else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => {
                (name, Some(Node::new(Value::String(value.to_owned()), word.mark.clone())))
            }
            None => {
                let next = words.next_if(|next| next.as_str().is_some_and(|text| !text.starts_with('-')));
                (flag, next.cloned())
            }
        };
        let value = value.unwrap_or_else(|| Node::new(Value::Bool(true), word.mark.clone()));
        let name = name.trim_start_matches('-').to_owned();
        found.push((Key { name, mark: word.mark.clone() }, value));
    }
    found
}

fn is_config(key: &Key) -> bool {
    CONFIG_FLAGS.contains(&key.name.as_str())
}

/// What `--config` takes from elsewhere than a path.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    (scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_lowercase())).then_some(scheme)
}

fn list(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_list).unwrap_or_default()
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::as_str)
}

/// The variables that a container is given.
pub(super) struct Variables(BTreeMap<String, (String, Mark)>);

impl Variables {
    /// Those under `env`. What comes from a field of the pod is known by the field's name: `$(status.podIP)`; what comes from a
    /// Secret is not known.
    pub(super) fn of(container: Option<&Node>) -> Self {
        let mut variables = Self(BTreeMap::new());
        for one in list(container.and_then(|container| container.get("env"))) {
            let field = ["fieldRef", "resourceFieldRef"].iter().find_map(|kind| one.at(&["valueFrom", kind]));
            let field = field.and_then(|field| text(field, "fieldPath").or(text(field, "resource")));
            let (name, value) = (text(one, "name"), one.get("value"));
            let told = match (value.and_then(Node::scalar_text), field) {
                (Some(value), _) => variables.replaced(&value),
                (None, Some(field)) => format!("$({field})"),
                (None, None) => continue,
            };
            if let Some(name) = name {
                variables.0.insert(name.to_owned(), (told, value.unwrap_or(one).mark.clone()));
            }
        }
        variables
    }

    /// A text with each `$(NAME)` of a variable replaced, as Kubernetes does it.
    fn replaced(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, (value, _)) in self.0.iter().filter(|_| text.contains("$(")) {
            out = out.replace(&format!("$({name})"), value);
        }
        out
    }

    /// Replaces references to them.
    pub(super) fn put_into(&self, node: &mut Node) -> Result<(), LoadError> {
        if self.0.is_empty() { Ok(()) } else { Ok(expand(node, self)?) }
    }
}

impl Resolve for Variables {
    fn resolve(&self, scheme: &str, name: &str) -> Resolution {
        match self.0.get(name).filter(|_| scheme == "env") {
            Some((text, mark)) => Resolution::Found { text: text.clone(), mark: mark.clone(), whole: false },
            None => Resolution::Keep,
        }
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_secret(&self, _scheme: &str, name: &str) -> bool {
        names_secret(name)
    }
}
