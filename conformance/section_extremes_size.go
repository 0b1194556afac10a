package conformance

import (
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
)

// smallPages take a thousand calls for a large listing, and are read once.
var smallPages = []int{1, 2}

// pageSizes are read in the large listings: the default, the most and their neighbours.
var pageSizes = []int{0, registry.DefaultPageLimit - 1, registry.DefaultPageLimit, registry.DefaultPageLimit + 1, registry.MaxPageLimit - 1, registry.MaxPageLimit}

// manyActors has more actors than any cache of up to half as many holds. Each half
// is read through one handle, changed through another, pushed out of a cache by the
// other half, and read again through a third.
func manyActors(t *trial) {
	count := sizedBy(t, 240, 2_050, 8_000)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false
		ids, leases := make([]registry.ClaimID, count), make([]registry.Lease, count)
		for i := range leases {
			ids[i] = w.claimID()
			leases[i] = w.is(n1.do(claim(w.actor(fmt.Sprintf("actor-%d", i)), n1.ref, ids[i])), nil).Lease()
		}
		all := make([]int, count)
		for i := range all {
			all[i] = i
		}
		for _, i := range all { // the claim made first is the one longest ago
			w.is(n1.do(claim(leases[i].Actor, n1.ref, ids[i])), nil)
		}
		w.everyPage(n2, n1.ref, append(smallPages, pageSizes...))
		halves := [][]int{all[:count/2], all[count/2:]}
		for h, half := range halves {
			w.readAll(n1, leases, half)
			w.changeAll(n2, n1, leases, half)
			w.readAll(n1, leases, halves[1-h])
			w.readAll(w.observer, leases, half)
			w.readAll(n1, leases, half)
		}
		slices.Reverse(all)
		w.readAll(n2, leases, all)
		w.rng.Shuffle(count, func(i, j int) { all[i], all[j] = all[j], all[i] })
		w.readAll(n1, leases, all)
		w.everyPage(n1, n1.ref, pageSizes)
		w.everyPage(n1, n2.ref, pageSizes)
		for _, i := range all { // released ones keep their tokens
			if l := leases[i]; i%4 == 1 {
				w.is(n2.claim(l.Actor), nil)
				w.is(n1.do(validate(l.Actor, l.Token)), registry.ErrFenced)
			}
		}
		if _, ok := w.cluster.(Restarter); ok {
			w.restart()
		}
	})
}

// everyPage reads a node's listing in pages of each size.
func (w *lockstep) everyPage(n *node, ref registry.NodeRef, sizes []int) {
	for _, size := range sizes {
		w.is(n.do(listActors(ref, size)), nil)
	}
}

// readAll looks each of the actors up and has its token checked.
func (w *lockstep) readAll(n *node, leases []registry.Lease, which []int) {
	for _, i := range which {
		w.is(n.do(lookup(leases[i].Actor)), nil)
		n.do(validate(leases[i].Actor, leases[i].Token))
	}
}

// changeAll renews, releases, hands over or claims anew each of the actors.
func (w *lockstep) changeAll(by, to *node, leases []registry.Lease, which []int) {
	for _, i := range which {
		switch i % 4 {
		case 0:
			w.is(by.do(renew(leases[i])), nil)
		case 1:
			w.is(by.do(release(leases[i])), nil)
		case 2:
			leases[i] = w.is(by.do(transfer(leases[i], by.ref)), nil).Lease()
		default:
			w.is(by.do(release(leases[i])), nil)
			leases[i] = w.is(by.do(claim(leases[i].Actor, to.ref, w.claimID())), nil).Lease()
		}
	}
}

// manyNodes has more nodes than a page, of every status, and comes back to each
// after all the others.
func manyNodes(t *trial) {
	count := sizedBy(t, 120, 1_050, 6_000)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false
		refs := make([]registry.NodeRef, count)
		for i := range refs {
			id := registry.NodeID(fmt.Sprintf("node-%d", i))
			refs[i] = w.is(n1.do(registerNode(id, registry.NodeInfo{Address: string(id)}, registry.IfAbsent)), nil).Node.Ref
		}
		for _, size := range smallPages {
			w.is(n2.do(listNodes(registry.AnyStatus, size)), nil)
		}
		w.everyNodePage(n2)
		for i, ref := range refs {
			w.is(n2.do(claim(w.actor(fmt.Sprintf("actor-%d", i)), ref, w.claimID())), nil)
		}
		for i, ref := range refs {
			switch i % 5 {
			case 0:
				w.is(n1.do(deregister(ref)), nil)
			case 1:
				refs[i] = w.is(n1.do(registerNode(ref.ID, registry.NodeInfo{Address: "again"}, registry.Supersede)), nil).Node.Ref
			}
		}
		w.advance(w.cfg.FailureTimeout)
		for i, ref := range refs {
			if i%5 == 2 {
				w.is(n2.do(heartbeat(ref)), nil)
			}
		}
		w.advance(4 * w.cfg.MaxClockSkew)
		for i, ref := range refs {
			if i%5 >= 2 {
				n2.do(markFailed(ref)) // not those that were heard of
			}
		}
		for _, n := range []*node{n1, n2} {
			for i, ref := range refs {
				w.is(n.do(getNode(ref.ID)), nil)
				w.is(n.do(listActors(registry.NodeRef{ID: ref.ID, Epoch: 1}, 0)), nil)
				n.do(claim(w.actor(fmt.Sprintf("more-%d", i)), ref, w.claimID()))
			}
			w.everyNodePage(n)
		}
		for _, ref := range refs {
			if got := n1.do(registerNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent)); got.Err == nil {
				n2.do(heartbeat(ref))
			}
		}
		w.everyNodePage(n2)
		if _, ok := w.cluster.(Restarter); ok {
			w.restart()
		}
	})
}

// everyNodePage reads the listings of nodes in pages of every size.
func (w *lockstep) everyNodePage(n *node) {
	for _, size := range pageSizes {
		w.is(n.do(listNodes(registry.AnyStatus, size)), nil)
	}
	for _, status := range []registry.NodeStatus{registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
		for _, size := range []int{0, registry.MaxPageLimit} {
			w.is(n.do(listNodes(status, size)), nil)
		}
	}
}

// largeBatches renews in batches of every size, in which a bad lease stands at the
// beginning, at the end and at every seam where a batch may be cut.
func largeBatches(t *trial) {
	sizes := sizedBy(t, []int{1, 2, 101, 300}, []int{1, 2, 3, 16, 25, 26, 50, 64, 99, 100, 101, 128, 129, 256, 257, 500, 512, 999, 1000}, []int{0, 1, 2, 3, 5, 8, 10, 11, 16, 17, 20, 21, 25, 26, 32, 33, 50, 51, 64, 65, 99, 100, 101, 127, 128, 129, 255, 256, 257, 500, 501, 512, 513, 999, 1000, 1001, 2000})
	most := slices.Max(sizes)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false
		leases := make([]registry.Lease, most)
		for i := range leases {
			leases[i] = w.is(n1.claim(w.actor(fmt.Sprintf("actor-%d", i))), nil).Lease()
		}
		for round, size := range sizes {
			w.advance(w.cfg.TTL / 64)
			batch := slices.Clone(leases[:size])
			w.is(n2.do(renewBatchCall(batch)), nil)
			w.is(n1.do(listActors(n1.ref, registry.MaxPageLimit)), nil)
			for k, i := range seams(size) {
				batch[i] = w.spoilt(batch[i], k+round)
			}
			w.is(n1.do(renewBatchCall(batch)), nil)
			w.is(n2.do(listActors(n1.ref, registry.MaxPageLimit)), nil)
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
func (w *lockstep) spoilt(l registry.Lease, how int) registry.Lease {
	switch how % 3 {
	case 0:
		l.Token++
	case 1:
		l.Holder.Epoch++
	default:
		l.Actor = w.actor("nobody claimed this")
	}
	return l
}

// manyWatches has more watches than anybody would think of at once.
func manyWatches(t *trial) {
	count := sizedBy(t, 20, 100, 1_000)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false
		handles := []*node{n1, n2}
		l := w.is(n1.claim(w.actor("a")), nil).Lease()
		for range 2 {
			var crowd []*watching
			for i := range count {
				crowd = append(crowd, w.watching(w.t.ctx, handles[i%2], l.Actor, l.Version))
			}
			w.settle()
			l = w.is(n1.do(renew(l)), nil).Lease()
			for _, k := range crowd {
				w.woken(k)
			}
		}
		var leases []registry.Lease
		for i := range count {
			leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("actor-%d", i))), nil).Lease())
		}
		var each []*watching
		for i, l := range leases {
			each = append(each, w.watching(w.t.ctx, handles[i%2], l.Actor, l.Version))
		}
		w.settle()
		for i, k := range each { // one after the other, in another order than they came
			j := (i*7 + 3) % count
			if count%7 == 0 {
				j = i
			}
			k = each[j]
			w.is(n2.do(release(leases[j])), nil)
			w.woken(k)
		}
	})
}
