package linearizability

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// A listing promises that each row was true at some instant during the call
// that returned it, and that what was true throughout is listed. Neither is
// about the list as a whole, so each becomes an observation by itself: a row is
// a read within its page's call; a missing row says that its record was not the
// node's at some instant between the first page's call and the last one's return.

func observeListings(h *history.History) []observation {
	var pages []*history.Op
	for i := range h.Ops {
		if o := &h.Ops[i]; o.Result.Outcome == op.OK && (o.Call.Kind == op.ListActors || o.Call.Kind == op.ListNodes) {
			pages = append(pages, o)
		}
	}
	if len(pages) == 0 {
		return nil
	}
	var out []observation
	for _, o := range pages {
		out = append(out, observeRows(o)...)
	}
	m := mentions(h)
	for _, l := range listings(pages) {
		out = append(out, l.missing(m)...)
	}
	return out
}

func observeRows(o *history.Op) []observation {
	var out []observation
	for i := range o.Result.Actors {
		p := &o.Result.Actors[i]
		out = append(out, observation{
			event: event{op: o, role: rowRead, record: p, call: o.Invoked, ret: o.Returned},
			actor: &p.Actor,
		})
	}
	for i := range o.Result.Nodes {
		n := &o.Result.Nodes[i]
		out = append(out, observation{
			event:   event{op: o, role: nodeRead, member: n, call: o.Invoked, ret: o.Returned},
			standOf: &n.Ref.ID,
		})
	}
	return out
}

// listing is a complete one: its first page began at the beginning, each
// further page at the cursor of the one before, the last ended at the end.
type listing []*history.Op

// listings finds the complete listings. A cursor is a value and not bound to a
// caller, so any chain of pages, each called after the one before returned, is
// a listing of which the promise holds, whoever asked for the pages. For each
// last page the latest chain is taken, whose promise is the strongest.
func listings(pages []*history.Op) []listing {
	byNext := map[pageKey][]*history.Op{}
	for _, o := range pages {
		byNext[keyOf(o, o.Result.Next)] = append(byNext[keyOf(o, o.Result.Next)], o)
	}
	for _, ops := range byNext {
		slices.SortFunc(ops, func(a, b *history.Op) int { return cmp.Compare(a.Returned, b.Returned) })
	}
	var out []listing
	for _, o := range pages {
		if o.Result.Next != "" {
			continue
		}
		l := listing{o}
		for l[0].Call.Page.After != "" {
			ops := byNext[keyOf(o, l[0].Call.Page.After)]
			n, _ := slices.BinarySearchFunc(ops, l[0].Invoked, func(o *history.Op, call int64) int { return cmp.Compare(o.Returned, call) })
			if n == 0 {
				l = nil
				break
			}
			l = append(listing{ops[n-1]}, l...)
		}
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

// pageKey tells listings of different things apart.
type pageKey struct {
	kind   op.Kind
	node   registry.NodeRef
	status registry.NodeStatus
	limit  int
	cursor registry.Cursor
}

func keyOf(o *history.Op, c registry.Cursor) pageKey {
	return pageKey{o.Call.Kind, o.Call.Node, o.Call.Status, o.Call.Page.Limit, c}
}

// mentioned is what a history's listings could have shown.
type mentioned struct {
	actors map[registry.NodeRef][]registry.ActorID // by who may have held them
	nodes  []registry.NodeID                       // that may have been registered
}

// mentions lists, for each node, the actors that it can have held: others
// cannot be missing.
func mentions(h *history.History) mentioned {
	m := mentioned{actors: map[registry.NodeRef][]registry.ActorID{}}
	seen := map[any]bool{}
	type pair struct {
		node  registry.NodeRef
		actor registry.ActorID
	}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Result.Outcome != op.OK && !o.Result.Outcome.Ambiguous() {
			continue
		}
		holder := o.Call.Node
		switch o.Call.Kind {
		case op.Transfer:
			holder = o.Call.To
		case op.Claim:
		case op.RegisterNode:
			if !seen[holder.ID] {
				seen[holder.ID] = true
				m.nodes = append(m.nodes, holder.ID)
			}
			continue
		default:
			continue
		}
		if k := (pair{holder, o.Call.Actor}); !seen[k] {
			seen[k] = true
			m.actors[holder] = append(m.actors[holder], o.Call.Actor)
		}
	}
	return m
}

// missing returns what the listing says of those that it does not show exactly once.
func (l listing) missing(m mentioned) []observation {
	last := l[len(l)-1]
	e := event{op: last, call: l[0].Invoked, ret: last.Returned}
	var out []observation
	if last.Call.Kind == op.ListActors {
		rows := map[registry.ActorID]int{}
		for _, o := range l {
			for _, p := range o.Result.Actors {
				rows[p.Actor]++
			}
		}
		e.role = absent
		for _, a := range m.actors[last.Call.Node] {
			if rows[a] != 1 {
				out = append(out, observation{event: e, actor: &a})
			}
		}
		return out
	}
	rows := map[registry.NodeID]int{}
	for _, o := range l {
		for _, n := range o.Result.Nodes {
			rows[n.Ref.ID]++
		}
	}
	e.role = nodeAway
	for _, id := range m.nodes {
		if rows[id] != 1 {
			out = append(out, observation{event: e, standOf: &id})
		}
	}
	return out
}
