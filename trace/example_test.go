package trace_test

import (
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/trace"
)

// A history in which a claim was answered with a token that no grant had.
func ExampleLinearize() {
	cfg := registry.DefaultConfig()
	node := registry.NodeRef{ID: "n1", Epoch: 1}
	actor := registry.ActorID{Namespace: "shop", Name: "cart"}
	now := registry.InstantOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	h := history.History{Config: cfg, Ops: []history.Op{
		{
			ID: 0, Client: "n1", Invoked: 1, Returned: 2, Clock: history.Seen(now),
			Call:   op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: "n1"}},
			Result: op.Result{Outcome: op.OK, Node: registry.Node{Ref: node, Status: registry.NodeActive, LastSeen: now}},
		},
		{
			ID: 1, Client: "n1", Invoked: 3, Returned: 4, Clock: history.Seen(now),
			Call: op.Call{Kind: op.Claim, Actor: actor, Node: node, ClaimID: registry.ClaimID{1}},
			Result: op.Result{Outcome: op.OK, Record: registry.Placement{
				Actor: actor, Holder: node, Token: 2, Version: 1, Expiry: now.Add(cfg.TTL), ClaimID: registry.ClaimID{1},
			}},
		},
	}}
	tr, err := trace.Linearize(h)
	if err != nil {
		panic(err)
	}
	fmt.Println(tr.Check())
	// Output:
	// step 2 of 2 is not a step of Registry
	//   impossible  op 1 by n1: Claim(shop/cart, n1#1, id 1), clock 0s, answered: held by n1#1, token 2, version 1, expiry 30s
	//   possible    answered: held by n1#1, token 1, version 1, expiry 30s
}
