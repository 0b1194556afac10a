package conformance

import "github.com/kelpie-registry/registry/op"

func faultsSection() Section {
	alone := profile{clients: [2]int{1, 1}, actors: 1, rounds: 3, program: 4,
		mix:     mix{op.Claim: 20, op.Renew: 10, op.Release: 8, op.Transfer: 5, op.Lookup: 8, op.Validate: 3, op.RegisterNode: 2, op.Heartbeat: 4, op.GetNode: 1},
		between: mix{tick: 4, drift: 2}, histories: 120}
	race := alone
	race.clients, race.rounds, race.program, race.histories = [2]int{2, 4}, 2, 2, 120
	retry := race
	retry.nodes, retry.mix = 2, mix{op.Claim: 20, op.Release: 4, op.Lookup: 3}
	members := race
	members.mix = mix{op.Claim: 8, op.RegisterNode: 10, op.Heartbeat: 8, op.MarkFailed: 8, op.DeregisterNode: 8, op.Transfer: 3,
		op.GetNode: 3, op.ListNodes: 3, op.ListActors: 3, op.Lookup: 3}
	ending := race
	ending.endings = true
	with := func(p profile, f Faults) profile { p.faults = f; return p }
	faulty := func(name, doc string, p profile) Case {
		return Case{Name: name, Doc: doc, Needs: []Capability{Faulty}, draws: true,
			Rules: []RuleID{AmbiguousTruth, Linearizability, TokenMonotonic, "Claim.repeated"},
			run:   func(t *trial) { t.scenarios(p) }}
	}
	return Section{
		Name: "faults",
		Doc:  "a store in trouble: each error tells the truth about the outcome, and a claim can be repeated safely under its ClaimID",
		Cases: []Case{
			faulty("unavailable", "the store refuses, and nothing happens", with(alone, Faults{Unavailable: 0.4})),
			faulty("lost-answers", "it happened, and the answer is lost", with(alone, Faults{LostAnswer: 0.4})),
			faulty("lost-requests", "it did not happen, and nobody can know", with(alone, Faults{LostRequest: 0.4})),
			faulty("late-requests", "it may happen later than told", with(alone, Faults{Late: 0.3})),
			faulty("claim-retry", "claims are repeated under their ClaimID while others claim", with(retry, Faults{LostAnswer: 0.25, LostRequest: 0.15})),
			faulty("members", "registrations, heartbeats, suspicions and departures in trouble", with(members, Faults{Unavailable: 0.1, LostAnswer: 0.15, LostRequest: 0.1, Late: 0.05})),
			faulty("endings", "trouble, while the contexts of half of the calls end", with(ending, Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.03})),
			faulty("everything", "all troubles at once while several clients race", with(race, Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.05})),
		},
	}
}
