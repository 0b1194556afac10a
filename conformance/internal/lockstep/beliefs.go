package lockstep

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// observe takes note of an answer: who now believes what.
func (w *Run) observe(n *Node, c call.Call, got, want op.Result) {
	switch {
	case got.Err != nil:
		return
	case c.Kind.Grants() && c.Kind.Effect() != op.Keeps:
		for _, check := range []func(call.Call, op.Result, op.Result){w.servesAlone, w.graceRespected, w.tokenGrows} {
			if check(c, got, want); w.excused {
				return
			}
		}
		if c.Kind.Effect() == op.Passes {
			delete(w.beliefs, c.Actor) // the former holder handed it over
		}
		w.takes(got.Lease())
		w.know(c.Actor)
	case c.Kind == op.RegisterNode:
		for _, n := range w.Nodes {
			if n.Ref.ID == got.Node.Ref.ID {
				n.Ref = got.Node.Ref
			}
		}
	case c.Kind.Effect() == op.Keeps:
		w.takes(got.Lease())
	case c.Kind.Effect() == op.Ends:
		delete(w.beliefs, c.Actor) // whoever could release it has stopped serving
	}
	w.believeIn(c.Actor) // nobody's belief in another actor has changed
}

// takes lets the holder of a lease believe in it.
func (w *Run) takes(l registry.Lease) {
	if w.mayEnd(l) {
		return
	}
	for _, n := range w.Nodes {
		if n.Ref != l.Holder {
			continue
		}
		for i, b := range w.beliefs[l.Actor] {
			if b.lease.Holder == l.Holder {
				w.beliefs[l.Actor][i].lease = l
				return
			}
		}
		w.beliefs[l.Actor] = append(w.beliefs[l.Actor], belief{n, l})
		if len(w.beliefs[l.Actor]) > 1 {
			w.rivalled[l.Actor] = true
		}
	}
}

// mayEnd reports whether a call may still apply that gives the lease up or hands it over:
// whoever asked for that, were it before the grant, does not serve.
func (w *Run) mayEnd(l registry.Lease) bool {
	return slices.ContainsFunc(w.Late, func(late *lateCall) bool {
		c := &late.call.Call
		e := c.Kind.Effect()
		return (e == op.Passes || e == op.Ends) && c.Actor == l.Actor && c.Node == l.Holder && c.Token == l.Token
	})
}

// tokenGrows checks TokenMonotonic: a grant has a higher token than all before it,
// unless it is the answer to a repeated claim.
func (w *Run) tokenGrows(c call.Call, got, want op.Result) {
	for _, b := range w.beliefs[c.Actor] {
		l, g := b.lease, got.Record
		d := w.dialect
		repeated := g.Token == l.Token && g.Holder == l.Holder && (g.ClaimID == l.ClaimID || d.NoClaimIDs)
		anew := l.Holder == g.Holder && errors.Is(want.Err, registry.ErrHeld) // its own live lease: Claim.held
		if g.Token != 0 && g.Token <= l.Token && !repeated && !anew && !d.NoTokens {
			w.Convict(contract.TokenMonotonic, c.Kind, got, want, fmt.Sprintf("token %d was granted to %v before", l.Token, l.Holder))
		}
	}
}

// graceRespected checks that a claim took nothing from a holder whose own clock
// has not passed Expiry + Grace. The phase of a live one is SingleActivation's.
func (w *Run) graceRespected(c call.Call, got, want op.Result) {
	if c.Kind != op.Claim || !errors.Is(want.Err, registry.ErrHeld) && !w.dialect.Forgets || !w.Exact {
		return // one that forgets may have found out by another clock that the lease was over
	}
	for _, b := range w.beliefs[c.Actor] {
		if b.lease.Holder == got.Record.Holder {
			continue
		}
		if now := b.node.Clock.Now(); w.Cfg.Phase(b.lease.Expiry, now) == registry.Grace {
			w.Convict(contract.GraceRespected, c.Kind, got, want,
				fmt.Sprintf("%v's own clock reads %s; its grace lasts until %s", b.lease.Holder, w.rel(now), w.rel(b.lease.Expiry.Add(w.Cfg.Grace))))
		}
	}
}

// believe checks SingleActivation: of all that were told that they hold an
// actor, at most one has a clock that still reads less than its expiry.
func (w *Run) believe() {
	if !w.Exact {
		return
	}
	for actor := range w.rivalled {
		w.believeIn(actor)
	}
}

// believeIn is believe for one actor.
func (w *Run) believeIn(actor registry.ActorID) { w.atMostOne(w.beliefs[actor]) }

// servesAlone is believe for the moment at which a call grants a lease. Who hands
// an actor over has stopped serving it.
func (w *Run) servesAlone(c call.Call, got, _ op.Result) {
	l := got.Lease()
	believers := []belief{}
	for _, b := range w.beliefs[c.Actor] {
		if b.lease.Holder != l.Holder && (c.Kind == op.Claim || b.lease.Holder != c.Node) {
			believers = append(believers, b)
		}
	}
	for _, n := range w.Nodes {
		if n.Ref == l.Holder {
			believers = append(believers, belief{n, l})
		}
	}
	w.atMostOne(believers)
}

func (w *Run) atMostOne(believers []belief) {
	if !w.Exact {
		return
	}
	var first *belief
	for i, b := range believers {
		if b.node.Clock.Now() >= b.lease.Expiry {
			continue
		}
		if first == nil {
			first = &believers[i]
			continue
		}
		w.End(w.T.Conviction(contract.SingleActivation, "Claim", string(contract.RuleID("Claim.held").Rule().Guard),
			fmt.Sprintf("%v and %v both hold %s by their own clocks: %s reads %s, its lease ends %s; %s reads %s, its lease ends %s",
				first.lease.Holder, b.lease.Holder, b.lease.Actor.Name,
				first.node.Name, w.rel(first.node.Clock.Now()), w.rel(first.lease.Expiry),
				b.node.Name, w.rel(b.node.Clock.Now()), w.rel(b.lease.Expiry)),
			"ErrHeld until Expiry + Grace + 2ε", w.Table()))
		delete(w.beliefs, b.lease.Actor) // it was waived
		return
	}
}
