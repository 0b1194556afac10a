package reference_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// A call about an incarnation that is over changes nothing, by any reading, and what is
// not over may: whoever waits for late calls need not wait for the first.
func TestOverIsForGood(t *testing.T) {
	cfg := registry.DefaultConfig()
	s, err := reference.NewStore(cfg)
	require.NoError(t, err)
	h, err := s.Open(cfg, registry.NewManualClock(0))
	require.NoError(t, err)
	first, err := h.RegisterNode(context.Background(), "n", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	calls := []op.Call{
		{Kind: op.Claim, Actor: registry.ActorID{Namespace: "a", Name: "b"}, Node: first.Ref, ClaimID: registry.NewClaimID()},
		{Kind: op.Heartbeat, Node: first.Ref}, {Kind: op.MarkFailed, Node: first.Ref}, {Kind: op.DeregisterNode, Node: first.Ref},
	}
	late := registry.Instant(0).Add(2 * cfg.FailureTimeout)
	before := s.Snapshot()
	for _, c := range calls {
		require.False(t, before.Over(&c), "%v", c.Kind)
		require.False(t, s.Outcomes(&c, late, nil)[0].After.Equal(before), "%v", c.Kind)
		s.Restore(before)
	}
	_, err = h.RegisterNode(context.Background(), "n", registry.NodeInfo{}, registry.Supersede)
	require.NoError(t, err)
	after := s.Snapshot()
	for _, c := range calls {
		require.True(t, after.Over(&c), "%v", c.Kind)
		for _, o := range s.Outcomes(&c, late, nil) {
			require.True(t, o.After.Equal(after), "%v", c.Kind)
		}
		s.Restore(after)
	}
}
