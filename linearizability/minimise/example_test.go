package minimise_test

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/linearizability/minimise"
)

const saved = `{"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}
{"client":"n1","call":{"op":"RegisterNode","node":{"id":"n1","epoch":"0"}},"result":{"node":{"ref":{"id":"n1","epoch":"1"},"status":1,"last_seen":"5"}},"invoked":1,"returned":2,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Claim","actor":{"namespace":"room","name":"42"},"node":{"id":"n1","epoch":"1"},"claim_id":"00000000000000000000000000000001"},"result":{"record":{"actor":{"namespace":"room","name":"42"},"holder":{"id":"n1","epoch":"1"},"token":"1","version":"1","expiry":"10000000005","claim_id":"00000000000000000000000000000001"}},"invoked":3,"returned":4,"clock":{"seen":[5]}}
{"client":"n1","call":{"op":"Lookup","actor":{"namespace":"room","name":"42"}},"result":{},"invoked":5,"returned":6,"clock":{}}
`

// Make a convicted history as small as the reason allows.
func ExampleHistory() {
	h, _ := history.Read(strings.NewReader(saved))
	opts := linearizability.Options{}
	res := linearizability.Check(h, opts)
	small := minimise.History(h, res.Violations[0], opts)
	fmt.Println(len(h.Ops), "operations, of which", len(small.Ops), "are needed")
	// Output: 3 operations, of which 3 are needed
}
