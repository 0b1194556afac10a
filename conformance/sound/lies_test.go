package sound

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// telling is a store in trouble that says something else of it than is true.
func telling(t trouble, from op.Outcome, instead error) func(*cluster) {
	return func(c *cluster) {
		inTrouble(t)(c)
		c.answer = func(_ *request, a *op.Result) {
			if a.Outcome == from {
				*a = op.Failed(instead)
			}
		}
	}
}

// A store in trouble is followed, and still convicted when what it tells of its
// trouble is not true (contract, ErrUnavailable and ErrAmbiguous), when it renews
// in another way than it answers, or when the one whose release it lost is
// refused when it asks again.
func TestLiesInTroubleAreConvicted(t *testing.T) {
	settled := &registry.AmbiguousError{Cause: errNetwork}
	for _, tc := range []struct {
		name     string
		lies     func(*cluster)
		sections []string
		rules    []conformance.RuleID
	}{
		{"happened and unavailable", telling(trouble{lostAnswer: 0.1}, op.Settled, registry.ErrUnavailable), []string{"contract"}, []conformance.RuleID{conformance.AmbiguousTruth}},
		{"late and settled", telling(trouble{late: 0.1}, op.Open, settled), []string{"contract", "random"}, nil},
		{"one of a batch happened and is unavailable", func(c *cluster) {
			batchInTrouble(trouble{lostAnswer: 0.2}, nil)(c)
			telling(trouble{}, op.Settled, registry.ErrUnavailable)(c)
		}, []string{"contract", "random"}, nil},
		{"results of a batch in another order than the slice's", func(c *cluster) {
			c.batch = func(r *request) op.Result {
				a := r.inOrder()
				if n := len(a.Renewals); n > 1 {
					a.Renewals[0], a.Renewals[n-1] = a.Renewals[n-1], a.Renewals[0]
				}
				return a
			}
		}, []string{"contract"}, []conformance.RuleID{conformance.BatchAsSingle}},
		{"two of a batch are one renewal", func(c *cluster) {
			c.batch = func(r *request) op.Result {
				a := r.inOrder()
				for i := range a.Renewals {
					for k := range i {
						if r.call.Leases[k] == r.call.Leases[i] {
							a.Renewals[i] = a.Renewals[k]
						}
					}
				}
				return a
			}
		}, []string{"contract"}, []conformance.RuleID{conformance.BatchAsSingle}},
		{"the last holder's release is refused when repeated", func(c *cluster) {
			c.step = func(r *request) op.Result {
				if found := r.store().View(&r.call).Record; r.call.Kind == op.Release && found.Version > 0 && !found.Held() && found.Token == r.call.Token {
					return op.Failed(&registry.Refusal{Reason: registry.ErrNotHeld, Placement: found})
				}
				return r.attempt()
			}
		}, []string{"contract"}, []conformance.RuleID{"Release.repeated", conformance.RefusalTruthful}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := Variant{Name: "lies", peculiar: tc.lies}
			score, err := v.Score(t.Context(), 1, conformance.OnlySections(tc.sections...))
			require.NoError(t, err)
			require.NotNil(t, score.First, "%v", score.Undecided)
			if tc.rules != nil {
				assert.Contains(t, tc.rules, score.First.Rule, "%v", score.First)
			}
		})
	}
}
