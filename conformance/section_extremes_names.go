package conformance

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
)

// lookalikes are families of names that somebody's folding, trimming, normalising, escaping,
// cutting or comparing takes for one. Each is valid, and each is another name.
func lookalikes(limit int) []string {
	names := []string{
		"actor", "Actor", "ACTOR", "aCtor", "acto", "actors", "actor0", // case, beginnings
		" actor", "actor ", "actor  ", " actor ", "ac tor", "ac  tor", "actor\u00a0", "\u3000actor", "actor\u2009", "\u2028actor", // spaces
		"ac\u200btor", "ac\u200dtor", "\ufeffactor", "ac\u00adtor", "\u200eactor", "actor\u2060", "actor\ufe0f", // nothing to be seen
		"\u00e9", "e\u0301", "e", "\u00c5", "A\u030a", "\u212b", "\ud55c", "\u1112\u1161\u11ab", "\u1e9b\u0323", "\u1e69", // composed and not
		"\uff41ctor", "\ufb01n", "fin", "\u00df", "ss", "SS", "\u1e9e", "i", "I", "\u0131", "\u0130", "K", "k", "\u212a", "\u03c3", "\u03c2", "\u03a3", // width, case
		"\u0430ctor", "\u00b5", "\u03bc", "\u2126", "\u03a9", "a\u0327\u0301", "a\u0301\u0327", // other scripts, other orders
		"1", "01", "001", "1.0", "+1", "-1", "\uff11", "\u00b9", "\u0661", "1e0", "0x1", "1 ", "10", "0", "-0", "00", // numbers
		"a+b", "a b", "a%20b", "a%2Bb", "a%2bb", "a%2Fb", "a%2fb", "a/b", "a%252Fb", "a%b", "a_b", "a*b", "a?b", "a.b", "a-b", // escapes, patterns
		"a&b", "a&amp;b", "a=b", "a#b", "a:b", "a|b", "a,b", "a;b", "a~b", "a@b", "a[b", "a]b", "{a}b", "a$b", "a^b", "a!b", "a\u001eb"[:1] + "(b)",
		"a\\b", "a\\\\b", "a\\u0062", "a'b", "a''b", "a\"b", "\"a\"", "a`b", "'a'", "a", "b", "ab", // quotes
		".", "..", "./a", "a/", "/a", "a//b", "a/./b", "a/../b", "~", "/", "//", "\\", // paths
		"null", "NULL", "nil", "undefined", "true", "false", "NaN", "none", "-", "_", " ", "  ", "\u00a0", "\u200b", "%", "%00", "*", "?", "#", "+", // looks like nothing
		"abc", "616263", "YWJj", "=", "YWI=", "YWI", // encodings
		"\ufffd", "\U0010ffff", "\U0001f986", "\U0001f469\u200d\U0001f52c", "\uffff", "\ud7ff", "\ue000", // ends of planes
	}
	for _, n := range []int{7, 8, 15, 16, 20, 31, 32, 36, 48, 63, 64, 100, 126, 127, 128, 200, 254, 255} {
		if n+1 > limit {
			break
		}
		long := strings.Repeat("p", n)
		names = append(names, long, long+"1", long+"2", "1"+long, "2"+long, long[:n/2]+"!"+long[n/2:])
	}
	return names
}

// alikeActors takes actors with such names, in either part, through every operation.
func alikeActors(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		var actors []registry.ActorID
		for i, name := range lookalikes(registry.MaxActorPartBytes) {
			actors = append(actors, registry.ActorID{Namespace: "same", Name: name})
			if i%sizedBy(t, 4, 1, 1) == 0 {
				actors = append(actors, registry.ActorID{Namespace: name, Name: "same"})
			}
			if t.level() == Thorough {
				actors = append(actors, registry.ActorID{Namespace: name, Name: name}, registry.ActorID{Namespace: name, Name: "Same"}, registry.ActorID{Namespace: "Same", Name: name})
			}
		}
		w.sideBySide(actors)
	})
}

// sideBySide has the actors differ in holder, token, version and state, so that
// whatever is taken from one for another is seen.
func (w *lockstep) sideBySide(actors []registry.ActorID) {
	nodes := []*node{w.node("n1", 0), w.node("n2", 0), w.node("n3", 0)}
	n := nodes[0]
	w.audits = false // all are read after each round
	leases := make([]registry.Lease, len(actors))
	for i, a := range actors {
		by := nodes[i%3]
		w.is(n.do(lookup(a)), nil) // found once it is claimed, not before
		leases[i] = w.is(by.claim(a), nil).Lease()
		for range i % 4 { // tokens of their own
			leases[i] = w.is(by.do(transfer(leases[i], by.ref)), nil).Lease()
		}
	}
	read := func() {
		for _, a := range actors {
			w.is(nodes[1].do(lookup(a)), nil)
			for token := range registry.Token(5) {
				n.do(validate(a, token+1))
			}
		}
		for _, by := range nodes {
			w.is(n.do(listActors(by.ref, 7)), nil)
		}
	}
	read()
	for i, a := range actors {
		switch l := leases[i]; i % 5 {
		case 0:
			leases[i] = w.is(n.do(renew(l)), nil).Lease()
		case 1:
			w.is(n.do(release(l)), nil)
		case 2:
			leases[i] = w.is(n.do(transfer(l, nodes[(i+1)%3].ref)), nil).Lease()
		case 3:
			w.is(nodes[(i+1)%3].claim(a), registry.ErrHeld)
		}
	}
	read()
	for i, a := range actors {
		if i%5 == 1 {
			leases[i] = w.is(n.claim(a), nil).Lease()
		}
	}
	read()
	for _, l := range leases {
		w.is(n.do(release(l)), nil)
	}
	read()
}

// alikeNodes takes nodes with such names through every operation, each of them
// with an actor of its own.
func alikeNodes(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("observing", 0)
		w.audits = false
		names := lookalikes(registry.MaxNodeIDBytes)
		refs, leases := make([]registry.NodeRef, len(names)), make([]registry.Lease, len(names))
		read := func() {
			for i, ref := range refs {
				w.is(n.do(getNode(ref.ID)), nil)
				w.is(n.do(listActors(ref, 0)), nil)
				w.is(n.do(lookup(leases[i].Actor)), nil)
			}
			for _, s := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
				w.is(n.do(listNodes(s, 7)), nil)
			}
		}
		for i, name := range names {
			id := registry.NodeID(name)
			w.is(n.do(getNode(id)), nil) // found once it is registered, not before
			for e := range 1 + i%3 {     // epochs of their own
				got := w.is(n.do(registerNode(id, registry.NodeInfo{Address: fmt.Sprint(name, e)}, registry.Supersede)), nil)
				refs[i] = got.Node.Ref
			}
			leases[i] = w.is(n.do(claim(w.actor(fmt.Sprint("of-", i)), refs[i], w.claimID())), nil).Lease()
		}
		read()
		w.advance(w.cfg.MaxClockSkew + 1)
		for i, ref := range refs {
			next := refs[(i+1)%len(refs)]
			l := leases[i]
			other := l
			other.Holder = next // a lease is its holder's, whatever that looks like
			n.do(renew(other))
			n.do(release(other))
			n.do(transfer(other, ref))
			n.do(claim(l.Actor, next, l.ClaimID))
			switch i % 5 {
			case 0:
				w.is(n.do(deregister(ref)), nil)
			case 1:
				w.is(n.do(heartbeat(ref)), nil)
			case 2:
				leases[i] = w.is(n.do(renew(l)), nil).Lease()
			case 3:
				w.is(n.do(release(l)), nil)
			default:
				if (i+1)%5 != 1 { // to one that has not left
					leases[i] = n.do(transfer(l, next)).Lease()
				}
			}
			n.do(heartbeat(registry.NodeRef{ID: ref.ID, Epoch: ref.Epoch + 1}))
			w.is(n.do(getNode(ref.ID)), nil)
		}
		read()
		w.advance(w.cfg.FailureTimeout + w.cfg.MaxClockSkew - 1) // those that were heard of since are alive
		for i, ref := range refs {
			if i%2 == 0 || i%5 == 1 {
				n.do(markFailed(ref))
			}
		}
		read()
		for i, ref := range refs {
			n.do(heartbeat(ref))
			n.do(registerNode(ref.ID, registry.NodeInfo{Address: "later"}, registry.IfAbsent))
			n.do(claim(w.actor(fmt.Sprint("later-", i)), ref, w.claimID()))
		}
		read()
	})
}

// separators are what parts of a key are joined by; "" for nothing.
var separators = []string{"", "/", ":", "#", "|", ",", ".", "-", "_", "@", " ", "!", "~", ";", "%", "\\", "\u00a0", "\u200b"}

// joinedNames has names that are the same once they are joined: the parts of an actor,
// a node and its epoch, a node and the actors that it holds.
func joinedNames(t *trial) {
	for _, s := range separators {
		t.in(t.cfg, func(w *lockstep) { w.joined(s) })
	}
}

func (w *lockstep) joined(s string) {
	n := w.node("n", 0)
	w.audits = false
	refs := []registry.NodeRef{n.ref}
	for _, id := range []registry.NodeID{registry.NodeID("n" + s + "1"), registry.NodeID("n" + s + "x"), registry.NodeID("n1" + s + "1"), registry.NodeID("n" + s + "1" + s + "1")} {
		if known := w.is(n.do(getNode(id)), nil); !known.Found {
			refs = append(refs, w.is(n.do(registerNode(id, registry.NodeInfo{}, registry.IfAbsent)), nil).Node.Ref)
		}
	}
	w.is(n.claim(w.actor("of-n#1")), nil)
	for range 11 { // n#1, n#2, n#10, n#11 and n#12 hold something at the same time
		w.is(n.register(registry.Supersede), nil)
		if n.ref.Epoch == 2 || n.ref.Epoch >= 10 {
			w.is(n.claim(w.actor("of-"+n.ref.String())), nil)
			refs = append(refs, n.ref)
		}
	}
	var actors []registry.ActorID
	for _, ns := range []string{"x", "x" + s + "y", "y", "y" + s + "z", "1" + s + "x"} {
		for _, name := range []string{"z", "y" + s + "z", "x" + s + "z", "z" + s + "y"} {
			actors = append(actors, registry.ActorID{Namespace: ns, Name: name})
		}
	}
	held := map[registry.ActorID]registry.Lease{}
	k := 0
	for _, a := range actors {
		if _, twice := held[a]; twice {
			continue
		}
		w.is(n.do(lookup(a)), nil)
		k++
		for refs[k%len(refs)].ID == "n" && refs[k%len(refs)] != n.ref {
			k++ // the latest incarnation claims; those before hold what they hold
		}
		by := refs[k%len(refs)]
		held[a] = w.is(n.do(claim(a, by, w.claimID())), nil).Lease()
	}
	read := func() {
		for _, ref := range refs {
			for _, limit := range []int{1, 3, 0} {
				w.is(n.do(listActors(ref, limit)), nil)
			}
		}
		for _, a := range actors {
			w.is(n.do(lookup(a)), nil)
		}
		w.is(n.do(listNodes(registry.AnyStatus, 2)), nil)
	}
	read()
	for i, a := range actors {
		l, ok := held[a]
		if !ok || i%3 > 1 {
			continue
		}
		if i%3 == 0 {
			w.is(n.do(release(l)), nil)
		} else {
			w.is(n.do(transfer(l, n.ref)), nil)
		}
		delete(held, a)
	}
	read()
}

// alikeWaiters renews look-alikes in one batch and watches all of them at once.
func alikeWaiters(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false
		names := lookalikes(registry.MaxActorPartBytes)
		var leases []registry.Lease
		for i, name := range names {
			a := registry.ActorID{Namespace: "same", Name: name}
			if i%3 == 0 {
				a = registry.ActorID{Namespace: name, Name: "same"}
			}
			leases = append(leases, w.is(n1.claim(a), nil).Lease())
		}
		for half := range 2 { // every second one, so that its look-alike is left out
			var some []registry.Lease
			for i, l := range leases {
				if i%2 == half {
					some = append(some, l)
				}
			}
			w.is(n2.do(renewBatchCall(some)), nil)
			w.is(n1.do(listActors(n1.ref, 0)), nil)
		}
		var all []*watching
		for i := range leases {
			leases[i] = w.is(n1.do(renew(leases[i])), nil).Lease()
			all = append(all, w.watching(w.t.ctx, []*node{n1, n2}[i%2], leases[i].Actor, leases[i].Version))
		}
		w.settle()
		for i, k := range all {
			w.is(n2.do(release(leases[i])), nil)
			w.woken(k)
		}
	})
}
