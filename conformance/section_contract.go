package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/op"
)

func contractSection() Section {
	exact := []Capability{ClockControl}
	return Section{
		Name: "contract",
		Doc:  "every row and every refusal of the table of operations, one caller at a time, compared with the reference",
		Cases: []Case{
			{Name: "claim-grants", Doc: "a free actor is granted, a released one again, a lapsed one to anybody",
				Rules: []RuleID{"Claim.granted", TokenMonotonic, VersionBump}, run: claimGrants},
			{Name: "claim-boundaries", Doc: "claims of the holder and of a stranger one nanosecond before, at and after each boundary of the lease, by clocks at both ends of the skew",
				Rules: []RuleID{"Claim.held", "Claim.granted", GraceRespected, SingleActivation}, Needs: exact, run: claimBoundaries},
			{Name: "claim-repeats", Doc: "a claim repeated ten times under its ClaimID returns the same lease, whatever has become of the node, until it lapses",
				Rules: []RuleID{"Claim.repeated", "Claim.held"}, run: claimRepeats},
			{Name: "claim-membership", Doc: "claims of incarnations that were never registered, left, failed or were superseded",
				Rules: []RuleID{"Claim.node-unknown", "Claim.node-failed"}, run: claimMembership},
			{Name: "renew-grants", Doc: "renewals while live, in grace, ten times, with old lease values and by a clock that stepped back",
				Rules: []RuleID{"Renew.granted", VersionBump}, run: renewGrants},
			{Name: "renew-boundaries", Doc: "a renewal one nanosecond before, at and after each boundary",
				Rules: []RuleID{"Renew.granted", "Renew.lapsed"}, Needs: exact, run: renewBoundaries},
			{Name: "release", Doc: "releases in every phase, repeated ten times, by an old tenure and by nobody's",
				Rules: []RuleID{"Release.granted", "Release.repeated", "Release.fenced", "Release.not-held", VersionBump, TokenMonotonic}, run: releases},
			{Name: "transfer-grants", Doc: "a hand-off to another node, to itself, and back",
				Rules: []RuleID{"Transfer.granted", TokenMonotonic, VersionBump}, run: transferGrants},
			{Name: "transfer-boundaries", Doc: "a transfer one nanosecond before, at and after each boundary",
				Rules: []RuleID{"Transfer.granted", "Transfer.lapsed"}, Needs: exact, run: transferBoundaries},
			{Name: "transfer-membership", Doc: "transfers to incarnations that were never registered, left, failed or were superseded",
				Rules: []RuleID{"Transfer.node-unknown", "Transfer.node-failed"}, run: transferMembership},
			{Name: "tenure-refusals", Doc: "renew, transfer and validate under every wrong tenure: lower and higher token, another holder, released, never claimed",
				Rules: []RuleID{"Renew.fenced", "Renew.not-held", "Transfer.fenced", "Transfer.not-held", "Validate.granted", "Validate.fenced", "Validate.not-held", "Release.fenced", "Release.not-held"}, run: tenureRefusals},
			{Name: "lookup-raw", Doc: "the record as written, from every handle, in every phase",
				Rules: []RuleID{RawLookup}, run: lookupRaw},
			{Name: "own-clock", Doc: "each operation goes by its own handle's clock, which may be ahead, behind or step back",
				Rules: []RuleID{OneReading, "Claim.granted", "Renew.granted", "Transfer.granted", "Heartbeat.granted", "RegisterNode.granted"}, Needs: exact, run: ownClock},
			{Name: "names-limits", Doc: "each limit of a name exactly reached in every operation",
				Rules: []RuleID{NameLimits}, run: nameLimits},
			{Name: "names-distinct", Doc: "names that look alike name different actors and nodes",
				Rules: []RuleID{NamesDistinct, NameLimits, "Claim.granted"}, run: namesDistinct},
			{Name: "bad-input", Doc: "every bad argument of every operation is refused by name and changes nothing",
				Rules: []RuleID{InvalidFirst, NameLimits}, run: badInput},
			{Name: "failed-lookups", Doc: "lookups of what exists, through a handle that is closed and under a context that has ended, tell the error and nothing else",
				Rules: []RuleID{ErrorAlone, ClosedSecond, ContextThird}, run: failedLookups},
			{Name: "closed-handle", Doc: "every operation on a closed handle, and a second Close",
				Rules: []RuleID{ClosedSecond, InvalidFirst}, run: closedHandle},
			{Name: "ended-context", Doc: "every operation under a context that is cancelled or past its deadline",
				Rules: []RuleID{ContextThird, ClosedSecond, InvalidFirst}, run: endedContext},
			{Name: "refusal-order", Doc: "every pair of refusals that can apply together",
				Rules: []RuleID{RefusalOrder, RefusalNothing, RefusalTruthful}, run: refusalOrder},
			{Name: "config-mismatch", Doc: "a handle opened with any other time bound",
				Rules: []RuleID{ConfigMatches}, run: configMismatch},
			{Name: "listing", Doc: "listings of actors, in pages of every size, with lapsed, released and transferred ones",
				Rules: []RuleID{"ListActors.answered", PagedListing}, run: listing},
			{Name: "listing-under-change", Doc: "an actor held throughout is listed exactly once while others come and go between the pages",
				Rules: []RuleID{PagedListing}, run: listingUnderChange},
			{Name: "renew-batch", Doc: "a batch of good and bad leases renews each as Renew would",
				Rules: []RuleID{BatchAsSingle}, Needs: []Capability{BatchRenew}, run: renewBatch},
			{Name: "watch", Doc: "a watch answers at once when the version differs, wakes at a change, and ends with its context or handle",
				Rules: []RuleID{WatchWakes}, Needs: []Capability{Watch}, run: watchCase},
			{Name: "watchers", Doc: "two watches of one actor wake for one change, and one that ends, early or late, leaves the other waiting",
				Rules: []RuleID{WatchWakes}, Needs: []Capability{Watch}, run: watchersCase},
		},
	}
}

// configs are the configurations in which the boundaries are visited: they
// coincide, or lie as far apart as they may.
func (t *trial) configs() []registry.Config {
	c := t.cfg
	noGrace, noSkew, plain, wide := c, c, c, c
	noGrace.Grace = 0
	noSkew.MaxClockSkew = 0
	plain.Grace, plain.MaxClockSkew = 0, 0
	wide.Grace, wide.MaxClockSkew = c.TTL, c.TTL/4
	wide.FailureTimeout = max(c.FailureTimeout, 2*wide.MaxClockSkew+1)
	return []registry.Config{noGrace, c, wide, noSkew, plain}
}

// boundaries are the times, from Expiry on, at which a lease changes its
// phase, each with its two neighbours.
func boundaries(cfg registry.Config) []time.Duration {
	var at []time.Duration
	for _, b := range []time.Duration{0, cfg.Grace, cfg.Grace + 2*cfg.MaxClockSkew} {
		at = append(at, b-1, b, b+1)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// in runs f in a new world.
func (t *trial) in(cfg registry.Config, f func(*lockstep)) {
	w := t.newLockstep(cfg, t.seed)
	f(w)
	w.close()
}

// lapse lets true time pass until every lease is reclaimable by any clock.
func (w *lockstep) lapse() { w.advance(w.cfg.TTL + w.cfg.Grace + 4*w.cfg.MaxClockSkew) }

// fail lets the node's silence grow long enough and marks it failed.
func (w *lockstep) fail(by, victim *node) {
	w.advance(w.cfg.FailureTimeout + 4*w.cfg.MaxClockSkew)
	w.is(by.do(markFailed(victim.ref)), nil)
}

func claimGrants(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a := w.actor("a")
		w.is(n1.do(lookup(a)), nil)
		l := w.is(n1.claim(a), nil).Lease()
		w.is(n2.do(lookup(a)), nil)
		w.is(n1.do(release(l)), nil)
		l = w.is(n2.claim(a), nil).Lease()
		w.is(n2.do(release(l)), nil)
		w.is(n2.claim(a), nil) // the same node again: a new tenure
		w.lapse()
		w.is(n1.claim(a), nil)
		w.lapse()
		w.is(n1.claim(a), nil) // its own lapsed lease: a new tenure too
	})
}

func claimBoundaries(t *trial) {
	for _, cfg := range t.configs() {
		for _, at := range boundaries(cfg) {
			want := error(registry.ErrHeld)
			if at >= cfg.Grace+2*cfg.MaxClockSkew {
				want = nil
			}
			for _, skew := range []time.Duration{cfg.MaxClockSkew, 0, -cfg.MaxClockSkew} {
				t.in(cfg, func(w *lockstep) {
					holder, unregistered := w.node("n1", -skew), w.node("n2", skew)
					a, b := w.actor("a"), w.actor("b")
					l := w.is(holder.claim(a), nil).Lease()
					w.is(holder.claim(b), nil)
					w.until(unregistered, l.Expiry.Add(at))
					w.is(unregistered.claim(a), want)
					w.until(holder, l.Expiry.Add(at))
					if w.time.Now() >= w.began { // true time cannot have gone back behind the other's claim
						w.is(holder.claim(b), want)
					}
				})
			}
		}
	}
}

func claimRepeats(t *trial) {
	repeat := func(w *lockstep, n *node, c call) {
		for range 10 {
			w.is(n.do(c), nil)
		}
	}
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a, id := w.actor("a"), w.claimID()
		c := claim(a, n1.ref, id)
		repeat(w, n1, c)
		repeat(w, n2, c) // through another handle: it is the node that claims
		w.is(n2.do(claim(a, n2.ref, id)), registry.ErrHeld)
		w.is(n1.claim(a), registry.ErrHeld) // the holder with a new ClaimID is a new attempt
		for i := range id {                 // also with one that is like it
			other := id
			other[i] ^= 0x80
			w.is(n1.do(claim(a, n1.ref, other)), registry.ErrHeld)
		}
		w.advance(w.cfg.TTL / 2)
		l := w.is(n1.do(renew(w.is(n1.do(c), nil).Lease())), nil).Lease()
		repeat(w, n1, c) // answered with the lease as renewed
		w.advance(w.cfg.TTL + w.cfg.Grace/2)
		repeat(w, n1, c) // in grace: still its tenure
		l = w.is(n1.do(renew(l)), nil).Lease()
		w.is(n1.do(release(l)), nil)
		l = w.is(n1.do(c), nil).Lease() // the tenure is over: a new grant
		if w.exact {
			w.until(n1, l.Expiry.Add(w.cfg.Grace-1))
			repeat(w, n1, c) // the last reading before the lapse
			w.until(n1, l.Expiry.Add(w.cfg.Grace))
			if w.cfg.MaxClockSkew > 0 {
				w.is(n1.do(c), registry.ErrHeld) // lapsed, not reclaimable
			}
		}
		w.until(n1, l.Expiry.Add(w.cfg.Grace+w.cfg.MaxClockSkew))
		if w.cfg.MaxClockSkew > 0 {
			w.is(n1.do(c), registry.ErrHeld)
		}
		w.advance(4 * w.cfg.MaxClockSkew)
		w.is(n1.do(c), nil) // reclaimable: a new grant under the old ClaimID
	})
	if !t.judge.dialect.Offers(op.RegisterNode) {
		return
	}
	ends := map[string]func(w *lockstep, n, other *node){
		"failed":       func(w *lockstep, n, other *node) { w.fail(other, n) },
		"deregistered": func(w *lockstep, n, other *node) { w.is(other.do(deregister(n.ref)), nil) },
		"superseded": func(w *lockstep, n, other *node) {
			w.is(other.do(registerNode(n.ref.ID, registry.NodeInfo{}, registry.Supersede)), nil)
		},
	}
	for _, name := range []string{"failed", "deregistered", "superseded"} {
		t.in(t.cfg, func(w *lockstep) {
			n1, n2 := w.node("n1", 0), w.node("n2", 0)
			w.advance(w.cfg.FailureTimeout / 2)
			c := claim(w.actor(name), n1.ref, w.claimID())
			w.is(n1.do(c), nil)
			ends[name](w, n1, n2)
			repeat(w, n1, c)
		})
	}
}

// incarnations calls f with one reference to an incarnation of each standing.
func (w *lockstep) incarnations(by *node, f func(ref registry.NodeRef, want error)) {
	node := func(name string) *node { return w.node(name, 0) }
	f(registry.NodeRef{ID: "never", Epoch: 1}, registry.ErrNodeUnknown)
	future := node("future").ref
	future.Epoch++
	f(future, registry.ErrNodeUnknown)
	left := node("left").ref
	w.is(by.do(deregister(left)), nil)
	f(left, registry.ErrNodeUnknown)
	old := node("superseded")
	past := old.ref
	w.is(old.register(registry.Supersede), nil)
	f(past, registry.ErrNodeFailed)
	w.is(old.do(deregister(old.ref)), nil)
	f(past, registry.ErrNodeFailed) // an epoch that is over stays failed
	f(old.ref, registry.ErrNodeUnknown)
	failed := node("failed")
	w.fail(by, failed)
	f(failed.ref, registry.ErrNodeFailed)
	w.is(failed.register(registry.IfAbsent), nil)
	f(registry.NodeRef{ID: failed.ref.ID, Epoch: 1}, registry.ErrNodeFailed)
	f(failed.ref, nil) // the next epoch starts afresh
}

func claimMembership(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		count := 0
		w.incarnations(n, func(ref registry.NodeRef, want error) {
			count++
			a := w.actor(fmt.Sprintf("a%d", count))
			w.is(n.do(claim(a, ref, w.claimID())), want)
			held := w.actor(fmt.Sprintf("held%d", count))
			w.is(n.claim(held), nil)
			if want == nil {
				want = registry.ErrHeld
			}
			w.is(n.do(claim(held, ref, w.claimID())), want) // the node's refusal comes before held
		})
	})
}

func renewGrants(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a := w.actor("a")
		first := w.is(n1.claim(a), nil).Lease()
		for range 10 {
			w.advance(w.cfg.TTL / 100)
			w.is(n1.do(renew(first)), nil) // an old Version and Expiry do not matter
		}
		w.is(n2.do(renew(first)), nil) // through another handle: it is the tenure that counts
		n1.clock.SetOffset(-w.cfg.MaxClockSkew)
		w.is(n1.do(renew(first)), nil) // by a clock that stepped back: Expiry stays
		n1.clock.SetOffset(0)
		w.advance(w.cfg.TTL + w.cfg.Grace/2)
		w.is(n1.do(renew(first)), nil) // in grace
		w.is(n1.do(validate(a, first.Token)), nil)
		w.is(n2.claim(a), registry.ErrHeld)
		if w.offers(deregister(n1.ref)) {
			w.is(n1.do(deregister(n1.ref)), nil)
			w.is(n1.do(renew(first)), nil) // renewal does not look at membership
		}
	})
}

// atEach runs f once for each configuration and boundary, with the holder's
// clock at that distance from the end of its lease.
func (t *trial) atEach(f func(w *lockstep, holder, other *node, l registry.Lease, at time.Duration)) {
	for _, cfg := range t.configs() {
		for _, at := range boundaries(cfg) {
			t.in(cfg, func(w *lockstep) {
				holder, other := w.node("n1", 0), w.node("n2", 0)
				l := w.is(holder.claim(w.actor("a")), nil).Lease()
				w.until(holder, l.Expiry.Add(at))
				f(w, holder, other, l, at)
			})
		}
	}
}

// before returns nil when at comes before limit and err from there on.
func before(at, limit time.Duration, err error) error {
	if at < limit {
		return nil
	}
	return err
}

func renewBoundaries(t *trial) {
	t.atEach(func(w *lockstep, holder, other *node, l registry.Lease, at time.Duration) {
		w.is(holder.do(renew(l)), before(at, w.cfg.Grace, registry.ErrLapsed))
		w.is(holder.do(validate(l.Actor, l.Token)), nil)
		w.is(holder.do(lookup(l.Actor)), nil)
	})
}

func transferBoundaries(t *trial) {
	t.atEach(func(w *lockstep, holder, other *node, l registry.Lease, at time.Duration) {
		w.is(holder.do(transfer(l, other.ref)), before(at, 0, registry.ErrLapsed))
	})
}

func releases(t *trial) {
	for _, at := range []time.Duration{-t.cfg.TTL / 2, t.cfg.Grace / 2, t.cfg.Grace + t.cfg.MaxClockSkew, t.cfg.Grace + 3*t.cfg.MaxClockSkew} {
		t.in(t.cfg, func(w *lockstep) {
			n1, n2 := w.node("n1", 0), w.node("n2", 0)
			a := w.actor("a")
			l1 := w.is(n1.claim(a), nil).Lease()
			w.advance(w.cfg.TTL + at)
			unregistered := l1
			unregistered.Holder = n2.ref
			w.is(n2.do(release(unregistered)), registry.ErrNotHeld)
			for range 10 {
				w.is(n1.do(release(l1)), nil) // the first releases, the others change nothing
			}
			w.is(n2.do(lookup(a)), nil)
			l2 := w.is(n2.claim(a), nil).Lease()
			for range 10 {
				w.is(n1.do(release(l1)), registry.ErrFenced)
			}
			w.is(n2.do(release(l2)), nil)
			w.is(n1.do(release(l1)), registry.ErrFenced) // also when the later tenure is over
			w.is(n2.do(release(l2)), nil)
			future := l2
			future.Token += 3
			w.is(n2.do(release(future)), registry.ErrNotHeld)
		})
	}
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		w.is(n.do(release(registry.Lease{Actor: w.actor("never"), Holder: n.ref, Token: 1})), registry.ErrNotHeld)
		l := w.is(n.claim(w.actor("a")), nil).Lease()
		w.is(n.do(deregister(n.ref)), nil)
		w.is(n.do(release(l)), nil) // release does not look at membership
	})
}

func transferGrants(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a, id := w.actor("a"), w.claimID()
		l1 := w.is(n1.do(claim(a, n1.ref, id)), nil).Lease()
		w.advance(w.cfg.TTL / 2)
		l2 := w.is(n1.do(transfer(l1, n2.ref)), nil).Lease()
		w.is(n1.do(lookup(a)), nil)
		w.is(n1.do(validate(a, l1.Token)), registry.ErrFenced)
		w.is(n2.do(validate(a, l2.Token)), nil)
		w.is(n1.do(transfer(l1, n2.ref)), registry.ErrFenced)       // repeated: the tenure is over
		w.is(n1.do(claim(a, n1.ref, id)), registry.ErrHeld)         // so is its ClaimID
		w.is(n2.do(claim(a, n2.ref, id)), registry.ErrHeld)         // and it is not the successor's
		l3 := w.is(n2.do(transfer(l2, n2.ref)), nil).Lease()        // to itself: a new tenure
		w.is(n2.do(renew(l2)), registry.ErrFenced)                  //
		l4 := w.is(n2.do(transfer(l3, n1.ref)), nil).Lease()        // and back
		w.is(n1.do(renew(l4)), nil)                                 //
		w.is(n2.do(release(l3)), registry.ErrFenced)                //
		w.is(n1.do(release(l4)), nil)                               //
		w.is(n2.claim(a), nil)                                      //
		w.is(n1.do(listActors(n1.ref, registry.MaxPageLimit)), nil) //
	})
}

func transferMembership(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		count := 0
		w.incarnations(n, func(ref registry.NodeRef, want error) {
			count++
			l := w.is(n.claim(w.actor(fmt.Sprintf("a%d", count))), nil).Lease()
			w.is(n.do(transfer(l, ref)), want)
		})
		l := w.is(n.claim(w.actor("own")), nil).Lease()
		w.is(n.do(deregister(n.ref)), nil)
		other := w.node("other", 0)
		w.is(n.do(transfer(l, other.ref)), nil) // only the successor's standing counts
	})
}

func tenureRefusals(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		all := func(l registry.Lease, wantRenew, wantValidate error) {
			w.is(n1.do(renew(l)), wantRenew)
			w.is(n1.do(transfer(l, n2.ref)), wantRenew)
			w.is(n1.do(validate(l.Actor, l.Token)), wantValidate)
		}
		never := registry.Lease{Actor: w.actor("never"), Holder: n1.ref, Token: 1}
		all(never, registry.ErrNotHeld, registry.ErrNotHeld)

		a := w.actor("a")
		l1 := w.is(n1.claim(a), nil).Lease()
		higher, unregistered, restarted := l1, l1, l1
		higher.Token++
		unregistered.Holder = n2.ref
		restarted.Holder.Epoch++
		all(higher, registry.ErrNotHeld, registry.ErrNotHeld)
		w.is(n1.do(release(higher)), registry.ErrNotHeld)
		all(unregistered, registry.ErrNotHeld, nil) // the token alone is what a guarded write shows
		all(restarted, registry.ErrNotHeld, nil)
		w.is(n1.do(release(restarted)), registry.ErrNotHeld)

		w.is(n1.do(release(l1)), nil)
		all(l1, registry.ErrNotHeld, registry.ErrNotHeld)
		l2 := w.is(n2.claim(a), nil).Lease()
		all(l1, registry.ErrFenced, registry.ErrFenced)
		w.is(n2.do(release(l2)), nil)
		all(l1, registry.ErrFenced, registry.ErrFenced) // nobody holds it, and a higher token was granted

		l3 := w.is(n1.claim(a), nil).Lease()
		w.lapse()
		w.is(n1.do(validate(a, l3.Token)), nil) // no clock: nobody has taken over
		l4 := w.is(n2.claim(a), nil).Lease()
		all(l3, registry.ErrFenced, registry.ErrFenced)
		w.is(n1.do(release(l3)), registry.ErrFenced)
		w.is(n2.do(validate(a, l4.Token)), nil)
	})
}

func lookupRaw(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		nodes := []*node{w.node("n1", 0), w.node("n2", w.cfg.MaxClockSkew), w.node("n3", -w.cfg.MaxClockSkew), w.unregistered("n4", 0)}
		a := w.actor("a")
		everybody := func() {
			for _, n := range nodes {
				w.is(n.do(lookup(a)), nil)
			}
		}
		everybody()
		l := w.is(nodes[0].claim(a), nil).Lease()
		everybody()
		w.is(nodes[0].do(renew(l)), nil)
		for range 3 {
			everybody()
			w.advance(w.cfg.TTL/2 + w.cfg.Grace) // live, then lapsed, then long gone
		}
		l = w.is(nodes[1].claim(a), nil).Lease()
		everybody()
		l = w.is(nodes[1].do(transfer(l, nodes[2].ref)), nil).Lease()
		everybody()
		w.is(nodes[2].do(release(l)), nil)
		everybody()
	})
}

func ownClock(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		e := w.cfg.MaxClockSkew
		ahead, behind := w.node("ahead", e), w.node("behind", -e)
		a := w.actor("a")
		l := w.is(ahead.claim(a), nil).Lease()
		w.is(behind.do(renew(l)), nil) // c+TTL is earlier than Expiry, which stays
		l = w.is(behind.do(transfer(l, behind.ref)), nil).Lease()
		w.is(ahead.do(renew(l)), nil)
		w.is(ahead.do(heartbeat(ahead.ref)), nil)
		w.is(behind.do(heartbeat(ahead.ref)), nil) // last-seen goes back by 2ε
		w.is(ahead.do(registerNode("new", registry.NodeInfo{}, registry.IfAbsent)), nil)
		ahead.clock.SetOffset(-e) // a step backwards within the bound
		w.is(ahead.do(heartbeat(ahead.ref)), nil)
		w.is(ahead.claim(w.actor("b")), nil)
		w.is(ahead.do(registerNode("new", registry.NodeInfo{}, registry.Supersede)), nil)
		for range 5 {
			w.advance(1) // the smallest step of a clock is kept
			w.is(ahead.claim(w.actor(fmt.Sprintf("c%d", w.time.Now()%7))), nil)
		}
	})
}

// sized returns a name of n bytes, of characters of two bytes where it can be.
func sized(n int) string { return strings.Repeat("é", n/2) + strings.Repeat("x", n%2) }

func nameLimits(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		longest := registry.NodeID(sized(registry.MaxNodeIDBytes))
		n := w.node(string(longest), 0)
		short := w.node("1", 0)
		info := registry.NodeInfo{Address: sized(registry.MaxAddressBytes)}
		w.is(n.do(registerNode("address", info, registry.IfAbsent)), nil)
		for _, a := range []registry.ActorID{
			{Namespace: sized(registry.MaxActorPartBytes), Name: sized(registry.MaxActorPartBytes)},
			{Namespace: "a", Name: sized(registry.MaxActorPartBytes)},
			{Namespace: sized(registry.MaxActorPartBytes - 1), Name: "b"},
			{Namespace: "a", Name: "b"},
			{Namespace: "名前空間", Name: "🦆 with spaces / and %25 \\ \" ' * ? # ~"},
		} {
			l := w.is(n.claim(a), nil).Lease()
			l = w.is(n.do(renew(l)), nil).Lease()
			w.is(n.do(validate(a, l.Token)), nil)
			w.is(n.do(lookup(a)), nil)
			l = w.is(n.do(transfer(l, short.ref)), nil).Lease()
			w.is(n.do(listActors(short.ref, 1)), nil)
			w.is(n.do(listActors(n.ref, 1)), nil)
			w.is(short.do(release(l)), nil)
			w.is(n.claim(a), nil)
		}
		w.is(n.do(listActors(n.ref, 1)), nil)
		w.is(n.do(listNodes(registry.AnyStatus, 1)), nil)
		w.is(n.do(heartbeat(n.ref)), nil)
		w.is(n.do(getNode(longest)), nil)
		w.fail(short, n)
		w.is(n.do(deregister(n.ref)), nil)
	})
}

func namesDistinct(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		actors := []registry.ActorID{
			{Namespace: "a", Name: "b/c"}, {Namespace: "a/b", Name: "c"}, {Namespace: "a", Name: "b"}, {Namespace: "b", Name: "a"},
			{Namespace: "A", Name: "b"}, {Namespace: "a ", Name: "b"}, {Namespace: "a", Name: " b"}, {Namespace: "a", Name: "b "},
			{Namespace: "é", Name: "b"}, {Namespace: "e\u0301", Name: "b"}, {Namespace: "a", Name: "b\u200b"}, {Namespace: "a\ufeff", Name: "b"},
			{Namespace: "a", Name: sized(255) + "1"}, {Namespace: "a", Name: sized(255) + "2"}, {Namespace: sized(255) + "1", Name: "b"}, {Namespace: sized(255) + "2", Name: "b"},
			{Namespace: "a", Name: "b\\"}, {Namespace: "ab", Name: "c"}, {Namespace: "a", Name: "bc"}, {Namespace: "a", Name: "\ufffd"}, {Namespace: "a", Name: "%62"},
		}
		for _, a := range actors {
			w.is(n.do(lookup(a)), nil)
			w.is(n.claim(a), nil)
		}
		w.is(n.do(listActors(n.ref, 3)), nil)
		for i, a := range actors {
			if i%2 == 0 {
				w.is(n.do(release(registry.Lease{Actor: a, Holder: n.ref, Token: 1})), nil)
			}
		}
		w.is(n.do(listActors(n.ref, 3)), nil)
		for _, a := range actors {
			w.is(n.do(lookup(a)), nil)
		}
		for _, id := range []registry.NodeID{"N1", "n1 ", "n", "n1#1", "n11", "n1\u0301", registry.NodeID(sized(127) + "1"), registry.NodeID(sized(127) + "2")} {
			w.is(n.do(getNode(id)), nil)
			w.is(n.do(registerNode(id, registry.NodeInfo{Address: string(id)}, registry.IfAbsent)), nil)
		}
		w.is(n.do(listNodes(registry.AnyStatus, 2)), nil)
		w.is(n.do(getNode("n1")), nil)
	})
}

// badNames are names of up to limit bytes that no registry may accept.
func badNames(limit int) []string {
	return []string{"", sized(limit + 1), "b\xff", "\xc3", "nul\x00", "\x00", "line\n", "\x7f", "c1\u0085", "\x1b[0m"}
}

// badCalls returns every operation with each of its arguments wrong in each way.
func badCalls(good registry.Lease, to registry.NodeRef, id registry.ClaimID) []call {
	a, ref, token := good.Actor, good.Holder, good.Token
	var calls []call
	lease := func(l registry.Lease) { calls = append(calls, renew(l), release(l), transfer(l, to)) }
	actor := func(a registry.ActorID) {
		l := good
		l.Actor = a
		lease(l)
		calls = append(calls, claim(a, ref, id), lookup(a), validate(a, token))
	}
	node := func(r registry.NodeRef) {
		l := good
		l.Holder = r
		lease(l)
		calls = append(calls, claim(a, r, id), transfer(good, r), listActorsPage(r, registry.Page{}), heartbeat(r), markFailed(r), deregister(r))
	}
	for _, bad := range badNames(registry.MaxActorPartBytes) {
		actor(registry.ActorID{Namespace: bad, Name: a.Name})
		actor(registry.ActorID{Namespace: a.Namespace, Name: bad})
	}
	for _, bad := range badNames(registry.MaxNodeIDBytes) {
		node(registry.NodeRef{ID: registry.NodeID(bad), Epoch: 1})
		calls = append(calls, getNode(registry.NodeID(bad)), registerNode(registry.NodeID(bad), registry.NodeInfo{}, registry.Supersede))
	}
	node(registry.NodeRef{ID: ref.ID})
	zero := good
	zero.Token = 0
	lease(zero)
	return append(calls,
		claim(a, ref, registry.ClaimID{}),
		validate(a, 0),
		registerNode(ref.ID, registry.NodeInfo{Address: sized(registry.MaxAddressBytes + 1)}, registry.Supersede),
		registerNode(ref.ID, registry.NodeInfo{Address: "\xff"}, registry.Supersede),
		registerNode(ref.ID, registry.NodeInfo{}, registry.Supersede+1),
		listNodesPage(registry.NodeLeft+1, registry.Page{}),
		listNodesPage(registry.AnyStatus, registry.Page{Limit: -1}),
		listNodesPage(registry.AnyStatus, registry.Page{Limit: registry.MaxPageLimit + 1}),
		listActorsPage(ref, registry.Page{Limit: -1}),
		listActorsPage(ref, registry.Page{Limit: registry.MaxPageLimit + 1}),
	)
}

// goodCalls returns every operation once, with arguments that would succeed or
// be refused by the state.
func goodCalls(l registry.Lease, to registry.NodeRef, id registry.ClaimID) []call {
	free := registry.ActorID{Namespace: "conform", Name: "free"}
	return []call{
		claim(free, l.Holder, id), claim(l.Actor, to, id), renew(l), transfer(l, to), release(l), lookup(l.Actor), validate(l.Actor, l.Token),
		listActorsPage(l.Holder, registry.Page{}), registerNode("new", registry.NodeInfo{}, registry.IfAbsent),
		registerNode(to.ID, registry.NodeInfo{}, registry.Supersede), heartbeat(to), markFailed(to), deregister(to),
		getNode(to.ID), listNodesPage(registry.AnyStatus, registry.Page{}),
	}
}

// unchanged runs f and then compares every record and listing with the
// reference, which f has left as it was or changed in the same way.
func (w *lockstep) unchanged(n *node, f func()) {
	f()
	for _, c := range []call{
		lookup(w.actor("a")), lookup(w.actor("free")), listActors(n.ref, registry.MaxPageLimit), listNodes(registry.AnyStatus, registry.MaxPageLimit),
	} {
		w.auditOne(c, RefusalNothing)
	}
}

func badInput(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, to := w.node("n1", 0), w.node("n2", 0)
		l := w.is(n.claim(w.actor("a")), nil).Lease()
		w.audits = false // once for all: a bad argument names no record
		for _, c := range badCalls(l, to.ref, w.claimID()) {
			w.unchanged(n, func() { w.is(n.do(c), registry.ErrInvalid) })
		}
		w.is(n.do(renew(l)), nil)
	})
}

func closedHandle(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, to, closed := w.node("n1", 0), w.node("n2", 0), w.unregistered("n3", 0)
		l := w.is(n.claim(w.actor("a")), nil).Lease()
		for range 10 {
			closed.do(closeHandle())
		}
		for _, c := range goodCalls(l, to.ref, w.claimID()) {
			w.unchanged(n, func() { w.is(closed.do(c), registry.ErrClosed) })
		}
		for _, c := range badCalls(l, to.ref, w.claimID()) {
			w.is(closed.do(c), registry.ErrInvalid)
		}
		w.is(n.do(renew(l)), nil) // other handles and the lease live on
	})
}

func cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx, cancel
}

func expired(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, -time.Second)
}

func endedContext(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, to, closed := w.node("n1", 0), w.node("n2", 0), w.unregistered("n3", 0)
		closed.do(closeHandle())
		l := w.is(n.claim(w.actor("a")), nil).Lease()
		for _, c := range goodCalls(l, to.ref, w.claimID()) {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				w.unchanged(n, func() { w.ended(n, c, want) })
			}
			w.is(closed.do(c.in(cancelled)), registry.ErrClosed)
		}
		for _, c := range badCalls(l, to.ref, w.claimID())[:40] {
			w.is(n.do(c.in(cancelled)), registry.ErrInvalid)
		}
		w.is(n.do(renew(l)), nil)
	})
}

// ended makes a call whose context has ended with that error. Unlike do it takes
// the context's error for the answer that it is.
func (w *lockstep) ended(n *node, c call, want error) {
	if !w.offers(c) {
		return
	}
	end := cancelled
	if want == context.DeadlineExceeded {
		end = expired
	}
	c = c.in(end)
	c.note = want.Error()
	var got op.Result
	w.t.watch(c.String, func(ctx context.Context) { got = c.do(ctx, n.h) })
	w.note(n, c, got)
	w.errorAlone(c, got)
	if class(got.Err) != want {
		w.convict(ContextThird, 0, got, op.Failed(want), "")
	}
}

func failedLookups(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, closed := w.node("n1", 0), w.unregistered("n2", 0)
		a := w.actor("a")
		w.is(n.claim(a), nil)
		closed.do(closeHandle())
		for _, c := range []call{lookup(a), getNode(n.ref.ID)} {
			w.is(n.do(c), nil)
			w.is(closed.do(c), registry.ErrClosed)
			w.ended(n, c, context.Canceled)
			w.ended(n, c, context.DeadlineExceeded)
		}
	})
}

func refusalOrder(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2, n3 := w.node("n1", 0), w.node("n2", 0), w.node("n3", 0)
		a := w.actor("a")
		l1 := w.is(n1.claim(a), nil).Lease()
		w.fail(n2, n3) // n3 is failed, "never" unknown
		failed, never := n3.ref, registry.NodeRef{ID: "never", Epoch: 1}
		higher, unregistered := l1, l1
		higher.Token += 2
		unregistered.Holder = n2.ref

		// The node before held, not held and lapsed.
		w.is(n2.do(claim(a, never, w.claimID())), registry.ErrNodeUnknown)
		w.is(n2.do(claim(a, failed, w.claimID())), registry.ErrNodeFailed)
		w.is(n2.do(transfer(higher, never)), registry.ErrNodeUnknown)
		w.is(n2.do(transfer(unregistered, failed)), registry.ErrNodeFailed)
		w.lapse()
		w.is(n1.do(transfer(l1, never)), registry.ErrNodeUnknown)
		w.is(n1.do(transfer(l1, failed)), registry.ErrNodeFailed)

		// Not held before lapsed.
		w.is(n1.do(renew(higher)), registry.ErrNotHeld)
		w.is(n2.do(renew(unregistered)), registry.ErrNotHeld)
		w.is(n1.do(transfer(higher, n2.ref)), registry.ErrNotHeld)
		w.is(n1.do(renew(l1)), registry.ErrLapsed)
		w.is(n1.do(transfer(l1, n2.ref)), registry.ErrLapsed)

		// Fenced before not held and lapsed; the node before fenced.
		l2 := w.is(n2.claim(a), nil).Lease()
		w.lapse()
		w.is(n1.do(renew(l1)), registry.ErrFenced)
		w.is(n1.do(transfer(l1, n2.ref)), registry.ErrFenced)
		w.is(n1.do(transfer(l1, never)), registry.ErrNodeUnknown)
		w.is(n1.do(transfer(l1, failed)), registry.ErrNodeFailed)
		w.is(n2.do(release(l2)), nil)
		w.is(n1.do(renew(l1)), registry.ErrFenced)
		w.is(n1.do(release(l1)), registry.ErrFenced)
		w.is(n1.do(validate(a, l1.Token)), registry.ErrFenced)
		w.is(n2.do(renew(l2)), registry.ErrNotHeld)
		w.is(n2.do(transfer(l2, failed)), registry.ErrNodeFailed)
	})
}

func configMismatch(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		for _, change := range []func(*registry.Config){
			func(c *registry.Config) { c.TTL += time.Millisecond },
			func(c *registry.Config) { c.Grace-- },
			func(c *registry.Config) { c.MaxClockSkew-- },
			func(c *registry.Config) { c.FailureTimeout++ },
		} {
			cfg := w.cfg
			change(&cfg)
			if cfg.Validate() != nil {
				continue // the configuration judged has a bound at its end
			}
			w.opens(cfg, registry.ErrConfigMismatch)
		}
		bad := w.cfg
		bad.Grace = bad.TTL + 1
		w.opens(bad, registry.ErrInvalid)
		permitted := w.cfg
		permitted.AllowShortTTL = true // a permission, no value of the cluster
		w.opens(permitted, nil)
	})
}

func (w *lockstep) opens(cfg registry.Config, want error) {
	var h registry.Handle
	var err error
	w.t.watch(func() string { return "Cluster.Open" }, func(context.Context) { h, err = w.cluster.Open(cfg, w.observer.clock) })
	w.steps = append(w.steps, step{at: w.time.Now(), clock: w.time.Now(), node: "n1", what: "Open(" + explain.Bounds(cfg) + ")", result: op.Failed(err)})
	var detail *registry.ConfigMismatchError
	switch {
	case class(err) != want:
		w.convict(ConfigMatches, 0, op.Failed(err), op.Failed(want), "")
	case want == registry.ErrConfigMismatch && !errors.As(err, &detail):
		w.convict(ConfigMatches, 0, op.Failed(err), op.Failed(want), "no registry.ConfigMismatchError is in the error")
	case err == nil:
		_ = h.Close()
	}
}
