//! Two Collector configurations, section by section.

use crossfade_yaml::{Map, Mark, Node};

use super::Context;
use super::classify::{Subject, protects};
use super::forms;
use super::ids::{Id, Section};
use super::kinds;
use super::model::Model;
use super::out::{Out, Place};
use super::path::Path;
use super::pipelines::Pipelines;
use super::renames::Renames;
use super::report::Why;
use super::rules;
use super::tempo;
use super::tree::{Side, Tree};
use super::unresolved;
use super::version::{Version, Versions};
use super::ways;

/// Compares two configurations of one name.
pub(crate) fn compare(
    name: &str,
    (blue, green): (&Node, &Node),
    versions: Versions,
    context: &Context,
    out: &mut Out<'_>,
) {
    let (blue, green) = (&*forms::current(blue, versions.blue), &*forms::current(green, versions.green));
    let place = Place {
        document: name.to_owned(),
        prefix: String::new(),
        blue_prefix: String::new(),
        path: Path::default(),
        blue_mark: blue.mark.clone(),
        green_mark: green.mark.clone(),
    };
    let mut document = Document { place, context, versions, out };
    if Model::is_collector(blue) && Model::is_collector(green) {
        document.collector(&Model::read(blue), &Model::read(green));
    } else if tempo::is_tempo(blue) && tempo::is_tempo(green) {
        let (blue, green) = tempo::without(blue, green, [versions.blue, versions.green]);
        document.rest(Subject::Tempo, &blue, &green, &[]);
    } else {
        document.rest(Subject::Other, blue, green, &[]);
    }
}

struct Document<'d, 'a> {
    place: Place,
    context: &'d Context,
    versions: Versions,
    out: &'d mut Out<'a>,
}

impl Document<'_, '_> {
    fn collector(&mut self, blue: &Model<'_>, green: &Model<'_>) {
        let jaeger = |model: &Model<'_>| {
            model.ids(Section::Extensions).any(|id| id.kind.starts_with("jaeger")).then_some(Version::JAEGER)
        };
        let Versions { blue: old, green: new } = self.versions;
        self.versions = Versions { blue: old.or_else(|| jaeger(blue)), green: new.or_else(|| jaeger(green)) };
        let renames = Renames::find(blue, green);
        let place = self.below("service");
        Pipelines { blue, green, renames: &renames, place: &place, out: self.out }.compare();
        ways::compare(blue, green, &renames, &place, self.out);
        for section in Section::ALL {
            self.section(section, blue, green, &renames);
        }
        for (section, from, to) in renames.pairs() {
            self.renamed(section, (blue, from), (green, to));
        }
        self.undefined(blue, green, &renames);
        self.service(blue.root, green.root);
        let known: Vec<&str> = Section::ALL.iter().map(|s| s.key()).chain(["service"]).collect();
        self.rest(Subject::Other, blue.root, green.root, &known);
        for key in Section::ALL.iter().map(|section| section.key()).chain(["service"]) {
            self.malformed(key, blue.root, green.root);
        }
    }

    fn below(&self, prefix: &str) -> Place {
        Place { prefix: prefix.to_owned(), blue_prefix: prefix.to_owned(), ..self.place.clone() }
    }

    fn named(&self, section: Section, name: &str) -> Place {
        self.below(&Path::of(&[section.key(), name]).to_string())
    }

    /// Every component that either side defines.
    fn section(&mut self, section: Section, blue: &Model<'_>, green: &Model<'_>, renames: &Renames) {
        let (used_blue, used_green) = (blue.used(section), green.used(section));
        for (model, used) in [(blue, &used_blue), (green, &used_green)] {
            let odd = used.iter().filter(|id| !kinds::is_known(section, &id.kind));
            let odd = odd.filter_map(|id| model.component(section, id));
            self.out.unknown.extend(odd.map(|component| format!("{}.{}", section.key(), component.written)));
        }
        for id in blue.ids(section) {
            let green_id = renames.green(section, id);
            let used = (used_blue.contains(id), used_green.contains(&green_id));
            match green.component(section, &green_id) {
                Some(_) => self.component(section, (blue, id), (green, &green_id), used.0 || used.1),
                None if !used.0 => self.unused(section, blue, id, true),
                None => {}
            }
        }
        for id in green.ids(section) {
            let blue_id = renames.blue(section, id);
            if blue.component(section, &blue_id).is_none() && !used_green.contains(id) {
                self.unused(section, green, id, false);
            }
        }
    }

    fn component(
        &mut self,
        section: Section,
        (blue, blue_id): (&Model<'_>, &Id),
        (green, green_id): (&Model<'_>, &Id),
        used: bool,
    ) {
        let (Some(b), Some(g)) = (blue.component(section, blue_id), green.component(section, green_id))
        else {
            return;
        };
        let place = Place {
            prefix: Path::of(&[section.key(), g.written]).to_string(),
            blue_prefix: Path::of(&[section.key(), b.written]).to_string(),
            ..self.place.clone()
        };
        if blue_id == green_id && b.written != g.written {
            let here = place.at(&Path::default(), b.mark, g.mark);
            self.out.equivalent(Why::Alias, &here, None, None);
        }
        let mut tree = Tree {
            subject: Subject::Component { section, kind: &green_id.kind },
            place: &place,
            context: self.context,
            versions: self.versions,
            remark: None,
            instead: (!used).then_some(&rules::UNUSED_CHANGED),
            out: self.out,
        };
        if used {
            let both = (Some(b.settings), Some(g.settings));
            unresolved::find(tree.subject, &place, &Path::default(), both, tree.out);
        }
        let (b, g) = (settings(b.settings, b.mark), settings(g.settings, g.mark));
        tree.compare(&Path::default(), b, g);
        tree.changed_defaults(b, g);
    }

    /// Defined on one side, and not used there.
    fn unused(&mut self, section: Section, model: &Model<'_>, id: &Id, on_blue: bool) {
        let Some(component) = model.component(section, id) else { return };
        let other = Mark::nowhere();
        let at = self.named(section, component.written);
        let (place, blue, green) = match on_blue {
            true => (at.at(&Path::default(), component.mark, &other), Some(component.settings), None),
            false => (at.at(&Path::default(), &other, component.mark), None, Some(component.settings)),
        };
        let protective = protects(section, &id.kind, Some(component.settings));
        let bare = component.settings.is_null() || component.settings.as_map().is_some_and(Map::is_empty);
        if bare && !protective {
            return self.out.equivalent(Why::Unused, &place, blue, green);
        }
        let side = if on_blue { "blue" } else { "green" };
        let detail = format!("only {side} defines {}, and nothing uses it", component.written);
        let rule = if protective && !on_blue { &rules::UNUSED_PROTECTION } else { &rules::UNUSED };
        self.out.finding(rule, &place, blue, green, Some(detail));
    }

    fn renamed(&mut self, section: Section, (blue, from): (&Model<'_>, &Id), (green, to): (&Model<'_>, &Id)) {
        let (Some(b), Some(g)) = (blue.component(section, from), green.component(section, to)) else {
            return;
        };
        // The name is part of the prefix: a name such as `bearertokenauth` is no secret.
        let place = self.named(section, b.written).at(&Path::default(), b.mark, g.mark);
        let name =
            |text: &str, mark: &Mark| Node::new(crossfade_yaml::Value::String(text.to_owned()), mark.clone());
        let detail = format!("{} is called {} on green", b.written, g.written);
        let (old, new) = (name(b.written, b.mark), name(g.written, g.mark));
        self.out.finding(&rules::RENAMED, &place, Some(&old), Some(&new), Some(detail));
    }

    /// Names without a definition, and settings that name an extension which is not enabled.
    fn undefined(&mut self, blue: &Model<'_>, green: &Model<'_>, renames: &Renames) {
        let (of_blue, of_green) = (blue.undefined(), green.undefined());
        for ((section, _), (name, mark)) in of_green.iter().filter(|(key, _)| !of_blue.contains_key(key)) {
            self.dangling(*section, name, mark, "green");
        }
        for ((section, _), (name, mark)) in of_blue.iter().filter(|(key, _)| !of_green.contains_key(key)) {
            self.dangling(*section, name, mark, "blue");
        }
        self.respelled(blue, green, renames);
        let before = blue.dangling_extensions();
        for ((section, id, path), (node, at)) in green.dangling_extensions() {
            if before.contains_key(&(section, renames.blue(section, &id), path)) {
                continue;
            }
            let name = green.component(section, &id).map_or("", |c| c.written);
            let place = self.named(section, name).at(&at, &Mark::nowhere(), &node.mark);
            let auth = at.last_key() == "authenticator";
            let rule = if auth { &rules::AUTHENTICATION } else { &rules::UNDEFINED };
            let detail = "green names an extension that is not enabled under service.extensions".to_owned();
            self.out.finding(rule, &place, None, Some(node), Some(detail));
        }
    }

    /// Settings that name one extension in two spellings, which stand for two where a side defines both.
    fn respelled(&mut self, blue: &Model<'_>, green: &Model<'_>, renames: &Renames) {
        for section in Section::ALL {
            for id in green.ids(section) {
                let both =
                    (blue.component(section, &renames.blue(section, id)), green.component(section, id));
                let (Some(b), Some(g)) = both else { continue };
                let on_blue = b.extensions();
                for (path, node) in g.extensions() {
                    let Some((_, before)) = on_blue.iter().find(|(at, _)| *at == path) else { continue };
                    let plain =
                        |node: &Node| Id::read(Section::Extensions, node.as_str().unwrap_or_default());
                    if plain(before) == plain(node) && blue.extension(before) != green.extension(node) {
                        let rule = if path.last_key() == "authenticator" {
                            &rules::AUTHENTICATION
                        } else {
                            &rules::SETTING
                        };
                        let place = self.named(section, g.written).at(&path, &before.mark, &node.mark);
                        let detail = "the two names stand for two extensions".to_owned();
                        self.out.finding(rule, &place, Some(before), Some(node), Some(detail));
                    }
                }
            }
        }
    }

    fn dangling(&mut self, section: Section, name: &str, mark: &Mark, side: &str) {
        let (nowhere, rule) = (Mark::nowhere(), &rules::UNDEFINED);
        let (place, path) = (self.named(section, name), Path::default());
        let node = Node::new(crossfade_yaml::Value::String(name.to_owned()), mark.clone());
        let detail = Some(format!("{side} names {name} in its service, and does not define it"));
        if side == "green" {
            self.out.finding(rule, &place.at(&path, &nowhere, mark), None, Some(&node), detail);
        } else {
            self.out.finding(rule, &place.at(&path, mark, &nowhere), Some(&node), None, detail);
        }
    }

    /// What `service` holds beside pipelines and extensions.
    fn service(&mut self, blue: &Node, green: &Node) {
        let place = self.below("service");
        let (b, g) = (entry(blue, "service"), entry(green, "service"));
        unresolved::find(Subject::Service, &place, &Path::default(), (b.node, g.node), self.out);
        let keys = keys_of(b.node, g.node);
        for key in keys.iter().filter(|k| !matches!(k.as_str(), "pipelines" | "extensions")) {
            let mut tree = Tree {
                subject: Subject::Service,
                place: &place,
                context: self.context,
                versions: self.versions,
                remark: None,
                instead: None,
                out: self.out,
            };
            tree.compare(&Path::of(&[key]), b.below(key), g.below(key));
        }
        let mut tree = Tree {
            subject: Subject::Service,
            place: &place,
            context: self.context,
            versions: self.versions,
            remark: None,
            instead: None,
            out: self.out,
        };
        tree.changed_defaults(b, g);
    }

    /// Everything but `known`, with no idea what it means beyond its words.
    fn rest(&mut self, subject: Subject<'_>, blue: &Node, green: &Node, known: &[&str]) {
        let place = self.below("");
        let (b, g) = (Side::new(Some(blue), &blue.mark), Side::new(Some(green), &green.mark));
        let mut tree = Tree {
            subject,
            place: &place,
            context: self.context,
            versions: self.versions,
            remark: None,
            instead: None,
            out: self.out,
        };
        if known.is_empty() {
            unresolved::find(subject, &place, &Path::default(), (b.node, g.node), tree.out);
            return tree.compare(&Path::default(), b, g);
        }
        for key in keys_of(b.node, g.node).iter().filter(|k| !known.contains(&k.as_str())) {
            let both = (b.below(key).node, g.below(key).node);
            unresolved::find(subject, &place, &Path::of(&[key]), both, tree.out);
            tree.compare(&Path::of(&[key]), b.below(key), g.below(key));
        }
    }

    /// A section that is no map has no components; it is compared as it stands.
    fn malformed(&mut self, key: &str, blue: &Node, green: &Node) {
        let (b, g) = (entry(blue, key), entry(green, key));
        let odd = |side: Side<'_>| side.node.is_some_and(|n| !n.is_null() && n.as_map().is_none());
        if odd(b) || odd(g) {
            let place = self.below("");
            if key != "service" {
                unresolved::find(Subject::Other, &place, &Path::of(&[key]), (b.node, g.node), self.out);
            }
            let mut tree = Tree {
                subject: Subject::Other,
                place: &place,
                context: self.context,
                versions: self.versions,
                remark: None,
                instead: None,
                out: self.out,
            };
            tree.compare(&Path::of(&[key]), b, g);
        }
    }
}

/// A component's settings; none are an empty map.
fn settings<'n>(node: &'n Node, mark: &'n Mark) -> Side<'n> {
    Side::new(Some(node), mark)
}

fn entry<'n>(root: &'n Node, key: &str) -> Side<'n> {
    Side::new(Some(root), &root.mark).below(key)
}

fn keys_of(blue: Option<&Node>, green: Option<&Node>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (key, _) in [blue, green].into_iter().flatten().filter_map(Node::as_map).flat_map(Map::iter) {
        if !out.contains(&key.name) {
            out.push(key.name.clone());
        }
    }
    out
}
