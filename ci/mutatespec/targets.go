package main

// judged is a target with the proofs and the manifest's entries that judge it, in
// order: each is asked when no property of those before it failed.
type judged struct {
	target
	provedBy  []string
	checkedBy []string // passing entries
	refutedBy []string // entries that must find a mistake, for what is part of a property
}

var targets = []judged{
	{
		target: target{
			module: "Registry", from: "Min", until: "Refs",
			reset: map[string]string{
				"clock": "[x \\in Nodes |-> 0]", "proc": "[x \\in Nodes |-> 0]", "member": "[x \\in Nodes |-> NoMember]",
				"record": "[x \\in Actors |-> NoRecord]", "lease": "[x \\in Nodes |-> [y \\in Actors |-> NoLease]]",
				"tenure": "[x \\in Actors |-> [num |-> 0, open |-> FALSE]]", "writes": "{}",
			},
			swaps: [][2]string{
				{"TTL", "Grace"}, {"Margin", "Grace"}, {"Min", "Max"}, {"Stamp", "clock"}, {"FailureTimeout", "TTL"},
				{`"failed"`, `"left"`}, {`"active"`, `"none"`}, {"ClaimEffect", "RenewEffect"}, {"Began", "Ended"},
			},
			slips: []slip{
				{"TenureHeld", "r.holder = ref", "r.holder.id = ref.id"},
				{"ClaimRepeats", "r.holder = ref", "r.holder.id = ref.id"},
				{"HeartbeatEffect", "!.seen = c", "!.seen = Max(@, c)"},
				{"NodeAbsent", `m.status = "active"`, `m.status \in {"active", "failed"}`},
				{"NodeAbsent", `m.status = "active"`, `m.status # "none"`},
				{"MarkFailedEffect", `!.status = "failed"`, `!.status = "failed", !.epoch = @ + 1`},
				{"ReleaseEffect", "!.holder = Nobody", "!.holder = Nobody, !.token = @ + 1"},
				{"ReleaseEffect", "!.holder = Nobody", "!.holder = Nobody, !.claim = 0"},
				{"RenewEffect", "Max(r.expiry, c + TTL)", "c + TTL"},
				{"TransferEffect", "GrantEffect(r, to, 0, c)", "GrantEffect(r, to, r.claim, c)"},
				{"Reclaimable", "Grace + Margin", "Grace + Eps"},
				{"HandRef", "lease[n][a].epoch", "proc[n]"},
			},
		},
		provedBy: []string{"contract", "registry"},
		checkedBy: []string{
			"registry-contract-heartbeat", "registry-contract-handover", "registry-contract-member", "registry-contract",
			"registry-contract-purge", "registry-answers",
		},
		refutedBy: []string{"registry-drop-validate-tenureheld", "registry-margin-single", "registry-drop-claim-claimable"},
	},
	{
		target: target{
			module: "Journal", from: "IsPrefix", until: "AcknowledgedSurvives",
			reset: map[string]string{
				"mode": `"open"`, "memory": "<< >>", "flying": "<< >>", "given": "<< >>", "disk": "<< >>", "landed": "<< >>",
				"waiting": "{}", "known": "<< >>", "denied": "{}", "made": "0", "crashes": "0", "failures": "0",
			},
			swaps: [][2]string{{"landed", "memory"}, {"disk", "given"}, {`"open"`, `"stuck"`}},
		},
		checkedBy: []string{"journal"},
	},
	{
		target:    target{module: "Keeper", from: "None", until: "NoOverlap"},
		provedBy:  []string{"keeper"},
		checkedBy: []string{"keeper-keeps", "keeper-skew", "keeper-faults", "keeper-served", "keeper-answered"},
	},
}
