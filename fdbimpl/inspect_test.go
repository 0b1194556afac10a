//go:build fdb && fdbsim

package fdbimpl

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/internal/audit"
)

// inspecting is a registry with two nodes and actors that each holds, and the
// inspector of it.
func inspecting(t *testing.T) (*testdb.DB, *Registry, *Inspector) {
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), Options{Prefix: d.Prefix})
	require.NoError(t, err)
	for _, id := range []registry.NodeID{"n1", "n2"} {
		n, err := r.RegisterNode(t.Context(), id, registry.NodeInfo{}, registry.IfAbsent)
		require.NoError(t, err)
		for i := range 3 {
			_, err := r.Claim(t.Context(), registry.ActorID{Namespace: string(id), Name: fmt.Sprint(i)}, n.Ref, registry.NewClaimID())
			require.NoError(t, err)
		}
	}
	i, err := NewInspector(d.Database, Options{Prefix: d.Prefix})
	require.NoError(t, err)
	return d, r, i
}

// Each kind of damage is found, as what it is, and nothing else is.
func TestVerifyFindsDamage(t *testing.T) {
	a := registry.ActorID{Namespace: "n1", Name: "1"}
	n1 := registry.NodeRef{ID: "n1", Epoch: 1}
	of := func(do func(tr fdb.Transaction, k keys, tenure tenure, term term)) func(*testing.T, *testdb.DB, keys) {
		return func(t *testing.T, d *testdb.DB, k keys) {
			_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) {
				v, err := decodeTenure(tr.Get(k.tenure(a)).MustGet())
				require.NoError(t, err)
				l, err := decodeTerm(tr.Get(k.term(a)).MustGet())
				require.NoError(t, err)
				do(tr, k, v, l)
				return nil, nil
			})
			require.NoError(t, err)
		}
	}
	for name, c := range map[string]struct {
		plant func(*testing.T, *testdb.DB, keys)
		want  []audit.Kind
	}{
		"nothing": {of(func(fdb.Transaction, keys, tenure, term) {}), nil},
		"a row is missing": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Clear(k.heldRow(n1, a))
		}), []audit.Kind{audit.NotIndexed}},
		"a row is in another's list": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			tr.Set(k.heldRow(registry.NodeRef{ID: "n2", Epoch: 1}, a), held{v.token, v.claimID, l.version, l.expiry}.encode())
		}), []audit.Kind{audit.WronglyIndexed}},
		"a row of an actor that was never claimed": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			tr.Set(k.heldRow(n1, registry.ActorID{Namespace: "x", Name: "y"}), held{v.token, v.claimID, l.version, l.expiry}.encode())
		}), []audit.Kind{audit.WronglyIndexed}},
		"a row is of an earlier version": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			l.version++
			tr.Set(k.term(a), l.encode())
		}), []audit.Kind{audit.StaleIndex}},
		"a token above its version": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			v.token = 7
			tr.Set(k.tenure(a), v.encode())
			tr.Set(k.heldRow(n1, a), held{v.token, v.claimID, l.version, l.expiry}.encode())
		}), []audit.Kind{audit.Tokens}},
		"a first tenure without a claim": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			v.claimID = registry.ClaimID{}
			tr.Set(k.tenure(a), v.encode())
			tr.Set(k.heldRow(n1, a), held{v.token, v.claimID, l.version, l.expiry}.encode())
		}), []audit.Kind{audit.Tokens}},
		"a holder of an epoch that never was": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			tr.Clear(k.heldRow(n1, a))
			v.holder.Epoch = 5
			tr.Set(k.tenure(a), v.encode())
			tr.Set(k.heldRow(v.holder, a), held{v.token, v.claimID, l.version, l.expiry}.encode())
		}), []audit.Kind{audit.NeverRegistered}},
		"a record without its lease": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Clear(k.term(a))
		}), []audit.Kind{audit.HalfMissing}},
		"a node without its last-seen time": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Clear(k.seen("n1"))
		}), []audit.Kind{audit.HalfMissing}},
		"a value of another program": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Set(k.tenure(a), []byte("hello"))
		}), []audit.Kind{audit.Unreadable}},
		"an unreadable row": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Set(k.heldRow(n1, a), []byte("hello"))
		}), []audit.Kind{audit.Unreadable}},
		"no configuration": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Clear(k.cluster)
		}), []audit.Kind{audit.HalfMissing}},
		"a configuration of another schema": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Set(k.cluster, []byte{valueFormat, 0, 0, 0, 0, 0, 0, 0, 99})
		}), []audit.Kind{audit.Unreadable}},
		"an epoch that goes back": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			row := held{v.token, v.claimID, l.version, l.expiry}.encode()
			tr.Clear(k.heldRow(n1, a)) // n1 was registered again, claimed the actor, and lost the second epoch
			v.holder.Epoch = 2
			tr.Set(k.tenure(a), v.encode())
			tr.Set(k.heldRow(v.holder, a), row)
			tr.Set(k.standing("n1"), standing{stamp: stamp{rev: 2}, epoch: 1, status: registry.NodeActive}.encode())
		}), []audit.Kind{audit.NeverRegistered}},
		"a record of a released actor in a list": {of(func(tr fdb.Transaction, k keys, v tenure, l term) {
			v.holder = registry.NodeRef{}
			tr.Set(k.tenure(a), v.encode())
		}), []audit.Kind{audit.WronglyIndexed}},
		"a floor without a token": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			forgetsNow(tr, k, registry.Floor{Version: 3})
		}), []audit.Kind{audit.Unreadable}},
		"a floor whose token is above its version": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			forgetsNow(tr, k, registry.Floor{Token: 4, Version: 3})
		}), []audit.Kind{audit.Unreadable}},
		"a floor that no schema has": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			forgetsNow(tr, k, registry.Floor{Token: 3, Version: 3})
			tr.Set(append(fdb.Key(k.floors.Bytes()), 0x16, 1, 0), floorValue{stamp: stamp{rev: 1}, Floor: registry.Floor{Token: 1, Version: 1}}.encode())
		}), []audit.Kind{audit.Foreign}},
		"floors in a store of a schema without": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			cluster := tr.Get(k.cluster).MustGet()
			forgetsNow(tr, k, registry.Floor{Token: 3, Version: 3})
			tr.Set(k.cluster, cluster)
		}), []audit.Kind{audit.HalfMissing}},
		"a healthy floor": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			forgetsNow(tr, k, registry.Floor{Token: 3, Version: 3})
		}), nil},
		"foreign keys everywhere": {of(func(tr fdb.Transaction, k keys, _ tenure, _ term) {
			tr.Set(k.actors.Pack(tuple.Tuple{"n1", "1", "x"}), nil)
			tr.Set(k.actors.Pack(tuple.Tuple{"n1", 1}), nil)
			tr.Set(k.nodes.Pack(tuple.Tuple{"n1"}), nil)
			tr.Set(k.held.Pack(tuple.Tuple{"n1", "1", "ns", "a"}), nil)
			tr.Set(append(k.cluster, 0), nil)
			tr.Set(append(fdb.Key(k.actors.Bytes()), 0xfe), nil)
		}), []audit.Kind{audit.Foreign, audit.Foreign, audit.Foreign, audit.Foreign, audit.Foreign, audit.Foreign}},
	} {
		t.Run(name, func(t *testing.T) {
			d, r, i := inspecting(t)
			c.plant(t, d, r.keys)
			kinds, seen := verified(t, i)
			require.Equal(t, c.want, kinds)
			require.GreaterOrEqual(t, seen, 2+6+5)
		})
	}
}

// forgetsNow makes the store one that forgets, with the floor of one part.
func forgetsNow(tr fdb.Transaction, k keys, f registry.Floor) {
	cluster, _ := withFloors(tr.Get(k.cluster).MustGet())
	tr.Set(k.cluster, cluster)
	tr.Set(k.floor(7), floorValue{stamp: stamp{rev: 1}, Floor: f}.encode())
}

// A value of any kind that was cut off anywhere, or that has a byte more, is found, once.
func TestVerifyFindsTruncatedValues(t *testing.T) {
	d, r, i := inspecting(t)
	a := registry.ActorID{Namespace: "n1", Name: "1"}
	at := map[string]fdb.Key{
		"cluster": r.keys.cluster, "tenure": r.keys.tenure(a), "lease": r.keys.term(a),
		"row":      r.keys.heldRow(registry.NodeRef{ID: "n1", Epoch: 1}, a),
		"standing": r.keys.standing("n1"), "seen": r.keys.seen("n1"), "floor": r.keys.floor(7),
	}
	set := func(key fdb.Key, value []byte) {
		_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) { tr.Set(key, value); return nil, nil })
		require.NoError(t, err)
	}
	_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) {
		forgetsNow(tr, r.keys, registry.Floor{Token: 3, Version: 3})
		return nil, nil
	})
	require.NoError(t, err)
	for name, key := range at {
		stored, err := d.Database.ReadTransact(func(tr fdb.ReadTransaction) (any, error) { return tr.Get(key).Get() })
		require.NoError(t, err)
		whole := stored.([]byte)
		require.NotEmpty(t, whole, name)
		for n := range len(whole) {
			set(key, whole[:n])
			kinds, _ := verified(t, i)
			require.Equal(t, []audit.Kind{audit.Unreadable}, kinds, "%s, %d of %d bytes", name, n, len(whole))
		}
		set(key, append(slices.Clone(whole), 0))
		kinds, _ := verified(t, i)
		require.Equal(t, []audit.Kind{audit.Unreadable}, kinds, "%s, a byte more", name)
		set(key, whole)
	}
	kinds, _ := verified(t, i)
	require.Empty(t, kinds)
}

// Pages are cut between actors and between nodes, wherever the limit falls.
func TestInspectorPages(t *testing.T) {
	_, r, i := inspecting(t)
	n1 := registry.NodeRef{ID: "n1", Epoch: 1}
	for n := range inspectKeys {
		_, err := r.Claim(t.Context(), registry.ActorID{Namespace: "many", Name: fmt.Sprintf("%04d", n)}, n1, registry.NewClaimID())
		require.NoError(t, err)
	}
	kinds, seen := verified(t, i)
	require.Empty(t, kinds)
	require.Equal(t, 2+2*(6+inspectKeys), seen)
	names := map[string]int{}
	require.NoError(t, i.Records(t.Context(), func(p registry.Placement) error { names[p.Actor.String()]++; return nil }))
	require.Len(t, names, 6+inspectKeys)
	for name, n := range names {
		require.Equal(t, 1, n, name)
	}
}
