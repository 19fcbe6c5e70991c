//! What an environment holds of Crossfade's own traces, and whether they can be removed.
//!
//! Synthetic traces are told by their services' names, [`is_own`]. Neither Jaeger's nor Tempo's query API deletes anything, so that
//! nothing is removed: what is there goes when the store's retention says so.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_gates::load;
use crossfade_gates::model::TraceId;
use crossfade_gates::probe::{PEER_SERVICE, SERVICE, is_own};

use crate::query::{Find, Query, QueryError, QueryKind};
use crate::sample::{Window, narrowest_of};

/// Traces that one search may give.
const TRACES_PER_SEARCH: u32 = 500;
/// Searches of one listing.
const SEARCHES_MAX: u32 = 2_000;

/// The synthetic traces of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Their ids, by service; a trace is with each of its services.
    pub services: BTreeMap<String, BTreeSet<TraceId>>,
    /// Whether these are all: `false` if a store gives no more than so many at once, or the searches became too many.
    pub complete: bool,
}

impl Held {
    /// Every trace once.
    pub fn traces(&self) -> BTreeSet<TraceId> {
        self.services.values().flatten().copied().collect()
    }
}

/// What a store's query API allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Why nothing was removed.
    pub why: &'static str,
    /// What ends their life instead.
    pub instead: &'static str,
}

/// What can be done about traces in such a store.
pub const fn removal(kind: QueryKind) -> Removal {
    match kind {
        QueryKind::Jaeger => Removal {
            why: "Jaeger's query API cannot delete traces",
            instead: "they go when the storage's retention says so: `ttl.spans` of Badger, the index cleaner or a lifecycle policy of \
                      Elasticsearch and OpenSearch, `trace_ttl` of Cassandra, `ttl` of ClickHouse, `max_traces` in memory",
        },
        QueryKind::Tempo => Removal {
            why: "Tempo's query API cannot delete traces",
            instead: "they go when the compactor's `block_retention` (336h unless it is set), or the tenant's, has passed; sooner only by \
                      `tempo-cli rewrite-blocks drop-traces`, for each trace id, where that tool may write to the storage",
        },
    }
}

/// Everything synthetic that began within a time.
///
/// # Errors
/// The first question that has no answer.
pub async fn held(query: &Query, window: Window) -> Result<Held, QueryError> {
    let mut services: BTreeSet<String> = query.services().await?.into_iter().filter(|s| is_own(s)).collect();
    // A store may name no service that was silent of late.
    services.extend([SERVICE, PEER_SERVICE, load::SERVICE, load::PEER_SERVICE].map(str::to_owned));
    let mut listing = Listing { query, searches: 0, complete: true };
    let mut found = BTreeMap::new();
    for service in services {
        let mut ids = BTreeSet::new();
        listing.of(&service, window, &mut ids).await?;
        if !ids.is_empty() {
            found.insert(service, ids);
        }
    }
    Ok(Held { services: found, complete: listing.complete })
}

struct Listing<'a> {
    query: &'a Query,
    searches: u32,
    complete: bool,
}

impl Listing<'_> {
    /// Halves a time in which there may be more than one search gives.
    async fn of(
        &mut self,
        service: &str,
        window: Window,
        found: &mut BTreeSet<TraceId>,
    ) -> Result<(), QueryError> {
        let narrowest = narrowest_of(self.query.kind());
        let mut open = vec![window];
        while let Some(window) = open.pop() {
            if self.searches >= SEARCHES_MAX {
                self.complete = false;
                return Ok(());
            }
            self.searches += 1;
            let mut find = Find::new(service, window.from, window.until);
            find.limit = TRACES_PER_SEARCH;
            let ids = self.query.find_ids(&find).await?;
            let is_full = ids.len() >= TRACES_PER_SEARCH as usize;
            found.extend(ids);
            let length = window.until.saturating_sub(window.from);
            if is_full && length > narrowest {
                let middle = window.from + length / 2;
                open.extend([Window { until: middle, ..window }, Window { from: middle, ..window }]);
            } else if is_full {
                self.complete = false;
            }
        }
        Ok(())
    }
}
