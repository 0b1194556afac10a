package sections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/op"
)

func contractSection() trial.Section {
	exact := []backend.Capability{backend.ClockControl}
	return trial.Section{
		Name: "contract",
		Doc:  "every row and every refusal of the table of operations, one caller at a time, compared with the reference",
		Cases: []trial.Case{
			{Name: "claim-grants", Doc: "a free actor is granted, a released one again, a lapsed one to anybody",
				Rules: []contract.RuleID{"Claim.granted", contract.TokenMonotonic, contract.VersionBump}, Run: claimGrants},
			{Name: "claim-boundaries", Doc: "claims of the holder and of another node one nanosecond before, at and after each boundary of the lease, by clocks at both ends of the skew",
				Rules: []contract.RuleID{"Claim.held", "Claim.granted", contract.GraceRespected, contract.SingleActivation}, Needs: exact, Run: claimBoundaries},
			{Name: "claim-repeats", Doc: "a claim repeated ten times under its ClaimID returns the same lease, whatever has become of the node, until it lapses",
				Rules: []contract.RuleID{"Claim.repeated", "Claim.held"}, Run: claimRepeats},
			{Name: "claim-membership", Doc: "claims of incarnations that were never registered, left, failed or were superseded",
				Rules: []contract.RuleID{"Claim.node-unknown", "Claim.node-failed"}, Run: claimMembership},
			{Name: "renew-grants", Doc: "renewals while live, in grace, ten times, for several lengths of a lease, with old lease values and by a clock that stepped back",
				Rules: []contract.RuleID{"Renew.granted", contract.VersionBump}, Run: renewGrants},
			{Name: "renew-boundaries", Doc: "a renewal one nanosecond before, at and after each boundary",
				Rules: []contract.RuleID{"Renew.granted", "Renew.lapsed"}, Needs: exact, Run: renewBoundaries},
			{Name: "release", Doc: "releases in every phase, repeated ten times, by an old tenure and by nobody's",
				Rules: []contract.RuleID{"Release.granted", "Release.repeated", "Release.fenced", "Release.not-held", contract.VersionBump, contract.TokenMonotonic}, Run: releases},
			{Name: "transfer-grants", Doc: "a hand-off to another node, to itself, and back",
				Rules: []contract.RuleID{"Transfer.granted", contract.TokenMonotonic, contract.VersionBump}, Run: transferGrants},
			{Name: "transfer-boundaries", Doc: "a transfer one nanosecond before, at and after each boundary",
				Rules: []contract.RuleID{"Transfer.granted", "Transfer.lapsed"}, Needs: exact, Run: transferBoundaries},
			{Name: "transfer-membership", Doc: "transfers to incarnations that were never registered, left, failed or were superseded",
				Rules: []contract.RuleID{"Transfer.node-unknown", "Transfer.node-failed"}, Run: transferMembership},
			{Name: "tenure-refusals", Doc: "renew, transfer and validate under every wrong tenure: lower and higher token, another holder, released, never claimed",
				Rules: []contract.RuleID{"Renew.fenced", "Renew.not-held", "Transfer.fenced", "Transfer.not-held", "Validate.granted", "Validate.fenced", "Validate.not-held", "Release.fenced", "Release.not-held"}, Run: tenureRefusals},
			{Name: "every-refusal", Doc: "every tenure that is not the record's, or is no longer, presented in every state of a record and in every phase, to receivers of every standing: nothing changes",
				Rules: []contract.RuleID{contract.RefusalNothing, contract.RefusalOrder, "Renew.fenced", "Renew.not-held", "Renew.lapsed", "Release.fenced", "Release.not-held", "Transfer.fenced", "Transfer.not-held", "Transfer.lapsed",
					"Claim.held", contract.BatchAsSingle}, Needs: exact, Run: everyRefusal},
			{Name: "lookup-raw", Doc: "the record as written, from every handle, in every phase",
				Rules: []contract.RuleID{contract.RawLookup}, Run: lookupRaw},
			{Name: "own-clock", Doc: "each operation goes by its own handle's clock, which may be ahead, behind or step back",
				Rules: []contract.RuleID{contract.OneReading, "Claim.granted", "Renew.granted", "Transfer.granted", "Heartbeat.granted", "RegisterNode.granted"}, Needs: exact, Run: ownClock},
			{Name: "names-limits", Doc: "each limit of a name exactly reached in every operation",
				Rules: []contract.RuleID{contract.NameLimits}, Run: nameLimits},
			{Name: "names-distinct", Doc: "names that look alike name different actors and nodes",
				Rules: []contract.RuleID{contract.NamesDistinct, contract.NameLimits, "Claim.granted"}, Run: namesDistinct},
			{Name: "bad-input", Doc: "every bad argument of every operation is refused by name and changes nothing",
				Rules: []contract.RuleID{contract.InvalidFirst, contract.NameLimits}, Run: badInput},
			{Name: "failed-lookups", Doc: "lookups of what exists, through a handle that is closed and under a context that has ended, tell the error and nothing else",
				Rules: []contract.RuleID{contract.ErrorAlone, contract.ClosedSecond, contract.ContextThird}, Run: failedLookups},
			{Name: "closed-handle", Doc: "every operation on a closed handle, and a second Close",
				Rules: []contract.RuleID{contract.ClosedSecond, contract.CloseFrees, contract.InvalidFirst, contract.BatchAsSingle}, Run: closedHandle},
			{Name: "ended-context", Doc: "every operation under a context that is cancelled or past its deadline",
				Rules: []contract.RuleID{contract.ContextThird, contract.ClosedSecond, contract.InvalidFirst}, Run: endedContext},
			{Name: "refusal-order", Doc: "every pair of refusals that can apply together",
				Rules: []contract.RuleID{contract.RefusalOrder, contract.RefusalNothing, contract.RefusalTruthful}, Run: refusalOrder},
			{Name: "config-mismatch", Doc: "a handle opened with any other time bound",
				Rules: []contract.RuleID{contract.ConfigMatches}, Run: configMismatch},
			{Name: "listing", Doc: "listings of actors, in pages of every size, with lapsed, released and transferred ones; pages asked for twice, through several handles",
				Rules: []contract.RuleID{"ListActors.answered", contract.PagedListing}, Run: listing},
			{Name: "listing-under-change", Doc: "an actor held throughout, and a node active throughout, is listed exactly once while others come and go between the pages",
				Rules: []contract.RuleID{contract.PagedListing}, Run: listingUnderChange},
			{Name: "listing-foreign-cursors", Doc: "pages after cursors that no listing has returned are answered, in whatever way",
				Rules: []contract.RuleID{contract.CallsReturn, contract.PagedListing}, Run: foreignCursors},
			{Name: "renew-batch", Doc: "a batch of good and bad leases renews each as Renew would",
				Rules: []contract.RuleID{contract.BatchAsSingle}, Needs: []backend.Capability{backend.BatchRenew}, Run: renewBatch},
			{Name: "watch", Doc: "a watch answers at once when the version differs, wakes at a change, and ends with its context or handle",
				Rules: []contract.RuleID{contract.WatchWakes}, Needs: []backend.Capability{backend.Watch}, Run: watchCase},
			{Name: "watchers", Doc: "two watches of one actor wake for one change, and one that ends, early or late, leaves the other waiting",
				Rules: []contract.RuleID{contract.WatchWakes}, Needs: []backend.Capability{backend.Watch}, Run: watchersCase},
			{Name: "reads-afresh", Doc: "one and the same read before and after each change that others make, through a handle that does nothing else",
				Rules: []contract.RuleID{contract.RawLookup, "Validate.fenced", "Validate.not-held", "GetNode.answered", "ListNodes.answered", "ListActors.answered"}, Run: readsAfresh},
			{Name: "watches-afresh", Doc: "watches that are answered at once, before and after each change that others make, by a handle that has looked the record up before",
				Rules: []contract.RuleID{contract.WatchWakes}, Needs: []backend.Capability{backend.Watch}, Run: watchesAfresh},
			{Name: "decides-afresh", Doc: "what a handle has read before decides nothing: others change it, and then the handle writes", Needs: exact,
				Rules: []contract.RuleID{"Claim.held", "Claim.granted", "MarkFailed.alive", "Transfer.node-unknown", "RegisterNode.exists", "RegisterNode.granted"}, Run: decidesAfresh},
			{Name: "every-tenure", Doc: "each call in the last moment of each phase and in the first of the next, for tenures that began in every way, of holders that are active, gone or another incarnation",
				Rules: []contract.RuleID{"Claim.held", "Claim.granted", "Claim.repeated", "Renew.granted", "Renew.lapsed", "Transfer.granted", "Transfer.lapsed", "Release.granted", "Release.not-held", contract.GraceRespected}, Needs: exact, Run: everyTenure},
			{Name: "lease-fields", Doc: "leases presented with another version, expiry or claim id than was granted: they go by actor, holder and token",
				Rules: []contract.RuleID{"Renew.granted", "Transfer.granted", "Release.granted", "Release.repeated"}, Run: leaseFields},
		},
	}
}

func claimGrants(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a := w.Actor("a")
		w.Is(n1.Do(call.Lookup(a)), nil)
		l := w.Is(n1.Claim(a), nil).Lease()
		w.Is(n2.Do(call.Lookup(a)), nil)
		w.Is(n1.Do(call.Release(l)), nil)
		l = w.Is(n2.Claim(a), nil).Lease()
		w.Is(n2.Do(call.Release(l)), nil)
		w.Is(n2.Claim(a), nil) // the same node again: a new tenure
		w.Lapse()
		w.Is(n1.Claim(a), nil)
		w.Lapse()
		w.Is(n1.Claim(a), nil) // its own lapsed lease: a new tenure too
	})
}

func claimBoundaries(t *trial.Trial) {
	for _, cfg := range t.Configs() {
		for _, at := range lockstep.Boundaries(cfg) {
			want := error(registry.ErrHeld)
			if at >= cfg.Grace+2*cfg.MaxClockSkew {
				want = nil
			}
			for _, skew := range []time.Duration{cfg.MaxClockSkew, 0, -cfg.MaxClockSkew} {
				lockstep.In(t, cfg, func(w *lockstep.Run) {
					holder, unregistered := w.Node("n1", -skew), w.Node("n2", skew)
					a, b := w.Actor("a"), w.Actor("b")
					l := w.Is(holder.Claim(a), nil).Lease()
					w.Is(holder.Claim(b), nil)
					w.Until(unregistered, l.Expiry.Add(at))
					w.Is(unregistered.Claim(a), want)
					w.Until(holder, l.Expiry.Add(at))
					if w.Time.Now() >= w.Began { // true time cannot have gone back behind the other's claim
						w.Is(holder.Claim(b), want)
					}
				})
			}
		}
	}
}

func claimRepeats(t *trial.Trial) {
	repeat := func(w *lockstep.Run, n *lockstep.Node, c call.Call) {
		for range 10 {
			w.Is(n.Do(c), nil)
		}
	}
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a, id := w.Actor("a"), w.ClaimID()
		c := call.Claim(a, n1.Ref, id)
		repeat(w, n1, c)
		repeat(w, n2, c) // through another handle: it is the node that claims
		w.Is(n2.Do(call.Claim(a, n2.Ref, id)), registry.ErrHeld)
		w.Is(n1.Claim(a), registry.ErrHeld) // the holder with a new ClaimID is a new attempt
		for i := range id {                 // also with one that is like it
			other := id
			other[i] ^= 0x80
			w.Is(n1.Do(call.Claim(a, n1.Ref, other)), registry.ErrHeld)
		}
		likeIDs(w, n1, n2)
		w.Advance(w.Cfg.TTL / 2)
		l := w.Is(n1.Do(call.Renew(w.Is(n1.Do(c), nil).Lease())), nil).Lease()
		repeat(w, n1, c) // answered with the lease as renewed
		if w.Cfg.Grace > 0 {
			w.Advance(w.Cfg.TTL + w.Cfg.Grace/2)
			repeat(w, n1, c) // in grace: still its tenure
			l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
		}
		w.Is(n1.Do(call.Release(l)), nil)
		l = w.Is(n1.Do(c), nil).Lease() // the tenure is over: a new grant
		if w.Exact {
			w.Until(n1, l.Expiry.Add(w.Cfg.Grace-1))
			repeat(w, n1, c) // the last reading before the lapse
			w.Until(n1, l.Expiry.Add(w.Cfg.Grace))
			if w.Cfg.MaxClockSkew > 0 {
				w.Is(n1.Do(c), registry.ErrHeld) // lapsed, not reclaimable
			}
		}
		w.Until(n1, l.Expiry.Add(w.Cfg.Grace+w.Cfg.MaxClockSkew))
		if w.Cfg.MaxClockSkew > 0 {
			w.Is(n1.Do(c), registry.ErrHeld)
		}
		w.Advance(4 * w.Cfg.MaxClockSkew)
		w.Is(n1.Do(c), nil) // reclaimable: a new grant under the old ClaimID
	})
	if !t.Judge.Dialect.Offers(op.RegisterNode) {
		return
	}
	ends := map[string]func(w *lockstep.Run, n, other *lockstep.Node){
		"failed": func(w *lockstep.Run, n, other *lockstep.Node) { // it was silent for long when it claimed
			w.Advance(2 * w.Cfg.MaxClockSkew)
			w.Is(other.Do(call.MarkFailed(n.Ref)), nil)
		},
		"deregistered": func(w *lockstep.Run, n, other *lockstep.Node) { w.Is(other.Do(call.Deregister(n.Ref)), nil) },
		"superseded": func(w *lockstep.Run, n, other *lockstep.Node) {
			w.Is(other.Do(call.RegisterNode(n.Ref.ID, registry.NodeInfo{}, registry.Supersede)), nil)
		},
	}
	for _, name := range []string{"failed", "deregistered", "superseded"} {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
			w.Advance(w.Cfg.FailureTimeout)
			c := call.Claim(w.Actor(name), n1.Ref, w.ClaimID())
			w.Is(n1.Do(c), nil)
			ends[name](w, n1, n2)
			repeat(w, n1, c)
		})
	}
}

// likeIDs claims under ids that are the same once they are taken for text, padded, cut or
// compared without case, and under one id for several actors and by several nodes.
func likeIDs(w *lockstep.Run, n1, n2 *lockstep.Node) {
	for i, pair := range alikeIDs() {
		a := w.Actor(fmt.Sprint("like-", i))
		w.Is(n1.Do(call.Claim(a, n1.Ref, pair[0])), nil)
		w.Is(n1.Do(call.Claim(a, n1.Ref, pair[1])), registry.ErrHeld)
		w.Is(n1.Do(call.Claim(a, n1.Ref, pair[0])), nil)
	}
	id := w.ClaimID()
	for _, name := range []string{"one", "another"} { // an id is one attempt to claim this actor
		a := w.Actor(name)
		for _, n := range []*lockstep.Node{n1, n2, n1} {
			l := w.Is(n.Do(call.Claim(a, n.Ref, id)), nil).Lease()
			w.Is(n.Do(call.Claim(a, n.Ref, id)), nil)
			w.Is(n.Do(call.Release(l)), nil)
		}
	}
	for range 2 { // two actors held under one id at the same time
		for _, name := range []string{"first of two", "second of two"} {
			w.Is(n1.Do(call.Claim(w.Actor(name), n1.Ref, id)), nil)
		}
	}
	refused := call.Claim(w.Actor("later"), n2.Ref, w.ClaimID()) // the same attempt, once it can be granted
	l := w.Is(n1.Claim(refused.Actor), nil).Lease()
	w.Is(n2.Do(refused), registry.ErrHeld)
	w.Is(n1.Do(call.Release(l)), nil)
	w.Is(n2.Do(refused), nil)
	if n3 := w.Unregistered("n3", 0); w.Offers(call.Deregister(n3.Ref)) {
		refused = call.Claim(w.Actor("later registered"), n3.Ref, w.ClaimID())
		w.Is(n3.Do(refused), registry.ErrNodeUnknown)
		n3.Register(registry.IfAbsent)
		w.Is(n3.Do(refused), nil)
	}
}

// alikeIDs are pairs of 16 bytes that are not the same.
func alikeIDs() (pairs [][2]registry.ClaimID) {
	for _, p := range [][2]string{
		{"\xff", "\xfe"}, {"abc\xff", "abc\xc0"}, {"\xe9", "\xe8"}, // no text, both of them
		{"a\x00b", "a\x00c"}, {"a", "a\x00\x01"}, {"\x00a", "\x00b"}, // ended by a zero
		{"sixteen-bytes-aa", "sixteen-bytes-Aa"}, {"\xc3\xa9", "\xc3\x89"}, // without case
		{"padded", "padded  "}, {"padded \n", "padded"}, {"same\t", "same "}, // without blanks
		{"0123456789abcdef", "0123456789abcdeF"}, {"\x01", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
	} {
		var ids [2]registry.ClaimID
		copy(ids[0][:], p[0])
		copy(ids[1][:], p[1])
		pairs = append(pairs, ids)
	}
	return pairs
}

func claimMembership(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		count := 0
		w.Incarnations(n, func(ref registry.NodeRef, want error) {
			count++
			a := w.Actor(fmt.Sprintf("a%d", count))
			w.Is(n.Do(call.Claim(a, ref, w.ClaimID())), want)
			held := w.Actor(fmt.Sprintf("held%d", count))
			w.Is(n.Claim(held), nil)
			if want == nil {
				want = registry.ErrHeld
			}
			w.Is(n.Do(call.Claim(held, ref, w.ClaimID())), want) // the node's refusal comes before held
		})
	})
}

func renewGrants(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a := w.Actor("a")
		first := w.Is(n1.Claim(a), nil).Lease()
		for range 10 {
			w.Advance(w.Cfg.TTL / 100)
			w.Is(n1.Do(call.Renew(first)), nil) // an old Version and Expiry do not matter
		}
		for range 10 {
			w.Advance(w.Cfg.TTL / 4)
			w.Is(n1.Do(call.Renew(first)), nil) // also when the lease would be long over without
			w.Is(n2.Claim(a), registry.ErrHeld)
		}
		w.Is(n2.Do(call.Renew(first)), nil) // through another handle: it is the tenure that counts
		n1.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		w.Is(n1.Do(call.Renew(first)), nil) // by a clock that stepped back: Expiry stays
		n1.Clock.SetOffset(0)
		if w.Cfg.Grace > 0 {
			w.Advance(w.Cfg.TTL + w.Cfg.Grace/2)
			w.Is(n1.Do(call.Renew(first)), nil) // in grace
		}
		w.Is(n1.Do(call.Validate(a, first.Token)), nil)
		w.Is(n2.Claim(a), registry.ErrHeld)
		if w.Offers(call.Deregister(n1.Ref)) {
			w.Is(n1.Do(call.Deregister(n1.Ref)), nil)
			w.Is(n1.Do(call.Renew(first)), nil) // renewal does not look at membership
		}
	})
}

// before returns nil when at comes before limit and err from there on.
func before(at, limit time.Duration, err error) error {
	if at < limit {
		return nil
	}
	return err
}

func renewBoundaries(t *trial.Trial) {
	lockstep.AtEach(t, func(w *lockstep.Run, holder, other *lockstep.Node, l registry.Lease, at time.Duration) {
		w.Is(holder.Do(call.Renew(l)), before(at, w.Cfg.Grace, registry.ErrLapsed))
		w.Is(holder.Do(call.Validate(l.Actor, l.Token)), nil)
		w.Is(holder.Do(call.Lookup(l.Actor)), nil)
	})
}

func transferBoundaries(t *trial.Trial) {
	lockstep.AtEach(t, func(w *lockstep.Run, holder, other *lockstep.Node, l registry.Lease, at time.Duration) {
		w.Is(holder.Do(call.Transfer(l, other.Ref)), before(at, 0, registry.ErrLapsed))
	})
}

func releases(t *trial.Trial) {
	for _, at := range []time.Duration{-t.Cfg.TTL / 2, t.Cfg.Grace / 2, t.Cfg.Grace + t.Cfg.MaxClockSkew, t.Cfg.Grace + 3*t.Cfg.MaxClockSkew} {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
			a := w.Actor("a")
			l1 := w.Is(n1.Claim(a), nil).Lease()
			w.Advance(w.Cfg.TTL + at)
			unregistered := l1
			unregistered.Holder = n2.Ref
			w.Is(n2.Do(call.Release(unregistered)), registry.ErrNotHeld)
			for range 10 {
				w.Is(n1.Do(call.Release(l1)), nil) // the first releases, the others change nothing
			}
			w.Is(n2.Do(call.Lookup(a)), nil)
			l2 := w.Is(n2.Claim(a), nil).Lease()
			for range 10 {
				w.Is(n1.Do(call.Release(l1)), registry.ErrFenced)
			}
			w.Is(n2.Do(call.Release(l2)), nil)
			w.Is(n1.Do(call.Release(l1)), registry.ErrFenced) // also when the later tenure is over
			w.Is(n2.Do(call.Release(l2)), nil)
			future := l2
			future.Token += 3
			w.Is(n2.Do(call.Release(future)), registry.ErrNotHeld)
		})
	}
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		w.Is(n.Do(call.Release(registry.Lease{Actor: w.Actor("never"), Holder: n.Ref, Token: 1})), registry.ErrNotHeld)
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		w.Is(n.Do(call.Release(l)), nil) // release does not look at membership
	})
}

func transferGrants(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a, id := w.Actor("a"), w.ClaimID()
		l1 := w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil).Lease()
		w.Advance(w.Cfg.TTL / 2)
		l2 := w.Is(n1.Do(call.Transfer(l1, n2.Ref)), nil).Lease()
		w.Is(n1.Do(call.Lookup(a)), nil)
		w.Is(n1.Do(call.Validate(a, l1.Token)), registry.ErrFenced)
		w.Is(n2.Do(call.Validate(a, l2.Token)), nil)
		w.Is(n1.Do(call.Transfer(l1, n2.Ref)), registry.ErrFenced)                     // repeated: the tenure is over
		w.Is(n1.Do(call.Claim(a, n1.Ref, id)), registry.ErrHeld)                       // so is its ClaimID
		w.Is(n2.Do(call.Claim(a, n2.Ref, id)), registry.ErrHeld)                       // and it is not the successor's
		l3 := w.Is(n2.Do(call.Transfer(l2, n2.Ref)), nil).Lease()                      // to itself: a new tenure
		w.Is(n2.Do(call.Renew(l2)), registry.ErrFenced)                                //
		l4 := w.Is(n2.Do(call.Transfer(l3, n1.Ref)), nil).Lease()                      // and back
		w.Is(n1.Do(call.Renew(l4)), nil)                                               //
		w.Is(n2.Do(call.Release(l3)), registry.ErrFenced)                              //
		w.Is(n1.Do(call.Release(l4)), nil)                                             //
		w.Is(n2.Claim(a), nil)                                                         //
		w.Is(n1.Do(call.ListActors(n1.Ref, registry.MaxPageLimit)), nil)               //
		if plain := w.Unregistered("plain", 0); w.Offers(call.Deregister(plain.Ref)) { // a node without an address is one
			w.Is(plain.Do(call.RegisterNode(plain.Ref.ID, registry.NodeInfo{}, registry.IfAbsent)), nil)
			w.Is(n1.Do(call.Transfer(w.Is(n1.Claim(w.Actor("b")), nil).Lease(), plain.Ref)), nil)
		}
	})
}

func transferMembership(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		count := 0
		w.Incarnations(n, func(ref registry.NodeRef, want error) {
			count++
			l := w.Is(n.Claim(w.Actor(fmt.Sprintf("a%d", count))), nil).Lease()
			w.Is(n.Do(call.Transfer(l, ref)), want)
		})
		for i, ends := range []func(to *lockstep.Node){
			func(to *lockstep.Node) { w.Is(to.Register(registry.Supersede), nil) },
			func(to *lockstep.Node) { w.Is(n.Do(call.Deregister(to.Ref)), nil) },
			func(to *lockstep.Node) { w.Fail(n, to) },
		} {
			to := w.Node(fmt.Sprint("often-", i), 0)
			ref := to.Ref
			hand := func() {
				count++
				n.Do(call.Transfer(w.Is(n.Claim(w.Actor(fmt.Sprintf("a%d", count))), nil).Lease(), ref))
			}
			for range 3 { // that it went well so often says nothing of the next time
				hand()
			}
			ends(to)
			hand()
		}
		l := w.Is(n.Claim(w.Actor("own")), nil).Lease()
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		other := w.Node("other", 0)
		w.Is(n.Do(call.Transfer(l, other.Ref)), nil) // only the successor's standing counts
	})
}

func tenureRefusals(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		all := func(l registry.Lease, wantRenew, wantValidate error) {
			w.Is(n1.Do(call.Renew(l)), wantRenew)
			w.Is(n1.Do(call.Transfer(l, n2.Ref)), wantRenew)
			w.Is(n1.Do(call.Validate(l.Actor, l.Token)), wantValidate)
		}
		never := registry.Lease{Actor: w.Actor("never"), Holder: n1.Ref, Token: 1}
		all(never, registry.ErrNotHeld, registry.ErrNotHeld)

		a := w.Actor("a")
		l1 := w.Is(n1.Claim(a), nil).Lease()
		higher, unregistered, restarted := l1, l1, l1
		higher.Token++
		unregistered.Holder = n2.Ref
		restarted.Holder.Epoch++
		all(higher, registry.ErrNotHeld, registry.ErrNotHeld)
		w.Is(n1.Do(call.Release(higher)), registry.ErrNotHeld)
		all(unregistered, registry.ErrNotHeld, nil) // the token alone is what a guarded write shows
		all(restarted, registry.ErrNotHeld, nil)
		w.Is(n1.Do(call.Release(restarted)), registry.ErrNotHeld)

		w.Is(n1.Do(call.Release(l1)), nil)
		all(l1, registry.ErrNotHeld, registry.ErrNotHeld)
		l2 := w.Is(n2.Claim(a), nil).Lease()
		all(l1, registry.ErrFenced, registry.ErrFenced)
		w.Is(n2.Do(call.Release(l2)), nil)
		all(l1, registry.ErrFenced, registry.ErrFenced) // nobody holds it, and a higher token was granted

		l3 := w.Is(n1.Claim(a), nil).Lease()
		w.Lapse()
		w.Is(n1.Do(call.Validate(a, l3.Token)), nil) // no clock: nobody has taken over
		l4 := w.Is(n2.Claim(a), nil).Lease()
		all(l3, registry.ErrFenced, registry.ErrFenced)
		w.Is(n1.Do(call.Release(l3)), registry.ErrFenced)
		w.Is(n2.Do(call.Validate(a, l4.Token)), nil)
	})
}

func lookupRaw(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		nodes := []*lockstep.Node{w.Node("n1", 0), w.Node("n2", w.Cfg.MaxClockSkew), w.Node("n3", -w.Cfg.MaxClockSkew), w.Unregistered("n4", 0)}
		a := w.Actor("a")
		everybody := func() {
			for _, n := range nodes {
				w.Is(n.Do(call.Lookup(a)), nil)
			}
		}
		everybody()
		l := w.Is(nodes[0].Claim(a), nil).Lease()
		everybody()
		w.Is(nodes[0].Do(call.Renew(l)), nil)
		for range 3 {
			everybody()
			w.Advance(w.Cfg.TTL/2 + w.Cfg.Grace) // live, then lapsed, then long gone
		}
		l = w.Is(nodes[1].Claim(a), nil).Lease()
		everybody()
		l = w.Is(nodes[1].Do(call.Transfer(l, nodes[2].Ref)), nil).Lease()
		everybody()
		w.Is(nodes[2].Do(call.Release(l)), nil)
		everybody()
	})
}

func ownClock(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		e := w.Cfg.MaxClockSkew
		ahead, behind := w.Node("ahead", e), w.Node("behind", -e)
		a := w.Actor("a")
		l := w.Is(ahead.Claim(a), nil).Lease()
		w.Is(behind.Do(call.Renew(l)), nil) // c+TTL is earlier than Expiry, which stays
		l = w.Is(behind.Do(call.Transfer(l, behind.Ref)), nil).Lease()
		w.Is(ahead.Do(call.Renew(l)), nil)
		w.Is(ahead.Do(call.Heartbeat(ahead.Ref)), nil)
		w.Is(behind.Do(call.Heartbeat(ahead.Ref)), nil) // last-seen goes back by 2ε
		w.Is(ahead.Do(call.RegisterNode("new", registry.NodeInfo{}, registry.IfAbsent)), nil)
		ahead.Clock.SetOffset(-e) // a step backwards within the bound
		w.Is(ahead.Do(call.Heartbeat(ahead.Ref)), nil)
		w.Is(ahead.Claim(w.Actor("b")), nil)
		w.Is(ahead.Do(call.RegisterNode("new", registry.NodeInfo{}, registry.Supersede)), nil)
		for range 5 {
			w.Advance(1) // the smallest step of a clock is kept
			w.Is(ahead.Claim(w.Actor(fmt.Sprintf("c%d", w.Time.Now()%7))), nil)
		}
	})
}

// sized returns a name of n bytes, of characters of two bytes where it can be.
func sized(n int) string { return strings.Repeat("é", n/2) + strings.Repeat("x", n%2) }

func nameLimits(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		longest := registry.NodeID(sized(registry.MaxNodeIDBytes))
		n := w.Node(string(longest), 0)
		short := w.Node("1", 0)
		info := registry.NodeInfo{Address: sized(registry.MaxAddressBytes)}
		address := w.Is(n.Do(call.RegisterNode("address", info, registry.IfAbsent)), nil).Node.Ref
		refusalsAbout(n, address)
		w.Is(n.Do(call.RegisterNode("address", info, registry.Supersede)), nil)
		w.Is(n.Do(call.Heartbeat(address)), registry.ErrNodeFailed)
		if w.T.Judge.Found[backend.Instances] {
			info.Instance = registry.InstanceID{0: 0x0D}
			for range 2 { // the second time it is told, not written
				w.Is(n.Do(call.RegisterNode("address-of-a-process", info, registry.IfAbsent)), nil)
			}
		}
		for i, address := range []string{" host  port ", "\ta\nb\r\n", `"a\"`, "Host:7000", "e\u0301%41", "\u2028"} { // text, of which a database may not have U+0000
			w.Is(n.Do(call.RegisterNode(registry.NodeID(fmt.Sprint("address-", i)), registry.NodeInfo{Address: address}, registry.IfAbsent)), nil)
		}
		for _, a := range []registry.ActorID{
			{Namespace: sized(registry.MaxActorPartBytes), Name: sized(registry.MaxActorPartBytes)},
			{Namespace: "a", Name: sized(registry.MaxActorPartBytes)},
			{Namespace: sized(registry.MaxActorPartBytes - 1), Name: "b"},
			{Namespace: "a", Name: "b"},
			{Namespace: "名前空間", Name: "🦆 with spaces / and %25 \\ \" ' * ? # ~"},
		} {
			l := w.Is(n.Claim(a), nil).Lease()
			l = w.Is(n.Do(call.Renew(l)), nil).Lease()
			w.Is(n.Do(call.Validate(a, l.Token)), nil)
			w.Is(n.Do(call.Lookup(a)), nil)
			l = w.Is(n.Do(call.Transfer(l, short.Ref)), nil).Lease()
			w.Is(n.Do(call.ListActors(short.Ref, 1)), nil)
			w.Is(n.Do(call.ListActors(n.Ref, 1)), nil)
			w.Is(short.Do(call.Release(l)), nil)
			w.Is(n.Claim(a), nil)
		}
		w.Is(n.Do(call.ListActors(n.Ref, 1)), nil)
		w.Is(n.Do(call.ListNodes(registry.AnyStatus, 1)), nil)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		w.Is(n.Do(call.GetNode(longest)), nil)
		w.Fail(short, n)
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
	})
}

func namesDistinct(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		actors := []registry.ActorID{
			{Namespace: "a", Name: "b/c"}, {Namespace: "a/b", Name: "c"}, {Namespace: "a", Name: "b"}, {Namespace: "b", Name: "a"},
			{Namespace: "A", Name: "b"}, {Namespace: "a ", Name: "b"}, {Namespace: "a", Name: " b"}, {Namespace: "a", Name: "b "},
			{Namespace: "é", Name: "b"}, {Namespace: "e\u0301", Name: "b"}, {Namespace: "a", Name: "b\u200b"}, {Namespace: "a\ufeff", Name: "b"},
			{Namespace: "a", Name: sized(255) + "1"}, {Namespace: "a", Name: sized(255) + "2"}, {Namespace: sized(255) + "1", Name: "b"}, {Namespace: sized(255) + "2", Name: "b"},
			{Namespace: "a", Name: "b\\"}, {Namespace: "ab", Name: "c"}, {Namespace: "a", Name: "bc"}, {Namespace: "a", Name: "\ufffd"}, {Namespace: "a", Name: "%62"},
		}
		for _, a := range actors {
			w.Is(n.Do(call.Lookup(a)), nil)
			w.Is(n.Claim(a), nil)
		}
		w.Is(n.Do(call.ListActors(n.Ref, 3)), nil)
		for i, a := range actors {
			if i%2 == 0 {
				w.Is(n.Do(call.Release(registry.Lease{Actor: a, Holder: n.Ref, Token: 1})), nil)
			}
		}
		w.Is(n.Do(call.ListActors(n.Ref, 3)), nil)
		for _, a := range actors {
			w.Is(n.Do(call.Lookup(a)), nil)
		}
		for _, id := range []registry.NodeID{"N1", "n1 ", "n", "n1#1", "n11", "n1\u0301", registry.NodeID(sized(127) + "1"), registry.NodeID(sized(127) + "2")} {
			w.Is(n.Do(call.GetNode(id)), nil)
			w.Is(n.Do(call.RegisterNode(id, registry.NodeInfo{Address: string(id)}, registry.IfAbsent)), nil)
		}
		w.Is(n.Do(call.ListNodes(registry.AnyStatus, 2)), nil)
		w.Is(n.Do(call.GetNode("n1")), nil)
	})
}

// badNames are names of up to limit bytes that no registry may accept.
func badNames(limit int) []string {
	return []string{"", sized(limit + 1), "b\xff", "\xc3", "nul\x00", "\x00", "line\n", "\x7f", "c1\u0085", "\x1b[0m"}
}

// badCalls returns every operation that the registry has with each of its arguments wrong
// in each way.
func badCalls(w *lockstep.Run, good registry.Lease, to registry.NodeRef) []call.Call {
	a, ref, token, id := good.Actor, good.Holder, good.Token, w.ClaimID()
	var calls []call.Call
	lease := func(l registry.Lease) { calls = append(calls, call.Renew(l), call.Release(l), call.Transfer(l, to)) }
	actor := func(a registry.ActorID) {
		l := good
		l.Actor = a
		lease(l)
		calls = append(calls, call.Claim(a, ref, id), call.Lookup(a), call.Validate(a, token))
		if w.T.Judge.Found[backend.Watch] {
			calls = append(calls, call.WatchCall(a, 0))
		}
	}
	node := func(r registry.NodeRef) {
		l := good
		l.Holder = r
		lease(l)
		calls = append(calls, call.Claim(a, r, id), call.Transfer(good, r), call.ListActorsPage(r, registry.Page{}), call.Heartbeat(r), call.MarkFailed(r), call.Deregister(r))
	}
	for _, bad := range badNames(registry.MaxActorPartBytes) {
		actor(registry.ActorID{Namespace: bad, Name: a.Name})
		actor(registry.ActorID{Namespace: a.Namespace, Name: bad})
	}
	for _, bad := range badNames(registry.MaxNodeIDBytes) {
		node(registry.NodeRef{ID: registry.NodeID(bad), Epoch: 1})
		calls = append(calls, call.GetNode(registry.NodeID(bad)), call.RegisterNode(registry.NodeID(bad), registry.NodeInfo{}, registry.Supersede))
	}
	node(registry.NodeRef{ID: ref.ID})
	zero := good
	zero.Token = 0
	lease(zero)
	return append(calls,
		call.Claim(a, ref, registry.ClaimID{}),
		call.Validate(a, 0),
		call.RegisterNode(ref.ID, registry.NodeInfo{Address: sized(registry.MaxAddressBytes + 1)}, registry.Supersede),
		call.RegisterNode(ref.ID, registry.NodeInfo{Address: "\xff"}, registry.Supersede),
		call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.Supersede+1),
		call.ListNodesPage(registry.NodeLeft+1, registry.Page{}),
		call.ListNodesPage(registry.AnyStatus, registry.Page{Limit: -1}),
		call.ListNodesPage(registry.AnyStatus, registry.Page{Limit: registry.MaxPageLimit + 1}),
		call.ListActorsPage(ref, registry.Page{Limit: -1}),
		call.ListActorsPage(ref, registry.Page{Limit: registry.MaxPageLimit + 1}),
	)
}

// goodCalls returns every operation once, with arguments that would succeed or
// be refused by the state.
func goodCalls(l registry.Lease, to registry.NodeRef, id registry.ClaimID) []call.Call {
	free := registry.ActorID{Namespace: "conform", Name: "free"}
	return []call.Call{
		call.Claim(free, l.Holder, id), call.Claim(l.Actor, to, id), call.Renew(l), call.Transfer(l, to), call.Release(l), call.Lookup(l.Actor), call.Validate(l.Actor, l.Token),
		call.ListActorsPage(l.Holder, registry.Page{}), call.RegisterNode("new", registry.NodeInfo{}, registry.IfAbsent),
		call.RegisterNode(to.ID, registry.NodeInfo{}, registry.Supersede), call.Heartbeat(to), call.MarkFailed(to), call.Deregister(to),
		call.GetNode(to.ID), call.ListNodesPage(registry.AnyStatus, registry.Page{}),
	}
}

func badInput(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, to := w.Node("n1", 0), w.Node("n2", 0)
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		w.Audits = false // once for all: a bad argument names no record
		for _, c := range badCalls(w, l, to.Ref) {
			w.Unchanged(n, func() { w.Is(n.Do(c), registry.ErrInvalid) })
		}
		badBatch(w, n, l)
		w.Is(n.Do(call.Renew(l)), nil)
	})
}

// badBatch renews leases in a batch of others that are bad each in its own way.
func badBatch(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	if !w.T.Judge.Found[backend.BatchRenew] {
		return
	}
	good := []registry.Lease{l, w.Is(n.Claim(w.Actor("b")), nil).Lease(), w.Is(n.Claim(w.Actor("c")), nil).Lease()}
	var batch []registry.Lease
	for i, c := range badCalls(w, l, l.Holder) {
		if c.Kind == op.Renew {
			batch = append(batch, c.Lease())
		}
		if i%50 == 10 && len(good) > 0 {
			batch, good = append(batch, good[0]), good[1:]
		}
	}
	renewsAll(n, batch)
}

func closedHandle(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, to, closed := w.Node("n1", 0), w.Node("n2", 0), w.Unregistered("n3", 0)
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		for range 10 {
			closed.Do(call.CloseHandle())
		}
		for _, c := range goodCalls(l, to.Ref, w.ClaimID()) {
			w.Unchanged(n, func() { w.Is(closed.Do(c), registry.ErrClosed) })
		}
		batchEnds(w, closed, l, registry.ErrClosed, func(c call.Call) call.Call { return c })
		for _, c := range badCalls(w, l, to.Ref) {
			w.Is(closed.Do(c), registry.ErrInvalid)
		}
		closesQuietly(w, n)
		goesOn(w, n)
		staysClosed(w, n, l)
		w.Is(n.Do(call.Renew(l)), nil) // other handles and the lease live on
	})
}

// closesQuietly closes a handle through which a node has registered, claimed, been
// handed an actor, renewed and released: everything stays as it is.
func closesQuietly(w *lockstep.Run, other *lockstep.Node) {
	n, id := w.Unregistered("closes", 0), w.ClaimID()
	info := registry.NodeInfo{Address: "closes:7000"}
	if w.T.Judge.Found[backend.Instances] {
		info.Instance = registry.InstanceID{0: 0xC1}
	}
	n.Do(call.RegisterNode(n.Ref.ID, info, registry.IfAbsent))
	fresh := call.Claim(w.Actor("fresh"), n.Ref, id) // never renewed
	w.Is(n.Do(fresh), nil)
	claimed, handed, freed := w.Actor("claimed"), w.Actor("handed"), w.Actor("freed")
	l := w.Is(n.Claim(claimed), nil).Lease()
	w.Is(n.Do(call.Renew(l)), nil)
	other.Do(call.Transfer(w.Is(other.Claim(handed), nil).Lease(), n.Ref))
	w.Is(n.Do(call.Release(w.Is(n.Claim(freed), nil).Lease())), nil)
	n.Do(call.Heartbeat(n.Ref))
	n.Do(call.CloseHandle())
	for _, c := range []call.Call{call.Lookup(fresh.Actor), call.Lookup(claimed), call.Lookup(handed), call.Lookup(freed), call.GetNode(n.Ref.ID), call.ListActors(n.Ref, 0)} {
		w.AuditOne(c, contract.CloseFrees)
	}
	other.Do(fresh) // repeats
	if !info.Instance.IsZero() {
		w.Is(other.Do(call.RegisterNode(n.Ref.ID, info, registry.IfAbsent)), nil) // repeats
	}
}

// goesOn has a node whose handle is closed do all that a node does through another one.
func goesOn(w *lockstep.Run, other *lockstep.Node) {
	n := w.Node("without a handle", 0)
	ref, l, freed := n.Ref, w.Is(n.Claim(w.Actor("its own")), nil).Lease(), w.Is(n.Claim(w.Actor("its earlier")), nil).Lease()
	w.Is(n.Do(call.Release(freed)), nil)
	n.Do(call.CloseHandle())
	for _, c := range []call.Call{call.Heartbeat(ref), call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent), call.MarkFailed(ref), call.Renew(l),
		call.Claim(w.Actor("claimed since"), ref, w.ClaimID()), call.Validate(l.Actor, l.Token), call.Release(l), call.Claim(l.Actor, ref, w.ClaimID()), call.Claim(freed.Actor, ref, w.ClaimID())} {
		other.Do(c)
	}
	other.Do(call.Transfer(w.Is(other.Claim(w.Actor("handed since")), nil).Lease(), ref))
	other.Do(call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.Supersede))
	other.Do(call.Deregister(ref))
}

// staysClosed opens handles after others were closed, which are closed once more then.
func staysClosed(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	var closed []registry.Handle
	later := []*lockstep.Node{w.Unregistered("later", 0), w.Unregistered("latest", 0)}
	for range 2 {
		for _, k := range later {
			closed = append(closed, k.H)
			k.Do(call.CloseHandle())
			k.Reopen()
		}
	}
	for _, h := range closed {
		for _, c := range []call.Call{call.Renew(l), call.Lookup(l.Actor), call.CloseHandle(), call.Renew(l), call.Lookup(l.Actor)} {
			if got := w.Session.Do(n.Name, h, c); c.Kind != op.Close && (got.Outcome == op.OK || got.Outcome == op.Refused) {
				w.Note(n, c, got)
				w.Convict(contract.ClosedSecond, 0, got, op.Failed(registry.ErrClosed), "its handle was closed, and another has been opened since")
			}
		}
	}
	for _, k := range later {
		w.Is(k.Do(call.Renew(l)), nil)
	}
}

// batchEnds renews a batch on a handle that is closed, or under a context that has
// ended: each member ends so, but for the invalid ones.
func batchEnds(w *lockstep.Run, n *lockstep.Node, l registry.Lease, want error, in func(call.Call) call.Call) {
	if !w.T.Judge.Found[backend.BatchRenew] {
		return
	}
	bad, other := l, l
	bad.Actor.Name, other.Actor.Name = "", "other"
	c := in(call.RenewBatchCall([]registry.Lease{l, bad, other}))
	wanted := op.Result{Outcome: op.OK}
	for _, l := range c.Leases {
		one := call.Renew(l)
		err := one.Validate()
		if err == nil {
			err = want
		}
		wanted.Renewals = append(wanted.Renewals, op.Failed(err))
	}
	got := toldOfEach(w, n, c)
	same := func(a, b op.Result) bool { return call.Class(a.Err) == call.Class(b.Err) }
	looked := func(r op.Result) bool { return r.Outcome == op.OK || r.Outcome == op.Refused } // at the state
	switch {
	case slices.EqualFunc(got.Renewals, wanted.Renewals, same):
	case len(got.Renewals) != len(c.Leases):
		w.Convict(contract.BatchAsSingle, 0, got, wanted, fmt.Sprintf("%d results for %d leases", len(got.Renewals), len(c.Leases)))
	case want == registry.ErrClosed && slices.ContainsFunc(got.Renewals, looked):
		w.Convict(contract.ClosedSecond, 0, got, wanted, "")
	case slices.ContainsFunc(got.Renewals, looked):
		w.Convict(contract.ContextThird, 0, got, wanted, "")
	default:
		w.Convict(contract.BatchAsSingle, 0, got, wanted, "the results are not each lease's own")
	}
	w.AuditOne(call.Lookup(l.Actor), contract.RefusalNothing)
}

// toldOfEach makes the call of a batch, again while the store is in trouble with one of its
// members: a handle that only says so is not seen to be closed.
func toldOfEach(w *lockstep.Run, n *lockstep.Node, c call.Call) op.Result {
	inTrouble := func(r op.Result) bool {
		class := call.Class(r.Err)
		return class == registry.ErrUnavailable || class == registry.ErrAmbiguous
	}
	for patience := (call.Patience{}); ; {
		got := w.Session.Do(n.Name, n.H, c)
		w.Note(n, c, got)
		i := slices.IndexFunc(got.Renewals, inTrouble)
		if i < 0 {
			return got
		}
		if patience.Over(got.Renewals[i].Err) {
			w.T.Unanswered(fmt.Sprintf("%s: %v", n.Name, c), got.Renewals[i].Err)
		}
	}
}

func cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := contexts.WithCancel(ctx)
	cancel()
	return ctx, cancel
}

func expired(ctx context.Context) (context.Context, context.CancelFunc) {
	return contexts.WithTimeout(ctx, -time.Second)
}

func endedContext(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, to, closed := w.Node("n1", 0), w.Node("n2", 0), w.Unregistered("n3", 0)
		closed.Do(call.CloseHandle())
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		for _, c := range goodCalls(l, to.Ref, w.ClaimID()) {
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				w.Unchanged(n, func() { ended(w, n, c, want) })
			}
			w.Is(closed.Do(c.In(cancelled)), registry.ErrClosed)
		}
		if w.T.Judge.Found[backend.Watch] {
			c := call.WatchCall(l.Actor, l.Version+1) // answered at once, but for its context
			ended(w, n, c, context.Canceled)
			ended(w, n, c, context.DeadlineExceeded)
			w.Is(closed.Do(c.In(cancelled)), registry.ErrClosed)
		}
		batchEnds(w, n, l, context.Canceled, func(c call.Call) call.Call { return c.In(cancelled) })
		batchEnds(w, n, l, context.DeadlineExceeded, func(c call.Call) call.Call { return c.In(expired) })
		batchEnds(w, closed, l, registry.ErrClosed, func(c call.Call) call.Call { return c.In(cancelled) })
		for _, c := range badCalls(w, l, to.Ref)[:40] {
			w.Is(n.Do(c.In(cancelled)), registry.ErrInvalid)
		}
		w.Is(n.Do(call.Renew(l)), nil)
	})
}

// ended makes a call whose context has ended with that error. Unlike do it takes
// the context's error for the answer that it is.
func ended(w *lockstep.Run, n *lockstep.Node, c call.Call, want error) {
	if !w.Offers(c) {
		return
	}
	end := cancelled
	if want == context.DeadlineExceeded {
		end = expired
	}
	c = c.In(end)
	c.Note = want.Error()
	var got op.Result
	w.T.Watch(c.String, func(ctx context.Context) { got = c.Do(ctx, n.H) })
	w.Note(n, c, got)
	w.ErrorAlone(c, got)
	if call.Class(got.Err) != want {
		w.Convict(contract.ContextThird, 0, got, op.Failed(want), "")
	}
}

func failedLookups(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, closed := w.Node("n1", 0), w.Unregistered("n2", 0)
		a := w.Actor("a")
		w.Is(n.Claim(a), nil)
		closed.Do(call.CloseHandle())
		for _, c := range []call.Call{call.Lookup(a), call.GetNode(n.Ref.ID)} {
			w.Is(n.Do(c), nil)
			w.Is(closed.Do(c), registry.ErrClosed)
			ended(w, n, c, context.Canceled)
			ended(w, n, c, context.DeadlineExceeded)
		}
	})
}

func refusalOrder(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2, n3 := w.Node("n1", 0), w.Node("n2", 0), w.Node("n3", 0)
		a := w.Actor("a")
		l1 := w.Is(n1.Claim(a), nil).Lease()
		w.Fail(n2, n3) // n3 is failed, "never" unknown
		failed, never := n3.Ref, registry.NodeRef{ID: "never", Epoch: 1}
		higher, unregistered := l1, l1
		higher.Token += 2
		unregistered.Holder = n2.Ref

		// The node before held, not held and lapsed.
		w.Is(n2.Do(call.Claim(a, never, w.ClaimID())), registry.ErrNodeUnknown)
		w.Is(n2.Do(call.Claim(a, failed, w.ClaimID())), registry.ErrNodeFailed)
		w.Is(n2.Do(call.Transfer(higher, never)), registry.ErrNodeUnknown)
		w.Is(n2.Do(call.Transfer(unregistered, failed)), registry.ErrNodeFailed)
		w.Lapse()
		w.Is(n1.Do(call.Transfer(l1, never)), registry.ErrNodeUnknown)
		w.Is(n1.Do(call.Transfer(l1, failed)), registry.ErrNodeFailed)

		// Not held before lapsed.
		w.Is(n1.Do(call.Renew(higher)), registry.ErrNotHeld)
		w.Is(n2.Do(call.Renew(unregistered)), registry.ErrNotHeld)
		w.Is(n1.Do(call.Transfer(higher, n2.Ref)), registry.ErrNotHeld)
		w.Is(n1.Do(call.Renew(l1)), registry.ErrLapsed)
		w.Is(n1.Do(call.Transfer(l1, n2.Ref)), registry.ErrLapsed)

		// Fenced before not held and lapsed; the node before fenced.
		l2 := w.Is(n2.Claim(a), nil).Lease()
		w.Lapse()
		w.Is(n1.Do(call.Renew(l1)), registry.ErrFenced)
		w.Is(n1.Do(call.Transfer(l1, n2.Ref)), registry.ErrFenced)
		w.Is(n1.Do(call.Transfer(l1, never)), registry.ErrNodeUnknown)
		w.Is(n1.Do(call.Transfer(l1, failed)), registry.ErrNodeFailed)
		w.Is(n2.Do(call.Release(l2)), nil)
		w.Is(n1.Do(call.Renew(l1)), registry.ErrFenced)
		w.Is(n1.Do(call.Release(l1)), registry.ErrFenced)
		w.Is(n1.Do(call.Validate(a, l1.Token)), registry.ErrFenced)
		w.Is(n2.Do(call.Renew(l2)), registry.ErrNotHeld)
		w.Is(n2.Do(call.Transfer(l2, failed)), registry.ErrNodeFailed)
	})
}

func configMismatch(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		for _, change := range []func(*registry.Config){
			func(c *registry.Config) { c.TTL += time.Millisecond },
			func(c *registry.Config) { c.Grace-- },
			func(c *registry.Config) { c.MaxClockSkew-- },
			func(c *registry.Config) { c.FailureTimeout++ },
		} {
			cfg := w.Cfg
			change(&cfg)
			if cfg.Validate() != nil {
				continue // the configuration judged has a bound at its end
			}
			opens(w, cfg, registry.ErrConfigMismatch)
		}
		bad := w.Cfg
		bad.Grace = bad.TTL + 1
		opens(w, bad, registry.ErrInvalid)
		permitted := w.Cfg
		permitted.AllowShortTTL = true // a permission, no value of the cluster
		opens(w, permitted, nil)
	})
}

// truth is what the detail of a refused handle may tell: the two bounds that differ, each
// of them or neither.
func truth(told *registry.ConfigMismatchError, given, store registry.Config) registry.ConfigMismatchError {
	differs := new(registry.ConfigMismatchError)
	errors.As(given.Match(store), &differs)
	t := *told
	if t.Store != 0 {
		t.Store = differs.Store
	}
	if t.Given != 0 {
		t.Given = differs.Given
	}
	return t
}

func opens(w *lockstep.Run, cfg registry.Config, want error) {
	h, err := w.OpenWith(cfg, w.Observer.Clock)
	w.Steps = append(w.Steps, lockstep.Step{At: w.Time.Now(), Clock: w.Time.Now(), Node: "n1", What: "Open(" + explain.Bounds(cfg) + ")", Result: op.Failed(err)})
	var detail *registry.ConfigMismatchError
	switch {
	case call.Trouble(err):
		w.T.Unanswered("Cluster.Open", err)
	case call.Class(err) != want:
		w.Convict(contract.ConfigMatches, 0, op.Failed(err), op.Failed(want), "")
	case errors.As(err, &detail) && w.Exact && *detail != truth(detail, cfg, w.Cfg):
		w.Convict(contract.ConfigMatches, 0, op.Failed(err), op.Failed(cfg.Match(w.Cfg)), "the store's bound or the one that was given is told wrongly")
	case err == nil:
		_ = h.Close()
	}
}
