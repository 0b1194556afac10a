package linearizability_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/reference"
)

var cfg = registry.Config{TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second}

// Record what clients do, then ask whether the contract explains it.
func Example() {
	rec := history.NewRecorder(cfg)
	store, _ := reference.NewStore(cfg)
	clock := registry.NewManualClock(0)
	inner, _ := store.Open(cfg, rec.Clock("n1", clock))
	h := rec.Wrap("n1", inner)

	ctx := context.Background()
	node, _ := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	lease, _ := h.Claim(ctx, registry.ActorID{Namespace: "room", Name: "42"}, node.Ref, registry.NewClaimID())
	clock.Advance(3 * time.Second)
	_, _ = h.Renew(ctx, lease)

	fmt.Println(linearizability.Check(rec.History(), linearizability.Options{}).Verdict)
	// Output: OK
}

const saved = `{"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}
{"client":"n1","call":{"op":"RegisterNode","node":{"id":"n1","epoch":"0"}},"result":{"node":{"ref":{"id":"n1","epoch":"1"},"status":1,"last_seen":"5"}},"invoked":1,"returned":2,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Claim","actor":{"namespace":"room","name":"42"},"node":{"id":"n1","epoch":"1"},"claim_id":"00000000000000000000000000000001"},"result":{"record":{"actor":{"namespace":"room","name":"42"},"holder":{"id":"n1","epoch":"1"},"token":"1","version":"1","expiry":"10000000005","claim_id":"00000000000000000000000000000001"}},"invoked":3,"returned":4,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Lookup","actor":{"namespace":"room","name":"42"}},"result":{},"invoked":5,"returned":6,"clock":{}}
`

// Judge a history that was saved before.
func ExampleCheck() {
	h, err := history.Read(strings.NewReader(saved))
	if err != nil {
		fmt.Println(err)
		return
	}
	res := linearizability.Check(h, linearizability.Options{})
	fmt.Println(res.Verdict)
	fmt.Println(res.Violations[0].Found)
	// Output:
	// Illegal
	// Lookup(42) = no record; Claim(42, n1#1, id 1) had been answered with n1#1 token 1 version 1 expiry T+10s before
}

// Check a history while it grows: of a service that runs, line by line.
func ExampleStream() {
	r, _ := history.NewReader(strings.NewReader(saved))
	s := linearizability.NewStream(r.Config())
	for {
		o, err := r.Next()
		if err == io.EOF || err == nil && !s.Add(&o) {
			break
		}
	}
	s.End()
	_, res := s.Result()
	fmt.Println(res.Verdict, "by operation", res.Stats.Ops)
	// Output: Illegal by operation 3
}
