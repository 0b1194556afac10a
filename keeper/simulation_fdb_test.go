//go:build fdb && fdbsim

package keeper

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest"
)

// outside carries out calls on a goroutine outside the bubble of virtual time,
// where the binding's goroutines live. The bubble's time stands still while
// somebody in it waits for the outside, so a call takes none.
type outside struct {
	mu   sync.Mutex
	work chan func()
	done chan struct{}
}

func newOutside(t *testing.T) *outside {
	o := &outside{work: make(chan func()), done: make(chan struct{})}
	go func() {
		for f := range o.work {
			f()
			o.done <- struct{}{}
		}
	}()
	t.Cleanup(func() { close(o.work) })
	return o
}

func (o *outside) do(f func()) {
	o.work <- f
	<-o.done
}

// outsider is a handle whose calls are carried out outside, with the reading
// that the node's clock has inside.
type outsider struct {
	registry.Handle
	o     *outside
	wall  registry.Clock
	clock *registry.ManualClock // of the handle
}

func out[T any](h outsider, call func() (T, error)) (answer T, err error) {
	h.o.mu.Lock()
	defer h.o.mu.Unlock()
	h.clock.Set(h.wall.Now())
	h.o.do(func() { answer, err = call() })
	return answer, err
}

func outErr(h outsider, call func() error) error {
	_, err := out(h, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (h outsider) Claim(_ context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return out(h, func() (registry.Lease, error) { return h.Handle.Claim(context.Background(), a, n, id) })
}

func (h outsider) Renew(_ context.Context, l registry.Lease) (registry.Lease, error) {
	return out(h, func() (registry.Lease, error) { return h.Handle.Renew(context.Background(), l) })
}

func (h outsider) Release(_ context.Context, l registry.Lease) error {
	return outErr(h, func() error { return h.Handle.Release(context.Background(), l) })
}

func (h outsider) Transfer(_ context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	return out(h, func() (registry.Lease, error) { return h.Handle.Transfer(context.Background(), l, to) })
}

func (h outsider) Validate(_ context.Context, a registry.ActorID, token registry.Token) error {
	return outErr(h, func() error { return h.Handle.Validate(context.Background(), a, token) })
}

func (h outsider) Lookup(_ context.Context, a registry.ActorID) (p registry.Placement, found bool, err error) {
	p, err = out(h, func() (q registry.Placement, err error) {
		q, found, err = h.Handle.Lookup(context.Background(), a)
		return q, err
	})
	return p, found, err
}

func (h outsider) RegisterNode(_ context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	return out(h, func() (registry.Node, error) { return h.Handle.RegisterNode(context.Background(), id, info, mode) })
}

func (h outsider) Heartbeat(_ context.Context, n registry.NodeRef) error {
	return outErr(h, func() error { return h.Handle.Heartbeat(context.Background(), n) })
}

func (h outsider) MarkFailed(_ context.Context, n registry.NodeRef) error {
	return outErr(h, func() error { return h.Handle.MarkFailed(context.Background(), n) })
}

func (h outsider) GetNode(_ context.Context, id registry.NodeID) (n registry.Node, found bool, err error) {
	n, err = out(h, func() (m registry.Node, err error) {
		m, found, err = h.Handle.GetNode(context.Background(), id)
		return m, err
	})
	return n, found, err
}

func (h outsider) ListNodes(_ context.Context, status registry.NodeStatus, page registry.Page) (rows []registry.Node, next registry.Cursor, err error) {
	rows, err = out(h, func() (r []registry.Node, err error) {
		r, next, err = h.Handle.ListNodes(context.Background(), status, page)
		return r, err
	})
	return rows, next, err
}

// The guarantees over fdbimpl, through the official binding on the stand-in.
func TestSimulationOnFoundationDB(t *testing.T) {
	o := newOutside(t)
	total := simulate(t, min(*simHours, simHoursEach), func() *simulation {
		open := func(wall registry.Clock) registry.Handle { return nil }
		o.do(func() {
			c, err := fdbtest.New("").New(simCfg)
			require.NoError(t, err)
			open = func(wall registry.Clock) registry.Handle {
				h := outsider{o: o, wall: wall, clock: new(registry.ManualClock)}
				o.do(func() { h.Handle, err = c.Open(simCfg, h.clock) })
				require.NoError(t, err)
				return h
			}
		})
		return &simulation{cfg: simCfg, open: open, actors: simActors, skew: simCfg.MaxClockSkew, serve: serveWhileChecked}
	})
	assert.Zero(t, total.Overlaps)
	assert.Zero(t, total.Stale)
	assert.Positive(t, total.Writes)
}

// BenchmarkRenewals100kOnFoundationDB is BenchmarkRenewals100k on fdbimpl over the
// stand-in, with a TTL of 30 s: 10,000 renewals a second fall due.
func BenchmarkRenewals100kOnFoundationDB(b *testing.B) {
	cfg := benchConfig(30 * time.Second)
	c, err := fdbtest.New("").New(cfg)
	require.NoError(b, err)
	h, err := c.Open(cfg, registry.SystemClock())
	require.NoError(b, err)
	countRenewals(b, cfg, h)
}
