package conformance_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// referenceBackend puts the reference under its own judgement.
type referenceBackend struct{}

func (referenceBackend) Name() string { return "reference" }

func (referenceBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	return referenceCluster{s}, err
}

type referenceCluster struct{ store *reference.Store }

func (c referenceCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(cfg, clock)
}

func (referenceCluster) Close() error { return nil }

func (c referenceCluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	return c.store.Import(nodes, records)
}

// clocklessBackend is the reference behind a server that reads its own clock.
type clocklessBackend struct{ referenceBackend }

func (clocklessBackend) RealTimeConfig() registry.Config {
	return registry.Config{
		TTL: 400 * time.Millisecond, Grace: 100 * time.Millisecond, MaxClockSkew: 4 * time.Millisecond,
		FailureTimeout: 200 * time.Millisecond, AllowShortTTL: true,
	}
}

func (b clocklessBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.referenceBackend.New(cfg)
	return clocklessCluster{c}, err
}

type clocklessCluster struct{ conformance.Cluster }

func (c clocklessCluster) Open(cfg registry.Config, _ registry.Clock) (registry.Handle, error) {
	return c.Cluster.Open(cfg, registry.SystemClock())
}

// troubledBackend is the reference as a service that crashes and has faults:
// the store is on the other side of a network.
type troubledBackend struct {
	referenceBackend
	forgets bool // loses the store in a crash
	liar    bool // calls a lost answer a failure without effect
	settles bool // calls a late request settled
	retries bool // makes a call again when its answer was lost

	unavailable bool // makes the change all the same when it is unavailable
	refuses     bool // calls a lost request a refusal
}

func (b troubledBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	return &troubledCluster{b: b, cfg: cfg, store: s}, err
}

type troubledCluster struct {
	b     troubledBackend
	cfg   registry.Config
	store *reference.Store

	mu     sync.Mutex
	faults conformance.Faults
	rng    *rand.Rand
	late   []func()
}

func (c *troubledCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	return &troubledHandle{h, c}, err
}

func (c *troubledCluster) Restart() error {
	if c.b.forgets {
		c.store, _ = reference.NewStore(c.cfg)
	}
	return nil
}

func (c *troubledCluster) SetFaults(f conformance.Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults, c.rng = f, rand.New(rand.NewPCG(f.Seed, 1))
}

func (c *troubledCluster) Close() error { return nil }

var errNetwork = errors.New("network")

// trouble carries out one attempt, with the fault that it draws.
func trouble[T any](ctx context.Context, c *troubledCluster, attempt func(context.Context) (T, error)) (result T, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return attempt(ctx)
	}
	if len(c.late) > 0 && c.rng.IntN(2) == 0 {
		c.late[0]()
		c.late = c.late[1:]
	}
	if c.rng == nil {
		return attempt(ctx)
	}
	var none T
	p, f := c.rng.Float64(), c.faults
	settled := &registry.AmbiguousError{Cause: errNetwork}
	switch {
	case p < f.Unavailable:
		if c.b.unavailable {
			_, _ = attempt(ctx)
		}
		return none, registry.ErrUnavailable
	case p < f.Unavailable+f.LostRequest:
		if c.b.refuses {
			return none, &registry.Refusal{Reason: registry.ErrNotHeld}
		}
		return none, settled
	case p < f.Unavailable+f.LostRequest+f.LostAnswer:
		conformance.Suffers(ctx, conformance.FaultLostAnswer)
		_, _ = attempt(ctx)
		switch {
		case c.b.liar:
			return none, registry.ErrUnavailable
		case c.b.retries:
			return attempt(ctx)
		}
		return none, settled
	case p < f.Unavailable+f.LostRequest+f.LostAnswer+f.Late:
		c.late = append(c.late, func() { _, _ = attempt(context.WithoutCancel(ctx)) })
		return none, &registry.AmbiguousError{MayStillApply: !c.b.settles, Cause: errNetwork}
	}
	return attempt(ctx)
}

type troubledHandle struct {
	registry.Handle
	c *troubledCluster
}

func (h *troubledHandle) Claim(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return trouble(ctx, h.c, func(ctx context.Context) (registry.Lease, error) { return h.Handle.Claim(ctx, a, n, id) })
}

func (h *troubledHandle) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	return trouble(ctx, h.c, func(ctx context.Context) (registry.Lease, error) { return h.Handle.Renew(ctx, l) })
}

func (h *troubledHandle) Release(ctx context.Context, l registry.Lease) error {
	_, err := trouble(ctx, h.c, func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Handle.Release(ctx, l) })
	return err
}

func (h *troubledHandle) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	return trouble(ctx, h.c, func(ctx context.Context) (registry.Lease, error) { return h.Handle.Transfer(ctx, l, to) })
}

func (h *troubledHandle) RegisterNode(ctx context.Context, id registry.NodeID, i registry.NodeInfo, m registry.RegisterMode) (registry.Node, error) {
	return trouble(ctx, h.c, func(ctx context.Context) (registry.Node, error) { return h.Handle.RegisterNode(ctx, id, i, m) })
}

func (h *troubledHandle) Heartbeat(ctx context.Context, n registry.NodeRef) error {
	_, err := trouble(ctx, h.c, func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Handle.Heartbeat(ctx, n) })
	return err
}

func (h *troubledHandle) DeregisterNode(ctx context.Context, n registry.NodeRef) error {
	_, err := trouble(ctx, h.c, func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Handle.DeregisterNode(ctx, n) })
	return err
}
