package op

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
)

// The operations of [registry.Registry], [registry.BatchRenewer],
// [registry.Watcher] and [registry.Membership].
const (
	Claim Kind = iota + 1
	Renew
	Release
	Transfer
	Lookup
	Validate
	ListActors
	RenewBatch
	Watch

	RegisterNode
	Heartbeat
	MarkFailed
	DeregisterNode
	GetNode
	ListNodes

	Close
)

// row is all that is to be known of one operation.
type row struct {
	name      string
	mutates   bool
	effect    Effect
	timed     bool       // its outcome depends on a reading of the clock
	arguments []argument // in the order of the parameters
	answers   answers
	do        func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error)
}

// answers says which parts of a [Result] an operation fills in.
type answers uint8

const (
	nothing    answers = iota
	aLease             // Record: the lease granted or renewed
	aRecord            // Record and Found
	aChange            // Record, once it differs
	aNode              // Node
	aMember            // Node and Found
	actorRows          // Actors and Next
	nodeRows           // Nodes and Next
	resultRows         // Renewals
)

// finds reports whether the operation answers whether there is anything.
func (r *row) finds() bool {
	return r.answers == aRecord || r.answers == aMember || r.answers == aChange
}

// table has a row for each operation.
var table = [...]row{
	Claim: {"Claim", true, Begins, true, []argument{actorArg, nodeArg, claimIDArg}, aLease, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return leased(h.Claim(ctx, c.Actor, c.Node, c.ClaimID))
	}},
	Renew: {"Renew", true, Keeps, true, leaseArgs, aLease, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return leased(h.Renew(ctx, c.Lease()))
	}},
	Release: {"Release", true, Ends, false, leaseArgs, nothing, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return Result{}, h.Release(ctx, c.Lease())
	}},
	Transfer: {"Transfer", true, Passes, true, append(leaseArgs[:len(leaseArgs):len(leaseArgs)], toArg), aLease, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return leased(h.Transfer(ctx, c.Lease(), c.To))
	}},
	Lookup: {"Lookup", false, NoTenure, false, []argument{actorArg}, aRecord, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		r.Record, r.Found, err = h.Lookup(ctx, c.Actor)
		return r, err
	}},
	Validate: {"Validate", false, NoTenure, false, []argument{actorArg, tokenArg}, nothing, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return Result{}, h.Validate(ctx, c.Actor, c.Token)
	}},
	ListActors: {"ListActors", false, NoTenure, false, []argument{nodeArg, afterArg, limitArg}, actorRows, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		r.Actors, r.Next, err = h.ListActors(ctx, c.Node, c.Page)
		return r, err
	}},
	RenewBatch: {"RenewBatch", true, NoTenure, false, []argument{batchArg}, resultRows, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		b, ok := h.(registry.BatchRenewer)
		if !ok {
			return r, unsupported(RenewBatch)
		}
		for _, renewal := range b.RenewBatch(ctx, c.Leases) {
			one := Result{Record: registry.Placement(renewal.Lease)}
			one.end(nil, renewal.Err)
			r.Renewals = append(r.Renewals, one)
		}
		return r, nil
	}},
	Watch: {"Watch", false, NoTenure, false, []argument{actorArg, seenArg}, aChange, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		w, ok := h.(registry.Watcher)
		if !ok {
			return r, unsupported(Watch)
		}
		r.Record, err = w.Watch(ctx, c.Actor, c.Seen)
		r.Found = r.Record.Version > 0
		return r, err
	}},
	RegisterNode: {"RegisterNode", true, NoTenure, true, []argument{nodeIDArg, addressArg, instanceArg, modeArg}, aNode, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		r.Node, err = h.RegisterNode(ctx, c.Node.ID, c.Info, c.Mode)
		return r, err
	}},
	Heartbeat: {"Heartbeat", true, NoTenure, true, []argument{nodeArg}, nothing, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return Result{}, h.Heartbeat(ctx, c.Node)
	}},
	MarkFailed: {"MarkFailed", true, NoTenure, true, []argument{nodeArg}, nothing, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return Result{}, h.MarkFailed(ctx, c.Node)
	}},
	DeregisterNode: {"DeregisterNode", true, NoTenure, false, []argument{nodeArg}, nothing, func(ctx context.Context, h registry.Handle, c *Call) (Result, error) {
		return Result{}, h.DeregisterNode(ctx, c.Node)
	}},
	GetNode: {"GetNode", false, NoTenure, false, []argument{nodeIDArg}, aMember, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		r.Node, r.Found, err = h.GetNode(ctx, c.Node.ID)
		return r, err
	}},
	ListNodes: {"ListNodes", false, NoTenure, false, []argument{statusArg, afterArg, limitArg}, nodeRows, func(ctx context.Context, h registry.Handle, c *Call) (r Result, err error) {
		r.Nodes, r.Next, err = h.ListNodes(ctx, c.Status, c.Page)
		return r, err
	}},
	Close: {"Close", false, NoTenure, false, nil, nothing, func(_ context.Context, h registry.Handle, _ *Call) (Result, error) {
		return Result{}, h.Close()
	}},
}

func leased(l registry.Lease, err error) (Result, error) {
	return Result{Record: registry.Placement(l)}, err
}

func unsupported(k Kind) error { return fmt.Errorf("%s: %w", k, errors.ErrUnsupported) }

// Do makes the call on h and returns what came of it. The result is complete:
// an error is classified, and the details that it carries are in the result. A
// RenewBatch or Watch on a handle without that power ends with an error that
// matches [errors.ErrUnsupported].
func Do(ctx context.Context, h registry.Handle, c *Call) Result {
	r := c.Kind.row()
	if r.do == nil {
		return Failed(unsupported(c.Kind))
	}
	result, err := r.do(ctx, h, c)
	result.end(r, err)
	return result
}
