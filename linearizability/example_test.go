package linearizability_test

import (
	"context"
	"errors"
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
{"client":"n1","kind":"Claim","ask":{"actor":{"ns":"room","name":"42"},"node":{"id":"n1","epoch":1},"claim_id":"00000000000000000000000000000001"},"outcome":"ok","answer":{"record":{"actor":{"ns":"room","name":"42"},"holder":{"id":"n1","epoch":1},"token":1,"version":1,"expiry":10000000005,"claim_id":"00000000000000000000000000000001"}},"call":3,"return":4,"clock":{"seen":[5]}}
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
	// Lookup(room/42) = no record; Claim(room/42, n1#1, id 1) had been answered with v1 held by n1#1, token 1, expiry t+10s before
}

// A history is one header line and one line per operation.
func ExampleWriteHistory() {
	_ = linearizability.WriteHistory(os.Stdout, linearizability.History{Config: cfg, Meta: map[string]string{"seed": "7"}})
	// Output: {"format":"kelpie-history","version":1,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000},"meta":{"seed":"7"}}
}

// A conviction in words.
func ExampleExplain() {
	h, _ := linearizability.ReadHistory(strings.NewReader(saved))
	res := linearizability.Check(h, linearizability.Options{})
	fmt.Print(linearizability.Explain(h, res, linearizability.Case{Backend: "mine", Replay: "conform check saved.jsonl"}))
	// Output:
	// mine: Linearizability broken: actor room/42
	// ===========================================
	//
	// rule     every operation takes effect atomically at one instant between its call and its return
	// op       2, by n1
	// found    Lookup(room/42) = no record; Claim(room/42, n1#1, id 1) had been answered with v1 held by n1#1,
	//          token 1, expiry t+10s before
	// allowed  version 1 or a later one
	// often    the answer comes from a cache, a snapshot or a replica that is behind
	// spec     action Lookup
	//          answer, Version
	// times    TTL 10s, grace 2s, skew 1s, failure timeout 6s
	//
	//   op  n1
	//   --  --------------------------------------------------
	//    0  t+0s RegisterNode(n1, if-absent)
	//         = n1#1 active, last seen t+0s
	// *  1  t+0s Claim(room/42, n1#1, id 1)
	//         = v1 held by n1#1, token 1, expiry t+10s
	// >  2  Lookup(room/42)
	//         = no record
	//
	// replay   conform check saved.jsonl
}

// Make a convicted history as small as the reason allows.
func ExampleMinimise() {
	h, _ := linearizability.ReadHistory(strings.NewReader(saved))
	opts := linearizability.Options{}
	res := linearizability.Check(h, opts)
	small := linearizability.Minimise(h, linearizability.Convicts(h, res.Violations[0], opts))
	fmt.Println(len(h.Ops), "operations, of which", len(small.Ops), "are needed")
	// Output: 3 operations, of which 3 are needed
}

// stage opens handles on the reference.
type stage struct{ store *reference.Store }

func (s stage) Open(_ string, clock registry.Clock) (registry.Handle, error) {
	return s.store.Open(cfg, clock)
}

func (s stage) Crash() error { return errors.ErrUnsupported }

// Carry out a script and see what was answered.
func ExamplePlay() {
	script, err := linearizability.ParseScript(strings.NewReader(`
		config ttl=10s grace=2s skew=1s failure=6s
		n1: RegisterNode node=n1
		n2: RegisterNode node=n2
		n1: Claim actor=room/42 node=n1#1 id=1
		Clock 13.9s    # not yet expiry + grace + 2 skew
		n2: Claim actor=room/42 node=n2#1 id=2
		Clock 14s
		n2: Claim actor=room/42 node=n2#1 id=2
	`))
	if err != nil {
		fmt.Println(err)
		return
	}
	store, _ := reference.NewStore(cfg)
	h, _ := linearizability.Play(context.Background(), script, stage{store})
	for _, op := range h.Ops[2:] {
		fmt.Println(op.Client, op.Kind, op.Outcome, op.Answer.Reason, "version", op.Answer.Record.Version)
	}
	// Output:
	// n1 Claim ok  version 1
	// n2 Claim refused ErrHeld version 1
	// n2 Claim ok  version 2
}

// A timeline of a history as a page for the browser.
func ExampleDraw() {
	h, _ := linearizability.ReadHistory(strings.NewReader(saved))
	var page strings.Builder
	err := linearizability.Draw(&page, h, linearizability.Check(h, linearizability.Options{}))
	fmt.Println(err, strings.Contains(page.String(), "Claim(room/42, n1#1, id 1)"))
	// Output: <nil> true
}
