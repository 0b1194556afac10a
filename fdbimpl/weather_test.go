//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
)

// What a cluster does to its clients as a whole, under the load of several: whatever
// it is, no answer is untrue (contract, section 3, rules 23 and 24), no token is
// granted twice (section 4, rule 3), nothing in the store contradicts another part of
// it, and when it is over, everything works.
func TestWeather(t *testing.T) {
	for name, w := range map[string]struct {
		faults fdbsim.Faults
		during func(c *fdbsim.Cluster, stop <-chan struct{})
	}{
		"the version of the cluster changes": {faults: fdbsim.Faults{VersionLands: 0.1, VersionLost: 0.1, MaxDelay: 20 * time.Millisecond}},
		"version recovery":                   {faults: fdbsim.Faults{Recovery: 0.1, Delay: 0.1}},
		"a slow disk":                        {faults: fdbsim.Faults{Delay: 0.5, MaxDelay: 40 * time.Millisecond, ProcessBehind: 0.05}},
		"a partition": {during: repeated(func(c *fdbsim.Cluster, on bool) {
			if on {
				c.Pause()
			} else {
				c.Resume()
			}
		})},
		"a locked database": {during: repeated((*fdbsim.Cluster).SetLocked)},
		"kills": {during: repeated(func(c *fdbsim.Cluster, on bool) {
			if on {
				c.Kill()
			} else {
				c.Restart()
			}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := testdb.OpenSim(fdbsim.Config{Seed: 1, Proxies: 3})
			require.NoError(t, err)
			t.Cleanup(func() { d.Close() })
			opts := Options{Prefix: d.Prefix, MaxBackoff: time.Millisecond, TransactionTimeout: 50 * time.Millisecond}
			r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), opts)
			require.NoError(t, err)
			d.Cluster.SetFaults(w.faults)
			stop := make(chan struct{})
			var weather, clients sync.WaitGroup
			if w.during != nil {
				weather.Go(func() { w.during(d.Cluster, stop) })
			}
			var load load
			for c := range 4 {
				clients.Go(func() { load.run(t, r, registry.NodeID(fmt.Sprintf("n%d", c))) })
			}
			clients.Wait()
			close(stop)
			weather.Wait()
			d.Cluster.SetFaults(fdbsim.Faults{})
			t.Logf("%d granted, %d failed", load.granted, load.failed)

			calm := Options{Prefix: d.Prefix}
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
		})
	}
}

// repeated turns a trouble on and off until stop, and leaves it off.
func repeated(set func(c *fdbsim.Cluster, on bool)) func(*fdbsim.Cluster, <-chan struct{}) {
	return func(c *fdbsim.Cluster, stop <-chan struct{}) {
		defer set(c, false)
		for on := true; ; on = !on {
			set(c, on)
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
}

// load is what clients do, and what they were told.
type load struct {
	mu              sync.Mutex
	granted, failed int
	tokens          map[string]registry.NodeRef // who was granted an actor's token
}

// run claims and releases actors that others claim too.
func (l *load) run(t *testing.T, r *Registry, id registry.NodeID) {
	ctx := context.Background()
	node := registry.NodeRef{ID: id, Epoch: 1}
	for n := 0; n < 60; n++ {
		if _, err := r.RegisterNode(ctx, id, registry.NodeInfo{Instance: registry.InstanceID{1}}, registry.IfAbsent); l.fine(t, err) {
			break
		}
	}
	for n := range 60 {
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
