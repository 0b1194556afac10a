package contract

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Every answer that an operation may have is demanded by a rule of the table.
func TestEveryAnswerHasARule(t *testing.T) {
	require.Equal(t, RuleID("Claim.held"), Answering(op.Claim, false, registry.ErrHeld))
	require.Equal(t, RuleID("Claim.repeated"), Answering(op.Claim, true, nil))
	require.Equal(t, RuleID("Renew.granted"), Answering(op.Renew, true, nil), "there is no repetition of a renewal")
	require.Equal(t, InvalidFirst, Answering(op.Claim, false, registry.ErrInvalid))
	require.Equal(t, ClosedSecond, Answering(op.Lookup, false, registry.ErrClosed))
	require.Equal(t, ContextThird, Answering(op.Renew, false, context.Canceled))
	for k := op.Kind(1); k.Known(); k++ {
		require.NotEmpty(t, Answering(k, false, nil).Rule().Text, k)
		require.NotEmpty(t, Answering(k, true, nil).Rule().Text, k)
	}
	require.Zero(t, RuleID("Claim.lapsed").Rule())
}

// Contract, section 4: who takes a live lease from another makes two activations,
// in grace it makes none yet, and nobody makes a second one of its own.
func TestTakingOver(t *testing.T) {
	cfg := registry.Config{TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second}
	from := registry.Placement{Holder: registry.NodeRef{ID: "n1", Epoch: 1}, Expiry: registry.Instant(10 * time.Second)}
	other := registry.NodeRef{ID: "n1", Epoch: 2} // another incarnation is another holder
	require.Equal(t, SingleActivation, TakingOver(cfg, from, other, from.Expiry-1))
	require.Equal(t, GraceRespected, TakingOver(cfg, from, other, from.Expiry))
	require.Equal(t, SingleActivation, TakingOver(cfg, from, other, from.Expiry.Add(cfg.Grace)), "by the margin of 2ε the holder may be behind")
	require.Equal(t, RuleID("Claim.held"), TakingOver(cfg, from, from.Holder, from.Expiry-1))
}

func TestWhatIsNamed(t *testing.T) {
	require.Equal(t, TokenMonotonic, WrongToken(op.Claim, 1, 2))
	require.Equal(t, RuleID("Claim.granted"), WrongToken(op.Claim, 3, 2))
	require.Equal(t, RuleID("Claim.granted"), WrongToken(op.Claim, 0, 2), "no token went back: there is none")
	require.Equal(t, NameLimits, OfArgument(registry.NodeID("").Validate()))
	require.Equal(t, InvalidFirst, OfArgument(&registry.InvalidError{Field: "token"}))
	require.Less(t, SingleActivation.Gravity(), TokenMonotonic.Gravity())
	require.Less(t, RuleID("Claim.repeated").Gravity(), TokenMonotonic.Gravity())
	require.Less(t, NoStaleWrite.Gravity(), Linearizability.Gravity())
}
