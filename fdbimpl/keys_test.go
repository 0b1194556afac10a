//go:build fdb

package fdbimpl

import (
	"math"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

// The keys are those of the tuple layer, whatever the names.
func TestKeysAreTuples(t *testing.T) {
	root := subspace.Sub("p", 7)
	k := newKeys(root)
	check := func(t require.TestingT, ns, name, id string, epoch uint64) {
		a, n := registry.ActorID{Namespace: ns, Name: name}, registry.NodeRef{ID: registry.NodeID(id), Epoch: registry.Epoch(epoch)}
		pack := func(elements ...tuple.TupleElement) fdb.Key { return root.Pack(elements) }
		r, m := k.record(a), k.node(n.ID)
		tenure, term, standing, seen := r.tenure, r.term, m.standing, m.seen
		require.Equal(t, pack("a", ns, name, "t"), tenure)
		require.Equal(t, pack("a", ns, name, "l"), term)
		require.Equal(t, pack("n", id, "s"), standing)
		require.Equal(t, pack("n", id, "t"), seen)
		require.Equal(t, pack("h", id, epoch, ns, name), k.heldRow(n, a))
		require.Equal(t, pack("a", ns, name, "t"), append(tenure[:len(tenure):len(tenure)], term...)[:len(tenure)], "apart")
	}
	for _, epoch := range []uint64{0, 1, 255, 256, 1 << 31, math.MaxInt64, math.MaxUint64} {
		check(t, "", "a\x00b", "\x00", epoch)
	}
	for part := range floorShards {
		require.Equal(t, root.Pack(tuple.Tuple{"f", int64(part)}), k.floor(byte(part)))
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.String().Draw(t, "namespace"), rapid.String().Draw(t, "name"), rapid.String().Draw(t, "id"), rapid.Uint64().Draw(t, "epoch"))
	})
}
