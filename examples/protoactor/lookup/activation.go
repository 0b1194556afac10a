package lookup

import (
	"context"
	"errors"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/kelpie-registry/registry/keeper"
)

// placementName is the name of the actor, one a member, that is asked for PIDs.
const placementName = "registry-placement"

// placement answers other members' questions. It does not wait for the registry: each
// question has a goroutine of its own.
func (l *Lookup) placement(ctx actor.Context) {
	request, ok := ctx.Message().(*cluster.ActivationRequest)
	if !ok || ctx.Sender() == nil {
		return
	}
	sender := ctx.Sender()
	go func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.patience())
		defer cancel()
		pid, err := l.activate(ctx, request.ClusterIdentity)
		if err != nil {
			l.log().Debug("not activated", slog.String("identity", request.ClusterIdentity.AsKey()), slog.Any("error", err))
		}
		l.cluster.ActorSystem.Root.Send(sender, &cluster.ActivationResponse{Pid: pid, Failed: err != nil})
	}()
}

// activation is an actor of this member, from its claim until it has stopped.
type activation struct {
	id    *cluster.ClusterIdentity
	ready chan struct{} // closed when the rest is set

	tenure *keeper.Tenure
	pid    *actor.PID
	err    error // why there is neither
}

var (
	errShut      = errors.New("the member is shutting down")
	errNotJoined = errors.New("the member is not registered yet")
	errKind      = errors.New("the member does not have this kind")
)

// activate returns the actor's PID here, and claims and starts it where it is not.
// Callers that come meanwhile wait for the same claim. An activation whose tenure is
// lost stays until it has stopped: this member does not claim the actor before.
func (l *Lookup) activate(ctx context.Context, id *cluster.ClusterIdentity) (*actor.PID, error) {
	a, err := l.activation(id)
	if err != nil {
		return nil, err
	}
	select {
	case <-a.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.pid, a.tenure.Check()
}

func (l *Lookup) activation(id *cluster.ClusterIdentity) (*activation, error) {
	kind, known := l.cluster.TryGetClusterKind(id.Kind)
	if !known {
		return nil, errKind
	}
	select {
	case <-l.joined:
	default:
		return nil, errNotJoined
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.active[actorID(id)]; a != nil {
		return a, nil
	}
	if l.closed {
		return nil, errShut
	}
	a := &activation{id: id, ready: make(chan struct{})}
	l.active[actorID(id)] = a
	l.work.Add(1)
	go l.start(a, kind)
	return a, nil
}

// start claims the actor and spawns it.
func (l *Lookup) start(a *activation, kind *cluster.ActivatedKind) {
	defer close(a.ready)
	ctx, cancel := context.WithTimeout(l.ctx, l.patience())
	defer cancel()
	a.tenure, a.err = l.agent.Keeper().TryAcquire(ctx, actorID(a.id))
	if a.err != nil {
		l.forget(a)
		return
	}
	props := cluster.WithClusterIdentity(kind.Props, a.id).Clone(
		actor.WithOnInit(func(ctx actor.Context) { ctx.Set(&held{a.tenure}) }),
		actor.WithReceiverMiddleware(l.guard(a)))
	a.pid = l.cluster.ActorSystem.Root.SpawnPrefix(props, a.id.Identity)
	kind.Inc()
	context.AfterFunc(a.tenure.Context(), func() { l.cluster.ActorSystem.Root.Stop(a.pid) })
}

// guard checks the tenure before each of the user's messages, and gives the actor up
// after its last one.
func (l *Lookup) guard(a *activation) actor.ReceiverMiddleware {
	return func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, m *actor.MessageEnvelope) {
			switch m.Message.(type) {
			case *actor.Stopped:
				next(ctx, m)
				go l.giveUp(a)
				return
			case actor.SystemMessage, actor.AutoReceiveMessage:
				next(ctx, m)
				return
			}
			if a.tenure.Check() == nil {
				next(ctx, m)
			} else if m.Sender != nil {
				ctx.ActorSystem().Root.Send(m.Sender, &actor.DeadLetterResponse{Target: ctx.Self()})
			}
		}
	}
}

// giveUp releases a tenure whose activation has stopped.
func (l *Lookup) giveUp(a *activation) {
	<-a.ready // it may have stopped before start has returned
	if kind, known := l.cluster.TryGetClusterKind(a.id.Kind); known {
		kind.Dec()
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.o.Config.TTL)
	defer cancel()
	if err := a.tenure.Release(ctx); err != nil {
		l.log().Debug("not released, left to lapse", slog.String("identity", a.id.AsKey()), slog.Any("error", err))
	}
	l.forget(a)
}

// forget ends an activation that has stopped, or that never was.
func (l *Lookup) forget(a *activation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active[actorID(a.id)] == a {
		delete(l.active, actorID(a.id))
		l.work.Done()
	}
}

// is says whether a is the activation with this PID.
func (a *activation) is(pid *actor.PID) bool {
	select {
	case <-a.ready:
		return a.err == nil && a.pid.Equal(pid)
	default:
		return false
	}
}

// poison stops the activation after the messages that it has.
func (a *activation) poison(ctx context.Context, root *actor.RootContext) {
	select {
	case <-a.ready:
		if a.err == nil {
			root.Poison(a.pid)
		}
	case <-ctx.Done():
	}
}

// held is how an actor's context knows its tenure.
type held struct{ tenure *keeper.Tenure }

var heldID = ctxext.NextContextExtensionID()

// ExtensionID implements ctxext.ContextExtension.
func (*held) ExtensionID() ctxext.ContextExtensionID { return heldID }

// Tenure returns the tenure under which an activation works: its token goes with each
// write, its context ends when the work has to. It is nil for actors that this lookup
// has not placed.
func Tenure(ctx actor.ExtensionContext) *keeper.Tenure {
	if h, ok := ctx.Get(heldID).(*held); ok {
		return h.tenure
	}
	return nil
}
