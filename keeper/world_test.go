package keeper

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// The tests run in synctest bubbles: time is virtual and exact, and no test waits.

var (
	testCfg = registry.Config{TTL: 30 * time.Second, Grace: 5 * time.Second, MaxClockSkew: 500 * time.Millisecond, FailureTimeout: 15 * time.Second}
	cart    = registry.ActorID{Namespace: "shop", Name: "cart"}
)

// world is a registry and the nodes that use it.
type world struct {
	t     *testing.T
	store *reference.Store
}

func newWorld(t *testing.T) *world {
	s, err := reference.NewStore(testCfg)
	require.NoError(t, err)
	return &world{t: t, store: s}
}

// machine is one node: a wall clock with an offset, and a connection to the
// registry that can be slow or broken.
type machine struct {
	registry.Handle
	wall *registry.SkewedClock
	ref  registry.NodeRef

	mu     sync.Mutex
	before func(op string) error // an error keeps the call from the registry
	after  func(op string) error // an error takes the place of the answer
	calls  map[string]int
}

// machine opens a handle with its own clock, and registers a node.
func (w *world) machine(id registry.NodeID, offset time.Duration) *machine {
	m := &machine{wall: registry.NewSkewedClock(registry.SystemClock(), offset), calls: map[string]int{}}
	h, err := w.store.Open(testCfg, m.wall)
	require.NoError(w.t, err)
	m.Handle = h
	n, err := h.RegisterNode(w.t.Context(), id, registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(w.t, err)
	m.ref = n.Ref
	return m
}

func (m *machine) keeper(t *testing.T, o Options) *Keeper {
	o.Clock, o.Seed = WithTimers(m.wall), 1
	k, err := New(m, testCfg, m.ref, o)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

func (m *machine) set(before, after func(op string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = before, after
}

func (m *machine) count(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

func (m *machine) gates(op string) (before, after func(string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[op]++
	return m.before, m.after
}

// through passes one call between the gates.
func through[T any](m *machine, op string, call func() (T, error)) (T, error) {
	before, after := m.gates(op)
	var none T
	if before != nil {
		if err := before(op); err != nil {
			return none, err
		}
	}
	answer, err := call()
	if after != nil {
		if gate := after(op); gate != nil {
			return none, gate
		}
	}
	return answer, err
}

func (m *machine) Claim(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return through(m, "Claim", func() (registry.Lease, error) { return m.Handle.Claim(ctx, a, n, id) })
}

func (m *machine) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	return through(m, "Renew", func() (registry.Lease, error) { return m.Handle.Renew(ctx, l) })
}

func (m *machine) Release(ctx context.Context, l registry.Lease) error {
	_, err := through(m, "Release", func() (struct{}, error) { return struct{}{}, m.Handle.Release(ctx, l) })
	return err
}

func (m *machine) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	return through(m, "Transfer", func() (registry.Lease, error) { return m.Handle.Transfer(ctx, l, to) })
}

func (m *machine) Lookup(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
	found := false
	p, err := through(m, "Lookup", func() (p registry.Placement, err error) {
		p, found, err = m.Handle.Lookup(ctx, a)
		return p, err
	})
	return p, found, err
}

func (m *machine) Heartbeat(ctx context.Context, n registry.NodeRef) error {
	_, err := through(m, "Heartbeat", func() (struct{}, error) { return struct{}{}, m.Handle.Heartbeat(ctx, n) })
	return err
}

func (m *machine) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	return through(m, "RegisterNode", func() (registry.Node, error) { return m.Handle.RegisterNode(ctx, id, info, mode) })
}

func (m *machine) record(t *testing.T) registry.Placement {
	p, _, err := m.Handle.Lookup(t.Context(), cart)
	require.NoError(t, err)
	return p
}

// failing gates every call of the named operation with err.
func failing(name string, err error) func(string) error {
	return func(op string) error {
		if op == name {
			return err
		}
		return nil
	}
}

// slow makes every call of the named operation take d.
func slow(name string, d time.Duration) func(string) error {
	return func(op string) error {
		if op == name {
			time.Sleep(d)
		}
		return nil
	}
}
