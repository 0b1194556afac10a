//go:build fdb && fdbsim

package fdbimpl

import (
	"fmt"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// forgetting is a handle that may forget, one second after a claim could be granted.
func forgetting(t *testing.T) (store, *Registry, *registry.ManualClock, registry.NodeRef) {
	t.Helper()
	s := newStore(t)
	clock := registry.NewManualClock(at(0))
	r := s.open(t, clock)
	r.opts.Forgets, r.opts.Retention = true, time.Second
	require.NoError(t, r.checkCluster(t.Context()))
	return s, r, clock, register(t, r, "n1")
}

func due(r *Registry, l registry.Lease) registry.Instant {
	return l.Expiry.Add(r.cfg.Grace).Add(2 * r.cfg.MaxClockSkew).Add(r.opts.Retention)
}

func purgeNow(t *testing.T, r *Registry) int {
	t.Helper()
	n, err := r.Purge(t.Context())
	require.NoError(t, err)
	return n
}

// keysOf is all keys of the registry.
func keysOf(t *testing.T, r *Registry) []fdb.KeyValue {
	t.Helper()
	kvs, err := r.db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) {
		return tr.GetRange(r.keys.root, fdb.RangeOptions{}).GetSliceWithError()
	})
	require.NoError(t, err)
	return kvs.([]fdb.KeyValue)
}

// What is forgotten leaves no key; what comes late of it is refused; the next tenure
// starts above.
func TestForgottenTenureIsRefused(t *testing.T) {
	s, r, clock, n := forgetting(t)
	before := len(keysOf(t, r))
	l := mustClaim(t, r, "x", n)
	l, err := r.Renew(t.Context(), l)
	require.NoError(t, err)
	require.NoError(t, r.Release(t.Context(), l))
	clock.Set(due(r, l) - 1)
	require.Zero(t, purgeNow(t, r))
	clock.Set(due(r, l))
	require.Equal(t, 1, purgeNow(t, r))
	require.Zero(t, purgeNow(t, r))
	require.Len(t, keysOf(t, r), before+1, "the floor alone is left")

	late := func(want error) {
		t.Helper()
		_, err := r.Renew(t.Context(), l)
		assert.ErrorIs(t, err, want)
		assert.ErrorIs(t, r.Release(t.Context(), l), want)
		assert.ErrorIs(t, r.Validate(t.Context(), l.Actor, l.Token), want)
		_, err = s.db.Transact(func(tr fdb.Transaction) (any, error) { return nil, r.Guard(tr, l) })
		assert.ErrorIs(t, err, want)
	}
	late(registry.ErrNotHeld)
	again := mustClaim(t, r, "x", n)
	require.EqualValues(t, 2, again.Token)
	require.EqualValues(t, 4, again.Version)
	late(registry.ErrFenced)
}

// A record that names an active node stays; its rows go with it once the node is gone.
func TestActiveHolderIsNotForgotten(t *testing.T) {
	_, r, clock, n := forgetting(t)
	l := mustClaim(t, r, "x", n)
	clock.Set(due(r, l))
	require.Zero(t, purgeNow(t, r))
	require.NoError(t, r.DeregisterNode(t.Context(), n))
	require.Equal(t, 1, purgeNow(t, r))
	rows, _, err := r.ListActors(t.Context(), n, registry.Page{})
	require.NoError(t, err)
	require.Empty(t, rows)
}

// More records of one part than a transaction takes, and of many parts: all go, and the
// floor is as high as the highest of them.
func TestPurgeInParts(t *testing.T) {
	_, r, clock, n := forgetting(t)
	const records = 3 * purgeSize
	var l registry.Lease
	for i := range records {
		l = mustClaim(t, r, fmt.Sprint("x", i), n)
		require.NoError(t, r.Release(t.Context(), l))
	}
	clock.Set(due(r, l))
	require.Equal(t, records, purgeNow(t, r))
	floor, err := (&Inspector{r: r}).Floor(t.Context())
	require.NoError(t, err)
	require.Equal(t, registry.Floor{Token: 1, Version: 2}, floor)
}

// Between the decision of a purge and its commit somebody else comes first: the purge
// decides anew, and leaves what is in use.
func TestPurgeConflicts(t *testing.T) {
	for name, meanwhile := range map[string]func(*Registry, registry.Lease, registry.NodeRef) error{
		"a claim": func(r *Registry, l registry.Lease, n registry.NodeRef) error {
			_, err := r.Claim(t.Context(), l.Actor, n, claimID(9))
			return err
		},
		"another purge, and a claim": func(r *Registry, l registry.Lease, n registry.NodeRef) error {
			if _, err := r.Purge(t.Context()); err != nil {
				return err
			}
			_, err := r.Claim(t.Context(), l.Actor, n, claimID(9))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r, clock, n := forgetting(t)
			l := mustClaim(t, r, "x", n)
			require.NoError(t, r.Release(t.Context(), l))
			clock.Set(due(r, l))
			hooked := &hookClock{now: due(r, l)}
			p := s.open(t, hooked)
			p.opts.Forgets, p.opts.Retention = true, time.Second
			hooked.then(func() {}) // the scan's reading
			hooked.then(func() { require.NoError(t, meanwhile(r, l, n)) })
			require.Zero(t, purgeNow(t, p))
			rec, found, err := r.Lookup(t.Context(), l.Actor)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, n, rec.Holder)
			require.Greater(t, rec.Token, l.Token)
		})
	}
}

// A claim that started above a floor and of which nobody knows the outcome: applied by
// its mark; not applied while the floor stands and there is no record; not to be told
// once the floor has moved, for then it may have been applied and purged.
func TestEvidenceOfClaimAboveFloor(t *testing.T) {
	_, r, clock, n := forgetting(t)
	l := mustClaim(t, r, "x", n)
	key := r.keys.term(l.Actor)
	w := func(base uint64) written {
		return written{key: key, base: base, stamp: stampOfTerm, floor: r.keys.floor(floorOf(l.Actor))}
	}
	says := func(base uint64) verdict {
		a, err := r.begin(t.Context(), "test", time.Second)
		require.NoError(t, err)
		a.writes = []written{w(base)}
		v, _, err := a.evidence(a.tr)
		require.NoError(t, err)
		return v
	}
	require.Equal(t, refuted, says(0), "somebody else's claim")
	require.NoError(t, r.Release(t.Context(), l))
	require.Equal(t, overtaken, says(0))
	clock.Set(due(r, l))
	require.Equal(t, 1, purgeNow(t, r))
	require.Equal(t, overtaken, says(0), "the floor has moved: it may have been applied, and purged")
	require.Equal(t, overtaken, says(1), "one more than the base is no proof where there is no record")
	require.Equal(t, untouched, says(2))
	mustClaim(t, r, "x", n)
	require.Equal(t, refuted, says(2))
	require.Equal(t, overtaken, says(0), "the record is of a claim after a purge: an earlier one may have been purged")
	require.Equal(t, overtaken, says(1), "no record of a claim that started above 1 is left")
}

// A store that forgets is not opened by a program that does not know of floors, and one
// that does not forget itself knows the floor.
func TestFloorIsKnownToAll(t *testing.T) {
	s, r, clock, n := forgetting(t)
	l := mustClaim(t, r, "x", n)
	require.NoError(t, r.Release(t.Context(), l))
	clock.Set(due(r, l))
	require.Equal(t, 1, purgeNow(t, r))
	other := s.open(t, clock)
	_, err := other.Purge(t.Context())
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.EqualValues(t, 2, mustClaim(t, other, "x", n).Token)
	v, err := s.db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) { return tr.Get(r.keys.cluster).Get() })
	require.NoError(t, err)
	require.EqualValues(t, schemaFloors, v.([]byte)[8])
}
