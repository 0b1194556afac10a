package conformance

import (
	"context"
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func listing(t *trial) {
	t.needs(op.ListActors)
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		w.audits = false // the listings themselves are compared
		var leases []registry.Lease
		for i := range 23 {
			a := registry.ActorID{Namespace: fmt.Sprintf("space-%d", i%3), Name: fmt.Sprintf("%d", i)}
			leases = append(leases, w.is(n1.claim(a), nil).Lease())
		}
		everySize := func() {
			for _, n := range []*node{n1, n2} {
				for _, limit := range []int{1, 2, 7, 22, 23, 24, 0, registry.MaxPageLimit} {
					w.is(n.do(listActors(n1.ref, limit)), nil)
				}
				w.is(n.do(listActors(n2.ref, 3)), nil)
			}
		}
		everySize()
		w.is(n1.do(release(leases[0])), nil)
		w.is(n1.do(release(leases[22])), nil)
		w.is(n1.do(transfer(leases[5], n2.ref)), nil)
		w.is(n1.do(renew(leases[7])), nil)
		everySize()
		w.lapse()
		w.is(n2.claim(leases[9].Actor), nil)
		everySize() // lapsed ones stay until somebody else claims
		old := n1.ref
		w.is(n1.register(registry.Supersede), nil)
		w.is(n1.do(listActors(n1.ref, 5)), nil) // another incarnation holds nothing
		w.is(n1.do(listActors(old, 5)), nil)
		w.is(n1.do(listActors(registry.NodeRef{ID: "never", Epoch: 1}, 5)), nil)
		w.is(n1.do(listActors(registry.NodeRef{ID: "n1", Epoch: 9}, 5)), nil)
	})
}

// listingUnderChange walks a listing page by page while every other actor comes
// and goes; those that stay must be seen exactly once.
func listingUnderChange(t *trial) {
	t.needs(op.ListActors)
	for limit := 1; limit <= 4; limit++ {
		t.in(t.cfg, func(w *lockstep) { w.listWhileChanging(limit) })
	}
}

func (w *lockstep) listWhileChanging(limit int) {
	const actors = 12
	n, other := w.node("n1", 0), w.node("n2", 0)
	w.audits = false
	name := func(i int) registry.ActorID { return w.actor(fmt.Sprintf("a%02d", i%actors)) }
	leases := map[registry.ActorID]registry.Lease{}
	for i := range actors {
		leases[name(i)] = w.is(n.claim(name(i)), nil).Lease()
	}
	seen := map[registry.ActorID]int{}
	page := registry.Page{Limit: limit}
	for step := range maxPages {
		rows, next := w.page([]*node{n, other}[step%2], n.ref, page)
		for _, r := range rows {
			seen[r.Actor]++
		}
		if next == "" {
			break
		}
		page.After = next
		// Those with odd numbers come and go; of those that stay one is renewed,
		// which changes its record and not that it is held.
		comes, stays := name(2*step+1), name(2*step+4)
		if l, held := leases[comes]; held {
			w.is(n.do(release(l)), nil)
			delete(leases, comes)
		} else {
			leases[comes] = w.is(n.claim(comes), nil).Lease()
		}
		leases[stays] = w.is(n.do(renew(leases[stays])), nil).Lease()
	}
	for i := 0; i < actors; i += 2 {
		if times := seen[name(i)]; times != 1 {
			w.end(w.t.conviction(PagedListing, "", "", fmt.Sprintf("%s was held throughout and listed %d times in pages of %d", name(i).Name, times, limit), "once", w.table()))
		}
	}
}

// page reads one page on the backend alone: its order is the backend's choice.
func (w *lockstep) page(n *node, ref registry.NodeRef, p registry.Page) (rows []registry.Placement, next registry.Cursor) {
	c := listActorsPage(ref, p)
	var got op.Result
	for attempt := 0; attempt == 0 || trouble(got.Err) && attempt < patientAttempts; attempt++ {
		w.t.watch(c.String, func(ctx context.Context) { got = op.Do(ctx, n.h, &c.Call) })
	}
	w.note(n, c, got)
	switch {
	case trouble(got.Err):
		w.t.unanswered(c.String(), got.Err)
	case got.Err != nil:
		w.convict(PagedListing, 0, got, op.Result{Outcome: op.OK}, "a cursor of this listing was refused")
	case len(got.Actors) > p.Limit:
		w.convict(PagedListing, 0, got, op.Result{Outcome: op.OK}, fmt.Sprintf("%d rows in a page of %d", len(got.Actors), p.Limit))
	}
	return got.Actors, got.Next
}
