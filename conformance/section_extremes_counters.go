package conformance

import (
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
)

// marks are the numbers at which a way of writing numbers ends: digits in one of
// several bases, bytes, the widths of a varint.
var marks = []uint64{10, 16, 36, 64, 100, 128, 256, 1000, 1024, 4096, 10_000, 16_384, 32_768, 65_536}

// marked reports whether v is at a mark: the two numbers before it, or the two from it on.
func marked(v uint64) bool {
	return v <= 4 || slices.ContainsFunc(marks, func(m uint64) bool { return v+2 >= m && v <= m+1 })
}

// earlier are the numbers from 1 to v-1 that a wrong comparison may take for v,
// or for more than v: with more or fewer digits, the same low bits, the same first digits.
func earlier(v uint64) []uint64 {
	list := []uint64{1, 2, 9, 10, 99, 100, 127, 128, 255, 256, 999, 9_999, 65_535, v / 2, v / 10, v - v/10, v - 1, v - 2, v - 10, v - 100}
	for _, bits := range []uint{7, 8, 14, 15, 16, 24, 31, 32, 48, 53, 63} {
		list = append(list, v-1<<bits, v&(1<<bits-1), v>>bits)
	}
	list = slices.DeleteFunc(list, func(u uint64) bool { return u == 0 || u >= v })
	slices.Sort(list)
	return slices.Compact(list)
}

// later are numbers above v that a wrong comparison may take for v, or for less.
func later(v uint64) []uint64 {
	list := []uint64{v + 1, v + 2, v * 10, v + 256, v + 65_536, v + 1<<32, v | 1<<63, 10, 100, 1000, 10_000}
	list = slices.DeleteFunc(list, func(u uint64) bool { return u <= v })
	slices.Sort(list)
	return slices.Compact(list)
}

// around presents tokens before and after the current one of l's actor to everything
// that goes by a token, to each of them or, where some is enough, in turn.
func (w *lockstep) around(n *node, l registry.Lease, some bool) {
	present := func(i int, v uint64, want error) {
		other := l
		other.Token = registry.Token(v)
		w.is(n.do(validate(l.Actor, other.Token)), want)
		for k, c := range []call{renew(other), release(other), transfer(other, n.ref)} {
			if !some || k == i%3 {
				w.is(n.do(c), want)
			}
		}
	}
	for i, v := range earlier(uint64(l.Token)) {
		present(i, v, registry.ErrFenced)
	}
	for i, v := range later(uint64(l.Token)) {
		present(i, v, registry.ErrNotHeld)
	}
	w.is(n.do(validate(l.Actor, l.Token)), nil)
	w.is(n.do(lookup(l.Actor)), nil)
}

func tokensGrow(t *trial) {
	grants := sizedBy(t, 20, 300, 66_000)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a := w.actor("a")
		l := w.is(n1.claim(a), nil).Lease()
		for i := 2; i <= grants; i++ {
			w.audits = marked(uint64(i))
			before, holder := l, []*node{n1, n2}[i%2]
			switch i % 3 {
			case 0:
				l = w.is(n1.do(transfer(l, holder.ref)), nil).Lease()
			case 1:
				w.is(n1.do(release(l)), nil)
				w.is(n2.do(validate(a, l.Token)), registry.ErrNotHeld)
				l = w.is(holder.claim(a), nil).Lease()
			default:
				w.lapse()
				l = w.is(holder.claim(a), nil).Lease()
			}
			w.is(n1.do(validate(a, before.Token)), registry.ErrFenced)
			w.is(n2.do(release(before)), registry.ErrFenced)
			if marked(uint64(i)) {
				w.around(holder, l, false)
			}
		}
		w.is(n2.do(listActors(l.Holder, 0)), nil)
	})
}

func versionsGrow(t *trial) {
	renewals := sizedBy(t, 20, 300, 66_000)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a, id := w.actor("a"), w.claimID()
		first := w.is(n1.do(claim(a, n1.ref, id)), nil).Lease()
		l := first
		for i := range renewals {
			w.advance(time.Millisecond)
			w.audits = marked(uint64(l.Version))
			next := w.is(n1.do(renew(l)), nil).Lease()
			if i%5 == 0 {
				next = w.is(n1.do(renew(first)), nil).Lease() // a lease is not of a version
			}
			if l = next; marked(uint64(l.Version)) {
				w.is(n1.do(claim(a, n1.ref, id)), nil)
				w.is(n2.claim(a), registry.ErrHeld)
				if w.t.judge.found[Watch] {
					w.watchesAround(n2, l)
				}
			}
		}
		w.is(n1.do(release(first)), nil)
	})
}

// watchesAround watches from versions that are not the current one, which a watch
// answers at once.
func (w *lockstep) watchesAround(n *node, l registry.Lease) {
	for _, v := range append(earlier(uint64(l.Version)), later(uint64(l.Version))...) {
		w.is(n.do(watchCall(l.Actor, registry.Version(v))), nil)
	}
}

func epochsGrow(t *trial) {
	epochs := sizedBy(t, 20, 300, 66_000)
	t.in(t.cfg, func(w *lockstep) {
		n, other := w.node("n", 0), w.node("n1", 0)
		held := map[uint64]registry.ActorID{}
		for i := 2; i <= epochs; i++ {
			e := uint64(i)
			w.audits = marked(e)
			before := n.ref
			switch i % 3 {
			case 0:
				w.is(n.register(registry.Supersede), nil)
			case 1:
				w.is(n.do(deregister(n.ref)), nil)
				w.is(n.register(registry.IfAbsent), nil)
			default:
				w.is(other.do(heartbeat(other.ref)), nil)
				w.fail(other, n)
				w.is(n.register(registry.IfAbsent), nil)
			}
			n.do(heartbeat(before))
			w.is(n.do(heartbeat(n.ref)), nil)
			if marked(e) {
				held[e] = w.actor(fmt.Sprintf("of-%d", e))
				w.actors = nil // the audits of this case are about the node
				w.is(n.claim(held[e]), nil)
				w.epochsAround(n, other)
			}
		}
		for e := range held {
			w.is(other.do(listActors(registry.NodeRef{ID: "n", Epoch: registry.Epoch(e)}, 0)), nil)
		}
		for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
			w.is(other.do(listNodes(status, 0)), nil)
		}
	})
}

// epochsAround presents other epochs than n's present one to everything that goes
// by an epoch. What is answered is what the reference answers.
func (w *lockstep) epochsAround(n, other *node) {
	e := uint64(n.ref.Epoch)
	l := w.is(other.claim(w.actor("handed")), nil).Lease()
	for _, v := range append(earlier(e), later(e)...) {
		ref := registry.NodeRef{ID: n.ref.ID, Epoch: registry.Epoch(v)}
		for _, c := range []call{heartbeat(ref), claim(w.actor("fresh"), ref, w.claimID()), transfer(l, ref), markFailed(ref), deregister(ref), listActors(ref, 0)} {
			n.do(c)
		}
	}
	w.is(n.do(heartbeat(n.ref)), nil)
	w.is(other.do(release(l)), nil)
}

// bases are the numbers near which the counters are seeded.
func bases() []uint64 {
	list := []uint64{1<<64 - 4}
	for _, bits := range []uint{7, 8, 12, 14, 15, 16, 21, 24, 28, 31, 32, 35, 40, 42, 48, 49, 52, 53, 54, 56, 62, 63} {
		list = append(list, 1<<bits)
	}
	for ten := uint64(10); ten < 1<<63; ten *= 10 {
		list = append(list, ten)
	}
	return append(list, 10_000_000_000_000_000_000)
}

func seededCounters(t *trial) {
	for _, base := range bases() {
		t.in(t.cfg, func(w *lockstep) { w.seededAt(base - 2) })
	}
}

// seededAt lets a cluster go on from counters that stand at v: five mutations of
// the record, no more, since v may be 2^64 - 6; and two registrations.
func (w *lockstep) seededAt(v uint64) {
	n2 := w.node("n2", 0)
	n1 := w.unregistered("n1", 0)
	n1.ref.Epoch = registry.Epoch(v)
	l := registry.Lease{Actor: w.actor("a"), Holder: n1.ref, Token: registry.Token(v), Version: registry.Version(v), Expiry: w.time.Now().Add(w.cfg.TTL), ClaimID: w.claimID()}
	s := seeds{
		nodes:   []registry.Node{{Ref: n1.ref, Info: registry.NodeInfo{Address: "n1:7000"}, Status: registry.NodeActive, LastSeen: w.time.Now()}},
		records: []registry.Placement{registry.Placement(l)},
	}
	if !w.seed(s) {
		return
	}
	w.audits = false // whoever is changed by a refusal is seen by the lookup that ends it
	w.is(n2.do(lookup(l.Actor)), nil)
	w.is(n2.do(getNode("n1")), nil)
	w.is(n1.do(claim(l.Actor, n1.ref, l.ClaimID)), nil)
	w.around(n1, l, true)
	l = w.is(n1.do(renew(l)), nil).Lease()
	for _, to := range []*node{n2, n1} {
		l = w.is(n1.do(transfer(l, to.ref)), nil).Lease()
		w.around(to, l, true)
		w.is(n1.do(listActors(l.Holder, 0)), nil)
	}
	for range 2 {
		old := n1.ref
		w.is(n1.register(registry.Supersede), nil)
		n1.do(heartbeat(old))
		n1.do(listActors(old, 0))
		w.epochRefs(n1)
	}
	w.is(n1.do(release(l)), nil)
	l = w.is(n2.claim(l.Actor), nil).Lease()
	w.around(n2, l, true)
	w.is(n2.do(listNodes(registry.AnyStatus, 0)), nil)
	if _, ok := w.cluster.(Restarter); ok {
		w.restart()
		w.is(n2.do(validate(l.Actor, l.Token)), nil)
	}
}

// epochRefs presents other epochs than n's to what changes nothing by them.
func (w *lockstep) epochRefs(n *node) {
	e := uint64(n.ref.Epoch)
	for _, v := range append(earlier(e), later(e)...) {
		ref := registry.NodeRef{ID: n.ref.ID, Epoch: registry.Epoch(v)}
		n.do(heartbeat(ref))
		n.do(claim(w.actor("fresh"), ref, w.claimID()))
	}
	w.is(n.do(heartbeat(n.ref)), nil)
}
