package linearizability

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry"
)

// A listing promises that each row was true at some instant during the call
// that returned it, and that what was true throughout is listed. Neither is
// about the list as a whole, so each becomes an observation by itself: a row is
// a read within its page's call; a missing row says that its record was not the
// node's at some instant between the first page's call and the last one's return.

func observeListings(h *History) []observation {
	var pages []*Op
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Outcome == OutcomeOK && (op.Kind == KindListActors || op.Kind == KindListNodes) {
			pages = append(pages, op)
		}
	}
	if len(pages) == 0 {
		return nil
	}
	var out []observation
	for _, op := range pages {
		out = append(out, observeRows(op)...)
	}
	m := mentions(h)
	for _, l := range listings(pages) {
		out = append(out, l.missing(m)...)
	}
	return out
}

func observeRows(op *Op) []observation {
	var out []observation
	for i := range op.Answer.Actors {
		p := &op.Answer.Actors[i]
		out = append(out, observation{
			event: event{op: op, role: rowRead, record: p, call: op.Call, ret: op.Return},
			actor: &p.Actor,
		})
	}
	for i := range op.Answer.Nodes {
		n := &op.Answer.Nodes[i]
		out = append(out, observation{
			event:   event{op: op, role: nodeRead, member: n, call: op.Call, ret: op.Return},
			standOf: &n.Ref.ID,
		})
	}
	return out
}

// listing is a complete one: its first page began at the beginning, each
// further page at the cursor of the one before, the last ended at the end.
type listing []*Op

// listings finds the complete listings. A cursor is a value and not bound to a
// caller, so any chain of pages, each called after the one before returned, is
// a listing of which the promise holds, whoever asked for the pages. For each
// last page the latest chain is taken, whose promise is the strongest.
func listings(pages []*Op) []listing {
	byNext := map[pageKey][]*Op{}
	for _, op := range pages {
		byNext[keyOf(op, op.Answer.Next)] = append(byNext[keyOf(op, op.Answer.Next)], op)
	}
	for _, ops := range byNext {
		slices.SortFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Return, b.Return) })
	}
	var out []listing
	for _, op := range pages {
		if op.Answer.Next != "" {
			continue
		}
		l := listing{op}
		for l[0].Ask.Page.After != "" {
			ops := byNext[keyOf(op, l[0].Ask.Page.After)]
			n, _ := slices.BinarySearchFunc(ops, l[0].Call, func(o *Op, call int64) int { return cmp.Compare(o.Return, call) })
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
	kind   Kind
	node   registry.NodeRef
	status registry.NodeStatus
	limit  int
	cursor registry.Cursor
}

func keyOf(op *Op, c registry.Cursor) pageKey {
	return pageKey{op.Kind, op.Ask.Node, op.Ask.Status, op.Ask.Page.Limit, c}
}

// mentioned is what a history's listings could have shown.
type mentioned struct {
	actors map[registry.NodeRef][]registry.ActorID // by who may have held them
	nodes  []registry.NodeID                       // that may have been registered
}

// mentions lists, for each node, the actors that it can have held: others
// cannot be missing.
func mentions(h *History) mentioned {
	m := mentioned{actors: map[registry.NodeRef][]registry.ActorID{}}
	seen := map[any]bool{}
	type pair struct {
		node  registry.NodeRef
		actor registry.ActorID
	}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Outcome != OutcomeOK && !op.Outcome.Ambiguous() {
			continue
		}
		holder := op.Ask.Node
		switch op.Kind {
		case KindTransfer:
			holder = op.Ask.To
		case KindClaim:
		case KindRegisterNode:
			if !seen[holder.ID] {
				seen[holder.ID] = true
				m.nodes = append(m.nodes, holder.ID)
			}
			continue
		default:
			continue
		}
		if k := (pair{holder, op.Ask.Actor}); !seen[k] {
			seen[k] = true
			m.actors[holder] = append(m.actors[holder], op.Ask.Actor)
		}
	}
	return m
}

// missing returns what the listing says of those that it does not show exactly once.
func (l listing) missing(m mentioned) []observation {
	last := l[len(l)-1]
	e := event{op: last, call: l[0].Call, ret: last.Return}
	var out []observation
	if last.Kind == KindListActors {
		rows := map[registry.ActorID]int{}
		for _, op := range l {
			for _, p := range op.Answer.Actors {
				rows[p.Actor]++
			}
		}
		e.role = absent
		for _, a := range m.actors[last.Ask.Node] {
			if rows[a] != 1 {
				out = append(out, observation{event: e, actor: &a})
			}
		}
		return out
	}
	rows := map[registry.NodeID]int{}
	for _, op := range l {
		for _, n := range op.Answer.Nodes {
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
