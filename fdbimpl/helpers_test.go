//go:build fdb

package fdbimpl

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/internal/audit"
)

// epochStart is where the clocks of the tests begin.
const epochStart = registry.Instant(1_000_000_000_000)

// at is a reading d after the beginning.
func at(d time.Duration) registry.Instant { return epochStart.Add(d) }

// store is an empty registry's place for one test, in the stand-in or on a cluster.
type store struct {
	db   fdb.Database
	opts Options
	cfg  registry.Config
}

func newStore(t testing.TB) store {
	t.Helper()
	d, err := testdb.Open("")
	if errors.Is(err, testdb.ErrNoCluster) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return storeOn(t, d)
}

func storeOn(t testing.TB, d *testdb.DB) store {
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return store{db: d.Database, opts: Options{Prefix: d.Prefix}, cfg: registry.DefaultConfig()}
}

// open returns a handle that does not sleep between attempts.
func (s store) open(t testing.TB, clock registry.Clock) *Registry {
	t.Helper()
	r, err := Open(t.Context(), s.db, s.cfg, clock, s.opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	r.sleep = noSleep
	return r
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func actorID(name string) registry.ActorID { return registry.ActorID{Namespace: "test", Name: name} }

func claimID(n byte) registry.ClaimID { return registry.ClaimID{15: n} }

// register registers a node and returns its incarnation.
func register(t testing.TB, r *Registry, id registry.NodeID) registry.NodeRef {
	t.Helper()
	n, err := r.RegisterNode(t.Context(), id, registry.NodeInfo{Address: string(id) + ":1"}, registry.Supersede)
	require.NoError(t, err)
	return n.Ref
}

func mustClaim(t testing.TB, r *Registry, name string, node registry.NodeRef) registry.Lease {
	t.Helper()
	l, err := r.Claim(t.Context(), actorID(name), node, registry.NewClaimID())
	require.NoError(t, err)
	return l
}

// hookClock runs what stands first in hooks at each reading: after the reads of an
// attempt and before its commit, where only another client's operation fits.
type hookClock struct {
	now   registry.Instant
	hooks []func()
	reads int
}

func (c *hookClock) Now() registry.Instant {
	c.reads++
	if len(c.hooks) > 0 {
		hook := c.hooks[0]
		c.hooks = c.hooks[1:]
		hook()
	}
	return c.now
}

// then adds what happens during one more attempt, and forgets the readings so far.
func (c *hookClock) then(hook func()) {
	c.hooks = append(c.hooks, hook)
	c.reads = 0
}

func nodeID(n int) registry.NodeID { return registry.NodeID(fmt.Sprintf("node-%03d", n)) }

// verified returns the kinds of damage that an inspector finds, and how much it looked at.
func verified(t *testing.T, i *Inspector) (kinds []audit.Kind, seen int) {
	require.NoError(t, i.Verify(t.Context(), func(f audit.Finding) { kinds = append(kinds, f.Kind) }, func(n int) { seen = n }))
	return kinds, seen
}
