//! One pass over all entries, in order: leaves, canonical form, evidence, state, rules.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use crossfade_rollout::event::{Gate, StepIndex};
use crossfade_rollout::rules;
use crossfade_rollout::state::STATE_VERSION;
use crossfade_rollout::{Digest, Entry, Event, State, evolve};
use crossfade_routing::UnixNanos;
use crossfade_tlog::tile::{self, Tile, TileKind};
use crossfade_tlog::{Hash, Tree, bundle, leaf_hash};

use crate::snapshot::Snapshot;
use crate::verify::evidence;
use crate::verify::report::{Check, Finding, Findings, counted};
use crate::{canonical, entry};

/// What the pass gathers.
pub(crate) struct Pass {
    size: u64,
    pub(crate) tree: Tree,
    /// Findings of taking the bundles apart.
    pub(crate) bundles: Findings,
    entries: Findings,
    named: BTreeMap<Digest, u64>,
    /// The first entry that could not be read: what follows cannot be replayed.
    gap: Option<u64>,
    /// The time of the last entry, emergency entries left out.
    last: UnixNanos,
    /// Emergency entries that are still to follow their mark.
    merging: u32,
    /// Entries that are older than the one before, and the first of them.
    backwards: Option<(u64, u64)>,
    state: State,
    recorded: u64,
    /// Recorded digests of a state in another format than this version's, and the first such format.
    foreign: Option<(u64, u32)>,
    replay: Findings,
    rules: Findings,
    /// The entries with which gates began to look.
    looking: BTreeMap<(Gate, Option<StepIndex>, u32), u64>,
}

impl Pass {
    pub(crate) fn over(snapshot: &Snapshot, size: u64) -> Self {
        let mut pass = Self {
            size,
            tree: Tree::new(),
            bundles: Findings::default(),
            entries: Findings::default(),
            named: BTreeMap::new(),
            gap: None,
            last: UnixNanos(0),
            merging: 0,
            backwards: None,
            state: State::default(),
            recorded: 0,
            foreign: None,
            replay: Findings::default(),
            rules: Findings::default(),
            looking: BTreeMap::new(),
        };
        for tile in tile::tiles(size).filter(|tile| tile.kind() == TileKind::Entries) {
            pass.bundle(snapshot, &tile);
        }
        pass
    }

    fn bundle(&mut self, snapshot: &Snapshot, tile: &Tile) {
        let file = tile.to_string();
        let bytes = snapshot.read(&file).unwrap_or_else(|error| {
            // One that is missing is a finding of the names.
            if error.kind() != ErrorKind::NotFound {
                self.bundles.add(Finding::new(&file, format!("cannot be read: {error}")));
            }
            Vec::new()
        });
        let (mut stored, mut end, mut broken) = (bundle::entries(&bytes), 0, bytes.is_empty());
        for index in tile.first()..tile.first() + u64::from(tile.width()) {
            match stored.next() {
                Some(Ok(one)) => {
                    end = one.offset + 2 + one.bytes.len();
                    self.entry(&file, index, one.offset, one.bytes);
                    continue;
                }
                Some(Err(torn)) => {
                    self.bundles.add(Finding::new(&file, torn.to_string()).entry(index).offset(torn.offset));
                }
                None if !broken => {
                    self.bundles.add(Finding::new(&file, "ends before this entry").entry(index).offset(end));
                }
                None => {}
            }
            broken = true;
            self.gap.get_or_insert(index);
            // A leaf that no entry has: everything above it will differ.
            self.tree.push(Hash([0; 32]));
        }
        if !broken && end < bytes.len() {
            let what = format!("{} bytes after the last entry", bytes.len() - end);
            self.bundles.add(Finding::new(&file, what).offset(end));
        }
    }

    fn entry(&mut self, file: &str, index: u64, offset: usize, bytes: &[u8]) {
        self.tree.push(leaf_hash(bytes));
        match entry::decode(bytes) {
            Ok(entry) => {
                self.clock(index, &entry);
                if let Some(digest) = entry::evidence(&entry.event) {
                    self.named.entry(digest).or_insert(index);
                }
                if self.gap.is_none() {
                    self.fold(index, &Finding::new(file, "").entry(index).offset(offset), &entry);
                }
            }
            Err(error) => {
                self.gap.get_or_insert(index);
                self.entries.add(Finding::new(file, full(&error)).entry(index).offset(offset));
            }
        }
    }

    /// The order of the log is that of its entries, so a clock that was set back breaks nothing; but a
    /// reader should know. Emergency entries are older than the mark that they follow.
    fn clock(&mut self, index: u64, entry: &Entry) {
        if let Event::EmergencyMerged { entries, .. } = &entry.event {
            self.merging = *entries;
        } else if self.merging > 0 {
            self.merging -= 1;
            return;
        }
        if entry.time < self.last {
            let (count, first) = self.backwards.unwrap_or((0, index));
            self.backwards = Some((count + 1, first));
        }
        self.last = entry.time;
    }

    fn fold(&mut self, index: u64, place: &Finding, entry: &Entry) {
        let found = |what: String| Finding { what, ..place.clone() };
        if let Event::StateRecorded { version, .. } = &entry.event
            && *version != STATE_VERSION
        {
            let (count, first) = self.foreign.unwrap_or((0, *version));
            self.foreign = Some((count + 1, first));
        } else if let Event::StateRecorded { state, .. } = &entry.event {
            self.recorded += 1;
            match canonical::digest(&self.state) {
                Ok(folded) if folded == *state => {}
                Ok(folded) => {
                    self.replay.add(found(format!("recorded {state}; the entries fold to {folded}")))
                }
                Err(error) => self.replay.add(found(error.to_string())),
            }
        }
        for broken in rules::check(&self.state, &entry.event, index) {
            self.rules.add(found(format!("{}: {}", broken.rule, broken.what)));
        }
        if let Some(what) = self.chosen(index, &entry.event) {
            self.rules.add(found(what));
        }
        self.state = evolve(std::mem::take(&mut self.state), &entry.event);
    }

    /// Which traces a gate draws follows from a checkpoint of this log that nobody could know before the gate began to look: else
    /// somebody may have chosen them.
    fn chosen(&mut self, index: u64, event: &Event) -> Option<String> {
        match event {
            Event::GateStarted { gate, step, run, .. } => {
                self.looking.insert((*gate, *step, *run), index);
                None
            }
            Event::GateFinished { gate, step, run, seed: Some(seed), .. } => {
                let began = self.looking.remove(&(*gate, *step, *run))?;
                let of = format!("gate_seed: gate {gate} drew by the checkpoint of size {}", seed.size);
                let root = self.tree.root_at(seed.size).filter(|_| seed.size <= index);
                match root {
                    Some(root) if root.to_string() != seed.root => {
                        Some(format!("{of} and root {}, which this log never had", seed.root))
                    }
                    None => Some(format!("{of}, which this log did not have yet")),
                    Some(_) if seed.size <= began => {
                        Some(format!("{of}, which was known before it began, at entry {began}"))
                    }
                    Some(_) => None,
                }
            }
            _ => None,
        }
    }

    /// The checks on what the entries say.
    pub(crate) fn checks(self, snapshot: &Snapshot) -> Vec<Check> {
        let Self { size, entries, named, gap, backwards, recorded, foreign, replay, rules, .. } = self;
        let mut checks = vec![
            entries.check("entries", || format!("{} in canonical form", counted(size, "entry", "entries"))),
            evidence::check(snapshot, named, gap.is_none()),
        ];
        if let Some((count, first)) = backwards {
            let times = counted(count, "time", "times");
            checks.push(Check::noted("clock", format!("goes back {times}, first at entry {first}")));
        }
        if let Some(index) = gap {
            let why = format!("entry {index} cannot be read");
            checks.extend(["replay", "rules"].map(|name| Check::not_run(name, why.clone())));
            return checks;
        }
        checks.push(replayed(replay, recorded, foreign));
        checks.push(rules.check("rules", || "every shift: gates passed, entry before effect".to_owned()));
        checks
    }
}

/// What the comparison of recorded states with recomputed ones came to.
fn replayed(replay: Findings, recorded: u64, foreign: Option<(u64, u32)>) -> Check {
    let same = || format!("recomputed state = recorded state, {}", counted(recorded, "time", "times"));
    match (recorded, foreign) {
        (0, None) => Check::noted("replay", "recomputed; the log recorded no state to compare it with"),
        (_, None) => replay.check("replay", same),
        (_, Some(_)) if !replay.is_empty() => replay.check("replay", same),
        (_, Some((count, format))) => {
            let seen = if recorded == 0 { "recomputed".to_owned() } else { same() };
            let states = counted(count, "recorded state", "recorded states");
            let what = format!(
                "{seen}; {states} of format {format} not compared: this version folds to format {STATE_VERSION}"
            );
            Check::noted("replay", what)
        }
    }
}

/// An error and what caused it, in one line.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
