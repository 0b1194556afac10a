package linearizability_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/reference"
)

var cfg = registry.Config{TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second}

// Record what clients do, then ask whether the contract explains it.
func Example() {
	rec := linearizability.NewRecorder(cfg)
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

const saved = `{"format":"kelpie-history","version":1,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}
{"client":"n1","kind":"RegisterNode","ask":{"node":{"id":"n1"}},"outcome":"ok","answer":{"node":{"ref":{"id":"n1","epoch":1},"status":1,"last_seen":5}},"call":1,"return":2,"clock":{"seen":[5]}}
{"client":"n1","kind":"Claim","ask":{"actor":{"ns":"room","name":"42"},"node":{"id":"n1","epoch":1},"claim_id":"00000000000000000000000000000001"},"outcome":"ok","answer":{"record":{"actor":{"ns":"room","name":"42"},"holder":{"id":"n1","epoch":1},"token":1,"version":1,"expiry":10000000006,"claim_id":"00000000000000000000000000000001"}},"call":3,"return":4,"clock":{"seen":[6]}}
{"client":"n1","kind":"Lookup","ask":{"actor":{"ns":"room","name":"42"}},"outcome":"ok","call":5,"return":6,"clock":{}}
`

// Judge a history that was saved before.
func ExampleReadHistory() {
	h, err := linearizability.ReadHistory(strings.NewReader(saved))
	if err != nil {
		fmt.Println(err)
		return
	}
	res := linearizability.Check(h, linearizability.Options{})
	fmt.Println(res.Verdict)
	fmt.Println(res.Violations[0].Found)
	// Output:
	// Illegal
	// Lookup(room/42) = no record; Claim(room/42, n1#1, id 1) had been answered with v1 held by n1#1, token 1, expiry t+10.000000001s before
}

// A history is one header line and one line per operation.
func ExampleWriteHistory() {
	_ = linearizability.WriteHistory(os.Stdout, linearizability.History{Config: cfg, Meta: map[string]string{"seed": "7"}})
	// Output: {"format":"kelpie-history","version":1,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000},"meta":{"seed":"7"}}
}
