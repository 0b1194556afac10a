package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
)

// What a registry answers is believed as far as the contract allows that answer.
// One that it rules out says nothing about what happened: it is taken for an
// ambiguous outcome, so that it is asked again, never acted upon. A node that
// served on the strength of an answer about another actor, or under another's
// lease, would be a second activation.

// question is what an answer is measured against.
type question struct {
	op    string            // the method's name
	actor registry.ActorID  // that it is about
	held  registry.Token    // that was presented; 0 where none was
	nodes []registry.NodeID // that a refusal for the membership may be about
}

// refusals are the errors by which the state of the registry may refuse each operation.
var refusals = map[string][]error{
	"Claim":          {registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrHeld},
	"Renew":          {registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed},
	"Release":        {registry.ErrFenced, registry.ErrNotHeld},
	"Transfer":       {registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed},
	"RegisterNode":   {registry.ErrNodeExists},
	"Heartbeat":      {registry.ErrNodeUnknown, registry.ErrNodeFailed},
	"MarkFailed":     {registry.ErrNodeUnknown, registry.ErrNodeAlive},
	"DeregisterNode": {registry.ErrNodeUnknown},
}

// contractErrors are all that an error can match exactly one of, but for
// ErrAmbiguous and the contexts' errors.
var contractErrors = []error{
	registry.ErrInvalid, registry.ErrClosed, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive,
	registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld, registry.ErrConfigMismatch, registry.ErrUnavailable,
}

// bad returns the ambiguous outcome that an impossible answer is taken for. The
// answer is in its text only: its errors must not be matched.
func (q question) bad(format string, args ...any) error {
	about := ""
	if q.actor != (registry.ActorID{}) {
		about = fmt.Sprint(" of ", q.actor)
	}
	return &registry.AmbiguousError{MayStillApply: true, Cause: fmt.Errorf("%w to %s%s: %s", ErrBadAnswer, q.op, about, fmt.Sprintf(format, args...))}
}

// refused judges an error: one that the contract has no place for is a bad answer.
func (q question) refused(err error) error {
	if err == nil || errors.Is(err, registry.ErrAmbiguous) {
		return err // nothing is more careful than to know nothing
	}
	var reason error
	for _, e := range contractErrors {
		switch {
		case !errors.Is(err, e):
		case reason != nil:
			return q.bad("an error that is both %q and %q", reason, e)
		default:
			reason = e
		}
	}
	switch reason {
	case nil:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return err
		}
		return q.bad("an error that is none of the contract's: %v", err)
	case registry.ErrInvalid, registry.ErrClosed, registry.ErrUnavailable:
		return err
	}
	if !slices.Contains(refusals[q.op], reason) {
		return q.bad("it cannot be refused with %q", err)
	}
	return q.detailed(reason, err)
}

// detailed judges what a refusal says beside its reason: true, or absent.
func (q question) detailed(reason, err error) error {
	detail := new(registry.Refusal)
	_ = errors.As(err, &detail)
	p := detail.Placement
	switch {
	case reason == registry.ErrHeld && !p.Held():
		return q.bad("it is held, by nobody")
	case p.Actor != registry.ActorID{} && p.Actor != q.actor:
		return q.bad("a refusal about %v", p.Actor)
	case reason == registry.ErrFenced && p.Version > 0 && p.Token <= q.held:
		return q.bad("token %d is fenced by token %d", q.held, p.Token)
	}
	switch reason {
	case registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive:
		if id := detail.Node.Ref.ID; id != "" && !slices.Contains(q.nodes, id) {
			return q.bad("a refusal about node %q", id)
		}
	}
	return err
}

// grant is what the answer to a request for a lease must agree with.
type grant struct {
	holder  registry.NodeRef
	claim   registry.ClaimID // zero: any
	token   registry.Token   // exactly; 0: any above the next
	above   registry.Token
	version registry.Version // the answer's is higher
	expiry  registry.Instant // the answer's is not lower
	sent    moment           // before the first request that may have been answered
}

// granted judges a lease that came without an error. The expiry is a reading made
// while the request was under way, plus TTL, and all readings are within 2ε of
// each other; what is off by a tenth of a lease beyond that is no such reading.
// (The deadline does not rest on this: see [Policy.deadlineOf].)
func (q question) granted(cfg registry.Config, l registry.Lease, g grant, now moment) error {
	slack := 2*cfg.MaxClockSkew + cfg.TTL/10
	low := g.sent.wall.Add(cfg.TTL - slack)
	high := max(now.wall, g.sent.wall.Add(now.elapsed-g.sent.elapsed)).Add(cfg.TTL + slack)
	switch {
	case l.Actor != q.actor:
		return q.bad("a lease of %v", l.Actor)
	case l.Holder != g.holder:
		return q.bad("a lease of %v's, asked for was %v's", l.Holder, g.holder)
	case l.Token == 0, g.token != 0 && l.Token != g.token, l.Token <= g.above:
		return q.bad("token %d, where %d was held and %d seen", l.Token, g.token, g.above)
	case l.Version == 0, l.Version <= g.version:
		return q.bad("version %d after version %d", l.Version, g.version)
	case g.claim != registry.ClaimID{} && l.ClaimID != registry.ClaimID{} && l.ClaimID != g.claim:
		return q.bad("the lease of claim %v, asked for was %v", l.ClaimID, g.claim)
	case l.Expiry < g.expiry:
		return q.bad("an expiry of %v, which is before the %v of an earlier answer", l.Expiry, g.expiry)
	case l.Expiry < low || l.Expiry > high:
		return q.bad("an expiry of %v, which cannot be before %v or after %v", l.Expiry, low, high)
	}
	return nil
}

// registered judges a node that RegisterNode returned: active, and under an epoch
// that this process has not been given before.
func (q question) registered(n registry.Node, id registry.NodeID, after registry.Epoch) error {
	switch {
	case n.Ref.ID != id:
		return q.bad("a registration of %q", n.Ref.ID)
	case n.Ref.Epoch <= after:
		return q.bad("epoch %d after epoch %d", n.Ref.Epoch, after)
	case n.Status != registry.NodeActive:
		return q.bad("a registration that is %v", n.Status)
	}
	return nil
}
