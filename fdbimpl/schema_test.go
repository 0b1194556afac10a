//go:build fdb && fdbsim

package fdbimpl

import (
	"encoding/binary"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// everything is all keys and values below a prefix.
func everything(t *testing.T, d *testdb.DB, k keys) []fdb.KeyValue {
	kvs, err := d.Database.ReadTransact(func(tr fdb.ReadTransaction) (any, error) {
		return tr.GetRange(k.root, fdb.RangeOptions{}).GetSliceWithError()
	})
	require.NoError(t, err)
	return kvs.([]fdb.KeyValue)
}

// An older program does not open what a newer one made, says why, and changes nothing.
func TestOldProgramRefusesNewSchema(t *testing.T) {
	d, r, i := inspecting(t)
	newer := encodeCluster(registry.DefaultConfig())
	binary.BigEndian.PutUint64(newer[1:], schemaFloors+1)
	newer = append(newer, "and what this program does not know"...)
	_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) { tr.Set(r.keys.cluster, newer); return nil, nil })
	require.NoError(t, err)
	before := everything(t, d, r.keys)
	_, err = Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), Options{Prefix: d.Prefix})
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorContains(t, err, "schema version is 3, this program knows 1 to 2")
	_, found, err := i.Config(t.Context())
	require.True(t, found)
	require.ErrorContains(t, err, "schema version is 3, this program knows 1 to 2")
	require.Equal(t, before, everything(t, d, r.keys))
}

// A newer program reads the values that an older one wrote, of nodes without an
// instance, and writes its own form when it next changes them; what it has not
// changed stays as the older one can read it.
func TestNewProgramMigratesOldValues(t *testing.T) {
	d, r, i := inspecting(t)
	format := func(id registry.NodeID) byte {
		v, err := d.Database.ReadTransact(func(tr fdb.ReadTransaction) (any, error) { return tr.Get(r.keys.standing(id)).Get() })
		require.NoError(t, err)
		return v.([]byte)[0]
	}
	require.EqualValues(t, valueFormat, format("n1"), "as every program so far wrote it")
	n, err := r.RegisterNode(t.Context(), "n1", registry.NodeInfo{Instance: registry.InstanceID{1}}, registry.Supersede)
	require.NoError(t, err)
	require.EqualValues(t, 2, n.Ref.Epoch, "epochs go on")
	require.EqualValues(t, standingFormat, format("n1"))
	require.EqualValues(t, valueFormat, format("n2"))
	again, err := r.RegisterNode(t.Context(), "n1", registry.NodeInfo{Instance: registry.InstanceID{1}}, registry.IfAbsent)
	require.NoError(t, err)
	require.Equal(t, n.Ref, again.Ref)
	kinds, _ := verified(t, i)
	require.Empty(t, kinds)
}
