package sound

import (
	"errors"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// A store of which only every fourth call is answered is brought into the start of a
// schedule: what was asked beside a repeated registration is asked again by itself.
func TestPreparedByEveryFourthCall(t *testing.T) {
	v := Variant{Name: "three-of-four-calls-fail", peculiar: failing(everyWay, func(_ *request, n int) bool { return n%4 > 0 })}
	score, err := v.Score(t.Context(), 1, conformance.Level(conformance.Quick), conformance.OnlySections("handles"), conformance.OnlyCases(regexp.MustCompile("/close-under-way$")))
	require.NoError(t, err)
	require.Nil(t, score.First, "%v", score.First)
	require.Empty(t, score.Undecided)
}

// sevenfold is a store that tells each version sevenfold, and so leaves six out.
type sevenfold struct{ conformance.Backend }

func (sevenfold) Dialect() dialect.Dialect { return dialect.Dialect{SparseVersions: true} }

// A watch of what was released begins with the version that the release has made,
// whatever it is.
func TestWatchesOfSparseVersions(t *testing.T) {
	tell := func(p *registry.Placement) { p.Version *= 7 }
	v := Variant{Name: "sevenfold", peculiar: func(c *cluster) {
		c.serve = func(r *request) op.Result {
			if r.call.Kind == op.Watch {
				if r.call.Seen%7 > 0 {
					r.call.Seen = 1 << 60 // none that there was
				}
				r.call.Seen /= 7
			}
			a := r.serve()
			tell(&a.Record)
			for i := range a.Renewals {
				tell(&a.Renewals[i].Record)
			}
			for i := range a.Actors {
				tell(&a.Actors[i])
			}
			if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
				tell(&refusal.Placement)
			}
			return a
		}
	}}
	r, err := conformance.Judge(t.Context(), sevenfold{v.Backend()}, conformance.Level(conformance.Quick), conformance.OnlySections("contract", "handles"), conformance.OnlyCases(regexp.MustCompile("/watch")))
	require.NoError(t, err)
	for _, c := range r.Cases {
		require.NotContains(t, []conformance.Verdict{conformance.Convicted, conformance.Unknown}, c.Verdict, "%s: %s %v", c.ID(), c.Reason, c.Conviction)
	}
}
