package remote_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// numbered is a lock whose child needs the old version and expiry of a lease.
type numbered struct{ seen chan op.Call }

var spoken = dialect.Dialect{SparseTokens: true, NoMembership: true, NoTransfer: true, NoListing: true}

func (numbered) Name() string             { return "numbered" }
func (numbered) Dialect() dialect.Dialect { return spoken }
func (b numbered) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	if err != nil {
		return nil, err
	}
	return numberedCluster{b, s.In(spoken)}, nil
}

type numberedCluster struct {
	numbered
	*reference.Store
}

func (c numberedCluster) Close() error { return nil }
func (c numberedCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Store.Open(cfg, clock)
	return recorded{h, c.seen}, err
}

type recorded struct {
	registry.Handle
	seen chan op.Call
}

func (h recorded) Release(ctx context.Context, l registry.Lease) error {
	h.seen <- op.OnLease(op.Release, l)
	return h.Handle.Release(ctx, l)
}

// A child declares its dialect in its greeting. It is not asked for what the dialect
// does not have, and is told the lease as it was last told to its holder.
func TestAChildSpeaksADialect(t *testing.T) {
	seen := make(chan op.Call, 1)
	toChild, requests := io.Pipe()
	responses, fromChild := io.Pipe()
	go func() { _ = remote.Serve(t.Context(), toChild, fromChild, numbered{seen}) }()
	p, err := remote.Connect(responses, requests, requests.Close)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	require.Equal(t, spoken, p.Dialect())
	cfg := registry.DefaultConfig()
	c, err := p.New(cfg)
	require.NoError(t, err)
	h, err := c.Open(cfg, registry.NewManualClock(5))
	require.NoError(t, err)
	a, n := registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	l, err := h.Claim(t.Context(), a, n, registry.ClaimID{1})
	require.NoError(t, err)
	require.NoError(t, h.Release(t.Context(), l))
	assert.Equal(t, op.OnLease(op.Release, l), <-seen, "with its version, expiry and claim id")
	_, err = h.Transfer(t.Context(), l, n)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = h.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}
