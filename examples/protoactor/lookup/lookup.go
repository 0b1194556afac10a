// Package lookup places the virtual actors of Proto.Actor Go by a registry: it is a
// cluster.IdentityLookup whose activations are tenures of package keeper, and a
// cluster.ClusterProvider whose members are the registry's nodes.
//
//	identities := lookup.New(lookup.Options{Handle: handle, Config: cfg})
//	config := cluster.Configure("name", identities.Members(), identities, remoteConfig, cluster.WithKinds(kinds...))
//
// An actor runs on the member that holds its lease. Whoever looks for it reads the
// registry: while somebody holds it, that member is asked for the PID; when nobody
// does, a member that the framework's strategy names is asked to activate it, and
// claims it first. Of two members that are asked at once, one is granted.
//
//   - Before each message of the user's, the activation checks its tenure. Without
//     one it refuses the message, whose sender is answered as by a dead letter, so
//     that it asks again where the actor is.
//   - When the tenure is lost the activation is stopped.
//   - An activation that stops, for whatever reason, has stopped when its lease is
//     released.
//
// A process can be paused between the check and a write. A write that must never be
// stale carries the tenure's token ([Tenure]) and is checked where it lands.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/keeper"
)

// Options say how actors are placed.
type Options struct {
	Handle registry.Handle
	Config registry.Config // the registry's
	Policy keeper.Policy   // how leases are kept
}

// Lookup is a cluster.IdentityLookup. An actor of kind K and identity I is the
// registry's actor K/I; a member is a node by its actor system's ID, which no other
// process has.
type Lookup struct {
	o       Options
	cluster *cluster.Cluster
	ctx     context.Context // ends with Shutdown
	stop    context.CancelFunc
	joined  chan struct{} // closed when agent is set
	agent   *keeper.Agent
	done    chan struct{} // closed when err is set
	err     error

	mu     sync.Mutex
	active map[registry.ActorID]*activation
	closed bool
	work   sync.WaitGroup // activations, from their claim to their release
}

var _ cluster.IdentityLookup = (*Lookup)(nil)

// New returns a lookup for one member or client.
func New(o Options) *Lookup {
	ctx, stop := context.WithCancel(context.Background())
	return &Lookup{o: o, ctx: ctx, stop: stop, joined: make(chan struct{}), done: make(chan struct{}), active: map[registry.ActorID]*activation{}}
}

// Setup implements cluster.IdentityLookup. A member registers in the background:
// until the registry has answered it activates nothing.
func (l *Lookup) Setup(c *cluster.Cluster, _ []string, isClient bool) {
	l.cluster = c
	if isClient {
		return
	}
	if _, err := c.ActorSystem.Root.SpawnNamed(actor.PropsFromFunc(l.placement), placementName); err != nil {
		l.log().Error("the placement actor was not started", slog.Any("error", err))
		return
	}
	go l.join()
}

// join registers the member, and watches the others.
func (l *Lookup) join() {
	options := keeper.Options{Policy: l.o.Policy, Logger: l.log()}
	var incarnations atomic.Int32
	agent, err := keeper.Join(l.ctx, l.o.Handle, l.o.Config, registry.NodeID(l.cluster.ActorSystem.ID), keeper.AgentOptions{
		Info:   registry.NodeInfo{Address: l.cluster.ActorSystem.Address()},
		Keeper: options,
		Changed: func(*keeper.Keeper) {
			if incarnations.Add(1) == 2 {
				go l.expelled()
			}
		},
	})
	if err != nil {
		l.log().Error("the member was not registered", slog.Any("error", err))
		return
	}
	l.agent = agent
	close(l.joined)
	detector, err := keeper.NewDetector(l.o.Handle, l.o.Config, keeper.DetectorOptions{Options: options})
	if err == nil {
		err = detector.Run(l.ctx)
	}
	if l.ctx.Err() == nil {
		l.log().Error("silent members are not marked any more", slog.Any("error", err))
	}
}

// expelled ends a member that was marked failed.
func (l *Lookup) expelled() {
	<-l.joined
	l.err = ErrExpelled
	close(l.done)
	l.Shutdown()
}

// Done is closed when the lookup has ended by itself; Err says why. The process
// should end then, and start again.
func (l *Lookup) Done() <-chan struct{} { return l.done }

// Err returns nil until Done is closed.
func (l *Lookup) Err() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

// Get implements cluster.IdentityLookup: the PID of an actor, which is activated
// where it is not; nil when that is not possible now.
func (l *Lookup) Get(id *cluster.ClusterIdentity) *actor.PID {
	ctx, cancel := context.WithTimeout(l.ctx, l.patience())
	defer cancel()
	address, err := l.place(ctx, id)
	if err == nil {
		var pid *actor.PID
		if pid, err = l.ask(address, id); err == nil {
			return pid
		}
	}
	l.log().Debug("no activation", slog.String("identity", id.AsKey()), slog.Any("error", err))
	return nil
}

// patience is how long one question of Get may take.
func (l *Lookup) patience() time.Duration { return l.cluster.Config.RequestTimeoutTime / 2 }

var errNobody = errors.New("no member has this kind")

// place returns the address of the member that has the actor, or should have it.
func (l *Lookup) place(ctx context.Context, id *cluster.ClusterIdentity) (string, error) {
	p, found, err := l.o.Handle.Lookup(ctx, actorID(id))
	if err != nil {
		return "", err
	}
	// The registry decides who may claim; a clock that is wrong here costs a refusal.
	if found && p.Held() && l.o.Config.Phase(p.Expiry, registry.SystemClock().Now()) != registry.Reclaimable {
		n, registered, err := l.o.Handle.GetNode(ctx, p.Holder.ID)
		if err == nil && (!registered || n.Ref != p.Holder) {
			err = fmt.Errorf("%v is gone; its lease ends at %v", p.Holder, p.Expiry)
		}
		return n.Info.Address, err
	}
	address := l.cluster.MemberList.GetActivatorMember(id.Kind, l.cluster.ActorSystem.Address())
	if address == "" {
		return "", errNobody
	}
	return address, nil
}

// ask asks a member's placement actor for the PID.
func (l *Lookup) ask(address string, id *cluster.ClusterIdentity) (*actor.PID, error) {
	request := &cluster.ActivationRequest{ClusterIdentity: id}
	answer, err := l.cluster.ActorSystem.Root.RequestFuture(actor.NewPID(address, placementName), request, l.patience()).Result()
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", address, err)
	}
	r, ok := answer.(*cluster.ActivationResponse)
	if !ok || r.Failed || r.Pid == nil {
		return nil, fmt.Errorf("%s has not activated it", address)
	}
	return r.Pid, nil
}

// RemovePid implements cluster.IdentityLookup. An activation of this member is
// stopped, and its lease released then; what others have is theirs.
func (l *Lookup) RemovePid(id *cluster.ClusterIdentity, pid *actor.PID) {
	l.mu.Lock()
	a := l.active[actorID(id)]
	l.mu.Unlock()
	if a != nil && a.is(pid) {
		l.cluster.ActorSystem.Root.Stop(pid)
	}
}

// Shutdown implements cluster.IdentityLookup: all activations stop after the messages
// that they have, their leases are released, and the member leaves. What has not
// stopped within a lease is left to lapse. Again it does nothing.
func (l *Lookup) Shutdown() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	var open []*activation
	for _, a := range l.active {
		open = append(open, a)
	}
	l.mu.Unlock()
	if !first {
		return
	}
	defer l.stop()
	ctx, cancel := context.WithTimeout(l.ctx, l.o.Config.TTL)
	defer cancel()
	for _, a := range open {
		a.poison(ctx, l.cluster.ActorSystem.Root)
	}
	stopped := make(chan struct{})
	go func() { l.work.Wait(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
	select {
	case <-l.joined:
		if err := l.agent.Leave(ctx); err != nil {
			l.log().Warn("the registration is left to its failure timeout", slog.Any("error", err))
		}
	default:
	}
}

func (l *Lookup) log() *slog.Logger { return l.cluster.Logger() }

func actorID(id *cluster.ClusterIdentity) registry.ActorID {
	return registry.ActorID{Namespace: id.Kind, Name: id.Identity}
}
