//go:build fdb

package fdbtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/serverctl"
)

// controlled is a cluster on a server that can be stopped. All clusters on the server
// suffer together: cases that stop it are judged one at a time.
type controlled struct {
	base
	server serverctl.Server

	mu   sync.Mutex // guards what follows
	end  func()     // ends the trouble under way and waits until it has ended; nil without any
	errs []error    // of the control program, for Close
}

var (
	_ conformance.Restarter     = (*controlled)(nil)
	_ conformance.FaultInjector = (*controlled)(nil)
)

const (
	// impatience is the timeout of transactions on a server that is stopped: shorter
	// than a stop, so that commits under way end without an answer.
	impatience = 200 * time.Millisecond
	// stopsFor is the shortest stop; a stop takes up to twice as long.
	stopsFor = 250 * time.Millisecond
	// killsOneIn says how many of the stops that lose something are kills.
	killsOneIn = 8
	// recovery bounds how long a server takes to serve again: less than the suite waits
	// for a call, for one that does not come back leaves a case undecided, and is no
	// fault of the implementation.
	recovery = 12 * time.Second
)

func newControlled(b base, server serverctl.Server) *controlled {
	b.timeout = impatience
	return &controlled{base: b, server: server}
}

// Restart implements [conformance.Restarter].
func (c *controlled) Restart() error {
	if err := c.server.Kill(); err != nil {
		return err
	}
	if err := c.server.Start(); err != nil {
		return err
	}
	return c.serves()
}

// serves waits until the server gives out read versions and reads: its storage comes later.
func (c *controlled) serves() error {
	tr, err := c.db.Database.CreateTransaction()
	if err != nil {
		return err
	}
	if err := tr.Options().SetTimeout(recovery.Milliseconds()); err != nil {
		return err
	}
	_, err = tr.Get(fdb.Key(c.db.Prefix.Pack())).Get()
	return err
}

// SetFaults implements [conformance.FaultInjector] with a server that stands still
// for the share of the time that the probabilities add up to. What a commit meets is
// then up to the client library: it waits, or times out and lands later or never, or
// is unknown after a kill.
func (c *controlled) SetFaults(f conformance.Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		c.end()
		c.end = nil
	}
	if f == (conformance.Faults{Seed: f.Seed}) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- disturb(ctx, c.server, f) }()
	c.end = func() {
		cancel()
		c.errs = append(c.errs, <-ended, c.serves())
	}
}

// Close implements [conformance.Cluster].
func (c *controlled) Close() error {
	c.SetFaults(conformance.Faults{})
	return errors.Join(append(c.errs, c.base.Close())...)
}

// disturb stops the server and lets it go on, in turn, until the context ends. It
// leaves it running. Where it begins is drawn as well: many histories are shorter
// than the time between two stops.
func disturb(ctx context.Context, server serverctl.Server, f conformance.Faults) error {
	lost := f.LostRequest + f.LostAnswer
	share := lost + f.Unavailable + f.Late
	rng := rand.New(rand.NewPCG(f.Seed, 0x73746f70))
	for begun := rng.Float64() >= share; ; begun = true {
		stop, goOn := server.Pause, server.Resume
		if rng.Float64() < lost/share/killsOneIn {
			stop, goOn = server.Kill, server.Start
		}
		still := stopsFor + rand.N(stopsFor)
		if begun && !elapsed(ctx, time.Duration(float64(still)*(1-share)/share)) {
			return nil
		}
		if err := stop(); err != nil {
			return err
		}
		elapsed(ctx, still)
		if err := goOn(); err != nil {
			return err
		}
	}
}

// elapsed waits for d, and reports whether the context lasted as long.
func elapsed(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
