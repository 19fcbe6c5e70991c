//! The log and the state that is its fold, kept together: nothing is folded that is not durable.
//!
//! Two places make an entry durable: the log, and, for a way back while the log takes nothing, the emergency file. What
//! waits there is folded at once, and goes into the log, marked, as soon as that takes entries again.

use std::sync::Arc;

use crossfade_audit::canonical::{self, CanonicalError};
use crossfade_audit::keys::{self, KeyFileError};
use crossfade_audit::{
    AppendError, EmergencyError, EvidenceError, Log, OpenError, Place, ReadError, Recovery,
};
use crossfade_rollout::event::{Event, SeedSource};
use crossfade_rollout::observed::Urgency;
use crossfade_rollout::plan::Plan;
use crossfade_rollout::{Actor, Digest, Entry, State, evolve};
use crossfade_routing::sync::SignedEntry;
use crossfade_routing::{Generation, Schedule, UnixNanos};
use crossfade_tlog::{Checkpoint, VerifierKey};

use crate::api::{ApiError, ErrorCode};
use crate::site::Site;

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
    /// Neither the log nor the emergency file takes entries.
    #[error(transparent)]
    Emergency(#[from] EmergencyError),
    /// Evidence is not taken.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something that has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The log is shut: an attempt to open it again failed.
    #[error("the log is shut: {0}")]
    Shut(String),
    /// A plan in the evidence that cannot be read.
    #[error("the plan {digest} among the evidence cannot be read: {why}")]
    Plan {
        /// Its digest.
        digest: Digest,
        /// Why.
        why: String,
    },
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> ApiError {
        let remedy = "nothing was done; see `crossfade rollout status`";
        ApiError::new(ErrorCode::Unavailable, format!("{}; {remedy}", chain(&error)))
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
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
    place: Place,
    key_file: std::path::PathBuf,
    origin: String,
    verifier: VerifierKey,
    /// `None` while it is shut: it could not be opened again after a failure.
    log: Option<Log>,
    state: State,
    /// Log entries that are folded.
    folded: u64,
    /// Entries of the emergency file that are folded ahead of the log.
    ahead: usize,
    /// Every schedule that was issued, oldest first, with the entry that issued it.
    schedules: Vec<(u64, Schedule)>,
    plan: Option<(Digest, Arc<Plan>)>,
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
        let key = keys::load(&site.key_file)?;
        let verifier = key.verifier().clone();
        let (log, recovery) = Log::open(&place(site), key)?;
        let mut journal = Journal {
            place: place(site),
            key_file: site.key_file.clone(),
            origin: site.origin.clone(),
            verifier,
            log: Some(log),
            state: State::default(),
            folded: 0,
            ahead: 0,
            schedules: Vec::new(),
            plan: None,
        };
        journal.catch_up()?;
        journal.merge(now)?;
        Ok(Opened { journal, recovery })
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
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

    /// Whether the log holds everything that is folded.
    pub(crate) fn is_clean(&self) -> bool {
        self.ahead == 0 && self.log.is_some()
    }

    /// Every schedule, oldest first.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.schedules.iter().map(|(_, schedule)| schedule)
    }

    /// Appends and folds. Durable on return; with `Emergency`, perhaps only in the emergency file.
    pub(crate) fn append(
        &mut self,
        actor: &Actor,
        events: &[Event],
        urgency: Urgency,
        now: UnixNanos,
    ) -> Result<(), JournalError> {
        match (self.append_durable(actor, events, now), urgency) {
            (Ok(()), _) => Ok(()),
            (Err(error), Urgency::Ordinary) => Err(error),
            (Err(error), Urgency::Emergency) => {
                tracing::error!(
                    error = chain(&error),
                    "the log takes nothing: a way back goes to the emergency file"
                );
                self.append_emergency(actor, events, now)
            }
        }
    }

    /// Appends to the log and folds; on an error nothing is folded.
    pub(crate) fn append_durable(
        &mut self,
        actor: &Actor,
        events: &[Event],
        now: UnixNanos,
    ) -> Result<(), JournalError> {
        self.merge(now)?;
        let entries: Vec<Entry> =
            events.iter().map(|event| Entry::new(actor.clone(), now, event.clone())).collect();
        let log =
            self.log.as_mut().ok_or_else(|| JournalError::Shut("it could not be opened again".to_owned()))?;
        log.append(&entries)?;
        self.catch_up()
    }

    fn append_emergency(
        &mut self,
        actor: &Actor,
        events: &[Event],
        now: UnixNanos,
    ) -> Result<(), JournalError> {
        let log =
            self.log.as_mut().ok_or_else(|| JournalError::Shut("it could not be opened again".to_owned()))?;
        for event in events {
            log.append_emergency(&Entry::new(actor.clone(), now, event.clone()))?;
            self.state = evolve(std::mem::take(&mut self.state), event);
            self.ahead += 1;
        }
        Ok(())
    }

    /// Tries a log that failed: opens it again if that is needed, and merges what waits.
    pub(crate) fn recover(&mut self, now: UnixNanos) -> Result<(), JournalError> {
        if self.log.as_ref().is_none_or(|log| log.poisoned().is_some()) {
            // The lock goes with the old one.
            self.log = None;
            let (log, recovery) = Log::open(&self.place, keys::load(&self.key_file)?)?;
            tracing::warn!(%recovery, "the log was opened again");
            self.log = Some(log);
            self.catch_up()?;
        }
        self.merge(now)
    }

    /// Moves what waits in the emergency file into the log.
    fn merge(&mut self, now: UnixNanos) -> Result<(), JournalError> {
        let Some(log) = self.log.as_mut() else { return Ok(()) };
        if log.merge_emergency(now)?.is_some() {
            self.catch_up()?;
        }
        Ok(())
    }

    /// Folds what the log holds beyond what is folded.
    fn catch_up(&mut self) -> Result<(), JournalError> {
        loop {
            let Some(log) = self.log.as_ref() else { return Ok(()) };
            let (from, size) = (self.folded, log.size());
            if from >= size {
                return Ok(());
            }
            let leaves = log.entries(from..size.min(from + CHUNK))?;
            for leaf in leaves {
                let entry = leaf.entry()?;
                self.note_schedule(leaf.index, &entry.event);
                self.fold(&entry.event);
                self.folded = leaf.index + 1;
            }
        }
    }

    /// Folds an event of the log, unless it was folded when it went to the emergency file.
    fn fold(&mut self, event: &Event) {
        if self.ahead > 0 && !matches!(event, Event::EmergencyMerged { .. }) {
            self.ahead -= 1;
            return;
        }
        self.state = evolve(std::mem::take(&mut self.state), event);
    }

    fn note_schedule(&mut self, index: u64, event: &Event) {
        if let Event::GenerationIssued { schedule, .. } | Event::CutCommitted { schedule, .. } = event {
            self.schedules.push((index, (**schedule).clone()));
        }
    }

    /// The newest schedule that is in the log itself: the one that gateways can be given a proof of.
    pub(crate) fn proven_schedule(&self) -> Option<&Schedule> {
        self.schedules.last().map(|(_, schedule)| schedule)
    }

    /// The entry that issued a generation, with its proof.
    pub(crate) fn signed_generation(&self, generation: Generation) -> Result<SignedEntry, ApiError> {
        let found = self.schedules.iter().rev().find(|(_, schedule)| schedule.generation() == generation);
        let (index, _) =
            found.ok_or_else(|| ApiError::unavailable("the generation is not in the log yet"))?;
        let log = self.log.as_ref().ok_or_else(|| ApiError::unavailable("the log is shut"))?;
        let inclusion = log.inclusion(*index).map_err(JournalError::from)?;
        let entry = String::from_utf8(inclusion.leaf.bytes).map_err(|_| {
            ApiError::unavailable("the log's entry is not text: run `crossfade audit verify`")
        })?;
        let proof = inclusion.proof.iter().map(ToString::to_string).collect();
        Ok(SignedEntry { index: *index, entry, proof, checkpoint: inclusion.checkpoint })
    }

    /// Stores a blob.
    pub(crate) fn evidence(&mut self, bytes: &[u8]) -> Result<Digest, JournalError> {
        let log =
            self.log.as_mut().ok_or_else(|| JournalError::Shut("it could not be opened again".to_owned()))?;
        Ok(log.put_evidence(bytes)?)
    }

    /// Stores something in canonical JSON.
    pub(crate) fn evidence_json<T: serde::Serialize>(&mut self, value: &T) -> Result<Digest, JournalError> {
        let bytes = canonical::to_vec(value)?;
        self.evidence(&bytes)
    }

    /// The plan of the rollout that runs.
    pub(crate) fn plan(&mut self) -> Option<Arc<Plan>> {
        let digest = self.state.rollout.as_ref()?.plan;
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
        let log =
            self.log.as_ref().ok_or_else(|| JournalError::Shut("it could not be opened again".to_owned()))?;
        let bytes = log.evidence(&digest)?;
        let plan = serde_json::from_slice(&bytes);
        plan.map(Arc::new).map_err(|error| JournalError::Plan { digest, why: error.to_string() })
    }

    /// The checkpoint as it is now: what a seed derives from.
    pub(crate) fn seed_source(&self) -> Option<SeedSource> {
        let note = self.log.as_ref()?.checkpoint();
        let checkpoint = Checkpoint::open(note.as_bytes(), &self.verifier).ok()?;
        Some(SeedSource { size: checkpoint.size, root: checkpoint.root.to_string() })
    }

    /// Entries from `from` on, with their numbers.
    pub(crate) fn entries(&self, from: u64, max: usize) -> Result<Vec<serde_json::Value>, JournalError> {
        let Some(log) = self.log.as_ref() else { return Ok(Vec::new()) };
        let size = log.size();
        let until = size.min(from.saturating_add(max as u64));
        if from >= until {
            return Ok(Vec::new());
        }
        let leaves = log.entries(from..until)?;
        Ok(leaves.iter().map(|leaf| with_index(leaf.index, &leaf.bytes)).collect())
    }

    /// The digest of the state, for the record.
    pub(crate) fn state_digest(&self) -> Result<Digest, JournalError> {
        Ok(canonical::digest(&self.state)?)
    }
}

fn with_index(index: u64, bytes: &[u8]) -> serde_json::Value {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("index".to_owned(), index.into());
    }
    value
}

fn place(site: &Site) -> Place {
    let place = Place::new(&site.log_dir);
    Place { emergency: site.emergency_file(), ..place }
}
