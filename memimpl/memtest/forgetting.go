package memtest

import (
	"context"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
)

// Forgetting is memimpl with a retention of nothing, as a backend that forgets whatever
// it may when it is asked to.
type Forgetting struct {
	File bool // on a file, as OnFile

	// Eager also purges before every operation and after it: no record outlives the
	// instant from which a claim could take it.
	Eager bool
}

// Name implements [conformance.Backend].
func (b Forgetting) Name() string {
	name := "memimpl"
	if b.File {
		name = "memimpl-file"
	}
	if b.Eager {
		return name + "-forgets-early"
	}
	return name + "-forgets"
}

// Dialect implements [conformance.Speaker].
func (Forgetting) Dialect() dialect.Dialect { return dialect.Dialect{Forgets: true} }

// New implements [conformance.Backend].
func (b Forgetting) New(cfg registry.Config) (conformance.Cluster, error) {
	if b.File {
		c, err := newFileCluster("", cfg, memimpl.Retain(0))
		if err != nil {
			return nil, err
		}
		if !b.Eager {
			return c, nil
		}
		return &forgettingFile{c}, nil
	}
	s, err := memimpl.New(cfg, memimpl.Retain(0))
	if err != nil {
		return nil, err
	}
	if !b.Eager {
		return &cluster{store: s}, nil
	}
	return &forgetting{cluster{store: s}}, nil
}

type forgetting struct{ cluster }

// Open implements [conformance.Cluster].
func (c *forgetting) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return openForgetting(c.store, cfg, clock)
}

type forgettingFile struct{ *fileCluster }

// Open implements [conformance.Cluster].
func (c *forgettingFile) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return openForgetting(c.store, cfg, clock)
}

// lastReading is what a handle's clock was last seen to read. A purge by it is one by a
// clock that is late, and reads nothing that the operation would have to answer for.
type lastReading struct {
	of   registry.Clock
	last atomic.Int64
}

func (c *lastReading) Now() registry.Instant {
	now := c.of.Now()
	c.last.Store(int64(now))
	return now
}

type purgeClock struct{ of *lastReading }

func (c purgeClock) Now() registry.Instant { return registry.Instant(c.of.last.Load()) }

func openForgetting(s *memimpl.Store, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if clock == nil {
		_, err := s.Open(cfg, nil)
		return nil, err
	}
	seen := &lastReading{of: clock}
	h, err := s.Open(cfg, seen)
	if err != nil {
		return nil, err
	}
	purger, err := s.Open(cfg, purgeClock{seen})
	if err != nil {
		return nil, err
	}
	purge := func() { _, _ = purger.Purge(context.Background()) } // a store that is in trouble purges later
	eager := op.Handle(func(ctx context.Context, c op.Call) op.Result {
		purge()
		r := op.Do(ctx, h, &c)
		purge()
		return r
	}, op.Powers{Batch: true, Watch: true})
	return purgingHandle{eager, eager.(registry.BatchRenewer), eager.(registry.Watcher), h}, nil
}

// purgingHandle has every power of memimpl's own.
type purgingHandle struct {
	registry.Handle
	registry.BatchRenewer
	registry.Watcher
	registry.Purger
}
