//go:build fdb && fdbsim

package infdb

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// The registry and the state of a store in FoundationDB are there for the next process,
// and a refused change stores nothing, whatever became of a commit.
func TestStoreInFoundationDB(t *testing.T) {
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	b := newDatabase(d.Database, "host")
	h, err := b.Registry(registry.DefaultConfig(), registry.SystemClock())
	require.NoError(t, err)
	n, err := h.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	_, err = h.Claim(t.Context(), registry.ActorID{Namespace: "ns", Name: "a"}, n.Ref, registry.NewClaimID())
	require.NoError(t, err)
	append1 := func(stored []byte) ([]byte, error) { return append(stored, '1'), nil }
	require.NoError(t, b.Update("a", append1))
	require.NoError(t, b.Update("a", append1))
	refused := errors.New("refused")
	require.ErrorIs(t, b.Update("a", func([]byte) ([]byte, error) { return nil, refused }), refused)

	again := newDatabase(d.Database, "host")
	require.NoError(t, again.Update("a", func(stored []byte) ([]byte, error) {
		assert.Equal(t, "11", string(stored))
		return stored, nil
	}))
	require.NoError(t, again.Update("b", func(stored []byte) ([]byte, error) {
		assert.Nil(t, stored)
		return nil, nil
	}))
	h, err = again.Registry(registry.DefaultConfig(), registry.SystemClock())
	require.NoError(t, err)
	p, found, err := h.Lookup(t.Context(), registry.ActorID{Namespace: "ns", Name: "a"})
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, n.Ref, p.Holder)
}
