package conformance_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// A registry with a known breach is judged past it: without another mistake it
// neither passes nor is convicted, with another it is convicted of that.
func TestWaive(t *testing.T) {
	known := twistNamed(t, "every refusal carries the wrong node")
	r := judgeOne(t, known, "contract/tenure-refusals")
	require.Equal(t, conformance.Convicted, r.Verdict)
	require.Equal(t, conformance.RefusalTruthful, r.Conviction.Rule)

	r = judgeOne(t, known, "contract/tenure-refusals", conformance.Waive(conformance.RefusalTruthful, conformance.ErrorIdentity))
	require.Equal(t, conformance.Waived, r.Verdict, "%s %v", r.Reason, r.Conviction)
	assert.Contains(t, r.Reason, "refusal.truthful")
	require.NotEmpty(t, r.Waived)
	assert.Equal(t, conformance.RefusalTruthful, r.Waived[0].Rule)
	assert.Contains(t, r.Waived[0].Found, "the refusal tells")

	two := known.(twistedBackend)
	first := two.twist.bend
	two.twist.bend = func() func(*bent) {
		spoil := first()
		return func(b *bent) {
			spoil(b)
			b.validate = func(context.Context, registry.ActorID, registry.Token) error { return nil }
		}
	}
	r = judgeOne(t, two, "contract/tenure-refusals", conformance.Waive(conformance.RefusalTruthful))
	require.Equal(t, conformance.Convicted, r.Verdict, r.Reason)
	assert.Equal(t, conformance.NoStaleWrite, r.Conviction.Rule, "%v", r.Conviction)
	assert.Equal(t, conformance.RefusalTruthful, r.Waived[0].Rule)
}

// After a breach that leaves another state the lockstep goes on from that state.
func TestWaiveGoesOnFromWhatIsThere(t *testing.T) {
	keeps := twistNamed(t, "a hand-off keeps the token")
	r := judgeOne(t, keeps, "contract/transfer-grants", conformance.Waive(conformance.TokenMonotonic))
	require.Equal(t, conformance.Waived, r.Verdict, "%s %v", r.Reason, r.Conviction)
	require.Len(t, r.Waived, 1)
}

// A concurrent history whose first wrong answer is waived is not judged further.
func TestWaiveInHistories(t *testing.T) {
	keeps := twistNamed(t, "a hand-off keeps the token")
	r := judgeOne(t, keeps, "concurrent/hand-off", conformance.Histories(20))
	require.Equal(t, conformance.Convicted, r.Verdict)
	rule := r.Conviction.Rule
	r = judgeOne(t, keeps, "concurrent/hand-off", conformance.Histories(20), conformance.Waive(rule))
	if r.Verdict == conformance.Convicted { // by a history in which another is broken first
		assert.NotEqual(t, rule, r.Conviction.Rule)
	}
	require.NotEmpty(t, r.Waived)
	assert.Equal(t, rule, r.Waived[0].Rule)
}

func TestWaiveOfNoRule(t *testing.T) {
	_, err := conformance.Judge(context.Background(), twistNamed(t, "no grace"), conformance.Waive("Claim.gratned"))
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.ErrorContains(t, err, "Claim.gratned")
}
