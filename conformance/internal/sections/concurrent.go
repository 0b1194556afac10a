package sections

import (
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func concurrentSection() trial.Section {
	history := func(name, doc string, p concurrent.Profile, needs ...backend.Capability) trial.Case {
		return trial.Case{
			Name: name, Doc: doc, Needs: needs, Draws: true,
			Rules: []contract.RuleID{contract.Linearizability, contract.SingleActivation, contract.TokenMonotonic, contract.VersionBump, contract.NoStaleWrite},
			Run:   func(t *trial.Trial) { concurrent.Scenarios(t, p) },
		}
	}
	tenures := traffic.Mix{op.Claim: 30, op.Renew: 15, op.Release: 12, op.Transfer: 8, op.Lookup: 6, op.Validate: 8}
	times := traffic.Mix{traffic.Tick: 5, traffic.Drift: 3}
	reading := func(m traffic.Mix) concurrent.Profile { // so many that two of the same are under way at once
		return concurrent.Profile{Clients: [2]int{4, 7}, Nodes: 2, Actors: 1, Rounds: 3, Program: 4, Mix: m, Between: traffic.Mix{traffic.Tick: 1}, Histories: 1000}
	}
	return trial.Section{
		Name: "concurrent",
		Doc:  "many short histories of clients working at the same time on fresh actors, checked for linearizability",
		Cases: []trial.Case{
			history("hot-actor", "2 to 8 clients and one actor", concurrent.Profile{
				Clients: [2]int{2, 8}, Actors: 1, Rounds: 3, Program: 2, Mix: tenures, Between: times, Histories: 250}),
			history("claim-race", "everybody claims, and nobody else has been there", concurrent.Profile{
				Clients: [2]int{2, 8}, Actors: 1, Rounds: 1, Program: 2, Mix: traffic.Mix{op.Claim: 10, op.Lookup: 1}, Histories: 150}),
			history("boundaries", "claims and renewals race while the lease ends, by clocks at both ends of the skew", concurrent.Profile{
				Clients: [2]int{2, 4}, Actors: 1, Rounds: 5, Program: 2, Mix: traffic.Mix{op.Claim: 12, op.Renew: 10, op.Release: 1, op.Transfer: 3},
				Between: traffic.Mix{traffic.Tick: 10, traffic.Drift: 4}, Histories: 200}),
			history("late-renewal", "a renewal in the last moment, and time goes on while a claim is being made", concurrent.Profile{
				Clients: [2]int{2, 3}, Actors: 1, Rounds: 8, Program: 1, Mix: traffic.Mix{op.Claim: 12, op.Renew: 12},
				Between: traffic.Mix{traffic.Tick: 10, traffic.Drift: 2}, During: traffic.Mix{traffic.Tick: 1}, Histories: 250}),
			history("membership", "nodes are superseded, leave and fail while they claim", concurrent.Profile{
				Clients: [2]int{2, 4}, Actors: 1, Rounds: 3, Program: 3,
				Mix: traffic.Mix{op.Claim: 14, op.RegisterNode: 6, op.DeregisterNode: 2, op.MarkFailed: 1, op.Lookup: 5, op.Release: 5, op.Transfer: 3}, Between: times, Histories: 150}),
			history("newcomers", "who claims, or is handed an actor, is superseded or leaves at the same time", concurrent.Profile{
				Clients: [2]int{3, 5}, Nodes: 3, Actors: 2, Rounds: 3, Program: 3,
				Mix:     traffic.Mix{op.Claim: 12, op.Transfer: 20, op.RegisterNode: 10, op.DeregisterNode: 6, op.Release: 3},
				Between: traffic.Mix{traffic.Tick: 1}, Histories: 240}),
			history("standing", "the same name is registered, heard of, suspected and left at the same time, for the first time too", concurrent.Profile{
				Clients: [2]int{2, 5}, Nodes: 2, Actors: 1, Rounds: 3, Program: 2, Unknown: true,
				Mix:     traffic.Mix{op.RegisterNode: 10, op.Heartbeat: 8, op.MarkFailed: 10, op.DeregisterNode: 2, op.GetNode: 3, op.Claim: 2},
				Between: traffic.Mix{traffic.Tick: 1}, Histories: 400}),
			history("hand-off", "transfers race with renewals, releases and each other", concurrent.Profile{
				Clients: [2]int{3, 6}, Actors: 1, Rounds: 3, Program: 2, Mix: traffic.Mix{op.Claim: 8, op.Transfer: 14, op.Renew: 6, op.Release: 4, op.Validate: 5},
				Between: times, Histories: 150}),
			history("claim-retry", "the same attempt is repeated through several handles of one node while others claim", concurrent.Profile{
				Clients: [2]int{3, 6}, Nodes: 2, Actors: 1, Rounds: 3, Program: 3, Mix: traffic.Mix{op.Claim: 14, op.Release: 4, op.Renew: 2, op.Lookup: 1},
				Between: times, Histories: 150}),
			history("spread", "all operations on three actors, listings and members included", concurrent.Profile{
				Clients: [2]int{2, 5}, Actors: 3, Rounds: 3, Program: 2,
				Mix: traffic.Mix{op.Claim: 16, op.Renew: 6, op.Release: 6, op.Transfer: 6, op.Lookup: 4, op.Validate: 4, op.ListActors: 4,
					op.RegisterNode: 3, op.Heartbeat: 2, op.MarkFailed: 2, op.DeregisterNode: 1, op.GetNode: 2, op.ListNodes: 2},
				Between: times, Histories: 150}),
			history("reads", "an actor and the listings are read while they change: nobody is told what was before he asked",
				reading(traffic.Mix{op.Claim: 6, op.Renew: 5, op.Release: 5, op.Transfer: 5, op.Lookup: 8, op.Validate: 8, op.ListActors: 24})),
			history("member-reads", "the same of nodes",
				reading(traffic.Mix{op.RegisterNode: 5, op.Heartbeat: 8, op.DeregisterNode: 3, op.GetNode: 16, op.ListNodes: 16})),
			history("batches", "renewals in batches race with claims and hand-offs", concurrent.Profile{
				Clients: [2]int{2, 4}, Actors: 3, Rounds: 3, Program: 2, Mix: traffic.Mix{op.Claim: 14, op.RenewBatch: 10, op.Release: 3, op.Transfer: 4},
				Between: times, Histories: 100}, backend.BatchRenew),
			history("watchers", "a client watches while others claim, release and hand over", concurrent.Profile{
				Clients: [2]int{2, 4}, Actors: 1, Rounds: 3, Program: 2, Mix: traffic.Mix{op.Claim: 10, op.Renew: 4, op.Release: 5, op.Transfer: 12, op.RegisterNode: 8}, Watching: true,
				Between: times, Histories: 100}, backend.Watch),
		},
	}
}
