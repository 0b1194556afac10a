//go:build fdb

package fdbimpl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// weather is what a cluster does to all its clients.
type weather struct {
	blow   func(stop <-chan struct{}) error // until stop; leaves the cluster well
	enough <-chan struct{}                  // closed when the clients have met it often enough
}

// under runs several clients under a weather: whatever it is, no answer is untrue
// (contract, section 3, rules 23 and 24), no token is granted twice (section 4, rule 3),
// nothing in the store contradicts another part of it, and when it is over, everything
// works.
func (w weather) under(t *testing.T, d *testdb.DB, opts Options) {
	opts.Prefix = d.Prefix
	r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), opts)
	require.NoError(t, err)
	stop, blown := make(chan struct{}), make(chan error)
	go func() { blown <- w.blow(stop) }()
	var clients sync.WaitGroup
	var load load
	for c := range 4 {
		clients.Go(func() { load.run(t, r, registry.NodeID(fmt.Sprintf("n%d", c)), w.more) })
	}
	clients.Wait()
	close(stop)
	require.NoError(t, <-blown)
	t.Logf("%d granted, %d failed", load.granted, load.failed)
	assert.Positive(t, load.granted)

	calm := Options{Prefix: d.Prefix, TransactionTimeout: calmTimeout}
	after, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), calm)
	require.NoError(t, err)
	n, err := after.RegisterNode(t.Context(), "after", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	_, err = after.Claim(t.Context(), registry.ActorID{Namespace: "ns", Name: "after"}, n.Ref, registry.NewClaimID())
	require.NoError(t, err)
	i, err := NewInspector(d.Database, calm)
	require.NoError(t, err)
	kinds, _ := verified(t, i)
	require.Empty(t, kinds)
}

// calmTimeout is long enough for a cluster that has just become well.
const calmTimeout = time.Minute

// more reports whether a client goes on: for 60 rounds at least.
func (w weather) more(round int) bool {
	if round < 60 {
		return true
	}
	select {
	case <-w.enough:
		return false
	default:
		return true
	}
}

// load is what clients do, and what they were told.
type load struct {
	mu              sync.Mutex
	granted, failed int
	tokens          map[string]registry.NodeRef // who was granted an actor's token
}

// run claims and releases actors that others claim too, while more says so.
func (l *load) run(t *testing.T, r *Registry, id registry.NodeID, more func(round int) bool) {
	ctx := context.Background()
	node := registry.NodeRef{ID: id, Epoch: 1}
	for n := 0; n < 60; n++ {
		if _, err := r.RegisterNode(ctx, id, registry.NodeInfo{Instance: registry.InstanceID{1}}, registry.IfAbsent); l.fine(t, err) {
			break
		}
	}
	for n := 0; more(n); n++ {
		actor := registry.ActorID{Namespace: "ns", Name: fmt.Sprint(n % 5)}
		lease, err := r.Claim(ctx, actor, node, registry.NewClaimID())
		if !l.fine(t, err) || err != nil {
			continue
		}
		l.grant(t, lease)
		for range 20 {
			if err := r.Release(ctx, lease); l.fine(t, err) {
				break
			}
		}
	}
}

func (l *load) grant(t *testing.T, lease registry.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.granted++
	if l.tokens == nil {
		l.tokens = map[string]registry.NodeRef{}
	}
	key := fmt.Sprintf("%v %d", lease.Actor, lease.Token)
	if before, twice := l.tokens[key]; twice {
		t.Errorf("%s was granted to %v and to %v", key, before, lease.Holder)
	}
	l.tokens[key] = lease.Holder
}

// fine reports whether the registry gave an answer, be it a refusal.
func (l *load) fine(t *testing.T, err error) bool {
	var damaged *CorruptError
	if errors.As(err, &damaged) {
		t.Error(err)
	}
	if errors.Is(err, registry.ErrAmbiguous) || errors.Is(err, registry.ErrUnavailable) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed++
		return false
	}
	return true
}
