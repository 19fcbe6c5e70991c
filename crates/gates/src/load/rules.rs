//! The load gate's rules.

use crate::rule::rules;

rules! { "CF-LOAD-";
    OBJECTIVE_MISSED = "001" objective_missed High Capacity [SOC2_A1_1, NIST_SC_5, GDPR_32_1_B]
        "Under load the environment answers more slowly than the objective allows."
        "What is slow before the switch is slower after it: exporters time out, queues fill, and spans are lost where nobody looks."
        "Give the environment more room (replicas, batch and queue sizes, storage), or roll out to the highest rate that met the \
         objective; then measure again.";
    REFUSED_UNDER_LOAD = "002" refused_under_load High Data [SOC2_A1_1, NIST_SC_5, PCI_6_5_2, GDPR_32_1_B]
        "Under load the environment refuses spans, does not answer, or cannot be sent any more."
        "Refused spans are sent again at best, which adds to the load, and lost at worst."
        "Look at what was answered: limits, memory, queues and quotas of the environment; then measure again.";
    SLOWER_THAN_ACTIVE = "003" slower_than_active High Capacity [SOC2_A1_1, NIST_CM_4_2]
        "Under the same load the candidate is slower than the active environment, by more than is allowed."
        "The change made it worse, even if the objective is still met."
        "Compare resources, versions and batch settings of both environments; raise the limit if the difference is wanted.";
    INCOMPLETE_UNDER_LOAD = "004" incomplete_under_load Critical Data [PCI_6_5_2, HIPAA_164_312_B, NIST_CM_4_2, NIST_SI_7]
        "Traces that the environment accepted under load cannot be read back whole."
        "It says yes and loses spans: whoever relies on the record later does not find what happened."
        "Look for queues that drop, sampling, ingestion limits of the storage, and exporters whose failures nobody counts.";
    READ_BACK_UNKNOWN = "005" read_back_unknown Unknown Data [PCI_6_5_2, NIST_CM_4_2]
        "Whether the accepted traces can be read back is not known."
        "An environment that answers quickly and stores nothing looks the same from outside."
        "Name the query endpoint, make it answer, and measure again.";
    GENERATOR_TOO_SLOW = "006" generator_too_slow Unknown Capacity [NIST_SA_11]
        "The load could not be offered as it was meant to be: the generator itself was late."
        "What was measured tells about the machine that the load came from, not about the environment."
        "Run it where a core is free, with a lower rate, larger requests, or without compression.";
    LOAD_UNREACHABLE = "007" load_unreachable Unknown Capacity [NIST_SA_11]
        "The environment takes no OTLP at its address, so there is nothing to measure."
        "What was not measured is not known to hold."
        "Check address, port, protocol, TLS and network; the detail has the error.";
    LOAD_INTERRUPTED = "008" load_interrupted Unknown Capacity [NIST_SA_11]
        "The load was stopped before its end."
        "What comes last, the rate to be held and the spike, says the most."
        "Let it run to its end.";
    ACTIVE_NOT_MEASURED = "009" active_not_measured Unknown Capacity [NIST_CM_4_2]
        "The candidate was to be compared with the active environment, which could not be measured."
        "Without the comparison it is not known whether the change made it slower."
        "Make the active environment reachable, or leave the comparison out.";
    TOO_FEW_REQUESTS = "010" too_few_requests Unknown Capacity [NIST_SA_11]
        "There were too few requests for the quantile of the objective to mean anything."
        "The 99th percentile of fifty requests is the slowest of them, and says nothing about the next fifty."
        "Hold for longer, raise the rate, or send smaller requests.";
    SLOW_IN_SPIKE = "011" slow_in_spike Note Capacity [SOC2_A1_1]
        "In the spike the environment answers more slowly than the objective allows."
        "The objective is asked of the rate that is held; beyond it slowness is no failure, while losing spans is."
        "Nothing has to be done; the highest rate that met the objective says how much room there is.";
    ACTIVE_MISSES_TOO = "012" active_misses_too Note Capacity [NIST_CM_4_2]
        "The active environment misses the objective too."
        "Then it is not the change that is slow; or the objective is not what is lived with today."
        "Ask whether the objective is the right one.";
    NOT_READ_BACK = "013" not_read_back Note Data [PCI_6_5_2]
        "No trace was to be read back."
        "Whether what was accepted is stored was not looked at here."
        "Read some back, or see what the probe says.";
    LOAD_NOT_RUN = "014" load_not_run Unknown Capacity [NIST_SA_11]
        "The load could not be run."
        "What was not measured is not known to hold."
        "Give it what it lacks; the detail says what.";
    NOTHING_BESIDE = "015" nothing_beside Note Capacity [NIST_CM_4_2]
        "The candidate has a receiver of a protocol that the active environment has none of."
        "What is new cannot be slower than before; it was held against the objective alone."
        "Where the active environment has such a receiver, name it under `receivers`.";
}
