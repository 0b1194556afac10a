// Package registry states the contract of a single-activation actor registry:
// the component of a virtual-actor runtime that decides on which node an actor
// may run, and that never says yes to two nodes at once.
//
// The package holds the contract as Go types: interfaces, values, limits, the
// order of refusals and the arithmetic of lease time. It depends on the
// standard library only. Implementations (memimpl, fdbimpl) satisfy [Handle];
// the conformance package judges whether an implementation keeps the contract.
//
// # Time
//
// Every handle has its own [Clock]. All clocks of a cluster stay within
// [Config.MaxClockSkew] (ε) of true time and may step backwards within that
// bound. A lease's Expiry is a reading of the writer's clock plus TTL. For a
// reading c of any node's clock a held record is
//
//	live         c <  Expiry                     the holder may serve
//	grace        c <  Expiry + Grace             the holder must stop, may still renew
//	lapsed       c >= Expiry + Grace             the holder can no longer renew
//	reclaimable  c >= Expiry + Grace + 2ε        anybody may claim
//
// The margin is 2ε because the holder's clock may be ε slow while the
// claimer's is ε fast. See [Config.Phase].
//
// # Tokens and versions
//
// [Token] grows by one at every grant of ownership of an actor and fences late
// writes: it needs no clock to be right. [Version] grows by one at every
// mutation of the actor's record, release included, so that every conditional
// write in flight is invalidated. Records are never deleted: a released actor
// keeps its token and version.
package registry

import "context"

// Registry decides which node may run an actor.
//
// All methods are safe for concurrent use. Each takes effect atomically at one
// instant between its call and its return (per actor the operations are
// linearizable); the clock check, the membership check and the write are one
// atomic step. Each attempt of an operation reads the handle's clock exactly
// once.
//
// When several refusals apply, the one reported is the first in this order:
// [ErrInvalid], [ErrClosed], [ErrNodeUnknown] or [ErrNodeFailed], [ErrFenced],
// [ErrNotHeld], [ErrLapsed], [ErrHeld]. A refusal changes nothing. A context that
// is done when a method is called fails it with the context's error, after
// ErrInvalid and ErrClosed and before the state is looked at. Any method may
// also fail with [ErrUnavailable] (nothing happened), [ErrAmbiguous] (it may or
// may not have happened) or the context's error (nothing happened).
type Registry interface {
	// Claim asks for actor on behalf of node. It is granted when node is
	// registered and not failed and the record has no holder or is
	// reclaimable: the holder becomes node, Token and Version grow by one,
	// Expiry is the clock's reading plus TTL, and id is stored.
	//
	// A claim that carries the ClaimID of the current record, from the
	// record's holder, returns the current lease unchanged while that tenure
	// has not lapsed, whatever has become of the node since: a retry after a
	// lost answer is safe.
	//
	// Refusals: ErrNodeUnknown, ErrNodeFailed, ErrHeld with the placement found.
	Claim(ctx context.Context, actor ActorID, node NodeRef, id ClaimID) (Lease, error)

	// Renew extends the lease while its tenure is the current one and has not
	// lapsed: Expiry becomes the later of the present Expiry and the clock's
	// reading plus TTL, Version grows by one, Token stays. Only the lease's
	// Actor, Holder and Token matter; its Version and Expiry may be old.
	//
	// Refusals: ErrFenced (a higher token exists), ErrNotHeld (released, or
	// never granted to this holder), ErrLapsed.
	Renew(ctx context.Context, lease Lease) (Lease, error)

	// Release ends the tenure: the record has no holder, Version grows by one,
	// Token is kept. It succeeds whatever the clock says. Releasing the latest
	// tenure again is a no-op that succeeds.
	//
	// Refusals: ErrFenced, ErrNotHeld (never granted to this holder).
	Release(ctx context.Context, lease Lease) error

	// Transfer hands a live lease to another node without a gap: the holder
	// becomes to, Token and Version grow by one, Expiry is the clock's reading
	// plus TTL. The new tenure has no ClaimID.
	//
	// Refusals: ErrNodeUnknown and ErrNodeFailed (of to), ErrFenced, ErrNotHeld,
	// ErrLapsed (no longer live; grace is too late).
	Transfer(ctx context.Context, lease Lease, to NodeRef) (Lease, error)

	// Lookup returns the actor's raw record, and found false when the actor
	// was never claimed. It is never filtered by a clock and never answered
	// from a cache. With an error, found is false and p is zero.
	Lookup(ctx context.Context, actor ActorID) (p Placement, found bool, err error)

	// Validate succeeds when the actor has a holder and token is its current
	// token, whatever the clock says. It is the check that a guarded write makes.
	//
	// Refusals: ErrFenced (a higher token exists), ErrNotHeld (released, or
	// the token was never granted).
	Validate(ctx context.Context, actor ActorID, token Token) error

	// ListActors returns the records whose holder is node, lapsed ones
	// included, a page at a time in an order of the backend's choice that is
	// the same for every page. Each row was true at some instant during the
	// call that returned it, and an actor held by node throughout all calls of
	// a listing is in it exactly once; rows need not all have been true at the
	// same instant. A node that is unknown has no rows; that is not an error.
	ListActors(ctx context.Context, node NodeRef, page Page) (rows []Placement, next Cursor, err error)

	// Close releases what the handle holds, its goroutines included. It changes
	// no record and no registration: leases are left to run out.
	// Operations called afterwards fail with ErrClosed, operations in flight
	// may; a second Close succeeds.
	Close() error
}

// Membership keeps the cluster's nodes: who is registered, under which epoch,
// and who was found failed. Concurrency and errors are as for [Registry];
// operations are linearizable per node.
//
// Failure detection never takes an actor away: a failed node makes no new
// claims and its leases run out. A false suspicion can therefore not create a
// second activation.
type Membership interface {
	// RegisterNode starts a new incarnation of id with the next epoch, status
	// active, last seen now. With IfAbsent it is refused while an active
	// registration exists; with Supersede it replaces one, and the replaced
	// epoch is failed for good.
	//
	// A registration under the Instance of the active registration, not zero,
	// repeats it, whatever the mode and the address: the same incarnation is
	// returned and nothing changes, so that a retry after a lost answer is safe.
	//
	// Refusals: ErrNodeExists.
	RegisterNode(ctx context.Context, id NodeID, info NodeInfo, mode RegisterMode) (Node, error)

	// Heartbeat sets the node's last-seen time to the clock's reading. (The
	// writer's clock may be behind the one that wrote before; last-seen is
	// then lower than it was, by at most 2ε.)
	//
	// Refusals: ErrNodeUnknown, ErrNodeFailed.
	Heartbeat(ctx context.Context, node NodeRef) error

	// MarkFailed marks the incarnation as failed, for good, once the clock's
	// reading is at least last-seen + FailureTimeout + 2ε. Marking an
	// incarnation that is failed already is a no-op that succeeds.
	//
	// Refusals: ErrNodeUnknown, ErrNodeAlive.
	MarkFailed(ctx context.Context, node NodeRef) error

	// DeregisterNode ends the current registration, active or failed. The
	// node's leases are left to run out.
	//
	// Refusals: ErrNodeUnknown (also for an epoch that is not the current one).
	DeregisterNode(ctx context.Context, node NodeRef) error

	// GetNode returns the latest incarnation of id, whatever its status, and
	// found false when id was never registered. With an error, found is false
	// and n is zero.
	GetNode(ctx context.Context, id NodeID) (n Node, found bool, err error)

	// ListNodes returns the latest incarnation of every node whose status is
	// the one asked for, or of every node for AnyStatus, a page at a time. It
	// promises what ListActors promises.
	ListNodes(ctx context.Context, status NodeStatus, page Page) (rows []Node, next Cursor, err error)
}

// Handle is one node's access to a registry: what a backend opens for a node
// with that node's clock.
type Handle interface {
	Registry
	Membership
}

// BatchRenewer is an optional interface of a [Registry] that renews many
// leases at a lower cost than one by one.
type BatchRenewer interface {
	// RenewBatch renews each lease as [Registry.Renew] would and returns one
	// result per lease, in order. Each renewal is atomic, the batch is not.
	RenewBatch(ctx context.Context, leases []Lease) []Renewal
}

// Renewal is the outcome of one lease of a [BatchRenewer.RenewBatch]: the
// renewed lease, or the error that Renew would have returned.
type Renewal struct {
	Lease Lease
	Err   error
}

// Purger is an optional interface of a [Registry] that need not keep every record
// for ever.
type Purger interface {
	// Purge forgets records that nobody holds, and from Expiry + Grace + 2ε on, by the
	// handle's clock, those whose holder is no active incarnation any more; each as
	// much later as the store retains it. It returns how many it forgot. Nobody finds
	// them any more, and whoever presents one of their tenures is refused with
	// [ErrNotHeld], until the actor is claimed again: under a token and a version
	// higher than any that it ever had (see [Floor]).
	//
	// It looks at every record, each in a step of its own. An error says why it
	// came to an end early; what it has forgotten until then stays forgotten. A store
	// that forgets nothing fails with [ErrInvalid].
	Purge(ctx context.Context) (forgotten int, err error)
}

// Watcher is an optional interface of a [Registry] that can wait for a change.
type Watcher interface {
	// Watch returns the actor's record as soon as its Version differs from
	// seen (0: no record yet), at once when it already does. It may miss
	// intermediate versions, never the last one. It fails with the context's
	// error, ErrClosed or ErrUnavailable. A lease that runs out changes no
	// record and wakes nobody.
	Watch(ctx context.Context, actor ActorID, seen Version) (Placement, error)
}
