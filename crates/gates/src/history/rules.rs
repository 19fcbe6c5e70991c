//! The rules: one for each way in which history can get lost.

use crate::difference::What;
use crate::rule::{Rule, rules};

rules! { "CF-HISTORY-";
    HOLE = "001" history_hole High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, NIST_AU_11, NIST_CP_9]
        "For a time, nothing that was recorded before the cut-over can be read in the candidate."
        "A hole in the record. Whoever has to show what happened then finds nothing, and cannot tell that from nothing having happened."
        "Migrate that time again; look in the migration's log for blocks, partitions or days that it left out.";
    TRACE_LOST = "002" history_trace_lost High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, NIST_AU_11, NIST_CP_9]
        "Old traces, here and there, cannot be read in the candidate."
        "The migration lost some, or the candidate refuses some: too large, too old, malformed."
        "Look at what the missing traces share: size, age, tenant, service. Migrate them again.";
    SPANS_LOST = "003" history_spans_lost High Data [PCI_10_5_1, HIPAA_164_312_C_1, NIST_AU_11, NIST_CP_9]
        "Old traces lack spans in the candidate."
        "The trace is there and has holes: it reads as if a call had never been made."
        "Look for a limit on the size of traces in the migration or the candidate, and for traces that lie across two blocks or days.";
    CONTENT_LOST = "004" history_content_lost High Data [HIPAA_164_312_C_1, NIST_AU_11, NIST_SI_7, NIST_CP_9]
        "Spans of old traces lack attributes, events or links in the candidate, or have them cut short."
        "What was recorded is no longer all there."
        "Look for limits on attributes in the candidate, and for what the migration's format has no field for.";
    CONTENT_CHANGED = "005" history_content_changed High Data [HIPAA_164_312_C_1, NIST_AU_9, NIST_SI_7]
        "Spans of old traces say something else in the candidate."
        "A record that changes when it is moved is no record."
        "Compare one of the spans in both; look for conversions of types, times or ids in the migration.";
    CONTENT_ADDED = "006" history_content_added Low Data [NIST_AU_9, NIST_SI_7]
        "Spans of old traces have something in the candidate that they do not have in the active environment."
        "A migration that adds to the record cannot be told from one that forges it."
        "If the migration marks what it moved, declare the mark under gates.history.ignore.";
    NOT_FOUND = "007" history_not_found High Data [PCI_10_7, NIST_AU_11, NIST_CP_9, SOC2_A1_2]
        "Old traces can be read in the candidate by id, and are not found by a search that finds them in the active environment."
        "Nobody knows the id of what he looks for: what no search finds is lost to people."
        "Check that what was searched for is indexed in the candidate (Tempo: search and dedicated columns; Jaeger: tags as fields), \
         and rebuild the index.";
    INDEX_LAGS = "008" history_index_lags High Data [PCI_10_7, NIST_AU_11, NIST_CP_9, SOC2_A1_2]
        "For a time, old traces can be read in the candidate by id, and no search finds them."
        "The index lags behind the store, or misses a part of it: that time looks empty to whoever searches."
        "Wait until the index has caught up, and run the gate again; if it does not move, rebuild the index for that time.";
    FEWER_FOUND = "009" history_fewer_found High Data [NIST_AU_11, NIST_CP_9, SOC2_A1_2]
        "For an hour or more, searches in the candidate find fewer of the traces that they find in the active environment."
        "Counts, rates and searches over that time give other results after the switch."
        "Look for what was left out at that time, or is not indexed yet.";
    TOO_FEW = "010" history_too_few Unknown Data [NIST_SA_11, SOC2_CC8_1]
        "Too few old traces could be compared for a verdict."
        "With few traces, equal ones show little."
        "Check that the active environment has traces from before the cut-over, and how far back `reach` goes.";
    UNREAD = "011" history_unread Unknown Behaviour [PCI_10_7, NIST_AU_5, NIST_SA_11]
        "Old traces could not be read from one of the environments, or only in part."
        "What could not be read is not known to be there."
        "Check the query endpoint that the finding names, its limits on the size of a trace, and its load.";
    NOT_KEPT = "012" history_not_kept High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, NIST_AU_11, NIST_CM_2_3]
        "Old traces that are kept in the former environment cannot be read there."
        "The plan relies on them staying where they are."
        "Check retention, storage and health of the environment that keeps them; do not take it down before the promised time is over.";
    KEPT_TOO_SHORT = "013" history_kept_too_short High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, NIST_AU_11, NIST_CM_2_3]
        "Nothing from right before the cut-over is left in the environment that keeps old traces, and the promised time is not over."
        "Its retention is shorter than what was promised, and has deleted what should have stayed."
        "Raise the retention of that environment at once, and restore what was deleted from its backup.";
    UNSEARCHED = "014" history_unsearched Unknown Behaviour [PCI_10_7, NIST_AU_11, NIST_SA_11]
        "Whether searches find old traces in the candidate is not known: they had no answer, or show nothing."
        "Nobody knows the id of what he looks for; an index that does not answer, or is empty, hides everything that is stored."
        "Put one of the searches yourself, to both environments; the detail has the error. Check the index, and limits on searches.";
    VANISHED = "015" history_vanished Note Data [NIST_AU_11, NIST_SA_11]
        "Old traces that a search found could not be read by id from the active environment."
        "They counted for nothing, and many of them keep the gate from a verdict. Usually they were about to be deleted by retention; otherwise the index knows more than the store."
        "Look at more recent traces with a shorter `reach`, or at the retention of the active environment.";
    FLAGS_NOT_KEPT = "016" history_flags_not_kept Note Data [NIST_AU_3, NIST_SI_7]
        "No span of one environment has flags, and spans of the other do."
        "Whether a trace was sampled, and whether a span's caller was another process, is no longer in the record. Some of Jaeger's storages have no room for it."
        "Nothing, if that is the storage's doing. Otherwise look for a conversion on the way that clears flags.";
    UNCOUNTED = "017" history_hours_uncounted Note Data [NIST_AU_11, NIST_SA_11]
        "Of some hours it is not known whether searches find as many old traces in the candidate."
        "A hole in such an hour shows only if one of the traces drawn lies in it. If it is more than one hour in twenty, there is no verdict."
        "Where the time was up, raise `deadline` or shorten `reach`. Where the store did not answer, look at its load. Where a service has more traces in the shortest time of a search (Tempo: 1 s) than a search gives (1,000, or the store's own limit, such as Tempo's `max_result_limit`), raise that limit if it is lower; otherwise compare the volume of these hours in both stores yourself.";
    KEPT_GONE = "018" history_kept_gone High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, NIST_AU_11, NIST_CM_2_3]
        "A time of which an earlier look read traces is empty now in the environment that keeps them, and the promised time is not over."
        "Its retention is shorter than what was promised, or somebody has deleted what should have stayed."
        "Raise the retention of that environment at once, and restore what was deleted from its backup.";
    KEPT_NOT_COMPARED = "019" history_kept_not_compared Note Data [PCI_10_5_1, NIST_AU_11]
        "Whether old traces are gone from the environment that keeps them could not be checked: no earlier look says what there was."
        "A store that has forgotten traces gives none of them away: what it finds can be read, and that is all it shows."
        "Have the gate look in a rollout, before the cut-over and again (`when: [preflight, promoted]`, `every`): each look is held against those of before.";
}

/// The rule of a kind of difference.
pub(super) fn of(what: What) -> &'static Rule {
    match what {
        What::TraceMissing => &TRACE_LOST,
        What::SpanMissing | What::TraceBroken => &SPANS_LOST,
        What::AttributeMissing | What::AttributeCut | What::EventMissing | What::LinkMissing => &CONTENT_LOST,
        What::TraceExtra | What::SpanExtra | What::AttributeAdded | What::EventExtra | What::LinkExtra => {
            &CONTENT_ADDED
        }
        What::AttributeChanged
        | What::Status
        | What::Name
        | What::Kind
        | What::Parent
        | What::Times
        | What::Resource
        | What::Scope
        | What::TraceState => &CONTENT_CHANGED,
    }
}
