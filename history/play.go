package history

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Cluster is a cluster to play a script on.
type Cluster interface {
	// Open returns a handle for a client, which reads the given clock.
	Open(client string, clock registry.Clock) (registry.Handle, error)
	// Crash stops the cluster at once and starts it again: all handles are gone.
	// It returns an error matching errors.ErrUnsupported if it cannot.
	Crash() error
}

// playStart is what every clock of a script reads at the beginning: far enough
// from 0, which means no reading.
const playStart = registry.Instant(1_000_000_000_000_000)

// Play carries a script out on an empty cluster and returns what the clients
// saw. Steps at the same time run in goroutines of their own; Play returns when
// all calls have returned. A handle is opened at its client's first step, and
// again after a crash, its own or the cluster's. The error is of opening or crashing; errors of the
// operations are in the history.
func Play(ctx context.Context, s Script, cluster Cluster) (History, error) {
	p := &playing{rec: NewRecorder(s.Config), cluster: cluster, clocks: map[string]*registry.ManualClock{}, handles: map[string]registry.Handle{}, serves: map[serves]func(error){}, now: playStart}
	var running sync.WaitGroup
	for i := range s.Steps {
		step := &s.Steps[i]
		if !step.With {
			running.Wait()
		}
		switch step.Event {
		case Clock:
			p.set(step)
			continue
		case Crash:
			if step.Client != "" {
				p.kill(step.Client)
				continue
			}
			clear(p.handles)
			p.rec.Note("the cluster crashes, and its handles are opened anew")
			if err := cluster.Crash(); err != nil {
				return p.rec.History(), fmt.Errorf("step %d, %v: %w", i+1, step, err)
			}
			continue
		case Purge:
			if err := p.purge(ctx, step.Client); err != nil {
				return p.rec.History(), fmt.Errorf("step %d, %v: %w", i+1, step, err)
			}
			continue
		}
		h, err := p.handle(step.Client)
		switch {
		case err == nil && step.Event == Serve:
			p.serve(step)
			continue
		case err == nil && step.Event == Stop:
			p.stop(step.Client, step.Call.Actor)
			continue
		case err != nil:
			running.Wait()
			return p.rec.History(), fmt.Errorf("step %d, %v: %w", i+1, step, err)
		}
		running.Go(func() { op.Do(ctx, h, &step.Call) })
	}
	running.Wait()
	return p.rec.History(), nil
}

type playing struct {
	rec     *Recorder
	cluster Cluster
	clocks  map[string]*registry.ManualClock
	handles map[string]registry.Handle
	serves  map[serves]func(error) // what ends each service
	now     registry.Instant       // of clocks not seen yet
}

// serves is that a client serves an actor.
type serves struct {
	client string
	actor  registry.ActorID
}

func (p *playing) serve(step *Step) {
	p.stop(step.Client, step.Call.Actor)
	p.serves[serves{step.Client, step.Call.Actor}] = p.rec.Serve(step.Client, step.Call.Actor, step.Call.Token)
}

func (p *playing) stop(client string, actor registry.ActorID) {
	if end := p.serves[serves{client, actor}]; end != nil {
		end(nil)
		delete(p.serves, serves{client, actor})
	}
}

func (p *playing) clock(client string) *registry.ManualClock {
	c := p.clocks[client]
	if c == nil {
		c = registry.NewManualClock(p.now)
		p.clocks[client] = c
	}
	return c
}

func (p *playing) set(step *Step) {
	at := playStart.Add(step.At)
	if step.Client != "" {
		p.clock(step.Client).Set(at)
		p.rec.Look(step.Client)
		return
	}
	p.now = at
	for client, c := range p.clocks {
		c.Set(at)
		p.rec.Look(client)
	}
}

func (p *playing) handle(client string) (registry.Handle, error) {
	if h := p.handles[client]; h != nil {
		return h, nil
	}
	inner, err := p.cluster.Open(client, p.rec.Clock(client, p.clock(client)))
	if err != nil {
		return nil, err
	}
	h := p.rec.Wrap(client, inner)
	p.handles[client] = h
	return h, nil
}

// purge has a process with the client's clock forget what it may. What it answers
// changes nothing: a store in trouble forgets later.
func (p *playing) purge(ctx context.Context, client string) error {
	h, err := p.cluster.Open(client, p.clock(client))
	if err != nil {
		return err
	}
	defer h.Close()
	purger, ok := h.(registry.Purger)
	if !ok {
		return fmt.Errorf("the handles do not implement registry.Purger: %w", errors.ErrUnsupported)
	}
	p.rec.Note("a process with the clock of " + client + " calls Purge")
	_, _ = purger.Purge(ctx)
	return nil
}

// kill ends a client's process: its handle is gone, and what it asked for stays.
func (p *playing) kill(client string) {
	for s := range p.serves {
		if s.client == client {
			p.stop(s.client, s.actor)
		}
	}
	if h := p.handles[client]; h != nil {
		p.rec.Note(client + "'s process ends: its handle is closed, and opened anew for its next call")
		_ = h.Close()
		delete(p.handles, client)
	}
}
