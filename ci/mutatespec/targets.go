package main

// judged is a target with the proofs and the manifest's entries that judge it, in
// order: each is asked when no property of those before it failed.
type judged struct {
	target
	provedBy  []string
	checkedBy []string // passing entries
	refutedBy []string // entries that must find a mistake, for what is part of a property
}

// claimTxn are the passing entries of ClaimTxn, those of few states first.
var claimTxn = []string{
	"claimtxn-window", "claimtxn-two-faults", "claimtxn-three", "claimtxn-batch", "claimtxn-time",
	"claimtxn-members", "claimtxn-records", "claimtxn-registry-members", "claimtxn-registry-faults",
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
	{
		target: target{
			module: "ClaimTxnDatabase", from: "Unwritten",
			reset: map[string]string{"wire": "{}"},
			slips: []slip{
				{"Unwritten", "written[key] <= w.rv", "written[key] < w.rv \\/ written[key] = 0"},
				{"Apply", "IF key \\in w.writes THEN", "IF key \\in DOMAIN w.put THEN"},
			},
		},
		checkedBy: claimTxn,
	},
	{
		target: target{
			module: "ClaimTxnClient", from: "Both",
			swaps: [][2]string{{"Tenure", "Term"}, {"StandingOf", "Seen"}, {"Own", "Taken"}},
			slips: []slip{
				{"Timeout", "OTHER                  -> t.doubt", "OTHER                  -> NoDoubt"},
				{"Hear", `told = "rejected"      -> Reading(k, t, IF w.fence THEN t.doubt ELSE NoDoubt)`, `told = "rejected"      -> Reading(k, t, NoDoubt)`},
				{"Hear", `told = "unknown"       -> Reading(k, t, IF w.fence THEN t.doubt ELSE DoubtOf(w, FALSE))`, `told = "unknown"       -> Reading(k, t, IF w.fence THEN NoDoubt ELSE DoubtOf(w, FALSE))`},
				{"Timeout", "DoubtOf(w, TRUE)", "DoubtOf(w, FALSE)"},
				{"Judge", "[] Own(t) # {}                       -> IF Guard(\"OwnMark\", FALSE) THEN \"absent\" ELSE \"applied\"", "[] FALSE -> \"applied\""},
				{"Fence", "reads |-> IF Bug(\"FenceUnread\") THEN {} ELSE DOMAIN t.doubt.base", "reads |-> {}"},
				{"Fence", "writes |-> IF Bug(\"FenceUnwritten\") THEN {} ELSE {key}", "writes |-> {}"},
				{"ReadSet", "Both(q.actor) \\cup IF Bug(\"OtherTransaction\") THEN {} ELSE {StandingOf(q.node.id)}", "Both(q.actor)"},
				{"GiveUp", "IF d.mayApply THEN S!MayApply ELSE S!Settled", "S!Settled"},
				{"CommitOf", "ELSE <<k, t.sent + 1>>", "ELSE <<k, 1>>"},
			},
		},
		checkedBy: claimTxn,
	},
}
