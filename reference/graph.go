package reference

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/kelpie-registry/registry"
)

// Graph is what an exploration found: all reachable states, each with the way
// it was found first, and all steps between them. States have numbers from 0, the
// initial one, in breadth-first order. A state is kept as the numbers that make it
// up, two bytes each, and a step as two numbers: a graph of a million states takes
// about 200 MB. It is safe for concurrent reads.
type Graph struct {
	Depth int // states on the longest of the shortest paths

	y      *System
	states []byte  // packed
	width  int     // of a packed state
	steps  []step  // by the state that they are taken in, in the order of [System.Next]
	ends   []int   // by state: where its steps end; shorter than the states while they are searched
	ways   []way   // by state: how it was found first
	index  indices // of the states

	searched int // states whose steps are known
	level    int // the first state of the level below the one that is searched
}

// step is an edge without its source.
type step struct{ label, to uint32 }

// way is the step that found a state first.
type way struct{ from, label uint32 }

// Edge is a step from one state of a [Graph] to another, by number.
type Edge struct {
	From  int
	Label Label
	To    int
}

func newGraph(y *System) *Graph {
	init := y.Init()
	g := &Graph{y: y}
	packed := y.pack(nil, &init)
	g.width = len(packed)
	g.insert(hash(packed), packed, way{})
	return g
}

// Len returns the number of states.
func (g *Graph) Len() int { return len(g.ways) }

// Steps returns the number of steps.
func (g *Graph) Steps() int { return len(g.steps) }

// State returns state i.
func (g *Graph) State(i int) (s State) {
	g.y.unpack(&s, g.packed(i))
	return s
}

// Edges yields every step: by From, then in the order of [System.Next].
func (g *Graph) Edges() iter.Seq[Edge] {
	return func(yield func(Edge) bool) {
		at := 0
		for from, end := range g.ends {
			for ; at < end; at++ {
				s := g.steps[at]
				if !yield(Edge{From: from, Label: g.label(from, s.label), To: int(s.to)}) {
					return
				}
			}
		}
	}
}

// label returns the k-th of the labels of state i, in the order of [System.Labels].
func (g *Graph) label(i int, k uint32) Label {
	if int(k) < len(g.y.labels) {
		return g.y.labels[k]
	}
	return g.y.Labels(g.State(i))[k]
}

// Trace returns the shortest sequence of steps that leads to state i.
func (g *Graph) Trace(i int) []Edge {
	var out []Edge
	for i > 0 {
		w := g.ways[i]
		out = append(out, Edge{From: int(w.from), Label: g.label(int(w.from), w.label), To: i})
		i = int(w.from)
	}
	slices.Reverse(out)
	return out
}

func (g *Graph) packed(i int) []byte { return g.states[i*g.width : (i+1)*g.width] }

// add appends what the search of the next states found, up to a violation.
func (g *Graph) add(p *piece) *Violation {
	at, fresh := 0, p.fresh
	for _, end := range p.ends {
		from := g.searched
		if from == g.level {
			g.level = g.Len()
			g.Depth++
		}
		for ; at < end; at++ {
			s := p.steps[at]
			to := s.to
			if to == 0 {
				to = g.number(s.hash, fresh[:g.width], way{uint32(from), s.label})
				fresh = fresh[g.width:]
			}
			if at == len(p.steps)-1 && p.violated != "" {
				g.ends = append(g.ends, len(g.steps))
				last := Edge{From: from, Label: g.label(from, s.label), To: int(to - 1)}
				return &Violation{Property: p.violated, Trace: append(g.Trace(from), last)}
			}
			g.steps = append(g.steps, step{s.label, to - 1})
		}
		g.ends = append(g.ends, len(g.steps))
		g.searched++
	}
	return nil
}

// number returns the number of a packed state and one. The state is added if it is
// new: then w leads to it.
func (g *Graph) number(hash uint32, packed []byte, w way) uint32 {
	if i := g.index.find(hash, packed, g); i != 0 {
		return i
	}
	return g.insert(hash, packed, w)
}

func (g *Graph) insert(hash uint32, packed []byte, w way) uint32 {
	g.states = append(g.states, packed...)
	g.ways = append(g.ways, w)
	g.index.insert(hash, uint32(g.Len()))
	return uint32(g.Len())
}

// indices is a hash table from packed states to their numbers, with open addressing.
// A slot holds a state's hash and its number and one; 0 is empty. States with the
// same hash are told apart by their bytes: no two are ever taken for one.
type indices struct {
	slots []slot // a power of two, at most half of them taken
	taken int
}

type slot struct{ hash, state uint32 }

var hashSeed = maphash.MakeSeed()

func hash(packed []byte) uint32 { return uint32(maphash.Bytes(hashSeed, packed)) }

// find returns a state's number and one, 0 when there is none.
func (x *indices) find(hash uint32, packed []byte, g *Graph) uint32 {
	mask := len(x.slots) - 1
	for i := int(hash) & mask; x.slots[i].state != 0; i = (i + 1) & mask {
		if s := x.slots[i]; s.hash == hash && bytes.Equal(g.packed(int(s.state-1)), packed) {
			return s.state
		}
	}
	return 0
}

// insert adds a state that is not there.
func (x *indices) insert(hash, state uint32) {
	if 2*x.taken >= len(x.slots) {
		old := x.slots
		x.slots = make([]slot, max(1024, 2*len(old)))
		for _, s := range old {
			if s.state != 0 {
				x.place(s)
			}
		}
	}
	x.place(slot{hash, state})
	x.taken++
}

func (x *indices) place(s slot) {
	mask := len(x.slots) - 1
	i := int(s.hash) & mask
	for x.slots[i].state != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// pack appends the numbers that make up s, all that tells it from other states of y
// and always equally many. It panics on a number that two bytes do not hold: bounded
// models stay far within them.
func (y *System) pack(b []byte, s *State) []byte {
	num := func(n int64) {
		if n != int64(int16(n)) {
			panic(fmt.Sprintf("reference: %d is too large for an exploration", n))
		}
		b = append(b, byte(n), byte(n>>8))
	}
	for n := range s.Clock {
		m := &s.Members[n]
		num(int64(s.Clock[n]))
		num(int64(s.Proc[n]))
		num(int64(m.Ref.Epoch))
		num(int64(m.Status))
		num(int64(m.LastSeen))
	}
	for a := range s.Records {
		r := &s.Records[a]
		num(int64(1 + slices.Index(y.bounds.Nodes, r.Holder.ID)))
		num(int64(r.Holder.Epoch))
		num(int64(r.Token))
		num(int64(r.Version))
		num(int64(r.Expiry))
		num(int64(r.ClaimID[15]))
		num(int64(s.Tenures[a].Num))
		if s.Tenures[a].Open {
			num(1)
		} else {
			num(0)
		}
	}
	for i := range s.Leases {
		h := &s.Leases[i]
		num(int64(h.Epoch))
		num(int64(h.Token))
		num(int64(h.Until))
	}
	num(int64(len(s.Writes)))
	for _, w := range s.Writes {
		num(int64(w.Actor))
		num(int64(w.Token))
		num(int64(w.Num))
	}
	for range y.bounds.MaxWrites - len(s.Writes) {
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	return b
}

// unpack makes s, in the room that it has, the state that was packed into b.
func (y *System) unpack(s *State, b []byte) {
	num := func() (n int64) {
		n = int64(int16(b[0]) | int16(b[1])<<8)
		b = b[2:]
		return n
	}
	*s = State{
		Clock: s.Clock[:0], Proc: s.Proc[:0], Members: s.Members[:0], Records: s.Records[:0], Leases: s.Leases[:0],
		Tenures: s.Tenures[:0], Writes: s.Writes[:0],
	}
	for _, id := range y.bounds.Nodes {
		s.Clock = append(s.Clock, registry.Instant(num()))
		s.Proc = append(s.Proc, int(num()))
		var m Member
		if m.Ref.Epoch = registry.Epoch(num()); m.Ref.Epoch != 0 {
			m.Ref.ID = id
		}
		m.Status, m.LastSeen = registry.NodeStatus(num()), registry.Instant(num())
		s.Members = append(s.Members, m)
	}
	for a := range y.bounds.Actors {
		r := Record{Actor: y.actor(a)}
		if holder := num(); holder != 0 {
			r.Holder.ID = y.bounds.Nodes[holder-1]
		}
		r.Holder.Epoch, r.Token, r.Version = registry.Epoch(num()), registry.Token(num()), registry.Version(num())
		r.Expiry, r.ClaimID[15] = registry.Instant(num()), byte(num())
		s.Records = append(s.Records, r)
		s.Tenures = append(s.Tenures, Tenure{Num: int(num()), Open: num() == 1})
	}
	for range len(y.bounds.Nodes) * len(y.bounds.Actors) {
		s.Leases = append(s.Leases, Hand{registry.Epoch(num()), registry.Token(num()), registry.Instant(num())})
	}
	for range num() {
		s.Writes = append(s.Writes, Write{Actor: int(num()), Token: registry.Token(num()), Num: int(num())})
	}
}
