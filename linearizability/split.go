package linearizability

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
)

// part is a partition before anybody needs its events: which operations it has.
type part struct {
	actor *registry.ActorID // nil for a node's
	node  registry.NodeID
	nodes []registry.NodeID // the registrations of its states
	ops   []int32           // operations by call; from ^0 down what listings and refusals say, by place in parts.extra
}

// parts are those of a history.
type parts struct {
	h     *history.History
	list  []*part
	extra []observation
}

// split finds out which operations each partition has, in the order in which
// partitions lists them.
func split(h *history.History) *parts {
	ps := &parts{h: h}
	actors, nodes := map[registry.ActorID]*part{}, map[registry.NodeID]*part{}
	changes := map[registry.NodeID][]int32{}
	var lastActor *part
	add := func(o *observation, ref int32) {
		if o.actor != nil {
			p := lastActor
			if p == nil || *p.actor != *o.actor {
				if p = actors[*o.actor]; p == nil {
					p = &part{actor: o.actor}
					actors[*o.actor] = p
					ps.list = append(ps.list, p)
				}
				lastActor = p
			}
			p.nodeIndex(o.standOf)
			p.ops = append(p.ops, ref)
			return
		}
		id := *o.standOf
		p := nodes[id]
		if p == nil {
			p = &part{node: id, nodes: []registry.NodeID{id}}
			nodes[id] = p
			ps.list = append(ps.list, p)
		}
		p.ops = append(p.ops, ref)
		if o.changes {
			changes[id] = append(changes[id], ref)
		}
	}
	extra := func(o observation) bool {
		ps.extra = append(ps.extra, o)
		add(&o, ^int32(len(ps.extra)-1))
		return true
	}
	for i := range h.Ops {
		o := &h.Ops[i]
		if !speaks(o) {
			continue
		}
		first := true
		observeOp(o, func(seen observation) bool {
			if first {
				add(&seen, int32(i))
			} else {
				extra(seen)
			}
			first = false
			return true
		})
	}
	for _, o := range observeListings(h) {
		extra(o)
	}
	for _, p := range ps.list {
		if p.actor != nil {
			for _, id := range p.nodes {
				p.ops = append(p.ops, changes[id]...)
			}
		}
		if !slices.IsSortedFunc(p.ops, ps.byCall) {
			slices.SortStableFunc(p.ops, ps.byCall)
		}
	}
	return ps
}

func (ps *parts) call(ref int32) int64 {
	if ref >= 0 {
		return ps.h.Ops[ref].Invoked
	}
	return ps.extra[^ref].call
}

func (ps *parts) byCall(a, b int32) int {
	switch x, y := ps.call(a), ps.call(b); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// nodeIndex enters a node; it is -1 for none.
func (p *part) nodeIndex(id *registry.NodeID) int {
	if id == nil {
		return -1
	}
	if i := slices.Index(p.nodes, *id); i >= 0 {
		return i
	}
	p.nodes = append(p.nodes, *id)
	return len(p.nodes) - 1
}

// event is the event of a partition's operation.
func (ps *parts) event(p *part, i int) (e event) {
	ref := p.ops[i]
	if ref < 0 {
		e = ps.extra[^ref].event
		e.node, e.timed = -1, p.actor == nil
		if p.actor == nil {
			e.node = 0
		}
		return e
	}
	e = seenBy(&ps.h.Ops[ref])
	_, standOf, _ := concerns(e.op)
	e.node, e.timed = p.nodeIndex(standOf), p.actor == nil
	return e
}

func (ps *parts) initial(p *part) *state {
	whole := partition{nodes: p.nodes}
	if p.actor != nil {
		whole.actors = []registry.ActorID{*p.actor}
	}
	return whole.initial()
}

// subjects are those of some partitions.
type subjects struct {
	actors map[registry.ActorID]bool
	nodes  map[registry.NodeID]bool
}

// has reports whether the observation belongs to one of them; nil are all.
func (s *subjects) has(o *observation) bool {
	switch {
	case s == nil:
		return true
	case o.actor != nil:
		return s.actors[*o.actor]
	}
	return s.nodes[*o.standOf]
}

func (s *subjects) empty() bool { return s != nil && len(s.actors)+len(s.nodes) == 0 }

// replayed replays every partition. It returns how many there are, and those
// of which no order was found.
func replayed(h *history.History, m *rules) (all int, undecided *subjects) {
	ps := split(h)
	found := make([]bool, len(ps.list))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range ps.list {
		group.Go(func() error {
			r := replay{m: m, state: ps.initial(p)}
			found[i] = r.run(len(p.ops), func(i int) event { return ps.event(p, i) })
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
	undecided = &subjects{map[registry.ActorID]bool{}, map[registry.NodeID]bool{}}
	for i, p := range ps.list {
		switch {
		case found[i]:
		case p.actor != nil:
			undecided.actors[*p.actor] = true
		default:
			undecided.nodes[p.node] = true
		}
	}
	return len(ps.list), undecided
}
