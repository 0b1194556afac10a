package history_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Record what a client does.
func ExampleRecorder() {
	rec := history.NewRecorder(testConfig)
	clock := registry.NewManualClock(5)
	inner, _ := newCluster().Open("n1", rec.Clock("n1", clock))
	h := rec.Wrap("n1", inner)
	node, _ := h.RegisterNode(context.Background(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	clock.Set(6)
	_ = h.Heartbeat(context.Background(), node.Ref)

	for _, o := range rec.History().Ops {
		fmt.Println(o.Invoked, o.Returned, o.Client, op.Text{}.Call(&o.Call), o.Result.Outcome, o.Clock.Seen[0].Sub(0))
	}
	// Output:
	// 1 2 n1 RegisterNode(n1, if-absent) ok 5ns
	// 3 4 n1 Heartbeat(n1#1) ok 6ns
}

const saved = `{"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}
{"client":"n1","call":{"op":"Lookup","actor":{"namespace":"room","name":"42"}},"result":{},"invoked":1,"returned":2,"clock":{}}
{"client":"n1","call":{"op":"Heartbeat","node":{"id":"n1","epoch":"1"}},"invoked":3,"clock":{"seen":[5]}}
`

// Read a history that was saved before.
func ExampleRead() {
	h, err := history.Read(strings.NewReader(saved))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range h.Ops {
		fmt.Println(o.Client, o.Call.Script(), o.Result.Outcome)
	}
	// Output:
	// n1 Lookup actor=room/42 ok
	// n1 Heartbeat node=n1#1 pending
}

// A history is one header line and one line per operation.
func ExampleWrite() {
	lookup := history.Op{
		Client: "n1", Call: op.Call{Kind: op.Lookup, Actor: registry.ActorID{Namespace: "room", Name: "42"}},
		Result: op.Result{Outcome: op.OK}, Invoked: 1, Returned: 2,
	}
	h := history.History{Config: testConfig, Meta: map[string]string{"seed": "7"}, Ops: []history.Op{lookup}}
	_ = history.Write(os.Stdout, h)
	// Output:
	// {"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000},"meta":{"seed":"7"}}
	// {"client":"n1","call":{"op":"Lookup","actor":{"namespace":"room","name":"42"}},"result":{},"invoked":1,"returned":2,"clock":{}}
}

// Carry out a script and see what was answered.
func ExamplePlay() {
	script, err := history.ParseScript(strings.NewReader(`
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
	h, _ := history.Play(context.Background(), script, newCluster())
	for _, o := range h.Ops[2:] {
		fmt.Println(o.Client, o.Call.Kind, o.Result.Outcome, o.Result.Reason, "version", o.Result.Record.Version)
	}
	// Output:
	// n1 Claim ok  version 1
	// n2 Claim refused ErrHeld version 1
	// n2 Claim ok  version 2
}
