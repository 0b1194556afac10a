package sections

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func listing(t *trial.Trial) {
	t.Needs(op.ListActors)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		w.Audits = false // the listings themselves are compared
		var leases []registry.Lease
		for i := range 23 {
			a := registry.ActorID{Namespace: fmt.Sprintf("space-%d", i%3), Name: fmt.Sprintf("%d", i)}
			leases = append(leases, w.Is(n1.Claim(a), nil).Lease())
		}
		everySize := func() {
			for _, n := range []*lockstep.Node{n1, n2} {
				for _, limit := range []int{1, 2, 7, 22, 23, 24, 0, registry.MaxPageLimit} {
					w.Is(n.Do(call.ListActors(n1.Ref, limit)), nil)
				}
				w.Is(n.Do(call.ListActors(n2.Ref, 3)), nil)
			}
		}
		everySize()
		w.Is(n1.Do(call.Release(leases[0])), nil)
		w.Is(n1.Do(call.Release(leases[22])), nil)
		w.Is(n1.Do(call.Transfer(leases[5], n2.Ref)), nil)
		for range 3 {
			w.Is(n1.Do(call.Renew(leases[7])), nil)
		}
		everySize()
		w.Lapse()
		w.Is(n2.Claim(leases[9].Actor), nil)
		w.Is(n1.Do(call.Release(leases[11])), nil)
		everySize() // lapsed ones stay until somebody else claims, or they are released
		old := n1.Ref
		w.Is(n2.Do(call.Transfer(w.Is(n2.Claim(w.Actor("handed")), nil).Lease(), old)), nil)
		w.Is(n1.Register(registry.Supersede), nil)
		w.Is(n1.Do(call.ListActors(n1.Ref, 5)), nil) // another incarnation holds nothing
		w.Is(n1.Do(call.ListActors(old, 5)), nil)
		w.Is(n1.Do(call.ListActors(registry.NodeRef{ID: "never", Epoch: 1}, 5)), nil)
		w.Is(n1.Do(call.ListActors(registry.NodeRef{ID: "n1", Epoch: 9}, 5)), nil)
		listsWhoIsGone(w, n1, n2)
	})
	lockstep.In(t, t.Cfg, pagesAgain)
}

// pagesAgain walks two listings of actors and two of nodes by turns. Each page is asked
// for twice, through two handles of which one is then closed, and in two sizes; the first
// answer is lost. A cursor is not used up, and is valid across handles.
func pagesAgain(w *lockstep.Run) {
	const rows = 9
	n, passing := w.Node("n1", 0), w.Node("n2", 0)
	w.Audits = false
	for i := range rows {
		w.Is(n.Claim(w.Actor(fmt.Sprint("a", i))), nil)
		w.Node(fmt.Sprint("node-", i), 0)
	}
	actors, nodes := call.ListActorsPage(n.Ref, registry.Page{}), call.ListNodesPage(registry.AnyStatus, registry.Page{})
	walks := []*walk{newWalk(actors), newWalk(actors)}
	if w.Offers(nodes) {
		walks = append(walks, newWalk(nodes), newWalk(nodes))
	}
	for size := 0; slices.ContainsFunc(walks, func(k *walk) bool { return !k.ended }); size++ {
		loses, tells := n, passing
		if size%2 == 1 {
			loses, tells = passing, n
		}
		for _, k := range walks {
			if k.ended {
				continue
			}
			k.page(w, loses, 1+size%4)
			k.goesOn(k.page(w, tells, 1+(size+2)%4))
			passing.Do(call.CloseHandle())
			passing.Reopen()
		}
	}
	for _, k := range walks {
		for i := range rows {
			name := fmt.Sprint(map[op.Kind]string{op.ListActors: "a", op.ListNodes: "node-"}[k.c.Kind], i)
			if times := k.seen[name]; times != 1 {
				w.End(w.T.Conviction(contract.PagedListing, "", "", fmt.Sprintf("%s was there throughout and listed %d times in pages of several sizes, each asked for twice, through two handles, beside other listings",
					name, times), "once", w.Table()))
			}
		}
	}
}

// walk is a listing under way.
type walk struct {
	c     call.Call // asks for the next page
	seen  map[string]int
	pages int
	ended bool
}

func newWalk(c call.Call) *walk { return &walk{c: c, seen: map[string]int{}} }

func (k *walk) page(w *lockstep.Run, n *lockstep.Node, limit int) op.Result {
	k.c.Page.Limit = limit
	return onePage(w, n, k.c)
}

// goesOn counts the rows of a page and goes on behind it.
func (k *walk) goesOn(got op.Result) {
	for _, r := range got.Actors {
		k.seen[r.Actor.Name]++
	}
	for _, m := range got.Nodes {
		k.seen[string(m.Ref.ID)]++
	}
	k.pages++
	k.c.Page.After, k.ended = got.Next, got.Next == "" || k.pages == call.MaxPages
}

// listsWhoIsGone lists nodes that have left, failed or begun anew with what they hold
// still, claimed or handed to them, and later incarnations.
func listsWhoIsGone(w *lockstep.Run, n, other *lockstep.Node) {
	if !w.Offers(call.Deregister(n.Ref)) {
		return
	}
	for _, name := range []string{"left", "failed", "failed and left", "began anew"} {
		gone := w.Node(name, 0)
		if name[0] == 'f' {
			w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
		}
		for i, by := range []*lockstep.Node{gone, other, gone} {
			l := w.Is(by.Claim(w.Actor(fmt.Sprint(name, i))), nil).Lease()
			if by == other {
				w.Is(other.Do(call.Transfer(l, gone.Ref)), nil)
			}
		}
		ends := []call.Call{call.MarkFailed(gone.Ref), call.Deregister(gone.Ref), call.RegisterNode(gone.Ref.ID, registry.NodeInfo{}, registry.Supersede)}
		for _, c := range map[string][]call.Call{"left": ends[1:2], "failed": ends[:1], "failed and left": ends[:2], "began anew": ends[2:]}[name] {
			w.Is(n.Do(c), nil)
		}
		for _, limit := range []int{1, 2, 0} {
			w.Is(n.Do(call.ListActors(gone.Ref, limit)), nil)
		}
		w.Lapse()
		w.Is(n.Do(call.ListActors(gone.Ref, 2)), nil)
	}
	again := w.Node("again", 0)
	for range 2 { // the second incarnation and the third
		w.Is(again.Register(registry.Supersede), nil)
		claimed := w.Is(again.Claim(w.Actor(fmt.Sprint("claimed-", again.Ref.Epoch))), nil).Lease()
		handed := w.Is(other.Claim(w.Actor(fmt.Sprint("handed-", again.Ref.Epoch))), nil).Lease()
		handed = w.Is(other.Do(call.Transfer(handed, again.Ref)), nil).Lease()
		w.Is(n.Do(call.ListActors(again.Ref, 0)), nil)
		if w.T.Judge.Found[backend.BatchRenew] {
			n.Do(call.RenewBatchCall([]registry.Lease{claimed, handed}))
			w.Is(n.Do(call.ListActors(again.Ref, 1)), nil)
		}
	}
	before := again.Ref
	w.Is(again.Register(registry.Supersede), nil)
	w.Lapse()
	w.Is(again.Claim(w.Actor(fmt.Sprint("claimed-", before.Epoch))), nil) // by its next incarnation
	w.Is(other.Claim(w.Actor(fmt.Sprint("handed-", before.Epoch))), nil)
	w.Is(n.Do(call.ListActors(before, 0)), nil)
	w.Is(n.Do(call.ListActors(again.Ref, 0)), nil)
}

// listingUnderChange walks a listing page by page while every other actor comes
// and goes; those that stay must be seen exactly once.
func listingUnderChange(t *trial.Trial) {
	t.Needs(op.ListActors)
	for limit := 1; limit <= 4; limit++ {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) { listWhileChanging(w, limit) })
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) { listWhatIsReleased(w, limit) })
		for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
			lockstep.In(t, t.Cfg, func(w *lockstep.Run) { listNodesWhileChanging(w, status, limit) })
		}
	}
}

func listWhileChanging(w *lockstep.Run, limit int) {
	const actors = 12
	n, other := w.Node("n1", 0), w.Node("n2", 0)
	w.Audits = false
	name := func(i int) registry.ActorID { return w.Actor(fmt.Sprintf("a%02d", i%actors)) }
	leases := map[registry.ActorID]registry.Lease{}
	for i := range actors {
		leases[name(i)] = w.Is(n.Claim(name(i)), nil).Lease()
	}
	stayed := func(a registry.ActorID) bool { return a.Name[len(a.Name)-1]%2 == 0 }
	seen := map[registry.ActorID]int{}
	from := registry.Page{Limit: limit}
	for step := range call.MaxPages {
		rows, next := page(w, []*lockstep.Node{n, other}[step%2], n.Ref, from)
		twice := false
		for _, r := range rows {
			seen[r.Actor]++
			twice = twice || seen[r.Actor] > 1 && stayed(r.Actor)
		}
		if next == "" || twice { // it might never end
			break
		}
		from.After = next
		// Those with odd numbers come and go; of those that stay one is renewed, or handed
		// to the node that has it: all of its record changes, and not by whom it is held.
		w.Advance(time.Millisecond)
		comes, stays := name(2*step+1), name(2*step+4)
		if l, held := leases[comes]; held {
			w.Is(n.Do(call.Release(l)), nil)
			delete(leases, comes)
		} else {
			leases[comes] = w.Is(n.Claim(comes), nil).Lease()
		}
		change := call.Renew(leases[stays])
		if hands := call.Transfer(leases[stays], n.Ref); step%2 == 0 && w.Offers(hands) {
			change = hands
		}
		leases[stays] = w.Is(n.Do(change), nil).Lease()
	}
	for i := 0; i < actors; i += 2 {
		if times := seen[name(i)]; times != 1 {
			w.End(w.T.Conviction(contract.PagedListing, "", "", fmt.Sprintf("%s was held throughout and listed %d times in pages of %d", name(i).Name, times, limit), "once", w.Table()))
		}
	}
}

// listWhatIsReleased ends what comes after the first page and the last row of that page,
// by which a cursor may find its place: the others of the page are not listed again.
func listWhatIsReleased(w *lockstep.Run, limit int) {
	n := w.Node("n1", 0)
	w.Audits = false
	leases := map[registry.ActorID]registry.Lease{}
	for i := range 2 * limit {
		l := w.Is(n.Claim(w.Actor(fmt.Sprint("a", i))), nil).Lease()
		leases[l.Actor] = l
	}
	rows, next := page(w, n, n.Ref, registry.Page{Limit: limit})
	stay := rows[:max(0, len(rows)-1)]
	for _, r := range stay {
		delete(leases, r.Actor)
	}
	for _, l := range leases {
		w.Is(n.Do(call.Release(l)), nil)
	}
	for pages := 0; next != "" && pages < call.MaxPages; pages++ {
		rows, next = page(w, n, n.Ref, registry.Page{Limit: limit, After: next})
		for _, r := range rows {
			if slices.ContainsFunc(stay, func(s registry.Placement) bool { return s.Actor == r.Actor }) {
				w.End(w.T.Conviction(contract.PagedListing, "", "", fmt.Sprintf("%s was held throughout and listed twice in pages of %d, all but %d of the first page released after it", r.Actor.Name, limit, len(stay)), "once", w.Table()))
			}
		}
	}
}

// listNodesWhileChanging walks a listing of nodes while some come, leave and return and
// the others go on being heard of, or begin anew; these must be seen exactly once. Of a
// listing that does not ask for a status that is so for all. Of those that are over some
// come back, and the others stay as they are.
func listNodesWhileChanging(w *lockstep.Run, status registry.NodeStatus, limit int) {
	c := call.ListNodesPage(status, registry.Page{Limit: limit})
	if !w.Offers(c) {
		return
	}
	w.Audits = false
	var stay, others []*lockstep.Node
	for i := range 6 {
		stay = append(stay, w.Node(fmt.Sprintf("n%02d", 2*i), 0))
		others = append(others, w.Node(fmt.Sprintf("n%02d", 2*i+1), 0))
		if i%2 == 0 {
			w.Is(others[i].Register(registry.Supersede), nil) // who comes back is its third incarnation
		}
	}
	there := slices.Clone(stay)
	if status == registry.AnyStatus {
		there = slices.Concat(stay, others)
	}
	reader := w.Unregistered("reader", 0)
	over := status == registry.NodeFailed || status == registry.NodeLeft
	if over {
		endAll(w, reader, status, slices.Concat(stay, others))
		// A registration that applies late begins anew what has ended.
		there = slices.DeleteFunc(there, func(n *lockstep.Node) bool { return !w.Stays(n.Ref.ID, status) })
	}
	seen := map[registry.NodeID]int{}
	for step := range call.MaxPages {
		got := onePage(w, reader, c)
		twice := false
		for _, n := range got.Nodes {
			seen[n.Ref.ID]++
			twice = twice || seen[n.Ref.ID] > 1 && slices.ContainsFunc(there, func(s *lockstep.Node) bool { return s.Ref.ID == n.Ref.ID })
		}
		if got.Next == "" || twice { // it might never end
			break
		}
		c.Page.After = got.Next
		w.Advance(time.Millisecond)
		stays, goes := stay[(5*step+2)%len(stay)], others[step%len(others)]
		switch {
		case over:
		case step%3 == 1:
			w.Is(stays.Register(registry.Supersede), nil)
		default:
			w.Is(stays.Do(call.Heartbeat(stays.Ref)), nil)
		}
		if (step/len(others)%2 == 0) != over {
			w.Is(goes.Do(call.Deregister(goes.Ref)), nil)
		} else {
			w.Is(goes.Register(registry.IfAbsent), nil)
		}
		if step < 3 {
			w.Node(fmt.Sprintf("newcomer-%d", step), 0)
		}
	}
	for _, n := range there {
		if times := seen[n.Ref.ID]; times != 1 {
			w.End(w.T.Conviction(contract.PagedListing, "", "", fmt.Sprintf("%s was there throughout and listed %d times in pages of %d", n.Ref.ID, times, limit), "once", w.Table()))
		}
	}
}

// endAll ends registrations, so that they have that status.
func endAll(w *lockstep.Run, by *lockstep.Node, status registry.NodeStatus, nodes []*lockstep.Node) {
	w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
	for _, n := range nodes {
		ends := call.MarkFailed(n.Ref)
		if status == registry.NodeLeft {
			ends = call.Deregister(n.Ref)
		}
		w.Is(by.Do(ends), nil)
	}
}

// page reads one page on the backend alone: its order is the backend's choice.
func page(w *lockstep.Run, n *lockstep.Node, ref registry.NodeRef, p registry.Page) (rows []registry.Placement, next registry.Cursor) {
	got := onePage(w, n, call.ListActorsPage(ref, p))
	return got.Actors, got.Next
}

func onePage(w *lockstep.Run, n *lockstep.Node, c call.Call) (got op.Result) {
	_ = trial.Untroubled(func() error {
		w.T.Watch(c.String, func(ctx context.Context) { got = op.Do(ctx, n.H, &c.Call) })
		return got.Err
	})
	w.Note(n, c, got)
	switch rows := len(got.Actors) + len(got.Nodes); {
	case call.Trouble(got.Err):
		w.T.Unanswered(c.String(), got.Err)
	case got.Err != nil:
		w.Convict(contract.PagedListing, 0, got, op.Result{Outcome: op.OK}, "a cursor of this listing was refused")
	case rows > c.Page.Limit:
		w.Convict(contract.PagedListing, 0, got, op.Result{Outcome: op.OK}, fmt.Sprintf("%d rows in a page of %d", rows, c.Page.Limit))
	}
	w.RowsAreTrue(got)
	return got
}

// cursorsAcross reads a listing of actors and one of nodes in small pages, and lets
// something happen between them that changes no row: each row is there exactly once.
func cursorsAcross(w *lockstep.Run, n *lockstep.Node, what string, between func()) {
	const rows = 7
	var l registry.Lease
	for i := range rows {
		l = w.Is(n.Claim(w.Actor(fmt.Sprintf("row-%d", i))), nil).Lease()
		w.Node(fmt.Sprintf("node-%d", i), 0)
	}
	actors, nodes := map[registry.ActorID]int{}, map[registry.NodeID]int{}
	a, b := call.ListActorsPage(n.Ref, registry.Page{Limit: 2}), call.ListNodesPage(registry.AnyStatus, registry.Page{Limit: 3})
	for moreA, moreB := true, w.Offers(b); moreA || moreB; between() {
		if moreA {
			got := onePage(w, n, a)
			for _, r := range got.Actors {
				actors[r.Actor]++
			}
			a.Page.After, moreA = got.Next, got.Next != ""
		}
		if moreB {
			got := onePage(w, n, b)
			for _, r := range got.Nodes {
				nodes[r.Ref.ID]++
			}
			b.Page.After, moreB = got.Next, got.Next != ""
		}
	}
	mayGo := w.T.Judge.Dialect.Forgets && w.Cfg.Phase(l.Expiry, n.Clock.Now()) >= registry.Lapsed
	for i := range rows {
		actor, node := w.Actor(fmt.Sprintf("row-%d", i)), registry.NodeID(fmt.Sprintf("node-%d", i))
		if actors[actor] > 1 || actors[actor] == 0 && !mayGo || w.Offers(b) && nodes[node] != 1 {
			w.End(w.T.Conviction(contract.PagedListing, "", "", fmt.Sprintf("%v was listed %d times and %v %d times, with %s between the pages",
				actor.Name, actors[actor], node, nodes[node], what), "each once", w.Table()))
		}
	}
}

// foreignCursors asks for pages after cursors that no listing of this store has
// returned. What they are answered is left open, but that they are answered.
func foreignCursors(t *trial.Trial) {
	t.Needs(op.ListActors)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		for i := range 5 {
			w.Is(n.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil)
		}
		_, next := page(w, n, n.Ref, registry.Page{Limit: 2})
		foreign := []registry.Cursor{"?", "0", "-1", "99999999999999999999", "\x00", "\xff\xfe", "%zz", "e30=", "{", "n1", "n1#1", "../..", next + next, next[:len(next)/2],
			registry.Cursor(strings.Repeat("x", 10_000))}
		for _, after := range append(foreign, next) { // the last is foreign to the nodes
			for _, c := range []call.Call{
				call.ListActorsPage(n.Ref, registry.Page{After: after, Limit: 2}), call.ListNodesPage(registry.AnyStatus, registry.Page{After: after, Limit: 2}),
				call.ListActorsPage(registry.NodeRef{ID: "other", Epoch: 1}, registry.Page{After: after}),
			} {
				if w.Offers(c) {
					w.T.Watch(c.String, func(ctx context.Context) { op.Do(ctx, n.H, &c.Call) })
				}
			}
		}
		w.Is(n.Do(call.ListActors(n.Ref, 2)), nil)
	})
}
