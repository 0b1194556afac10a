//go:build fdb && fdbsim

package fdbimpl

import (
	"fmt"
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

func verified(t *testing.T, i *Inspector) (kinds []audit.Kind, seen int) {
	require.NoError(t, i.Verify(t.Context(), func(f audit.Finding) { kinds = append(kinds, f.Kind) }, func(n int) { seen = n }))
	return kinds, seen
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
