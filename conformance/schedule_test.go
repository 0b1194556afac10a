package conformance_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// yieldingBackend is the reference with yield points around its Claim.
type yieldingBackend struct {
	referenceBackend
	claim func(yield func(string), mu *sync.Mutex, claim func())
	torn  bool // reads a record in two steps
}

func (b yieldingBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.referenceBackend.New(cfg)
	return &yieldingCluster{Cluster: c, b: b, yield: func(string) {}}, err
}

type yieldingCluster struct {
	conformance.Cluster
	b     yieldingBackend
	mu    sync.Mutex
	yield func(string)
}

func (c *yieldingCluster) SetYield(yield func(string)) { c.yield = yield }

func (c *yieldingCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Cluster.Open(cfg, clock)
	if c.b.torn {
		return tornHandle{h, c}, err
	}
	return yieldingHandle{h, c}, err
}

type yieldingHandle struct {
	registry.Handle
	c *yieldingCluster
}

func (h yieldingHandle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (l registry.Lease, err error) {
	h.c.b.claim(h.c.yield, &h.c.mu, func() { l, err = h.Handle.Claim(ctx, actor, node, id) })
	return l, err
}

// tornHandle tells of records that it read in two steps: expiry and token of the
// first, the rest of the second.
type tornHandle struct {
	registry.Handle
	c *yieldingCluster
}

func (h tornHandle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	first, _, err := h.Handle.Lookup(ctx, actor)
	if err != nil {
		return first, false, err
	}
	h.c.yield("half read")
	p, found, err := h.Handle.Lookup(ctx, actor)
	p.Expiry, p.Token = first.Expiry, first.Token
	return p, found, err
}

func (h tornHandle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	first, _, err := h.Handle.GetNode(ctx, id)
	if err != nil {
		return first, false, err
	}
	h.c.yield("half read")
	n, found, err := h.Handle.GetNode(ctx, id)
	n.LastSeen = first.LastSeen
	return n, found, err
}

func (h tornHandle) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	return h.Handle.(registry.BatchRenewer).RenewBatch(ctx, leases)
}

func (h tornHandle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	first, _, err := h.Handle.Lookup(ctx, actor)
	if err != nil {
		return registry.Lease{}, err
	}
	h.c.yield("half read")
	l, err := h.Handle.Claim(ctx, actor, node, id)
	var refusal *registry.Refusal
	if errors.As(err, &refusal) && errors.Is(err, registry.ErrHeld) {
		refusal.Placement.Expiry, refusal.Placement.Token = first.Expiry, first.Token
	}
	return l, err
}

func TestScheduleEndings(t *testing.T) {
	for name, c := range map[string]struct {
		claim   func(yield func(string), mu *sync.Mutex, claim func())
		verdict conformance.Verdict
		reason  string
	}{
		"around the step": {func(yield func(string), _ *sync.Mutex, claim func()) {
			yield("before")
			claim()
			yield("after")
		}, conformance.Pass, ""},
		"more points than an operation stops at": {func(yield func(string), _ *sync.Mutex, claim func()) {
			for range 100 {
				yield("on the way")
			}
			claim()
		}, conformance.Pass, ""},
		"no yield points": {func(_ func(string), _ *sync.Mutex, claim func()) {
			claim()
		}, conformance.Unknown, "no operation reached a yield point"},
		"a lock held at a yield point": {func(yield func(string), mu *sync.Mutex, claim func()) {
			mu.Lock()
			defer mu.Unlock()
			yield("locked")
			claim()
		}, conformance.Unknown, "a yield point must be where no lock is held that another operation waits for"},
		"a panic": {func(yield func(string), _ *sync.Mutex, claim func()) {
			yield("before")
			panic("out of order")
		}, conformance.Convicted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := judgeOne(t, yieldingBackend{claim: c.claim}, "schedules/pairs-free", conformance.CallTimeout(200*time.Millisecond))
			require.Equal(t, c.verdict, r.Verdict, "%s %v", r.Reason, r.Conviction)
			assert.Contains(t, r.Reason, c.reason)
			if c.verdict == conformance.Convicted {
				assert.Equal(t, conformance.CallsReturn, r.Conviction.Rule)
				assert.Contains(t, r.Conviction.Found, "out of order")
			}
		})
	}
}

// A backend without yield points is not judged by schedules, and that is told.
func TestSchedulesNeedYieldPoints(t *testing.T) {
	r := judgeOne(t, referenceBackend{}, "schedules/triples")
	assert.Equal(t, conformance.Skipped, r.Verdict)
	assert.Equal(t, "the cluster does not implement conformance.Scheduled", r.Reason)
}
