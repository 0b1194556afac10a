package sound

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/keeper"
)

// Keeper makes clients of package keeper: an agent keeps the node registered, and
// one goroutine for each actor acquires it and serves it until the tenure is over.
func Keeper(policy keeper.Policy) client.Factory {
	return func(n client.Node) (client.Client, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*n.Config.TTL)
		defer cancel()
		agent, err := keeper.Join(ctx, n.Handle, n.Config, n.ID, keeper.AgentOptions{
			Mode:   registry.Supersede,
			Keeper: keeper.Options{Clock: keeper.WithTimers(n.Clock), Seed: n.Seed, Policy: policy},
		})
		if err != nil {
			return nil, err
		}
		return &kept{node: n, agent: agent, wants: map[registry.ActorID]*want{}}, nil
	}
}

// Detecting is Keeper with a failure detector in each process.
func Detecting(policy keeper.Policy) client.Factory {
	made := Keeper(policy)
	return func(n client.Node) (client.Client, error) {
		c, err := made(n)
		if err != nil {
			return nil, err
		}
		d, err := keeper.NewDetector(n.Handle, n.Config, keeper.DetectorOptions{Options: keeper.Options{Clock: keeper.WithTimers(n.Clock), Seed: n.Seed}})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		k := c.(*kept)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = d.Run(ctx) // ends with ctx
		}()
		k.also = func() { cancel(); <-done }
		return k, nil
	}
}

type kept struct {
	node  client.Node
	agent *keeper.Agent
	also  func() // ends what runs beside; nil for nothing

	mu    sync.Mutex
	wants map[registry.ActorID]*want
	wg    sync.WaitGroup
}

// want is an actor that is to be served, until its context ends.
type want struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	tenure    *keeper.Tenure // nil while nothing is served
	stop      func(error)
	handed    *registry.Lease // by another node, not looked at yet
	interrupt func()          // ends the wait for the actor
}

func (k *kept) Want(a registry.ActorID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wants[a] != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &want{cancel: cancel, done: make(chan struct{}), interrupt: func() {}}
	k.wants[a] = w
	k.wg.Go(func() {
		defer close(w.done)
		k.serve(ctx, w, a)
	})
}

// serve acquires the actor and serves it, again and again.
func (k *kept) serve(ctx context.Context, w *want, a registry.ActorID) {
	for ctx.Err() == nil {
		tenure, err := k.acquire(ctx, w, a)
		if err != nil {
			select {
			case <-k.agent.Done():
				return // superseded: another process of this name has it
			default:
			}
			pause(ctx, k.node.Config.TTL/20)
			continue
		}
		if !w.begin(tenure, k.node.Serve) {
			continue
		}
		select {
		case <-tenure.Context().Done():
			w.end(context.Cause(tenure.Context()))
		case <-ctx.Done():
			return // Drop, Move or Close end the service
		}
	}
}

// acquire adopts what another node has handed over, and else claims.
func (k *kept) acquire(ctx context.Context, w *want, a registry.ActorID) (*keeper.Tenure, error) {
	w.mu.Lock()
	handed := w.handed
	w.handed = nil
	waiting, interrupt := context.WithCancel(ctx)
	w.interrupt = interrupt
	w.mu.Unlock()
	defer interrupt()
	if handed != nil {
		return k.agent.Keeper().Adopt(waiting, *handed)
	}
	return k.agent.Keeper().Acquire(waiting, a)
}

// begin serves under a tenure, unless it is over already.
func (w *want) begin(t *keeper.Tenure, serve func(registry.ActorID, registry.Token) func(error)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Check() != nil {
		return false
	}
	w.tenure, w.stop = t, serve(t.Actor(), t.Token())
	return true
}

// end stops the service and returns its tenure, nil when there is none.
func (w *want) end(why error) *keeper.Tenure {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenure
	if t != nil {
		w.stop(why)
		w.tenure = nil
	}
	return t
}

// take ends the wish for an actor, and returns the tenure that is to be given up.
func (k *kept) take(a registry.ActorID) *keeper.Tenure {
	k.mu.Lock()
	w := k.wants[a]
	delete(k.wants, a)
	k.mu.Unlock()
	if w == nil {
		return nil
	}
	w.cancel()
	<-w.done
	return w.end(nil) // before anything is released
}

func (k *kept) Drop(ctx context.Context, a registry.ActorID) error {
	if t := k.take(a); t != nil {
		return t.Release(ctx)
	}
	return nil
}

func (k *kept) Move(ctx context.Context, a registry.ActorID, to registry.NodeRef) (registry.Lease, error) {
	t := k.take(a)
	if t == nil {
		return registry.Lease{}, fmt.Errorf("%v is not served here", a)
	}
	return t.Transfer(ctx, to)
}

// Adopt interrupts the wait for the actor: serve looks for a lease that was handed
// over before it claims.
func (k *kept) Adopt(l registry.Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.wants[l.Actor]; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handed = &l
		w.interrupt()
	}
}

func (k *kept) Close() error {
	k.mu.Lock()
	wants := k.wants
	k.wants = map[registry.ActorID]*want{}
	k.mu.Unlock()
	for _, w := range wants {
		w.cancel()
	}
	k.wg.Wait()
	if k.also != nil {
		k.also()
	}
	for _, w := range wants {
		w.end(nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.node.Config.TTL/4)
	defer cancel()
	_ = k.agent.Leave(ctx) // a courtesy; the registration ends without it
	<-k.agent.Done()
	return nil
}
