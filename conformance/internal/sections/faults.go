package sections

import (
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func faultsSection() trial.Section {
	alone := concurrent.Profile{Clients: [2]int{1, 1}, Actors: 1, Rounds: 3, Program: 4,
		Mix:     traffic.Mix{op.Claim: 20, op.Renew: 10, op.Release: 8, op.Transfer: 5, op.Lookup: 8, op.Validate: 3, op.RegisterNode: 2, op.Heartbeat: 4, op.GetNode: 1},
		Between: traffic.Mix{traffic.Tick: 4, traffic.Drift: 2}, Histories: 120}
	race := alone
	race.Clients, race.Rounds, race.Program, race.Histories = [2]int{2, 4}, 2, 2, 120
	retry := race
	retry.Nodes, retry.Mix = 2, traffic.Mix{op.Claim: 20, op.Release: 4, op.Lookup: 3}
	members := race
	members.Mix = traffic.Mix{op.Claim: 8, op.RegisterNode: 10, op.Heartbeat: 8, op.MarkFailed: 8, op.DeregisterNode: 8, op.Transfer: 3,
		op.GetNode: 3, op.ListNodes: 3, op.ListActors: 3, op.Lookup: 3}
	lateMembers := alone // every change of a registration shows: time has moved, and it is read again
	lateMembers.Mix = traffic.Mix{op.RegisterNode: 8, op.Heartbeat: 10, op.MarkFailed: 10, op.DeregisterNode: 6, op.GetNode: 6}
	lateMembers.Between, lateMembers.Program, lateMembers.Rounds, lateMembers.Histories = traffic.Mix{traffic.Tick: 1}, 2, 5, 720
	reads := race // tenures end, so that there are tokens that are good for nothing; listings have several pages
	reads.Nodes, reads.Actors, reads.Rounds, reads.Program, reads.Histories = 2, 3, 3, 4, 360
	reads.Mix = traffic.Mix{op.Claim: 14, op.Release: 8, op.Transfer: 6, op.Validate: 16, op.Lookup: 4, op.GetNode: 3, op.ListActors: 10, op.ListNodes: 10}
	ending := race // every operation that writes
	ending.Endings, ending.Histories = true, 600
	ending.Mix = traffic.Mix{op.Claim: 20, op.Renew: 10, op.Release: 8, op.Transfer: 12, op.Lookup: 8, op.Validate: 2, op.RegisterNode: 4, op.Heartbeat: 4, op.MarkFailed: 6, op.DeregisterNode: 4, op.GetNode: 3}
	watched := race // whoever waits learns of a change of which its author does not
	watched.Mix, watched.Watching = traffic.Mix{op.Claim: 10, op.Renew: 6, op.Release: 6, op.Transfer: 6}, true
	watched.Rounds, watched.Program, watched.Actors, watched.Histories = 3, 1, 1, 60
	with := func(p concurrent.Profile, f backend.Faults) concurrent.Profile { p.Faults = f; return p }
	faulty := func(name, doc string, p concurrent.Profile, needs ...backend.Capability) trial.Case {
		return trial.Case{Name: name, Doc: doc, Needs: append(needs, backend.Faulty), Draws: true,
			Rules: []contract.RuleID{contract.AmbiguousTruth, contract.Linearizability, contract.TokenMonotonic, "Claim.repeated"},
			Run:   func(t *trial.Trial) { concurrent.Scenarios(t, p) }}
	}
	return trial.Section{
		Name: "faults",
		Doc:  "a store in trouble: each error tells the truth about the outcome, and a claim can be repeated safely under its ClaimID",
		Cases: []trial.Case{
			faulty("unavailable", "the store refuses, and nothing happens", with(alone, backend.Faults{Unavailable: 0.4})),
			faulty("reads", "the store cannot be read: no call is answered as if it had been", with(reads, backend.Faults{Unavailable: 0.4})),
			faulty("lost-answers", "it happened, and the answer is lost", with(alone, backend.Faults{LostAnswer: 0.4})),
			faulty("lost-requests", "it did not happen, and nobody can know", with(alone, backend.Faults{LostRequest: 0.4})),
			faulty("late-requests", "it may happen later than told", with(alone, backend.Faults{Late: 0.3})),
			faulty("late-members", "a registration, a heartbeat, a suspicion or a departure may happen later than told, or its answer is lost",
				with(lateMembers, backend.Faults{Late: 0.3, LostAnswer: 0.15})),
			faulty("claim-retry", "claims are repeated under their ClaimID while others claim", with(retry, backend.Faults{LostAnswer: 0.25, LostRequest: 0.15})),
			faulty("members", "registrations, heartbeats, suspicions and departures in trouble", with(members, backend.Faults{Unavailable: 0.1, LostAnswer: 0.15, LostRequest: 0.1, Late: 0.05})),
			faulty("watches", "a change whose answer is lost, or that comes late, wakes those who wait for it", with(watched, backend.Faults{LostAnswer: 0.5, Late: 0.1}), backend.Watch),
			faulty("endings", "trouble, while the contexts of half of the calls end", with(ending, backend.Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.03})),
			faulty("everything", "all troubles at once while several clients race", with(race, backend.Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.05})),
		},
	}
}
