package sections

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
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
		"true", "false", "True", "TRUE", "yes", "no", "Yes", "No", "on", "off", "y", "n", "t", "f", // values of other types
		"1e3", "1000", "1_000", "1,000", "0b1", "0o7", "7", "inf", "Infinity", "9007199254740992", "9007199254740993", "18446744073709551616", "18446744073709551617",
		"2024-01-01", "2024-01-01T00:00:00Z", "10.0.0.1", "010.0.0.1", "::1", "0:0:0:0:0:0:0:1", "host", "host.", "host.example", "HOST.example",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b8109dad11d180b400c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
		"null", "NULL", "Null", "nil", "undefined", "NaN", "nan", "none", "__proto__", "constructor", "toString", "-", "_", " ", "  ", "\u00a0", "\u200b", "%", "%00", "*", "?", "#", "+", // looks like nothing
		"abc", "616263", "YWJj", "=", "YWI=", "YWI", // encodings
		"\ufffd", "\U0010ffff", "\U0001f986", "\U0001f469\u200d\U0001f52c", "\uffff", "\ud7ff", "\ue000", // ends of planes
	}
	names = append(names, "stem")
	for _, sign := range "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" {
		names = append(names, "stem"+string(sign), string(sign)+"stem")
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
func alikeActors(t *trial.Trial) {
	var actors []registry.ActorID
	for i, name := range lookalikes(registry.MaxActorPartBytes) {
		actors = append(actors, registry.ActorID{Namespace: "same", Name: name})
		if i%trial.SizedBy(t, 4, 1, 1) == 0 {
			actors = append(actors, registry.ActorID{Namespace: name, Name: "same"})
		}
		if t.Level() == report.Thorough {
			actors = append(actors, registry.ActorID{Namespace: name, Name: name}, registry.ActorID{Namespace: name, Name: "Same"}, registry.ActorID{Namespace: "Same", Name: name})
		}
	}
	lockstep.InParts(t, t.Cfg, append(actors, longActors()...), sideBySide)
}

// longActors are as long as they may be, and differ in the last byte of one part.
func longActors() (actors []registry.ActorID) {
	q, p := strings.Repeat("q", registry.MaxActorPartBytes-1), strings.Repeat("p", registry.MaxActorPartBytes-1)
	for _, last := range []string{"1", "2"} {
		actors = append(actors, registry.ActorID{Namespace: q + "0", Name: p + last}, registry.ActorID{Namespace: q + last, Name: p + "0"})
	}
	return actors
}

// sideBySide has the actors differ in holder, token, version and state, so that
// whatever is taken from one for another is seen.
func sideBySide(w *lockstep.Run, actors []registry.ActorID) {
	nodes := []*lockstep.Node{w.Node("n1", 0), w.Node("n2", 0), w.Node("n3", 0)}
	n := nodes[0]
	w.Audits = false // all are read after each round
	leases := make([]registry.Lease, len(actors))
	for i, a := range actors {
		by := nodes[i%3]
		w.Is(n.Do(call.Lookup(a)), nil) // found once it is claimed, not before
		leases[i] = w.Is(by.Claim(a), nil).Lease()
		for range i % 4 { // tokens of their own
			leases[i] = w.Is(by.Do(call.Transfer(leases[i], by.Ref)), nil).Lease()
		}
	}
	read := func() {
		for _, a := range actors {
			w.Is(nodes[1].Do(call.Lookup(a)), nil)
			for token := range registry.Token(5) {
				n.Do(call.Validate(a, token+1))
			}
		}
		for _, by := range nodes {
			w.Is(n.Do(call.ListActors(by.Ref, 7)), nil)
		}
	}
	read()
	for i, a := range actors {
		switch l := leases[i]; i % 5 {
		case 0:
			leases[i] = w.Is(n.Do(call.Renew(l)), nil).Lease()
		case 1:
			w.Is(n.Do(call.Release(l)), nil)
		case 2:
			leases[i] = w.Is(n.Do(call.Transfer(l, nodes[(i+1)%3].Ref)), nil).Lease()
		case 3:
			w.Is(nodes[(i+1)%3].Claim(a), registry.ErrHeld)
		}
	}
	read()
	for i, a := range actors {
		if i%5 == 1 {
			leases[i] = w.Is(n.Claim(a), nil).Lease()
		}
	}
	read()
	for _, l := range leases {
		w.Is(n.Do(call.Release(l)), nil)
	}
	read()
}

// hashedNames takes names that a hash has in common through every operation, as actors
// and as nodes.
func hashedNames(t *trial.Trial) {
	names := collidingNames()
	lockstep.InParts(t, t.Cfg, names, func(w *lockstep.Run, names []string) {
		var actors []registry.ActorID
		for _, name := range names {
			actors = append(actors, w.Actor(name))
		}
		sideBySide(w, actors)
	})
	lockstep.InParts(t, t.Cfg, names, nodesSideBySide)
}

// alikeNodes takes nodes with such names through every operation, each of them
// with an actor of its own.
func alikeNodes(t *trial.Trial) {
	lockstep.InParts(t, t.Cfg, lookalikes(registry.MaxNodeIDBytes), nodesSideBySide)
}

// nodesSideBySide has nodes of these names differ in epoch, address, status and what they hold.
func nodesSideBySide(w *lockstep.Run, names []string) {
	n := w.Node("observing", 0)
	w.Audits = false
	refs, leases := make([]registry.NodeRef, len(names)), make([]registry.Lease, len(names))
	read := func() {
		for i, ref := range refs {
			w.Is(n.Do(call.GetNode(ref.ID)), nil)
			w.Is(n.Do(call.ListActors(ref, 0)), nil)
			w.Is(n.Do(call.Lookup(leases[i].Actor)), nil)
		}
		for _, s := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
			w.Is(n.Do(call.ListNodes(s, 7)), nil)
		}
	}
	for i, name := range names {
		id := registry.NodeID(name)
		w.Is(n.Do(call.GetNode(id)), nil) // found once it is registered, not before
		if early := (registry.NodeRef{ID: id, Epoch: 1}); i > 0 {
			n.Do(call.Claim(w.Actor("early"), early, w.ClaimID()))
			n.Do(call.Transfer(leases[i-1], early))
			n.Do([]call.Call{call.Heartbeat(early), call.MarkFailed(early), call.Deregister(early)}[i%3])
		}
		for e := range 1 + i%3 { // epochs of their own
			got := w.Is(n.Do(call.RegisterNode(id, registry.NodeInfo{Address: fmt.Sprint(name, e)}, registry.Supersede)), nil)
			refs[i] = got.Node.Ref
		}
		leases[i] = w.Is(n.Do(call.Claim(w.Actor(fmt.Sprint("of-", i)), refs[i], w.ClaimID())), nil).Lease()
	}
	read()
	w.Advance(w.Cfg.MaxClockSkew + 1)
	for i, ref := range refs {
		next := refs[(i+1)%len(refs)]
		l := leases[i]
		other := l
		other.Holder.ID = next.ID // a lease is its holder's, whatever that looks like
		n.Do(call.Renew(other))
		n.Do(call.Release(other))
		n.Do(call.Transfer(other, ref))
		n.Do(call.Claim(l.Actor, next, l.ClaimID))
		if w.T.Troubles.Load() == 0 { // a suspicion that may still apply would make two of each state
			n.Do(call.MarkFailed(ref)) // alive
		}
		if w.T.Judge.Found[backend.Watch] {
			n.Do(call.WatchCall(l.Actor, l.Version+1))
		}
		switch i % 5 {
		case 0:
			w.Is(n.Do(call.Deregister(ref)), nil)
		case 1:
			w.Is(n.Do(call.Heartbeat(ref)), nil)
		case 2:
			leases[i] = w.Is(n.Do(call.Renew(l)), nil).Lease()
		case 3:
			w.Is(n.Do(call.Release(l)), nil)
		default:
			if (i+1)%5 != 1 { // to one that has not left
				leases[i] = n.Do(call.Transfer(l, next)).Lease()
			}
		}
		w.AuditOne(call.GetNode(ref.ID), contract.NamesDistinct)
		n.Do(call.Heartbeat(registry.NodeRef{ID: ref.ID, Epoch: ref.Epoch + 1}))
	}
	read()
	w.Advance(w.Cfg.FailureTimeout + w.Cfg.MaxClockSkew - 1) // those that were heard of since are alive
	for i, ref := range refs {
		if i%2 == 0 || i%5 == 1 {
			n.Do(call.MarkFailed(ref))
		}
	}
	read()
	for i, ref := range refs {
		n.Do(call.Heartbeat(ref))
		n.Do(call.RegisterNode(ref.ID, registry.NodeInfo{Address: "later"}, registry.IfAbsent))
		n.Do(call.Claim(w.Actor(fmt.Sprint("later-", i)), ref, w.ClaimID()))
	}
	read()
}

// separators are what parts of a key are joined by; "" for nothing.
var separators = []string{"", "/", ":", "#", "|", ",", ".", "-", "_", "@", " ", "!", "~", ";", "%", "\\", "\u00a0", "\u200b",
	"::", "//", "||", "--", "__", "..", "##", "->", "=>", " -> ", ": ", ", ", " - ", " / ", "\\\\", "~~"}

// joinedNames has names that are the same once they are joined: the parts of an actor,
// a node and its epoch, a node and the actors that it holds.
func joinedNames(t *trial.Trial) {
	for _, s := range separators {
		lockstep.Anew(t, t.Cfg, func(w *lockstep.Run) { joined(w, s) })
	}
}

func joined(w *lockstep.Run, s string) {
	n := w.Node("n", 0)
	w.Audits = false
	refs := []registry.NodeRef{n.Ref}
	for _, id := range []registry.NodeID{registry.NodeID("n" + s + "1"), registry.NodeID("n" + s + "x"), registry.NodeID("n1" + s + "1"), registry.NodeID("n" + s + "1" + s + "1"), registry.NodeID("n" + s + "10"), registry.NodeID("n" + s + "11")} {
		if known := w.Is(n.Do(call.GetNode(id)), nil); !known.Found {
			refs = append(refs, w.Is(n.Do(call.RegisterNode(id, registry.NodeInfo{}, registry.IfAbsent)), nil).Node.Ref)
		}
	}
	leases := []registry.Lease{w.Is(n.Claim(w.Actor("of-n#1")), nil).Lease()}
	for range 11 { // n#1, n#2, n#10, n#11 and n#12 hold something at the same time
		w.Is(n.Register(registry.Supersede), nil)
		if n.Ref.Epoch == 2 || n.Ref.Epoch >= 10 {
			leases = append(leases, w.Is(n.Claim(w.Actor("of-"+n.Ref.String())), nil).Lease())
			refs = append(refs, n.Ref)
		}
	}
	var actors []registry.ActorID
	for _, ns := range []string{"x", "x" + s + "y", "y", "y" + s + "z", "1" + s + "x"} {
		for _, name := range []string{"z", "y" + s + "z", "x" + s + "z", "z" + s + "y"} {
			actors = append(actors, registry.ActorID{Namespace: ns, Name: name})
		}
	}
	for _, name := range []string{"1", "x", "10"} { // as a node's name
		actors = append(actors, registry.ActorID{Namespace: "n", Name: name})
	}
	held := map[registry.ActorID]registry.Lease{}
	k := 0
	for _, a := range actors {
		if _, twice := held[a]; twice {
			continue
		}
		w.Is(n.Do(call.Lookup(a)), nil)
		k++
		for refs[k%len(refs)].ID == "n" && refs[k%len(refs)] != n.Ref {
			k++ // the latest incarnation claims; those before hold what they hold
		}
		by := refs[k%len(refs)]
		held[a] = w.Is(n.Do(call.Claim(a, by, w.ClaimID())), nil).Lease()
		if k <= len(refs) {
			leases = append(leases, held[a])
		}
	}
	underOtherNames(n, leases, refs)
	read := func() {
		for _, ref := range refs {
			w.Is(n.Do(call.GetNode(ref.ID)), nil)
			for _, limit := range []int{1, 3, 0} {
				w.Is(n.Do(call.ListActors(ref, limit)), nil)
			}
		}
		for _, a := range actors {
			w.Is(n.Do(call.Lookup(a)), nil)
		}
		w.Is(n.Do(call.ListNodes(registry.AnyStatus, 2)), nil)
	}
	read()
	for i, a := range actors {
		l, ok := held[a]
		if !ok || i%3 > 1 {
			continue
		}
		if i%3 == 0 {
			w.Is(n.Do(call.Release(l)), nil)
		} else {
			w.Is(n.Do(call.Transfer(l, n.Ref)), nil)
		}
		delete(held, a)
	}
	read()
}

// underOtherNames has each lease presented by those who do not hold it, under its token.
func underOtherNames(n *lockstep.Node, leases []registry.Lease, refs []registry.NodeRef) {
	for i, l := range leases {
		for j, ref := range refs {
			if ref == l.Holder {
				continue
			}
			other := l
			other.Holder = ref
			switch (i + j) % 3 {
			case 0:
				n.W.Is(n.Do(call.Release(other)), registry.ErrNotHeld)
				fallthrough
			case 1:
				n.W.Is(n.Do(call.Renew(other)), registry.ErrNotHeld)
			default:
				n.W.Is(n.Do(call.Transfer(other, n.Ref)), registry.ErrNotHeld)
			}
			n.Do(call.Claim(l.Actor, ref, l.ClaimID))
		}
	}
}

// alikeWaiters renews look-alikes in one batch and watches all of them at once.
func alikeWaiters(t *trial.Trial) {
	var actors []registry.ActorID
	for i, name := range lookalikes(registry.MaxActorPartBytes) {
		a := registry.ActorID{Namespace: "same", Name: name}
		if i%3 == 0 {
			a = registry.ActorID{Namespace: name, Name: "same"}
		}
		actors = append(actors, a)
	}
	lockstep.InParts(t, t.Cfg, append(actors, longActors()...), func(w *lockstep.Run, actors []registry.ActorID) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false
		var leases []registry.Lease
		for _, a := range actors {
			leases = append(leases, w.Is(n1.Claim(a), nil).Lease())
		}
		for half := range 2 { // every second one, so that its look-alike is left out
			var some []registry.Lease
			for i, l := range leases {
				if i%2 == half {
					some = append(some, l)
				}
			}
			w.Is(n2.Do(call.RenewBatchCall(some)), nil)
			w.Is(n1.Do(call.ListActors(n1.Ref, 0)), nil)
		}
		var all []*lockstep.Watching
		for i := range leases {
			leases[i] = w.Is(n1.Do(call.Renew(leases[i])), nil).Lease()
			all = append(all, w.Watching(w.T.Ctx, []*lockstep.Node{n1, n2}[i%2], leases[i].Actor, leases[i].Version))
		}
		w.Settle()
		for i, k := range all {
			w.Is(n2.Do(call.Release(leases[i])), nil)
			w.Woken(k)
		}
	})
}
