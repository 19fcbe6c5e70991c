//! One inventory against another: what is to be compared, how likely each difference is by chance, and what is said of those that
//! are not.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::{Share, ln_at_least, ln_at_most, ln_none};
use super::{Limits, Look, Recorded, Volume, rules, words};
use crate::inventory::{Inventory, Seen, Service};
use crate::{Finding, Place};

/// Part of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// All of it.
    Service,
    Operation,
    Key,
    Kind,
    /// Being called by another.
    Caller,
    /// Beginning traces.
    Roots,
    /// Having a parent that is not there.
    Orphans,
}

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) service: String,
    pub(crate) part: Part,
    pub(crate) name: String,
    /// In the first inventory.
    pub(crate) first: Share,
    /// In the second.
    pub(crate) second: Share,
    /// ln of the chance of a difference like this.
    pub(crate) ln_chance: f64,
    /// Whether the difference is large enough to speak of.
    pub(crate) matters: bool,
}

/// Half as often is a difference worth a finding.
const MUCH_LESS: f64 = 0.5;

/// Every comparison of two inventories, the second with `ratio` times the traces of the first.
pub(crate) fn tests(first: &Inventory, second: &Inventory, ratio: f64, limits: &Limits) -> Vec<Test> {
    let mut tests = Vec::new();
    let nothing = Service::default();
    for (name, service) in first.services.iter().filter(|(name, _)| limits.looks_at(name)) {
        let other = second.services.get(name).unwrap_or(&nothing);
        if other.seen.traces == 0 {
            tests.push(Test {
                service: name.clone(),
                part: Part::Service,
                name: String::new(),
                first: Share::new(service.seen.traces, service.seen.traces),
                second: Share::new(0, 0),
                ln_chance: ln_none(service.seen.traces, ratio),
                matters: true,
            });
            continue;
        }
        parts(&mut tests, name, service, other);
    }
    tests
}

fn parts(tests: &mut Vec<Test>, name: &str, service: &Service, other: &Service) {
    let all = (service.seen.traces, other.seen.traces);
    let mut push = |part: Part, what: &str, with: (u32, u32)| {
        let (first, second) = (Share::new(with.0, all.0), Share::new(with.1, all.1));
        let (ln_chance, matters) = match part {
            Part::Roots | Part::Orphans => {
                (ln_at_least(first, second), second.value() * MUCH_LESS > first.value())
            }
            Part::Caller | Part::Key => {
                (ln_at_most(first, second), second.value() < first.value() * MUCH_LESS)
            }
            _ => (ln_at_most(first, second), second.with == 0),
        };
        let (service, name) = (name.to_owned(), what.to_owned());
        tests.push(Test { service, part, name, first, second, ln_chance, matters });
    };
    for (part, ours, theirs) in [
        (Part::Operation, &service.operations, &other.operations),
        (Part::Kind, &service.kinds, &other.kinds),
        (Part::Key, &service.keys, &other.keys),
    ] {
        for (what, seen) in ours {
            push(part, what, (seen.traces, traces(theirs, what)));
        }
    }
    for (what, caller) in &service.callers {
        let theirs = other.callers.get(what).map_or(0, |caller| caller.seen.traces);
        push(Part::Caller, what, (caller.seen.traces, theirs));
    }
    push(Part::Roots, "", (service.roots.traces, other.roots.traces));
    push(Part::Orphans, "", (service.orphans.traces, other.orphans.traces));
}

/// ln of the chance that nothing of a service is seen by which so many traces there are, with a share of them.
fn ln_chance(test: &Test, share: f64, traces: u64) -> f64 {
    let seen = u32::try_from(test.first.with).unwrap_or(u32::MAX);
    ln_none(seen, share * traces as f64 / f64::from(seen.max(1)))
}

/// What the candidate has none of, and the active has more of than was looked at, so that counting could tell why.
pub fn to_count(blue: &Recorded, green: &Recorded) -> Vec<String> {
    let is_absent = |name: &str| green.inventory.services.get(name).is_none_or(|s| s.seen.traces == 0);
    let services = blue.inventory.services.iter();
    services.filter(|(name, s)| s.cut_short && is_absent(name)).map(|(name, _)| name.clone()).collect()
}

fn traces(map: &BTreeMap<String, Seen>, name: &str) -> u32 {
    map.get(name).map_or(0, |seen| seen.traces)
}

/// The differences of one service that are no chance, by part.
pub(crate) type Parts<'t> = BTreeMap<Part, Vec<&'t Test>>;

/// By service, those that matter and are less likely than the threshold.
pub(crate) fn found(tests: &[Test], ln_threshold: f64) -> BTreeMap<&str, Parts<'_>> {
    let mut found: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for test in tests.iter().filter(|test| test.matters && test.ln_chance <= ln_threshold) {
        found.entry(&test.service).or_default().entry(test.part).or_default().push(test);
    }
    found
}

impl Look<'_> {
    /// Blue against green, and green against blue. Returns whether there is enough to compare.
    pub(crate) fn environments(&mut self, blue: &Inventory, green: &Inventory) -> bool {
        let share = self.inputs.share.clamp(0.0, 1.0);
        let mut tests = tests(blue, green, share, self.limits);
        for test in tests.iter_mut().filter(|test| test.part == Part::Service) {
            if let Some(volume) = self.volume(&test.service) {
                test.ln_chance = ln_chance(test, share, volume.at_least);
            }
        }
        let reverse =
            if share > 0.0 { self::tests(green, blue, 1.0 / share, self.limits) } else { Vec::new() };
        let past = self.inputs.past();
        let before = past.map_or(0, |(_, before)| self::tests(before, blue, 1.0, self.limits).len());
        // And one for all that is missing, together.
        let all = tests.len() + reverse.len() + before + 1;
        self.facts.set_threshold(self.limits.alpha, all);
        let ln_threshold = self.facts.ln_threshold;
        let found = found(&tests, ln_threshold);
        for (service, parts) in &found {
            if parts.contains_key(&Part::Service) {
                self.service_missing(blue, service, parts);
            }
        }
        for (service, parts) in &found {
            if !parts.contains_key(&Part::Service) {
                self.parts_missing(blue, service, parts);
            }
        }
        let absent = tests.iter().filter(|test| test.part == Part::Service).map(|test| test.service.as_str());
        let is_told = |name: &&str| found.get(name).is_some_and(|parts| parts.contains_key(&Part::Service));
        let (told, missing): (BTreeSet<&str>, BTreeSet<&str>) = absent.partition(is_told);
        self.together(blue, &missing, &told);
        let uncounted = self.uncounted(blue, &tests, share);
        self.rare(&tests, &uncounted);
        self.only_in_green(&reverse, ln_threshold);
        // A service was compared if its absence was no chance, or would have been none of what is in all of its traces.
        let looked = |name: &&String| self.limits.looks_at(name);
        let mut services = blue.services.keys().filter(looked);
        let compared = |name: &String| {
            let there = |inventory: &Inventory| inventory.services.get(name).map_or(0, |s| s.seen.traces);
            let (seen, kept) = (there(blue), there(green));
            ln_at_most(Share::new(seen, seen), Share::new(0, kept)) <= ln_threshold || is_told(&name.as_str())
        };
        share > 0.0 && services.any(compared)
    }

    /// How many traces of a service the active environment has, where there are more than were looked at, and they were counted.
    fn volume(&self, service: &str) -> Option<Volume> {
        self.inputs.blue.recorded.as_ref().ok()?.volumes.get(service).copied()
    }

    /// Services that the candidate has nothing of, and that may be frequent enough for that to be no chance.
    fn uncounted(&mut self, blue: &Inventory, tests: &[Test], share: f64) -> BTreeSet<String> {
        let ln_threshold = self.facts.ln_threshold;
        let is_cut = |name: &str| blue.services.get(name).is_some_and(|service| service.cut_short);
        let may_be_frequent = |test: &&Test| {
            let volume = self.volume(&test.service);
            volume.map_or_else(|| is_cut(&test.service), |v| ln_chance(test, share, v.about) <= ln_threshold)
        };
        let absent = tests.iter().filter(|test| test.part == Part::Service && test.ln_chance > ln_threshold);
        let uncounted: BTreeSet<String> =
            absent.filter(may_be_frequent).map(|test| test.service.clone()).collect();
        if !uncounted.is_empty() && share > 0.0 {
            let (from, to) = (&self.inputs.blue.name, &self.inputs.green.name);
            let names = words::list(uncounted.iter().map(String::as_str));
            let detail = format!(
                "{from} has more traces of {names} than were looked at, and {to} has none: at a share of {}, {} looked at do not tell why",
                crate::words::percent(share),
                tests
                    .iter()
                    .filter(|test| uncounted.contains(&test.service))
                    .map(|test| test.first.with)
                    .max()
                    .unwrap_or(0),
            );
            let place = Place::environment(to);
            self.find(Finding::new(&rules::NOT_COUNTED).at(place).detail(detail));
        }
        uncounted
    }

    fn service_missing(&mut self, blue: &Inventory, service: &str, parts: &Parts<'_>) {
        let Some(test) = parts.get(&Part::Service).and_then(|tests| tests.first()) else { return };
        let Some(ours) = blue.services.get(service) else { return };
        let (from, to) = (&self.inputs.blue.name, &self.inputs.green.name);
        let sent = words::sent(self.inputs, service);
        let blind =
            if sent.is_some() { format!(": it is sent, so {to} is blind to it") } else { String::new() };
        let expected = match self.volume(service) {
            Some(volume) => format!("about {:.0} traces", volume.about as f64 * self.inputs.share),
            None => format!("about {:.0} traces in the sample", test.first.with as f64 * self.inputs.share),
        };
        let misread = words::misread_service(service, ours);
        let place = words::place(to, service, &ours.seen);
        self.told.insert(service.to_owned());
        self.find(
            Finding::new(&rules::SERVICE_MISSING)
                .at(place)
                .detail(format!(
                    "{from} records `{service}` ({}), and {to} records nothing of it{blind}. {misread}",
                    words::rate(&ours.seen, self.inputs.window)
                ))
                .expected(format!("{expected} in {to}, by its share"))
                .seen(format!("0 traces; last seen in {from} at {}", words::time(ours.seen.last))),
        );
    }

    fn parts_missing(&mut self, blue: &Inventory, service: &str, parts: &Parts<'_>) {
        let to = self.inputs.green.name.clone();
        let Some(ours) = blue.services.get(service) else { return };
        let place = || words::place(&to, service, &ours.seen);
        // A caller that is missing altogether was named; that nobody calls from there follows.
        let callers: Vec<&Test> = parts.get(&Part::Caller).into_iter().flatten().copied().collect();
        let callers: Vec<&Test> =
            callers.into_iter().filter(|test| !self.told.contains(&test.name)).collect();
        let orphaned = ours.callers.keys().any(|caller| self.told.contains(caller));
        let breaks = [Part::Roots, Part::Orphans].into_iter().filter_map(|part| parts.get(&part));
        let breaks: Vec<&Test> = breaks.flatten().copied().filter(|_| !orphaned).collect();
        self.broken(service, ours, (&callers, &breaks), &place(), None);
        for (part, rule, what) in [
            (Part::Operation, &rules::OPERATION_MISSING, "operations"),
            (Part::Kind, &rules::KIND_MISSING, "span kinds"),
            (Part::Key, &rules::KEY_MISSING, "attribute keys"),
        ] {
            let Some(tests) = parts.get(&part) else { continue };
            let names = words::list(tests.iter().map(|test| test.name.as_str()));
            let (from, first) = (&self.inputs.blue.name, tests.first());
            let (expected, seen) =
                first.map(|test| (words::share(test.first), words::share(test.second))).unwrap_or_default();
            let of_first = first.map(|test| format!("`{}` ", test.name)).unwrap_or_default();
            self.find(
                Finding::new(rule)
                    .at(place())
                    .detail(format!(
                        "{} {what} of `{service}` are recorded by {from}, and not, or far less, by {to}: {names}",
                        tests.len()
                    ))
                    .expected(format!("{of_first}{expected}, as in {from}"))
                    .seen(seen),
            );
        }
    }

    /// Calls that are gone, and traces that begin or hang where they were. `since`: when it was last right, in both environments.
    pub(crate) fn broken(
        &mut self,
        service: &str,
        ours: &Service,
        (callers, breaks): (&[&Test], &[&Test]),
        place: &Place,
        since: Option<u64>,
    ) {
        if callers.is_empty() && breaks.is_empty() {
            return;
        }
        let names = words::list(callers.iter().map(|test| test.name.as_str()));
        let when = since.map_or(String::new(), |since| {
            format!(", in both environments, since {} at the latest", words::time(since))
        });
        let pieces: Vec<String> = breaks
            .iter()
            .map(|test| match test.part {
                Part::Roots => format!("`{service}` begins traces of its own {}", words::share(test.second)),
                _ => format!(
                    "spans of `{service}` have parents that are not there {}",
                    words::share(test.second)
                ),
            })
            .collect();
        let detail = match (callers.is_empty(), pieces.is_empty()) {
            (false, false) => {
                format!("traces break between {names} and `{service}`{when}: {}", pieces.join(", and "))
            }
            (false, true) => format!("calls from {names} to `{service}` are not recorded{when}"),
            (true, _) => format!("traces break before `{service}`{when}: {}", pieces.join(", and ")),
        };
        let rule = if pieces.is_empty() { &rules::EDGE_MISSING } else { &rules::CONTEXT_BROKEN };
        let misread = words::misread_edge(service, ours, callers.iter().map(|test| test.name.as_str()));
        for test in callers {
            self.told.insert(format!("{} -> {service}", test.name));
        }
        self.told.insert(format!(" -> {service}"));
        let measured = callers.first().or(breaks.first());
        let (expected, seen) =
            measured.map(|test| (words::share(test.first), words::share(test.second))).unwrap_or_default();
        let what = if callers.is_empty() { "that " } else { "the calls " };
        self.find(
            Finding::new(rule)
                .at(place.clone())
                .detail(format!("{detail}. {misread}"))
                .expected(format!("{what}{expected}"))
                .seen(seen),
        );
    }

    /// What may be missing by chance.
    fn rare(&mut self, tests: &[Test], uncounted: &BTreeSet<String>) {
        let ln_threshold = self.facts.ln_threshold;
        let is_rare = |test: &&Test| {
            let is_told = test.part == Part::Service && uncounted.contains(&test.service);
            test.second.with == 0 && test.matters && test.ln_chance > ln_threshold && !is_told
        };
        let of = |test: &Test| match test.part {
            Part::Service => Some(format!("service {}", test.service)),
            Part::Operation => Some(format!("{}: {}", test.service, test.name)),
            Part::Caller => Some(format!("{} -> {}", test.name, test.service)),
            Part::Key => Some(format!("{}: attribute {}", test.service, test.name)),
            Part::Kind => Some(format!("{}: kind {}", test.service, test.name)),
            Part::Roots | Part::Orphans => None,
        };
        let rare: Vec<String> = tests.iter().filter(is_rare).filter_map(of).collect();
        if rare.is_empty() {
            return;
        }
        let names = words::list(rare.iter().map(String::as_str));
        let detail = format!("{} too rare to tell: {names}", rare.len());
        self.facts.rare(rare);
        let place = Place::environment(&self.inputs.green.name);
        self.find(Finding::new(&rules::TOO_RARE).at(place).detail(detail));
    }

    fn only_in_green(&mut self, reverse: &[Test], ln_threshold: f64) {
        let (from, to) = (self.inputs.blue.name.clone(), self.inputs.green.name.clone());
        for (service, parts) in found(reverse, ln_threshold) {
            let what: Vec<String> = parts
                .iter()
                .flat_map(|(part, tests)| tests.iter().map(move |test| (part, test)))
                .filter_map(|(part, test)| match part {
                    Part::Service => Some("all of it".to_owned()),
                    Part::Operation => Some(test.name.clone()),
                    Part::Key => Some(format!("attribute {}", test.name)),
                    Part::Kind => Some(format!("kind {}", test.name)),
                    Part::Caller => Some(format!("calls from {}", test.name)),
                    Part::Roots | Part::Orphans => None,
                })
                .collect();
            if what.is_empty() {
                continue;
            }
            let names = words::list(what.iter().map(String::as_str));
            let detail = format!("of `{service}`, {to} records what {from} does not, or far less: {names}");
            let place = Place::environment(&to).component(service);
            self.find(Finding::new(&rules::ONLY_IN_GREEN).at(place).detail(detail));
        }
    }
}
