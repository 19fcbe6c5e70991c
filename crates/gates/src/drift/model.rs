//! A Collector configuration as the Collector sees it: components, pipelines, what uses what.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_yaml::{Map, Mark, Node};

use super::ids::{Id, Section};
use super::path::Path;
use super::values::names_extension;

/// One side's configuration.
pub(crate) struct Model<'n> {
    pub(crate) root: &'n Node,
    components: BTreeMap<(Section, Id), Component<'n>>,
    names: Names,
    pub(crate) pipelines: BTreeMap<Id, Pipeline<'n>>,
    pub(crate) extensions: References<'n>,
}

/// A defined component.
#[derive(Clone, Copy)]
pub(crate) struct Component<'n> {
    /// The id as written.
    pub(crate) written: &'n str,
    /// Where its key stands.
    pub(crate) mark: &'n Mark,
    pub(crate) settings: &'n Node,
}

impl<'n> Component<'n> {
    /// The settings that name extensions.
    pub(crate) fn extensions(&self) -> Vec<(Path, &'n Node)> {
        let mut found = Vec::new();
        extension_names(&Path::default(), self.settings, &mut found);
        found
    }
}

/// Which ids are told apart by their spelling. Two names of one type are one component's where a configuration has only one
/// of them; where it has both, the Collector runs both.
struct Names {
    ambiguous: BTreeSet<(Section, Id)>,
}

impl Names {
    fn of(root: &Node) -> Self {
        let (mut known, mut ambiguous) = (BTreeSet::new(), BTreeSet::new());
        for section in Section::ALL {
            for (key, _) in entries(root.get(section.key())) {
                let id = (section, Id::read(section, &key.name));
                if !known.insert(id.clone()) {
                    ambiguous.insert(id);
                }
            }
        }
        Self { ambiguous }
    }

    fn id(&self, section: Section, text: &str) -> Id {
        // A pipeline's ends may be connectors.
        let sections = match section {
            Section::Receivers | Section::Exporters => &[section, Section::Connectors][..],
            _ => &[section][..],
        };
        let id = Id::read(section, text);
        let ambiguous = sections.iter().any(|section| self.ambiguous.contains(&(*section, id.clone())));
        if ambiguous { id.spelled(text) } else { id }
    }
}

/// A pipeline of `service.pipelines`.
pub(crate) struct Pipeline<'n> {
    pub(crate) written: &'n str,
    pub(crate) mark: &'n Mark,
    /// All of it.
    pub(crate) node: &'n Node,
    pub(crate) receivers: References<'n>,
    pub(crate) processors: References<'n>,
    pub(crate) exporters: References<'n>,
}

/// A list of component ids.
#[derive(Clone)]
pub(crate) struct References<'n> {
    /// The list itself, if there is one.
    pub(crate) node: Option<&'n Node>,
    /// The mark of its key, or of what it is missing from.
    pub(crate) mark: &'n Mark,
    pub(crate) ids: Vec<Id>,
    pub(crate) written: Vec<&'n str>,
}

impl<'n> Model<'n> {
    /// Whether a tree is a Collector's (or Jaeger 2's) configuration.
    pub(crate) fn is_collector(root: &Node) -> bool {
        root.get("service").is_some_and(|s| s.get("pipelines").is_some() || s.get("extensions").is_some())
            || (root.get("receivers").is_some() && root.get("exporters").is_some())
    }

    pub(crate) fn read(root: &'n Node) -> Self {
        let names = Names::of(root);
        let mut components = BTreeMap::new();
        for section in Section::ALL {
            for (key, settings) in entries(root.get(section.key())) {
                let component = Component { written: &key.name, mark: &key.mark, settings };
                components.insert((section, names.id(section, &key.name)), component);
            }
        }
        let service = root.get("service");
        let pipelines = entries(service.and_then(|s| s.get("pipelines")))
            .map(|(key, node)| {
                let id = Id::read(Section::Processors, &key.name);
                let list = |name: &str, section| References::read(&names, section, node, name, &key.mark);
                let pipeline = Pipeline {
                    written: &key.name,
                    mark: &key.mark,
                    node,
                    receivers: list("receivers", Section::Receivers),
                    processors: list("processors", Section::Processors),
                    exporters: list("exporters", Section::Exporters),
                };
                (id, pipeline)
            })
            .collect();
        let extensions = match service {
            Some(service) => {
                References::read(&names, Section::Extensions, service, "extensions", &service.mark)
            }
            None => References::read(&names, Section::Extensions, root, "", &root.mark),
        };
        Self { root, components, names, pipelines, extensions }
    }

    pub(crate) fn component(&self, section: Section, id: &Id) -> Option<Component<'n>> {
        self.components.get(&(section, id.clone())).copied()
    }

    pub(crate) fn ids(&self, section: Section) -> impl Iterator<Item = &Id> {
        self.components.keys().filter(move |(s, _)| *s == section).map(|(_, id)| id)
    }

    /// A component's settings.
    pub(crate) fn settings(&self, section: Section, id: &Id) -> Option<&'n Node> {
        self.component(section, id).map(|c| c.settings)
    }

    /// Whether an id stands for a connector.
    pub(crate) fn is_connector(&self, id: &Id) -> bool {
        self.component(Section::Connectors, id).is_some()
    }

    /// The extension that a setting names.
    pub(crate) fn extension(&self, node: &Node) -> Id {
        self.names.id(Section::Extensions, node.as_str().unwrap_or_default())
    }

    /// The ids that a section's components are used under.
    pub(crate) fn used(&self, section: Section) -> BTreeSet<Id> {
        let all = self.pipelines.values();
        match section {
            Section::Receivers => all.flat_map(|p| &p.receivers.ids).cloned().collect(),
            Section::Processors => all.flat_map(|p| &p.processors.ids).cloned().collect(),
            Section::Exporters => all.flat_map(|p| &p.exporters.ids).cloned().collect(),
            Section::Connectors => {
                all.flat_map(|p| p.receivers.ids.iter().chain(&p.exporters.ids)).cloned().collect()
            }
            Section::Extensions => self.extensions.ids.iter().cloned().collect(),
        }
    }

    /// Every name in a pipeline or under service.extensions that no definition stands behind, with its place.
    pub(crate) fn undefined(&self) -> BTreeMap<(Section, Id), (&'n str, &'n Mark)> {
        let mut out = BTreeMap::new();
        let mut look = |section: Section, references: &References<'n>| {
            for (id, written) in references.ids.iter().zip(&references.written) {
                let connector =
                    matches!(section, Section::Receivers | Section::Exporters) && self.is_connector(id);
                if self.component(section, id).is_none() && !connector {
                    out.insert((section, id.clone()), (*written, references.mark));
                }
            }
        };
        for pipeline in self.pipelines.values() {
            look(Section::Receivers, &pipeline.receivers);
            look(Section::Processors, &pipeline.processors);
            look(Section::Exporters, &pipeline.exporters);
        }
        look(Section::Extensions, &self.extensions);
        out
    }

    /// Settings that name an extension which is not enabled: the component, the path in it, the name.
    pub(crate) fn dangling_extensions(&self) -> BTreeMap<(Section, Id, String), (&'n Node, Path)> {
        let mut out = BTreeMap::new();
        for ((section, id), component) in &self.components {
            let found = component.extensions();
            for (path, node) in
                found.into_iter().filter(|(_, node)| !self.extensions.ids.contains(&self.extension(node)))
            {
                out.insert((*section, id.clone(), path.to_string()), (node, path));
            }
        }
        out
    }
}

impl<'n> References<'n> {
    /// An id as it is written here.
    pub(crate) fn name(&self, id: &Id) -> String {
        let written =
            self.ids.iter().zip(&self.written).find(|(i, _)| *i == id).map(|(_, w)| (*w).to_owned());
        written.unwrap_or_else(|| id.to_string())
    }

    /// Whether it is something else than a list of names, and so not known.
    pub(crate) fn is_odd(&self) -> bool {
        self.node.is_some_and(|node| node.as_list().is_none_or(|items| items.len() != self.ids.len()))
    }

    fn read(names: &Names, section: Section, holder: &'n Node, key: &str, fallback: &'n Mark) -> Self {
        let entry = holder.as_map().and_then(|m| m.entry(key));
        let node = entry.map(|(_, node)| node).filter(|n| !n.is_null());
        let items = node.and_then(Node::as_list).unwrap_or_default();
        let written: Vec<&str> =
            items.iter().filter(|item| !item.is_secret()).filter_map(Node::as_str).collect();
        let ids = written.iter().map(|w| names.id(section, w)).collect();
        Self { node, mark: entry.map_or(fallback, |(key, _)| &key.mark), ids, written }
    }
}

fn extension_names<'n>(path: &Path, node: &'n Node, found: &mut Vec<(Path, &'n Node)>) {
    for (key, value) in entries(Some(node)) {
        if value.as_map().is_some() {
            extension_names(&path.key(&key.name), value, found);
        } else if value.as_str().is_some() && matches!(key.name.as_str(), "authenticator" | "storage") {
            found.extend(Some((path.key(&key.name), value)).filter(|(path, _)| names_extension(path)));
        }
    }
}

/// The entries of a map; nothing for anything else.
fn entries(node: Option<&Node>) -> impl Iterator<Item = (&crossfade_yaml::Key, &Node)> {
    node.and_then(Node::as_map).into_iter().flat_map(Map::iter)
}
