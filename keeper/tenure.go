package keeper

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
)

// Tenure is one ownership of one actor by this node, from its grant to its
// loss. It never comes back: to serve again, acquire again. All methods are
// safe for concurrent use.
type Tenure struct {
	keeper *Keeper
	actor  registry.ActorID
	token  registry.Token
	ctx    context.Context
	cancel context.CancelCauseFunc

	// The deadline, readable without the keeper's lock. Both parts only grow
	// while the tenure lasts and each is good by itself, so reading one old
	// and one new is at worst too strict. A loss sets the first to the past.
	wall, elapsed atomic.Int64

	// Guarded by keeper.mu.
	h      holding
	index  int  // in keeper.tenures; -1 once dropped
	queued bool // in keeper.ready
}

// publish makes the holding's deadline visible to Check.
func (t *Tenure) publish() {
	if t.h.lost != nil {
		t.wall.Store(math.MinInt64)
		return
	}
	t.wall.Store(int64(t.h.deadline.wall))
	t.elapsed.Store(int64(t.h.deadline.elapsed))
}

// Actor returns the actor.
func (t *Tenure) Actor() registry.ActorID { return t.actor }

// Token returns the tenure's fencing token, to be sent with every write.
func (t *Tenure) Token() registry.Token { return t.token }

// Context is cancelled when the tenure is lost, before anybody else can hold
// the actor; its [context.Cause] is a [*LostError].
func (t *Tenure) Context() context.Context { return t.ctx }

// Lease returns the lease as last renewed.
func (t *Tenure) Lease() registry.Lease {
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	return t.h.lease
}

// Deadline returns the reading of the node's wall clock at which the node steps
// down unless the lease is renewed before.
func (t *Tenure) Deadline() registry.Instant {
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	return t.h.deadline.wall
}

// Check returns nil while the node may serve the actor, and the [*LostError]
// from then on. It costs two clock readings and no lock: call it for every
// request, before its effects.
//
// It reads the clocks itself instead of waiting for the keeper to run, so that a
// process that was paused past the deadline (garbage collection, SIGSTOP, a
// suspended machine) refuses the first request after it wakes. It cannot
// promise anything about the instant after it returned: a process can be
// paused between Check and a write. A write that must never be stale carries
// [Tenure.Token] and is checked where it lands.
func (t *Tenure) Check() error {
	deadline := moment{registry.Instant(t.wall.Load()), time.Duration(t.elapsed.Load())}
	clock := t.keeper.clock
	if now := (moment{clock.Now(), clock.Elapsed()}); now.before(deadline) {
		return nil
	}
	// For good, even if the wall clock steps back.
	return t.end(ErrDeadline)
}

// end loses the tenure, if it is not lost yet, and returns why it was lost.
func (t *Tenure) end(cause error) error {
	k := t.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.index >= 0 {
		k.announce([]*Tenure{k.drop(t, cause)})
	}
	return t.h.lost
}

// Release gives the actor up: the tenure is lost at once, locally, and then
// released in the registry so that others need not wait for it to run out. Stop
// the work first. A failed release is retried until ctx ends; giving up does no
// harm, the lease then runs out. Releasing a tenure that was lost for another
// cause is allowed once its work has stopped.
func (t *Tenure) Release(ctx context.Context) error {
	if err := present("context", ctx); err != nil {
		return err
	}
	_ = t.end(ErrReleased)
	_, err := insist(ctx, t.keeper.patience, t.keeper.policy.pace(), t.release)
	if errors.Is(err, registry.ErrFenced) {
		return nil // somebody else holds the actor already: it is given up
	}
	return err
}

// release makes one call. The tenure is over, so its lease no longer changes.
func (t *Tenure) release(ctx context.Context) (done, error) {
	return done{}, t.keeper.judge(question{op: "Release", actor: t.actor, held: t.token}, t.keeper.registry.Release(ctx, t.h.lease))
}

// Transfer hands the actor to another node without a gap and returns that
// node's lease. The tenure is lost at once, before the registry is asked: were
// it kept until the answer, both nodes could serve meanwhile. Where the
// transfer is refused the actor is released instead and the refusal returned. A
// node that cannot exist is refused before anything is done.
func (t *Tenure) Transfer(ctx context.Context, to registry.NodeRef) (registry.Lease, error) {
	if err := errors.Join(present("context", ctx), to.Validate()); err != nil {
		return registry.Lease{}, err
	}
	_ = t.end(ErrReleased)
	k, at := t.keeper, t.keeper.policy.pace()
	first := k.moment()
	granted, err := insist(ctx, k.patience, at, func(ctx context.Context) (registry.Lease, error) {
		l, err := k.registry.Transfer(ctx, t.h.lease, to)
		return l, t.transferred(l, err, to, first)
	})
	if err == nil {
		return granted, nil
	}
	// An earlier attempt, whose answer was lost, may have handed it over.
	if p, found, lookErr := k.lookup(ctx, t.actor); lookErr == nil && found && p.Holder == to && p.Token == t.token+1 {
		return p.Lease(), nil
	}
	_, _ = ask(ctx, k.patience, at, t.release)
	return registry.Lease{}, err
}

// transferred judges the answer to a transfer.
func (t *Tenure) transferred(l registry.Lease, err error, to registry.NodeRef, first moment) error {
	k := t.keeper
	q := question{op: "Transfer", actor: t.actor, held: t.token, nodes: []registry.NodeID{to.ID}}
	if err = q.refused(err); err == nil {
		err = q.granted(k.cfg, l, grant{holder: to, above: t.token, version: t.h.lease.Version, sent: first}, k.moment())
	}
	return k.complain(err)
}
