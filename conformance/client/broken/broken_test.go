package broken_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/broken"
)

var seeds = flag.Uint64("client.seeds", 3, "judge each client with so many seeds")

// Contract 6. Each mistake is convicted with every seed, by a rule that it is
// known to break.
func TestEveryMistakeIsConvicted(t *testing.T) {
	for _, v := range broken.All() {
		t.Run(v.ID, func(t *testing.T) {
			for seed := range *seeds {
				var convictions []*client.Conviction
				for _, r := range client.Judge(t, v.Factory(), client.Seeds(seed+1), client.StopAtFirst(), client.Breaking(v.Breaks...)) {
					require.Empty(t, r.Unknown)
					if r.Conviction != nil {
						convictions = append(convictions, r.Conviction)
					}
				}
				if assert.NotEmpty(t, convictions, "seed %d: %s", seed+1, v.Title) {
					c := convictions[0]
					assert.Contains(t, v.Breaks, c.Rule, "seed %d: %s\n%s", seed+1, v.Title, c)
					if seed == 0 {
						t.Logf("%s: %s (%s, %s)\n%s", v.Title, c.Rule, c.Case, c.Play, c)
					}
				}
			}
		})
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	ids := map[string]bool{}
	for _, v := range broken.All() {
		assert.False(t, ids[v.ID], v.ID)
		ids[v.ID] = true
		assert.NotEmpty(t, v.Title, v.ID)
		assert.NotEmpty(t, v.Incident, v.ID)
		for _, rule := range v.Breaks {
			assert.True(t, slices.ContainsFunc(conformance.ClientRules(), func(r conformance.Rule) bool { return r.ID == rule }), "%s: %s", v.ID, rule)
		}
	}
	assert.GreaterOrEqual(t, len(ids), 25)
}
