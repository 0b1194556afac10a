package sound_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/sound"
)

var seeds = flag.Uint64("client.seeds", 1, "judge each client with so many seeds")

// Contract 6. No right client is convicted, and none is left undecided. Package
// keeper is among them.
func TestRightClientsPass(t *testing.T) {
	for _, v := range sound.All() {
		t.Run(v.Name, func(t *testing.T) {
			for seed := range *seeds {
				waiters := 100
				if seed == 0 && (v.Name == "keeper" || v.Name == "plain") {
					waiters = 1000
				}
				for _, r := range client.Judge(t, v.Factory, client.Seeds(seed+1), client.Waiters(waiters)) {
					assert.Nil(t, r.Conviction, "%s: %s", v.Doc, r.Conviction)
					assert.Empty(t, r.Unknown, "%s: %s", v.Doc, r.Case.ID())
				}
			}
		})
	}
}
