package reference_test

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// All behaviours of two nodes that want one actor, within bounds: none of them
// breaks a guarantee, and the last state found comes with a shortest way there.
func ExampleSystem_Explore() {
	nodes := []registry.NodeID{"n1", "n2"}
	system := reference.NewSystem(reference.Bounds{
		Nodes: nodes, Joined: nodes, Actors: []string{"a"}, ClaimIDs: []int{1},
		TTL: 1, FailureTimeout: 1, MaxToken: 2, MaxEpoch: 1, MaxVersion: 2,
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Renew, reference.Release},
	})
	graph, violation := system.Explore(reference.Properties()...)
	fmt.Println(violation == nil, graph.Len(), "states,", graph.Steps(), "steps")
	for _, e := range graph.Trace(graph.Len() - 1) {
		fmt.Println(system.Text(e.Label))
	}
	// Output:
	// true 45 states, 121 steps
	// Claim(n2, a, 1, TRUE)
	// Tick()
	// Claim(n1, a, 1, TRUE)
	// Tick()
	// Release(n1, a)
}

// A guard says which conjunct of the precondition does not hold, what the
// registry answers then.
func ExampleClaimGuard() {
	cfg := registry.DefaultConfig()
	record := reference.Record{Holder: registry.NodeRef{ID: "n1", Epoch: 1}, Token: 1, Version: 1, Expiry: 0}
	soon := registry.Instant(0).Add(cfg.Grace)
	guard := reference.ClaimGuard(cfg, record, registry.StandingActive, soon)
	fmt.Println(guard, "-", guard.Refusal())
	fmt.Println(reference.ClaimGuard(cfg, record, registry.StandingActive, soon.Add(2*cfg.MaxClockSkew)) == reference.Enabled)
	// Output:
	// Claimable - actor is held
	// true
}
