package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/internal/counters"
	"github.com/kelpie-registry/registry/keeper"
)

// host is a node: it activates the counters that it holds the leases of.
type host struct {
	store string
	think time.Duration
	agent *keeper.Agent
	h     registry.Handle

	mu     sync.Mutex
	active map[string]*activation
}

// activation is a counter in memory, under one tenure.
type activation struct {
	tenure *keeper.Tenure

	mu    sync.Mutex // one request at a time: an actor is single-threaded
	state counters.Counter
}

func newHost(ctx context.Context, id registry.NodeID, self, store string, think time.Duration, log *slog.Logger) (*host, error) {
	clock := keeper.SystemClock()
	h := &host{store: store, think: think, h: counters.Remote(store, clock), active: map[string]*activation{}}
	var err error
	h.agent, err = keeper.Join(ctx, h.h, cfg, id, keeper.AgentOptions{
		Mode:   registry.Supersede, // a restarted process takes its name over
		Info:   registry.NodeInfo{Address: self},
		Keeper: keeper.Options{Clock: clock, Logger: log},
	})
	if err != nil {
		return nil, err
	}
	detector, err := keeper.NewDetector(h.h, cfg, keeper.DetectorOptions{Options: keeper.Options{Clock: clock, Logger: log}})
	if err != nil {
		return nil, err
	}
	go func() { _ = detector.Run(ctx) }()
	return h, nil
}

func (h *host) routes() http.Handler {
	mux := http.NewServeMux()
	counters.Handle(mux, "/increment", func(r *http.Request, q counters.Increment) (counters.Incremented, error) {
		return h.increment(r.Context(), q)
	})
	return mux
}

func (h *host) increment(ctx context.Context, q counters.Increment) (counters.Incremented, error) {
	a, err := h.activate(ctx, q.Actor)
	var elsewhere *registry.Refusal
	if errors.As(err, &elsewhere) && errors.Is(err, registry.ErrHeld) {
		n, _, err := h.h.GetNode(ctx, elsewhere.Placement.Holder.ID)
		return counters.Incremented{At: n.Info.Address}, err
	}
	if err != nil {
		return counters.Incremented{}, err
	}
	value, err := a.increment(ctx, h, q)
	if err != nil {
		h.drop(q.Actor, a)
	}
	return counters.Incremented{Value: value}, err
}

// activate returns the actor's activation here, or ErrHeld with its place.
func (h *host) activate(ctx context.Context, name string) (*activation, error) {
	h.mu.Lock()
	a := h.active[name]
	h.mu.Unlock()
	if a != nil && a.tenure.Check() == nil {
		return a, nil
	}
	tenure, err := h.agent.Keeper().TryAcquire(ctx, registry.ActorID{Namespace: "counter", Name: name})
	if err != nil {
		return nil, err
	}
	a = &activation{tenure: tenure}
	if err := counters.Post(ctx, h.store+"/load", counters.Write{Actor: name, Token: tenure.Token()}, &a.state); err != nil {
		return nil, errors.Join(err, tenure.Release(ctx))
	}
	h.mu.Lock()
	h.active[name] = a
	h.mu.Unlock()
	return a, nil
}

// drop forgets an activation whose memory can no longer be trusted: a write
// failed, and may or may not have landed. The next tenure reads what did.
func (h *host) drop(name string, a *activation) {
	h.mu.Lock()
	if h.active[name] == a {
		delete(h.active, name)
	}
	h.mu.Unlock()
	_ = a.tenure.Release(context.Background())
}

// increment is the actor's method: check the lease, change the state, write it
// under the token, answer. A process may be stopped between any two of these;
// the fence at the store refuses the write if it slept too long.
func (a *activation) increment(ctx context.Context, h *host, q counters.Increment) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.tenure.Check(); err != nil {
		return 0, err
	}
	if a.state.Done[q.Client] >= q.Number {
		return a.state.Value, nil // a repetition of one that was counted
	}
	next := counters.Counter{Value: a.state.Value + 1, Done: map[string]uint64{}}
	for client, n := range a.state.Done {
		next.Done[client] = n
	}
	next.Done[q.Client] = q.Number
	ctx = context.WithoutCancel(ctx) // the client may leave, the method goes on
	time.Sleep(h.think)
	var written counters.Counter
	if err := counters.Post(ctx, h.store+"/save", counters.Write{Actor: q.Actor, Token: a.tenure.Token(), Counter: next}, &written); err != nil {
		return 0, fmt.Errorf("saving %s: %w", q.Actor, err)
	}
	a.state = written
	return written.Value, nil
}
