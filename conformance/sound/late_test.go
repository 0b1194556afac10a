package sound

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// late makes the first call that is held late: its caller is told that it may still
// apply, and it applies right before the first call that lands says.
func late(held, lands func(*op.Call) bool) func(*cluster) {
	return func(c *cluster) {
		var waiting *request
		told := false
		c.step = func(r *request) op.Result {
			if waiting != nil && lands(&r.call) {
				waiting.apply()
				waiting = nil
			}
			if told || !held(&r.call) {
				return r.apply()
			}
			kept := *r
			waiting, told = &kept, true
			return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errNetwork})
		}
	}
}

// A renewal that applies late wakes a watch that was begun with the version before it,
// whether the suite has seen by then that it has applied or not.
func TestWatchWokenByWhatWasLate(t *testing.T) {
	for nth := 1; nth <= 4; nth++ {
		v := Variant{Name: "late-renewal", peculiar: func(c *cluster) {
			var kept *request // guarded by mu
			renewals := 0
			c.step = func(r *request) op.Result {
				if r.call.Kind == op.Renew {
					renewals++
				}
				if r.call.Kind != op.Renew || renewals != nth {
					return r.apply()
				}
				late := *r
				kept = &late
				return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errNetwork})
			}
			c.watch = func(r *request) op.Result {
				answer := r.wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				if kept != nil && answer.Err == nil {
					kept.apply()
					kept = nil
				}
				return answer
			}
		}}
		score, err := v.Score(t.Context(), 1, conformance.OnlySections("contract", "handles"), conformance.OnlyCases(regexp.MustCompile("/watch")))
		require.NoError(t, err)
		require.Nil(t, score.First, "%d: %v", nth, score.First)
		require.Empty(t, score.Undecided)
	}
}

// Who asks for the end of a tenure before it is granted is served late as well: a
// holder whose lease may end so is not taken to serve.
func TestTenureEndedByAnEarlierCall(t *testing.T) {
	script := `n1: RegisterNode node=n1
n2: RegisterNode node=n2
n1: Claim actor=room/42 node=n1#1 id=1 -> ok
n1: Release actor=room/42 node=n1#1 token=1 -> ok
n2: Release actor=room/42 node=n1#1 token=2
n1: Claim actor=room/42 node=n1#1 id=2 -> ok
n2: Claim actor=room/42 node=n2#1 id=3 -> ok
`
	s, err := history.ParseScript(strings.NewReader(script))
	require.NoError(t, err)
	v := Variant{Name: "late-release", peculiar: late(
		func(c *op.Call) bool { return c.Kind == op.Release && c.Token == 2 },
		func(c *op.Call) bool { return c.Kind == op.Claim && c.Node.ID == "n2" })}
	r, err := conformance.Replay(t.Context(), v.Backend(), s)
	require.NoError(t, err)
	require.Equal(t, conformance.Pass, r.Verdict, "%s %v", r.Reason, r.Conviction)
}
