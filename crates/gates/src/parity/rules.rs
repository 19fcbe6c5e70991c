//! The rules: one for each kind of difference, and for what keeps a verdict back.

use crate::difference::What;
use crate::rule::{Rule, rules};

rules! { "CF-PARITY-";
    TRACE_MISSING = "001" trace_missing High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_12, NIST_CM_4_2]
        "A trace is in the active environment, and not in the candidate."
        "Whoever investigates after the switch does not find it: what happened then is not on record."
        "Look for sampling, filters and limits on the candidate's way, and for traces that its store refuses; compare one of the \
         traces by id in both.";
    TRACE_EXTRA = "002" trace_extra High Data [NIST_CP_10, NIST_SI_7, HIPAA_164_312_C_1]
        "A trace is in the candidate, and not in the active environment."
        "While the active receives everything, going back loses nothing. A trace that it lacks would be lost by going back."
        "Check that everything that writes to the candidate goes through the gateway, and that the active does not sample or \
         filter more.";
    TRACE_BROKEN = "003" trace_broken High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_3, NIST_SI_4]
        "In the candidate a trace breaks between two services: the called span has no caller's span above it."
        "The caller's part and the called one's no longer belong together: latency and errors are ascribed to the wrong service."
        "Check that the calling service exports to the candidate's way, and that nothing on it drops its spans or rewrites \
         parent ids.";
    SPAN_MISSING = "004" span_missing High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_12, NIST_CM_4_2]
        "A span of a trace is in the active environment, and not in the candidate."
        "The trace has a hole: a call, its duration or its failure cannot be seen."
        "Look at what the missing spans share: a service, a kind, a size. Look for a filter, a sampler or a limit that fits.";
    SPAN_EXTRA = "005" span_extra Medium Data [NIST_SI_7, HIPAA_164_312_C_1, NIST_CM_4_2]
        "A span of a trace is in the candidate, and not in the active environment."
        "Either the active loses spans, or the candidate makes some up; counts and rates differ after the switch."
        "Look for two exporters or connectors that lead to the candidate's store, and for a filter on the active's way.";
    ATTRIBUTE_MISSING = "006" attribute_missing High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7, NIST_CM_4_2]
        "Spans in the candidate lack an attribute that they have in the active environment."
        "Searches, alerts and dashboards that use the attribute find nothing after the switch."
        "Look for a processor that deletes it or a limit on the number of attributes. If that is intended, declare it under \
         gates.parity.ignore.";
    ATTRIBUTE_CUT = "007" attribute_cut High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7, NIST_CM_4_2]
        "Spans in the candidate have the beginning of an attribute's text."
        "What was cut off is gone for good: the end of a query or of an error's text is often what one looks for."
        "Look for a limit on the length of attributes, such as Tempo's max_attribute_bytes or a transform processor's \
         truncate_all, and set it as in the active.";
    ATTRIBUTE_CHANGED = "008" attribute_changed High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7, NIST_CM_4_2]
        "An attribute has another value or type in the candidate."
        "An investigation reads something that was not so, or a search by the value finds nothing."
        "Look for a processor that sets, hashes or redacts the attribute in one environment only. If that is intended, declare it \
         under gates.parity.ignore.";
    ATTRIBUTE_ADDED = "009" attribute_added Low Data [GDPR_5_1_C, NIST_CM_6, NIST_SI_7]
        "Spans in the candidate have an attribute that they do not have in the active environment."
        "Either the candidate adds something, or it keeps what the active removes, which may be what must not be kept."
        "Look for a processor that adds it, or for one of the active's that removes it and is missing here. If it is intended, \
         declare it under gates.parity.ignore.";
    EVENT_MISSING = "010" event_missing High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_AU_12, NIST_CM_4_2]
        "Spans in the candidate lack an event."
        "Exceptions are recorded as events: a failure is left without its cause."
        "Look for a limit on the number or size of events, and for a processor that filters them.";
    EVENT_EXTRA = "011" event_extra Medium Data [NIST_SI_7, HIPAA_164_312_C_1]
        "Spans in the candidate have an event that they do not have in the active environment."
        "One of the two environments does not keep what was sent."
        "Look for a limit on events in the active, and for a processor that makes events in the candidate.";
    LINK_MISSING = "012" link_missing High Data [NIST_AU_3, NIST_AU_12, NIST_CM_4_2]
        "Spans in the candidate lack a link to another trace."
        "Work that goes through queues and batches can no longer be followed from one trace to the next."
        "Look for a limit on the number of links; check that the candidate's store keeps links.";
    LINK_EXTRA = "013" link_extra Medium Data [NIST_SI_7, NIST_CM_4_2]
        "Spans in the candidate have a link that they do not have in the active environment."
        "One of the two environments does not keep what was sent."
        "Look for a limit on links in the active.";
    STATUS = "014" status_differs High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7]
        "A span has another status in the candidate."
        "Error rates and alerts rest on it: failures appear or disappear with the switch."
        "Look for a processor that sets the status or deletes its message in one environment only.";
    NAME = "015" name_differs Medium Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7]
        "A span has another name in the candidate."
        "Searches, metrics and alerts by operation see a new operation, and the old one fall silent."
        "Look for a processor that renames spans in one environment only.";
    KIND = "016" kind_differs Medium Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7]
        "A span has another kind in the candidate."
        "Service graphs and rates are made from kinds: calls appear or disappear in them."
        "Look for a conversion on the candidate's way that does not know the kind.";
    PARENT = "017" parent_differs High Data [HIPAA_164_312_C_1, NIST_AU_3, NIST_SI_7]
        "A span has another parent in the candidate."
        "The tree of the trace is another one: who called whom, and who waited for whom."
        "Look for a processor or conversion that rewrites span ids.";
    TIMES = "018" times_differ Medium Data [PCI_10_6, NIST_AU_8, NIST_SI_7]
        "A span starts or ends at another time in the candidate."
        "Latencies and the order of what happened differ; objectives are measured wrongly."
        "Look for a conversion that cuts times coarser than microseconds, or for a store that adjusts clocks in what it keeps.";
    RESOURCE = "019" resource_differs Medium Data [NIST_AU_3, NIST_CM_6, NIST_SI_7]
        "A resource attribute is missing, added, cut or changed in the candidate."
        "By these one finds out where something ran. Dashboards that group by them fall apart, or show a host that is not there."
        "Compare the processors that detect or set resources (resource, resourcedetection, k8sattributes). What is each \
         environment's own, declare under gates.parity.ignore.";
    SCOPE = "020" scope_differs Low Data [NIST_AU_3, NIST_SI_7]
        "A span has another instrumentation scope in the candidate."
        "One can no longer tell which library recorded the span, and in which version."
        "Look for a conversion on the candidate's way that does not know scopes.";
    TRACE_STATE = "021" trace_state_differs Low Data [NIST_AU_3, NIST_SI_7]
        "A span has another trace state in the candidate."
        "Vendors and samplers keep their decisions in it: sampling downstream may no longer be consistent."
        "Look for a conversion or a sampler that rewrites the trace state in one environment only.";
    TOO_FEW = "022" too_few_pairs Unknown Data [NIST_SA_11, SOC2_CC8_1]
        "Too few traces could be compared for a verdict."
        "With few pairs, equal ones show little: what is rare has not come up yet."
        "Wait for more traffic, widen the time that is looked at, or allow a larger share.";
    UNREAD = "023" pairs_unread Unknown Behaviour [PCI_10_7, NIST_AU_5, NIST_SA_11]
        "Traces could not be read from one of the environments, or only in part."
        "What could not be read is not known to be equal, and may well be what differs."
        "Check the query endpoint that the finding names, its limits on the size of a trace, and its load.";
    CLOCK_ADJUSTED = "024" clock_adjusted Note Data [NIST_AU_8, PCI_10_6]
        "One of the environments moves the clocks of hosts in what it answers."
        "Times of these spans could not be compared; what is stored is not what is shown."
        "Nothing, if people are used to it. Newer versions answer raw traces when asked.";
    REPEATED = "025" spans_repeated Note Data [NIST_SI_7, NIST_SA_11]
        "Spans are stored more than once, word for word."
        "Exporters send again what was not acknowledged; many of them hint at time-outs on the way."
        "Nothing, if they are few. Otherwise look at the latency of the environment's OTLP endpoint.";
    MORE = "026" more_differences Medium Data [NIST_CM_4_2, NIST_SA_11]
        "There are more kinds of difference than a report has room for."
        "Two environments that differ in so many ways are not copies of each other."
        "Mend what is listed, and run the gate again.";
    REQUEST_SPLIT = "027" request_split High Data [PCI_10_2, HIPAA_164_312_B, NIST_AU_3, NIST_SI_4]
        "Requests that were one trace are two now: an operation that is called by another service has lost its caller."
        "Operations read a fast caller and an unexplained root: the slow or failing part no longer belongs to any request of a user."
        "Compare the propagation formats of the two services (OTEL_PROPAGATORS: tracecontext, b3, jaeger) and the versions of \
         their instrumentation; proxies between them may drop headers.";
    VANISHED = "028" traces_vanished Note Data [NIST_AU_11, NIST_SA_11]
        "Traces that a search found could be read by id from neither environment."
        "They counted for nothing, and many of them keep the gate from a verdict. Usually they were about to be deleted by retention; otherwise the index knows more than the store."
        "Look at more recent traces, or at the retention of both environments.";
    FLAGS_NOT_KEPT = "029" flags_not_kept Note Data [NIST_AU_3, NIST_SI_7]
        "No span of one environment has flags, and spans of the other do."
        "Whether a trace was sampled, and whether a span's caller was another process, is not recorded there. Some of Jaeger's storages have no room for it."
        "Nothing, if that is the storage's doing. Otherwise look for a conversion on the way that clears flags.";
    DOUBLED = "030" spans_doubled Medium Data [NIST_SI_7, HIPAA_164_312_C_1, NIST_CM_4_2]
        "The candidate keeps more copies of spans, word for word, than the active environment, and in too many traces for something sent again."
        "Counts and rates made from spans are too high, and storage costs twice as much."
        "Look for two exporters or connectors that lead to the candidate's store, and for time-outs that are shorter than its endpoint's latency.";
}

/// The rule of a kind of difference.
pub(super) fn of(what: What) -> &'static Rule {
    match what {
        What::TraceMissing => &TRACE_MISSING,
        What::TraceExtra => &TRACE_EXTRA,
        What::TraceBroken => &TRACE_BROKEN,
        What::SpanMissing => &SPAN_MISSING,
        What::SpanExtra => &SPAN_EXTRA,
        What::AttributeMissing => &ATTRIBUTE_MISSING,
        What::AttributeCut => &ATTRIBUTE_CUT,
        What::AttributeChanged => &ATTRIBUTE_CHANGED,
        What::AttributeAdded => &ATTRIBUTE_ADDED,
        What::EventMissing => &EVENT_MISSING,
        What::EventExtra => &EVENT_EXTRA,
        What::LinkMissing => &LINK_MISSING,
        What::LinkExtra => &LINK_EXTRA,
        What::Status => &STATUS,
        What::Name => &NAME,
        What::Kind => &KIND,
        What::Parent => &PARENT,
        What::Times => &TIMES,
        What::Resource => &RESOURCE,
        What::Scope => &SCOPE,
        What::TraceState => &TRACE_STATE,
    }
}
