package op_test

import (
	"context"
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// What tests draw: calls of every kind and results of every outcome, whose
// values are as wide as their types.

func drawKind(t *rapid.T) op.Kind { return rapid.SampledFrom(op.Kinds()).Draw(t, "kind") }

// drawName draws a name of any valid text, often one that a script must quote.
func drawName(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9._-]{1,8}`),
		rapid.SampledFrom([]string{"", "a b", "a/b", "n#1", `"`, `a"b`, `\`, "#", "->", "|", "a,b", "a=b", "é", "\n", "Crash"}),
		rapid.String(),
	).Draw(t, "name")
}

func drawActor(t *rapid.T) registry.ActorID {
	return registry.ActorID{Namespace: drawName(t), Name: drawName(t)}
}

func drawRef(t *rapid.T) registry.NodeRef {
	return registry.NodeRef{ID: registry.NodeID(drawName(t)), Epoch: registry.Epoch(rapid.Uint64().Draw(t, "epoch"))}
}

func drawClaimID(t *rapid.T) (id registry.ClaimID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 0, len(id)).Draw(t, "claim id"))
	return id
}

func drawInstant(t *rapid.T) registry.Instant {
	return registry.Instant(rapid.Int64().Draw(t, "instant"))
}

func drawToken(t *rapid.T) registry.Token { return registry.Token(rapid.Uint64().Draw(t, "token")) }

func drawVersion(t *rapid.T) registry.Version {
	return registry.Version(rapid.Uint64().Draw(t, "version"))
}

func drawRecord(t *rapid.T) registry.Placement {
	return registry.Placement{
		Actor: drawActor(t), Holder: drawRef(t), Token: drawToken(t), Version: drawVersion(t), Expiry: drawInstant(t), ClaimID: drawClaimID(t),
	}
}

func drawNode(t *rapid.T) registry.Node {
	return registry.Node{
		Ref: drawRef(t), Info: registry.NodeInfo{Address: drawName(t), Instance: registry.InstanceID(drawClaimID(t))}, Status: drawStatus(t), LastSeen: drawInstant(t),
	}
}

func drawStatus(t *rapid.T) registry.NodeStatus {
	return registry.NodeStatus(rapid.IntRange(0, 3).Draw(t, "status"))
}

// list draws up to four of what one draws, nil for none.
func list[T any](t *rapid.T, one func(*rapid.T) T) (out []T) {
	for range rapid.IntRange(0, 4).Draw(t, "length") {
		out = append(out, one(t))
	}
	return out
}

// drawCall draws a call of the kind. Arguments that the kind does not take are zero.
func drawCall(t *rapid.T, k op.Kind) op.Call {
	page := func() registry.Page {
		return registry.Page{After: registry.Cursor(drawName(t)), Limit: rapid.IntRange(0, registry.MaxPageLimit).Draw(t, "limit")}
	}
	c := op.Call{Kind: k}
	switch k {
	case op.Claim:
		c.Actor, c.Node, c.ClaimID = drawActor(t), drawRef(t), drawClaimID(t)
	case op.Renew, op.Release:
		c = op.OnLease(k, drawRecord(t).Lease())
	case op.Transfer:
		c = op.OnLease(k, drawRecord(t).Lease())
		c.To = drawRef(t)
	case op.Lookup:
		c.Actor = drawActor(t)
	case op.Validate:
		c.Actor, c.Token = drawActor(t), drawToken(t)
	case op.Watch:
		c.Actor, c.Seen = drawActor(t), drawVersion(t)
	case op.ListActors:
		c.Node, c.Page = drawRef(t), page()
	case op.RenewBatch:
		c.Leases = list(t, func(t *rapid.T) registry.Lease { return drawRecord(t).Lease() })
	case op.RegisterNode:
		c.Node.ID, c.Info.Address, c.Info.Instance = registry.NodeID(drawName(t)), drawName(t), registry.InstanceID(drawClaimID(t))
		c.Mode = registry.RegisterMode(rapid.IntRange(0, 1).Draw(t, "mode"))
	case op.GetNode:
		c.Node.ID = registry.NodeID(drawName(t))
	case op.Heartbeat, op.MarkFailed, op.DeregisterNode:
		c.Node = drawRef(t)
	case op.ListNodes:
		c.Status, c.Page = drawStatus(t), page()
	}
	return c
}

// drawError draws an error of the outcome, nil for OK.
func drawError(t *rapid.T, o op.Outcome) error {
	text := drawName(t)
	switch o {
	case op.OK:
		return nil
	case op.Refused:
		reason := rapid.SampledFrom(op.Refusals()).Draw(t, "reason")
		return &registry.Refusal{Reason: reason.Err(), Placement: drawRecord(t), Node: drawNode(t), Now: drawInstant(t)}
	case op.Settled, op.Open:
		return &registry.AmbiguousError{MayStillApply: o == op.Open, Cause: errors.New(text)}
	case op.Invalid:
		return &registry.InvalidError{Field: "f" + text, Problem: text}
	case op.Closed:
		return registry.ErrClosed
	case op.Unavailable:
		return registry.ErrUnavailable
	case op.Cancelled:
		return rapid.SampledFrom([]error{context.Canceled, context.DeadlineExceeded}).Draw(t, "cancelled")
	}
	mismatch := &registry.ConfigMismatchError{Field: "TTL", Store: time.Duration(rapid.Int64().Draw(t, "store")), Given: time.Second}
	return rapid.SampledFrom([]error{errors.New(text), mismatch}).Draw(t, "unlisted")
}

// outcomes are those that an answered call can have.
func outcomes() (list []op.Outcome) {
	for _, o := range op.Outcomes() {
		if o != op.Pending {
			list = append(list, o)
		}
	}
	return list
}

// drawAnswer draws what a handle answers: values for every kind, and an error
// of the outcome, which they may stand beside.
func drawAnswer(t *rapid.T, o op.Outcome) answer {
	return answer{
		record: drawRecord(t), node: drawNode(t), found: rapid.Bool().Draw(t, "found"),
		actors: list(t, drawRecord), nodes: list(t, drawNode), next: registry.Cursor(drawName(t)),
		err: drawError(t, o),
		renewals: list(t, func(t *rapid.T) registry.Renewal {
			return registry.Renewal{Lease: drawRecord(t).Lease(), Err: drawError(t, drawOutcome(t))}
		}),
	}
}

func drawOutcome(t *rapid.T) op.Outcome { return rapid.SampledFrom(outcomes()).Draw(t, "outcome") }
