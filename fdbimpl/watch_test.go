//go:build fdb

package fdbimpl

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

type watched struct {
	p   registry.Placement
	err error
}

// watch starts a watch and returns when it is set: the store was read and the
// future made.
func watch(t *testing.T, ctx context.Context, r *Registry, actor registry.ActorID, seen registry.Version) <-chan watched {
	t.Helper()
	done := make(chan watched, 1)
	go func() {
		p, err := r.Watch(ctx, actor, seen)
		done <- watched{p, err}
	}()
	return done
}

func TestWatch(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)

	got, err := p.mine.Watch(t.Context(), lease.Actor, 0)
	require.NoError(t, err)
	assert.Equal(t, registry.Placement(lease), got, "at once, when the version differs already")

	changed := watch(t, t.Context(), p.mine, lease.Actor, lease.Version)
	renewed, err := p.other.Renew(t.Context(), lease)
	require.NoError(t, err)
	w := <-changed
	require.NoError(t, w.err)
	assert.Equal(t, registry.Placement(renewed), w.p)

	born := watch(t, t.Context(), p.mine, actorID("unborn"), 0)
	first := mustClaim(t, p.other, "unborn", p.rival)
	w = <-born
	require.NoError(t, w.err)
	assert.Equal(t, registry.Placement(first), w.p)
}

func TestWatchEndsWithItsContextAndItsHandle(t *testing.T) {
	p := newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := watch(t, ctx, p.mine, actorID("x"), 0)
	cancel()
	assert.ErrorIs(t, (<-w).err, context.Canceled)

	w = watch(t, t.Context(), p.mine, actorID("x"), 0)
	require.NoError(t, p.mine.Close())
	assert.ErrorIs(t, (<-w).err, registry.ErrClosed)
}
