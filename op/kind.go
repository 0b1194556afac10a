package op

import (
	"fmt"

	"github.com/kelpie-registry/registry"
)

// Kind is an operation of the contract. The zero Kind is none. Its text, also in
// JSON, is the name of the Go method.
type Kind uint8

// Kinds lists the operations in the order of the constants.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(table))
	for k := Claim; k.Known(); k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// KindOf returns the operation of that name, 0 for none.
func KindOf(name string) Kind {
	for _, k := range Kinds() {
		if k.String() == name {
			return k
		}
	}
	return 0
}

// Known reports whether k is an operation.
func (k Kind) Known() bool { return k > 0 && int(k) < len(table) }

// row returns the operation's row, one without a name for a kind that is none.
func (k Kind) row() *row {
	if !k.Known() {
		k = 0
	}
	return &table[k]
}

// String returns the operation's name.
func (k Kind) String() string {
	if !k.Known() {
		return "none"
	}
	return table[k].name
}

// MarshalText returns the operation's name. It refuses a kind that is none.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.Known() {
		return nil, fmt.Errorf("operation %d does not exist", uint8(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads an operation's name.
func (k *Kind) UnmarshalText(text []byte) error {
	if *k = KindOf(string(text)); *k == 0 {
		return fmt.Errorf("%q is not an operation, want one of %v", text, Kinds())
	}
	return nil
}

// Mutates reports whether k can change the state of the registry.
func (k Kind) Mutates() bool { return k.row().mutates }

// Effect is what an operation that succeeds does to the tenure of an actor.
type Effect uint8

// The effects. What is told of a Claim holds unless it repeats another.
const (
	NoTenure Effect = iota // it is about no tenure, about several, or only reads
	Begins                 // a tenure begins: Claim
	Keeps                  // the caller's tenure goes on: Renew
	Passes                 // the caller's tenure ends, and another's begins: Transfer
	Ends                   // the caller's tenure ends: Release
)

// Effect returns what k does to the tenure of its actor.
func (k Kind) Effect() Effect { return k.row().effect }

// Presents reports whether a call of k presents a lease, which has to be the present
// tenure's: Renew, Release and Transfer.
func (k Kind) Presents() bool { return k.Effect() > Begins }

// Timed reports whether the outcome of k depends on a reading of the handle's clock.
func (k Kind) Timed() bool { return k.row().timed }

// Grants reports whether k answers with a lease: Claim, Renew and Transfer.
func (k Kind) Grants() bool { return k.row().answers == aLease }

// Lists reports whether k is a listing, which answers a page at a time.
func (k Kind) Lists() bool { r := k.row(); return r.answers == actorRows || r.answers == nodeRows }

// OfNode reports whether k belongs to [registry.Membership]: it is about a
// node's registration, and about no actor.
func (k Kind) OfNode() bool { return k >= RegisterNode && k <= ListNodes }

// Call is one call of one operation: its kind and the arguments. Arguments that
// the kind does not take are zero.
type Call struct {
	Kind    Kind
	Actor   registry.ActorID      // Claim, Renew, Release, Transfer, Lookup, Validate, Watch
	Node    registry.NodeRef      // Claim: who claims; Renew, Release, Transfer: the lease's holder; the operations about a node: which; with epoch 0 for RegisterNode and GetNode
	Token   registry.Token        // Renew, Release, Transfer: the lease's; Validate
	Version registry.Version      // Renew, Release, Transfer: the lease's, which may be old
	Expiry  registry.Instant      // Renew, Release, Transfer: the lease's, which may be old
	ClaimID registry.ClaimID      // Claim; Renew, Release, Transfer: the lease's
	To      registry.NodeRef      // Transfer
	Leases  []registry.Lease      // RenewBatch
	Seen    registry.Version      // Watch
	Info    registry.NodeInfo     // RegisterNode
	Mode    registry.RegisterMode // RegisterNode
	Status  registry.NodeStatus   // ListNodes
	Page    registry.Page         // ListActors, ListNodes
}

// OnLease returns the call of Renew, Release or Transfer that presents l. The
// target of a transfer is for the caller to set.
func OnLease(k Kind, l registry.Lease) Call {
	return Call{Kind: k, Actor: l.Actor, Node: l.Holder, Token: l.Token, Version: l.Version, Expiry: l.Expiry, ClaimID: l.ClaimID}
}

// Lease returns the lease that a Renew, Release or Transfer presents.
func (c *Call) Lease() registry.Lease {
	return registry.Lease{Actor: c.Actor, Holder: c.Node, Token: c.Token, Version: c.Version, Expiry: c.Expiry, ClaimID: c.ClaimID}
}

// Party returns the node whose registration the call depends on: the target of
// a transfer, the claimer, or the node that it is about; "" for none.
func (c *Call) Party() registry.NodeID {
	switch {
	case c.Kind == Transfer:
		return c.To.ID
	case c.Kind == Claim, c.Kind.OfNode():
		return c.Node.ID
	}
	return ""
}

// Validate checks the arguments as the contract demands, in the order of the
// operation's parameters. It returns an [*registry.InvalidError] for the first
// that is wrong.
func (c *Call) Validate() error {
	if !c.Kind.Known() {
		return &registry.InvalidError{Field: "operation", Problem: "is not in the contract"}
	}
	for _, a := range c.Kind.row().arguments {
		if a.check == nil {
			continue
		}
		if err := a.check(c); err != nil {
			return err
		}
	}
	return nil
}
