package linearizability

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kelpie-registry/registry"
)

// Stage is a cluster to play a script on.
type Stage interface {
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
func Play(ctx context.Context, s Script, stage Stage) (History, error) {
	p := &player{rec: NewRecorder(s.Config), stage: stage, clocks: map[string]*registry.ManualClock{}, handles: map[string]registry.Handle{}, now: playStart}
	var running sync.WaitGroup
	for i := range s.Steps {
		step := &s.Steps[i]
		if !step.With {
			running.Wait()
		}
		switch step.Kind {
		case KindClock:
			p.set(step)
			continue
		case KindCrash:
			if step.Client != "" {
				p.kill(step.Client)
				continue
			}
			clear(p.handles)
			if err := stage.Crash(); err != nil {
				return p.rec.History(), fmt.Errorf("step %d, %v: %w", i+1, step, err)
			}
			continue
		}
		h, err := p.handle(step.Client)
		if err != nil {
			running.Wait()
			return p.rec.History(), fmt.Errorf("step %d, %v: %w", i+1, step, err)
		}
		running.Go(func() { Call(ctx, h, step.Kind, step.Ask) })
	}
	running.Wait()
	return p.rec.History(), nil
}

type player struct {
	rec     *Recorder
	stage   Stage
	clocks  map[string]*registry.ManualClock
	handles map[string]registry.Handle
	now     registry.Instant // of clocks not seen yet
}

func (p *player) clock(client string) *registry.ManualClock {
	c := p.clocks[client]
	if c == nil {
		c = registry.NewManualClock(p.now)
		p.clocks[client] = c
	}
	return c
}

func (p *player) set(step *Step) {
	at := playStart.Add(step.At)
	if step.Client != "" {
		p.clock(step.Client).Set(at)
		return
	}
	p.now = at
	for _, c := range p.clocks {
		c.Set(at)
	}
}

func (p *player) handle(client string) (registry.Handle, error) {
	if h := p.handles[client]; h != nil {
		return h, nil
	}
	inner, err := p.stage.Open(client, p.rec.Clock(client, p.clock(client)))
	if err != nil {
		return nil, err
	}
	h := p.rec.Wrap(client, inner)
	p.handles[client] = h
	return h, nil
}

// kill ends a client's process: its handle is gone, and what it asked for stays.
func (p *player) kill(client string) {
	if h := p.handles[client]; h != nil {
		_ = h.Close()
		delete(p.handles, client)
	}
}

// Call makes the call that an Ask describes. The answer is for the recorder to
// keep. A Watch needs a handle that is a registry.Watcher.
func Call(ctx context.Context, h registry.Handle, k Kind, a Ask) error {
	lease := registry.Lease{Actor: a.Actor, Holder: a.Node, Token: a.Token}
	var err error
	switch k {
	case KindClaim:
		_, err = h.Claim(ctx, a.Actor, a.Node, a.ClaimID)
	case KindRenew:
		_, err = h.Renew(ctx, lease)
	case KindRelease:
		err = h.Release(ctx, lease)
	case KindTransfer:
		_, err = h.Transfer(ctx, lease, a.To)
	case KindLookup:
		_, _, err = h.Lookup(ctx, a.Actor)
	case KindValidate:
		err = h.Validate(ctx, a.Actor, a.Token)
	case KindListActors:
		_, _, err = h.ListActors(ctx, a.Node, a.Page)
	case KindWatch:
		w, ok := h.(registry.Watcher)
		if !ok {
			return fmt.Errorf("watch: %w", errors.ErrUnsupported)
		}
		_, err = w.Watch(ctx, a.Actor, a.Seen)
	case KindRegisterNode:
		_, err = h.RegisterNode(ctx, a.Node.ID, a.Info, a.Mode)
	case KindHeartbeat:
		err = h.Heartbeat(ctx, a.Node)
	case KindMarkFailed:
		err = h.MarkFailed(ctx, a.Node)
	case KindDeregisterNode:
		err = h.DeregisterNode(ctx, a.Node)
	case KindGetNode:
		_, _, err = h.GetNode(ctx, a.Node.ID)
	case KindListNodes:
		_, _, err = h.ListNodes(ctx, a.Status, a.Page)
	default:
		err = fmt.Errorf("operation %q: %w", k, errors.ErrUnsupported)
	}
	return err
}
