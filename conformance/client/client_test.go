package client_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/broken"
)

// Names are stable identifiers, and every rule of clients has a case and a client
// that breaks it.
func TestRulesAndCases(t *testing.T) {
	known, tested, broke := map[conformance.RuleID]bool{}, map[conformance.RuleID]bool{}, map[conformance.RuleID]bool{}
	for _, r := range conformance.ClientRules() {
		known[r.ID] = true
	}
	ids := map[string]bool{}
	for _, c := range client.Cases() {
		assert.Regexp(t, `^[a-z-]+/[a-z-]+$`, c.ID())
		assert.False(t, ids[c.ID()], "%s is there twice", c.ID())
		ids[c.ID()] = true
		assert.NotEmpty(t, c.Doc)
		for _, r := range c.Rules {
			assert.True(t, known[r], "%s cites %s", c.ID(), r)
			tested[r] = true
		}
	}
	for _, v := range broken.All() {
		for _, r := range v.Breaks {
			broke[r] = true
		}
	}
	for r := range known {
		if r == conformance.ServesAsHolder {
			continue // what comes of the others; package serving sees it by itself
		}
		assert.True(t, tested[r], "no case is there for %s", r)
		if r != conformance.ServesAlone {
			assert.True(t, broke[r], "no client breaks %s", r)
		}
	}
}

// A conviction names the rule, the place in the specification and what happened,
// and the same seed tells the same.
func TestConvictionIsReadableAndReplays(t *testing.T) {
	var texts []string
	for range 2 {
		for _, r := range client.Judge(t, broken.All()[0].Factory(), client.Breaking(conformance.ServesInTime), client.StopAtFirst(), client.Seeds(7)) {
			if r.Conviction != nil {
				texts = append(texts, r.Conviction.String())
			}
		}
	}
	require.Len(t, texts, 2)
	for _, part := range []string{"CONVICTED of breaking service.deadline", "StepDown (spec/tla/Keeper.tla:", "its lease ended at T+", "n1: serves a under token 1", "seed 7"} {
		assert.Contains(t, texts[0], part)
	}
	assert.Equal(t, texts[0][:300], texts[1][:300])
	t.Log(texts[0])
}
