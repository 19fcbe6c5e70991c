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
}
