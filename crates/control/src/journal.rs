//! The log and the state that is its fold, kept together: nothing is folded that is not durable.
//!
//! Two places make an entry durable: the log, and, for a way back while the log takes nothing, the emergency file. What
//! waits there is folded at once, *on top of* the fold of the log, and goes into the log, marked, as soon as that takes
//! entries again. If even the emergency file takes nothing, a way back happens all the same, and its entries wait in
//! memory: gateways keep the fence durably, and report it again should this process die before the log is back.
//!
//! ```text
//! proven = fold(log)          state = fold(log ++ emergency file ++ memory)
//! ```

mod blobs;
mod reports;

use std::sync::Arc;

use crossfade_audit::canonical::{self, CanonicalError};
use crossfade_audit::entry::{self, EntryError};
use crossfade_audit::keys::{self, KeyFileError};
use crossfade_audit::storage::{Disk, Storage};
use crossfade_audit::{
    AppendError, EmergencyError, EvidenceError, Log, OpenError, Place, ReadError, Recovery,
};
use crossfade_rollout::ending::{Ending, EntryNumber};
use crossfade_rollout::event::{Event, SeedSource};
use crossfade_rollout::observed::Urgency;
use crossfade_rollout::plan::Plan;
use crossfade_rollout::{Actor, Digest, Entry, RolloutId, State, evolve};
use crossfade_routing::sync::SignedEntry;
use crossfade_routing::{Generation, Schedule, UnixNanos};
use crossfade_tlog::{Checkpoint, SignerKey, VerifierKey};

use crate::api::{ApiError, ErrorCode};
use crate::site::Site;
use blobs::Blobs;
use reports::Earlier;

/// Entries that are read at once.
const CHUNK: u64 = 1_024;

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The signing key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log does not take entries.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The emergency file cannot be used.
    #[error(transparent)]
    Emergency(#[from] EmergencyError),
    /// What waits in the emergency file is no entry.
    #[error("the emergency file holds what is no entry")]
    Waiting(#[source] EntryError),
    /// Evidence is not taken.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something that has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A plan in the evidence that cannot be read.
    #[error("the plan {digest} among the evidence cannot be read: {why}")]
    Plan {
        /// Its digest.
        digest: Digest,
        /// Why.
        why: String,
    },
}

impl JournalError {
    /// True if the disk is to blame, and not what was to be written: then nothing else is taken either.
    pub(crate) fn is_of_storage(&self) -> bool {
        match self {
            Self::Append(error) => error.is_retryable() || error.needs_reopening(),
            Self::Emergency(error) => {
                matches!(error, EmergencyError::Full { .. } | EmergencyError::Io { .. })
            }
            Self::Open(_) | Self::Read(_) => true,
            Self::Key(_) | Self::Waiting(_) | Self::Evidence(_) | Self::Canonical(_) | Self::Plan { .. } => {
                false
            }
        }
    }

    /// True if what the entries name is to blame, and not they.
    fn is_of_evidence(&self) -> bool {
        matches!(self, Self::Evidence(_) | Self::Append(AppendError::NoEvidence(_)))
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> ApiError {
        let remedy = match &error {
            JournalError::Append(AppendError::Indeterminate { .. }) => {
                "whether it was done is known when the log is back; see `crossfade rollout status`"
            }
            _ => "nothing was done; see `crossfade rollout status`",
        };
        let code = if error.is_of_storage() { ErrorCode::Unavailable } else { ErrorCode::Refused };
        ApiError::new(code, format!("{}; {remedy}", chain(&error)))
    }
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Log and state.
pub(crate) struct Journal {
    log: Log,
    origin: String,
    verifier: VerifierKey,
    /// The fold of the log.
    proven: State,
    /// Entries of the log that are folded into it.
    folded: u64,
    /// The latest time that any folded entry has.
    newest: UnixNanos,
    /// The same of what the log itself held when it was opened: up to then the life before this one is known to have lived.
    left: UnixNanos,
    /// `proven`, and on top of it what is not in the log yet; `None` if everything is.
    ahead: Option<State>,
    /// What not even the emergency file took, in order.
    unkept: Vec<Entry>,
    blobs: Blobs,
    /// Every schedule that was issued, oldest first, with the entry that issued it.
    schedules: Vec<(u64, Schedule)>,
    /// The newest proof that was made: what is left if the disk can no longer be read.
    signed: Option<(Generation, SignedEntry)>,
    plan: Option<(Digest, Arc<Plan>)>,
    /// What decided how the last rollout ends.
    decided: Option<Decided>,
    earlier: Earlier,
}

/// The entry that decided how a rollout ends.
#[derive(Debug, Clone)]
struct Decided {
    rollout: RolloutId,
    actor: Actor,
    /// Its number; `None` while it is not in the log.
    entry: Option<EntryNumber>,
}

/// What opening it found.
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) recovery: Recovery,
}

impl Journal {
    /// Makes the log of a site, with a new key, and opens it.
    pub(crate) fn create(site: &Site, now: UnixNanos) -> Result<Journal, JournalError> {
        let key = keys::generate(&site.origin)?;
        keys::save(&site.key_file, &key)?;
        Log::create(&place(site), &key)?;
        Ok(Journal::open(site, now)?.journal)
    }

    /// Opens the log of a site, puts it in order, and folds it.
    pub(crate) fn open(site: &Site, now: UnixNanos) -> Result<Opened, JournalError> {
        Journal::open_on(Arc::new(Disk), &place(site), keys::load(&site.key_file)?, now)
    }

    /// [`open`](Self::open), on other storage.
    pub(crate) fn open_on(
        storage: Arc<dyn Storage>,
        place: &Place,
        key: SignerKey,
        now: UnixNanos,
    ) -> Result<Opened, JournalError> {
        let verifier = key.verifier().clone();
        let (log, recovery) = Log::open_with(storage, place, key)?;
        let mut journal = Journal {
            log,
            origin: verifier.name().to_string(),
            verifier,
            proven: State::default(),
            folded: 0,
            newest: UnixNanos::ZERO,
            left: UnixNanos::ZERO,
            ahead: None,
            unkept: Vec::new(),
            blobs: Blobs::default(),
            schedules: Vec::new(),
            signed: None,
            plan: None,
            decided: None,
            earlier: Earlier::default(),
        };
        journal.catch_up()?;
        journal.left = journal.newest;
        journal.look_ahead()?;
        match journal.merge(now) {
            // Full since before the restart: what waits is known all the same.
            Err(error) if error.is_of_storage() => {
                tracing::error!(error = chain(&error), "the log takes nothing yet");
            }
            other => other?,
        }
        Ok(Opened { journal, recovery })
    }

    /// Everything that has happened, folded.
    pub(crate) fn state(&self) -> &State {
        self.ahead.as_ref().unwrap_or(&self.proven)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Entries in the log.
    pub(crate) fn size(&self) -> u64 {
        self.folded
    }

    /// The latest time that any entry has.
    pub(crate) fn newest(&self) -> UnixNanos {
        self.newest
    }

    /// The latest time that any entry of the log itself had when it was opened.
    pub(crate) fn left(&self) -> UnixNanos {
        self.left
    }

    /// Whether the log holds everything that is folded, and takes more.
    pub(crate) fn is_clean(&self) -> bool {
        self.ahead.is_none() && self.log.poisoned().is_none()
    }

    /// Every schedule, oldest first.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.schedules.iter().map(|(_, schedule)| schedule)
    }

    /// Appends and folds. Durable on return; with `Emergency`, perhaps only in the emergency file. Nor does a way back wait for
    /// evidence that cannot be stored: then it goes on record without.
    pub(crate) fn append(
        &mut self,
        actor: &Actor,
        events: &[Event],
        urgency: Urgency,
        now: UnixNanos,
    ) -> Result<(), JournalError> {
        let mut entries: Vec<Entry> =
            events.iter().map(|event| Entry::new(actor.clone(), now, event.clone())).collect();
        let mut done = self.append_to_log(&entries, now);
        if let Err(error) = &done
            && urgency == Urgency::Emergency
            && error.is_of_evidence()
        {
            tracing::error!(error = chain(error), "a way back goes on record without its evidence");
            entries = entries.into_iter().map(entry::without_evidence).collect();
            done = self.append_to_log(&entries, now);
        }
        match done {
            Err(error) if urgency == Urgency::Emergency && error.is_of_storage() => {
                let alert = entries.iter().all(|entry| matches!(entry.event, Event::AlertRaised { .. }));
                let what = if alert { "the alert of that" } else { "a way back" };
                tracing::error!(error = chain(&error), "the log takes nothing: {what} goes ahead of it");
                self.go_ahead(entries)
            }
            other => other,
        }
    }

    /// Commit point: on an error nothing is folded, and what is folded is in the log.
    fn append_to_log(&mut self, entries: &[Entry], now: UnixNanos) -> Result<(), JournalError> {
        self.merge(now)?;
        self.blobs.hand_over(entries, &mut self.log)?;
        let before = self.folded;
        match self.log.append(entries) {
            Ok(receipt) => {
                self.blobs.named(entries);
                self.take_in(receipt.entries.start, entries);
                Ok(())
            }
            Err(error @ AppendError::Indeterminate { .. }) => self.learn(before, entries, error),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out whether entries are in the log of which it could not say so. If that cannot be known yet, they are taken
    /// as not appended; should they turn up later, they are folded then, before all that is ahead.
    fn learn(&mut self, before: u64, entries: &[Entry], error: AppendError) -> Result<(), JournalError> {
        tracing::error!(error = chain(&error), "opening the log again to learn what it holds");
        match self.reopen() {
            Ok(()) if self.folded == before + entries.len() as u64 => {
                self.blobs.named(entries);
                Ok(())
            }
            Ok(()) => Err(error.into()),
            Err(again) => {
                tracing::error!(error = chain(&again), "the log cannot be opened again");
                Err(error.into())
            }
        }
    }

    fn reopen(&mut self) -> Result<(), JournalError> {
        let recovery = self.log.reopen()?;
        tracing::warn!(%recovery, "the log was opened again");
        self.catch_up()?;
        self.look_ahead()
    }

    /// A way back does not wait for the log. In order: once something is kept in memory only, all that follows is. Evidence has
    /// no room there: an entry that names some goes ahead without.
    fn go_ahead(&mut self, entries: Vec<Entry>) -> Result<(), JournalError> {
        for entry in entries {
            let lost = entry::evidence(&entry.event).filter(|digest| !self.log.stores(digest));
            let entry = match lost {
                Some(digest) => {
                    tracing::error!(%digest, "nothing stores what a gate found: its words are on record without it");
                    self.blobs.withdraw(&digest);
                    entry::without_evidence(entry)
                }
                None => entry,
            };
            if !self.unkept.is_empty() {
                self.unkept.push(entry.clone());
            } else if let Err(error) = self.log.append_emergency(&entry) {
                if matches!(error, EmergencyError::Entry(_)) {
                    // Nothing will ever take it.
                    return Err(error.into());
                }
                tracing::error!(
                    error = chain(&error),
                    "not even the emergency file takes it: it is done all the same, and is on no record until the log is back"
                );
                self.unkept.push(entry.clone());
            }
            self.newest = self.newest.max(entry.time);
            self.decides(&entry, None);
            let state = self.ahead.take().unwrap_or_else(|| self.proven.clone());
            self.ahead = Some(evolve(state, &entry.event));
        }
        Ok(())
    }

    /// Tries a log that failed: opens it again if that is needed, and merges what waits.
    pub(crate) fn recover(&mut self, now: UnixNanos) -> Result<(), JournalError> {
        if self.log.poisoned().is_some() {
            self.reopen()?;
        }
        self.merge(now)
    }

    /// Moves what waits in the emergency file, and then what waits in memory, into the log, each behind its mark.
    fn merge(&mut self, now: UnixNanos) -> Result<(), JournalError> {
        self.catch_up()?;
        if self.ahead.is_none() {
            return Ok(());
        }
        if self.log.merge_emergency(now)?.is_some() {
            self.catch_up()?;
        }
        if let Some(first) = self.unkept.first() {
            let entries =
                u32::try_from(self.unkept.len()).expect("each was made by hand, or once in a rollout");
            let mark = Event::EmergencyMerged { entries, since: first.time, at: now };
            let mut all = vec![Entry::new(Actor::control(), now, mark)];
            all.extend(self.unkept.iter().cloned());
            let receipt = self.log.append(&all)?;
            self.unkept.clear();
            self.take_in(receipt.entries.start, &all);
        }
        self.ahead = None;
        Ok(())
    }

    /// Folds what the log holds beyond what is folded.
    fn catch_up(&mut self) -> Result<(), JournalError> {
        while self.folded < self.log.size() {
            let until = self.log.size().min(self.folded + CHUNK);
            for leaf in self.log.entries(self.folded..until)? {
                let entry = leaf.entry().map_err(JournalError::Read)?;
                self.take_in(leaf.index, std::slice::from_ref(&entry));
            }
        }
        Ok(())
    }

    /// Folds entries that are in the log, from number `first` on.
    fn take_in(&mut self, first: u64, entries: &[Entry]) {
        assert_eq!(first, self.folded, "every entry is folded once, in order");
        for entry in entries {
            if let Event::GenerationIssued { schedule, .. } | Event::CutCommitted { schedule, .. } =
                &entry.event
            {
                self.schedules.push((self.folded, (**schedule).clone()));
            }
            self.decides(entry, Some(EntryNumber(self.folded)));
            self.earlier.note(&entry.event);
            self.proven = evolve(std::mem::take(&mut self.proven), &entry.event);
            self.newest = self.newest.max(entry.time);
            self.folded += 1;
            // Appended after all, although nobody could say so.
            self.unkept.retain(|kept| kept != entry);
        }
    }

    /// Remembers who decides how the rollout ends, and where that is on record.
    fn decides(&mut self, entry: &Entry, number: Option<EntryNumber>) {
        if let Some(rollout) = entry.event.rollout().filter(|_| entry.event.begins_the_end()) {
            let (rollout, actor) = (rollout.clone(), entry.actor.clone());
            self.decided = Some(Decided { rollout, actor, entry: number });
        }
    }

    /// How the rollout that runs, or the last one, ends; `None` while it goes on.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let rollout = self.state().rollout.as_ref()?;
        let decided = self.decided.as_ref().filter(|decided| decided.rollout == rollout.id);
        Ending::of(rollout, decided.map(|decided| (&decided.actor, decided.entry)))
    }

    /// Folds what is not in the log on top of what is.
    fn look_ahead(&mut self) -> Result<(), JournalError> {
        let kept = self.log.emergency_entries().iter().map(|bytes| entry::decode(bytes));
        let mut waiting = kept.collect::<Result<Vec<Entry>, _>>().map_err(JournalError::Waiting)?;
        waiting.extend(self.unkept.iter().cloned());
        self.newest = waiting.iter().map(|entry| entry.time).fold(self.newest, UnixNanos::max);
        waiting.iter().for_each(|entry| self.decides(entry, None));
        let fold = |state, entry: &Entry| evolve(state, &entry.event);
        self.ahead = (!waiting.is_empty()).then(|| waiting.iter().fold(self.proven.clone(), fold));
        Ok(())
    }

    /// The newest schedule that is in the log itself: the one that gateways can be given a proof of.
    pub(crate) fn proven_schedule(&self) -> Option<&Schedule> {
        self.schedules.last().map(|(_, schedule)| schedule)
    }

    /// The entry that issued a generation, with its proof. While the disk cannot be read, the last proof that was made: it
    /// shows the same, and a fence that goes with it must not wait for a disk.
    pub(crate) fn signed_generation(&mut self, generation: Generation) -> Result<SignedEntry, ApiError> {
        let found = self.schedules.iter().rev().find(|(_, schedule)| schedule.generation() == generation);
        let (index, _) =
            found.ok_or_else(|| ApiError::unavailable("the generation is not in the log yet"))?;
        match sign(&self.log, *index) {
            Ok(signed) => {
                self.signed = Some((generation, signed.clone()));
                Ok(signed)
            }
            Err(error) => match &self.signed {
                Some((known, signed)) if *known == generation => Ok(signed.clone()),
                _ => Err(error),
            },
        }
    }

    /// Takes a blob as evidence. It waits in memory until an entry that names it is appended, and is durable before that
    /// entry is.
    pub(crate) fn evidence(&mut self, bytes: Vec<u8>) -> Result<Digest, JournalError> {
        Ok(self.blobs.put(bytes)?)
    }

    /// Forgets a blob that no entry will name.
    pub(crate) fn withdraw(&mut self, digest: &Digest) {
        self.blobs.withdraw(digest);
    }

    /// The plan of the rollout that runs.
    pub(crate) fn plan(&mut self) -> Option<Arc<Plan>> {
        let digest = self.state().rollout.as_ref()?.plan;
        if let Some((_, plan)) = self.plan.as_ref().filter(|(known, _)| *known == digest) {
            return Some(Arc::clone(plan));
        }
        match self.read_plan(digest) {
            Ok(plan) => {
                self.plan = Some((digest, Arc::clone(&plan)));
                Some(plan)
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the plan cannot be read");
                None
            }
        }
    }

    fn read_plan(&self, digest: Digest) -> Result<Arc<Plan>, JournalError> {
        let bytes = self.log.evidence(&digest)?;
        let plan = serde_json::from_slice(&bytes);
        plan.map(Arc::new).map_err(|error| JournalError::Plan { digest, why: error.to_string() })
    }

    /// The checkpoint as it is now: what a seed derives from.
    pub(crate) fn seed_source(&self) -> Option<SeedSource> {
        let note = self.log.checkpoint();
        let checkpoint = Checkpoint::open(note.as_bytes(), &self.verifier).ok()?;
        Some(SeedSource { size: checkpoint.size, root: checkpoint.root.to_string() })
    }

    /// Entries of the log from `from` on, each with its number as a string, like every integer of 64 bits.
    pub(crate) fn entries(&self, from: u64, max: usize) -> Result<Vec<serde_json::Value>, JournalError> {
        let until = self.folded.min(from.saturating_add(max as u64));
        if from >= until {
            return Ok(Vec::new());
        }
        let leaves = self.log.entries(from..until)?;
        Ok(leaves.iter().map(|leaf| with_index(leaf.index, &leaf.bytes)).collect())
    }

    /// The digest of the fold of the log, for the record; `None` while something is not in the log.
    pub(crate) fn state_digest(&self) -> Result<Option<Digest>, JournalError> {
        Ok(if self.is_clean() { Some(canonical::digest(&self.proven)?) } else { None })
    }
}

fn sign(log: &Log, index: u64) -> Result<SignedEntry, ApiError> {
    let inclusion = log.inclusion(index).map_err(JournalError::from)?;
    let entry = String::from_utf8(inclusion.leaf.bytes)
        .map_err(|_| ApiError::unavailable("the log's entry is not text: run `crossfade audit verify`"))?;
    let proof = inclusion.proof.iter().map(ToString::to_string).collect();
    Ok(SignedEntry { index, entry, proof, checkpoint: inclusion.checkpoint })
}

fn with_index(index: u64, bytes: &[u8]) -> serde_json::Value {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("index".to_owned(), index.to_string().into());
    }
    value
}

/// Where the log of a site is.
pub(crate) fn place(site: &Site) -> Place {
    let place = Place::new(&site.log_dir);
    Place { emergency: site.emergency_file(), ..place }
}

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;
