// Package etcdsession runs a session of etcd's client library as a client of a
// registry, so that the suite for clients can judge it: concurrency.Session, and the
// client's lessor that keeps its lease alive. Neither is changed. What the server
// would do is the registry's: granting is a claim, each keep-alive a renewal, revoking
// a release.
package etcdsession

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// Options of the sessions.
type Options struct {
	// Margin is by how much less than its length the session is told that the lease
	// lasts.
	Margin time.Duration

	// DialTimeout is the client's. A first keep-alive that is not answered within it
	// and a second ends the session; 5 s for 0.
	DialTimeout time.Duration

	// Of elections. GiveUp is how long calls go on when the client is to give up; 0: until
	// they are answered. Observes has the work end when Observe tells it, not the session.
	GiveUp   time.Duration
	Observes bool
}

// New makes clients that keep a session for every actor that they serve.
func New(o Options) client.Factory {
	return host.Factory(func(h *host.Host, ctx, work context.Context, a registry.ActorID) error {
		lease, err := claim(ctx, h, a)
		if err != nil {
			return nil // ctx has ended
		}
		return keep(work, h, o, lease)
	})
}

// errSession is why a service ends that the session ended.
var errSession = errors.New("the session is done")

// keep serves under a lease while the session says that it is there. Its error is that
// of the session's Close, which is given a sixth of a lease for it.
func keep(work context.Context, h *host.Host, o Options, lease registry.Lease) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	etcd := clientv3.NewCtxClient(ctx)
	server := &server{h: h, told: h.Config.TTL - o.Margin, lease: lease}
	etcd.Lease = clientv3.NewLeaseFromLeaseClient(server, etcd, o.DialTimeout+time.Second) // as clientv3.NewLease does
	defer etcd.Lease.Close()
	s, err := concurrency.NewSession(etcd, concurrency.WithLease(clientv3.LeaseID(lease.Token)),
		concurrency.WithTTL(int(h.Config.TTL/time.Second)), concurrency.WithContext(ctx))
	if err != nil {
		return err
	}
	if work.Err() == nil {
		stop := h.Serve(lease.Actor, lease.Token)
		select {
		case <-work.Done():
			stop(nil)
		case <-s.Done():
			stop(errSession)
		}
	}
	defer time.AfterFunc(h.Config.TTL/6, cancel).Stop()
	return s.Close() // what is not revoked lapses
}

// claim waits until the actor is this node's. Of one that another holds it looks at the
// record, and claims when it can be had.
func claim(ctx context.Context, h *host.Host, a registry.ActorID) (registry.Lease, error) {
	rng := rand.New(rand.NewPCG(h.Seed, 1))
	spread := func() time.Duration { return time.Duration(rng.Int64N(int64(h.Config.TTL / 10))) }
	id := registry.NewClaimID()
	for {
		lease, wait, err := attempt(ctx, h, a, id)
		if err == nil {
			return lease, nil
		}
		select {
		case <-time.After(wait + h.Config.TTL/100 + spread()):
		case <-ctx.Done():
			return registry.Lease{}, context.Cause(ctx)
		}
	}
}

// attempt looks and claims. wait is how long the actor cannot be had.
func attempt(ctx context.Context, h *host.Host, a registry.ActorID, id registry.ClaimID) (lease registry.Lease, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.Config.TTL/6)
	defer cancel()
	p, found, err := h.Handle.Lookup(ctx, a)
	if err != nil {
		return lease, 0, err
	}
	if found && p.Held() && p.ClaimID != id {
		free := p.Expiry.Add(h.Config.Grace + 2*h.Config.MaxClockSkew).Sub(h.Clock.Now())
		if free > 0 {
			return lease, min(free, h.Config.TTL/2), registry.ErrHeld
		}
	}
	lease, err = h.Handle.Claim(ctx, a, h.Ref(), id)
	if err == nil && h.Clock.Now() >= lease.Expiry {
		err = registry.ErrLapsed // the answer took too long
	}
	return lease, 0, err
}

// server is as much of a server of etcd as keeps one lease.
type server struct {
	unused
	h    *host.Host
	told time.Duration // how long a lease is told to last

	mu    sync.Mutex
	lease registry.Lease
}

// renew answers a keep-alive with the seconds that the lease lasts, 0 when it is over.
func (s *server) renew(ctx context.Context) (seconds int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.h.Config.TTL/6)
	defer cancel()
	lease := s.held()
	if lease.Token == 0 { // a candidate's session keeps nothing but its node
		return int64(s.told / time.Second), s.h.Handle.Heartbeat(ctx, s.h.Ref())
	}
	lease, err = s.h.Handle.Renew(ctx, lease)
	if errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.hold(lease)
	return int64(s.told / time.Second), nil
}

func (s *server) held() registry.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease
}

func (s *server) hold(lease registry.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = lease
}

// release gives back what is held.
func (s *server) release(ctx context.Context) error {
	lease := s.held()
	if lease.Token == 0 {
		return nil
	}
	err := s.h.Handle.Release(ctx, lease)
	if err == nil {
		s.hold(registry.Lease{})
	}
	return err
}
