package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// ErrSuperseded: another process registered under this node's name. It matches
// ErrNodeOver.
var ErrSuperseded = fmt.Errorf("%w: superseded by another process of the same name", ErrNodeOver)

// AgentOptions are the optional parts of an [Agent].
type AgentOptions struct {
	Info registry.NodeInfo

	// Mode of the first registration. The zero value, IfAbsent, makes Join
	// fail with ErrNodeExists while an earlier process of that name counts as
	// active; a process that restarts under its old name wants Supersede.
	Mode registry.RegisterMode

	// HeartbeatEvery is the time between heartbeats; default FailureTimeout/3.
	HeartbeatEvery time.Duration

	// Keeper are the options of each incarnation's keeper. The clock, the
	// logger and the policy's retry pause serve the agent as well.
	Keeper Options

	// Changed is called when a new incarnation has begun, with its keeper.
	Changed func(*Keeper)
}

// Agent keeps a node registered: it heartbeats, notices that the incarnation
// was marked failed, steps down from all its tenures, and registers again under
// the next epoch with a keeper of its own. A process that was superseded by
// another of its name does not fight: its agent ends.
type Agent struct {
	handle registry.Handle
	cfg    registry.Config
	id     registry.NodeID
	o      AgentOptions
	done   chan struct{}
	stop   context.CancelCauseFunc
	*patience

	mu     sync.Mutex
	keeper *Keeper
	err    error
}

// Join registers the node and starts its agent. It waits out trouble of the
// registry until ctx ends; ctx does not bound the agent's life.
func Join(ctx context.Context, h registry.Handle, cfg registry.Config, id registry.NodeID, o AgentOptions) (*Agent, error) {
	if o.HeartbeatEvery == 0 {
		o.HeartbeatEvery = max(cfg.FailureTimeout/3, 1)
	}
	if o.HeartbeatEvery < 0 || o.HeartbeatEvery > cfg.FailureTimeout {
		return nil, &registry.InvalidError{Field: "agent HeartbeatEvery", Problem: fmt.Sprintf("is %v, want 0 to %v", o.HeartbeatEvery, cfg.FailureTimeout)}
	}
	if o.Changed == nil {
		o.Changed = func(*Keeper) {}
	}
	p, err := newPatience(cfg, o.Keeper)
	if err != nil {
		return nil, err
	}
	a := &Agent{handle: h, cfg: cfg, id: id, o: o, patience: p, done: make(chan struct{})}
	if err := a.register(ctx, o.Mode); err != nil {
		return nil, err
	}
	live, stop := context.WithCancelCause(context.Background())
	a.stop = stop
	go a.run(live)
	return a, nil
}

// Keeper returns the keeper of the present incarnation. After a change of
// incarnation the earlier keeper is over and its tenures are lost.
func (a *Agent) Keeper() *Keeper {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keeper
}

// Done is closed when the agent has ended; Err says why.
func (a *Agent) Done() <-chan struct{} { return a.done }

// Err returns nil while the agent runs, and then why it ended: ErrSuperseded,
// ErrNodeOver after Leave, or the registry's error that made going on impossible.
func (a *Agent) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Leave ends the agent and the registration: all tenures are lost at once and
// left to run out. Release them first for a clean hand-off.
func (a *Agent) Leave(ctx context.Context) error {
	a.stop(ErrNodeOver)
	<-a.done
	node := a.Keeper().node
	err := a.insist(ctx, func(ctx context.Context) error { return a.handle.DeregisterNode(ctx, node) })
	if errors.Is(err, registry.ErrNodeUnknown) {
		return nil // over already, by an earlier attempt or a successor
	}
	return err
}

// register begins a new incarnation. An attempt whose answer was lost may have
// registered us; the next one supersedes it, so that at most our own earlier
// epoch is lost.
func (a *Agent) register(ctx context.Context, mode registry.RegisterMode) error {
	var n registry.Node
	err := a.insist(ctx, func(ctx context.Context) (err error) {
		n, err = a.handle.RegisterNode(ctx, a.id, a.o.Info, mode)
		if errors.Is(err, registry.ErrAmbiguous) {
			mode = registry.Supersede
		}
		return err
	})
	if err != nil {
		return err
	}
	next, err := New(a.handle, a.cfg, n.Ref, a.o.Keeper)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.keeper = next
	a.mu.Unlock()
	next.log.Info("node registered", "node", n.Ref)
	a.o.Changed(next)
	return nil
}

// run heartbeats until the agent is stopped or cannot go on.
func (a *Agent) run(ctx context.Context) {
	defer close(a.done)
	var err error
	for err == nil {
		k := a.Keeper()
		if err = a.sleep(ctx, a.o.HeartbeatEvery); err != nil {
			break
		}
		err = a.insist(ctx, func(ctx context.Context) error { return a.handle.Heartbeat(ctx, k.node) })
		if errors.Is(err, registry.ErrNodeFailed) || errors.Is(err, registry.ErrNodeUnknown) {
			k.End(fmt.Errorf("%w: %w", ErrNodeOver, err)) // before anything else
			err = a.comeBack(ctx, k)
		}
	}
	a.mu.Lock()
	a.err = err
	a.mu.Unlock()
	a.Keeper().End(err)
}

// comeBack registers again after the incarnation of k ended. Only an epoch that
// is still the latest was ended by the failure detector or an operator; a later
// one belongs to another process, which IfAbsent leaves alone.
func (a *Agent) comeBack(ctx context.Context, k *Keeper) error {
	var latest registry.Node
	err := a.insist(ctx, func(ctx context.Context) (err error) {
		latest, _, err = a.handle.GetNode(ctx, a.id)
		return err
	})
	if err != nil {
		return err
	}
	if latest.Ref.Epoch > k.node.Epoch {
		return ErrSuperseded
	}
	err = a.register(ctx, registry.IfAbsent)
	if errors.Is(err, registry.ErrNodeExists) {
		return ErrSuperseded
	}
	return err
}
