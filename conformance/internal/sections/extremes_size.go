package sections

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// pageSizes are read in the large listings: the default, the most and their neighbours.
var pageSizes = []int{0, registry.DefaultPageLimit - 1, registry.DefaultPageLimit, registry.DefaultPageLimit + 1, registry.MaxPageLimit - 1, registry.MaxPageLimit}

// manyActors has more actors than any cache of up to half as many holds. Each half
// is read through one handle, changed through another, pushed out of a cache by the
// other half, and read again through a third.
func manyActors(t *trial.Trial) {
	count := trial.SizedBy(t, 240, 2_050, 8_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false
		ids, leases := make([]registry.ClaimID, count), make([]registry.Lease, count)
		for i := range leases {
			ids[i] = w.ClaimID()
			leases[i] = w.Is(n1.Do(call.Claim(w.Actor(fmt.Sprintf("actor-%d", i)), n1.Ref, ids[i])), nil).Lease()
		}
		all := make([]int, count)
		for i := range all {
			all[i] = i
		}
		for _, i := range all { // the claim made first is the one longest ago
			w.Is(n1.Do(call.Claim(leases[i].Actor, n1.Ref, ids[i])), nil)
		}
		everyPage(w, n2, n1.Ref, pageSizes)
		halves := [][]int{all[:count/2], all[count/2:]}
		for h, half := range halves {
			readAll(w, n1, leases, half)
			changeAll(w, n2, n1, leases, half)
			readAll(w, n1, leases, halves[1-h])
			readAll(w, w.Observer, leases, half)
			readAll(w, n1, leases, half)
		}
		slices.Reverse(all)
		readAll(w, n2, leases, all)
		w.Rng.Shuffle(count, func(i, j int) { all[i], all[j] = all[j], all[i] })
		readAll(w, n1, leases, all)
		everyPage(w, n1, n1.Ref, append([]int{1}, pageSizes...)) // half of them are n1's by now: still over a thousand pages
		everyPage(w, n1, n2.Ref, append([]int{2}, pageSizes...))
		for _, i := range all { // released ones keep their tokens
			if l := leases[i]; i%4 == 1 {
				w.Is(n2.Claim(l.Actor), nil)
				w.Is(n1.Do(call.Validate(l.Actor, l.Token)), registry.ErrFenced)
			}
		}
		everyPhase(w, n1, n2)
		if _, ok := w.Cluster.(backend.Restarter); ok {
			w.Restart()
			everyPage(w, n1, n1.Ref, []int{0})
		}
	})
}

// everyPhase takes leases of a node that holds many to the end of each phase, and makes
// there what may be made at last, or for the first time.
func everyPhase(w *lockstep.Run, holder, other *lockstep.Node) {
	var l []registry.Lease
	for i := range 4 {
		l = append(l, w.Is(holder.Claim(w.Actor(fmt.Sprint("in every phase-", i))), nil).Lease())
	}
	at := func(after time.Duration) { w.Until(other, l[0].Expiry.Add(after)) }
	at(-1)
	other.Do(call.Transfer(l[1], other.Ref))
	at(w.Cfg.Grace - 1)
	other.Do(call.Claim(l[0].Actor, holder.Ref, l[0].ClaimID)) // repeats
	other.Do(call.Renew(l[2]))
	at(w.Cfg.Grace)
	other.Do(call.Renew(l[3]))
	at(w.Cfg.Grace + 2*w.Cfg.MaxClockSkew - 1)
	other.Claim(l[0].Actor)
	at(w.Cfg.Grace + 2*w.Cfg.MaxClockSkew)
	other.Claim(l[0].Actor)
}

// everyPage reads a node's listing in pages of each size.
func everyPage(w *lockstep.Run, n *lockstep.Node, ref registry.NodeRef, sizes []int) {
	for _, size := range sizes {
		w.Is(n.Do(call.ListActors(ref, size)), nil)
	}
}

// readAll looks each of the actors up and has its token checked.
func readAll(w *lockstep.Run, n *lockstep.Node, leases []registry.Lease, which []int) {
	for _, i := range which {
		w.Is(n.Do(call.Lookup(leases[i].Actor)), nil)
		n.Do(call.Validate(leases[i].Actor, leases[i].Token))
	}
}

// changeAll renews, releases, hands over or claims anew each of the actors.
func changeAll(w *lockstep.Run, by, to *lockstep.Node, leases []registry.Lease, which []int) {
	for _, i := range which {
		switch i % 4 {
		case 0:
			w.Is(by.Do(call.Renew(leases[i])), nil)
		case 1:
			w.Is(by.Do(call.Release(leases[i])), nil)
		case 2:
			leases[i] = w.Is(by.Do(call.Transfer(leases[i], by.Ref)), nil).Lease()
		default:
			w.Is(by.Do(call.Release(leases[i])), nil)
			leases[i] = w.Is(by.Do(call.Claim(leases[i].Actor, to.Ref, w.ClaimID())), nil).Lease()
		}
	}
}

// manyNodes has more nodes than a page, of every status, and comes back to each
// after all the others.
func manyNodes(t *trial.Trial) {
	count := trial.SizedBy(t, 120, 1_050, 6_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false
		refs := make([]registry.NodeRef, count)
		register := func(i int) registry.NodeRef {
			id := registry.NodeID(fmt.Sprintf("node-%d", i))
			info := registry.NodeInfo{Address: string(id)}
			if w.T.Judge.Found[backend.Instances] {
				binary.BigEndian.PutUint32(info.Instance[:], uint32(i)+1)
			}
			return w.Is(n1.Do(call.RegisterNode(id, info, registry.IfAbsent)), nil).Node.Ref
		}
		for i := range refs {
			refs[i] = register(i)
		}
		for i := range refs {
			if w.T.Judge.Found[backend.Instances] {
				register(i) // repeats
			}
		}
		w.Is(n2.Do(call.ListNodes(registry.AnyStatus, 1)), nil) // over a thousand pages
		everyNodePage(w, n2)
		for i, ref := range refs {
			w.Is(n2.Do(call.Claim(w.Actor(fmt.Sprintf("actor-%d", i)), ref, w.ClaimID())), nil)
		}
		for i, ref := range refs {
			switch i % 5 {
			case 0:
				w.Is(n1.Do(call.Deregister(ref)), nil)
			case 1:
				refs[i] = w.Is(n1.Do(call.RegisterNode(ref.ID, registry.NodeInfo{Address: "again"}, registry.Supersede)), nil).Node.Ref
			}
		}
		w.Advance(w.Cfg.FailureTimeout)
		for i, ref := range refs {
			if i%5 == 2 {
				w.Is(n2.Do(call.Heartbeat(ref)), nil)
			}
		}
		w.Advance(4 * w.Cfg.MaxClockSkew)
		for i, ref := range refs {
			if i%5 >= 2 {
				n2.Do(call.MarkFailed(ref)) // not those that were heard of
			}
		}
		for i := range count / 3 { // those that left or failed are known beside more that join
			w.Is(n1.Do(call.RegisterNode(registry.NodeID(fmt.Sprintf("newcomer-%d", i)), registry.NodeInfo{}, registry.IfAbsent)), nil)
		}
		for _, n := range []*lockstep.Node{n1, n2} {
			for i, ref := range refs {
				w.Is(n.Do(call.GetNode(ref.ID)), nil)
				w.Is(n.Do(call.ListActors(registry.NodeRef{ID: ref.ID, Epoch: 1}, 0)), nil)
				n.Do(call.Claim(w.Actor(fmt.Sprintf("more-%d", i)), ref, w.ClaimID()))
			}
			everyNodePage(w, n)
		}
		for _, ref := range refs {
			if got := n1.Do(call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent)); got.Err == nil {
				n2.Do(call.Heartbeat(ref))
			}
		}
		everyNodePage(w, n2)
		if _, ok := w.Cluster.(backend.Restarter); ok {
			w.Restart()
		}
	})
}

// everyNodePage reads the listings of nodes in pages of every size.
func everyNodePage(w *lockstep.Run, n *lockstep.Node) {
	for _, size := range pageSizes {
		w.Is(n.Do(call.ListNodes(registry.AnyStatus, size)), nil)
	}
	for _, status := range []registry.NodeStatus{registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
		for _, size := range []int{0, registry.MaxPageLimit} {
			w.Is(n.Do(call.ListNodes(status, size)), nil)
		}
	}
}

// largeBatches renews in batches of every size, in which a bad lease stands at the
// beginning, at the end and at every seam where a batch may be cut.
func largeBatches(t *trial.Trial) {
	sizes := trial.SizedBy(t, []int{1, 2, 101, 300}, []int{1, 2, 3, 16, 25, 26, 50, 64, 99, 100, 101, 128, 129, 256, 257, 500, 512, 999, 1000}, []int{0, 1, 2, 3, 5, 8, 10, 11, 16, 17, 20, 21, 25, 26, 32, 33, 50, 51, 64, 65, 99, 100, 101, 127, 128, 129, 255, 256, 257, 500, 501, 512, 513, 999, 1000, 1001, 2000})
	most := slices.Max(sizes)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false
		lapsed := w.Is(n1.Claim(w.Actor("lapsed")), nil).Lease()
		w.Lapse()
		leases := make([]registry.Lease, most)
		for i := range leases {
			leases[i] = w.Is(n1.Claim(w.Actor(fmt.Sprintf("actor-%d", i))), nil).Lease()
		}
		for round, size := range sizes {
			w.Advance(w.Cfg.TTL / 64)
			batch := slices.Clone(leases[:size])
			w.Is(n2.Do(call.RenewBatchCall(batch)), nil)
			w.Is(n1.Do(call.ListActors(n1.Ref, registry.MaxPageLimit)), nil)
			for k, i := range seams(size) {
				batch[i] = spoilt(w, batch[i], lapsed, k+round)
			}
			w.Is(n1.Do(call.RenewBatchCall(batch)), nil)
			w.Is(n2.Do(call.ListActors(n1.Ref, registry.MaxPageLimit)), nil)
		}
	})
}

// seams are the places of a batch at which one that is cut in parts is cut.
func seams(size int) []int {
	list := []int{0, size/2 - 1, size / 2, size - 2, size - 1}
	for _, part := range []int{10, 16, 20, 25, 32, 50, 64, 100, 128, 250, 256, 500, 512, 1000} {
		list = append(list, part-1, part)
	}
	list = slices.DeleteFunc(list, func(i int) bool { return i < 0 || i >= size })
	slices.Sort(list)
	return slices.Compact(list)
}

// spoilt makes a lease one that is refused.
func spoilt(w *lockstep.Run, l, lapsed registry.Lease, how int) registry.Lease {
	switch how % 4 {
	case 0:
		l.Token++
	case 1:
		l.Holder.Epoch++
	case 2:
		return lapsed
	default:
		l.Actor = w.Actor("nobody claimed this")
	}
	return l
}

// manyWatches has more watches than anybody would think of at once.
func manyWatches(t *trial.Trial) {
	count := trial.SizedBy(t, 20, 100, 1_000)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false
		handles := []*lockstep.Node{n1, n2}
		l := w.Is(n1.Claim(w.Actor("a")), nil).Lease()
		for range 2 {
			var crowd []*lockstep.Watching
			for i := range count {
				crowd = append(crowd, w.Watching(w.T.Ctx, handles[i%2], l.Actor, l.Version))
			}
			w.Settle()
			l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
			for _, k := range crowd {
				w.Woken(k)
			}
		}
		var leases []registry.Lease
		for i := range count {
			leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("actor-%d", i))), nil).Lease())
		}
		var each []*lockstep.Watching
		for i, l := range leases {
			each = append(each, w.Watching(w.T.Ctx, handles[i%2], l.Actor, l.Version))
		}
		w.Settle()
		for i, k := range each { // one after the other, in another order than they came
			j := (i*7 + 3) % count
			if count%7 == 0 {
				j = i
			}
			k = each[j]
			w.Is(n2.Do(call.Release(leases[j])), nil)
			w.Woken(k)
		}
	})
}
