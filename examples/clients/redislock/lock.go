// Package redislock runs github.com/bsm/redislock, and the loop by which its users
// extend a lock, as a client of a registry, so that the suite for clients can judge
// them. The library is not changed. What Redis would do is the registry's: obtaining is
// a claim, refreshing a renewal, releasing a release.
package redislock

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/bsm/redislock"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// Options of the locks.
type Options struct {
	// Guarded: the work ends with its lease, counted from before the request, whatever
	// the library says; a failed refresh is tried again soon; who waits looks at the
	// lock before it tries to obtain it, at a moment of its own.
	Guarded bool
}

// New makes clients that obtain a lock for every actor that they want, and refresh it
// every third of its length until they are told that it is not theirs.
func New(o Options) client.Factory {
	return host.Factory(func(h *host.Host, ctx, work context.Context, a registry.ActorID) error {
		l := &locker{Options: o, server: newServer(h, a), rng: rand.New(rand.NewPCG(h.Seed, 1))}
		return l.run(ctx, work)
	})
}

type locker struct {
	Options
	*server
	rng *rand.Rand
}

// run obtains the lock once, and works under it until it is lost or ctx ends.
func (l *locker) run(ctx, work context.Context) error {
	ttl := l.h.Config.TTL
	if l.Guarded && !l.free(ctx) {
		return nil // ctx has ended
	}
	wait := &redislock.Options{RetryStrategy: redislock.LinearBackoff(ttl / 10)}
	if l.Guarded {
		wait = nil
	}
	lock, err := redislock.New(l).Obtain(ctx, l.actor.String(), ttl, wait)
	if err != nil {
		pause(ctx, ttl/30)
		return nil
	}
	if !l.Guarded || time.Now().Before(l.end()) {
		l.work(work, lock)
	}
	release, cancel := context.WithTimeout(context.Background(), ttl/6)
	defer cancel()
	if err := lock.Release(release); err != nil && !errors.Is(err, redislock.ErrLockNotHeld) {
		return err
	}
	return nil
}

// errEnd is why a guarded service ends whose lease was not extended in time.
var errEnd = errors.New("the lock was not refreshed in time")

// work serves until the user stops it, or the lock is lost.
func (l *locker) work(work context.Context, lock *redislock.Lock) {
	ttl := l.h.Config.TTL
	stop := l.h.Serve(l.actor, l.held().Token)
	every := ttl / 3
	for {
		next := time.Now().Add(every)
		if l.Guarded && l.end().Before(next) {
			next = l.end()
		}
		if !pause(work, time.Until(next)) {
			stop(nil)
			return
		}
		if l.Guarded && !time.Now().Before(l.end()) {
			stop(errEnd)
			return
		}
		err := l.refresh(work, lock)
		if errors.Is(err, redislock.ErrNotObtained) {
			stop(err)
			return
		}
		every = ttl / 3
		if l.Guarded && err != nil {
			every = ttl / 30
		}
	}
}

// refresh extends the lock. Guarded, it ends with the lease.
func (l *locker) refresh(ctx context.Context, lock *redislock.Lock) error {
	if l.Guarded {
		bounded, cancel := context.WithDeadline(ctx, l.end())
		defer cancel()
		ctx = bounded
	}
	return lock.Refresh(ctx, l.h.Config.TTL, nil)
}

// end is the guard: a twentieth of a lease before the lease ends.
func (l *locker) end() time.Time { return l.until().Add(-l.h.Config.TTL / 20) }

// free waits until the lock can be had, as far as a look at it tells, and reports
// whether ctx lasted as long.
func (l *locker) free(ctx context.Context) bool {
	ttl := l.h.Config.TTL
	for ctx.Err() == nil {
		asked, cancel := context.WithTimeout(ctx, ttl/10)
		p, found, err := l.h.Handle.Lookup(asked, l.actor)
		cancel()
		claimable := p.Expiry.Add(l.h.Config.Grace + 2*l.h.Config.MaxClockSkew)
		left := claimable.Sub(l.h.Clock.Now())
		if err == nil && (!found || !p.Held() || left <= 0) {
			return true
		}
		pause(ctx, min(max(left, 0), ttl/4)+time.Duration(l.rng.Int64N(int64(ttl/10))))
	}
	return false
}

// pause waits for d, and reports whether ctx lasted as long.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
