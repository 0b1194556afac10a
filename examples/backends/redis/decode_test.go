package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// TestDamagedFieldsAreErrors: a number or a status that is not as the scripts write
// it is an error, never a token, an epoch or an expiry of 0.
func TestDamagedFieldsAreErrors(t *testing.T) {
	actor := registry.ActorID{Namespace: "a", Name: "1"}
	record := func() []any {
		return []any{"n1", "1", "7", "9", number(1 << 63), strings.Repeat("c", 16)}
	}
	p, err := placement(actor, record())
	require.NoError(t, err)
	require.Equal(t, registry.NodeRef{ID: "n1", Epoch: 1}, p.Holder)
	require.Equal(t, registry.Token(7), p.Token)
	for _, field := range []int{1, 2, 3, 4} {
		for _, damaged := range []any{"", "x", "-1", "1e3", "7 ", "99999999999999999999999"} {
			fields := record()
			fields[field] = damaged
			_, err := placement(actor, fields)
			require.ErrorIs(t, err, registry.ErrUnavailable, "field %d: %q", field, damaged)
		}
	}
	node := func() []any { return []any{"3", "address", "active", number(1 << 63)} }
	n, err := registration("n1", node())
	require.NoError(t, err)
	require.Equal(t, registry.Epoch(3), n.Ref.Epoch)
	for _, field := range []int{0, 2, 3} {
		fields := node()
		fields[field] = "x"
		_, err := registration("n1", fields)
		require.ErrorIs(t, err, registry.ErrUnavailable, "field %d", field)
	}
}
