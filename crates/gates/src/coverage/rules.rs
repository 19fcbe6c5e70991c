//! The rules: one for each blind spot, and for what keeps the gate from seeing one.

use crate::rule::rules;

rules! { "CF-COVERAGE-";
    SERVICE_MISSING = "001" coverage_service_missing Critical Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_AU_12, NIST_CM_4_2]
        "The active environment records a service that the candidate does not record."
        "After the switch nobody would see this service fail, and its part of every record would be missing."
        "Look for a filter, a tenant or a sampling rule of the candidate that leaves it out, and for exporters that still point \
         elsewhere; then run the gate again.";
    OPERATION_MISSING = "002" coverage_operation_missing High Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_AU_12, NIST_CM_4_2]
        "The active environment records operations of a service that the candidate does not record."
        "Alerts and investigations about these operations would find nothing, and look as if all were well."
        "Look for filters and sampling by span name, and for processors that rename spans.";
    EDGE_MISSING = "003" coverage_edge_missing High Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_CM_4_2]
        "Calls from one service to another are recorded by the active environment, and not, or far less, by the candidate."
        "Whoever follows a slow or failing request ends at the caller, and blames it for what the other one does."
        "Check that the spans of both services reach the candidate whole, and that both use the same propagation format.";
    KEY_MISSING = "004" coverage_attribute_missing Medium Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_AU_3, NIST_CM_4_2]
        "Attribute keys are recorded by the active environment, and not, or far less, by the candidate."
        "Searches, dashboards and alerts that use them find nothing."
        "Look for processors that remove or rename attributes, and limits on their number. A key that is to be removed is \
         accepted with a waiver.";
    KIND_MISSING = "005" coverage_kind_missing Medium Data [PCI_10_2, PCI_6_5_2, NIST_CM_4_2]
        "A span kind of a service is recorded by the active environment, and not by the candidate."
        "Service maps and request rates are made from kinds: what is missing there is missing on every map."
        "Look for filters by kind, and for processors or older protocols that change it.";
    CONTEXT_BROKEN = "006" coverage_context_broken High Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_SI_4, NIST_CM_4_2]
        "Traces break where one service calls another: the calls are gone, and the called one begins traces of its own, or has parents that \
         nobody knows."
        "A transaction is in pieces: the caller seems slow by itself, the other one seems to be called by nobody."
        "Give both services the same propagators (`OTEL_PROPAGATORS`, for instance `tracecontext,baggage`), the older format beside it while both \
         are in use; and check that both export to the same place.";
    SENT_NOT_RECORDED = "007" coverage_sent_not_recorded Critical Data [PCI_10_2, PCI_10_7, HIPAA_164_312_B, NIST_AU_5, NIST_AU_12]
        "Spans of a service come by the gateway, and no environment records them."
        "The service works and reports, and the record is empty: the environments are blind to it."
        "Look for a filter, sampling or a limit that both environments have, and at what they reject (`crossfade gateway status`).";
    APPLICATION_SILENT = "008" coverage_application_silent High Data [PCI_10_2, PCI_10_7, HIPAA_164_312_B, NIST_AU_5, NIST_SI_4]
        "A service that used to report has stopped, and nothing of it comes by the gateway."
        "No environment can record what is not sent. A deployment with an old exporter address looks just like this."
        "Look at what was deployed at that time: its exporter's endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`), protocol and sampler. If it was \
         retired, list it under `gates.coverage.ignore`.";
    SERVICE_STOPPED = "009" coverage_service_stopped High Data [PCI_10_2, PCI_10_7, HIPAA_164_312_B, NIST_AU_5, NIST_SI_4]
        "A service that used to be recorded is recorded no more, and whether it still reports is not known."
        "Either the application fell silent or the environment went blind; both leave a hole in the record."
        "Ask the gateway's tap (`crossfade coverage -c crossfade.yaml`), and look at what was deployed at that time. If it was retired, \
         list it under `gates.coverage.ignore`.";
    ONLY_IN_GREEN = "010" coverage_only_in_candidate Note Data [PCI_6_5_2, NIST_CM_4_2]
        "The candidate records what the active environment does not."
        "That is often an improvement, and sometimes data that should not be kept."
        "Check that it is meant.";
    TOO_RARE = "011" coverage_too_rare Note Data [PCI_6_5_2, NIST_CM_4_2]
        "Some of what the active environment records was not seen in the candidate, and is so rare that this may be chance."
        "Nothing follows from it yet."
        "A longer window, or a larger share for the candidate, would tell.";
    TOO_LITTLE = "012" coverage_too_little_data Unknown Data [PCI_6_5_2, NIST_CM_4_2]
        "There are too few traces to say what the candidate records."
        "What was not looked at may be missing."
        "Let traffic flow to the candidate, wait, or look further back (`window`).";
    UNREADABLE = "013" coverage_unreadable Unknown Behaviour [PCI_10_7, NIST_AU_5]
        "An environment could not be asked what it records."
        "Without an answer nothing is known about it."
        "Check the query endpoint's address, kind and network; the detail has the error.";
    TOO_MANY = "014" coverage_too_many_services Unknown Data [PCI_6_5_2, NIST_CM_4_2]
        "An environment has more services than are looked at."
        "What was not looked at may be missing."
        "Ignore those that do not matter (`gates.coverage.ignore`), or raise the limit.";
    SENT_UNKNOWN = "015" coverage_sent_unknown Note Behaviour [PCI_10_7, NIST_AU_5]
        "What is sent is not known, only what is recorded."
        "A blind environment cannot be told from applications that fell silent."
        "Run the gate with the site's configuration, beside a gateway that runs.";
    NOT_COUNTED = "016" coverage_not_counted Unknown Data [PCI_6_5_2, NIST_CM_4_2]
        "The active environment records more of a service than was looked at, the candidate records none of it, and it is not certain that it \
         should have."
        "With a small share of the traffic, nothing of a service may be chance or a blind spot; how many traces there are would tell."
        "Give the candidate a larger share, or the gate a longer `window`; check that searches of the active environment are answered.";
    SHARE_UNKNOWN = "017" coverage_share_unknown Unknown Behaviour [PCI_6_5_2, NIST_CM_4_2]
        "What share of the traffic the candidate receives is not known."
        "What it should have recorded follows from that share."
        "Run the gate beside the gateway, which is asked at the control plane's address; or say the share: `--share`, in percent.";
    SENT_UNSEEN = "018" coverage_sent_unseen Unknown Data [PCI_10_7, NIST_AU_5]
        "Of what was sent, the gateway's tap has not seen all that it should have."
        "A service that is sent and recorded nowhere may be in what was not seen. What the tap leaves out by choice, one trace in so many, \
         is another thing."
        "Have clients send smaller batches (the tap reads 4 MiB and 50,000 spans of one), or give the tap more of a processor; `crossfade_tap_requests_total` says \
         what became of requests. Then look again.";
    SERVICES_MISSING = "019" coverage_services_missing Critical Data [PCI_10_2, PCI_6_5_2, HIPAA_164_312_B, NIST_AU_12, NIST_CM_4_2]
        "The active environment records several services of which the candidate records nothing, each too rare to tell and all of them no chance."
        "After the switch nobody would see these services fail, and their part of every record would be missing."
        "Look for a filter, a tenant or a sampling rule of the candidate that leaves them out, and for exporters that still point \
         elsewhere; then run the gate again.";
}
