//go:build fdb && fdbsim

package fdbimpl

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/internal/audit"
)

// A registry of many actors works as one of few does: one node holds them all, lists
// them in pages, renews them in batches, and verify reads every key. FDBIMPL_ACTORS
// says how many; a million takes minutes.
func TestManyActors(t *testing.T) {
	actors := 2500 // three pages of a listing, and 25 batches
	if n, err := strconv.Atoi(os.Getenv("FDBIMPL_ACTORS")); err == nil {
		actors = n
	}
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.NewManualClock(epochStart), Options{Prefix: d.Prefix})
	require.NoError(t, err)
	n, err := r.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	began := time.Now()
	step := func(what string) {
		t.Logf("%d actors %s in %v", actors, what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	leases := make([]registry.Lease, actors)
	for i := range leases {
		leases[i], err = r.Claim(t.Context(), registry.ActorID{Namespace: "many", Name: fmt.Sprintf("%07d", i)}, n.Ref, registry.NewClaimID())
		require.NoError(t, err)
	}
	step("claimed")
	for _, renewal := range r.RenewBatch(t.Context(), leases) {
		require.NoError(t, renewal.Err)
	}
	step("renewed in batches")
	listed := 0
	for page := (registry.Page{Limit: registry.MaxPageLimit}); ; {
		rows, next, err := r.ListActors(t.Context(), n.Ref, page)
		require.NoError(t, err)
		for _, p := range rows {
			require.Equal(t, leases[listed].Actor, p.Actor)
			require.EqualValues(t, 2, p.Version)
			listed++
		}
		if page.After = next; next == "" {
			break
		}
	}
	require.Equal(t, actors, listed)
	step("listed")
	i, err := NewInspector(d.Database, Options{Prefix: d.Prefix})
	require.NoError(t, err)
	seen := 0
	require.NoError(t, i.Verify(t.Context(), func(f audit.Finding) { t.Error(f) }, func(n int) { seen = n }))
	require.Equal(t, 1+2*actors, seen)
	step("verified")
}
