package sections

import (
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
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
func around(w *lockstep.Run, n *lockstep.Node, l registry.Lease, some bool) {
	var others []registry.Lease
	present := func(i int, v uint64, want error) {
		other := l
		other.Token = registry.Token(v)
		others = append(others, other)
		w.Is(n.Do(call.Validate(l.Actor, other.Token)), want)
		for k, c := range []call.Call{call.Renew(other), call.Release(other), call.Transfer(other, n.Ref)} {
			if !some || k == i%3 {
				w.Is(n.Do(c), want)
			}
		}
	}
	for i, v := range earlier(uint64(l.Token)) {
		present(i, v, registry.ErrFenced)
	}
	for i, v := range later(uint64(l.Token)) {
		present(i, v, registry.ErrNotHeld)
	}
	if w.T.Judge.Found[backend.BatchRenew] {
		for pair := range slices.Chunk(others, 2) {
			w.Is(n.Do(call.RenewBatchCall(pair)), nil)
		}
	}
	w.Is(n.Do(call.Validate(l.Actor, l.Token)), nil)
	w.Is(n.Do(call.Lookup(l.Actor)), nil)
}

func tokensGrow(t *trial.Trial) {
	grants := trial.SizedBy(t, 20, 300, 66_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a := w.Actor("a")
		l := w.Is(n1.Claim(a), nil).Lease()
		for i := 2; i <= grants; i++ {
			w.Audits = marked(uint64(i))
			before, holder := l, []*lockstep.Node{n1, n2}[i%2]
			switch i % 3 {
			case 0:
				l = w.Is(n1.Do(call.Transfer(l, holder.Ref)), nil).Lease()
			case 1:
				w.Is(n1.Do(call.Release(l)), nil)
				w.Is(n2.Do(call.Validate(a, l.Token)), registry.ErrNotHeld)
				l = w.Is(holder.Claim(a), nil).Lease()
			default:
				w.Lapse()
				l = w.Is(holder.Claim(a), nil).Lease()
			}
			w.Is(n1.Do(call.Validate(a, before.Token)), registry.ErrFenced)
			w.Is(n2.Do(call.Release(before)), registry.ErrFenced)
			if marked(uint64(i)) {
				around(w, holder, l, false)
			}
		}
		w.Is(n2.Do(call.ListActors(l.Holder, 0)), nil)
	})
}

func versionsGrow(t *trial.Trial) {
	renewals := trial.SizedBy(t, 20, 300, 66_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a, id := w.Actor("a"), w.ClaimID()
		first := w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil).Lease()
		l := first
		for i := range renewals {
			w.Advance(time.Millisecond)
			w.Audits = marked(uint64(l.Version))
			next := w.Is(n1.Do(call.Renew(l)), nil).Lease()
			if i%5 == 0 {
				next = w.Is(n1.Do(call.Renew(first)), nil).Lease() // a lease is not of a version
			}
			if l = next; marked(uint64(l.Version)) {
				w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil)
				w.Is(n2.Claim(a), registry.ErrHeld)
				if w.T.Judge.Found[backend.Watch] {
					watchesAround(w, n2, l)
				}
			}
		}
		w.Is(n1.Do(call.Release(first)), nil)
	})
}

// watchesAround watches from versions that are not the current one, which a watch
// answers at once.
func watchesAround(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	for _, v := range append(earlier(uint64(l.Version)), later(uint64(l.Version))...) {
		w.Is(n.Do(call.WatchCall(l.Actor, registry.Version(v))), nil)
	}
}

func epochsGrow(t *trial.Trial) {
	epochs := trial.SizedBy(t, 20, 300, 66_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, other := w.Node("n", 0), w.Node("n1", 0)
		held := map[uint64]registry.ActorID{}
		first := w.Is(n.Claim(w.Actor("of-1")), nil).Lease()
		for i := 2; i <= epochs; i++ {
			e := uint64(i)
			w.Audits = marked(e)
			before := n.Ref
			switch i % 3 {
			case 0:
				w.Is(n.Register(registry.Supersede), nil)
			case 1:
				w.Is(n.Do(call.Deregister(n.Ref)), nil)
				w.Is(n.Do(call.Deregister(n.Ref)), registry.ErrNodeUnknown)
				w.Is(n.Register(registry.IfAbsent), nil)
			default:
				w.Is(other.Do(call.Heartbeat(other.Ref)), nil)
				w.Fail(other, n)
				w.Is(n.Register(registry.IfAbsent), nil)
			}
			n.Do(call.Heartbeat(before))
			w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
			n.Do(call.Renew(first)) // a tenure does not end with its holder's registration
			if marked(e) {
				held[e] = w.Actor(fmt.Sprintf("of-%d", e))
				w.Actors = nil // the audits of this case are about the node
				w.Is(n.Claim(held[e]), nil)
				epochsAround(w, n, other)
			}
		}
		for e := range held {
			w.Is(other.Do(call.ListActors(registry.NodeRef{ID: "n", Epoch: registry.Epoch(e)}, 0)), nil)
		}
		for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
			w.Is(other.Do(call.ListNodes(status, 0)), nil)
		}
	})
}

// epochsAround presents other epochs than n's present one to everything that goes
// by an epoch. What is answered is what the reference answers.
func epochsAround(w *lockstep.Run, n, other *lockstep.Node) {
	e := uint64(n.Ref.Epoch)
	l := w.Is(other.Claim(w.Actor("handed")), nil).Lease()
	for _, v := range append(earlier(e), later(e)...) {
		ref := registry.NodeRef{ID: n.Ref.ID, Epoch: registry.Epoch(v)}
		for _, c := range []call.Call{call.Heartbeat(ref), call.Claim(w.Actor("fresh"), ref, w.ClaimID()), call.Transfer(l, ref), call.MarkFailed(ref), call.Deregister(ref), call.ListActors(ref, 0)} {
			n.Do(c)
		}
	}
	w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
	w.Is(other.Do(call.Release(l)), nil)
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

func seededCounters(t *trial.Trial) {
	for _, base := range bases() {
		lockstep.Anew(t, t.Cfg, func(w *lockstep.Run) { seededAt(w, base-2) })
	}
}

// seededAt lets a cluster go on from counters that stand at v: five mutations of
// the record, no more, since v may be 2^64 - 6; and two registrations.
func seededAt(w *lockstep.Run, v uint64) {
	n2 := w.Node("n2", 0)
	n1 := w.Unregistered("n1", 0)
	n1.Ref.Epoch = registry.Epoch(v)
	l := registry.Lease{Actor: w.Actor("a"), Holder: n1.Ref, Token: registry.Token(v), Version: registry.Version(v), Expiry: w.Time.Now().Add(w.Cfg.TTL), ClaimID: w.ClaimID()}
	s := lockstep.Seeds{
		Nodes:   []registry.Node{{Ref: n1.Ref, Info: registry.NodeInfo{Address: "n1:7000"}, Status: registry.NodeActive, LastSeen: w.Time.Now()}},
		Records: []registry.Placement{registry.Placement(l)},
	}
	if !w.Seed(s) {
		return
	}
	w.Audits = false // whoever is changed by a refusal is seen by the lookup that ends it
	w.Is(n2.Do(call.Lookup(l.Actor)), nil)
	w.Is(n2.Do(call.GetNode("n1")), nil)
	w.Is(n1.Do(call.Claim(l.Actor, n1.Ref, l.ClaimID)), nil)
	w.Is(n2.Claim(l.Actor), registry.ErrHeld)
	around(w, n1, l, true)
	l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
	if v < 1<<64-8 && w.T.Judge.Found[backend.BatchRenew] {
		renewsAll(n1, []registry.Lease{l})
		l.Version = w.Version(l.Actor)
	}
	if w.T.Judge.Found[backend.Watch] {
		watchesAround(w, n2, l)
	}
	for _, to := range []*lockstep.Node{n2, n1} {
		l = w.Is(n1.Do(call.Transfer(l, to.Ref)), nil).Lease()
		around(w, to, l, true)
		w.Is(n1.Do(call.ListActors(l.Holder, 0)), nil)
	}
	for range 2 {
		old := n1.Ref
		registersTwice(w, n1, registry.Supersede)
		refusalsAbout(n2, n1.Ref)
		n1.Do(call.Heartbeat(old))
		n1.Do(call.ListActors(old, 0))
		epochRefs(w, n1, l)
	}
	w.Is(n1.Do(call.Release(l)), nil)
	l = w.Is(n2.Claim(l.Actor), nil).Lease()
	around(w, n2, l, true)
	w.Is(n2.Do(call.ListNodes(registry.AnyStatus, 0)), nil)
	if _, ok := w.Cluster.(backend.Restarter); ok {
		w.Is(n1.Claim(w.Actor("of a late incarnation")), nil)
		w.Restart()
		w.Is(n2.Do(call.Validate(l.Actor, l.Token)), nil)
	}
}

// epochRefs presents other epochs than n's, and than that of l's holder, to what changes
// nothing by them: to two calls each of them, and to the others in turn.
func epochRefs(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	e := uint64(n.Ref.Epoch)
	for i, v := range append(earlier(e), later(e)...) {
		ref := registry.NodeRef{ID: n.Ref.ID, Epoch: registry.Epoch(v)}
		n.Do(call.Heartbeat(ref))
		n.Do(call.Claim(w.Actor("fresh"), ref, w.ClaimID()))
		if ref == l.Holder {
			continue
		}
		other := l
		other.Holder = ref
		turns := []call.Call{call.MarkFailed(ref), call.Deregister(ref), call.ListActors(ref, 0), call.Transfer(l, ref), call.Renew(other), call.Release(other), call.Transfer(other, n.Ref)}
		n.Do(turns[(uint64(i)+e)%uint64(len(turns))])
	}
	w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
}
