# Ready policy of crossfade for PCI DSS 4.0.1.
#
# The words of each requirement are crossfade's own, and short (data.crossfade.requirements); the standard has the whole text.
package crossfade.pci

standard := "PCI DSS"

deny contains denial("6.5.1", "the plan names no change record: set change.ticket") if blank(input.plan.change.ticket)

deny contains denial("6.5.1", "the plan does not say why: set change.reason") if blank(input.plan.change.reason)

deny contains denial("6.5.1", "the plan does not say what users will notice: set change.impact") if blank(input.plan.change.impact)

# A way back that loses nothing, for as long as the former active is kept.
deny contains denial("6.5.1", "after promotion nothing is mirrored back, and a way back would lose spans: set bake.mirror_back") if {
	some step in input.plan.steps
	step.bake.mirror_back == false
}

deny contains denial("6.5.1", "there is no bake after promotion: no time in which going back is as safe as going forth") if {
	count([step | some step in input.plan.steps; step.bake]) == 0
}

# The same checks again after the cut-over.
deny contains denial("6.5.2", sprintf("%s does not look again after promotion: add `promoted` to gates.%s.when", [gate, gate])) if {
	some gate in ["drift", "probe"]
	not looks_at(gate, "promoted")
}

# Card numbers in the clear are no risk that anybody may take.
deny contains denial("3.5.1", sprintf("%s is %s, and is nothing to be accepted", [told(finding), accepted(finding)])) if {
	some finding in input.findings
	finding.severity == "critical"
	requirement("3.5.1") in finding.controls
}

# Nor is weak cryptography, or none, on their way.
deny contains denial("4.2.1", sprintf("%s is %s, and is nothing to be accepted", [told(finding), accepted(finding)])) if {
	some finding in input.findings
	beyond_accepting(finding)
	requirement("4.2.1") in finding.controls
}

# Accepted risks are looked at again within a year.
deny contains denial("6.5.1", sprintf("the waiver of %s by %s runs until %s: accept it for a year at most", [waiver.finding, waiver.owner, waiver.expires])) if {
	some waiver in input.waivers
	waiver.expires_unix - input.time.unix > 366 * 24 * 3600
}

# And while traffic moves: a gate that nobody plans is as little use as one that is off.
deny contains denial("6.5.2", sprintf("the gate %s %s", [gate, absence(gate)])) if {
	some gate in ["posture", "parity", "coverage"]
	not planned(gate)
}

# Where applications mask by themselves the probe cannot tell, and so this denies nothing.
warn contains denial("6.5.5", "no canary shows whether card numbers come back as they were sent: if they are masked on the way, set gates.probe.masks: [card]") if {
	not "card" in input.plan.gates.probe.masks
}

# ---- what all of the ready policies share

requirement(number) := sprintf("%s %s", [standard, number])

denial(number, because) := {
	"requirement": requirement(number),
	"says": data.crossfade.requirements[requirement(number)],
	"because": because,
}

# What a gate holds against the candidate, and nobody has declared as intended or accepted as a risk.
open(finding) if {
	not finding.severity in {"note", "unknown"}
	not finding.accepted
}

# A declared change may be one for the better: what it comes to on the wire, posture says.
beyond_accepting(finding) if finding.severity == "critical"

beyond_accepting(finding) if {
	finding.severity == "high"
	finding.accepted.by == "waiver"
}

accepted(finding) := sprintf("waived by %s", [finding.accepted.owner]) if {
	finding.accepted.by == "waiver"
} else := sprintf("declared as meant in %s", [finding.accepted["where"]]) if {
	finding.accepted.by == "declaration"
}

place(finding) := concat(" ", [part |
	some key in ["environment", "file", "url", "component"]
	part := finding["where"][key]
])

told(finding) := sprintf("%s %s at %s: %s", [finding.id, finding.rule, place(finding), finding.detail])

# Whatever a gate finds against a requirement of this standard, by the requirement that it touches.
deny contains denied if {
	some finding in input.findings
	open(finding)
	some control in finding.controls
	startswith(control, concat("", [standard, " "]))
	says := data.crossfade.requirements[control]
	denied := {"requirement": control, "says": says, "because": told(finding)}
}

planned(gate) if gate in input.plan.required_gates

planned(gate) if {
	some later in input.plan.later_gates
	later.gate == gate
}

absence(gate) := sprintf("is off: %s", [why]) if {
	why := input.plan.gates[gate].off
} else := sprintf("never looks: name it in gates.%s", [gate])

looks_at(gate, moment) if {
	some later in input.plan.later_gates
	later.gate == gate
	later.moment == moment
}

blank(text) if trim_space(text) == ""
