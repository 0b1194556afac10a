package reference

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// View is the part of the registry's state that one operation reads and may
// change: the record of its actor, and the registration of the node that it
// depends on ([op.Call.Party]). What an operation does not look at is zero.
type View struct {
	Record Record // under its actor's name also when it was never written
	Member Member

	// Last is who released the record, while nobody holds it; zero when that is
	// not known. No registry needs to remember it: it only tells which releases
	// of a released record have one right answer.
	Last registry.NodeRef

	Least Least // what of the record's numbers is not known; nothing in the contract's own dialect
	Stale bool  // somebody may have forgotten the record by a later reading than the call's (GoneBy)
}

// Decision is what an operation's guards say in a view.
type Decision struct {
	Guard   Guard // the conjunct that refuses the operation; Enabled for none
	Repeats bool  // it repeats one that took effect, and is answered without another effect
	OrElse  Guard // a refusal by this conjunct would be right too; Enabled for none
}

// StepFunc is the type of [Step], for registries that differ from it.
type StepFunc func(cfg registry.Config, v View, c *op.Call, now registry.Instant) (View, Decision)

// Step is the specification's transition function: what the call c does to v at
// the clock reading now. The view is unchanged when the operation is refused,
// repeats another one, or only reads.
func Step(cfg registry.Config, v View, c *op.Call, now registry.Instant) (View, Decision) {
	d := Decide(cfg, v, c, now)
	if d == (Decision{}) {
		v = Effect(cfg, v, c, now)
	}
	return v, d
}

// Decide evaluates the guards of c's action in v at the clock reading now.
func Decide(cfg registry.Config, v View, c *op.Call, now registry.Instant) Decision {
	if Repeats(cfg, v, c, now) {
		return Decision{Repeats: true, OrElse: refusable(v, c)}
	}
	return Decision{Guard: Check(cfg, v, c, now)}
}

// Repeats reports whether c repeats an operation that took effect, so that it is
// answered without another effect, whatever the guards say.
func Repeats(cfg registry.Config, v View, c *op.Call, now registry.Instant) bool {
	switch c.Kind {
	case op.Claim:
		return ClaimRepeats(cfg, v.Record, c.Node, c.ClaimID, now)
	case op.Release:
		return ReleaseRepeats(v.Record, c.Token)
	case op.RegisterNode:
		return RegisterRepeats(v.Member, c.Info.Instance)
	case op.MarkFailed:
		return MarkFailedRepeats(v.Member, c.Node)
	}
	return false
}

// refusable returns the conjunct that may refuse a repetition. A released record
// names nobody, so that a release under its token by a node that never held it
// may be taken for a repetition or not. The node that did hold it is never
// refused: its retry after a lost answer must be safe.
func refusable(v View, c *op.Call) Guard {
	if c.Kind == op.Release && v.Last != c.Node {
		return TenureHeld
	}
	return Enabled
}

// Check evaluates the guards of c's action, for a call that is no repetition.
func Check(cfg registry.Config, v View, c *op.Call, now registry.Instant) Guard {
	switch c.Kind {
	case op.Claim:
		return ClaimGuard(cfg, v.Record, v.Member.Standing(c.Node), now)
	case op.Renew:
		return RenewGuard(cfg, v.Record, c.Node, c.Token, now)
	case op.Release:
		return ReleaseGuard(v.Record, c.Node, c.Token)
	case op.Transfer:
		return TransferGuard(cfg, v.Record, c.Node, c.Token, v.Member.Standing(c.To), now)
	case op.Validate:
		return ValidateGuard(v.Record, c.Token)
	case op.RegisterNode:
		return RegisterNodeGuard(v.Member, c.Mode)
	case op.Heartbeat:
		return HeartbeatGuard(v.Member, c.Node)
	case op.MarkFailed:
		return MarkFailedGuard(cfg, v.Member, c.Node, now)
	case op.DeregisterNode:
		return DeregisterNodeGuard(v.Member, c.Node)
	}
	return Enabled // reads are
}

// Effect is the effect of c's action on v at the clock reading now, whatever
// its guards say.
func Effect(cfg registry.Config, v View, c *op.Call, now registry.Instant) View {
	switch c.Kind {
	case op.Claim:
		v.Record = ClaimEffect(cfg, v.Record, c.Node, c.ClaimID, now)
	case op.Renew:
		v.Record = RenewEffect(cfg, v.Record, now)
	case op.Release:
		v.Last = v.Record.Holder
		v.Record = ReleaseEffect(v.Record)
	case op.Transfer:
		v.Record = TransferEffect(cfg, v.Record, c.To, now)
	case op.RegisterNode:
		v.Member = RegisterNodeEffect(v.Member, c.Node.ID, c.Info, now)
	case op.Heartbeat:
		v.Member = HeartbeatEffect(v.Member, now)
	case op.MarkFailed:
		v.Member = MarkFailedEffect(v.Member)
	case op.DeregisterNode:
		v.Member = DeregisterNodeEffect(v.Member)
	}
	return v
}

// Answer is what a registry in view v answers to c, which it decided so at the
// clock reading now: for an operation that succeeded v is the view after it.
// Listings are not about one view and are not answered here.
func Answer(v View, c *op.Call, d Decision, now registry.Instant) op.Result {
	if d.Guard == Forgotten {
		return op.Result{Outcome: op.OK}
	}
	if d.Guard != Enabled {
		return op.Failed(refuse(v, d.Guard, now))
	}
	r := op.Result{Outcome: op.OK}
	switch {
	case c.Kind.Grants():
		r.Record = v.Record
	case c.Kind == op.Lookup, c.Kind == op.Watch:
		if r.Found = v.Record.Version > 0; r.Found {
			r.Record = v.Record
		}
	case c.Kind == op.RegisterNode:
		r.Node = v.Member
	case c.Kind == op.GetNode:
		r.Node, r.Found = v.Member, !v.Member.Ref.IsZero()
	}
	return r
}

// refuse reports the guard with what the step saw.
func refuse(v View, g Guard, now registry.Instant) error {
	refusal := &registry.Refusal{Reason: g.Refusal(), Now: now}
	switch {
	case g.OfNode():
		refusal.Node = v.Member
	case v.Record.Version > 0:
		refusal.Placement = v.Record
	}
	return refusal
}
