package conformance

import "github.com/kelpie-registry/registry/op"

func concurrentSection() Section {
	history := func(name, doc string, p profile, needs ...Capability) Case {
		return Case{
			Name: name, Doc: doc, Needs: needs, draws: true,
			Rules: []RuleID{Linearizability, SingleActivation, TokenMonotonic, VersionBump, NoStaleWrite},
			run:   func(t *trial) { t.scenarios(p) },
		}
	}
	tenures := mix{op.Claim: 30, op.Renew: 15, op.Release: 12, op.Transfer: 8, op.Lookup: 6, op.Validate: 8}
	times := mix{tick: 5, drift: 3}
	return Section{
		Name: "concurrent",
		Doc:  "many short histories of clients working at the same time on fresh actors, checked for linearizability",
		Cases: []Case{
			history("hot-actor", "2 to 8 clients and one actor", profile{
				clients: [2]int{2, 8}, actors: 1, rounds: 3, program: 2, mix: tenures, between: times, histories: 250}),
			history("claim-race", "everybody claims, and nobody else has been there", profile{
				clients: [2]int{2, 8}, actors: 1, rounds: 1, program: 2, mix: mix{op.Claim: 10, op.Lookup: 1}, histories: 150}),
			history("boundaries", "claims and renewals race while the lease ends, by clocks at both ends of the skew", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 5, program: 2, mix: mix{op.Claim: 12, op.Renew: 10, op.Release: 1, op.Transfer: 3},
				between: mix{tick: 10, drift: 4}, histories: 200}),
			history("late-renewal", "a renewal in the last moment, and time goes on while a claim is being made", profile{
				clients: [2]int{2, 3}, actors: 1, rounds: 8, program: 1, mix: mix{op.Claim: 12, op.Renew: 12},
				between: mix{tick: 10, drift: 2}, during: mix{tick: 1}, histories: 250}),
			history("membership", "nodes are superseded, leave and fail while they claim", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 3, program: 3,
				mix: mix{op.Claim: 14, op.RegisterNode: 6, op.DeregisterNode: 2, op.MarkFailed: 1, op.Lookup: 5, op.Release: 5, op.Transfer: 3}, between: times, histories: 150}),
			history("hand-off", "transfers race with renewals, releases and each other", profile{
				clients: [2]int{3, 6}, actors: 1, rounds: 3, program: 2, mix: mix{op.Claim: 8, op.Transfer: 14, op.Renew: 6, op.Release: 4, op.Validate: 5},
				between: times, histories: 150}),
			history("claim-retry", "the same attempt is repeated through several handles of one node while others claim", profile{
				clients: [2]int{3, 6}, nodes: 2, actors: 1, rounds: 3, program: 3, mix: mix{op.Claim: 14, op.Release: 4, op.Renew: 2, op.Lookup: 1},
				between: times, histories: 150}),
			history("spread", "all operations on three actors, listings and members included", profile{
				clients: [2]int{2, 5}, actors: 3, rounds: 3, program: 2,
				mix: mix{op.Claim: 16, op.Renew: 6, op.Release: 6, op.Transfer: 6, op.Lookup: 4, op.Validate: 4, op.ListActors: 4,
					op.RegisterNode: 3, op.Heartbeat: 2, op.MarkFailed: 2, op.DeregisterNode: 1, op.GetNode: 2, op.ListNodes: 2},
				between: times, histories: 150}),
			history("batches", "renewals in batches race with claims and hand-offs", profile{
				clients: [2]int{2, 4}, actors: 3, rounds: 3, program: 2, mix: mix{op.Claim: 14, op.RenewBatch: 10, op.Release: 3, op.Transfer: 4},
				between: times, histories: 100}, BatchRenew),
			history("watchers", "a client watches while others claim, release and hand over", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 3, program: 2, mix: mix{op.Claim: 10, op.Renew: 4, op.Release: 6, op.Transfer: 4}, watching: true,
				between: times, histories: 100}, Watch),
		},
	}
}
