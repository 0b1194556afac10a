package lockstep

import (
	"context"
	"errors"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// headline returns the rule that an answer breaks most, where the reference
// answers want. repeats says that by the reference the call changes nothing.
func (w *Run) headline(c *op.Call, repeats bool, got, want op.Result) contract.RuleID {
	rule := contract.Answering(c.Kind, repeats, want.Err)
	switch {
	case (got.Outcome == op.Invalid) != (want.Outcome == op.Invalid):
		return contract.OfArgument(errors.Join(want.Err, got.Err))
	case (got.Outcome == op.Closed) != (want.Outcome == op.Closed):
		return contract.ClosedSecond
	case w.mixedUp(c, got, want):
		return contract.NamesDistinct
	case got.Err == nil && want.Err == nil:
		if got.Found == want.Found { // what was not found has no token that went back
			return w.recordRule(c, rule, got, want)
		}
	case c.Kind == op.Validate && got.Err == nil && !neverGranted(want.Err):
		return contract.NoStaleWrite
	case call.Class(got.Err) == call.Class(want.Err):
		return contract.RefusalTruthful
	}
	return rule
}

// recordRule sharpens a rule by what is wrong with the record or the registration.
func (w *Run) recordRule(c *op.Call, rule contract.RuleID, got, want op.Result) contract.RuleID {
	switch a, b := got.Record, want.Record; {
	case w.mixedUp(c, got, want):
		return contract.NamesDistinct
	case got.Node.Ref.ID == want.Node.Ref.ID && got.Node.Ref.Epoch != want.Node.Ref.Epoch && got.Node.Ref.Epoch != 0:
		return contract.EpochFresh
	case a.Token < b.Token && a.Token != 0 && (c.Kind != op.Claim || a != w.before.Record): // or it repeats what is over
		return contract.TokenMonotonic
	case a.Token == b.Token && a.Holder == b.Holder && a.Version != b.Version && rule != contract.RefusalNothing && rule != contract.WatchWakes:
		return contract.VersionBump
	}
	return rule
}

// mixedUp reports whether an answer tells of one actor, or of one node, what is
// true of another.
func (w *Run) mixedUp(c *op.Call, got, want op.Result) bool {
	if p := got.Record; p != want.Record && !w.ofItsOwn(c, p, want) && (!p.ClaimID.IsZero() || p.Version != 0 && want.Record.Version == 0) {
		for _, a := range w.Actors {
			if a == c.Actor {
				continue
			}
			other := w.spec.View(&op.Call{Kind: op.Lookup, Actor: a}).Record
			if p.Actor = a; p == other {
				return true
			}
		}
	}
	n := got.Node
	return n.Ref.ID != "" && want.Node != n && (w.tellsOther(c, got, want) || w.underOtherName(c, n))
}

// ofItsOwn reports whether a record that was told is the actor's own, or what a hand-over
// that should be refused has made of it. Records after a hand-over have no claim's id, and
// may be alike by chance.
func (w *Run) ofItsOwn(c *op.Call, p registry.Placement, want op.Result) bool {
	own := w.before.Record
	return p == own || c.Kind == op.Transfer && want.Err != nil && p.Holder == c.To && p.Token == own.Token+1 && p.Version == own.Version+1
}

// tellsOther reports whether a registration that was told is that of a node that the
// call is not about, and that does not hold the actor either.
func (w *Run) tellsOther(c *op.Call, got, want op.Result) bool {
	n := got.Node
	return !slices.Contains([]registry.NodeID{c.Node.ID, c.To.ID, got.Record.Holder.ID, want.Record.Holder.ID}, n.Ref.ID) &&
		n == w.spec.View(&op.Call{Kind: op.GetNode, Node: n.Ref}).Member
}

// underOtherName reports whether a registration that was told of a node which never
// had one is that of another but for the name.
func (w *Run) underOtherName(c *op.Call, n registry.Node) bool {
	if n.Ref.ID != c.Party() || w.before.Member != (registry.Node{}) {
		return false
	}
	all := call.ListNodes(registry.AnyStatus, 0).InLargePages().Do(context.WithoutCancel(w.T.Ctx), w.Observer.model)
	return slices.ContainsFunc(all.Nodes, func(other registry.Node) bool {
		same := n
		same.Ref.ID = other.Ref.ID
		return n != other && same == other
	})
}

// neverGranted reports whether a token was refused because it is higher than
// that of a tenure that goes on.
func neverGranted(err error) bool {
	var r *registry.Refusal
	return errors.As(err, &r) && r.Reason == registry.ErrNotHeld && r.Placement.Held()
}
