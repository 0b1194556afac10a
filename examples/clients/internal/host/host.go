// Package host is what the clients judged here have in common: a node that is kept
// registered, and one loop for each actor that is wanted. What the loop does is the
// client under judgement.
package host

import (
	"context"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/keeper"
)

// Run claims and serves an actor once, until it is lost or ctx ends. work ends at the
// same time, or before: what is done for the actor stops first. An error says that a
// release failed.
type Run func(h *Host, ctx, work context.Context, actor registry.ActorID) error

// Host implements client.Client.
type Host struct {
	client.Node
	run   Run
	agent *keeper.Agent

	mu    sync.Mutex
	wants map[registry.ActorID]*want
}

type want struct {
	stopWork, leave context.CancelFunc
	done            chan struct{} // closed when err is set
	err             error         // of the last release
}

// Factory returns a factory of hosts that run one kind of client. Only the
// registration is kept by package keeper.
func Factory(run Run) client.Factory {
	return func(n client.Node) (client.Client, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*n.Config.TTL)
		defer cancel()
		agent, err := keeper.Join(ctx, n.Handle, n.Config, n.ID, keeper.AgentOptions{
			Mode:   registry.Supersede,
			Keeper: keeper.Options{Clock: keeper.WithTimers(n.Clock), Seed: n.Seed},
		})
		if err != nil {
			return nil, err
		}
		return &Host{Node: n, run: run, agent: agent, wants: map[registry.ActorID]*want{}}, nil
	}
}

// Ref is the node's present incarnation.
func (h *Host) Ref() registry.NodeRef { return h.agent.Keeper().Node() }

// Want implements client.Client: the loop begins again when it has lost, as a process
// that is started again would.
func (h *Host) Want(a registry.ActorID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wants[a] != nil {
		return
	}
	ctx, leave := context.WithCancel(context.Background())
	work, stopWork := context.WithCancel(ctx)
	w := &want{stopWork: stopWork, leave: leave, done: make(chan struct{})}
	h.wants[a] = w
	go func() {
		defer close(w.done)
		for ctx.Err() == nil && h.agent.Err() == nil {
			w.err = h.run(h, ctx, work, a)
		}
	}()
}

// Drop implements client.Client: the work is stopped first.
func (h *Host) Drop(ctx context.Context, a registry.ActorID) error {
	h.mu.Lock()
	w := h.wants[a]
	delete(h.wants, a)
	h.mu.Unlock()
	if w == nil {
		return nil
	}
	w.stopWork()
	w.leave()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close implements client.Client.
func (h *Host) Close() error {
	h.mu.Lock()
	wants := h.wants
	h.wants = map[registry.ActorID]*want{}
	h.mu.Unlock()
	for _, w := range wants {
		w.stopWork()
		w.leave()
	}
	for _, w := range wants {
		<-w.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Config.TTL/4)
	defer cancel()
	_ = h.agent.Leave(ctx) // a courtesy; the registration ends without it
	<-h.agent.Done()
	return nil
}
