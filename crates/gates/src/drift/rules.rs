//! The rules: one for each way in which two configurations can differ.

use crate::rule::rules;

rules! { "CF-DRIFT-";
    LISTENER_EXPOSED = "001" listener_exposed High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "A listener accepts connections from elsewhere than before."
        "An address such as 0.0.0.0 is reachable from every network the host is on; localhost is not. Whoever reaches a \
         receiver can write traces, and on many of them use up memory."
        "Give green the address that blue listens on, or declare the difference.";
    LISTENER_ADDED = "002" listener_added High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "Only one of the two environments opens this listener."
        "Every open port is a way in, with its own parser and its own limits; a port that is missing turns clients away."
        "Add or remove the receiver or protocol on green, so that both open the same listeners.";
    TRANSPORT_ENCRYPTION = "003" transport_encryption High Security [PCI_4_2_1, HIPAA_164_312_E_1, GDPR_32_1_A, SOC2_CC6_7, NIST_SC_8]
        "Encryption or the check of the server's certificate differs."
        "Without TLS, or with `insecure` or `insecure_skip_verify`, spans and credentials can be read or altered on the way."
        "Give green the `tls` settings that blue has.";
    CLIENT_CERTIFICATES = "004" client_certificates High Security [PCI_8_3_1, HIPAA_164_312_D, NIST_IA_3]
        "Which client certificates a listener asks for differs."
        "`client_ca_file` makes a listener accept only clients that prove who they are. Without it anyone who reaches the \
         port may write."
        "Set `client_ca_file` on green as on blue.";
    TLS_SETTINGS = "005" tls_settings High Security [PCI_4_2_1, NIST_SC_8, NIST_SC_13]
        "Details of TLS differ: certificates, versions, cipher suites."
        "An older `min_version` or weaker cipher suites lower the protection; another CA or certificate changes who is trusted."
        "Set the same values on green, or declare the difference where certificates belong to the environment.";
    AUTHENTICATION = "006" authentication High Security [PCI_8_3_1, HIPAA_164_312_D, SOC2_CC6_1, NIST_AC_3]
        "How callers or this Collector prove who they are differs."
        "A receiver without `auth.authenticator` takes data from anybody; an authenticator that is not enabled under \
         service.extensions keeps the Collector from starting."
        "Name the same authenticator on green, and enable it under service.extensions.";
    CORS = "007" cors High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "Which web pages may send from a browser differs."
        "A wider `allowed_origins` lets scripts of other sites write through a visitor's browser."
        "Set the same origins and headers on green.";
    CLIENT_METADATA = "008" client_metadata High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "Which metadata of a client's request is kept or passed on differs."
        "`include_metadata` and its kin carry tenants and tokens from request to export: too much leaks credentials, too \
         little mixes tenants."
        "Set the same value on green.";
    DESTINATION_CHANGED = "009" destination_changed High Security [GDPR_30, SOC2_CC6_7, NIST_AC_4]
        "Data is sent somewhere else, and that is not the environment's own backend."
        "Traces hold personal and business data; a new address is a new place where they are kept."
        "Point green at its own backend (and list that under the environment's endpoints), or declare the new destination.";
    EXPORTER_ADDED = "010" exporter_added High Security [GDPR_30, SOC2_CC6_7, NIST_AC_4]
        "Green sends to an exporter that blue does not send to."
        "A further exporter is a further copy of the data, outside of what was reviewed for blue."
        "Remove it from the pipeline, or declare it.";
    REQUEST_HEADERS = "011" request_headers High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "Headers that are sent along differ."
        "Headers carry credentials and tenants: a wrong one writes into somebody else's store."
        "Set the same headers on green, or declare the difference. Values are shown as keyed digests only.";
    PROXY = "012" proxy High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "The proxy on the way out differs."
        "A proxy sees where traffic goes, and all of it if TLS ends there."
        "Set the same `proxy_url` on green.";
    SECRET_CHANGED = "013" secret_changed High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "A password, token or key differs."
        "Different credentials may be meant, one for each environment, or be a leftover from a test. Values are shown as keyed \
         digests only: equal digests, equal values."
        "Use the same secret, or declare the two digests.";
    REDACTION_REMOVED = "014" redaction_removed Critical Security [PCI_3_5_1, PCI_6_5_5, GDPR_25, GDPR_5_1_C, HIPAA_164_312_A_1]
        "A processor that can remove or mask data no longer runs before the exporters."
        "What it took out of spans - card numbers, mail addresses, tokens - is now stored in the clear."
        "Add the processor to the pipeline on green, in blue's place.";
    REDACTION_CHANGED = "015" redaction_changed High Security [PCI_3_5_1, PCI_6_5_5, GDPR_25, GDPR_5_1_C]
        "A processor that can remove or mask data works differently."
        "A changed pattern or statement may let through what it used to mask, or destroy what is needed."
        "Give it blue's settings on green, or declare the difference after a review.";
    PROCESSOR_MOVED = "016" protection_moved High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "Processors run in another order, and one of them protects."
        "Order matters: a filter before an attribute is set, or a sampler behind a buffer act on other data than before."
        "List the processors in blue's order.";
    PAYLOAD_IN_LOGS = "017" payload_in_logs High Security [PCI_3_4_1, GDPR_5_1_C, NIST_SC_28]
        "The debug exporter writes other details of spans into the Collector's own log."
        "With verbosity `detailed` every attribute of every span is in the log, which is rarely as protected as the store."
        "Set `verbosity: basic`, or take the debug exporter out.";
    DIAGNOSTICS_EXPOSED = "018" diagnostics_exposed High Security [PCI_2_2_5, SOC2_CC6_1, NIST_CM_6]
        "A diagnostics page (zpages, pprof, health check, query) differs in whether or where it can be reached."
        "zpages shows live spans, pprof dumps memory, a query page shows every trace."
        "Bind it to localhost as on blue, or disable the extension.";
    REQUEST_LIMITS = "019" request_limits High Security [SOC2_A1_1, NIST_SC_5]
        "A limit on what one client may send or hold open differs."
        "Limits on message size, streams and header time keep one client from using up the Collector; a lower one refuses \
         requests that blue takes."
        "Set the same limit on green.";
    MEMORY_LIMITER = "020" memory_limiter High Security [SOC2_A1_1, NIST_SC_5]
        "The memory limiter does not protect the pipeline as before."
        "It has to be there, and first, with a limit that the process keeps to: what runs before it is not protected, and a burst \
         ends the process with all it holds."
        "Put memory_limiter first among the processors of the pipeline, with blue's limits.";
    TELEMETRY_EXPOSED = "021" telemetry_exposed High Security [PCI_10_7, NIST_AU_5, NIST_SI_4]
        "The Collector's own telemetry goes or listens somewhere else."
        "Metrics and logs of the Collector tell hosts, tenants and errors; without them an outage of the record goes unseen."
        "Set service.telemetry on green as on blue, or declare the difference.";
    SAMPLING = "022" sampling_changed High Security [PCI_10_2, HIPAA_164_312_B, NIST_AU_12]
        "Which traces are kept differs."
        "A changed rate or policy is a blind spot: what is not kept cannot be found after an incident."
        "Set the same sampling on green.";
    FILTER = "023" filter_changed High Security [PCI_10_2, HIPAA_164_312_B, NIST_AU_12]
        "Which spans are dropped differs."
        "A filter removes spans for good and silently; traces then have holes."
        "Set the same conditions on green, or take the filter out.";
    DELIVERY = "024" delivery_guarantee High Security [HIPAA_164_312_C_1, SOC2_A1_2, NIST_AU_5]
        "When spans are given up differs: queue, its storage, or retries."
        "Without retries, or with a queue in memory only, an outage of the backend or a restart loses spans of the record."
        "Set `sending_queue` and `retry_on_failure` on green as on blue.";
    OTHER_ENVIRONMENT = "025" writes_to_other_environment High Security [PCI_6_5_3, NIST_AC_4]
        "One environment sends to a backend that belongs to the other."
        "The environments are then not separate: a rollback cannot tell whose spans are whose, and the other's store is at risk."
        "Point each environment at its own backend; where that is so, correct the endpoints of the site.";
    UNUSED_PROTECTION = "026" unused_protection High Security [PCI_6_5_2, NIST_CM_6]
        "Something that protects is defined, but nothing uses it."
        "It reads as if data were protected, and it is not."
        "Put it into its pipeline or under service.extensions, or remove the definition.";
    VALUE_UNKNOWN = "027" value_unknown Unknown Security [PCI_6_5_2, NIST_CM_6, NIST_CM_4_2]
        "A value is not known here."
        "`[REDACTED]` in a reported configuration stands for any value, a file that cannot be read for any content, and a variable \
         or a version that nobody names may differ between the environments: whether they are alike cannot be told."
        "Compare files that show the value (a report of drift never does), make what they include readable, name an `env_file` \
         and the `versions` of each side.";
    TENANCY = "028" tenant_separation High Security [PCI_7_2_1, HIPAA_164_312_A_1, SOC2_CC6_1, NIST_AC_3]
        "Whether and how tenants are kept apart differs."
        "Without tenants anyone who may ask sees all traces; with another header or list, tenants are mixed or locked out."
        "Set the same tenancy on green.";
    REDACTION_MOVED = "029" redaction_moved High Security [PCI_3_5_1, PCI_6_5_5, GDPR_25, GDPR_5_1_C, HIPAA_164_312_A_1]
        "A processor that can remove or mask data runs at another place among the processors."
        "What runs before it sees, keeps or sends on what it is to take out; what it no longer sees before, it no longer masks."
        "List the processors in blue's order.";
    PIPELINE = "030" pipeline_differs High Data [HIPAA_164_312_B, SOC2_CC8_1, NIST_CM_6]
        "Only one of the two environments has this pipeline."
        "A signal or a stream of it is then not processed at all on the other side."
        "Add or remove the pipeline on green.";
    RECEIVER = "031" receiver_differs High Data [HIPAA_164_312_B, SOC2_CC8_1, NIST_CM_6]
        "A pipeline takes data from other receivers."
        "Data that arrives at a receiver outside of the pipeline is not recorded."
        "List the same receivers on green.";
    EXPORTER_REMOVED = "032" exporter_removed High Data [HIPAA_164_312_B, SOC2_CC8_1, NIST_CM_6]
        "Green no longer sends to an exporter that blue sends to."
        "A copy of the data that somebody may rely on is no longer written."
        "Add the exporter to the pipeline on green, or declare that it ends.";
    PROCESSOR = "033" processor_differs High Data [HIPAA_164_312_B, SOC2_CC8_1, NIST_CM_6]
        "Only one of the two environments runs this processor."
        "Processors change what is recorded; dashboards and alerts may rely on it."
        "Add or remove it on green.";
    PROCESSING = "034" processing_changed High Data [HIPAA_164_312_B, SOC2_CC8_1, NIST_CM_6]
        "A processor or connector works differently."
        "Spans or what is derived from them have other contents than on blue."
        "Set the same values on green.";
    RETENTION = "035" retention_changed High Data [PCI_10_5_1, HIPAA_164_316_B_2_I, GDPR_5_1_E, NIST_AU_11]
        "How long or how much is kept differs."
        "Traces may be gone before anyone needs them, or kept longer than allowed."
        "Set the same retention on green.";
    STORAGE = "036" storage_changed High Data [HIPAA_164_312_C_1, GDPR_32_1_B, SOC2_A1_2, NIST_CP_9]
        "How or where traces are stored differs."
        "A store in memory forgets at a restart; another folder or kind of store does not hold what was written before."
        "Set the same storage on green, or declare the difference.";
    SETTING = "040" setting_changed Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "A setting differs."
        "No rule knows this setting better: read the component's documentation."
        "Set the same value on green, or declare the difference.";
    PROCESSOR_ORDER = "041" processor_order Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "Processors run in another order."
        "Each processor sees what the ones before it have made."
        "List the processors in blue's order.";
    EXTENSION = "042" extension_differs Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "Only one of the two environments enables this extension."
        "Extensions serve health checks, storage and authentication to others."
        "List the same extensions under service.extensions.";
    UNDEFINED = "043" undefined_component Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "Something is named that is not defined or not enabled."
        "The Collector refuses to start with such a configuration."
        "Define the component, or remove its name.";
    TELEMETRY = "044" telemetry_changed Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "The Collector's own telemetry differs in level or contents."
        "Dashboards and alerts on the Collector itself may rely on it."
        "Set service.telemetry on green as on blue.";
    MISSING = "045" configuration_missing Medium Behaviour [SOC2_CC8_1, NIST_CM_6]
        "A configuration of this name is known for one environment only."
        "There is nothing to compare it with."
        "List a configuration of the same name for both environments.";
    CAPACITY = "050" capacity_changed Medium Capacity [SOC2_A1_1, NIST_CM_6]
        "A size, a number of workers, a batch or a timeout differs."
        "Green may hold less, or be slower, under the load that blue takes."
        "Set the same value on green, or declare the difference after a load test.";
    RENAMED = "060" component_renamed Low Cosmetic [SOC2_CC8_1, NIST_CM_6]
        "A component has another name."
        "Its type and place are the same; the Collector's own metrics carry the new name."
        "Use the same name, or declare the difference.";
    UNUSED = "061" unused_component Low Cosmetic [SOC2_CC8_1, NIST_CM_6]
        "A component is defined on one side, and nothing uses it."
        "It has no effect, and may mislead a reader."
        "Remove the definition.";
    UNUSED_CHANGED = "062" unused_component_changed Low Cosmetic [SOC2_CC8_1, NIST_CM_6]
        "A component that neither side uses differs."
        "It has no effect until somebody uses it."
        "Remove the definition, or make it equal.";
}
