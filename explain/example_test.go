package explain_test

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

const saved = `{"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}
{"client":"n1","call":{"op":"RegisterNode","node":{"id":"n1","epoch":"0"}},"result":{"node":{"ref":{"id":"n1","epoch":"1"},"status":1,"last_seen":"5"}},"invoked":1,"returned":2,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Claim","actor":{"namespace":"room","name":"42"},"node":{"id":"n1","epoch":"1"},"claim_id":"00000000000000000000000000000001"},"result":{"record":{"actor":{"namespace":"room","name":"42"},"holder":{"id":"n1","epoch":"1"},"token":"1","version":"1","expiry":"10000000005","claim_id":"00000000000000000000000000000001"}},"invoked":3,"returned":4,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Lookup","actor":{"namespace":"room","name":"42"}},"result":{},"invoked":5,"returned":6,"clock":{}}
`

// A conviction in words.
func ExampleOf() {
	h, _ := history.Read(strings.NewReader(saved))
	res := linearizability.Check(h, linearizability.Options{})
	c, _, _ := explain.Of(h, res, linearizability.Options{})
	c.Reproduce = "conform check saved.jsonl"
	fmt.Print(c)
	// Output:
	// CONVICTED of breaking Linearizability: every operation takes effect at one instant between its call and its return
	// spec:   action Lookup, answer Version (spec/tla/Registry.tla:299)
	// found:  actor x/a: Lookup(a) = no record; Claim(a, n1#1, id 1) had been answered with n1#1 token 1 version 1 expiry T+10s before
	// wanted: version 1 or a later one
	// often:  the answer comes from a cache, a snapshot or a replica that is behind
	//
	// cluster: TTL 10s, Grace 2s, MaxClockSkew (ε) 1s, FailureTimeout 6s
	//    #  client  its clock  call                         answer
	//    1  n1      T+0s       RegisterNode(n1, if-absent)  n1#1 active seen T+0s
	// *  2  n1      T+0s       Claim(a, n1#1, id 1)         n1#1 token 1 version 1 expiry T+10s
	// >  3  n1      none       Lookup(a)                    no record
	//
	// replay: conform check saved.jsonl
}

// A timeline of a history as a page for the browser.
func ExampleDraw() {
	h, _ := history.Read(strings.NewReader(saved))
	var page strings.Builder
	err := explain.Draw(&page, h, linearizability.Check(h, linearizability.Options{}))
	fmt.Println(err, strings.Contains(page.String(), "Claim(42, n1#1, id 1)"), strings.Contains(page.String(), `src="http`))
	// Output: <nil> true false
}
