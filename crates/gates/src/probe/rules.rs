//! The rules: one for each way in which a probe trace can fail.

use crate::rule::rules;

rules! { "CF-PROBE-";
    NOT_FOUND = "001" not_found High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_12, NIST_SA_11]
        "A probe trace was accepted, and could not be read before the deadline."
        "What happens to the probe happens to everybody's traces: they are accepted and gone."
        "Check that the query endpoint reads the store that the OTLP endpoint writes; look for sampling and filters on the \
         way; raise the probe's deadline if the store is slow to make traces readable.";
    MISSING_SPANS = "002" missing_spans High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_12, NIST_SA_11]
        "Spans of a probe trace were accepted, and could not be read before the deadline."
        "Something between the OTLP endpoint and the store drops spans: a filter, sampling, a limit, a full queue. Traces then \
         have holes."
        "Look at the kinds and services of the missing spans, and for a filter, sampling or limit that fits them.";
    EXTRA_SPANS = "003" extra_spans Medium Data [HIPAA_164_312_C_1, NIST_SI_7, NIST_SA_11]
        "Spans came back that the probe did not write, or came back more than once."
        "Duplicates distort counts and rates; foreign spans mean that trace ids are mixed up."
        "Look for two exporters or pipelines that lead to the same store, and for retries.";
    INCORRECT_SPAN = "004" incorrect_span High Data [HIPAA_164_312_C_1, NIST_SI_7, NIST_SA_11]
        "A span came back with another value than it was written with."
        "A processor or a limit of the store changes what is recorded; an investigation would read something that was not so."
        "Look at the field: for a processor that sets it, or a limit of the store that cuts it.";
    REQUEST_FAILED = "005" request_failed High Behaviour [PCI_10_7, NIST_AU_5, NIST_SA_11]
        "A probe trace could not be written, or the environment could not be asked for it."
        "Without an answer nothing is known about the environment, and what is not known does not pass."
        "Check address, port, protocol and network; the detail has the error.";
    NOT_SEARCHABLE = "006" not_searchable Medium Data [HIPAA_164_312_B, NIST_AU_12, NIST_SA_11]
        "A probe trace can be read by its id, and is not found by search before the deadline."
        "People search by service, operation and attribute; what the index does not have, nobody finds."
        "Look at the store's index: whether it lags, and whether the attribute is one that it indexes.";
    SLOW = "007" slow_to_read Medium Capacity [SOC2_A1_1, NIST_SI_4, NIST_SA_11]
        "Probe traces become readable later than allowed."
        "During an incident, what cannot be read yet does not help."
        "Look at batching and queues before the store, and at how often the store flushes.";
    VALUE_CUT = "008" value_cut Medium Data [HIPAA_164_312_C_1, NIST_SI_7, NIST_SA_11]
        "A long value came back without its end."
        "What was behind the cut is gone for good: the end of a statement, of a stack trace, of a list of ids. Tempo cuts values at \
         2,048 bytes unless it is told otherwise; Collectors and SDKs have such limits too. Beside an active environment that keeps no \
         more, this is a note: nothing gets worse."
        "Raise the limit: for Tempo `distributor.max_attribute_bytes` (and each tenant's `max_attribute_bytes` among the overrides), in a \
         Collector the `truncate_all` statements of its transform processor. If it is meant, waive the finding.";
    LEAK = "010" sensitive_data_leaked Critical Security
        [PCI_3_5_1, PCI_6_5_5, HIPAA_164_312_A_1, GDPR_25, GDPR_5_1_C, GDPR_32_1_A, NIST_SC_28]
        "Made-up sensitive data came back from an environment that has to mask it."
        "What the probe could read in the clear, everybody's cards, patients and tokens can be read as: by whoever may query, from \
         every backup, for as long as traces are kept."
        "Let the processor that masks look at the named field, in every pipeline, before every exporter.";
    SHARED_STORE = "011" shared_store Critical Security [PCI_6_5_3, NIST_AC_4, NIST_SA_11]
        "A trace that was written to one environment alone can be read in the other."
        "The two share a store: green's losses are then hidden by what blue wrote, blue's data is doubled, and a rollback cannot \
         tell whose spans are whose."
        "Give each environment a store of its own; compare their exporters' endpoints, indices and tenants.";
    SEPARATION_UNKNOWN = "012" separation_unknown Unknown Security [PCI_6_5_3, NIST_SA_11]
        "Whether the two environments share a store could not be found out."
        "What is not known does not pass."
        "See to it that both query endpoints answer.";
    MASKING_UNKNOWN = "013" masking_unknown Unknown Security [PCI_6_5_5, GDPR_25, NIST_SA_11]
        "The canaries that show whether sensitive data is masked were not found at all."
        "A canary that is gone shows nothing: the environment may mask, or have lost it."
        "See to it that the canary traces can be read; the other findings say why they cannot.";
    SEARCH_UNKNOWN = "014" search_unknown Unknown Data [HIPAA_164_312_B, NIST_AU_12, NIST_SA_11]
        "Whether probe traces are found by search could not be found out: the search had no answer."
        "What is not known does not pass."
        "See to it that the query endpoint answers searches by service, time and attribute; the detail has the error.";
    MASKS_NOT_SAID = "015" masks_not_said Note Security [PCI_6_5_5, GDPR_25, NIST_SA_11]
        "The active environment masks, and nobody says what the candidate has to."
        "Without that no canaries are written: a candidate that masks nothing passes."
        "Name the kinds that have to be masked in the rollout's gates.probe.masks.";
}
