//! The rules.

use crate::rule::rules;

rules! { "CF-DEPS-";
    UNTESTED = "001" dependency_untested High Behaviour [PCI_6_5_1, SOC2_CC8_1, HIPAA_164_308_A_8, NIST_SA_11]
        "Live traffic calls an outside service that no test has called."
        "The first call that shows whether it works, how long it takes and how it fails is a customer's."
        "Have the test run call it, at its real address or at its provider's test system; then run the gate again.";
    SIMULATED = "002" dependency_simulated High Behaviour [PCI_6_5_1, SOC2_CC8_1, HIPAA_164_308_A_8, NIST_SA_11]
        "Live traffic calls an outside service that tests have called only at a simulated address."
        "A simulator answers as its author thought: at once, always, and with what was expected. The real one is slow, refuses and changes."
        "Test against the real service or its provider's test system, at least once for each release.";
    SLOWER = "003" dependency_slower Medium Capacity [PCI_6_5_1, SOC2_A1_1, SOC2_CC8_1, NIST_SA_11]
        "An outside service is slower live than in tests."
        "Timeouts, thread pools and queues were sized by what tests saw."
        "Give the simulator the live latencies, set timeouts by them, and run the load gate.";
    ERRORS_UNTESTED = "004" dependency_errors_untested Medium Behaviour [PCI_6_5_1, SOC2_CC8_1, NIST_SA_11]
        "Calls to an outside service fail live more often than in tests."
        "What happens then, retries, fallbacks and what people see, was hardly ever run."
        "Have tests in which the service refuses and times out, as often as it does live.";
    OTHER_ADDRESS = "005" dependency_other_address Note Behaviour [PCI_6_5_1, NIST_SA_11]
        "Tests have called an outside service at another address than live traffic does."
        "That is as it should be for a provider's test system, or a database of the test environment, and not for a simulator."
        "If it is a simulator, declare it under `gates.dependencies.simulated`.";
    ONLY_IN_TESTS = "006" dependency_only_in_tests Note Behaviour [NIST_SA_11]
        "Tests call outside services that live traffic does not call."
        "They may be new, or left over."
        "Check that they are meant.";
    NAMELESS = "007" dependency_nameless Note Data [PCI_10_2, NIST_AU_3]
        "Calls do not say whom they call."
        "What they call is not compared."
        "Update the instrumentation: `server.address`, `rpc.service`, `db.system.name`, `messaging.destination.name`.";
    TOO_LITTLE = "008" dependency_too_little_data Unknown Behaviour [PCI_6_5_1, NIST_SA_11]
        "There are too few traces to compare, live or of a test run."
        "What was not looked at may be untested."
        "Run the tests with tracing, mark their traces (`--tests-attribute`) or export them to a file (`--tests`), and look further back (`window`).";
    UNREADABLE = "009" dependency_unreadable Unknown Behaviour [PCI_10_7, NIST_AU_5]
        "Live traces, or those of the test run, could not be read."
        "Without them nothing is known."
        "Check the file, or the query endpoint's address, kind and network; the detail has the error.";
    LOCAL = "010" dependency_on_the_machine Unknown Behaviour [PCI_6_5_1, SOC2_CC8_1, NIST_SA_11]
        "Live traffic and tests call something on the machine itself, at different ports."
        "A sidecar that leads to the real service and a simulator look alike there."
        "Have the instrumentation say whom the calls are for (`server.address`), or declare the simulator's name under \
         `gates.dependencies.simulated`.";
    TOO_MANY = "011" dependency_too_many Unknown Behaviour [PCI_6_5_1, NIST_SA_11]
        "Live traffic has more services, or calls more peers, than are looked at."
        "What was not looked at may be untested."
        "Look at a shorter time (`window`); check that host names in spans are names, and hold no ids.";
    NOTHING_NAMED = "012" dependency_nothing_named Unknown Behaviour [PCI_6_5_1, PCI_10_2, NIST_SA_11]
        "Live traffic makes calls outside, and none of them says whom it calls."
        "Nothing could be compared: each of them may be untested."
        "Update the instrumentation: `server.address`, `rpc.service`, `db.system.name`, `messaging.destination.name`.";
}
