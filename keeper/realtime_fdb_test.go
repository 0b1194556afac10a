//go:build fdb

package keeper

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// realCfg has leases that run out within a short test.
var realCfg = registry.Config{
	TTL: 600 * time.Millisecond, Grace: 100 * time.Millisecond, MaxClockSkew: 20 * time.Millisecond,
	FailureTimeout: 500 * time.Millisecond, AllowShortTTL: true,
}

// realTime is a simulation over fdbimpl in real time, on the stand-in or on a cluster.
// How fast the machine is decides how much happens, not what is true: it goes on until
// enough has.
func realTime(t *testing.T, enough func(simStats) int) (*simulation, *testdb.DB) {
	d, err := testdb.Open("")
	if errors.Is(err, testdb.ErrNoCluster) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	open := func(c registry.Clock, opts fdbimpl.Options) *fdbimpl.Registry {
		opts.Prefix = append(tuple.Tuple{}, append(d.Prefix, "registry")...)
		r, err := fdbimpl.Open(t.Context(), d.Database, realCfg, c, opts)
		require.NoError(t, err)
		return r
	}
	patient := fdbimpl.Options{TransactionTimeout: time.Minute} // the cluster may be just recovering
	store := open(registry.SystemClock(), patient)
	return &simulation{
		cfg: realCfg, actors: simActors, skew: realCfg.MaxClockSkew, serve: serveWhileChecked, inRealTime: true,
		rng: rand.New(rand.NewPCG(1, 0)),
		open: func(c registry.Clock) registry.Handle {
			open(c, patient)
			return open(c, fdbimpl.Options{TransactionTimeout: 200 * time.Millisecond, Attempts: 5})
		},
		guarded: func(l registry.Lease) (registry.Token, error) { return guardedWrite(d, store.Guard, l) },
		enough:  enough,
	}, d
}

// realLimit ends a simulation in which not enough happens.
const realLimit = 4 * time.Minute

// The guarantees, whatever befalls the cluster meanwhile.
func TestRealTimeOnFoundationDB(t *testing.T) {
	t.Parallel()
	s, _ := realTime(t, func(s simStats) int {
		return min(s.Grants-20, s.Crashes-2, s.Pauses-1, s.Partitions-2, s.Writes-20, s.Lost-1)
	})
	s.live(t, 3, realLimit)
	t.Logf("%v", &s.stats)
	assert.Zero(t, s.stats.Overlaps)
	assert.Zero(t, s.stats.Early)
	assert.Zero(t, s.stats.Stale)
	assert.Positive(t, s.stats.Writes)
}

// Nodes that serve without a check, and a store that does not guard its writes, break
// guarantees that the simulation looks for.
func TestRealTimeConvicts(t *testing.T) {
	t.Run("serving on", func(t *testing.T) {
		t.Parallel()
		s, _ := realTime(t, func(s simStats) int { return s.Overlaps })
		s.serve = func(*simTenure) error { return nil }
		s.live(t, 3, realLimit)
		assert.Positive(t, s.stats.Overlaps)
	})
	t.Run("no guard", func(t *testing.T) {
		t.Parallel()
		s, d := realTime(t, func(s simStats) int { return s.Stale })
		s.guarded = func(l registry.Lease) (registry.Token, error) {
			time.Sleep(rand.N(6 * realCfg.TTL)) // late often, and after a successor's write
			return guardedWrite(d, func(fdb.Transaction, registry.Lease) error { return nil }, l)
		}
		s.live(t, 3, realLimit)
		assert.Positive(t, s.stats.Stale)
	})
}

// guardedWrite writes the lease's token to the actor's state, under its tenure if guard
// sees to that, and returns the token that had written before.
func guardedWrite(d *testdb.DB, guard func(fdb.Transaction, registry.Lease) error, l registry.Lease) (registry.Token, error) {
	key := fdb.Key(append(tuple.Tuple{}, append(d.Prefix, "state", l.Actor.Name)...).Pack())
	before, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) {
		if err := guard(tr, l); err != nil {
			return nil, err
		}
		b, err := tr.Get(key).Get()
		if err != nil {
			return nil, err
		}
		tr.Set(key, tuple.Tuple{uint64(l.Token)}.Pack())
		if b == nil {
			return registry.Token(0), nil
		}
		stored, err := tuple.Unpack(b)
		if err != nil {
			return nil, err
		}
		token, _ := stored[0].(int64)
		return registry.Token(token), nil
	})
	if err != nil {
		return 0, err
	}
	return before.(registry.Token), nil
}
