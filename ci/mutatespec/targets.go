package main

// judged is a target with the proofs that judge it before the manifest's entries.
type judged struct {
	target
	provedBy []string
}

var targets = []judged{
	{
		target: target{
			module: "Registry", from: "Min",
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
	},
	{
		target: target{
			module: "Journal", from: "IsPrefix", until: "NeverKeptUnanswered",
			reset: map[string]string{
				"mode": `"open"`, "memory": "<< >>", "flying": "<< >>", "given": "<< >>", "disk": "<< >>", "landed": "<< >>",
				"waiting": "{}", "known": "<< >>", "denied": "{}", "made": "0", "crashes": "0", "failures": "0",
			},
			swaps: [][2]string{{"landed", "memory"}, {"disk", "given"}, {`"open"`, `"stuck"`}},
		},
	},
	{
		target:   target{module: "Keeper", from: "None", until: "NeverLateRenewal"},
		provedBy: []string{"keeper"},
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
				{"ReadSet", "Both(q.actor) \\cup Floors \\cup IF Bug(\"OtherTransaction\") THEN {} ELSE {StandingOf(q.node.id)}", "Both(q.actor) \\cup Floors"},
				{"GiveUp", "d.mayApply /\\ ~Bug(\"SettledUntold\")", "FALSE"},
				{"CommitOf", "ELSE <<k, t.sent + 1>>", "ELSE <<k, 1>>"},
			},
		},
	},
	{
		target: target{
			module: "RegistryAnswers", from: "LastInit", until: "allVars",
			swaps: [][2]string{
				{"Renewals", "Releases"}, {"RecordAfter", "MemberAfter"}, {`"ErrFenced"`, `"ErrNotHeld"`},
				{`"ErrNodeUnknown"`, `"ErrNodeFailed"`}, {`"ErrLapsed"`, `"ErrHeld"`}, {"NodeLatest", "NodeKnown"},
			},
			slips: []slip{
				{"Refusal", "Stands(member[e.to.id], e.to, Tenured(r, e.node, e.token, ", "Tenured(r, e.node, e.token, Stands(member[e.to.id], e.to, "},
				{"ReleaseRepeats", "r.version > 0", "r.token > 0"},
				{"ByStranger", "e.node # last[e.actor]", "e.node.id # last[e.actor].id"},
				{"Stands", `Unless("NodeKnown", NodeKnown(m, ref.epoch), Unless("NodeNotFailed", NodeNotFailed(m, ref.epoch), rest))`, `Unless("NodeNotFailed", NodeNotFailed(m, ref.epoch), Unless("NodeKnown", NodeKnown(m, ref.epoch), rest))`},
			},
		},
		provedBy: []string{"contract"},
	},
	{
		target: target{
			module: "ClaimTxn", from: "Silent", until: "Writes",
			swaps: [][2]string{{"Effective", "Quietly"}, {"StandingOf", "Seen"}, {"Tenure", "Term"}},
		},
	},
	{target: target{module: "ClaimTxnService", from: "Readings", swaps: [][2]string{{"since", "now"}, {"RecordAfter", "MemberAfter"}}}},
	{target: target{module: "ClaimTxnRefinement", from: "Open"}},
}
