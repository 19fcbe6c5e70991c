# Ready policy of crossfade, of no standard: everything is looked at before everything moves.
#
# What each step owes to its gates is seen to without a policy. This one looks at all of them together, at the last moment at which some
# of the traffic is not at stake: at the end of the last step below 100 %.
package crossfade.staged

whole := min([step.number | some step in input.rollout.steps; step.kind == "weight"; step.percent == 100])

deny contains "all of the traffic moves at once: begin with a step `weight` below 100 %" if {
	not part_comes_first
}

deny contains "this policy is not asked again before 100 %: name the moments in gates.policy.when: [preflight, weight]" if {
	not asked_again
}

# From here on only if all is next.
deny contains sprintf("all of the traffic moves next, and the gate %s has not passed in any step", [gate]) if {
	all_is_next
	some later in input.plan.later_gates
	later.moment in {"mirror", "weight"}
	gate := later.gate
	gate != "policy"
	not has_passed(gate)
}

deny contains sprintf("all of the traffic moves next, and the gate %s looked %d times %s until it passed", [run.gate, run.run, place(run)]) if {
	all_is_next
	some run in input.rollout.runs
	run.missed > 1
}

warn contains sprintf("all of the traffic moves next, with findings of the gate %s %s waived: %s", [run.gate, place(run), concat(", ", run.waived)]) if {
	all_is_next
	some run in input.rollout.runs
	count(run.waived) > 0
}

part_comes_first if {
	some step in input.rollout.steps
	step.kind == "weight"
	step.number < whole
}

asked_again if {
	some later in input.plan.later_gates
	later.gate == "policy"
	later.moment == "weight"
}

all_is_next if {
	next := min([step.number | some step in input.rollout.steps; step.kind == "weight"; step.status == "ahead"])
	next == whole
	input.rollout.moment == "weight"
}

has_passed(gate) if {
	some run in input.rollout.runs
	run.gate == gate
	run.verdict == "pass"
	run.step
}

place(run) := sprintf("in step %d", [run.step]) if run.step

else := "before the first step"
