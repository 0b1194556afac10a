// Package clientgo runs the leader election of k8s.io/client-go as a client of a
// registry, so that the suite for clients can judge it. The elector is not changed.
package clientgo

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/leaderelection"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// Options are those of a LeaderElector that matter here. Its times are in the
// proportions of its defaults: 15, 10 and 2 seconds.
type Options struct {
	ReleaseOnCancel bool
	Guarded         bool // the work ends with its lease, and before it is released, whatever the elector says
}

// New makes clients that run an elector for every actor that they want.
func New(o Options) client.Factory {
	return host.Factory(func(h *host.Host, ctx, work context.Context, a registry.ActorID) error {
		return (&candidate{o, h}).run(ctx, work, a)
	})
}

type candidate struct {
	Options
	*host.Host
}

// run is one run of an elector: until it has lost, or ctx ends.
func (c *candidate) run(ctx, work context.Context, a registry.ActorID) error {
	ttl := c.Config.TTL
	working := make(chan struct{}, 1) // has an element while the work goes on
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	work, stopWork := context.WithCancelCause(work)
	defer stopWork(nil)
	l := &lock{handle: c.Handle, self: c.Ref, actor: a, timeout: ttl / 3, clock: c.Clock, cfg: c.Config, over: func() {}}
	if c.Guarded {
		l.over = func() {
			stopWork(errLease)
			working <- struct{}{} // when the work has stopped
			<-working
			leave()
		}
	}
	le, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          l,
		LeaseDuration: ttl, RenewDeadline: ttl * 2 / 3, RetryPeriod: ttl * 2 / 15,
		ReleaseOnCancel: c.ReleaseOnCancel,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leads context.Context) {
				working <- struct{}{}
				defer func() { <-working }()
				c.serve(leads, work, l)
				if c.Guarded {
					leave()
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		panic(err) // the times above are what is wrong
	}
	le.Run(ctx)
	stopWork(errElector)
	working <- struct{}{} // the work has ended, or will not begin
	<-working
	return l.released
}

var (
	errElector = errors.New("the elector says that it does not lead any more")
	errLease   = errors.New("the lease has ended")
)

// serve is the work: it goes on while the elector leads and the user wants it.
func (c *candidate) serve(leads, work context.Context, l *lock) {
	if leads.Err() != nil || work.Err() != nil {
		return
	}
	lease, _ := l.held()
	stop := c.Serve(l.actor, lease.Token)
	tick := time.NewTicker(c.Config.TTL / 300)
	defer tick.Stop()
	for {
		select {
		case <-work.Done():
			why := context.Cause(work)
			if errors.Is(why, context.Canceled) {
				why = nil // the user's wish
			}
			stop(why)
			return
		case <-leads.Done():
			stop(errElector)
			return
		case <-tick.C:
			if c.Guarded && c.ended(l, lease.Token) {
				stop(errLease)
				return
			}
		}
	}
}

// ended is the guard: whether the lease that the work is done under is over, or nearly.
func (c *candidate) ended(l *lock, token registry.Token) bool {
	lease, until := l.held()
	return lease.Token != token || !time.Now().Before(until.Add(-c.Config.TTL/10))
}
