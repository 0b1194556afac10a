package memtest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

// A restart brings back what was answered, in a new file; the old one is gone,
// and after Close the directory too.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	cfg := registry.DefaultConfig()
	c, err := memtest.OnFile{Dir: dir}.New(cfg)
	require.NoError(t, err)
	files := func() []string {
		found, err := filepath.Glob(dir + "/*/*")
		require.NoError(t, err)
		return found
	}
	clock := registry.NewManualClock(1e18)
	for epoch := registry.Epoch(1); epoch < 4; epoch++ {
		h, err := c.Open(cfg, clock)
		require.NoError(t, err)
		n, err := h.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.Supersede)
		require.NoError(t, err)
		assert.Equal(t, epoch, n.Ref.Epoch)
		require.NoError(t, c.(conformance.Restarter).Restart())
		_, _, err = h.GetNode(t.Context(), "n1")
		require.ErrorIs(t, err, registry.ErrClosed, "handles do not outlive their process")
		assert.Len(t, files(), 1)
	}
	require.NoError(t, c.Close())
	assert.Empty(t, files())

	_, err = memtest.OnFile{Dir: filepath.Join(dir, "none")}.New(cfg)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// losing is memimpl on a file whose restart goes back to an earlier one: the
// empty file, or what there was before the last claim.
type losing struct{ everything bool }

func (losing) Name() string { return "losing" }

func (b losing) New(cfg registry.Config) (conformance.Cluster, error) {
	dir, err := os.MkdirTemp("", "losing-")
	if err != nil {
		return nil, err
	}
	c := &losingCluster{losing: b, cfg: cfg, dir: dir, path: filepath.Join(dir, "registry")}
	c.store, err = memimpl.New(cfg, memimpl.OnFile(c.path))
	return c, err
}

type losingCluster struct {
	losing
	cfg       registry.Config
	dir, path string
	store     *memimpl.Store
	before    []byte // the last claim
}

func (c *losingCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	return losingHandle{h, c}, nil
}

func (c *losingCluster) Restart() (err error) {
	if err := c.store.Close(); err != nil {
		return err
	}
	switch {
	case c.everything:
		err = os.Remove(c.path)
	case c.before != nil:
		err = os.WriteFile(c.path, c.before, 0o600)
	}
	if err == nil {
		c.store, err = memimpl.New(c.cfg, memimpl.OnFile(c.path))
	}
	return err
}

func (c *losingCluster) Close() error {
	defer os.RemoveAll(c.dir)
	return c.store.Close()
}

type losingHandle struct {
	registry.Handle
	c *losingCluster
}

func (h losingHandle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	before, err := os.ReadFile(h.c.path)
	if err != nil {
		return registry.Lease{}, err
	}
	l, err := h.Handle.Claim(ctx, actor, node, id)
	if err == nil {
		h.c.before = before
	}
	return l, err
}

// The durable section (contract, section 4, 7) passes the file as it is and
// convicts both ways of forgetting, each with its first history.
func TestDurableSectionConvicts(t *testing.T) {
	for _, b := range []conformance.Backend{losing{everything: true}, losing{}} {
		r, err := conformance.Judge(t.Context(), b, conformance.OnlySections("durable"), conformance.Histories(20), conformance.StopAtFirst(), conformance.Parallel(1))
		require.NoError(t, err)
		require.Equal(t, conformance.Convicted, r.Cases[0].Verdict, "%+v", b)
		assert.Contains(t, []conformance.RuleID{conformance.Durability, conformance.TokenMonotonic}, r.Cases[0].Conviction.Rule)
	}
	r, err := conformance.Judge(t.Context(), memtest.OnFile{}, conformance.OnlySections("durable"), conformance.Histories(20))
	require.NoError(t, err)
	assert.True(t, r.Passed())
	for _, c := range r.Cases {
		if c.ID() != "durable/in-trouble" { // it has no faults
			assert.Equal(t, conformance.Pass, c.Verdict, c.ID())
		}
	}
}
