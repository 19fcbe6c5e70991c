//! Two trees of settings, side by side.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_yaml::{Map, Mark, Node, Value};

use super::Context;
use super::address::{Address, Apart, Exposure, OwnEndpoints};
use super::classify::{Role, Subject};
use super::defaults;
use super::ids::Section;
use super::limits;
use super::out::{Out, Place};
use super::path::{Path, Segment};
use super::references;
use super::report::Why;
use super::rules;
use super::secret::{holds_headers, holds_withheld, is_withheld, name_of};
use super::tempo;
use super::values::{Same, is_set, same};
use super::version::{self, FORMER, Version, Versions};
use crate::rule::{Class, Rule};

/// One side's value at a place.
#[derive(Clone, Copy)]
pub(crate) struct Side<'n> {
    /// `None` where nothing is written.
    pub(crate) node: Option<&'n Node>,
    /// Its key's mark, or the nearest there is above it.
    pub(crate) mark: &'n Mark,
    /// The node is the default, not written.
    assumed: bool,
}

impl<'n> Side<'n> {
    pub(crate) fn new(node: Option<&'n Node>, mark: &'n Mark) -> Self {
        Self { node, mark, assumed: false }
    }

    /// The value under a key.
    pub(crate) fn below(self, key: &str) -> Self {
        match self.node.and_then(Node::as_map).and_then(|m| m.entry(key)) {
            // What comes out of another file stands there.
            Some((key, node)) if node.mark.source != key.mark.source && !node.mark.is_nowhere() => {
                Self { node: Some(node), mark: &node.mark, ..self }
            }
            Some((key, node)) => Self { node: Some(node), mark: &key.mark, ..self },
            None => Self { node: None, ..self },
        }
    }

    fn item(self, node: Option<&'n Node>) -> Self {
        Self { node, mark: node.map_or(self.mark, |n| &n.mark), ..self }
    }

    /// What was written, for the report.
    fn written(self) -> Option<&'n Node> {
        self.node.filter(|_| !self.assumed)
    }

    fn value(self) -> Option<&'n Node> {
        self.node.filter(|n| !n.is_null())
    }
}

/// Compares the settings of one component, or of one section that is no list of components.
pub(crate) struct Tree<'t, 'a> {
    pub(crate) subject: Subject<'t>,
    pub(crate) place: &'t Place,
    pub(crate) context: &'t Context,
    pub(crate) versions: Versions,
    /// Every difference falls under this rule instead of its own: what nobody uses.
    pub(crate) instead: Option<&'static Rule>,
    /// What every finding of the moment has to say, too.
    pub(crate) remark: Option<String>,
    pub(crate) out: &'t mut Out<'a>,
}

impl Tree<'_, '_> {
    pub(crate) fn compare(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        if [blue, green].into_iter().filter_map(|side| side.node).any(is_withheld) {
            return self.differ_by(&rules::VALUE_UNKNOWN, path, blue, green, None);
        }
        if matches!(self.subject, Subject::Tempo) && blue.node != green.node && tempo::is_own(path) {
            return self.same(Why::OwnEndpoint, path, blue, green);
        }
        // That has been said.
        let lacks = |side: Side<'_>| side.node.is_some_and(references::lacks_content);
        if self.instead.is_none() && (lacks(blue) || lacks(green)) {
            return;
        }
        let nothing = |side: Side<'_>| side.value().is_none();
        match (nothing(blue), nothing(green)) {
            (false, false) => self.present(path, blue, green),
            (true, true) => self.neither(path, blue, green),
            (true, false) => match self.default(path, self.versions.blue) {
                Some(default) => {
                    self.present(path, Side { node: Some(&default), assumed: true, ..blue }, green);
                }
                None => self.present(path, blue, green),
            },
            (false, true) => match self.default(path, self.versions.green) {
                Some(default) => {
                    self.present(path, blue, Side { node: Some(&default), assumed: true, ..green });
                }
                None => self.present(path, blue, green),
            },
        }
    }

    /// Neither side writes it: both have their default, which may have changed between their versions.
    fn neither(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let Versions { blue: old, green: new } = self.versions;
        let was = self.default(path, old);
        if old == new {
            return if was.is_none() {
                self.present(path, blue, green)
            };
        }
        let is = self.default(path, new);
        if was == is {
            return if was.is_none() {
                self.present(path, blue, green)
            };
        }
        let name =
            |version: Option<Version>| version.map_or_else(|| "the newest".to_owned(), |v| v.to_string());
        self.remark = Some(format!(
            "neither writes it, and the default differs between {} and {}",
            name(old),
            name(new)
        ));
        let side = |side, node| Side { node, assumed: false, ..side };
        self.present(path, side(blue, was.as_ref()), side(green, is.as_ref()));
        self.remark = None;
    }

    /// The defaults that changed between the versions of both sides, where neither side writes them.
    pub(crate) fn changed_defaults(&mut self, blue: Side<'_>, green: Side<'_>) {
        let Versions { blue: old, green: new } = self.versions;
        if (old == new && old.is_some()) || self.instead.is_some() {
            return;
        }
        let paths: Vec<&str> = match self.subject {
            Subject::Component { section, kind } => {
                let rows = FORMER.iter().filter(|row| row.section == section && row.kind == kind);
                rows.map(|row| row.path).collect()
            }
            Subject::Service => vec!["telemetry.metrics.readers"],
            Subject::Tempo | Subject::Other => Vec::new(),
        };
        for dotted in paths {
            let keys: Vec<&str> = dotted.split('.').collect();
            let reached = |side: Side<'_>| {
                let mut at = side;
                for (i, key) in keys.iter().enumerate() {
                    // A protocol that is not switched on has no defaults, and neither has a batch.
                    let switch = (i == 1 && keys.first() == Some(&"protocols")) || *key == "batch";
                    let below = at.below(key);
                    if below.node.is_none() && switch {
                        return None;
                    }
                    at = below;
                }
                Some(at.mark.clone()).filter(|_| at.node.is_none())
            };
            let Some((b, g)) = reached(blue).zip(reached(green)) else { continue };
            let path = Path::of(&keys);
            let rule = self.subject.rule(&path);
            if old == new {
                // Most of what changed matters little; a list of all of it would be read by nobody.
                if rule.class == Class::Security && !std::ptr::eq(rule, &rules::PAYLOAD_IN_LOGS) {
                    self.out.by_version(&self.place.at(&path, &b, &g));
                }
            } else {
                self.compare(&Path::of(&keys), Side::new(None, &b), Side::new(None, &g));
            }
        }
    }

    /// Both sides as they are, defaults filled in.
    fn present(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        // A key with nothing behind it is an empty block where the other side has a block.
        let block = |side: Side<'_>| side.node.is_some_and(|n| n.is_null() || n.as_map().is_some());
        match (blue.node.map(|n| &n.value), green.node.map(|n| &n.value)) {
            (None, None) => {}
            (Some(Value::List(b)), Some(Value::List(g))) => self.lists(path, (blue, b), (green, g)),
            (None, Some(Value::Map(map))) | (Some(Value::Map(map)), None)
                if !map.is_empty() && !self.presence_tells(path) =>
            {
                self.block(path, blue, green);
            }
            _ if block(blue) && block(green) => self.maps(path, blue, green),
            _ => self.leaf(path, blue, green),
        }
    }

    /// A block that only one side has. Where defaults are known, each of its settings is compared with its own;
    /// otherwise several settings are one difference, of the weightiest kind that any of them is.
    fn block(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let mut leaves = Vec::new();
        if let Some(node) = blue.node.or(green.node) {
            if self.says_nothing(path, node) {
                return self.same(Why::Default, path, blue, green);
            }
            leaf_paths(path, node, &mut leaves);
        }
        let version = if blue.node.is_none() { self.versions.blue } else { self.versions.green };
        let defaulted = leaves.iter().any(|leaf| self.default(leaf, version).is_some());
        if defaulted || leaves.len() < 2 || path.segments().is_empty() {
            return self.maps(path, blue, green);
        }
        let rules = leaves.iter().map(|leaf| self.subject.rule(leaf));
        let rule = rules.min_by_key(|r| (r.class, r.id)).unwrap_or(&rules::SETTING);
        let side = if blue.node.is_some() { "blue" } else { "green" };
        let detail = format!("only {side} has this block of {} settings", leaves.len());
        self.differ_by(rule, path, blue, green, Some(detail));
    }

    fn maps(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let names = |side: Side<'_>| -> Vec<String> {
            let map = side.node.and_then(Node::as_map);
            map.map(|m| m.iter().map(|(k, _)| k.name.clone()).collect()).unwrap_or_default()
        };
        // HTTP's header names know no case (RFC 9110, section 5.1).
        let headers = holds_headers(path.last_key());
        let mut left: BTreeSet<String> = names(green).into_iter().collect();
        for name in names(blue) {
            let folded = || left.iter().find(|n| headers && n.eq_ignore_ascii_case(&name)).cloned();
            let other = if left.contains(&name) { Some(name.clone()) } else { folded() };
            let other = other.and_then(|other| left.take(&other)).unwrap_or_else(|| name.clone());
            self.compare(&path.key(&other), blue.below(&name), green.below(&other));
        }
        for name in left {
            self.compare(&path.key(&name), blue.below(&name), green.below(&name));
        }
    }

    fn lists(&mut self, path: &Path, (blue, b): (Side<'_>, &[Node]), (green, g): (Side<'_>, &[Node])) {
        if self.subject.address_role(path) == Some(Role::Destination) {
            return self.destinations(path, (blue, b), (green, g));
        }
        match self.compared(path, blue, green) {
            Same::Yes | Same::Because(_) if holds_withheld(b) => {
                return self.differ_by(&rules::VALUE_UNKNOWN, path, blue, green, None);
            }
            Same::Yes if !blue.assumed && !green.assumed => return,
            Same::Yes => return self.same(Why::Default, path, blue, green),
            Same::Because(why) => return self.same(why, path, blue, green),
            Same::No => {}
        }
        if let (Some(blue_names), Some(green_names)) = (names(b), names(g)) {
            return self.named_items(path, (blue, b, &blue_names), (green, g, &green_names));
        }
        if b.len() == g.len() && b.iter().chain(g).any(|n| n.as_map().is_some()) {
            for (i, (b, g)) in b.iter().zip(g).enumerate() {
                let at = path.with(Segment::Index(i));
                self.compare(&at, blue.item(Some(b)), green.item(Some(g)));
            }
            return;
        }
        self.differ(path, blue, green, None);
    }

    fn compared(&self, path: &Path, blue: Side<'_>, green: Side<'_>) -> Same {
        match (blue.node, green.node) {
            (Some(b), Some(g)) => same(path, b, g),
            _ => Same::No,
        }
    }

    fn named_items(
        &mut self,
        path: &Path,
        (blue, b, blue_names): (Side<'_>, &[Node], &[&str]),
        (green, g, green_names): (Side<'_>, &[Node], &[&str]),
    ) {
        let on_blue: BTreeSet<&str> = blue_names.iter().copied().collect();
        let on_green: BTreeMap<&str, &Node> = green_names.iter().copied().zip(g).collect();
        for (name, node) in blue_names.iter().zip(b) {
            let at = path.with(Segment::Item((*name).to_owned()));
            self.whole_item(&at, blue.item(Some(node)), green.item(on_green.get(name).copied()));
        }
        for (name, node) in green_names.iter().zip(g).filter(|(name, _)| !on_blue.contains(*name)) {
            let at = path.with(Segment::Item((*name).to_owned()));
            self.whole_item(&at, blue.item(None), green.item(Some(node)));
        }
        let common_blue = blue_names.iter().filter(|n| on_green.contains_key(*n));
        let common_green = green_names.iter().filter(|n| on_blue.contains(*n));
        if !common_blue.eq(common_green) {
            if is_set(path) {
                return self.same(Why::Order, path, blue, green);
            }
            let detail = "the same items stand in another order".to_owned();
            self.differ(path, blue, green, Some(detail));
        }
    }

    /// An item that only one side has is one difference, not one for each of its fields.
    fn whole_item(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        match (blue.node, green.node) {
            (Some(_), Some(_)) => self.compare(path, blue, green),
            _ => self.differ(path, blue, green, None),
        }
    }

    fn leaf(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let (Some(b), Some(g)) = (blue.value(), green.value()) else {
            return self.one_sided(path, blue, green);
        };
        // What is no plain value is no address.
        let plain = b.scalar_text().is_some() && g.scalar_text().is_some();
        let role = self.subject.address_role(path).filter(|_| plain);
        if role == Some(Role::Destination) && self.crosses_over(path, &[b], &[g], blue, green) {
            return;
        }
        let nothing =
            blue.assumed && self.says_nothing(path, g) || green.assumed && self.says_nothing(path, b);
        match (same(path, b, g), role) {
            _ if nothing => self.same(Why::Default, path, blue, green),
            (Same::Yes, _) if !blue.assumed && !green.assumed => {}
            (Same::Yes, _) => self.same(Why::Default, path, blue, green),
            (Same::Because(_), _) if blue.assumed || green.assumed => {
                self.same(Why::Default, path, blue, green)
            }
            (Same::Because(why), _) => self.same(why, path, blue, green),
            (Same::No, Some(Role::Listener)) => self.listener(path, (blue, b), (green, g)),
            (Same::No, Some(Role::Destination)) => self.destination(path, (blue, b), (green, g)),
            (Same::No, None) if self.is_listener_port(path) && are_ports(&[b, g]) => {
                self.same(Why::OwnEndpoint, path, blue, green)
            }
            (Same::No, None) => match limits::weakened(self.subject, path, b, g) {
                Some((rule, detail)) => self.differ_by(rule, path, blue, green, Some(detail)),
                None => self.differ(path, blue, green, None),
            },
        }
    }

    /// A value, or an empty block, that only one side has.
    fn one_sided(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let value = blue.value().or(green.value());
        let empty = value.is_none_or(|n| n.as_map().is_some_and(Map::is_empty));
        let meaningless = match (self.subject, blue.node.or(green.node)) {
            (Subject::Component { .. }, Some(node)) => self.says_nothing(path, value.unwrap_or(node)),
            (Subject::Component { .. }, None) => true,
            (Subject::Tempo, _) => empty && (!self.presence_tells(path) || path.last_key() == "tls"),
            (Subject::Service | Subject::Other, _) => empty,
        };
        if blue.node.is_some() == green.node.is_some() && empty {
            return;
        }
        if meaningless {
            return self.same(Why::Default, path, blue, green);
        }
        let side = if blue.value().is_some() { "blue" } else { "green" };
        self.differ(path, blue, green, Some(format!("only {side} has this setting")));
    }

    fn listener(&mut self, path: &Path, (blue, b): (Side<'_>, &Node), (green, g): (Side<'_>, &Node)) {
        let read = |n: &Node| Address::read(&n.scalar_text().unwrap_or_default());
        let (from, to) = (read(b), read(g));
        let both_own = self.context.blue.lists(&from) && self.context.green.lists(&to);
        let specific =
            matches!((from.exposure(), to.exposure()), (Exposure::Specific(_), Exposure::Specific(_)));
        let equal = from.exposure() == to.exposure() || (specific && both_own);
        if !equal || from.encrypted() != to.encrypted() || from.rest != to.rest {
            let words = |address: &Address| self.out.words(&address.exposure().words());
            let shown = !b.is_secret() && !g.is_secret();
            let detail = shown.then(|| format!("green listens on {}, blue on {}", words(&to), words(&from)));
            return self.differ(path, blue, green, detail);
        }
        let ports = |p: &Option<String>| p.as_deref().is_none_or(is_port);
        if !ports(&from.port) || !ports(&to.port) {
            return self.differ(path, blue, green, None);
        }
        let why = if from.port == to.port { Why::Alias } else { Why::OwnEndpoint };
        self.same(why, path, blue, green);
    }

    fn destination(&mut self, path: &Path, (blue, b): (Side<'_>, &Node), (green, g): (Side<'_>, &Node)) {
        let read = |n: &Node| Address::read(&n.scalar_text().unwrap_or_default());
        match self.context.apart(&read(b), &read(g)) {
            Ok(why) => self.same(why, path, blue, green),
            Err(apart) => self.apart(apart, path, blue, green),
        }
    }

    fn apart(&mut self, apart: Apart, path: &Path, blue: Side<'_>, green: Side<'_>) {
        let (rule, detail) = match apart {
            Apart::Encryption => {
                (&rules::TRANSPORT_ENCRYPTION, "only one of the two addresses asks for encryption")
            }
            Apart::OnlyBlueProves => {
                (&rules::AUTHENTICATION, "blue's address holds credentials, and green's does not")
            }
            Apart::OnlyGreenProves => {
                (&rules::AUTHENTICATION, "green's address holds credentials, and blue's does not")
            }
            Apart::Credentials => (&rules::SECRET_CHANGED, "the credentials in the two addresses differ"),
            Apart::Place => return self.differ(path, blue, green, None),
        };
        self.differ_by(rule, path, blue, green, Some(detail.to_owned()));
    }

    fn destinations(&mut self, path: &Path, (blue, b): (Side<'_>, &[Node]), (green, g): (Side<'_>, &[Node])) {
        let (from, to): (Vec<_>, Vec<_>) = (b.iter().collect(), g.iter().collect());
        if self.crosses_over(path, &from, &to, blue, green) {
            return;
        }
        let read = |nodes: &[Node]| -> Option<Vec<Address>> {
            nodes.iter().map(|n| n.scalar_text().map(|text| Address::read(&text))).collect()
        };
        match (self.compared(path, blue, green), read(b).zip(read(g))) {
            (Same::Yes, _) => {}
            (Same::Because(why), _) => self.same(why, path, blue, green),
            (Same::No, Some((from, to))) => match self.context.all_apart(&from, to) {
                None => self.same(Why::OwnEndpoint, path, blue, green),
                Some(apart) => self.apart(apart, path, blue, green),
            },
            (Same::No, None) => self.differ(path, blue, green, None),
        }
    }

    /// Blue sends to its own backend and green to blue's, or either to an endpoint of the other: found even where both
    /// configurations are equal, and on one machine, where a host tells nothing.
    fn crosses_over(
        &mut self,
        path: &Path,
        b: &[&Node],
        g: &[&Node],
        blue: Side<'_>,
        green: Side<'_>,
    ) -> bool {
        let Context { blue: blues, green: greens } = self.context;
        let read = |n: &&Node| Address::read(&n.scalar_text().unwrap_or_default());
        let of_blue = |a: &Address| blues.lists(a) && !greens.own(a);
        let strays = |nodes: &[&Node], own: &OwnEndpoints, other: &OwnEndpoints| {
            nodes.iter().map(read).any(|a| other.names(&a) && !own.names(&a))
        };
        let green_strays = strays(g, greens, blues)
            || (!greens.is_empty()
                && b.iter().map(read).any(|a| blues.own(&a))
                && g.iter().map(read).any(|a| of_blue(&a)));
        let detail = match (strays(b, blues, greens), green_strays) {
            (false, false) => return false,
            (false, true) => "green sends to a backend that belongs to blue",
            (true, false) => "blue sends to a backend that belongs to green",
            (true, true) => "each sends to a backend that belongs to the other",
        };
        self.differ_by(&rules::OTHER_ENVIRONMENT, path, blue, green, Some(detail.to_owned()));
        true
    }

    /// `host` and `port` of a listener may stand apart; the port is each side's own.
    fn is_listener_port(&self, path: &Path) -> bool {
        if matches!(self.subject, Subject::Tempo) {
            return tempo::is_port(path);
        }
        path.last_key() == "port" && matches!(self.subject, Subject::Service) && path.keys().contains(&"pull")
    }

    /// Whether a block means something by being there, whatever is in it.
    fn presence_tells(&self, path: &Path) -> bool {
        if let (Subject::Tempo, Some((_, below))) = (self.subject, tempo::receiver(path)) {
            return below.segments().is_empty()
                || matches!(below.keys().as_slice(), ["protocols", _] | [.., "tls"]);
        }
        let Subject::Component { section, kind } = self.subject else { return false };
        match (section, path.keys().as_slice()) {
            (Section::Exporters, ["sending_queue", "batch"]) => true,
            (_, [above @ .., "tls"]) => !defaults::client_tls(section, kind, above),
            (Section::Receivers, ["protocols" | "scrapers", _]) => true,
            (Section::Extensions, ["http" | "grpc"]) => kind != "jaegerquery",
            _ => false,
        }
    }

    /// Whether what a component has at `path` says the same as nothing there. A Collector that prints its configuration writes null
    /// for what it does not have, and empty lists and blocks.
    fn says_nothing(&self, path: &Path, node: &Node) -> bool {
        let Subject::Component { section, kind } = self.subject else { return false };
        match &node.value {
            Value::Null => !self.presence_tells(path) || path.last_key() == "tls",
            Value::Map(map) if map.is_empty() => defaults::empty_is_absent(section, kind, path),
            Value::Map(map) => {
                !self.presence_tells(path)
                    && map.iter().all(|(key, node)| self.says_nothing(&path.key(&key.name), node))
            }
            Value::List(list) => list.is_empty() && defaults::lists_begin_empty(section, kind),
            _ => false,
        }
    }

    fn default(&self, path: &Path, version: Option<Version>) -> Option<Node> {
        match self.subject {
            Subject::Component { section, kind } => defaults::component(section, kind, path, version),
            Subject::Service => defaults::service(path, version),
            Subject::Tempo => tempo::default(path, version),
            Subject::Other => None,
        }
    }

    fn same(&mut self, why: Why, path: &Path, blue: Side<'_>, green: Side<'_>) {
        if self.depends_on_version(path, blue, green) {
            return;
        }
        let place = self.place.at(path, blue.mark, green.mark);
        self.out.equivalent(why, &place, blue.written(), green.written());
    }

    /// One side has the value by default alone, which was another in earlier versions, and nobody says which one runs: where
    /// security hangs on it, nothing is known.
    fn depends_on_version(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>) -> bool {
        let (side, version) = match (blue.assumed, green.assumed) {
            (true, _) => ("blue", self.versions.blue),
            (false, true) => ("green", self.versions.green),
            (false, false) => return false,
        };
        let changed = version::changed(self.subject, path).filter(|_| version.is_none());
        let Some((former, until)) = changed.filter(|_| self.instead.is_none()) else { return false };
        if self.subject.rule(path).class != Class::Security {
            self.out.by_version(&self.place.at(path, blue.mark, green.mark));
            return false;
        }
        let detail = format!(
            "{side} writes nothing here: before {until} the default was another ({former}), and which version runs is not said"
        );
        self.differ_by(&rules::VALUE_UNKNOWN, path, blue, green, Some(detail));
        let fix = format!("Name the version that runs on {side} (`versions` in the site, --{side}-version).");
        self.out.last_fix(fix);
        true
    }

    fn differ(&mut self, path: &Path, blue: Side<'_>, green: Side<'_>, detail: Option<String>) {
        self.differ_by(self.subject.rule(path), path, blue, green, detail);
    }

    fn differ_by(
        &mut self,
        rule: &'static Rule,
        path: &Path,
        blue: Side<'_>,
        green: Side<'_>,
        detail: Option<String>,
    ) {
        let place = self.place.at(path, blue.mark, green.mark);
        let rule = self.instead.unwrap_or(rule);
        let detail = detail.or_else(|| self.assumption(blue, green));
        let detail = match (detail, &self.remark) {
            (Some(detail), Some(remark)) => Some(format!("{detail}; {remark}")),
            (detail, remark) => detail.or_else(|| remark.clone()),
        };
        self.out.finding(rule, &place, blue.written(), green.written(), detail);
    }

    /// A side that writes nothing still has a value: say which.
    fn assumption(&self, blue: Side<'_>, green: Side<'_>) -> Option<String> {
        let default = |side: Side<'_>| side.node.filter(|_| side.assumed).and_then(Node::scalar_text);
        match (default(blue), default(green)) {
            (Some(value), _) => Some(format!("blue has the default, {value}")),
            (_, Some(value)) => Some(format!("green has the default, {value}")),
            _ => None,
        }
    }
}

fn are_ports(nodes: &[&Node]) -> bool {
    nodes.iter().all(|n| n.scalar_text().is_some_and(|t| is_port(&t)))
}

/// A port's number, or a reference to one.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() || text.starts_with("${")
}

/// The places of all values in a tree that are no map; lists count as one.
fn leaf_paths(path: &Path, node: &Node, out: &mut Vec<Path>) {
    match node.as_map().filter(|m| !m.is_empty()) {
        Some(map) => map.iter().for_each(|(key, value)| leaf_paths(&path.key(&key.name), value, out)),
        None => out.push(path.clone()),
    }
}

/// The items' names, if every item has one and no two are alike.
fn names(items: &[Node]) -> Option<Vec<&str>> {
    let names: Option<Vec<&str>> = items.iter().map(name_of).collect();
    let names = names?;
    let distinct: BTreeSet<_> = names.iter().collect();
    (distinct.len() == names.len()).then_some(names)
}
