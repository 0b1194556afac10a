package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// ErrSuperseded: another process registered under this node's name. It matches
// ErrNodeOver.
var ErrSuperseded = fmt.Errorf("%w: superseded by another process of the same name", ErrNodeOver)

// AgentOptions are the optional parts of an [Agent].
type AgentOptions struct {
	// Info is what the node tells of itself. A zero Instance is replaced by one
	// that the agent chooses: under it a registration whose answer was lost is
	// repeated without harm.
	Info registry.NodeInfo

	// Mode of the first registration. The zero value, IfAbsent, makes Join
	// fail with ErrNodeExists while an earlier process of that name counts as
	// active; a process that restarts under its old name wants Supersede.
	Mode registry.RegisterMode

	// HeartbeatEvery is the time between heartbeats; default FailureTimeout/3,
	// at most FailureTimeout/2: a heartbeat may get lost, and there must be time
	// for the next one. A call about the registration is given FailureTimeout/6
	// and repeated after a pause of FailureTimeout/60 to FailureTimeout/6.
	HeartbeatEvery time.Duration

	// Keeper are the options of each incarnation's keeper. The clock and the
	// logger serve the agent as well.
	Keeper Options

	// Changed is told of each new incarnation's keeper, the first one included.
	// Like an Observer it is called on a goroutine of its own, in order: it may
	// come after Join has returned, delays nothing, and may call the agent.
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
	if err := errors.Join(present("context", ctx), present("handle", h), id.Validate(), o.Info.Validate(), o.Mode.Validate()); err != nil {
		return nil, err
	}
	p, err := newPatience(cfg, o.Keeper)
	if err != nil {
		return nil, err
	}
	if o.HeartbeatEvery == 0 {
		o.HeartbeatEvery = max(cfg.FailureTimeout/3, 1)
	}
	if o.HeartbeatEvery < 0 || o.HeartbeatEvery > cfg.FailureTimeout/2 {
		return nil, &registry.InvalidError{Field: "agent HeartbeatEvery", Problem: fmt.Sprintf("is %v, want 0 to %v", o.HeartbeatEvery, cfg.FailureTimeout/2)}
	}
	if o.Changed == nil {
		o.Changed = func(*Keeper) {}
	}
	if o.Info.Instance.IsZero() {
		o.Info.Instance = registry.NewInstanceID()
	}
	a := &Agent{handle: h, cfg: cfg, id: id, o: o, patience: p, done: make(chan struct{})}
	live, stop := context.WithCancelCause(context.Background())
	a.stop = stop
	if err := a.register(ctx, o.Mode, 0); err != nil {
		stop(err)
		return nil, err
	}
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
// left to run out. Release them first for a clean hand-off. It returns when ctx
// ends at the latest, with its cause; the agent ends all the same, the registration
// then by its failure timeout. It may be called from callbacks, and more than once.
func (a *Agent) Leave(ctx context.Context) error {
	if err := present("context", ctx); err != nil {
		return err
	}
	a.stop(ErrNodeOver)
	a.Keeper().End(ErrNodeOver) // whatever the agent is waiting for
	left := make(chan error, 1)
	go func() {
		select {
		case <-a.done: // it may be registering: which incarnation is the last one is not known before
		case <-ctx.Done():
			return
		}
		node := a.Keeper().node
		left <- a.insist(ctx, "DeregisterNode", func(ctx context.Context) error { return a.handle.DeregisterNode(ctx, node) })
	}()
	select {
	case err := <-left:
		if errors.Is(err, registry.ErrNodeUnknown) {
			return nil // over already, by an earlier attempt or a successor
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *Agent) question(op string) question {
	return question{op: op, nodes: []registry.NodeID{a.id}}
}

// insist makes a call about the registration until it is answered for good.
func (a *Agent) insist(ctx context.Context, op string, call func(context.Context) error) error {
	_, err := insist(ctx, a.patience, memberPace(a.cfg), func(ctx context.Context) (done, error) {
		return done{}, a.judge(a.question(op), call(ctx))
	})
	return err
}

// register begins a new incarnation, of an epoch after the given one. An attempt
// whose answer was lost may have registered us, or have been refused. It is
// repeated under the same instance and in the same mode (contract, section 3,
// RegisterNode): if it took effect the same incarnation is told again, if it was
// refused it is refused again, and a live process of this name is superseded only
// when that was asked for.
func (a *Agent) register(ctx context.Context, mode registry.RegisterMode, after registry.Epoch) error {
	n, err := insist(ctx, a.patience, memberPace(a.cfg), func(ctx context.Context) (registry.Node, error) {
		n, err := a.handle.RegisterNode(ctx, a.id, a.o.Info, mode)
		q := a.question("RegisterNode")
		if err = q.refused(err); err == nil {
			err = q.registered(n, a.id, after)
		}
		return n, a.complain(err)
	})
	if err != nil {
		return err
	}
	next := a.keep(n.Ref)
	a.mu.Lock()
	a.keeper = next
	a.mu.Unlock()
	a.tell(slog.LevelInfo, "node registered", "node", n.Ref)
	a.events.post(func() { a.o.Changed(next) })
	return nil
}

// keep returns a keeper for an incarnation. What the agent has learnt about the
// node's clock holds for all of them; each draws by itself and tells by itself.
func (a *Agent) keep(node registry.NodeRef) *Keeper {
	p, _ := newPatience(a.cfg, a.o.Keeper) // valid for the agent, so valid for its keepers
	p.steady = a.steady
	return newKeeper(a.handle, a.cfg, node, a.o.Keeper.Observer, p)
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
		err = a.insist(ctx, "Heartbeat", func(ctx context.Context) error { return a.handle.Heartbeat(ctx, k.node) })
		if errors.Is(err, registry.ErrNodeFailed) || errors.Is(err, registry.ErrNodeUnknown) {
			k.End(fmt.Errorf("%w: %w", ErrNodeOver, err)) // before anything else
			err = a.comeBack(ctx, k)
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx) // and not what a call said that was ended by it
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
	latest, err := insist(ctx, a.patience, memberPace(a.cfg), func(ctx context.Context) (registry.Node, error) {
		latest, found, err := a.handle.GetNode(ctx, a.id)
		q := a.question("GetNode")
		if err = q.refused(err); err == nil && found && latest.Ref.ID != a.id {
			err = q.bad("node %q", latest.Ref.ID)
		}
		return latest, a.complain(err)
	})
	if err != nil {
		return err
	}
	if latest.Ref.Epoch > k.node.Epoch {
		return ErrSuperseded
	}
	err = a.register(ctx, registry.IfAbsent, k.node.Epoch)
	if errors.Is(err, registry.ErrNodeExists) {
		return ErrSuperseded
	}
	return err
}
