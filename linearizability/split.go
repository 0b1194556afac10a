package linearizability

import (
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
)

// part is a partition before anybody needs its events: which operations it has.
type part struct {
	actor *registry.ActorID // nil for a node's
	node  registry.NodeID
	nodes []registry.NodeID // the registrations of its states
	ops   []int32           // operations by call; from ^0 down what listings and refusals say, by place in parts.extra
	count int               // of its own operations
	place int32             // in parts.list
}

// parts are those of a history.
type parts struct {
	h     *history.History
	list  []*part
	extra []observation
}

// splitting finds the partitions of a history.
type splitting struct {
	parts
	actors  map[registry.ActorID]*part
	nodes   map[registry.NodeID]*part
	changes map[registry.NodeID][]int32
	last    *part   // the one found last
	slab    []part  // to be used next
	of      []int32 // the partition of each operation, by place in list; -1 for none
	ofExtra []int32
}

// split finds out which operations each partition has, in the order in which
// partitions lists them.
func split(h *history.History) *parts {
	s := &splitting{
		parts: parts{h: h}, actors: map[registry.ActorID]*part{}, nodes: map[registry.NodeID]*part{},
		changes: map[registry.NodeID][]int32{}, of: make([]int32, len(h.Ops)),
	}
	for i := range h.Ops {
		s.of[i] = -1
		o := &h.Ops[i]
		if !speaks(o) {
			continue
		}
		first := true
		observeOp(o, func(seen observation) bool {
			if first {
				s.of[i] = s.find(&seen, int32(i))
			} else {
				s.add(seen)
			}
			first = false
			return true
		})
	}
	for _, o := range observeListings(h) {
		s.add(o)
	}
	s.fill()
	return &s.parts
}

// add adds what an operation says beside its own answer.
func (s *splitting) add(o observation) {
	ref := ^int32(len(s.extra))
	s.extra = append(s.extra, o)
	s.ofExtra = append(s.ofExtra, s.find(&o, ref))
}

// find returns the place of the partition that the observation belongs to.
func (s *splitting) find(o *observation, ref int32) int32 {
	p := s.partOf(o)
	p.count++
	switch {
	case o.actor != nil:
		p.nodeIndex(o.standOf)
	case o.changes:
		s.changes[p.node] = append(s.changes[p.node], ref)
	}
	return p.place
}

func (s *splitting) partOf(o *observation) *part {
	switch p := s.last; {
	case o.actor == nil:
		p = s.nodes[*o.standOf]
		if p == nil {
			p = s.make(part{node: *o.standOf, nodes: []registry.NodeID{*o.standOf}})
			s.nodes[p.node] = p
		}
		return p
	case p != nil && *p.actor == *o.actor:
		return p
	}
	p := s.actors[*o.actor]
	if p == nil {
		p = s.make(part{actor: o.actor})
		s.actors[*o.actor] = p
	}
	s.last = p
	return p
}

func (s *splitting) make(p part) *part {
	if len(s.slab) == 0 {
		s.slab = make([]part, min(max(16, len(s.list)), 4096))
	}
	made := &s.slab[0]
	s.slab = s.slab[1:]
	p.place = int32(len(s.list))
	*made = p
	s.list = append(s.list, made)
	return made
}

// fill gives each partition its operations.
func (s *splitting) fill() {
	all := make([]int32, len(s.of)+len(s.extra))
	for _, p := range s.list {
		p.ops, all = all[:0:p.count], all[p.count:]
	}
	for i, place := range s.of {
		if place >= 0 {
			s.list[place].ops = append(s.list[place].ops, int32(i))
		}
	}
	for i, place := range s.ofExtra {
		s.list[place].ops = append(s.list[place].ops, ^int32(i))
	}
	for _, p := range s.list {
		s.sort(p)
	}
}

// sort brings a partition's operations, and an actor's membership operations, into
// the order of their calls.
func (s *splitting) sort(p *part) {
	if !slices.IsSortedFunc(p.ops, s.byCall) {
		slices.SortStableFunc(p.ops, s.byCall)
	}
	if p.actor == nil {
		return
	}
	var changes []int32
	for _, id := range p.nodes {
		changes = append(changes, s.changes[id]...)
	}
	if len(changes) == 0 {
		return
	}
	slices.SortStableFunc(changes, s.byCall)
	p.ops = s.merge(p.ops, changes)
}

// merge merges two lists by call; of equal calls those of a come first.
func (s *splitting) merge(a, b []int32) []int32 {
	out := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if s.byCall(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
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
	if p.actor == nil {
		return newState(nil, make([]member, len(p.nodes)))
	}
	return newState([]record{{Record: registry.Placement{Actor: *p.actor}}}, make([]member, len(p.nodes)))
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
	inTurn(hands(len(h.Ops)), len(ps.list), func() func(int) {
		r := replay{m: m}
		return func(i int) {
			p := ps.list[i]
			r.begin(ps.initial(p))
			found[i] = r.run(len(p.ops), func(i int) event { return ps.event(p, i) })
		}
	})
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
